//! What the oracle knows of reschedules: a registration leaves one place for another, has never two and never none, and does
//! so once at its caller's wish, before its service day begins.

use kuota_api::log::v1 as stored;

use super::{Kind, Oracle, Standing, days::SHORTEST_DAY_MS, key};

impl Oracle {
    pub(super) fn rescheduled(
        &mut self,
        at_ms: i64,
        caller: u32,
        step: stored::Rescheduled,
    ) -> Option<&'static str> {
        let id = step.registration_id;
        let (Some(from), Some(to)) = (step.from.as_ref().map(key), step.to.as_ref().map(key)) else {
            return Some("a reschedule names no slots");
        };
        let Some(grant) = self.grants.get_mut(&id).filter(|grant| grant.has_place()) else {
            return Some("a registration without a place is rescheduled");
        };
        if grant.slot != from || from == to {
            return Some("a registration is rescheduled from where it is not, or to where it is");
        }
        let (is_again, is_held, party) =
            (grant.moved.is_some(), grant.standing == Standing::Held, grant.applicants.len() as u64);
        grant.slot = to;
        let left_session = std::mem::replace(&mut grant.session, step.session);
        let held_until = grant.hold.map(|hold| hold.expires_ms).filter(|_| is_held);
        if let (Some(hold), Some(expires_ms)) = (&mut grant.hold, step.hold_expires_ms) {
            hold.expires_ms = expires_ms;
        }
        let is_callers = !step.request_id.is_empty();
        if is_callers {
            let request = (caller, step.request_id);
            grant.moved = Some(request.clone());
            if !self.requests.insert(request) {
                self.fault(Kind::ReusedRequest, "a reschedule has a request_id that was used before");
            }
        }
        self.move_day(&id, (from.0, from.1), (to.0, to.1));
        if let Some(left) = self.slots.get_mut(&from) {
            left.taken = left.taken.saturating_sub(party);
        }
        self.free_session(from, left_session, party);
        let end_ms = self.ends.get(&(from.0, from.1)).map_or(i64::MIN, |(_, end_ms)| *end_ms);
        let until_ms = if is_callers { end_ms.saturating_sub(SHORTEST_DAY_MS) } else { end_ms };
        let new_end_ms = self.ends.get(&(to.0, to.1)).map(|(_, end_ms)| *end_ms);
        let is_longer = match (held_until, step.hold_expires_ms) {
            (Some(before_ms), Some(expires_ms)) => {
                Some(expires_ms) != new_end_ms.map(|end| end.min(before_ms))
            }
            (None, None) => false,
            (Some(_), None) | (None, Some(_)) => true,
        };
        let surcharge = |lane| self.surcharges.get(&lane).copied().unwrap_or(0);
        let is_dearer = surcharge(from.2) != surcharge(to.2);
        let taken = self.take_places(at_ms, party, (to, step.session));
        if is_callers && is_again {
            Some("a registration is rescheduled a second time")
        } else if at_ms >= until_ms {
            Some("a registration is rescheduled when its service day has come, or is over")
        } else if is_dearer && from.2 != to.2 {
            Some("a registration is rescheduled to a lane of another price")
        } else if is_longer {
            Some("a reschedule changes how long a place is held")
        } else if self.cited(step.tranche) != Some(to) {
            Some("a reschedule cites a tranche of another slot")
        } else if !self.queue_numbers.insert((
            (to.0, to.1),
            step.session.map(|one| one.start_minute),
            step.queue_number,
        )) {
            Some("a queue number is given twice")
        } else {
            taken
        }
    }
}
