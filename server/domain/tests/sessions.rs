//! Sessions: one row for each outcome, and what becomes of them when something else changes.
#![cfg(not(loom))]

mod world;

use std::{num::NonZeroU32, sync::Arc};

use kuota_domain::{
    catalog::{Catalog, LaneOffer},
    event::{Change, Event},
    ids::{CallerNumber, OfficeNumber, RequestKey},
    ledger::{Command, Directive, Ledger, Misfit, Objection, Rejection, Remedy},
    passport::PassportKind,
    payment::{CaseNumber, Payee},
    refusal::Refusal,
    registration::{Applicant, Ask, Registration, RegistrationState},
    rescheduling::Rescheduling,
    session::{Session, SessionPlaces, SessionShare, SessionStart},
    slot::{Lane, SlotKey},
};
use world::{InSession as _, World, catalog, day, fees, instant, offer, office};

/// Friday 27 November 2026, 14:00 in Pontianak.
const T0: &str = "2026-11-27T07:00:00Z";
/// Monday 30 November 2026, 08:20 in Pontianak.
const MONDAY: &str = "2026-11-30T01:20:00Z";
const FEE: u32 = 350_000;

fn share((hour, share): (u16, u32)) -> SessionShare {
    SessionShare { session: session(hour), share: NonZeroU32::new(share).unwrap() }
}

fn session(hour: u16) -> Session {
    Session::new(hour * 60, (hour + 1) * 60).unwrap()
}

fn start(hour: u16) -> SessionStart {
    session(hour).start()
}

fn starts(hours: &[u16]) -> Vec<SessionStart> {
    hours.iter().copied().map(start).collect()
}

fn with_sessions(places: u32, shares: &[(u16, u32)]) -> LaneOffer {
    LaneOffer { sessions: shares.iter().copied().map(share).collect(), ..offer(Lane::Regular, places) }
}

fn pontianak(lane: LaneOffer) -> Catalog {
    let mut office = office("kanim-pontianak", &[(Lane::Priority, 2)]);
    office.lanes.push(lane);
    Catalog { fees: fees(), ..catalog(vec![office]) }
}

/// Five places on an ordinary day: three from 08:00, two from 09:00.
fn open() -> World {
    let mut world =
        World::new(&pontianak(with_sessions(5, &[(8, 1), (9, 1)])), instant("2026-11-22T05:00:00Z"));
    world.at(T0);
    world
}

/// Two places that are held, one from 08:00 and one from 09:00.
fn held() -> World {
    let lane = LaneOffer { hold_minutes: Some(120), ..with_sessions(2, &[(8, 1), (9, 1)]) };
    let mut world = World::new(&pontianak(lane), instant("2026-11-22T05:00:00Z"));
    world.at(T0);
    world
}

fn slot(date: &str) -> SlotKey {
    SlotKey { office: OfficeNumber(0), day: day(date), lane: Lane::Regular }
}

fn ask(world: &mut World, hour: Option<u16>, people: &[u8]) -> Ask {
    let ask =
        world.ask("2026-11-30", Lane::Regular, people).in_session(hour.map(|hour| session(hour).start()));
    let named = |one: &Applicant| Applicant { passport: Some(PassportKind::Ordinary5Years), ..one.clone() };
    Ask { applicants: ask.applicants.iter().map(named).collect(), ..ask }
}

fn register(world: &mut World, hour: Option<u16>, people: &[u8]) -> Result<Arc<Registration>, Rejection> {
    let ask = ask(world, hour, people);
    world.register(ask)
}

/// Hour and number in the queue.
fn turn(registration: &Registration) -> (Option<u16>, u32) {
    (registration.session.map(|session| session.start().minute() / 60), registration.queue_number)
}

/// Each session's hour, places, and places taken.
fn dealt(world: &World, date: &str) -> Vec<(u16, u32, u32)> {
    let told = |(SessionPlaces { session, places }, taken): (SessionPlaces, u32)| {
        (session.start().minute() / 60, places, taken)
    };
    world.ledger.sessions(slot(date)).map(told).collect()
}

fn sound(world: &World) {
    assert_eq!(world.replayed().digest(), world.ledger.digest());
}

