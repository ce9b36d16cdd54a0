//! Sessions that a log tells of: sound ones, and each way to contradict what it says of them.

use kuota_api::log::v1::{
    Cancelled, Event, Granted, Hold, HoldExpired, LaneOffer, OfficeDefined, PaymentCaseResolved,
    PaymentReceived, Session, SessionPlaces, SessionShare, TrancheChanged, event::Body,
};
use kuota_server::verify::Verdict;

use crate::{OPEN_AT_MS, SLOT, at, grant_of, opened, verdict_of};

const HOUR_MS: i64 = 3_600_000;
/// Eight o'clock on the service day, if that has 24 hours. It may have lost one since.
const EIGHT_MS: i64 = 32 * HOUR_MS;

fn session(hour: u32) -> Session {
    Session { start_minute: hour * 60, end_minute: hour * 60 + 60 }
}

/// The office has sessions of these hours and shares.
fn office(shares: &[(u32, u32)]) -> Body {
    let share = |(hour, share): &(u32, u32)| SessionShare { session: Some(session(*hour)), share: *share };
    let sessions = shares.iter().map(share).collect();
    let lanes = vec![LaneOffer { lane: 1, places: 2, sessions, ..LaneOffer::default() }];
    Body::OfficeDefined(OfficeDefined { id: "a".into(), lanes, ..OfficeDefined::default() })
}

/// So many places in sessions of these hours.
fn dealt(places: u32, sessions: &[(u32, u32)]) -> Body {
    let one = |(hour, places): &(u32, u32)| SessionPlaces { session: Some(session(*hour)), places: *places };
    Body::TrancheChanged(TrancheChanged {
        tranche: 1,
        slot: Some(SLOT),
        places,
        open_at_ms: OPEN_AT_MS,
        close_at_ms: EIGHT_MS + 7 * HOUR_MS,
        day_end_ms: EIGHT_MS + 16 * HOUR_MS,
        sessions: sessions.iter().map(one).collect(),
        ..TrancheChanged::default()
    })
}

/// A log whose slot has two places at 08:00 and one at 09:00.
fn with_sessions(more: Vec<(i64, Event)>) -> Vec<(i64, Event)> {
    let first = vec![at(0, office(&[(8, 1), (9, 1)])), at(0, dealt(3, &[(8, 2), (9, 1)]))];
    [opened(), first, more].concat()
}

fn granted(at_ms: i64, number: u8, hour: u32, queue_number: u32) -> (i64, Event) {
    grant_of(at_ms, number, |granted| {
        (granted.session, granted.queue_number) = (Some(session(hour)), queue_number);
    })
}

fn cancelled(number: u8) -> (i64, Event) {
    let registration_id = vec![number; 16];
    at(1_100, Body::Cancelled(Cancelled { registration_id, slot: Some(SLOT), payment_case: 0 }))
}

fn cancelled_with_case(number: u8) -> (i64, Event) {
    let registration_id = vec![number; 16];
    at(1_100, Body::Cancelled(Cancelled { registration_id, slot: Some(SLOT), payment_case: 1 }))
}

/// Held at 08:00 until 2,000 ms, for a fee of nothing.
fn held(number: u8, queue_number: u32) -> (i64, Event) {
    let hold = |granted: &mut Granted| {
        granted.applicants[0].passport = 1;
        granted.fee_rupiah = Some(0);
        granted.hold = Some(Hold { billing_reference: number.into(), expires_ms: 2_000 });
        (granted.session, granted.queue_number) = (Some(session(8)), queue_number);
    };
    grant_of(1_000, number, hold)
}

fn expired(number: u8) -> (i64, Event) {
    at(2_000, Body::HoldExpired(HoldExpired { registration_id: vec![number; 16], slot: Some(SLOT) }))
}

/// Paid too late: in its own session, or with another turn.
fn paid_late(number: u8, turn: Option<(u32, u32)>) -> (i64, Event) {
    let mut received = received(number, 2);
    received.queue_number = turn.map_or(0, |(_, queue_number)| queue_number);
    received.session = turn.map(|(hour, _)| session(hour));
    at(2_500, Body::PaymentReceived(received))
}

fn received(number: u8, effect: u32) -> PaymentReceived {
    PaymentReceived {
        registration_id: vec![number; 16],
        slot: Some(SLOT),
        payment_reference: format!("{number}"),
        effect,
        ..PaymentReceived::default()
    }
}

fn placed(number: u8, hour: u32, queue_number: u32) -> (i64, Event) {
    let resolved = PaymentCaseResolved {
        payment_case: 1,
        registration_id: vec![number; 16],
        slot: Some(SLOT),
        tranche: 1,
        queue_number,
        session: Some(session(hour)),
    };
    at(3_000, Body::PaymentCaseResolved(resolved))
}

