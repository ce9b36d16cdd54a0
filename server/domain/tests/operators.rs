//! What operators may set, above the catalogue: one row for each outcome.
#![cfg(not(loom))]

mod world;

use std::sync::Arc;

use kuota_domain::{
    event::{Change, Override},
    ids::OfficeNumber,
    ledger::{Directive, Objection, Rejection},
    refusal::Refusal,
    slot::{Lane, Scope, SlotKey},
};
use world::{World, catalog, day, instant, office};

/// Friday 27 November 2026, 14:00 in Pontianak.
const T0: &str = "2026-11-27T07:00:00Z";
const LANES: [(Lane, u32); 2] = [(Lane::Regular, 2), (Lane::Priority, 5)];

fn pontianak() -> World {
    let mut world =
        World::new(&catalog(vec![office("kanim-pontianak", &LANES)]), instant("2026-11-22T05:00:00Z"));
    world.at(T0);
    world
}

fn slot(date: &str, lane: Lane) -> SlotKey {
    SlotKey { office: OfficeNumber(0), day: day(date), lane }
}

fn monday() -> SlotKey {
    slot("2026-11-30", Lane::Regular)
}

fn opening(slot: SlotKey, at: &str, places: Option<u32>) -> Directive {
    Directive::ScheduleOpening { slots: vec![slot], open_at: instant(at), places }
}

fn figures(world: &World, slot: SlotKey) -> Option<(u32, u32)> {
    world.ledger.figures(slot).map(|figures| (figures.capacity, figures.free))
}

#[test]
fn a_quota_stands_above_the_catalogue_until_it_is_cleared() {
    let mut world = pontianak();
    let ask = world.ask("2026-11-30", Lane::Regular, &[1, 2]);
    world.register(ask).unwrap();

    let slots = world.operate(1, Directive::SetQuota { slot: monday(), places: 1 }).unwrap();
    assert_eq!((slots[0].before.unwrap().capacity, slots[0].after.capacity, slots[0].granted), (2, 1, 2));
    assert_eq!(figures(&world, monday()), Some((1, 0)), "granted places stay, and no more are granted");

    world.operate(2, Directive::SetQuota { slot: monday(), places: 6 }).unwrap();
    world.apply_catalog(&catalog(vec![office("kanim-pontianak", &[(Lane::Regular, 3)])]));
    assert_eq!(figures(&world, monday()), Some((6, 4)), "the catalogue changes beneath it");

    world.operate(3, Directive::ClearOverride(monday())).unwrap();
    assert_eq!(figures(&world, monday()), Some((3, 1)));
    assert!(world.operate(4, Directive::ClearOverride(monday())).unwrap().is_empty());
    assert_eq!(world.replayed().digest(), world.ledger.digest());
}

#[test]
fn a_day_opens_once_at_another_time() {
    let mut world = pontianak();
    // Saturday is served by no rule; the week after next by no opening yet.
    let saturday = slot("2026-12-05", Lane::Regular);
    world.operate(1, opening(saturday, "2026-12-01T02:00:00Z", Some(7))).unwrap();
    let far = slot("2026-12-14", Lane::Priority);
    world.operate(2, opening(far, "2026-11-28T02:00:00Z", None)).unwrap();
    assert_eq!(figures(&world, saturday), Some((7, 7)));
    assert_eq!(world.ledger.figures(far).unwrap().open_at, instant("2026-11-28T02:00:00Z"));

    let ask = world.at("2026-11-28T01:59:59Z").ask("2026-12-14", Lane::Priority, &[1]);
    let open_at = instant("2026-11-28T02:00:00Z");
    assert_eq!(world.register(ask.clone()), Err(Refusal::NotOpenYet { open_at }.into()));
    world.at("2026-11-28T02:00:00Z").register(ask).unwrap();

    world.operate(3, Directive::ClearOverride(saturday)).unwrap();
    assert_eq!(figures(&world, saturday), Some((0, 0)), "nothing else opens a Saturday");
    world.operate(4, Directive::ClearOverride(far)).unwrap();
    assert_eq!(world.ledger.figures(far).unwrap().open_at, open_at, "what has opened stays open");
    assert_eq!(world.replayed().digest(), world.ledger.digest());
}

