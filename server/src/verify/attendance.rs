//! What the oracle knows of the service day itself: who came was expected that day, who was served had come, and who is
//! marked as absent had not.

use kuota_api::log::v1 as stored;

use super::{Oracle, Standing, days::LONGEST_DAY_MS, key};

impl Oracle {
    pub(super) fn checked_in(&mut self, at_ms: i64, came: &stored::CheckedIn) -> Option<&'static str> {
        let slot = came.slot.as_ref().map(key);
        self.attended(at_ms, &came.registration_id, slot, (Standing::Confirmed, Standing::CheckedIn))
    }

    pub(super) fn served(&mut self, at_ms: i64, served: &stored::Served) -> Option<&'static str> {
        let slot = served.slot.as_ref().map(key);
        self.attended(at_ms, &served.registration_id, slot, (Standing::CheckedIn, Standing::Served))
    }

    fn attended(
        &mut self,
        at_ms: i64,
        id: &[u8],
        slot: Option<super::SlotKey>,
        (from, to): (Standing, Standing),
    ) -> Option<&'static str> {
        let Some(grant) = self.grants.get_mut(id).filter(|grant| grant.standing == from) else {
            return Some("somebody comes who is not expected, or is served who has not come");
        };
        grant.standing = to;
        if slot != Some(grant.slot) {
            return Some("somebody comes to another slot than the registration's");
        }
        let end_ms = self.ends.get(&(grant.slot.0, grant.slot.1)).map(|(_, end_ms)| *end_ms);
        let is_that_day = end_ms.is_some_and(|end_ms| (end_ms - LONGEST_DAY_MS..end_ms).contains(&at_ms));
        (!is_that_day).then_some("somebody comes, or is served, on another day")
    }

    pub(super) fn no_shows(&mut self, at_ms: i64, absent: &stored::NoShows) -> Option<&'static str> {
        let day = (absent.office, absent.day);
        if self.closed.contains_key(&day) || self.ends.get(&day).is_none_or(|(_, end_ms)| at_ms < *end_ms) {
            return Some("people are marked as absent before their day is over, or after it was closed");
        }
        let of_the_day = self.days.get(&day).into_iter().flatten().filter_map(|id| self.grants.get(id));
        let came = |grant: &super::Grant| matches!(grant.standing, Standing::CheckedIn | Standing::Served);
        if !of_the_day.into_iter().any(came) {
            return Some("people are marked as absent on a day on which nobody was checked in");
        }
        for id in &absent.registration_ids {
            let expected = |grant: &&mut super::Grant| {
                grant.standing == Standing::Confirmed && (grant.slot.0, grant.slot.1) == day
            };
            let Some(grant) = self.grants.get_mut(id).filter(expected) else {
                return Some("somebody is marked as absent who was not expected that day, or came");
            };
            grant.standing = Standing::NoShow;
        }
        None
    }
}
