//! The service day, as the clerk sees it.

use kuota_domain::{
    calendar::Zone,
    ids::CallerNumber,
    ledger::{Attendance, Command, Rejection},
    refusal::Refusal,
    registration::RegistrationState,
};
use proptest::prelude::*;

use crate::Run;

impl Run {
    pub(crate) fn attend(&mut self, pick: u8, is_complete: bool) -> Result<(), TestCaseError> {
        if self.clerk.entries.is_empty() {
            return Ok(());
        }
        let index = usize::from(pick) % self.clerk.entries.len();
        let entry = &mut self.clerk.entries[index];
        let who = Attendance { registration: entry.id, caller: CallerNumber(0), actor: Box::default() };
        let answer =
            self.world.command(&if is_complete { Command::Complete(who) } else { Command::CheckIn(who) });
        let now = self.world.now;
        let begins = entry.slot.day.minute(0, &Zone::parse("Asia/Pontianak").unwrap());
        let is_the_day = (begins..entry.day_end).contains(&now);
        use RegistrationState::{CheckedIn, Confirmed, Served};
        let (expected, after) = match (is_complete, entry.state) {
            (_, Served) => (true, Served),
            (false, CheckedIn) => (true, CheckedIn),
            (false, Confirmed) => (is_the_day, CheckedIn),
            (true, CheckedIn) => (is_the_day, Served),
            (_, state) => (false, state),
        };
        match answer {
            Ok(registration) => {
                prop_assert!(expected);
                prop_assert_eq!(registration.state, after);
                entry.state = after;
            }
            Err(Rejection::Refused(refusal)) => {
                prop_assert!(!expected, "{refusal:?}");
                let is_true = match refusal {
                    Refusal::TooEarlyToCheckIn { at, .. } => at == begins && now < begins,
                    Refusal::ServiceDayOver { at, .. } => at == entry.day_end && now >= entry.day_end,
                    Refusal::NotConfirmed { state } => !is_complete && state == entry.state,
                    Refusal::NotCheckedIn { state } => is_complete && state == entry.state,
                    _ => false,
                };
                prop_assert!(is_true, "{refusal:?}");
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
        Ok(())
    }
}