#[test]
fn each_session_has_its_share_and_a_queue_of_its_own() {
    let mut world = open();
    assert_eq!(dealt(&world, "2026-11-30"), [(8, 3, 0), (9, 2, 0)]);
    let mut turns = Vec::new();
    for (hour, people) in [(None, &[1, 2][..]), (Some(9), &[3]), (None, &[4]), (None, &[5])] {
        turns.push(turn(&register(&mut world, hour, people).unwrap()));
    }
    assert_eq!(turns, [(Some(8), 1), (Some(9), 1), (Some(8), 2), (Some(9), 2)]);
    assert_eq!(dealt(&world, "2026-11-30"), [(8, 3, 3), (9, 2, 2)]);
    assert_eq!(register(&mut world, Some(8), &[6]), Err(Refusal::SoldOut.into()));
    // A lane without sessions has the day's own queue, as before there were any.
    let priority = world.ask("2026-11-30", Lane::Priority, &[6]);
    assert_eq!(turn(&world.register(priority).unwrap()), (None, 1));
    sound(&world);
}

#[test]
fn each_reason_to_refuse_a_session() {
    let taken = |hour, people: &'static [u8]| {
        move |world: &mut World| drop(register(world, Some(hour), people).unwrap())
    };
    let monday = |world: &mut World| {
        world.at(MONDAY);
    };
    let late_monday = |world: &mut World| {
        register(world, Some(8), &[1]).unwrap();
        world.at("2026-11-30T02:00:00Z");
    };
    let nothing = |_: &mut World| {};
    let full = |available, asked, with_room: &[u16]| Refusal::SessionFull {
        available,
        asked,
        with_room: starts(with_room),
    };
    let begun =
        |at, with_room: &[u16]| Refusal::SessionBegun { at: instant(at), with_room: starts(with_room) };
    type Row<'a> = (&'a str, &'a dyn Fn(&mut World), Option<u16>, &'a [u8], Refusal);
    let rows: [Row<'_>; 9] = [
        ("full", &taken(9, &[1, 2]), Some(9), &[7], full(0, 1, &[8])),
        ("too small for the party", &nothing, Some(9), &[7, 8, 9], full(2, 3, &[8])),
        ("none has room for the party", &nothing, None, &[6, 7, 8, 9], full(3, 4, &[])),
        (
            "not one of the lane's",
            &nothing,
            Some(10),
            &[7],
            Refusal::NoSuchSession { offered: starts(&[8, 9]) },
        ),
        ("begun", &monday, Some(8), &[7], begun("2026-11-30T01:00:00Z", &[9])),
        (
            "begun, and the party too large for the next",
            &monday,
            Some(8),
            &[7, 8, 9],
            begun("2026-11-30T01:00:00Z", &[]),
        ),
        ("only one to come, and too small", &monday, None, &[7, 8, 9], full(2, 3, &[])),
        ("all begun", &late_monday, None, &[7], begun("2026-11-30T02:00:00Z", &[])),
        (
            "registered already comes first",
            &taken(9, &[1, 2]),
            Some(9),
            &[2],
            Refusal::AlreadyRegistered { applicant: 0 },
        ),
    ];
    for (what, before, hour, people, expected) in rows {
        let mut world = open();
        before(&mut world);
        let events = world.log.len();
        assert_eq!(register(&mut world, hour, people), Err(expected.into()), "{what}");
        assert_eq!(world.log.len(), events, "{what}: a refusal changes nothing");
    }
    let mut world = open();
    let wish = world.ask("2026-11-30", Lane::Priority, &[7]).in_session(Some(session(8).start()));
    let none = Refusal::NoSuchSession { offered: Vec::new() };
    assert_eq!(world.register(wish), Err(none.into()), "a lane without sessions");
}

#[test]
fn a_session_that_has_begun_is_not_the_earliest_any_more() {
    let mut world = open();
    world.at(MONDAY);
    assert_eq!(turn(&register(&mut world, None, &[1]).unwrap()), (Some(9), 1));
}

#[test]
fn a_repeat_names_the_same_session_or_is_another_ask() {
    let mut world = open();
    let any = ask(&mut world, None, &[1]);
    let granted = world.register(any.clone()).unwrap();
    assert_eq!(world.register(any.clone()), Ok(granted));
    let named = any.in_session(Some(session(8).start()));
    assert_eq!(world.register(named), Err(Rejection::RequestReused));
}

