//! Calls of one connection that wait for the ledger. They have one mailbox in common and are woken as one, each is held no
//! longer than its caller is patient. A caller that goes away changes nothing: what was asked of the ledger belongs to it.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use h2::server::SendResponse;
use kuota_domain::ids::RequestKey;
use slab::Slab;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{language::Language, meter::Call};
use crate::engine::{Answer, Mailbox};

/// Calls that wait.
#[derive(Debug)]
pub(super) struct Waiting {
    mailbox: Mailbox,
    /// Empty, with room.
    letters: Vec<(usize, Answer)>,
    /// By number. One whose caller waits no longer keeps its number until its letter has come.
    calls: Slab<Option<Held>>,
    /// Over when the first of them may wait no longer, or one that was answered since.
    patience: Option<Pin<Box<Sleep>>>,
}

/// A call, and the way back.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) respond: SendResponse<Bytes>,
    pub(super) call: Call,
    pub(super) key: RequestKey,
    pub(super) language: Language,
    until: Option<Instant>,
}

impl Held {
    pub(super) fn new(
        (respond, call): (SendResponse<Bytes>, Call),
        (key, language): (RequestKey, Language),
        timeout: Option<Duration>,
    ) -> Self {
        // One that no clock can tell is no deadline.
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Self { respond, call, key, language, until }
    }
}

impl Default for Waiting {
    /// With room for one: most connections of many have one call at a time.
    fn default() -> Self {
        let (letters, calls) = (Vec::with_capacity(1), Slab::with_capacity(1));
        Self { mailbox: Mailbox::default(), letters, calls, patience: None }
    }
}

impl Waiting {
    /// Where the answer to the next call that is held shall go.
    pub(super) fn next(&mut self) -> (&mut Mailbox, usize) {
        (&mut self.mailbox, self.calls.vacant_key())
    }

    /// What its calls ask, and are told.
    pub(super) const fn mailbox(&mut self) -> &mut Mailbox {
        &mut self.mailbox
    }

    /// Holds a call, under the number that was next.
    pub(super) fn hold(&mut self, held: Held) {
        if let Some(until) = held.until {
            match &mut self.patience {
                Some(patience) if patience.deadline() <= until => {}
                Some(patience) => patience.as_mut().reset(until),
                None => self.patience = Some(Box::pin(sleep_until(until))),
            }
        }
        self.calls.insert(Some(held));
    }

    /// Lets go of calls whose answers have come, looking at those to come before each, and of those whose callers have waited
    /// long enough: they have none.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        look: impl Fn(usize, &[(usize, Answer)]),
        mut release: impl FnMut(Held, Option<Answer>),
    ) {
        // No letter comes for nobody: a connection that is only refused does not look for one.
        if self.calls.is_empty() {
            return;
        }
        self.mailbox.collect(&mut self.letters, cx.waker());
        let mut letters = self.letters.drain(..);
        for at in 0..letters.len() {
            look(at, letters.as_slice());
            let Some((number, answer)) = letters.next() else { break };
            if let Some(Some(held)) = self.calls.try_remove(number) {
                release(held, Some(answer));
            }
        }
        while let Some(patience) = &mut self.patience
            && let Poll::Ready(()) = patience.as_mut().poll(cx)
        {
            let now = Instant::now();
            let is_over = |held: &mut Held| held.until.is_some_and(|until| until <= now);
            for (_, call) in &mut self.calls {
                if let Some(held) = call.take_if(is_over) {
                    release(held, None);
                }
            }
            let rest = self.calls.iter().filter_map(|(_, call)| call.as_ref()?.until);
            self.patience = rest.min().map(|until| Box::pin(sleep_until(until)));
        }
    }
}
