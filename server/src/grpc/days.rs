//! The service day: who comes and who is served, as messages; and how many people are where.

use kuota_api::v1;
use kuota_domain::{
    ids::CallerNumber, limits::ACTOR_CHARS_MAX, registration::RegistrationState, slot::SlotKey,
};
use tonic::Status;

use super::{
    Api,
    availability::{Asked, place, position},
    convert::{self, Violations, lane_of},
    language::Language,
    paging::{fingerprint, page, token},
};
use crate::engine::{Directory, Key};

const DAYS_DEFAULT: usize = 500;
const DAYS_MAX: usize = 5_000;

/// Reads whose registration it is, and who says so.
pub(super) fn attendee(
    key: Option<v1::get_registration_request::Key>,
    actor: &str,
    caller: CallerNumber,
) -> Result<Key, Status> {
    let mut violations = Violations::default();
    if actor.chars().count() > ACTOR_CHARS_MAX {
        violations.add("actor", format!("up to {ACTOR_CHARS_MAX} characters are allowed"));
    }
    violations.check()?;
    convert::key(v1::GetRegistrationRequest { key }, caller)
}

impl Api {
    pub(super) fn days_counted(
        &self,
        request: &v1::ListDaysRequest,
        language: Language,
    ) -> Result<v1::ListDaysResponse, Status> {
        let (now, directory) = (self.engine.now(), self.engine.directory());
        let (from_date, to_date) = (&request.from_date, &request.to_date);
        let query =
            fingerprint(&format!("{:?} {from_date:?} {to_date:?} {:?}", request.office_id, request.lane));
        let mut violations = Violations::default();
        let asked = (request.page_size, request.page_token.as_str());
        let page = page(asked, (DAYS_DEFAULT, DAYS_MAX), query, &mut violations);
        let asked = Asked { office_id: &request.office_id, from_date, to_date, lane: request.lane };
        let filter = asked.filter(&directory, violations, language)?;
        let mut rest = filter.slots(&directory, (page.after.map(position), true), now);
        let taken: Vec<_> = rest.by_ref().take(page.size).collect();
        let last = taken.last().map(|(slot, _)| place(*slot)).filter(|_| rest.next().is_some());
        let next_page_token = last.map_or_else(String::new, |last| token(query, last));
        let days = taken.into_iter().map(|(slot, figures)| self.day(&directory, slot, figures.capacity));
        let (days, server_time) = (days.collect(), self.server_time());
        Ok(v1::ListDaysResponse { days, next_page_token, server_time })
    }

    fn day(&self, directory: &Directory, slot: SlotKey, capacity: u32) -> v1::DayCount {
        let tally = self.engine.tally(slot);
        let office = directory.office(slot.office);
        v1::DayCount {
            office_id: office.map_or_else(String::new, |entry| entry.office.id.to_string()),
            service_date: slot.day.to_string(),
            lane: lane_of(slot.lane).into(),
            capacity,
            held: tally.of(RegistrationState::Held),
            confirmed: tally.of(RegistrationState::Confirmed),
            checked_in: tally.of(RegistrationState::CheckedIn),
            served: tally.of(RegistrationState::Served),
            no_show: tally.of(RegistrationState::NoShow),
            cancelled: tally.of(RegistrationState::Cancelled),
            expired: tally.of(RegistrationState::Expired),
        }
    }
}
