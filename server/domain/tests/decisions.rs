//! One row for each outcome of each command.
#![cfg(not(loom))]

mod world;

use std::collections::HashMap;

use kuota_domain::{
    event::{Change, Event},
    ids::{CallerNumber, RegistrationId},
    ledger::{Cancellation, CatalogConflict, Command, Decision, Ledger, Rejection},
    refusal::Refusal,
    registration::RegistrationState,
    slot::Lane,
    time::UnixMillis,
};
use world::{World, catalog, day, instant, office};

/// Friday 27 November 2026, 14:00 in Pontianak.
const T0: &str = "2026-11-27T07:00:00Z";

fn pontianak() -> World {
    let lanes = [(Lane::Regular, 2), (Lane::Priority, 5)];
    World::new(&catalog(vec![office("kanim-pontianak", &lanes)]), instant("2026-11-22T05:00:00Z"))
}

#[test]
fn each_reason_to_refuse_a_registration() {
    let closed_at = instant("2026-11-23T08:00:00Z");
    let sold_out = |world: &mut World| {
        let ask = world.ask("2026-11-30", Lane::Regular, &[1, 2]);
        world.register(ask).unwrap();
    };
    let one_left = |world: &mut World| {
        let ask = world.ask("2026-11-30", Lane::Regular, &[1]);
        world.register(ask).unwrap();
    };
    let registered = |world: &mut World| {
        let ask = world.ask("2026-12-01", Lane::Priority, &[8]);
        world.register(ask).unwrap();
    };
    let nothing = |_: &mut World| {};
    type Row<'a> = (&'a str, &'a str, Lane, &'a [u8], &'a dyn Fn(&mut World), Refusal);
    let rows: [Row<'_>; 11] = [
        (
            "past day",
            T0,
            Lane::Regular,
            &[9],
            &nothing,
            Refusal::Closed { at: instant("2026-11-20T08:00:00Z") },
        ),
        ("closed today", T0, Lane::Regular, &[9], &nothing, Refusal::Closed { at: closed_at }),
        ("weekend", T0, Lane::Regular, &[9], &nothing, Refusal::NotAServiceDay { holiday: None }),
        (
            "holiday",
            T0,
            Lane::Regular,
            &[9],
            &nothing,
            Refusal::NotAServiceDay { holiday: Some("Feast".into()) },
        ),
        (
            "beyond the horizon",
            T0,
            Lane::Regular,
            &[9],
            &nothing,
            Refusal::BeyondHorizon { horizon: day("2026-12-11") },
        ),
        (
            "lane not offered",
            T0,
            Lane::OneDay,
            &[9],
            &nothing,
            Refusal::LaneNotOffered { offered: vec![Lane::Regular, Lane::Priority] },
        ),
        (
            "not open yet",
            "2026-11-27T06:59:59.999Z",
            Lane::Regular,
            &[9],
            &nothing,
            Refusal::NotOpenYet { open_at: instant(T0) },
        ),
        ("sold out", T0, Lane::Regular, &[9], &sold_out, Refusal::SoldOut),
        (
            "party too large",
            T0,
            Lane::Regular,
            &[9, 10],
            &one_left,
            Refusal::NotEnoughPlaces { available: 1, asked: 2 },
        ),
        (
            "already registered",
            T0,
            Lane::Regular,
            &[9, 8],
            &registered,
            Refusal::AlreadyRegistered { applicant: 1 },
        ),
        ("sold out comes before already registered", T0, Lane::Regular, &[1], &sold_out, Refusal::SoldOut),
    ];
    for (name, now, lane, people, before, expected) in rows {
        let mut world = pontianak();
        world.at(now);
        before(&mut world);
        let service_day = match name {
            "past day" => "2026-11-20",
            "closed today" => "2026-11-23",
            "weekend" => "2026-11-28",
            "holiday" => "2026-12-03",
            "beyond the horizon" => "2026-12-14",
            _ => "2026-11-30",
        };
        let ask = world.ask(service_day, lane, people);
        let events = world.log.len();
        assert_eq!(world.register(ask), Err(Rejection::Refused(expected)), "{name}");
        assert_eq!(world.log.len(), events, "{name}: a refusal writes nothing");
    }
}