#[test]
fn what_is_cancelled_is_free_again_in_its_session_and_its_number_is_not_given_twice() {
    let mut world = open();
    let first = register(&mut world, Some(9), &[1, 2]).unwrap();
    assert!(register(&mut world, Some(9), &[3]).is_err());
    world.cancel(first.id).unwrap();
    assert_eq!(dealt(&world, "2026-11-30"), [(8, 3, 0), (9, 2, 0)]);
    assert_eq!(turn(&register(&mut world, Some(9), &[3]).unwrap()), (Some(9), 2));
    sound(&world);
}

#[test]
fn a_quota_is_dealt_out_like_the_catalogues_and_takes_nobodys_session() {
    let mut world = open();
    let quota = |places| Directive::SetQuota { slot: slot("2026-11-30"), places };
    world.operate(1, quota(9)).unwrap();
    assert_eq!(dealt(&world, "2026-11-30"), [(8, 5, 0), (9, 4, 0)]);
    assert_eq!(dealt(&world, "2026-12-01"), [(8, 3, 0), (9, 2, 0)], "another day has its own");
    register(&mut world, Some(8), &[1, 2, 3, 4, 5]).unwrap();
    // Fewer than are taken: who has a place keeps it, and the session is full.
    world.operate(2, quota(6)).unwrap();
    assert_eq!(dealt(&world, "2026-11-30"), [(8, 3, 5), (9, 3, 0)]);
    let full = Refusal::SessionFull { available: 0, asked: 1, with_room: starts(&[9]) };
    assert_eq!(register(&mut world, Some(8), &[6]), Err(full.into()));
    assert_eq!(turn(&register(&mut world, None, &[6]).unwrap()), (Some(9), 1));
    assert_eq!(register(&mut world, None, &[7]), Err(Refusal::SoldOut.into()), "six places are six");
    world.operate(3, Directive::ClearOverride(slot("2026-11-30"))).unwrap();
    assert_eq!(dealt(&world, "2026-11-30"), [(8, 3, 5), (9, 2, 1)]);
    sound(&world);
}

#[test]
fn a_session_that_leaves_the_catalogue_comes_back_with_those_who_were_granted_it() {
    let mut world = open();
    let granted = register(&mut world, Some(8), &[1, 2]).unwrap();
    world.apply_catalog(&pontianak(with_sessions(5, &[(9, 1), (10, 1)])));
    assert_eq!(dealt(&world, "2026-11-30"), [(9, 3, 0), (10, 2, 0)]);
    assert_eq!(world.ledger.registration(granted.id).unwrap().session, Some(session(8)), "a promise stands");
    let none = Refusal::NoSuchSession { offered: starts(&[9, 10]) };
    assert_eq!(register(&mut world, Some(8), &[3]), Err(none.into()));
    // The slot counts all of them: 5 places, 2 taken at 08:00.
    register(&mut world, Some(9), &[3, 4, 5]).unwrap();
    assert_eq!(register(&mut world, None, &[6]), Err(Refusal::SoldOut.into()));
    // Without any sessions one comes at any time of the day.
    world.cancel(granted.id).unwrap();
    world.apply_catalog(&pontianak(with_sessions(5, &[])));
    assert_eq!(dealt(&world, "2026-11-30"), []);
    assert_eq!(turn(&register(&mut world, None, &[6]).unwrap()), (None, 1));
    world.apply_catalog(&pontianak(with_sessions(5, &[(8, 1), (9, 1)])));
    assert_eq!(dealt(&world, "2026-11-30"), [(8, 3, 0), (9, 2, 3)]);
    assert_eq!(turn(&register(&mut world, None, &[7]).unwrap()), (Some(8), 2));
    assert_eq!(register(&mut world, None, &[8]), Err(Refusal::SoldOut.into()));
    sound(&world);
}

