//! What the oracle knows of service days: which registrations they have, when they end, and when they are forgotten.

use kuota_api::log::v1 as stored;

use super::{DayKey, Oracle, Standing};

/// No day is shorter, and none longer, whatever becomes of the clocks on it. The log says when days end, not when they begin.
pub(super) const SHORTEST_DAY_MS: i64 = 23 * 3_600_000;
pub(super) const LONGEST_DAY_MS: i64 = 25 * 3_600_000;

impl Oracle {
    pub(super) fn day_closed(&mut self, at_ms: i64, closed: stored::DayClosed) -> Option<&'static str> {
        let day = (closed.office, closed.day);
        if self.ends.get(&day).is_none_or(|(_, end)| at_ms < *end) {
            return Some("a service day ends too early");
        }
        if self.closed.insert(day, closed.forget_at_ms).is_some() {
            return Some("a service day ends twice");
        }
        let (mut is_attended, mut is_left_over) = (false, false);
        for id in self.days.get(&day).into_iter().flatten() {
            let standing = self.grants.get(id).map(|grant| grant.standing);
            is_attended |= matches!(standing, Some(Standing::CheckedIn | Standing::Served));
            is_left_over |= standing == Some(Standing::Confirmed);
            let applicants = self.grants.get(id).map(|grant| &grant.applicants);
            for applicant in applicants.into_iter().flatten() {
                if self.live.get(applicant) == Some(id) {
                    self.live.remove(applicant);
                }
            }
        }
        (is_attended && is_left_over)
            .then_some("a service day ends with somebody who was expected, and neither came nor is absent")
    }

    pub(super) fn day_forgotten(
        &mut self,
        at_ms: i64,
        forgotten: stored::DayForgotten,
    ) -> Option<&'static str> {
        let day = (forgotten.office, forgotten.day);
        if self.closed.get(&day).is_none_or(|forget_at_ms| at_ms < *forget_at_ms) {
            return Some("a service day is forgotten too early");
        }
        for id in self.days.remove(&day).unwrap_or_default() {
            self.forget_money(&id);
            if let Some(grant) = self.grants.remove(&id) {
                self.requests.remove(&grant.request);
                grant.moved.map(|request| self.requests.remove(&request));
                self.codes.remove(&grant.code);
                grant.hold.map(|hold| self.billings.remove(&hold.billing_reference));
            }
        }
        None
    }

    /// A registration goes from one day's list to another's.
    pub(super) fn move_day(&mut self, id: &[u8], from: DayKey, to: DayKey) {
        if let Some(ids) = self.days.get_mut(&from) {
            ids.retain(|other| other != id);
        }
        self.days.entry(to).or_default().push(id.to_vec());
    }
}
