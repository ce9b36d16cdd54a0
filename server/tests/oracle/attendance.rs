//! The service day that a log tells of.

use kuota_api::log::v1::{CheckedIn, DayClosed, Event, NoShows, Served, Slot, event::Body};

use crate::{DAY_END_MS, SLOT, at, cancelled, grant, opened, verdict_of};

fn absent(at_ms: i64, numbers: &[u8]) -> (i64, Event) {
    let registration_ids = numbers.iter().map(|number| vec![*number; 16]).collect();
    at(at_ms, Body::NoShows(NoShows { office: 0, day: 20_000, registration_ids }))
}

fn came(at_ms: i64, number: u8) -> (i64, Event) {
    at(at_ms, Body::CheckedIn(CheckedIn { registration_id: vec![number; 16], slot: Some(SLOT) }))
}

fn served(at_ms: i64, number: u8) -> (i64, Event) {
    at(at_ms, Body::Served(Served { registration_id: vec![number; 16], slot: Some(SLOT) }))
}

fn closed() -> (i64, Event) {
    at(DAY_END_MS, Body::DayClosed(DayClosed { office: 0, day: 20_000, forget_at_ms: 99_000 }))
}

#[test]
fn who_came_who_was_served_and_who_did_not_come_is_sound() {
    let more = vec![
        grant(1_000, 1),
        grant(1_000, 2),
        came(6_000, 1),
        served(7_000, 1),
        absent(DAY_END_MS, &[2]),
        closed(),
    ];
    let (verdict, _data) = verdict_of(&[opened(), more].concat());
    assert!(verdict.ok && verdict.live == 0, "{verdict:?}");
    let nobody_came = vec![grant(1_000, 1), closed()];
    let (verdict, _data) = verdict_of(&[opened(), nobody_came].concat());
    assert!(verdict.ok && verdict.live == 0, "nobody is known to be absent: {verdict:?}");
}

#[test]
fn each_way_to_contradict_a_day_is_named() {
    let elsewhere = Slot { lane: 2, ..SLOT };
    let there = CheckedIn { registration_id: vec![1; 16], slot: Some(elsewhere) };
    let unexpected = "somebody comes who is not expected, or is served who has not come";
    let not_absent = "somebody is marked as absent who was not expected that day, or came";
    let too_early = "people are marked as absent before their day is over, or after it was closed";
    let rows: Vec<(&str, Vec<(i64, Event)>)> = vec![
        (unexpected, vec![came(6_000, 9)]),
        (unexpected, vec![came(6_000, 1), came(6_000, 1)]),
        (unexpected, vec![cancelled(2_000, 1, 0), came(6_000, 1)]),
        (unexpected, vec![served(6_000, 1)]),
        ("somebody comes to another slot than the registration's", vec![at(6_000, Body::CheckedIn(there))]),
        ("somebody comes, or is served, on another day", vec![came(DAY_END_MS, 1)]),
        (too_early, vec![absent(DAY_END_MS - 1, &[1])]),
        (
            "people are marked as absent on a day on which nobody was checked in",
            vec![absent(DAY_END_MS, &[1])],
        ),
        (not_absent, vec![came(6_000, 1), absent(DAY_END_MS, &[1])]),
        (not_absent, vec![grant(1_000, 2), came(6_000, 2), absent(DAY_END_MS, &[1, 1])]),
        (
            "a service day ends with somebody who was expected, and neither came nor is absent",
            vec![grant(1_000, 2), came(6_000, 2), closed()],
        ),
        (
            "a registration is cancelled that does not exist, or twice",
            vec![came(6_000, 1), cancelled(6_000, 1, 0)],
        ),
    ];
    for (name, events) in rows {
        let (verdict, _data) = verdict_of(&[opened(), vec![grant(1_000, 1)], events].concat());
        assert!(!verdict.ok && verdict.other_faults == 1, "{name}: {verdict:?}");
        assert!(verdict.faults[0].contains(name), "{name}: {verdict:?}");
    }
}
