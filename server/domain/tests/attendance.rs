//! The service day: one row for each outcome.
#![cfg(not(loom))]

mod world;

use std::sync::Arc;

use kuota_domain::{
    catalog::{Catalog, LaneOffer},
    event::{Change, Event},
    ids::{CallerNumber, OfficeNumber, RegistrationId},
    ledger::{Attendance, Command, Directive, Ledger, Misfit, Objection, Rejection, Remedy},
    limits::DUE_EVENTS_PER_BATCH_MAX,
    passport::PassportKind,
    payment::{CaseCause, CaseNumber, Payee},
    refusal::Refusal,
    registration::{Applicant, Ask, Registration, RegistrationState},
    slot::{Lane, SlotKey},
};
use world::{World, catalog, day, fees, instant, offer, office};

/// Friday 27 November 2026, 14:00 in Pontianak.
const T0: &str = "2026-11-27T07:00:00Z";
/// Monday 30 November begins there, is under way, and is over.
const BEGINS: &str = "2026-11-29T17:00:00Z";
const NINE: &str = "2026-11-30T02:00:00Z";
const ENDS: &str = "2026-11-30T17:00:00Z";
const FEE: u32 = 350_000;

/// Monday in an office whose regular lane confirms at once, and whose priority lane holds places for two hours.
fn pontianak() -> World {
    let mut office = office("kanim-pontianak", &[(Lane::Regular, 9)]);
    office.lanes.push(LaneOffer { hold_minutes: Some(120), ..offer(Lane::Priority, 9) });
    let catalog = Catalog { fees: fees(), ..catalog(vec![office]) };
    let mut world = World::new(&catalog, instant("2026-11-22T05:00:00Z"));
    world.at(T0);
    world
}

fn granted(world: &mut World, person: u8) -> Arc<Registration> {
    let ask = world.ask("2026-11-30", Lane::Regular, &[person]);
    world.register(ask).unwrap()
}

fn held(world: &mut World, person: u8) -> Arc<Registration> {
    let ask = world.ask("2026-11-30", Lane::Priority, &[person]);
    let named = |one: &Applicant| Applicant { passport: Some(PassportKind::Ordinary5Years), ..one.clone() };
    let applicants = ask.applicants.iter().map(named).collect();
    world.register(Ask { applicants, ..ask }).unwrap()
}

fn of(id: RegistrationId) -> Attendance {
    Attendance { registration: id, caller: CallerNumber(0), actor: "counter 3".into() }
}

fn check_in(world: &mut World, id: RegistrationId) -> Result<Arc<Registration>, Rejection> {
    world.command(&Command::CheckIn(of(id)))
}

fn complete(world: &mut World, id: RegistrationId) -> Result<Arc<Registration>, Rejection> {
    world.command(&Command::Complete(of(id)))
}

fn sound(world: &World) {
    assert_eq!(world.replayed().digest(), world.ledger.digest());
}

fn state(world: &World, id: RegistrationId) -> RegistrationState {
    world.ledger.registration(id).unwrap().state
}

/// Marks of who did not come on Monday, and its end.
fn ends_monday(change: &&Change) -> bool {
    matches!(change, Change::NoShows { day: of, .. } | Change::DayClosed { day: of, .. } if *of == day("2026-11-30"))
}

#[test]
fn who_comes_is_checked_in_and_served_and_who_does_not_is_a_no_show() {
    let mut world = pontianak();
    let (came, only_came, absent) = (granted(&mut world, 1), granted(&mut world, 2), granted(&mut world, 3));
    world.at(NINE);
    let in_house = check_in(&mut world, came.id).unwrap();
    assert_eq!((in_house.state, in_house.checked_in()), (RegistrationState::CheckedIn, Some(instant(NINE))));
    assert_eq!(&*world.log.last().unwrap().actor.subject, "counter 3", "the log says who");
    let events = world.log.len();
    assert_eq!(check_in(&mut world, came.id), Ok(in_house.clone()), "again: the same");
    world.at("2026-11-30T02:20:00Z");
    let served = complete(&mut world, came.id).unwrap();
    assert_eq!((served.state, served.served()), (RegistrationState::Served, Some(world.now)));
    assert_eq!(served.checked_in(), Some(instant(NINE)));
    assert_eq!(complete(&mut world, came.id), Ok(served.clone()), "again: the same");
    assert_eq!(check_in(&mut world, came.id), Ok(served), "and who was served had come");
    assert_eq!(world.log.len(), events + 1);
    check_in(&mut world, only_came.id).unwrap();
    sound(&world);
    world.at(ENDS);
    assert_eq!(state(&world, absent.id), RegistrationState::NoShow);
    assert_eq!(state(&world, only_came.id), RegistrationState::CheckedIn);
    let of_the_day: Vec<&Change> = world.log.iter().map(|event| &event.change).filter(ends_monday).collect();
    let [Change::NoShows { ids, .. }, Change::DayClosed { .. }] = &of_the_day[..] else {
        panic!("first marked, then closed: {of_the_day:?}")
    };
    assert_eq!(**ids, [absent.id]);
    assert!(!world.ledger.is_live(absent.applicants[0].key), "and free to ask again");
    sound(&world);
    world.ledger.seal();
    world.ledger.roll_back();
    assert_eq!(world.ledger.registration(came.id), None, "all of it is undone");
}