#[test]
fn the_opening_instant_itself_is_open() {
    let mut world = pontianak();
    let ask = world.at(T0).ask("2026-11-30", Lane::Regular, &[1]);
    assert_eq!(world.register(ask).unwrap().queue_number, 1);
}

#[test]
fn queue_numbers_count_within_office_and_day_across_lanes_and_cancellations() {
    let mut world = pontianak();
    world.at(T0);
    let mut numbers = Vec::new();
    for (day, lane, person) in [
        ("2026-11-30", Lane::Regular, 1),
        ("2026-11-30", Lane::Priority, 2),
        ("2026-12-01", Lane::Regular, 3),
        ("2026-11-30", Lane::Regular, 4),
    ] {
        let ask = world.ask(day, lane, &[person]);
        numbers.push(world.register(ask).unwrap());
    }
    world.cancel(numbers[3].id).unwrap();
    let ask = world.ask("2026-11-30", Lane::Regular, &[5]);
    numbers.push(world.register(ask).unwrap());
    let numbers: Vec<u32> = numbers.iter().map(|registration| registration.queue_number).collect();
    assert_eq!(numbers, [1, 2, 1, 3, 4]);
}

#[test]
fn a_repeat_gets_the_first_registration_whatever_happened_since() {
    let mut world = pontianak();
    let ask = world.at(T0).ask("2026-11-30", Lane::Regular, &[1, 2]);
    let first = world.register(ask.clone()).unwrap();
    assert_eq!(world.register(ask.clone()), Ok(first.clone()), "at once, although sold out since");
    let cancelled = world.cancel(first.id).unwrap();
    assert_eq!(cancelled.state, RegistrationState::Cancelled);
    assert_eq!(world.register(ask.clone()), Ok(cancelled.clone()), "as cancelled");
    world.at("2026-12-30T00:00:00Z");
    assert_eq!(world.register(ask.clone()), Ok(cancelled), "29 days after the service day");
    world.at("2026-12-31T00:00:00Z");
    assert!(matches!(world.register(ask), Err(Rejection::Refused(Refusal::Closed { .. }))), "forgotten");
}

#[test]
fn an_id_used_for_other_content_is_an_error_and_a_refused_id_may_ask_again() {
    let mut world = pontianak();
    let mut ask = world.ask("2026-11-30", Lane::Regular, &[1]);
    assert!(matches!(world.register(ask.clone()), Err(Rejection::Refused(Refusal::NotOpenYet { .. }))));
    world.at(T0);
    world.register(ask.clone()).unwrap();
    ask.content.0[15] = 1;
    assert_eq!(world.register(ask), Err(Rejection::RequestReused));
}

#[test]
fn each_outcome_of_a_cancellation() {
    let mut world = pontianak();
    let ask = world.at(T0).ask("2026-11-30", Lane::Regular, &[1]);
    let granted = world.register(ask).unwrap();
    assert_eq!(world.cancel(RegistrationId(1)), Err(Rejection::NotFound));
    let cancelled = world.cancel(granted.id).unwrap();
    assert_eq!(cancelled.cancel_reason(), "changed plans");
    assert_eq!(world.cancel(granted.id), Ok(cancelled), "again: the same");
    let ask = world.ask("2026-11-30", Lane::Regular, &[1]);
    let again = world.register(ask).unwrap();
    let day_end = instant("2026-11-30T17:00:00Z");
    world.now = day_end;
    assert_eq!(world.cancel(again.id), Err(Rejection::Refused(Refusal::Closed { at: day_end })));
}

#[test]
fn a_live_registration_ends_with_its_service_day_in_the_offices_zone() {
    let mut world = pontianak();
    let ask = world.at(T0).ask("2026-11-30", Lane::Regular, &[1]);
    world.register(ask).unwrap();
    world.at("2026-11-30T16:59:59.999Z");
    let ask = world.ask("2026-12-01", Lane::Regular, &[1]);
    let already = Refusal::AlreadyRegistered { applicant: 0 };
    assert_eq!(world.register(ask), Err(Rejection::Refused(already)));
    world.at("2026-11-30T17:00:00Z");
    let ask = world.ask("2026-12-01", Lane::Regular, &[1]);
    assert!(world.register(ask).is_ok());
}

