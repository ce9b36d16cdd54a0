//! Another place for a registration. It passes no gate: like a late payment it has no permits, and the keeper settles what
//! the ledger gives.

use std::sync::Arc;

use compact_str::CompactString;
use kuota_domain::{
    calendar::ServiceDay,
    ids::{RegistrationId, RequestKey},
    ledger::Command,
    registration::Registration,
    rescheduling::Rescheduling,
    session::SessionStart,
    slot::{Lane, SlotKey},
};

use super::{Answer, Engine, Failure, Key};

/// Where a registration shall go; what is not said stays as it is.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Slug of the office.
    pub office: Option<CompactString>,
    /// The service day.
    pub day: ServiceDay,
    /// The lane.
    pub lane: Option<Lane>,
    /// The session there; `None`: any.
    pub session: Option<SessionStart>,
}

impl Engine {
    /// Gives the place of a registration up for another one. Told again, it says the same.
    ///
    /// # Errors
    /// A refusal, or why there is no answer.
    pub async fn reschedule(&self, id: RegistrationId, request: RequestKey, to: &Destination) -> Answer {
        let found = self.registration(id)?;
        // A repeat means what it meant then: what it left unsaid was that of the place it left.
        let left = found.moved().filter(|moved| moved.request == request).map(|moved| moved.from);
        let slot = self.destination(left.unwrap_or(found.slot), to)?;
        let wish = Rescheduling { registration: id, request, slot, session: to.session };
        let answer = self.command(Command::Reschedule(wish)).await;
        answer.map_err(|failure| failure.of_ask(slot, found.places()))
    }

    /// Where a registration shall go, at an operator's wish.
    ///
    /// # Errors
    /// When there is no such registration or office.
    pub fn destination_of(&self, id: RegistrationId, to: &Destination) -> Result<SlotKey, Failure> {
        self.destination(self.registration(id)?.slot, to)
    }

    fn registration(&self, id: RegistrationId) -> Result<Arc<Registration>, Failure> {
        Ok(self.find(Key::Id(id)).ok_or(Failure::RegistrationNotFound)?.registration)
    }

    fn destination(&self, from: SlotKey, to: &Destination) -> Result<SlotKey, Failure> {
        let directory = self.read.directory.load();
        let number = |slug: &CompactString| {
            let found = directory.find(slug).map(|(number, _)| number);
            found.ok_or_else(|| Failure::OfficeNotFound(slug.as_str().into()))
        };
        let office = to.office.as_ref().map(number).transpose()?.unwrap_or(from.office);
        Ok(SlotKey { office, day: to.day, lane: to.lane.unwrap_or(from.lane) })
    }
}
