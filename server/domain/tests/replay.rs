//! Replay enters the keys of grants that follow each other together: what comes of it, and what does not fit, is the same.
#![cfg(not(loom))]

mod world;

use std::{iter, sync::Arc};

use kuota_domain::{
    code::BookingCode,
    event::{Change, Event},
    ids::{RegistrationId, RequestKey},
    ledger::{Ledger, Misfit, Replay, Unfit},
    limits::GRANTS_ENTERED_TOGETHER_MAX,
    nik::ApplicantKey,
    registration::{Applicant, Registration},
    slot::Lane,
};
use world::{World, catalog, instant, office};

/// Grants of one day, one after the other, and what comes before them in the log.
struct Grants {
    before: Vec<Event>,
    first: Event,
}

impl Grants {
    fn new() -> Self {
        let offices = vec![office("kanim-pontianak", &[(Lane::Regular, 100_000)])];
        let mut world = World::new(&catalog(offices), instant("2026-11-27T07:00:00Z"));
        let wish = world.ask("2026-11-30", Lane::Regular, &[1]);
        world.register(wish).unwrap();
        let first = world.log.pop().unwrap();
        Self { before: world.log, first }
    }

    fn first(&self) -> &Registration {
        let Change::Granted(first) = &self.first.change else { panic!("a grant") };
        first
    }

    /// Like the first, with keys of its own.
    fn registration(&self, number: u32) -> Registration {
        let key = u128::from(number) << 100 | 7;
        Registration {
            id: RegistrationId(key),
            request: RequestKey { id: key, ..self.first().request },
            code: BookingCode::draw(number.into(), 0),
            applicants: iter::once(Applicant {
                key: ApplicantKey(key.to_le_bytes()),
                ..self.first().applicants[0].clone()
            })
            .collect(),
            queue_number: number,
            ..self.first().clone()
        }
    }

    fn event(&self, change: Change) -> Event {
        Event { change, ..self.first.clone() }
    }

    fn granted(&self, registration: Registration) -> Event {
        self.event(Change::Granted(Arc::new(registration)))
    }

    /// A log with so many.
    fn log(&self, people: u32) -> Vec<Event> {
        let grants = (1..=people).map(|number| self.granted(self.registration(number)));
        self.before.iter().cloned().chain(grants).collect()
    }
}

fn replayed(log: &[Event], together: usize) -> Result<[u8; 32], Unfit> {
    let replay = Replay::of(log.len() as u64, together);
    // In batches that are no multiple of what is looked at together.
    let replayed = log.chunks(1_000).try_fold(replay, |replay, events| replay.apply(events));
    Ok(replayed?.end()?.digest())
}

fn applied(log: &[Event]) -> [u8; 32] {
    let mut ledger = Ledger::default();
    log.iter().for_each(|event| ledger.apply(event).unwrap());
    ledger.digest()
}

#[test]
fn replay_leads_to_what_events_lead_to_one_by_one() {
    let grants = Grants::new();
    // So few that each is looked up by itself, and so many that indices are filled part by part.
    for people in [100, 20_000] {
        let mut log = grants.log(people);
        assert_same(&log);
        let cancelled = |number| Change::Cancelled {
            id: grants.registration(number).id,
            slot: grants.first().slot,
            case: None,
        };
        // Of one that was entered long ago, and of one that was not when it came; then grants go on.
        log.extend([5, people].map(|number| grants.event(cancelled(number))));
        log.extend((people + 1..people + 200).map(|number| grants.granted(grants.registration(number))));
        assert_same(&log);
    }
}

fn assert_same(log: &[Event]) {
    let applied = applied(log);
    for together in [90, GRANTS_ENTERED_TOGETHER_MAX] {
        assert_eq!(replayed(log, together).unwrap(), applied);
    }
}

#[test]
fn replay_says_which_event_does_not_fit() {
    const PEOPLE: u32 = 200;
    let grants = Grants::new();
    let (log, first) = (grants.log(PEOPLE), grants.before.len());
    // The first grant once more, as another one but for one of its keys.
    let rows: [(Misfit, fn(Registration, &Registration) -> Registration); 8] = [
        (Misfit::Reused, |other, first| Registration { id: first.id, ..other }),
        (Misfit::Reused, |other, first| Registration { request: first.request, ..other }),
        (Misfit::Reused, |other, first| Registration { code: first.code, ..other }),
        (Misfit::Applicant, |other, first| Registration { applicants: first.applicants.clone(), ..other }),
        // One of a party, and one who is named twice in it.
        (Misfit::Applicant, |other, first| {
            let applicants = other.applicants.iter().chain(&first.applicants).cloned().collect();
            Registration { applicants, ..other }
        }),
        (Misfit::Applicant, |other, _| {
            let applicants = other.applicants.iter().chain(&other.applicants).cloned().collect();
            Registration { applicants, ..other }
        }),
        // Found as it comes, and not when keys are entered,
        (Misfit::QueueNumber, |other, _| Registration { queue_number: 0, ..other }),
        // and both.
        (Misfit::Reused, |_, first| first.clone()),
    ];
    for before in [first + 1, first + 63, first + 64, first + 65, log.len()] {
        for (misfit, but_for) in &rows {
            let other = Registration {
                queue_number: u32::try_from(before - first + 1).unwrap(),
                ..grants.registration(PEOPLE + 1)
            };
            let mut log = log.clone();
            log.insert(before, grants.granted(but_for(other, &grants.registration(1))));
            let unfit = Unfit { seq: before as u64 + 1, misfit: misfit.clone() };
            for together in [90, GRANTS_ENTERED_TOGETHER_MAX] {
                assert_eq!(replayed(&log, together), Err(unfit.clone()));
            }
        }
    }
}
