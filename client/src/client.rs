//! The client: one method a use case, each with a deadline and retries.

use std::time::Duration;

use kuota_api::v1::{
    self, Lane, Office, PassportFee, Registration, Slot,
    availability_service_client::AvailabilityServiceClient, office_service_client::OfficeServiceClient,
    registration_service_client::RegistrationServiceClient,
};
use tonic::{Code, Request};

use crate::{
    ask::{Ask, Key, Outcome},
    batch,
    builder::Builder,
    call::{Call, Effect, insist},
    error::{Error, Failed},
    failure::Failure,
    limits,
    link::Link,
    payment::{Paid, Payment},
    retry::RetryPolicy,
    wait,
    watch::Watch,
};

/// Some connections to a server. Cloning is cheap and shares them, and the retry budget.
///
/// Dropping the future of a call cancels the call, and says nothing about its outcome: the ask may have reached the
/// server. Send the same [`Ask`] again to learn it.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) link: Link,
}

/// Which slots to list or to watch; everything by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AvailabilityFilter {
    /// Only this office.
    pub office_id: Option<String>,
    /// Only from this day on; from today in the office's zone unless said.
    pub from_date: Option<String>,
    /// Only up to and including this day.
    pub to_date: Option<String>,
    /// Only this lane.
    pub lane: Option<Lane>,
}

#[doc(hidden)]
impl From<Link> for Client {
    fn from(link: Link) -> Self {
        Self { link }
    }
}