#[test]
fn late_money_gets_its_own_session_else_another_else_a_case() {
    // Who took which hours meanwhile, and where the payment finds its registration.
    let rows: [(&[u16], RegistrationState, (Option<u16>, u32)); 4] = [
        (&[], RegistrationState::Confirmed, (Some(8), 1)),
        (&[9], RegistrationState::Confirmed, (Some(8), 1)),
        (&[8], RegistrationState::Confirmed, (Some(9), 1)),
        (&[8, 9], RegistrationState::Expired, (Some(8), 1)),
    ];
    for (others, state, at) in rows {
        let mut world = held();
        let late = register(&mut world, Some(8), &[1]).unwrap();
        world.at("2026-11-27T09:00:00Z");
        assert_eq!(dealt(&world, "2026-11-30"), [(8, 1, 0), (9, 1, 0)], "expired");
        for (person, hour) in (2..).zip(others) {
            register(&mut world, Some(*hour), &[person]).unwrap();
        }
        let paid = world.pay(Payee::Id(late.id), "BRI-1", FEE).unwrap();
        assert_eq!((paid.state, turn(&paid)), (state, at), "{others:?}");
        assert_eq!(paid.cases().len(), usize::from(state == RegistrationState::Expired));
        if !others.is_empty() && state == RegistrationState::Confirmed {
            assert_eq!(dealt(&world, "2026-11-30"), [(8, 1, 1), (9, 1, 1)]);
        }
        sound(&world);
        // What it took is undone with the rest.
        world.ledger.roll_back();
        assert_eq!(world.ledger.digest(), Ledger::default().digest(), "{others:?}");
    }
}

#[test]
fn a_case_is_resolved_with_the_earliest_session_that_has_room() {
    let mut world = held();
    let late = register(&mut world, Some(9), &[1]).unwrap();
    world.cancel(late.id).unwrap();
    world.pay(Payee::Id(late.id), "BRI-1", FEE).unwrap();
    let directive = Directive::ResolveCase { case: CaseNumber(1), remedy: Remedy::Place(slot("2026-12-01")) };
    world.operate(1, directive).unwrap();
    let placed = world.ledger.registration(late.id).unwrap();
    assert_eq!((placed.slot, turn(placed)), (slot("2026-12-01"), (Some(8), 1)));
    assert_eq!(dealt(&world, "2026-12-01"), [(8, 1, 1), (9, 1, 0)]);
    sound(&world);
}

#[test]
fn a_reschedule_takes_the_session_it_names_or_the_earliest_with_room_and_frees_its_own() {
    let full = |available, with_room: &[u16]| {
        Err(Refusal::SessionFull { available, asked: 2, with_room: starts(with_room) })
    };
    let none = Err(Refusal::NoSuchSession { offered: starts(&[8, 9]) });
    let begun = |with_room: &[u16]| {
        Err(Refusal::SessionBegun { at: instant("2026-12-01T01:00:00Z"), with_room: starts(with_room) })
    };
    // Tuesday, half past eight.
    let late = "2026-12-01T01:30:00Z";
    // When two who have nine o'clock wish for Tuesday, how many places that has, which session they name, and what they get.
    let rows: [(&str, (&str, u32, Option<u16>), Result<u16, Refusal>); 9] = [
        ("any", (T0, 5, None), Ok(8)),
        ("the earlier", (T0, 5, Some(8)), Ok(8)),
        ("the later", (T0, 5, Some(9)), Ok(9)),
        ("one that is full, and another has room", (T0, 3, Some(9)), full(1, &[8])),
        ("no session has room for both", (T0, 2, None), full(1, &[])),
        ("there is no such session", (T0, 5, Some(11)), none),
        ("it has begun", (late, 3, Some(8)), begun(&[])),
        ("it has begun, and another has room", (late, 5, Some(8)), begun(&[9])),
        ("any, and the earlier has begun", (late, 5, None), Ok(9)),
    ];
    for (name, (at, places, named), expected) in rows {
        for is_special in [false, true] {
            let mut world = open();
            // On the day after Tuesday, so that it may still be left on Tuesday.
            let ask = world.ask("2026-12-02", Lane::Regular, &[1, 2]).in_session(Some(start(9)));
            let granted = world.register(ask).unwrap();
            world.operate(1, Directive::SetQuota { slot: slot("2026-12-01"), places }).unwrap();
            world.at(at);
            let (registration, slot, session) = (granted.id, slot("2026-12-01"), named.map(start));
            let request = RequestKey { caller: CallerNumber(0), id: 100 };
            let refused = if is_special {
                match world.operate(2, Directive::Reschedule { registration, slot, session }) {
                    Err(Objection::Refused(refusal)) => Some(refusal),
                    answer => answer.map(|_| None).unwrap(),
                }
            } else {
                let wish = Rescheduling { registration, request, slot, session };
                match world.command(&Command::Reschedule(wish)) {
                    Err(Rejection::Refused(refusal)) => Some(refusal),
                    answer => answer.map(|_| None).unwrap(),
                }
            };
            let stands = world.ledger.registration(registration).unwrap().clone();
            match expected.clone() {
                Ok(hour) => {
                    assert_eq!(refused, None, "{name}");
                    assert_eq!((stands.slot, turn(&stands)), (slot, (Some(hour), 1)), "{name}");
                    let taken = dealt(&world, "2026-12-01").into_iter().filter(|(_, _, taken)| *taken > 0);
                    assert_eq!(taken.map(|(of, _, taken)| (of, taken)).collect::<Vec<_>>(), [(hour, 2)]);
                    assert!(dealt(&world, "2026-12-02").iter().all(|(.., taken)| *taken == 0), "{name}");
                }
                Err(refusal) => {
                    assert_eq!(refused, Some(refusal), "{name}");
                    assert_eq!(stands, granted, "{name}: and its place stays its own");
                }
            }
            sound(&world);
        }
    }
}

