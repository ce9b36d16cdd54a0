//! How a client comes to be: address, connections, deadlines, retries, language.

use std::{fmt, marker::PhantomData, time::Duration};

use futures_util::future::try_join_all;
use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use crate::{
    call::Terms,
    error::Error,
    failure::innermost,
    limits::{self, CHANNELS_MAX},
    link::Link,
    retry::RetryPolicy,
};

/// Settings of a [`Client`](crate::Client) or an [`Admin`](crate::Admin) before it is connected.
///
/// ```no_run
/// # async fn example() -> Result<(), kuota_client::Error> {
/// use std::time::Duration;
/// use kuota_client::{Client, RetryPolicy};
///
/// let client = Client::builder("http://127.0.0.1:50051")
///     .channels(4)
///     .deadline(Duration::from_secs(20))
///     .attempt_timeout(Duration::from_secs(2))
///     .retry(RetryPolicy { attempts_max: 8, ..RetryPolicy::default() })
///     .language("id")
///     .connect()
///     .await?;
/// # let _ = client;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is connected until `connect` or `connect_lazy`"]
pub struct Builder<C> {
    url: String,
    channels: usize,
    connect_timeout: Duration,
    deadline: Duration,
    attempt_timeout: Duration,
    retry: RetryPolicy,
    language: Option<String>,
    made: PhantomData<fn() -> C>,
}

impl<C: From<Link>> Builder<C> {
    pub(crate) fn new(url: impl Into<String>, channels: usize) -> Self {
        Self {
            url: url.into(),
            channels,
            connect_timeout: limits::CONNECT_TIMEOUT,
            deadline: limits::DEADLINE,
            attempt_timeout: limits::ATTEMPT_TIMEOUT,
            retry: RetryPolicy::default(),
            language: None,
            made: PhantomData,
        }
    }

    /// How many connections calls are dealt to in turn: 1 to 64, 2 unless said otherwise.
    pub fn channels(mut self, channels: usize) -> Self {
        self.channels = channels;
        self
    }

    /// How long a connection may take: 5 s unless said otherwise.
    pub fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout;
        self
    }

    /// How long a whole call may take, retries and waits included: 10 s unless said otherwise.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long one attempt may take: 3 s unless said otherwise, and never longer than what is left of the deadline.
    ///
    /// The last attempt of a call may use all that is left.
    pub fn attempt_timeout(mut self, attempt_timeout: Duration) -> Self {
        self.attempt_timeout = attempt_timeout;
        self
    }

    /// How failed calls are retried.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The language of messages for people, as `accept-language` has it: `id` or `en`. Reasons never change.
    pub fn language(mut self, language: impl Into<String>) -> Self {
        self.language = Some(language.into());
        self
    }

    /// Connects now.
    ///
    /// # Errors
    /// [`Error::Url`] or [`Error::Argument`] when a setting is not well-formed, [`Error::Connect`] when nobody answers.
    pub async fn connect(self) -> Result<C, Error> {
        let (endpoint, language) = self.check()?;
        let unreached = |error: tonic::transport::Error| Error::Connect {
            url: self.url.clone(),
            reason: innermost(&error),
            attempts: 1,
            outcome_unknown: false,
        };
        let connecting = (0..self.channels).map(|_| endpoint.connect());
        let channels = try_join_all(connecting).await.map_err(unreached)?;
        Ok(self.finish(channels, language))
    }

    /// Connects when the first call is made: the server need not be there yet. Needs a tokio runtime all the same.
    ///
    /// # Errors
    /// [`Error::Url`] or [`Error::Argument`] when a setting is not well-formed.
    pub fn connect_lazy(self) -> Result<C, Error> {
        let (endpoint, language) = self.check()?;
        let channels = (0..self.channels).map(|_| endpoint.connect_lazy()).collect();
        Ok(self.finish(channels, language))
    }

    fn check(&self) -> Result<(Endpoint, Option<MetadataValue<Ascii>>), Error> {
        let not_ours = || Error::Url { url: self.url.clone() };
        let endpoint = Endpoint::from_shared(self.url.clone()).map_err(|_| not_ours())?;
        // Anything else would go out in clear all the same, identity numbers included.
        if endpoint.uri().scheme_str() != Some("http") || endpoint.uri().host().is_none_or(str::is_empty) {
            return Err(not_ours());
        }
        if !(1..=CHANNELS_MAX).contains(&self.channels) {
            let found = self.channels;
            let what = format!("channels: {found}; 1 to {CHANNELS_MAX} are allowed");
            return Err(Error::Argument { what });
        }
        let language = self.language.as_ref().map(|text| text.parse()).transpose();
        let language = language.map_err(|_| Error::Argument {
            what: "language: a language tag like `id` or `en` is allowed".into(),
        })?;
        let endpoint = endpoint
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(limits::KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(limits::KEEP_ALIVE_TIMEOUT);
        Ok((endpoint, language))
    }

    fn finish(self, channels: Vec<Channel>, language: Option<MetadataValue<Ascii>>) -> C {
        let Self { url, deadline, attempt_timeout, retry, .. } = self;
        Link::new(channels, language, Terms { url, deadline, attempt_timeout, retry }).into()
    }
}

impl<C> fmt::Debug for Builder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Builder");
        debug.field("url", &self.url).field("channels", &self.channels).field("deadline", &self.deadline);
        debug.finish_non_exhaustive()
    }
}