impl Client {
    /// Connects to a server with the default settings: `http://127.0.0.1:50051`.
    ///
    /// # Errors
    /// When the URL is none, or nobody answers there.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::builder(url).connect().await
    }

    /// Settings for a connection to a server.
    pub fn builder(url: impl Into<String>) -> Builder<Self> {
        Builder::new(url, limits::CHANNELS)
    }

    /// With another deadline for each call; clones keep theirs.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.link.terms.deadline = deadline;
        self
    }

    /// With another retry policy; clones keep theirs.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.link.terms.retry = retry;
        self
    }

    /// Asks for places. Sent again, the same ask gets the same registration.
    ///
    /// ```no_run
    /// # async fn example(client: kuota_client::Client) -> Result<(), kuota_client::Error> {
    /// use kuota_client::{Ask, Lane, Outcome};
    ///
    /// let ask = Ask::new("kanim-pontianak", "2026-11-30", Lane::Regular).applicant("6171012309870001", "order 17");
    /// match client.register(&ask).await {
    ///     Ok(Outcome::Registered(registration)) => println!("{}", registration.code),
    ///     Ok(Outcome::Refused(refusal)) => println!("{}", refusal.message),
    ///     Err(error) if error.is_outcome_unknown() => println!("ask {} again: {error}", ask.id()),
    ///     Err(error) => println!("nothing was written: {error}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When there is no answer after all attempts; see [`Error::is_outcome_unknown`]. A refusal is an answer.
    pub async fn register(&self, ask: &Ask) -> Result<Outcome, Error> {
        insist(Call::begin(&self.link.terms, Effect::Write), |allowed| async move {
            let send = async |channel, request: Request<_>| {
                RegistrationServiceClient::new(channel).register(request).await
            };
            Outcome::of_register(self.link.attempt(allowed, ask.request.clone(), send).await?)
        })
        .await
    }

    /// Asks for places, and waits for a definite answer: until the slot opens, until a busy slot has time, and
    /// through outages.
    ///
    /// Waits out NOT_OPEN_YET and BUSY by the server's `retry_after`, and repeats the same `request_id` while the
    /// outcome is unknown. Any other refusal is returned at once, and so is a wait that would end after `patience`.
    ///
    /// ```no_run
    /// # async fn example(client: kuota_client::Client, ask: kuota_client::Ask) -> Result<(), kuota_client::Error> {
    /// use std::time::Duration;
    /// use kuota_client::Error;
    ///
    /// match client.register_and_wait(&ask, Duration::from_secs(120)).await {
    ///     Ok(outcome) => println!("{outcome:?}"),
    ///     Err(Error::OutcomeUnknown { request_id, .. }) => println!("keep {request_id}, and ask again later"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::OutcomeUnknown`] when patience ended without an answer to an ask that may have been granted;
    /// otherwise the last error.
    pub async fn register_and_wait(&self, ask: &Ask, patience: Duration) -> Result<Outcome, Error> {
        let retry = &self.link.terms.retry;
        wait::for_an_answer(ask.id(), patience, retry, |left| {
            let client = self.clone().deadline(self.link.terms.deadline.min(left));
            async move { client.register(ask).await }
        })
        .await
    }

    /// Asks for up to 1,000 parties in one call; each is decided by itself.
    ///
    /// The answer has one item for each ask, in their order. Asks whose item failed for a passing reason are asked
    /// again, and only those, under the same ids and within the same deadline and retry policy.
    ///
    /// ```no_run
    /// # async fn example(client: kuota_client::Client, asks: Vec<kuota_client::Ask>) -> Result<(), kuota_client::Error> {
    /// for (ask, item) in asks.iter().zip(client.register_batch(&asks).await?) {
    ///     println!("{}: {item:?}", ask.id());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Argument`] for no asks or more than 1,000; otherwise when no attempt of the whole call was answered.
    pub async fn register_batch(&self, asks: &[Ask]) -> Result<Vec<Result<Outcome, Error>>, Error> {
        batch::register(&self.link, asks).await
    }

    /// Looks a registration up.
    ///
    /// # Errors
    /// `NOT_FOUND` when there is none, or when there is no answer.
    pub async fn get(&self, key: Key) -> Result<Registration, Error> {
        let request = v1::GetRegistrationRequest { key: Some(key.into()) };
        let send = async |channel, request: Request<_>| {
            RegistrationServiceClient::new(channel).get_registration(request).await
        };
        let answer = self.link.call(Effect::Read, &request, send).await?;
        answer.registration.ok_or_else(|| self.broken(Failure::no_outcome()))
    }

    /// Gives the places of a registration back. Cancelling again returns the cancelled registration.
    ///
    /// # Errors
    /// `NOT_FOUND` when there is none, or when there is no answer.
    pub async fn cancel(&self, id: &str, reason: &str) -> Result<Outcome, Error> {
        insist(Call::begin(&self.link.terms, Effect::Write), |allowed| async move {
            let request = v1::CancelRequest { id: id.into(), reason: reason.into() };
            let send = async |channel, request: Request<_>| {
                RegistrationServiceClient::new(channel).cancel(request).await
            };
            Outcome::of_cancel(self.link.attempt(allowed, request, send).await?)
        })
        .await
    }

    /// Says that a payment for a held place came in. Said again, the same payment gets the same answer.
    ///
    /// # Errors
    /// `NOT_FOUND` when there is no such registration, `FAILED_PRECONDITION` with `PAYMENT_REFERENCE_REUSED` when the
    /// reference stands for another payment, or when there is no answer. A refusal is an answer.
    pub async fn confirm_payment(&self, payment: &Payment) -> Result<Paid, Error> {
        insist(Call::begin(&self.link.terms, Effect::Write), |allowed| async move {
            let send = async |channel, request: Request<_>| {
                RegistrationServiceClient::new(channel).confirm_payment(request).await
            };
            Paid::of(self.link.attempt(allowed, payment.request(), send).await?)
        })
        .await
    }

    /// Every office.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn offices(&self) -> Result<Vec<Office>, Error> {
        let (mut offices, mut page_token) = (Vec::new(), String::new());
        for _ in 0..limits::PAGES_MAX {
            let request = v1::ListOfficesRequest { page_size: 0, page_token };
            let send = async |channel, request: Request<_>| {
                OfficeServiceClient::new(channel).list_offices(request).await
            };
            let page = self.link.call(Effect::Read, &request, send).await?;
            offices.extend(page.offices);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(offices);
            }
        }
        Err(self.endless())
    }

    /// What passports cost; some lanes cost more, as [`offices`](Self::offices) say.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn passport_fees(&self) -> Result<Vec<PassportFee>, Error> {
        let request = v1::ListOfficesRequest { page_size: 1, page_token: String::new() };
        let send = async |channel, request: Request<_>| {
            OfficeServiceClient::new(channel).list_offices(request).await
        };
        Ok(self.link.call(Effect::Read, &request, send).await?.passport_fees)
    }

    /// What is free, by the last commit.
    ///
    /// # Errors
    /// `NOT_FOUND` for an unknown office, or when there is no answer.
    pub async fn availability(&self, filter: &AvailabilityFilter) -> Result<Vec<Slot>, Error> {
        let (mut slots, mut page_token) = (Vec::new(), String::new());
        for _ in 0..limits::PAGES_MAX {
            let request = v1::ListAvailabilityRequest {
                office_id: filter.office_id.clone(),
                from_date: filter.from_date.clone(),
                to_date: filter.to_date.clone(),
                lane: filter.lane.map(i32::from),
                page_size: 0,
                page_token,
            };
            let send = async |channel, request: Request<_>| {
                AvailabilityServiceClient::new(channel).list_availability(request).await
            };
            let page = self.link.call(Effect::Read, &request, send).await?;
            slots.extend(page.slots);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(slots);
            }
        }
        Err(self.endless())
    }

    /// Watches what is free. Nothing is asked until [`Watch::next`].
    #[must_use]
    pub fn watch(&self, filter: AvailabilityFilter) -> Watch {
        Watch::new(self.link.clone(), filter)
    }

    fn endless(&self) -> Error {
        let failed = Failed::bare(Code::OutOfRange, "the server's list has no end".into());
        self.broken(Failure::answered(failed))
    }

    /// An answer that makes no sense.
    fn broken(&self, failure: Failure) -> Error {
        failure.into_error(&self.link.terms.url, 1, false, Duration::ZERO)
    }
}