#[test]
fn a_pause_holds_what_it_covers_and_nothing_else() {
    let row = |office: bool, date: Option<&str>, lane: Option<Lane>| Scope {
        office: office.then_some(OfficeNumber(0)),
        day: date.map(day),
        lane,
    };
    let held = |world: &mut World, scope, date, lane| {
        world.operate(1, Directive::Pause(scope)).unwrap();
        let ask = world.ask(date, lane, &[9]);
        let refused = world.register(ask) == Err(Rejection::Refused(Refusal::Paused));
        assert_eq!(world.replayed().digest(), world.ledger.digest());
        refused
    };
    for (scope, date, lane, expected) in [
        (row(false, None, None), "2026-11-30", Lane::Regular, true),
        (row(true, None, None), "2026-11-30", Lane::Regular, true),
        (row(false, Some("2026-11-30"), None), "2026-11-30", Lane::Priority, true),
        (row(false, Some("2026-11-30"), None), "2026-12-01", Lane::Regular, false),
        (row(false, None, Some(Lane::Priority)), "2026-11-30", Lane::Priority, true),
        (row(true, Some("2026-11-30"), Some(Lane::Regular)), "2026-11-30", Lane::Priority, false),
    ] {
        assert_eq!(held(&mut pontianak(), scope, date, lane), expected, "{scope:?} {date} {lane}");
    }
    let mut world = pontianak();
    let ask = world.ask("2026-11-30", Lane::Regular, &[1]);
    let granted = world.register(ask).unwrap();
    world.operate(1, Directive::Pause(Scope::default())).unwrap();
    world.cancel(granted.id).unwrap();
    let narrower = Scope { lane: Some(Lane::Regular), ..Scope::default() };
    world.operate(2, Directive::Resume(narrower)).unwrap();
    assert!(world.ledger.is_paused(monday()), "only exactly the scope that was paused resumes");
    world.operate(3, Directive::Resume(Scope::default())).unwrap();
    let ask = world.ask("2026-11-30", Lane::Regular, &[1]);
    world.register(ask).unwrap();
}

#[test]
fn each_reason_not_to_do_what_an_operator_wants() {
    let nobody = SlotKey { office: OfficeNumber(7), ..monday() };
    let saturday = slot("2026-12-05", Lane::Regular);
    let over = slot("2026-11-26", Lane::Regular);
    let week_after_next = slot("2026-12-14", Lane::Regular);
    let empty = Arc::new(catalog(vec![office("kanim-sambas", &LANES)]));
    let drop_office = Directive::ApplyCatalog { catalog: empty, close_offices: false };
    let now = instant(T0);
    let rows: Vec<(Directive, Objection)> = vec![
        (Directive::SetQuota { slot: nobody, places: 1 }, Objection::NotScheduled(monday().day)),
        (Directive::SetQuota { slot: saturday, places: 1 }, Objection::NotScheduled(saturday.day)),
        (Directive::SetQuota { slot: over, places: 1 }, Objection::BookingClosed(over.day)),
        (opening(monday(), "2026-11-28T02:00:00Z", None), Objection::AlreadyOpen(monday().day)),
        (opening(saturday, "2026-11-28T02:00:00Z", None), Objection::PlacesNeeded(saturday.day)),
        (opening(week_after_next, T0, None), Objection::OpeningInThePast { now }),
        (opening(saturday, "2026-12-05T08:00:00Z", Some(1)), Objection::BookingClosed(saturday.day)),
        (drop_office, Objection::OfficeInUse { office: office("kanim-pontianak", &[]).id, live: 1 }),
    ];
    let mut world = pontianak();
    let ask = world.ask("2026-11-30", Lane::Regular, &[1]);
    world.register(ask).unwrap();
    let events = world.log.len();
    for (id, (directive, objection)) in (1..).zip(rows) {
        assert_eq!(world.operate(id, directive), Err(objection));
    }
    for id in 0..1_000 {
        let scope = Scope { day: Some(day("2026-12-01").plus_days(id)), ..Scope::default() };
        world.operate(1_000 + u128::try_from(id).unwrap(), Directive::Pause(scope)).unwrap();
    }
    assert_eq!(world.operate(1, Directive::Pause(Scope::default())), Err(Objection::TooManyPauses));
    assert_eq!(world.log.len(), events + 2_000, "what is refused leaves nothing in the log");
}

