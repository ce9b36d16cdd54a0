//! Random commands with a moving clock against a naive model; failed commits in between; replay at the end.
//! `PROPTEST_CASES=100000` makes the long run.
#![cfg(not(loom))]

mod world;

use std::collections::HashMap;

use kuota_domain::{
    event::Event,
    ids::{OfficeNumber, RegistrationId},
    ledger::{Cancellation, Command, Decision, Ledger, Rejection},
    refusal::Refusal,
    registration::RegistrationState,
    slot::{Lane, SlotKey},
    time::UnixMillis,
};
use proptest::prelude::*;
use world::{World, ask, catalog, day, instant, office};

const HOUR_MS: i64 = 3_600_000;

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
    Wait {
        hours: i64,
    },
    /// A batch is committed, or lost together with what was decided on top of it.
    Seal,
    Finish {
        committed: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let people = proptest::collection::btree_set(0_u8..12, 1..=3);
    let lane = prop_oneof![3 => Just(Lane::Regular), 1 => Just(Lane::Priority), 1 => Just(Lane::OneDay)];
    prop_oneof![
        12 => (0_u8..40, 0_u32..2, -1_i32..12, lane, people).prop_map(|(request, office, ahead, lane, people)| {
            Step::Register { request, office, ahead, lane, people: people.into_iter().collect() }
        }),
        3 => any::<u8>().prop_map(|pick| Step::Cancel { pick }),
        3 => prop_oneof![0_i64..6, 20_i64..60, Just(24 * 40)].prop_map(|hours| Step::Wait { hours }),
        3 => Just(Step::Seal),
        3 => proptest::bool::weighted(0.7).prop_map(|committed| Step::Finish { committed }),
    ]
}

/// What a patient clerk with a notebook would do.
#[derive(Clone, Default)]
struct Clerk {
    entries: Vec<Entry>,
}

#[derive(Clone)]
struct Entry {
    id: RegistrationId,
    request: u128,
    slot: SlotKey,
    people: Vec<u8>,
    cancelled: bool,
    queue_number: u32,
    day_end: UnixMillis,
}

impl Clerk {
    fn taken(&self, slot: SlotKey) -> usize {
        self.entries.iter().filter(|e| e.slot == slot && !e.cancelled).map(|e| e.people.len()).sum()
    }

    fn is_live(&self, person: u8, now: UnixMillis) -> bool {
        self.entries.iter().any(|e| !e.cancelled && now < e.day_end && e.people.contains(&person))
    }

    fn forget(&mut self, now: UnixMillis) {
        self.entries.retain(|e| now < e.day_end.plus_ms(30 * 24 * HOUR_MS));
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
                let today = day("2026-11-27").plus_days(
                    i32::try_from((self.world.now.0 - instant("2026-11-27T05:00:00Z").0) / (24 * HOUR_MS))
                        .unwrap(),
                );
                let slot = SlotKey { office: OfficeNumber(office), day: today.plus_days(ahead), lane };
                self.register(u128::from(request) + 1, slot, &people)
            }
            Step::Cancel { pick } => self.cancel(pick),
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
                    let cancelled = registration.state == RegistrationState::Cancelled;
                    prop_assert_eq!(cancelled, entry.cancelled);
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
                prop_assert!(!people.iter().any(|person| self.clerk.is_live(*person, now)));
                let same_day = |e: &&Entry| (e.slot.office, e.slot.day) == (slot.office, slot.day);
                let before = self.clerk.entries.iter().filter(same_day).map(|e| e.queue_number).max();
                prop_assert_eq!(registration.queue_number, before.unwrap_or(0) + 1);
                self.clerk.entries.push(Entry {
                    id,
                    request,
                    slot,
                    people: people.into(),
                    cancelled: false,
                    queue_number: registration.queue_number,
                    day_end: figures.close_at.plus_ms(9 * HOUR_MS),
                });
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
                    Refusal::Paused | Refusal::Busy => false,
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
                prop_assert!(entry.cancelled || now < entry.day_end);
                entry.cancelled = true;
            }
            Err(Rejection::Refused(Refusal::Closed { .. })) => prop_assert!(now >= entry.day_end),
            Err(other) => prop_assert!(false, "{other:?}"),
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_keeps_its_invariants_and_replays_to_the_same_state(
        steps in proptest::collection::vec(step(), 1..120)
    ) {
        let offices = vec![
            office("kanim-pontianak", &[(Lane::Regular, 4), (Lane::Priority, 2)]),
            office("ukk-mempawah", &[(Lane::Regular, 3)]),
        ];
        let world = World::new(&catalog(offices), instant("2026-11-27T05:00:00Z"));
        let (events, clerk) = (world.log.len(), Clerk::default());
        let mut run = Run { world, clerk: clerk.clone(), committed: (events, clerk), sealed: None };
        run.world.ledger.seal();
        run.world.ledger.commit();
        for step in steps {
            run.step(step)?;
            for slot in run.world.ledger.slots() {
                let figures = run.world.ledger.figures(slot).unwrap();
                let taken = u32::try_from(run.clerk.taken(slot)).unwrap();
                prop_assert_eq!(figures.free, figures.capacity - taken);
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
