//! Random commands with a moving clock against a naive model; failed commits in between; replay at the end.
//! `PROPTEST_CASES=100000` makes the long run.
#![cfg(not(loom))]

mod attendance;
mod operators;
mod payments;
mod rescheduling;
mod sessions;
mod shown;
#[path = "../world/mod.rs"]
mod world;

use std::collections::HashMap;

use kuota_domain::{
    calendar::{ServiceDay, Zone},
    catalog::{Catalog, LaneOffer},
    ids::{OfficeNumber, RegistrationId},
    ledger::{Rejection, Remedy},
    passport::PassportKind,
    payment::CaseNumber,
    refusal::Refusal,
    registration::{Applicant, RegistrationState},
    session::{Session, SessionStart},
    slot::{Lane, Scope, SlotKey},
    time::UnixMillis,
};
use operators::{Wish, wish};
use proptest::prelude::*;
use sessions::{PLANS, start};
use shown::Shown;
use world::{InSession as _, World, ask, catalog, day, fees, instant, offer, office};

const HOUR_MS: i64 = 3_600_000;
/// Of one ordinary passport.
const FEE: u32 = 350_000;

#[derive(Clone, Debug)]
enum Step {
    Register {
        request: u8,
        office: u32,
        ahead: i32,
        lane: Lane,
        /// The hour of the session they wish to come in.
        session: Option<u16>,
        people: Vec<u8>,
    },
    /// A catalogue with other sessions.
    Replan {
        office: usize,
        plan: usize,
    },
    Cancel {
        pick: u8,
    },
    Pay {
        pick: u8,
        reference: u8,
        is_wrong: bool,
    },
    Resolve {
        case: u32,
        /// An office, days ahead and a lane; or the money back.
        place: Option<(u32, i32, Lane)>,
    },
    Reschedule {
        request: u8,
        pick: u8,
        office: u32,
        ahead: i32,
        lane: Lane,
        session: Option<u16>,
        is_special: bool,
    },
    Attend {
        pick: u8,
        is_complete: bool,
    },
    Operate {
        request: u8,
        office: u32,
        ahead: i32,
        lane: Lane,
        wish: Wish,
    },
    Wait {
        hours: i64,
    },
    /// A batch is committed, or lost together with what was decided on top of it.
    Seal,
    Finish {
        committed: bool,
    },
}

fn lane2() -> impl Strategy<Value = Lane> {
    prop_oneof![Just(Lane::Regular), Just(Lane::Priority)]
}

fn step() -> impl Strategy<Value = Step> {
    let people = proptest::collection::btree_set(0_u8..12, 1..=3);
    let lane = prop_oneof![3 => Just(Lane::Regular), 1 => Just(Lane::Priority), 1 => Just(Lane::OneDay)];
    let any_lane = prop_oneof![Just(Lane::Regular), Just(Lane::Priority), Just(Lane::OneDay)];
    prop_oneof![
        3 => (0_u8..60, 0_u32..2, -1_i32..16, any_lane, wish()).prop_map(|(request, office, ahead, lane, wish)| {
            Step::Operate { request, office, ahead, lane, wish }
        }),
        12 => (0_u8..40, 0_u32..2, -1_i32..12, lane, proptest::option::weighted(0.3, 8_u16..15), people).prop_map(
            |(request, office, ahead, lane, session, people)| {
                Step::Register { request, office, ahead, lane, session, people: people.into_iter().collect() }
            }
        ),
        1 => (0_usize..2, 0..PLANS.len()).prop_map(|(office, plan)| Step::Replan { office, plan }),
        3 => any::<u8>().prop_map(|pick| Step::Cancel { pick }),
        5 => (any::<u8>(), 0_u8..30, proptest::bool::weighted(0.1)).prop_map(|(pick, reference, is_wrong)| {
            Step::Pay { pick, reference, is_wrong }
        }),
        3 => (1_u32..6, proptest::option::weighted(0.8, (0_u32..2, 0_i32..8, lane2())))
            .prop_map(|(case, place)| Step::Resolve { case, place }),
        6 => (
            20_u8..60, any::<u8>(), 0_u32..2, 0_i32..8, lane2(),
            proptest::option::weighted(0.3, 8_u16..15), proptest::bool::weighted(0.3),
        ).prop_map(|(request, pick, office, ahead, lane, session, is_special)| {
            Step::Reschedule { request, pick, office, ahead, lane, session, is_special }
        }),
        6 => (any::<u8>(), proptest::bool::weighted(0.4)).prop_map(|(pick, is_complete)| Step::Attend { pick, is_complete }),
        3 => prop_oneof![0_i64..6, 20_i64..60, Just(24 * 40)].prop_map(|hours| Step::Wait { hours }),
        3 => Just(Step::Seal),
        3 => proptest::bool::weighted(0.7).prop_map(|committed| Step::Finish { committed }),
    ]
}

