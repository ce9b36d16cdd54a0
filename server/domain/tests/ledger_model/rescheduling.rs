//! Reschedules, as the clerk sees them.

use kuota_domain::{
    calendar::Zone,
    ids::{CallerNumber, OfficeNumber, RequestKey},
    ledger::{Command, Directive, Objection, Rejection},
    refusal::{Refusal, Term},
    registration::RegistrationState,
    rescheduling::Rescheduling,
    session::{Session, SessionStart},
    slot::{Lane, SlotKey},
};
use proptest::prelude::*;

use crate::{Entry, Run, day_end};

impl Run {
    /// At its caller's wish, under an id; or at an operator's, without one.
    pub(crate) fn reschedule(
        &mut self,
        pick: u8,
        request: Option<u128>,
        (slot, session): (SlotKey, Option<SessionStart>),
    ) -> Result<(), TestCaseError> {
        if self.clerk.entries.is_empty() {
            return Ok(());
        }
        let index = usize::from(pick) % self.clerk.entries.len();
        let entry = self.clerk.entries[index].clone();
        let why_not = self.why_it_stays(&entry, request.is_some(), (slot, session));
        let turn = self.turn(slot, session, entry.people.len());
        let answer = match request {
            Some(id) => {
                let request = RequestKey { caller: CallerNumber(0), id };
                let wish = Rescheduling { registration: entry.id, request, slot, session };
                self.world.command(&Command::Reschedule(wish)).map(drop)
            }
            None => {
                let id = 2_000 + self.world.log.len() as u128;
                let directive = Directive::Reschedule { registration: entry.id, slot, session };
                let answer = self.world.operate(id, directive);
                if answer.is_ok() {
                    self.clerk.done.insert(id, (String::new(), self.world.now));
                }
                answer.map(drop).map_err(|objection| match objection {
                    Objection::Refused(refusal) => Rejection::Refused(refusal),
                    other => panic!("{other:?}"),
                })
            }
        };
        let known = request.and_then(|id| self.clerk.entries.iter().find(|entry| entry.is_known_by(id)));
        if let Some(known) = known {
            // INV-3
            let same = known.id == entry.id && known.moved == request.map(|id| (id, (slot, session)));
            prop_assert!(same == answer.is_ok() && (same || answer == Err(Rejection::RequestReused)));
            return Ok(());
        }
        match answer {
            Ok(()) => {
                prop_assert_eq!(why_not, Vec::<&str>::new());
                let moved = self.world.ledger.registration(entry.id).unwrap().clone();
                prop_assert!(self.world.ledger.holds(&moved));
                prop_assert_eq!((moved.slot, moved.state), (slot, entry.state));
                self.queue(&moved)?;
                let entry = &mut self.clerk.entries[index];
                (entry.slot, entry.day_end) = (slot, day_end(slot));
                entry.session = moved.session.map(Session::start);
                prop_assert_eq!(Some(entry.session), turn);
                entry.moved = request.map(|id| (id, (slot, session))).or(entry.moved);
                if entry.state == RegistrationState::Held {
                    entry.expires = entry.expires.map(|expires| expires.min(day_end(slot)));
                }
                prop_assert_eq!(moved.billing().map(|billing| billing.expires), entry.expires);
                self.clerk.forget(self.world.now);
            }
            Err(Rejection::Refused(refusal)) => {
                prop_assert!(why_not.contains(&named(&refusal)), "{refusal:?} of {why_not:?}");
                let is_of_session = named(&refusal) == "no session";
                prop_assert!(!is_of_session || self.is_true(&refusal, slot, (session, entry.people.len())));
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
        Ok(())
    }

    /// Every reason there is.
    fn why_it_stays(
        &self,
        entry: &Entry,
        is_callers: bool,
        (slot, session): (SlotKey, Option<SessionStart>),
    ) -> Vec<&'static str> {
        let now = self.world.now;
        let begins = entry.slot.day.minute(0, &Zone::parse("Asia/Pontianak").unwrap());
        let until = if is_callers { begins } else { entry.day_end };
        let figures = self.world.ledger.figures(slot);
        let is_open = figures.is_some_and(|figures| figures.open_at <= now && now < figures.close_at);
        let is_full = figures
            .is_some_and(|figures| self.clerk.taken(slot) + entry.people.len() > figures.capacity as usize);
        let is_elsewhere = (slot.office, slot.lane) != (entry.slot.office, entry.slot.lane);
        let holds = (slot.office, slot.lane) == (OfficeNumber(0), Lane::Regular);
        [
            (
                !matches!(entry.state, RegistrationState::Held | RegistrationState::Confirmed),
                "without a place",
            ),
            (now >= until, "too late"),
            (entry.slot == slot, "there already"),
            (is_callers && entry.moved.is_some(), "again"),
            (entry.slot.lane != slot.lane, "other terms"),
            (is_elsewhere && holds && entry.expires.is_none(), "other terms"),
            (!is_open, "not open"),
            (is_full, "full"),
            (self.turn(slot, session, entry.people.len()).is_none(), "no session"),
            (self.clerk.pauses.iter().any(|scope| scope.covers(slot)), "paused"),
        ]
        .into_iter()
        .filter_map(|(is_so, why)| is_so.then_some(why))
        .collect()
    }
}

fn named(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NotReschedulable { .. } => "without a place",
        Refusal::TooLateToReschedule { .. } => "too late",
        Refusal::SameSlot => "there already",
        Refusal::AlreadyRescheduled { .. } => "again",
        Refusal::TermsDiffer { term: Term::Fee | Term::Ground | Term::Payment } => "other terms",
        Refusal::SoldOut | Refusal::NotEnoughPlaces { .. } => "full",
        Refusal::Paused => "paused",
        Refusal::NotOpenYet { .. }
        | Refusal::Closed { .. }
        | Refusal::NotAServiceDay { .. }
        | Refusal::BeyondHorizon { .. }
        | Refusal::LaneNotOffered { .. } => "not open",
        Refusal::SessionFull { .. } | Refusal::NoSuchSession { .. } | Refusal::SessionBegun { .. } => {
            "no session"
        }
        Refusal::AlreadyRegistered { .. }
        | Refusal::Busy
        | Refusal::PastCutOff { .. }
        | Refusal::WrongAmount { .. }
        | Refusal::NoPaymentDue { .. }
        | Refusal::TooEarlyToCheckIn { .. }
        | Refusal::NotConfirmed { .. }
        | Refusal::NotCheckedIn { .. }
        | Refusal::AlreadyCheckedIn { .. }
        | Refusal::ServiceDayOver { .. }
        | Refusal::HoldExpired { .. } => "never",
    }
}
