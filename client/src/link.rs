//! The way to a server: its connections, and one attempt or one logical call over them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use crate::{
    call::{Call, Effect, Terms, insist},
    error::Error,
    failure::Failure,
};

/// Connections that calls are dealt to in turn, and the terms of each call. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Link {
    channels: Arc<[Channel]>,
    turn: Arc<AtomicUsize>,
    language: Option<MetadataValue<Ascii>>,
    pub(crate) terms: Terms,
}

impl Link {
    pub(crate) fn new(channels: Vec<Channel>, language: Option<MetadataValue<Ascii>>, terms: Terms) -> Self {
        Self { channels: channels.into(), turn: Arc::default(), language, terms }
    }

    /// A logical call: the same request, attempt after attempt, until there is an answer or an end.
    pub(crate) async fn call<Q, A, F>(
        &self,
        effect: Effect,
        request: &Q,
        send: impl Fn(Channel, Request<Q>) -> F,
    ) -> Result<A, Error>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let send = &send;
        insist(Call::begin(&self.terms, effect), |allowed| self.attempt(allowed, request.clone(), send)).await
    }

    /// One attempt. The server is told how long it may take, and is not trusted to keep to it.
    pub(crate) async fn attempt<Q, A, F>(
        &self,
        allowed: Duration,
        message: Q,
        send: impl Fn(Channel, Request<Q>) -> F,
    ) -> Result<A, Failure>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let mut request = self.request(message);
        request.set_timeout(allowed);
        match tokio::time::timeout(allowed, send(self.channel(), request)).await {
            Ok(answer) => Ok(answer?.into_inner()),
            Err(_) => Err(Failure::overdue()),
        }
    }

    /// Opens a stream. Only the opening is bounded: `grpc-timeout` would end the stream itself.
    pub(crate) async fn open<Q, A, F>(
        &self,
        allowed: Duration,
        message: Q,
        send: impl Fn(Channel, Request<Q>) -> F,
    ) -> Result<A, Failure>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        match tokio::time::timeout(allowed, send(self.channel(), self.request(message))).await {
            Ok(answer) => Ok(answer?.into_inner()),
            Err(_) => Err(Failure::overdue()),
        }
    }

    fn request<Q>(&self, message: Q) -> Request<Q> {
        let mut request = Request::new(message);
        if let Some(language) = &self.language {
            request.metadata_mut().insert("accept-language", language.clone());
        }
        request
    }

    /// The next connection in turn, so that a retry seldom meets the one that failed.
    fn channel(&self) -> Channel {
        // Relaxed: which connection is taken guards nothing.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.channels[turn % self.channels.len()].clone()
    }
}