#[test]
fn a_no_show_forfeits_the_fee_and_a_held_place_is_none() {
    let mut world = pontianak();
    let (paid, unpaid) = (held(&mut world, 1), held(&mut world, 2));
    let came = granted(&mut world, 3);
    world.pay(Payee::Id(paid.id), "BRI-1", FEE).unwrap();
    world.at(NINE);
    check_in(&mut world, came.id).unwrap();
    world.at(ENDS);
    assert_eq!(state(&world, unpaid.id), RegistrationState::Expired);
    let absent = world.ledger.registration(paid.id).unwrap().clone();
    assert_eq!(absent.state, RegistrationState::NoShow);
    assert_eq!(absent.payment().unwrap().reference.as_str(), "BRI-1", "kept");
    assert_eq!(world.ledger.cases().count(), 0, "no case: nothing goes back");
    // Money that comes once more is not forfeited with it.
    let twice = world.pay(Payee::Id(paid.id), "BRI-2", FEE).unwrap();
    assert_eq!((twice.state, twice.cases()), (RegistrationState::NoShow, &[CaseNumber(1)][..]));
    assert_eq!(world.ledger.case(CaseNumber(1)).unwrap().cause, CaseCause::PaidTwice);
    let place = SlotKey { office: OfficeNumber(0), day: day("2026-12-01"), lane: Lane::Regular };
    let remedy = Directive::ResolveCase { case: CaseNumber(1), remedy: Remedy::Place(place) };
    assert_eq!(world.operate(1, remedy), Err(Objection::CaseNeedsRefund(CaseNumber(1))));
    sound(&world);
}

/// What a day without check-in gives: nobody is known to be absent. One check-in at the office makes the difference, in any
/// lane, and on that day alone.
#[test]
fn no_shows_are_marked_where_somebody_was_checked_in() {
    let nobody: Step = |_, _| {};
    let checked_in: Step = |world, other| drop(check_in(world, other).unwrap());
    let served: Step = |world, other| {
        check_in(world, other).unwrap();
        complete(world, other).unwrap();
    };
    let refused: Step = |world, other| {
        world.cancel(other).unwrap();
        check_in(world, other).unwrap_err();
    };
    let (pontianak, mempawah) = (OfficeNumber(0), OfficeNumber(1));
    let monday = (pontianak, "2026-11-30");
    use RegistrationState::{Confirmed, NoShow};
    for (name, (place, day), lane, at, step, expected) in [
        ("nobody was", monday, Lane::Regular, NINE, nobody, Confirmed),
        ("somebody was", monday, Lane::Regular, NINE, checked_in, NoShow),
        ("and served", monday, Lane::Regular, NINE, served, NoShow),
        ("in another lane", monday, Lane::OneDay, NINE, checked_in, NoShow),
        ("somebody was refused", monday, Lane::Regular, NINE, refused, Confirmed),
        ("at another office", (mempawah, "2026-11-30"), Lane::Regular, NINE, checked_in, Confirmed),
        (
            "on another day",
            (pontianak, "2026-12-01"),
            Lane::Regular,
            "2026-12-01T02:00:00Z",
            checked_in,
            Confirmed,
        ),
    ] {
        let lanes = [(Lane::Regular, 9), (Lane::OneDay, 9)];
        let offices = vec![office("kanim-pontianak", &lanes), office("ukk-mempawah", &lanes)];
        let mut world = World::new(&catalog(offices), instant("2026-11-22T05:00:00Z"));
        world.at(T0);
        let expects = granted(&mut world, 1);
        let mut ask = world.ask(day, lane, &[2]);
        ask.slot.office = place;
        let other = world.register(ask).unwrap();
        world.at(at);
        step(&mut world, other.id);
        world.at("2026-12-01T17:00:00Z");
        assert_eq!(state(&world, expects.id), expected, "{name}");
        assert!(!world.ledger.is_live(expects.applicants[0].key), "{name}: free to ask again");
        let late = check_in(&mut world, expects.id);
        let over = Refusal::ServiceDayOver { day: expects.slot.day, at: instant(ENDS) };
        assert_eq!(late, Err(over.into()), "{name}");
        sound(&world);
    }
}