/// INV-3: the same id with another session is another wish, also when it is any.
#[test]
fn a_repeated_reschedule_names_the_same_session() {
    let mut world = open();
    let granted = register(&mut world, Some(9), &[1]).unwrap();
    let request = RequestKey { caller: CallerNumber(0), id: 100 };
    let wish = |session: Option<u16>| {
        let (registration, slot, session) = (granted.id, slot("2026-12-01"), session.map(start));
        Command::Reschedule(Rescheduling { registration, request, slot, session })
    };
    let moved = world.command(&wish(Some(8))).unwrap();
    assert_eq!(world.command(&wish(Some(8))), Ok(moved.clone()));
    for other in [Some(9), None] {
        assert_eq!(world.command(&wish(other)), Err(Rejection::RequestReused), "{other:?}");
    }
    // An operator sends it on, and the caller's wish is still what it was.
    let (registration, slot) = (granted.id, slot("2026-12-02"));
    world.operate(1, Directive::Reschedule { registration, slot, session: Some(start(9)) }).unwrap();
    let now = world.ledger.registration(registration).unwrap().clone();
    assert_eq!(turn(&now), (Some(9), 1));
    assert_eq!(world.command(&wish(Some(8))), Ok(now));
    sound(&world);
    // An event that says another session was named than was given.
    let position = world.log.iter().position(|event| matches!(event.change, Change::Rescheduled(_))).unwrap();
    let mut log = world.log[..=position].to_vec();
    let Change::Rescheduled(step) = &mut log[position].change else { panic!("not a reschedule") };
    step.named = Some(start(9));
    let mut ledger = Ledger::default();
    assert_eq!(log.iter().find_map(|event| ledger.apply(event).err()), Some(Misfit::Session));
}

#[test]
fn a_log_whose_sessions_contradict_each_other_does_not_replay() {
    let mut world = open();
    register(&mut world, Some(8), &[1]).unwrap();
    let grant = world.log.last().unwrap().clone();
    let released =
        world.log.iter().position(|event| matches!(event.change, Change::TrancheReleased(_))).unwrap();
    let granted = |change: &dyn Fn(&mut Registration)| {
        let Change::Granted(registration) = &grant.change else { panic!("{grant:?}") };
        let mut registration = (**registration).clone();
        change(&mut registration);
        let other = Event { change: Change::Granted(Arc::new(registration)), ..grant.clone() };
        [&world.log[..world.log.len() - 1], &[other]].concat()
    };
    let mut undealt = world.log.clone();
    let Change::TrancheReleased(release) = &mut undealt[released].change else { panic!("not a release") };
    release.places += 1;
    for (what, log, expected) in [
        ("a session that is not offered", granted(&|one| one.session = Some(session(10))), Misfit::Session),
        ("no session where there are some", granted(&|one| one.session = None), Misfit::Session),
        (
            "more than its share",
            granted(&|one| one.applicants = (1..=4).map(world::person).collect()),
            Misfit::Session,
        ),
        ("a gap in its queue", granted(&|one| one.queue_number = 2), Misfit::QueueNumber),
        ("places that are not dealt out", undealt, Misfit::Session),
    ] {
        let mut ledger = Ledger::default();
        let misfit = log.iter().find_map(|event| ledger.apply(event).err());
        assert_eq!(misfit, Some(expected), "{what}");
    }
}

#[test]
fn sessions_of_a_forgotten_day_leave_memory() {
    let mut world = open();
    register(&mut world, Some(8), &[1]).unwrap();
    world.at("2027-01-02T00:00:00Z");
    assert_eq!(dealt(&world, "2026-11-30"), []);
    sound(&world);
}