fn free_passports() -> (i64, Event) {
    let passports = vec![kuota_api::log::v1::PassportFee { passport: 1, rupiah: 0, source: String::new() }];
    at(0, Body::FeesDefined(kuota_api::log::v1::FeesDefined { passports, surcharges: Vec::new() }))
}

#[test]
fn each_session_has_its_share_and_a_queue_of_its_own() {
    let more = vec![
        free_passports(),
        held(4, 1),
        granted(1_000, 1, 9, 1),
        granted(1_000, 2, 8, 2),
        cancelled(1),
        granted(1_200, 3, 9, 2),
        expired(4),
        paid_late(4, None),
        // Fewer places than are taken: who has one keeps it.
        at(2_600, dealt(1, &[(8, 1), (9, 0)])),
        at(2_700, office(&[(10, 1)])),
        at(2_700, dealt(4, &[(10, 4)])),
        granted(2_800, 5, 10, 1),
        // The day without sessions has a queue too.
        at(2_900, office(&[])),
        at(2_900, dealt(5, &[])),
        grant_of(2_900, 6, |one| one.queue_number = 1),
        // As late as can be.
        at(EIGHT_MS - 1, office(&[(8, 1), (9, 1)])),
        at(EIGHT_MS - 1, dealt(9, &[(8, 5), (9, 4)])),
        granted(EIGHT_MS - 1, 7, 8, 3),
        granted(EIGHT_MS + HOUR_MS - 1, 8, 9, 3),
    ];
    let (verdict, _data) = verdict_of(&with_sessions(more));
    assert!(verdict.ok, "{verdict:?}");
}

#[test]
fn each_way_to_break_a_session_is_counted_and_named() {
    type Count = fn(&Verdict) -> u64;
    let (oversold, other): (Count, Count) = (|verdict| verdict.oversold, |verdict| verdict.other_faults);
    let dealt = |places, sessions: &[(u32, u32)]| vec![at(500, dealt(places, sessions))];
    let rows: Vec<(&str, Count, Vec<(i64, Event)>)> = vec![
        (
            "oversold: 2 places taken of 1 of a session",
            oversold,
            vec![granted(1_000, 1, 9, 1), granted(1_000, 2, 9, 2)],
        ),
        (
            "oversold: 2 places taken of 1 of a session",
            oversold,
            vec![
                free_passports(),
                held(1, 1),
                granted(1_000, 2, 9, 1),
                expired(1),
                paid_late(1, Some((9, 2))),
            ],
        ),
        ("a place has a session that had begun", other, vec![granted(EIGHT_MS + HOUR_MS, 1, 8, 1)]),
        ("a place has no session where there are some", other, vec![grant_of(1_000, 1, |_| {})]),
        ("a place has a session that there is not", other, vec![granted(1_000, 1, 10, 1)]),
        (
            "a place has a session that is not offered",
            other,
            vec![grant_of(1_000, 1, |one| one.session = Some(Session { end_minute: 600, ..session(8) }))],
        ),
        ("a queue number is given twice", other, vec![granted(1_000, 1, 8, 1), granted(1_000, 2, 8, 1)]),
        ("the sessions of a slot are not all of its places", other, dealt(3, &[(8, 1), (9, 1)])),
        ("a session gets other places than its share", other, dealt(3, &[(8, 3), (9, 0)])),
        ("places are dealt out to other sessions than the catalogue's", other, dealt(3, &[(8, 3)])),
        ("places are dealt out to other sessions than the catalogue's", other, dealt(3, &[])),
        ("places are dealt out to other sessions than the catalogue's", other, dealt(3, &[(8, 2), (10, 1)])),
        ("a session is there twice", other, dealt(3, &[(8, 2), (8, 1)])),
        (
            "a queue number is given twice",
            other,
            vec![
                free_passports(),
                held(1, 1),
                granted(1_000, 2, 9, 1),
                cancelled(2),
                expired(1),
                paid_late(1, Some((9, 1))),
            ],
        ),
        (
            "oversold: 2 places taken of 1 of a session",
            oversold,
            vec![
                free_passports(),
                held(1, 1),
                granted(1_000, 2, 9, 1),
                at(1_050, Body::PaymentReceived(received(1, 1))),
                cancelled_with_case(1),
                placed(1, 9, 2),
            ],
        ),
    ];
    for (name, count, events) in rows {
        let (verdict, _data) = verdict_of(&with_sessions(events));
        assert!(!verdict.ok && count(&verdict) == 1, "{name}: {verdict:?}");
        assert!(verdict.faults.iter().any(|fault| fault.contains(name)), "{name}: {verdict:?}");
    }
}