#[test]
fn a_write_is_carried_out_once_and_its_id_stands_for_it() {
    let mut world = pontianak();
    let quota = |places| Directive::SetQuota { slot: monday(), places };
    assert_eq!(world.operate(1, quota(9)).unwrap().len(), 1);
    let events = world.log.len();
    assert!(world.operate(1, quota(9)).unwrap().is_empty(), "a repeat changes nothing");
    assert_eq!(world.operate(1, quota(8)), Err(Objection::RequestReused));
    assert_eq!(world.log.len(), events);
    let mark = world.log.last().unwrap();
    assert!(matches!(mark.change, Change::CommandCarriedOut(mark) if mark.changes == 2));
    assert_eq!((&*mark.actor.subject, &*mark.reason), ("siti", "as the test wishes"));
    world.at("2026-12-28T00:00:00Z");
    let again = world.operate(1, Directive::Pause(Scope::default()));
    assert!(again.is_ok(), "after 30 days an id is free again");
}

#[test]
fn an_office_is_closed_when_told_so_and_keeps_what_it_granted() {
    let mut world = pontianak();
    let ask = world.ask("2026-11-30", Lane::Regular, &[1]);
    let granted = world.register(ask).unwrap();
    let other = Arc::new(catalog(vec![office("kanim-sambas", &LANES)]));
    let directive = Directive::ApplyCatalog { catalog: other, close_offices: true };
    let slots = world.operate(1, directive).unwrap();
    let monday_now = slots.iter().find(|change| change.slot == monday()).unwrap();
    assert_eq!((monday_now.after.capacity, monday_now.granted), (0, 1));
    assert!(slots.iter().any(|change| change.slot.office == OfficeNumber(1) && change.before.is_none()));
    assert!(world.ledger.holds(&granted));
    assert_eq!(world.ledger.catalog().offices.len(), 1);
    let reopen = Directive::SetQuota { slot: monday(), places: 3 };
    let closed = Objection::OfficeClosed(office("kanim-pontianak", &[]).id);
    assert_eq!(world.operate(2, reopen), Err(closed));
    let ask = world.ask("2026-11-30", Lane::Regular, &[2]);
    assert_eq!(world.register(ask), Err(Refusal::SoldOut.into()));
    world.cancel(granted.id).unwrap();
    assert_eq!(world.replayed().digest(), world.ledger.digest());
}

#[test]
fn what_was_set_for_a_day_goes_with_the_day() {
    let mut world = pontianak();
    world.operate(1, Directive::SetQuota { slot: monday(), places: 9 }).unwrap();
    let unopened = slot("2026-12-21", Lane::Regular);
    world.operate(2, Directive::SetQuota { slot: unopened, places: 9 }).unwrap();
    let monday_only = Scope { day: Some(monday().day), ..Scope::default() };
    world.operate(3, Directive::Pause(monday_only)).unwrap();
    world.operate(4, Directive::Pause(Scope::default())).unwrap();
    assert_eq!(world.ledger.overrides()[&unopened], Override { places: Some(9), open_at: None });
    world.at("2026-12-03T05:00:00Z");
    assert_eq!(world.ledger.overrides().keys().collect::<Vec<_>>(), [&unopened]);
    assert_eq!(world.ledger.pauses().keys().collect::<Vec<_>>(), [&Scope::default()]);
    assert_eq!(world.replayed().digest(), world.ledger.digest());
}
