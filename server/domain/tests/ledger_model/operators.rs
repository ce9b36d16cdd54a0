//! What operators set and take back, as the clerk sees it.

use kuota_domain::{
    ledger::{Directive, Objection},
    slot::{Scope, SlotKey},
};
use proptest::prelude::*;

use crate::{HOUR_MS, Run};

/// What an operator does to a slot, or to what it belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    Quota(u32),
    Clear,
    Open { hours: i64, places: Option<u32> },
    Pause { office: bool, day: bool, lane: bool },
    Resume { office: bool, day: bool, lane: bool },
}

pub(crate) fn wish() -> impl Strategy<Value = Wish> {
    let scope = || (any::<bool>(), any::<bool>(), any::<bool>());
    prop_oneof![
        3 => (0_u32..6).prop_map(Wish::Quota),
        2 => Just(Wish::Clear),
        2 => (-1_i64..80, proptest::option::of(0_u32..5)).prop_map(|(hours, places)| Wish::Open { hours, places }),
        1 => scope().prop_map(|(office, day, lane)| Wish::Pause { office, day, lane }),
        3 => scope().prop_map(|(office, day, lane)| Wish::Resume { office, day, lane }),
    ]
}

impl Run {
    pub(crate) fn operate(&mut self, request: u128, slot: SlotKey, wish: Wish) -> Result<(), TestCaseError> {
        let now = self.world.now;
        let scope = |office: bool, day: bool, lane: bool| Scope {
            office: office.then_some(slot.office),
            day: day.then_some(slot.day),
            lane: lane.then_some(slot.lane),
        };
        let directive = match wish {
            Wish::Quota(places) => Directive::SetQuota { slot, places },
            Wish::Clear => Directive::ClearOverride(slot),
            Wish::Open { hours, places } => Directive::ScheduleOpening {
                slots: vec![slot],
                open_at: now.plus_ms(hours * HOUR_MS),
                places,
            },
            Wish::Pause { office, day, lane } => Directive::Pause(scope(office, day, lane)),
            Wish::Resume { office, day, lane } => Directive::Resume(scope(office, day, lane)),
        };
        let before = self.world.ledger.figures(slot);
        let answer = self.world.operate(request, directive.clone());
        let kept_from = now.plus_ms(-30 * 24 * HOUR_MS);
        if let Some((done, _)) = self.clerk.done.get(&request).filter(|(_, at)| *at >= kept_from) {
            let same = *done == format!("{directive:?}");
            prop_assert_eq!(answer.is_ok(), same);
            prop_assert!(same || answer == Err(Objection::RequestReused));
            return Ok(());
        }
        let Err(objection) = answer else {
            self.clerk.done.insert(request, (format!("{directive:?}"), now));
            match directive {
                Directive::SetQuota { places, .. } => drop(self.clerk.quotas.insert(slot, places)),
                Directive::ScheduleOpening { open_at, places, .. } => {
                    prop_assert!(open_at > now);
                    if let Some(places) = places {
                        self.clerk.quotas.insert(slot, places);
                    }
                    let after = self.world.ledger.figures(slot);
                    prop_assert!(after.is_none_or(|after| after.open_at == open_at || after.capacity == 0));
                }
                Directive::ClearOverride(_) => drop(self.clerk.quotas.remove(&slot)),
                Directive::Pause(scope) if !self.clerk.pauses.contains(&scope) => {
                    self.clerk.pauses.push(scope);
                }
                Directive::Resume(scope) => self.clerk.pauses.retain(|other| *other != scope),
                Directive::Pause(_)
                | Directive::ApplyCatalog { .. }
                | Directive::ResolveCase { .. }
                | Directive::Reschedule { .. } => {}
            }
            return Ok(());
        };
        let is_open = before.is_some_and(|before| before.open_at <= now);
        let true_reason = match objection {
            Objection::NotScheduled(_) | Objection::PlacesNeeded(_) => before.is_none_or(|f| f.capacity == 0),
            Objection::AlreadyOpen(_) => is_open,
            Objection::BookingClosed(_) => true,
            Objection::OpeningInThePast { .. } => matches!(wish, Wish::Open { hours, .. } if hours <= 0),
            Objection::RequestReused
            | Objection::OfficeInUse { .. }
            | Objection::OfficeClosed(_)
            | Objection::TooManyPauses
            | Objection::TooManyOverrides
            | Objection::NoSuchCase(_)
            | Objection::CaseResolved(_)
            | Objection::CaseNeedsRefund(_)
            | Objection::NoSuchRegistration
            | Objection::Refused(_)
            | Objection::Contradiction(_) => false,
        };
        prop_assert!(true_reason, "{objection:?}");
        Ok(())
    }
}