type Step = fn(&mut World, RegistrationId);

#[test]
fn each_reason_not_to_check_in_or_to_complete() {
    let too_early = || Some(Refusal::TooEarlyToCheckIn { day: day("2026-11-30"), at: instant(BEGINS) });
    let over = || Some(Refusal::ServiceDayOver { day: day("2026-11-30"), at: instant(ENDS) });
    let checked_in: Step = |world, id| drop(check_in(world, id).unwrap());
    let served: Step = |world, id| {
        check_in(world, id).unwrap();
        complete(world, id).unwrap();
    };
    let cancelled: Step = |world, id| drop(world.cancel(id).unwrap());
    let nothing: Step = |_, _| {};
    let somebody_comes: Step = |world, _| {
        let other = granted(world, 2);
        check_in(world, other.id).unwrap();
    };
    let not_confirmed = |state| Some(Refusal::NotConfirmed { state });
    let not_checked_in = |state| Some(Refusal::NotCheckedIn { state });
    use RegistrationState::{Cancelled, Confirmed, NoShow};
    let rows: Vec<(&str, Step, &str, Option<Refusal>, Option<Refusal>)> = vec![
        ("the day before", nothing, "2026-11-29T16:59:59.999Z", too_early(), not_checked_in(Confirmed)),
        ("the first instant of the day", nothing, BEGINS, None, not_checked_in(Confirmed)),
        ("the last", nothing, "2026-11-30T16:59:59.999Z", None, not_checked_in(Confirmed)),
        ("the day after", nothing, ENDS, over(), not_checked_in(Confirmed)),
        ("a no-show, the day after", somebody_comes, ENDS, over(), not_checked_in(NoShow)),
        ("who has come", checked_in, NINE, None, None),
        ("who has come, the day after", checked_in, ENDS, None, over()),
        ("who was served", served, ENDS, None, None),
        ("cancelled", cancelled, NINE, not_confirmed(Cancelled), not_checked_in(Cancelled)),
    ];
    for (name, step, at, may_come, may_be_served) in rows {
        for (is_complete, expected) in [(false, may_come), (true, may_be_served)] {
            let mut world = pontianak();
            let granted = granted(&mut world, 1);
            world.at(NINE);
            if at < NINE {
                world.now = instant(at);
            }
            step(&mut world, granted.id);
            if at > NINE {
                world.at(at);
            }
            let before = world.log.len();
            let answer =
                if is_complete { complete(&mut world, granted.id) } else { check_in(&mut world, granted.id) };
            let refused = expected.map(Rejection::Refused);
            assert_eq!(answer.as_ref().err(), refused.as_ref(), "{name}, {is_complete}");
            assert!(answer.is_ok() || world.log.len() == before, "{name}: nothing changes");
            sound(&world);
        }
    }
    let mut world = pontianak();
    let waiting = held(&mut world, 1);
    world.at("2026-11-27T08:00:00Z");
    let state = RegistrationState::Held;
    assert_eq!(check_in(&mut world, waiting.id), Err(Refusal::NotConfirmed { state }.into()));
    assert_eq!(check_in(&mut world, RegistrationId(1)), Err(Rejection::NotFound));
    assert_eq!(complete(&mut world, RegistrationId(1)), Err(Rejection::NotFound));
}