/// What a patient clerk with a notebook would do.
#[derive(Clone, Default)]
struct Clerk {
    entries: Vec<Entry>,
    pauses: Vec<Scope>,
    quotas: HashMap<SlotKey, u32>,
    done: HashMap<u128, (String, UnixMillis)>,
    /// Payments that were accepted: for whom, and how much.
    payments: HashMap<String, (RegistrationId, u32)>,
    /// Cases that wait for an operator, and their payments.
    open_cases: HashMap<u32, String>,
    /// The last number of each queue.
    numbers: HashMap<(OfficeNumber, ServiceDay, Option<SessionStart>), u32>,
}

#[derive(Clone)]
struct Entry {
    id: RegistrationId,
    request: u128,
    /// What was asked.
    asked: (SlotKey, Option<SessionStart>),
    slot: SlotKey,
    session: Option<SessionStart>,
    people: Vec<u8>,
    state: RegistrationState,
    /// When its hold expires, if it was held.
    expires: Option<UnixMillis>,
    paid: Option<String>,
    /// At its caller's wish: under which id, and what was wished.
    moved: Option<(u128, (SlotKey, Option<SessionStart>))>,
    day_end: UnixMillis,
}

impl Entry {
    fn is_known_by(&self, request: u128) -> bool {
        self.request == request || self.moved.is_some_and(|(moved, _)| moved == request)
    }

    /// It has a place, or had it to the end.
    fn has_place(&self) -> bool {
        !matches!(self.state, RegistrationState::Expired | RegistrationState::Cancelled)
    }
}

impl Clerk {
    fn taken(&self, slot: SlotKey) -> usize {
        self.entries.iter().filter(|e| e.slot == slot && e.has_place()).map(|e| e.people.len()).sum()
    }

    fn is_live(&self, person: u8, now: UnixMillis) -> bool {
        self.entries.iter().any(|e| e.has_place() && now < e.day_end && e.people.contains(&person))
    }

    fn forget(&mut self, now: UnixMillis) {
        let came = |e: &&Entry| matches!(e.state, RegistrationState::CheckedIn | RegistrationState::Served);
        let attended: Vec<_> =
            self.entries.iter().filter(came).map(|e| (e.slot.office, e.slot.day)).collect();
        for entry in &mut self.entries {
            if entry.state == RegistrationState::Held && entry.expires.is_some_and(|at| at <= now) {
                entry.state = RegistrationState::Expired;
            }
            let is_attended = attended.contains(&(entry.slot.office, entry.slot.day));
            if entry.state == RegistrationState::Confirmed && entry.day_end <= now && is_attended {
                entry.state = RegistrationState::NoShow;
            }
        }
        self.entries.retain(|e| now < e.day_end.plus_ms(30 * 24 * HOUR_MS));
        let (entries, open) = (&self.entries, &self.open_cases);
        let is_known = |id: &RegistrationId| entries.iter().any(|entry| entry.id == *id);
        let is_open = |reference: &String| open.values().any(|other| other == reference);
        self.payments.retain(|reference, (id, _)| is_known(id) || is_open(reference));
        // What is over, as the ledger sees it: two days later everywhere.
        let over = ServiceDay::at(now, &Zone::utc()).plus_days(-2);
        self.pauses.retain(|scope| scope.day.is_none_or(|day| day >= over));
    }
}