#[test]
fn openings_are_written_ahead_once() {
    let mut world = pontianak();
    let released = |world: &World| {
        let releases = world.log.iter().filter(|event| matches!(event.change, Change::TrancheReleased(_)));
        releases.count()
    };
    // Two lanes on 23 to 27 November, 30 November to 4 December without the 3rd.
    assert_eq!(released(&world), 2 * 9);
    world.catch_up();
    assert_eq!(released(&world), 2 * 9);
    world.at("2026-11-29T17:00:00Z");
    assert_eq!(released(&world), 2 * (9 + 6), "on Monday 30 November: 7 to 11 December, and Monday the 14th");
}

#[test]
fn a_changed_catalogue_changes_what_it_may() {
    let lanes = [(Lane::Regular, 2), (Lane::Priority, 5)];
    let same = catalog(vec![office("kanim-pontianak", &lanes)]);
    let mut world = World::new(&same, instant("2026-11-22T05:00:00Z"));
    let ask = world.at(T0).ask("2026-11-30", Lane::Regular, &[1, 2]);
    let granted = world.register(ask).unwrap();

    let events = world.log.len();
    world.apply_catalog(&same);
    assert_eq!(world.log.len(), events, "the same catalogue changes nothing");

    world.apply_catalog(&catalog(vec![office("kanim-pontianak", &[(Lane::Regular, 1)])]));
    let (regular, priority) =
        (granted.slot, kuota_domain::slot::SlotKey { lane: Lane::Priority, ..granted.slot });
    let places = |world: &World, slot| world.ledger.figures(slot).map(|f| (f.capacity, f.free));
    assert_eq!(places(&world, regular), Some((1, 0)), "granted places stay, and no more are granted");
    assert_eq!(places(&world, priority), Some((0, 0)), "a lane that left has no places");

    let mut holiday = catalog(vec![office("kanim-pontianak", &lanes)]);
    holiday.holidays.insert(day("2026-12-01"), "New feast".into());
    world.apply_catalog(&holiday);
    let feast = kuota_domain::slot::SlotKey { day: day("2026-12-01"), ..regular };
    assert_eq!(places(&world, feast), Some((0, 0)));

    let conflict = world.ledger.reconcile(&catalog(vec![office("kanim-sambas", &lanes)]), false).unwrap_err();
    let CatalogConflict::OfficeInUse { office, live } = conflict;
    assert_eq!((office.as_str(), live), ("kanim-pontianak", 1));
    world.cancel(granted.id).unwrap();
    assert!(world.ledger.reconcile(&catalog(vec![self::office("kanim-sambas", &lanes)]), false).is_ok());
    assert_eq!(world.replayed().digest(), world.ledger.digest());
}

#[test]
fn the_demo_opens_the_next_five_service_days_once() {
    let mut world = pontianak();
    world.at("2026-11-27T05:00:00Z");
    for change in world.ledger.open_now(5, world.now) {
        world.change(change);
    }
    let open: Vec<String> = world
        .ledger
        .slots()
        .filter(|slot| slot.lane == Lane::Regular && slot.day > day("2026-11-27"))
        .filter(|slot| world.ledger.figures(*slot).unwrap().refuse(1, world.now).is_none())
        .map(|slot| slot.day.to_string())
        .collect();
    assert_eq!(open, ["2026-11-30", "2026-12-01", "2026-12-02", "2026-12-04", "2026-12-07"]);
    assert!(world.ledger.open_now(5, world.now).is_empty(), "what is open stays as it is");
    world.at(T0);
    assert_eq!(world.replayed().digest(), world.ledger.digest());
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
    let unknown =
        Cancellation { registration: RegistrationId(5), caller: CallerNumber(0), reason: Box::default() };
    let decision: Result<Decision, _> = world.ledger.decide(&Command::Cancel(unknown), world.now);
    assert_eq!(decision, Err(Rejection::NotFound));
}