#[test]
fn who_has_come_gives_nothing_back_and_goes_nowhere_else() {
    let mut world = pontianak();
    let came = granted(&mut world, 1);
    world.at(NINE);
    check_in(&mut world, came.id).unwrap();
    let state = RegistrationState::CheckedIn;
    assert_eq!(world.cancel(came.id), Err(Refusal::AlreadyCheckedIn { state }.into()));
    let slot = SlotKey { office: OfficeNumber(0), day: day("2026-12-01"), lane: Lane::Regular };
    let moved = world.operate(1, Directive::Reschedule { registration: came.id, slot, session: None });
    assert_eq!(moved, Err(Objection::Refused(Refusal::NotReschedulable { state })));
    assert!(world.ledger.is_live(came.applicants[0].key), "live until the day is over");
    complete(&mut world, came.id).unwrap();
    let state = RegistrationState::Served;
    assert_eq!(world.cancel(came.id), Err(Refusal::AlreadyCheckedIn { state }.into()));
    world.at(ENDS);
    let (absent, comes) = (granted_on_tuesday(&mut world, 8), granted_on_tuesday(&mut world, 9));
    world.at("2026-12-01T02:00:00Z");
    check_in(&mut world, comes).unwrap();
    world.at("2026-12-01T17:00:00Z");
    assert_eq!(world.ledger.registration(absent).unwrap().state, RegistrationState::NoShow);
    let at = instant("2026-12-01T17:00:00Z");
    assert_eq!(world.cancel(absent), Err(Refusal::Closed { at }.into()), "a no-show is over");
}

fn granted_on_tuesday(world: &mut World, person: u8) -> RegistrationId {
    let ask = world.ask("2026-12-01", Lane::Regular, &[person]);
    world.register(ask).unwrap().id
}

/// However many did not come: bounded at a time, and all of them before their day closes.
#[test]
fn a_day_of_thousands_is_marked_in_bounded_steps() {
    let places = u32::try_from(DUE_EVENTS_PER_BATCH_MAX).unwrap() * 2 + 8;
    let office = office("kanim-pontianak", &[(Lane::Regular, places)]);
    let mut world = World::new(&catalog(vec![office]), instant("2026-11-22T05:00:00Z"));
    world.at(T0);
    for number in 0..places {
        let ask = world.ask("2026-11-30", Lane::Regular, &[1]);
        let mut key = [0; 16];
        key[..4].copy_from_slice(&number.to_be_bytes());
        let one = Applicant { key: kuota_domain::nik::ApplicantKey(key), ..ask.applicants[0].clone() };
        let registration = RegistrationId(u128::from(number) + 1);
        world.register(Ask { registration, applicants: [one].into_iter().collect(), ..ask }).unwrap();
    }
    world.at(NINE);
    check_in(&mut world, RegistrationId(1)).unwrap();
    world.now = instant(ENDS);
    let mut marked = 0;
    for _ in 0..10 {
        let due = world.ledger.due(world.now);
        let ids: usize = due
            .iter()
            .map(|change| if let Change::NoShows { ids, .. } = change { ids.len() } else { 0 })
            .sum();
        assert!(ids <= DUE_EVENTS_PER_BATCH_MAX);
        marked += ids;
        due.into_iter().for_each(|change| world.change(change));
    }
    assert_eq!(marked, places as usize - 1);
    let absent = |found: &&Arc<Registration>| found.state == RegistrationState::NoShow;
    assert_eq!(world.ledger.registrations().filter(absent).count(), marked);
    let mut of_the_day = world.log.iter().map(|event| &event.change).filter(ends_monday);
    assert!(matches!(of_the_day.next_back(), Some(Change::DayClosed { .. })), "closed when all are marked");
}

#[test]
fn an_event_that_contradicts_the_day_does_not_fit() {
    let mut world = pontianak();
    let (came, absent) = (granted(&mut world, 1), granted(&mut world, 2));
    let slot = came.slot;
    let (office, monday) = (slot.office, slot.day);
    world.at(NINE);
    check_in(&mut world, came.id).unwrap();
    let no_shows = |ids: &[RegistrationId]| Change::NoShows { office, day: monday, ids: ids.into() };
    let elsewhere = SlotKey { lane: Lane::Priority, ..slot };
    for (name, at, change, expected) in [
        ("came twice", NINE, Change::CheckedIn { id: came.id, slot }, Misfit::Registration),
        ("came elsewhere", NINE, Change::CheckedIn { id: absent.id, slot: elsewhere }, Misfit::Registration),
        ("served without coming", NINE, Change::Served { id: absent.id, slot }, Misfit::Registration),
        ("absent before the end", NINE, no_shows(&[absent.id]), Misfit::Day(monday)),
        ("came, and absent", ENDS, no_shows(&[came.id]), Misfit::Registration),
        ("absent twice", ENDS, no_shows(&[absent.id, absent.id]), Misfit::Registration),
    ] {
        let mut ledger = Ledger::default();
        world.log.iter().for_each(|event| ledger.apply(event).unwrap());
        let event = Event { at: instant(at), change, ..world.log.last().unwrap().clone() };
        assert_eq!(ledger.apply(&event), Err(expected), "{name}");
    }
}
