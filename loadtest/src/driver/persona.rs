//! What people do after an answer. Pure: the randomness is handed in.

use kuota_api::v1::RefusalReason;

use super::answer::Outcome;
use crate::{
    plan::{Kind, random::Random},
    scenario::Scenario,
};

/// What follows from an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing: the journey is over, with or without a place.
    End {
        /// Whether there is one.
        has_place: bool,
    },
    /// The same wish again, under the same request id.
    Again {
        /// After so long.
        wait_us: i64,
    },
    /// Another wish, under an id of its own.
    Other {
        /// After so long.
        wait_us: i64,
    },
}

/// What somebody does after an answer; `None` is no answer at all.
#[must_use]
pub fn next(
    scenario: &Scenario,
    kind: Kind,
    tries: u8,
    outcome: Option<Outcome>,
    random: &mut Random,
) -> Next {
    if matches!(kind, Kind::Look | Kind::SecondClick) {
        return Next::End { has_place: matches!(outcome, Some(Outcome::Granted { .. })) };
    }
    let (asked_us, is_same) = match outcome {
        Some(Outcome::Granted { .. }) => return Next::End { has_place: true },
        Some(Outcome::Refused { reason, retry_after_ms }) => match reason {
            RefusalReason::NotOpenYet | RefusalReason::Busy => {
                (i64::from(retry_after_ms.unwrap_or(0)) * 1_000, true)
            }
            RefusalReason::SoldOut
            | RefusalReason::NotEnoughPlaces
            | RefusalReason::Paused
            | RefusalReason::SessionFull
            | RefusalReason::SessionBegun => (0, false),
            RefusalReason::Unspecified
            | RefusalReason::Closed
            | RefusalReason::AlreadyRegistered
            | RefusalReason::NotAServiceDay
            | RefusalReason::BeyondHorizon
            | RefusalReason::LaneNotOffered
            | RefusalReason::PastCutOff
            | RefusalReason::WrongAmount
            | RefusalReason::NoPaymentDue
            | RefusalReason::HoldExpired
            | RefusalReason::AlreadyRescheduled
            | RefusalReason::TooLateToReschedule
            | RefusalReason::NotReschedulable
            | RefusalReason::SameSlot
            | RefusalReason::TermsDiffer
            | RefusalReason::NoSuchSession
            | RefusalReason::TooEarlyToCheckIn
            | RefusalReason::NotConfirmed
            | RefusalReason::NotCheckedIn
            | RefusalReason::AlreadyCheckedIn
            | RefusalReason::ServiceDayOver => return Next::End { has_place: false },
        },
        // Whether it was carried out is not known: only the same id tells.
        Some(Outcome::Failed { .. }) | None => (0, true),
    };
    let retries = &scenario.retries;
    let own_us = match kind {
        Kind::App => {
            let base = scenario.driven_us(retries.app_backoff_base_ms);
            let most = scenario.driven_us(retries.app_backoff_max_ms);
            // Full jitter (Brooker 2015).
            random.between(1, base.saturating_mul(1 << tries.min(20)).min(most).max(1))
        }
        Kind::Bot => scenario.driven_us(retries.bot_wait_ms),
        Kind::Human | Kind::DoubleClicker | Kind::Look | Kind::SecondClick => random.between(
            scenario.driven_us(retries.human_wait_min_ms),
            scenario.driven_us(retries.human_wait_max_ms),
        ),
    };
    let own_us = i64::try_from(own_us).unwrap_or(i64::MAX);
    // Apps heed what the server says; people and bots do not.
    let wait_us = if kind == Kind::App { own_us.max(asked_us) } else { own_us };
    if is_same { Next::Again { wait_us } } else { Next::Other { wait_us } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::SMOKE;

    #[test]
    fn each_answer_has_its_consequence() {
        let scenario = Scenario::parse("smoke", SMOKE).unwrap();
        let refused = |reason, retry_after_ms| Some(Outcome::Refused { reason, retry_after_ms });
        let granted = Some(Outcome::Granted { id: 1, create_time_ms: 0 });
        let word = |kind, outcome| match next(&scenario, kind, 1, outcome, &mut Random::of(1, 1, 1)) {
            Next::End { has_place: true } => "place",
            Next::End { has_place: false } => "end",
            Next::Again { wait_us } if wait_us >= 5_000_000 => "again, later",
            Next::Again { .. } => "again",
            Next::Other { .. } => "other",
        };
        for (kind, outcome, expected) in [
            (Kind::Human, granted, "place"),
            (Kind::SecondClick, refused(RefusalReason::SoldOut, None), "end"),
            (Kind::Human, refused(RefusalReason::SoldOut, None), "other"),
            (Kind::Bot, refused(RefusalReason::NotEnoughPlaces, None), "other"),
            (Kind::Human, refused(RefusalReason::NotOpenYet, Some(5_000)), "again"),
            (Kind::App, refused(RefusalReason::NotOpenYet, Some(5_000)), "again, later"),
            (Kind::Bot, refused(RefusalReason::Busy, Some(100)), "again"),
            (Kind::Human, refused(RefusalReason::AlreadyRegistered, None), "end"),
            (Kind::Human, refused(RefusalReason::Unspecified, None), "end"),
            (Kind::App, Some(Outcome::Failed { code: 14 }), "again"),
            (Kind::Human, None, "again"),
        ] {
            assert_eq!(word(kind, outcome), expected, "{kind:?} {outcome:?}");
        }
    }
}
