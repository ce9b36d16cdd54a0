//! Who publishes figures is told of every slot that changed, and how it stands in the end.
#![cfg(not(loom))]

mod world;

use kuota_domain::{
    event::{Change, Times},
    ids::{OfficeNumber, TrancheNumber},
    ledger::Changed,
    slot::{Lane, SlotKey},
};
use world::{World, catalog, day, instant, office};

const MONDAY: &str = "2026-11-30";

/// On the Friday before, once it is open; nothing has changed since.
fn opened() -> World {
    let lanes = [(Lane::Regular, 2), (Lane::Priority, 5)];
    let mut world =
        World::new(&catalog(vec![office("kanim-pontianak", &lanes)]), instant("2026-11-22T05:00:00Z"));
    world.at("2026-11-27T07:00:00Z");
    taken(&mut world);
    world
}

fn taken(world: &mut World) -> Vec<Changed> {
    let mut changes = Vec::new();
    world.ledger.take_changes(&mut changes);
    changes
}

fn slot(lane: Lane) -> SlotKey {
    SlotKey { office: OfficeNumber(0), day: day(MONDAY), lane }
}

fn grant(world: &mut World, lane: Lane, person: u8) {
    let ask = world.ask(MONDAY, lane, &[person]);
    world.register(ask).unwrap();
}

#[test]
fn a_slot_stands_where_it_changed_first_and_as_it_is_in_the_end() {
    let mut world = opened();
    let (regular, priority) = (slot(Lane::Regular), slot(Lane::Priority));
    for (lane, person) in [(Lane::Priority, 1), (Lane::Regular, 2), (Lane::Priority, 3)] {
        grant(&mut world, lane, person);
    }
    let positions = [priority, regular].map(|slot| world.ledger.position_of_change(slot));
    assert_eq!(positions, [Some(0), Some(1)]);
    let expected = [priority, regular].map(|slot| (slot, world.ledger.standing(slot)));
    assert_eq!(taken(&mut world), expected);
    let free = expected.map(|(_, standing)| standing.unwrap().1.free);
    assert_eq!(free, [3, 1]);
    assert_eq!([priority, regular].map(|slot| world.ledger.position_of_change(slot)), [None, None]);
    grant(&mut world, Lane::Regular, 4);
    assert_eq!(taken(&mut world), [(regular, world.ledger.standing(regular))]);
    assert_eq!(taken(&mut world), []);
}

#[test]
fn what_changes_a_day_between_and_after_grants_is_told_with_them() {
    let mut world = opened();
    grant(&mut world, Lane::Regular, 1);
    grant(&mut world, Lane::Priority, 2);
    // The other lane's change moves the hour at which booking ends for both.
    let close_at = instant("2026-11-30T05:00:00Z");
    let sooner = Change::TrancheChanged {
        tranche: tranche(&world, slot(Lane::Priority)),
        slot: slot(Lane::Priority),
        places: 4,
        times: Times { close_at, ..times(&world, slot(Lane::Priority)) },
        sessions: Box::default(),
    };
    world.change(sooner);
    grant(&mut world, Lane::Priority, 3);
    let changes = taken(&mut world);
    let expected =
        [Lane::Regular, Lane::Priority].map(|lane| (slot(lane), world.ledger.standing(slot(lane))));
    assert_eq!(changes, expected);
    let said = expected.map(|(_, standing)| standing.map(|(_, figures)| (figures.free, figures.close_at)));
    assert_eq!(said, [Some((1, close_at)), Some((2, close_at))]);
}

#[test]
fn a_day_that_is_forgotten_leaves_no_figures_behind() {
    let mut world = opened();
    grant(&mut world, Lane::Regular, 1);
    world.at("2027-06-01T00:00:00Z");
    assert_eq!(world.ledger.standing(slot(Lane::Regular)), None, "forgotten");
    let changes = taken(&mut world);
    let told = changes.iter().filter(|(changed, _)| *changed == slot(Lane::Regular));
    assert_eq!(told.map(|(_, standing)| *standing).collect::<Vec<_>>(), [None]);
}

fn tranche(world: &World, slot: SlotKey) -> TrancheNumber {
    world.ledger.standing(slot).unwrap().0
}

fn times(world: &World, slot: SlotKey) -> Times {
    let released = world.log.iter().find_map(|event| match &event.change {
        Change::TrancheReleased(release) if release.slot == slot => Some(release.times),
        _ => None,
    });
    released.unwrap()
}
