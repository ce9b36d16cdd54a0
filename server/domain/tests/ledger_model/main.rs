//! Random commands with a moving clock against a naive model; failed commits in between; replay at the end.
//! `PROPTEST_CASES=100000` makes the long run.
#![cfg(not(loom))]

mod payments;
#[path = "../world/mod.rs"]
mod world;

use std::collections::HashMap;

use kuota_domain::{
    calendar::{ServiceDay, Zone},
    catalog::{Catalog, LaneOffer},
    event::Event,
    ids::{OfficeNumber, RegistrationId},
    ledger::{Cancellation, Command, Decision, Directive, Ledger, Objection, Rejection, Remedy},
    passport::PassportKind,
    payment::CaseNumber,
    refusal::Refusal,
    registration::{Applicant, RegistrationState},
    slot::{Lane, Scope, SlotKey},
    time::UnixMillis,
};
use proptest::prelude::*;
use world::{World, ask, catalog, day, fees, instant, offer, office};

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
        people: Vec<u8>,
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

/// What an operator does to a slot, or to what it belongs to.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Quota(u32),
    Clear,
    Open { hours: i64, places: Option<u32> },
    Pause { office: bool, day: bool, lane: bool },
    Resume { office: bool, day: bool, lane: bool },
}

fn wish() -> impl Strategy<Value = Wish> {
    let scope = || (any::<bool>(), any::<bool>(), any::<bool>());
    prop_oneof![
        3 => (0_u32..6).prop_map(Wish::Quota),
        2 => Just(Wish::Clear),
        2 => (-1_i64..80, proptest::option::of(0_u32..5)).prop_map(|(hours, places)| Wish::Open { hours, places }),
        1 => scope().prop_map(|(office, day, lane)| Wish::Pause { office, day, lane }),
        3 => scope().prop_map(|(office, day, lane)| Wish::Resume { office, day, lane }),
    ]
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
        12 => (0_u8..40, 0_u32..2, -1_i32..12, lane, people).prop_map(|(request, office, ahead, lane, people)| {
            Step::Register { request, office, ahead, lane, people: people.into_iter().collect() }
        }),
        3 => any::<u8>().prop_map(|pick| Step::Cancel { pick }),
        5 => (any::<u8>(), 0_u8..30, proptest::bool::weighted(0.1)).prop_map(|(pick, reference, is_wrong)| {
            Step::Pay { pick, reference, is_wrong }
        }),
        3 => (1_u32..6, proptest::option::weighted(0.8, (0_u32..2, 0_i32..8, lane2())))
            .prop_map(|(case, place)| Step::Resolve { case, place }),
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
    numbers: HashMap<(OfficeNumber, ServiceDay), u32>,
}

#[derive(Clone)]
struct Entry {
    id: RegistrationId,
    request: u128,
    slot: SlotKey,
    people: Vec<u8>,
    state: RegistrationState,
    /// When its hold expires, if it was held.
    expires: Option<UnixMillis>,
    paid: Option<String>,
    day_end: UnixMillis,
}