struct Run {
    catalog: Catalog,
    world: World,
    clerk: Clerk,
    /// Events and notebook as last committed, and as sealed.
    committed: (usize, Clerk),
    sealed: Option<(usize, Clerk)>,
    shown: Shown,
}

impl Run {
    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Register { request, office, ahead, lane, session, people } => {
                let slot = SlotKey { office: OfficeNumber(office), day: self.today().plus_days(ahead), lane };
                self.register(u128::from(request) + 1, (slot, session.map(start)), &people)
            }
            Step::Replan { office, plan } => self.replan(office, plan),
            Step::Operate { request, office, ahead, lane, wish } => {
                let slot = SlotKey { office: OfficeNumber(office), day: self.today().plus_days(ahead), lane };
                self.operate(u128::from(request) + 1, slot, wish)
            }
            Step::Cancel { pick } => self.cancel(pick),
            Step::Attend { pick, is_complete } => self.attend(pick, is_complete),
            Step::Reschedule { request, pick, office, ahead, lane, session, is_special } => {
                let slot = SlotKey { office: OfficeNumber(office), day: self.today().plus_days(ahead), lane };
                let to = (slot, session.map(start));
                self.reschedule(pick, (!is_special).then_some(u128::from(request) + 1), to)
            }
            Step::Pay { pick, reference, is_wrong } => self.pay(pick, &format!("p{reference}"), is_wrong),
            Step::Resolve { case, place } => {
                let remedy = place.map_or(Remedy::Refund, |(office, ahead, lane)| {
                    let (office, day) = (OfficeNumber(office), self.today().plus_days(ahead));
                    Remedy::Place(SlotKey { office, day, lane })
                });
                self.resolve(CaseNumber(case), remedy)
            }
            Step::Wait { hours } => {
                self.world.now = self.world.now.plus_ms(hours * HOUR_MS);
                self.world.catch_up();
                self.clerk.forget(self.world.now);
                Ok(())
            }
            Step::Seal => {
                if self.sealed.is_none() {
                    self.world.ledger.seal();
                    self.shown.seal(&mut self.world.ledger);
                    self.sealed = Some((self.world.log.len(), self.clerk.clone()));
                }
                Ok(())
            }
            Step::Finish { committed } => self.finish(committed),
        }
    }

    fn today(&self) -> ServiceDay {
        let passed = (self.world.now.0 - instant("2026-11-27T05:00:00Z").0) / (24 * HOUR_MS);
        day("2026-11-27").plus_days(i32::try_from(passed).unwrap())
    }

    fn finish(&mut self, committed: bool) -> Result<(), TestCaseError> {
        let Some(sealed) = self.sealed.take() else { return Ok(()) };
        self.shown.finish(committed);
        if committed {
            self.world.ledger.commit();
            self.committed = sealed;
            let is_all = self.committed.0 == self.world.log.len();
            return if is_all { self.shown.check(&self.world.ledger) } else { Ok(()) };
        }
        self.world.ledger.roll_back();
        self.shown.check(&self.world.ledger)?;
        self.world.log.truncate(self.committed.0);
        self.clerk = self.committed.1.clone();
        prop_assert_eq!(
            self.world.replayed().digest(),
            self.world.ledger.digest(),
            "as if it had never been"
        );
        // The clock went on while the batch was lost.
        self.world.catch_up();
        self.clerk.forget(self.world.now);
        Ok(())
    }

    fn register(
        &mut self,
        request: u128,
        (slot, wanted): (SlotKey, Option<SessionStart>),
        people: &[u8],
    ) -> Result<(), TestCaseError> {
        let now = self.world.now;
        let mut wish = ask(request, slot, people).in_session(wanted);
        // An id is made anew for each try; only a granted one is kept.
        wish.registration = RegistrationId(wish.registration.0 | (self.world.log.len() as u128) << 32);
        let named =
            |one: &Applicant| Applicant { passport: Some(PassportKind::Ordinary5Years), ..one.clone() };
        wish.applicants = wish.applicants.iter().map(named).collect();
        let id = wish.registration;
        let turn = self.turn(slot, wanted, people.len());
        let answer = self.world.register(wish);
        let known = self.clerk.entries.iter().find(|e| e.is_known_by(request));
        if let Some(entry) = known {
            // INV-3
            let same = entry.request == request && entry.asked == (slot, wanted) && entry.people == people;
            match answer {
                Ok(registration) => {
                    prop_assert!(same);
                    prop_assert_eq!(registration.id, entry.id);
                    prop_assert_eq!(registration.state, entry.state);
                }
                Err(rejection) => prop_assert!(!same && rejection == Rejection::RequestReused),
            }
            return Ok(());
        }
        let figures = self.world.ledger.figures(slot);
        let taken = self.clerk.taken(slot);
        match answer {
            Ok(registration) => {
                let figures = figures.unwrap();
                // INV-1, INV-2, INV-6
                prop_assert!(taken + people.len() <= figures.capacity as usize);
                prop_assert!(figures.open_at <= now && now < figures.close_at);
                prop_assert!(!self.clerk.pauses.iter().any(|scope| scope.covers(slot)));
                prop_assert!(!people.iter().any(|person| self.clerk.is_live(*person, now)));
                let session = registration.session.map(Session::start);
                prop_assert_eq!(Some(session), turn);
                self.queue(&registration)?;
                self.clerk.entries.push(Entry {
                    id,
                    request,
                    asked: (slot, wanted),
                    slot,
                    session,
                    people: people.into(),
                    state: registration.state,
                    expires: registration.billing().map(|billing| billing.expires),
                    paid: None,
                    moved: None,
                    day_end: day_end(slot),
                });
                let holds = (slot.office, slot.lane) == (OfficeNumber(0), Lane::Regular);
                let expires = holds.then(|| now.plus_ms(2 * HOUR_MS).min(day_end(slot)));
                prop_assert_eq!(registration.billing().map(|billing| billing.expires), expires);
                let state = if holds { RegistrationState::Held } else { RegistrationState::Confirmed };
                prop_assert_eq!(registration.state, state);
            }
            Err(Rejection::Refused(refusal)) => {
                let free = figures.map_or(0, |f| f.capacity as usize - taken.min(f.capacity as usize));
                let reason = match refusal {
                    Refusal::SoldOut => free == 0 && figures.is_some(),
                    Refusal::NotEnoughPlaces { available, .. } => {
                        available as usize == free && free > 0 && free < people.len()
                    }
                    Refusal::NotOpenYet { open_at } => now < open_at,
                    Refusal::Closed { at } => now >= at,
                    Refusal::AlreadyRegistered { applicant } => self.clerk.is_live(people[applicant], now),
                    Refusal::NotAServiceDay { .. }
                    | Refusal::BeyondHorizon { .. }
                    | Refusal::LaneNotOffered { .. } => figures.is_none(),
                    Refusal::SessionFull { .. }
                    | Refusal::NoSuchSession { .. }
                    | Refusal::SessionBegun { .. } => self.is_true(&refusal, slot, (wanted, people.len())),
                    Refusal::Paused => self.clerk.pauses.iter().any(|scope| scope.covers(slot)),
                    Refusal::PastCutOff { .. }
                    | Refusal::WrongAmount { .. }
                    | Refusal::NoPaymentDue { .. }
                    | Refusal::HoldExpired { .. }
                    | Refusal::AlreadyRescheduled { .. }
                    | Refusal::TooLateToReschedule { .. }
                    | Refusal::NotReschedulable { .. }
                    | Refusal::SameSlot
                    | Refusal::TermsDiffer { .. }
                    | Refusal::TooEarlyToCheckIn { .. }
                    | Refusal::NotConfirmed { .. }
                    | Refusal::NotCheckedIn { .. }
                    | Refusal::AlreadyCheckedIn { .. }
                    | Refusal::ServiceDayOver { .. }
                    | Refusal::Busy => false,
                };
                prop_assert!(reason, "{refusal:?} with {free} free");
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
        Ok(())
    }

    fn cancel(&mut self, pick: u8) -> Result<(), TestCaseError> {
        if self.clerk.entries.is_empty() {
            return Ok(());
        }
        let index = usize::from(pick) % self.clerk.entries.len();
        let now = self.world.now;
        let entry = &mut self.clerk.entries[index];
        match self.world.cancel(entry.id) {
            Ok(registration) => {
                prop_assert_eq!(registration.state, RegistrationState::Cancelled);
                prop_assert!(entry.state == RegistrationState::Cancelled || now < entry.day_end);
                prop_assert!(entry.state != RegistrationState::Expired);
                entry.state = RegistrationState::Cancelled;
                if let Some(reference) = entry.paid.take() {
                    let case = *registration.cases().last().unwrap();
                    self.clerk.open_cases.insert(case.0, reference);
                }
            }
            Err(Rejection::Refused(Refusal::HoldExpired { .. })) => {
                prop_assert_eq!(entry.state, RegistrationState::Expired);
            }
            Err(Rejection::Refused(Refusal::Closed { .. })) => prop_assert!(now >= entry.day_end),
            Err(Rejection::Refused(Refusal::AlreadyCheckedIn { state })) => {
                prop_assert_eq!(state, entry.state);
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
        Ok(())
    }
}

/// Midnight after a service day in Pontianak.
fn day_end(slot: SlotKey) -> UnixMillis {
    slot.day.minute(24 * 60, &pontianak())
}

fn pontianak() -> Zone {
    Zone::parse("Asia/Pontianak").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_keeps_its_invariants_and_replays_to_the_same_state(
        steps in proptest::collection::vec(step(), 1..120)
    ) {
        let mut pontianak = office("kanim-pontianak", &[(Lane::Priority, 2)]);
        pontianak.lanes.insert(0, LaneOffer { hold_minutes: Some(120), ..offer(Lane::Regular, 4) });
        let offices = vec![pontianak, office("ukk-mempawah", &[(Lane::Regular, 3)])];
        let catalog = Catalog { fees: fees(), ..catalog(offices) };
        let world = World::new(&catalog, instant("2026-11-27T05:00:00Z"));
        let (events, clerk) = (world.log.len(), Clerk::default());
        let (committed, shown) = ((events, clerk.clone()), Shown::default());
        let mut run = Run { catalog, world, clerk, committed, sealed: None, shown };
        run.step(Step::Seal)?;
        run.step(Step::Finish { committed: true })?;
        for step in steps {
            run.step(step)?;
            run.check_payments()?;
            run.check_sessions()?;
            for slot in run.world.ledger.slots() {
                let figures = run.world.ledger.figures(slot).unwrap();
                let taken = u32::try_from(run.clerk.taken(slot)).unwrap();
                prop_assert_eq!(figures.free, figures.capacity.saturating_sub(taken));
                let here = run.world.ledger.registrations().filter(|found| found.slot == slot);
                let counted = here.filter(|found| found.state.is_counted());
                let people: u32 = counted.map(|found| found.places()).sum();
                prop_assert_eq!(figures.taken, people, "those who are nowhere else are confirmed");
                if let Some(places) = run.clerk.quotas.get(&slot).filter(|_| run.world.now < figures.close_at) {
                    prop_assert_eq!(figures.capacity, *places, "an operator's quota stands");
                }
            }
        }
        prop_assert_eq!(run.world.replayed().digest(), run.world.ledger.digest());
    }
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2_000)
}
