//! What a registration costs, until when a lane takes asks, and how a log comes to hold both: a row for each outcome.
#![cfg(not(loom))]

mod world;

use std::sync::Arc;

use kuota_domain::{
    catalog::{Catalog, LaneOffer},
    event::{Actor, Change, Event, FORMAT},
    fees::Rupiah,
    ledger::{Ledger, Misfit, Rejection},
    passport::{Ground, PassportKind},
    refusal::Refusal,
    registration::{Applicant, Ask},
    slot::Lane,
};
use world::{World, catalog, fees, instant, offer, office};

/// Friday 27 November 2026, 14:00 in Pontianak.
const T0: &str = "2026-11-27T07:00:00Z";
/// Monday 30 November, 10:00 in Pontianak.
const CUT_OFF: &str = "2026-11-30T03:00:00Z";

fn priced() -> Catalog {
    let mut pontianak = office("kanim-pontianak", &[(Lane::Regular, 5), (Lane::Priority, 5)]);
    pontianak.lanes.push(LaneOffer { cut_off_minute: Some(10 * 60), ..offer(Lane::OneDay, 5) });
    Catalog { fees: fees(), ..catalog(vec![pontianak]) }
}

fn pontianak() -> World {
    World::new(&priced(), instant("2026-11-22T05:00:00Z"))
}

fn ask(world: &mut World, date: &str, lane: Lane, kinds: &[Option<PassportKind>]) -> Ask {
    let people: Vec<u8> = (1..=u8::try_from(kinds.len()).unwrap()).collect();
    let ask = world.ask(date, lane, &people);
    let named = |(applicant, kind): (&Applicant, _)| Applicant { passport: kind, ..applicant.clone() };
    let applicants = ask.applicants.iter().zip(kinds.iter().copied()).map(named).collect();
    Ask { applicants, ..ask }
}

#[test]
fn a_grant_names_the_fee_by_the_catalogue_in_force() {
    use PassportKind::{Electronic5Years, Electronic10Years, Ordinary5Years};
    let rows: [(Lane, &[Option<PassportKind>], Option<u32>); 5] = [
        (Lane::Regular, &[Some(Ordinary5Years)], Some(350_000)),
        (Lane::OneDay, &[Some(Ordinary5Years), Some(Electronic10Years)], Some(3_300_000)),
        (Lane::Regular, &[None], None),
        (Lane::Regular, &[Some(Ordinary5Years), None], None),
        (Lane::Regular, &[Some(Electronic5Years)], None),
    ];
    for (lane, kinds, expected) in rows {
        let mut world = pontianak();
        let wish = ask(world.at(T0), "2026-11-30", lane, kinds);
        let granted = world.register(wish).unwrap();
        assert_eq!(granted.fee(), expected.map(Rupiah), "{lane} {kinds:?}");
        assert_eq!(granted.particulars.is_some(), expected.is_some(), "nothing takes no room");
        assert_eq!(world.replayed().digest(), world.ledger.digest());
    }
    let mut world = pontianak();
    let wish = ask(world.at(T0), "2026-11-30", Lane::Regular, &[Some(Ordinary5Years)]);
    let granted = world.register(wish).unwrap();
    world.apply_catalog(&Catalog { fees: Default::default(), ..priced() });
    assert_eq!(world.ledger.registration(granted.id).unwrap().fee(), Some(Rupiah(350_000)), "it stays");
    let cancelled = world.cancel(granted.id).unwrap();
    assert_eq!((cancelled.fee(), cancelled.cancel_reason()), (Some(Rupiah(350_000)), "changed plans"));
}

#[test]
fn a_ground_is_kept() {
    let mut world = pontianak();
    let wish = world.at(T0).ask("2026-11-30", Lane::Priority, &[1]);
    let granted = world.register(Ask { ground: Some(Ground::Pregnant), ..wish }).unwrap();
    assert_eq!(granted.ground(), Some(Ground::Pregnant));
    assert_eq!(world.replayed().digest(), world.ledger.digest());
}

#[test]
fn on_the_day_itself_a_lane_takes_asks_up_to_its_cut_off() {
    let late = || Rejection::Refused(Refusal::PastCutOff { at: instant(CUT_OFF) });
    let closed = || Rejection::Refused(Refusal::Closed { at: instant("2026-11-30T08:00:00Z") });
    let rows = [
        ("before", "2026-11-30T02:59:59.999Z", "2026-11-30", Lane::OneDay, None),
        ("from then on", CUT_OFF, "2026-11-30", Lane::OneDay, Some(late())),
        ("after closing", "2026-11-30T08:00:00Z", "2026-11-30", Lane::OneDay, Some(late())),
        ("another day", CUT_OFF, "2026-12-01", Lane::OneDay, None),
        ("another lane", CUT_OFF, "2026-11-30", Lane::Regular, None),
        ("another lane, closed", "2026-11-30T08:00:00Z", "2026-11-30", Lane::Regular, Some(closed())),
    ];
    for (name, now, date, lane, expected) in rows {
        let mut world = pontianak();
        let wish = world.at(now).ask(date, lane, &[1]);
        assert_eq!(world.register(wish).err(), expected, "{name}");
    }
    // A lane that comes into the catalogue after its cut-off has no places today, and says why.
    let plain = catalog(vec![office("kanim-pontianak", &[(Lane::Regular, 5)])]);
    let mut world = World::new(&plain, instant("2026-11-22T05:00:00Z"));
    world.at("2026-11-30T04:00:00Z").apply_catalog(&priced());
    let wish = world.ask("2026-11-30", Lane::OneDay, &[1]);
    assert_eq!(world.register(wish), Err(late()));
}

#[test]
fn a_catalogue_moves_the_cut_off_of_days_that_are_scheduled() {
    let mut world = pontianak();
    let mut earlier = priced();
    earlier.offices[0].lanes[2].cut_off_minute = Some(9 * 60);
    world.at(T0).apply_catalog(&earlier);
    let wish = world.at("2026-11-30T02:00:00Z").ask("2026-11-30", Lane::OneDay, &[1]);
    let at = instant("2026-11-30T02:00:00Z");
    assert_eq!(world.register(wish), Err(Refusal::PastCutOff { at }.into()));
    assert_eq!(world.replayed().digest(), world.ledger.digest());
}

#[test]
fn what_is_new_is_written_only_after_the_format_was_raised() {
    let event =
        |change| Event { at: instant(T0), actor: Actor::system("test"), reason: Box::default(), change };
    let opened = |format| {
        let mut ledger = Ledger::default();
        ledger.apply(&event(Change::LogOpened { log_id: 7, format, nik_key_check: [0; 16] })).unwrap();
        ledger
    };
    let priced = || event(Change::FeesDefined(Arc::new(fees())));
    let raised = |format| event(Change::FormatRaised(format));
    let mut old = opened(1);
    assert_eq!(old.format_due(), Some(Change::FormatRaised(FORMAT)));
    assert_eq!(old.apply(&priced()), Err(Misfit::Format));
    old.apply(&raised(2)).unwrap();
    old.apply(&priced()).unwrap();
    assert_eq!(old.format_due(), None);
    assert_eq!(old.apply(&raised(2)), Err(Misfit::Format), "it is raised once");
    assert_eq!(opened(FORMAT).format_due(), None);
    let with_cut_off = Change::OfficeDefined {
        number: kuota_domain::ids::OfficeNumber(0),
        office: Arc::new(self::priced().offices.remove(0)),
    };
    assert_eq!(opened(1).apply(&event(with_cut_off)), Err(Misfit::Format));
}