impl Entry {
    fn has_place(&self) -> bool {
        matches!(self.state, RegistrationState::Held | RegistrationState::Confirmed)
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
        for entry in &mut self.entries {
            if entry.state == RegistrationState::Held && entry.expires.is_some_and(|at| at <= now) {
                entry.state = RegistrationState::Expired;
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
    world: World,
    clerk: Clerk,
    /// Events and notebook as last committed, and as sealed.
    committed: (usize, Clerk),
    sealed: Option<(usize, Clerk)>,
}

impl Run {
    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Register { request, office, ahead, lane, people } => {
                let slot = SlotKey { office: OfficeNumber(office), day: self.today().plus_days(ahead), lane };
                self.register(u128::from(request) + 1, slot, &people)
            }
            Step::Operate { request, office, ahead, lane, wish } => {
                let slot = SlotKey { office: OfficeNumber(office), day: self.today().plus_days(ahead), lane };
                self.operate(u128::from(request) + 1, slot, wish)
            }
            Step::Cancel { pick } => self.cancel(pick),
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

    fn operate(&mut self, request: u128, slot: SlotKey, wish: Wish) -> Result<(), TestCaseError> {
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
                Directive::Pause(_) | Directive::ApplyCatalog { .. } | Directive::ResolveCase { .. } => {}
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
            | Objection::Refused(_)
            | Objection::Contradiction(_) => false,
        };
        prop_assert!(true_reason, "{objection:?}");
        Ok(())
    }

    fn finish(&mut self, committed: bool) -> Result<(), TestCaseError> {
        let Some(sealed) = self.sealed.take() else { return Ok(()) };
        if committed {
            self.world.ledger.commit();
            self.committed = sealed;
            return Ok(());
        }
        self.world.ledger.roll_back();
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

    fn register(&mut self, request: u128, slot: SlotKey, people: &[u8]) -> Result<(), TestCaseError> {
        let now = self.world.now;
        let mut wish = ask(request, slot, people);
        // An id is made anew for each try; only a granted one is kept.
        wish.registration = RegistrationId(wish.registration.0 | (self.world.log.len() as u128) << 32);
        let named =
            |one: &Applicant| Applicant { passport: Some(PassportKind::Ordinary5Years), ..one.clone() };
        wish.applicants = wish.applicants.iter().map(named).collect();
        let id = wish.registration;
        let answer = self.world.register(wish);
        let known = self.clerk.entries.iter().find(|e| e.request == request);
        if let Some(entry) = known {
            // INV-3
            let same = entry.slot == slot && entry.people == people;
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
                self.queue(&registration)?;
                self.clerk.entries.push(Entry {
                    id,
                    request,
                    slot,
                    people: people.into(),
                    state: registration.state,
                    expires: registration.billing().map(|billing| billing.expires),
                    paid: None,
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
                    Refusal::Paused => self.clerk.pauses.iter().any(|scope| scope.covers(slot)),
                    Refusal::PastCutOff { .. }
                    | Refusal::WrongAmount { .. }
                    | Refusal::NoPaymentDue { .. }
                    | Refusal::HoldExpired { .. }
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
            Err(other) => prop_assert!(false, "{other:?}"),
        }
        Ok(())
    }
}

/// Midnight after a service day in Pontianak.
fn day_end(slot: SlotKey) -> UnixMillis {
    slot.day.minute(24 * 60, &Zone::parse("Asia/Pontianak").unwrap())
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
        let mut run = Run { world, clerk: clerk.clone(), committed: (events, clerk), sealed: None };
        run.world.ledger.seal();
        run.world.ledger.commit();
        for step in steps {
            run.step(step)?;
            run.check_payments()?;
            for slot in run.world.ledger.slots() {
                let figures = run.world.ledger.figures(slot).unwrap();
                let taken = u32::try_from(run.clerk.taken(slot)).unwrap();
                prop_assert_eq!(figures.free, figures.capacity.saturating_sub(taken));
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

#[test]
fn a_log_that_contradicts_itself_does_not_replay() {
    let offices = vec![office("kanim-pontianak", &[(Lane::Regular, 2)])];
    let mut world = World::new(&catalog(offices), instant("2026-11-27T07:00:00Z"));
    let wish = world.ask("2026-11-30", Lane::Regular, &[1]);
    world.register(wish).unwrap();
    let grant = world.log.last().unwrap().clone();
    let mut misfits: HashMap<&str, Vec<Event>> = HashMap::new();
    misfits.insert("not opened", world.log[1..].to_vec());
    misfits.insert("opened twice", [&world.log[..1], &world.log[..1]].concat());
    misfits.insert("granted twice", [&world.log[..], std::slice::from_ref(&grant)].concat());
    let mut early = world.log.clone();
    early.last_mut().unwrap().at = UnixMillis(0);
    misfits.insert("early", early);
    for (name, log) in misfits {
        let mut ledger = Ledger::default();
        assert!(log.iter().any(|event| ledger.apply(event).is_err()), "{name}");
    }
    let unknown = Cancellation {
        registration: RegistrationId(5),
        caller: kuota_domain::ids::CallerNumber(0),
        reason: Box::default(),
    };
    let decision: Result<Decision, _> = world.ledger.decide(&Command::Cancel(unknown), world.now);
    assert_eq!(decision, Err(Rejection::NotFound));
}
