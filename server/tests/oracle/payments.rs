//! Payments and holds that a log tells of.

use kuota_api::log::v1::{
    Cancelled, Event, Hold, HoldExpired, PaymentCaseResolved, PaymentReceived, event::Body,
};
use kuota_server::verify::Verdict;

use crate::{CLOSE_AT_MS, SLOT, at, fees, grant, grant_of, opened, paid_grant, verdict_of};

const EXPIRES_MS: i64 = 3_000;

fn held(at_ms: i64, number: u8) -> (i64, Event) {
    grant_of(at_ms, number, |granted| {
        granted.applicants[0].passport = 1;
        granted.fee_rupiah = Some(351_000);
        granted.hold = Some(Hold { billing_reference: number.into(), expires_ms: EXPIRES_MS });
    })
}

fn expired(at_ms: i64, number: u8) -> (i64, Event) {
    at(at_ms, Body::HoldExpired(HoldExpired { registration_id: vec![number; 16], slot: Some(SLOT) }))
}

pub(crate) fn cancelled(at_ms: i64, number: u8, payment_case: u32) -> (i64, Event) {
    let registration_id = vec![number; 16];
    at(at_ms, Body::Cancelled(Cancelled { registration_id, slot: Some(SLOT), payment_case }))
}

/// A payment, and what it came to: effect, case and cause.
fn paid(at_ms: i64, number: u8, reference: &str, outcome: (u32, u32, u32)) -> (i64, Event) {
    let (effect, payment_case, cause) = outcome;
    let received = PaymentReceived {
        registration_id: vec![number; 16],
        slot: Some(SLOT),
        payment_reference: reference.into(),
        amount_rupiah: 351_000,
        effect,
        payment_case,
        cause,
        ..PaymentReceived::default()
    };
    at(at_ms, Body::PaymentReceived(received))
}

fn resolved(at_ms: i64, number: u8, payment_case: u32, queue_number: u32) -> (i64, Event) {
    let slot = Some(SLOT).filter(|_| queue_number > 0);
    let registration_id = vec![number; 16];
    let resolved = PaymentCaseResolved {
        payment_case,
        registration_id,
        slot,
        tranche: queue_number.min(1),
        queue_number,
        ..PaymentCaseResolved::default()
    };
    at(at_ms, Body::PaymentCaseResolved(resolved))
}

const CONFIRMED: (u32, u32, u32) = (1, 0, 0);
const REINSTATED: (u32, u32, u32) = (2, 0, 0);

#[test]
fn payments_that_have_a_place_or_a_case_are_sound() {
    let more = vec![
        fees(),
        held(1_000, 1),
        held(1_000, 2),
        paid(1_500, 1, "on time", CONFIRMED),
        expired(EXPIRES_MS, 2),
        paid(3_100, 2, "late", REINSTATED),
        paid(3_200, 1, "twice", (3, 1, 3)),
        cancelled(3_300, 2, 2),
        resolved(3_400, 2, 2, 3),
        resolved(3_500, 1, 1, 0),
    ];
    let (verdict, _data) = verdict_of(&[opened(), more].concat());
    assert!(verdict.ok, "{verdict:?}");
    assert_eq!((verdict.payments, verdict.open_cases, verdict.live), (3, 0, 2));
}

#[test]
fn each_way_to_lose_money_is_counted_and_named() {
    type Count = fn(&Verdict) -> u64;
    let other: Count = |verdict| verdict.other_faults;
    let rows: Vec<(&str, Count, Vec<(i64, Event)>)> = vec![
        (
            "payment a has neither a place nor a case",
            |v| v.lost_payments,
            vec![held(1_000, 1), paid(1_500, 1, "a", CONFIRMED), cancelled(1_600, 1, 0)],
        ),
        (
            "a paid registration is cancelled without a case",
            other,
            vec![held(1_000, 1), paid(1_500, 1, "a", CONFIRMED), cancelled(1_600, 1, 0)],
        ),
        ("a case is opened for nothing that was paid", other, vec![held(1_000, 1), cancelled(1_600, 1, 1)]),
        ("a hold expires before its deadline", other, vec![held(1_000, 1), expired(EXPIRES_MS - 1, 1)]),
        (
            "a hold expires that is none",
            other,
            vec![held(1_000, 1), paid(1_500, 1, "a", CONFIRMED), expired(EXPIRES_MS, 1)],
        ),
        (
            "a payment is accepted twice",
            other,
            vec![held(1_000, 1), paid(1_500, 1, "a", CONFIRMED), paid(1_600, 1, "a", (3, 1, 3))],
        ),
        (
            "a payment comes to what its registration's state does not allow",
            other,
            vec![held(1_000, 1), paid(1_500, 1, "a", CONFIRMED), paid(1_600, 1, "b", CONFIRMED)],
        ),
        (
            "oversold by a place that is taken once more",
            |v| v.oversold,
            vec![
                held(1_000, 1),
                held(1_000, 2),
                expired(EXPIRES_MS, 1),
                grant(3_100, 3),
                paid(3_200, 1, "a", REINSTATED),
            ],
        ),
        (
            "a place is taken where no grant may be",
            other,
            vec![held(1_000, 1), expired(EXPIRES_MS, 1), paid(CLOSE_AT_MS, 1, "a", REINSTATED)],
        ),
        (
            "a case names another cause than there is",
            other,
            vec![held(1_000, 1), paid(1_500, 1, "a", CONFIRMED), paid(1_600, 1, "b", (3, 1, 1))],
        ),
        (
            "cases are not numbered in order",
            other,
            vec![held(1_000, 1), paid(1_500, 1, "a", CONFIRMED), paid(1_600, 1, "b", (3, 2, 3))],
        ),
        (
            "a payment is accepted that is not the fee of a held place",
            other,
            vec![paid_grant(1_000, 1, 1, Some(351_000)), paid(1_500, 1, "a", CONFIRMED)],
        ),
        ("a case is resolved that does not exist", other, vec![held(1_000, 1), resolved(1_500, 1, 1, 0)]),
        (
            "a place is given to a registration that has one",
            other,
            vec![
                held(1_000, 1),
                paid(1_500, 1, "a", CONFIRMED),
                paid(1_600, 1, "b", (3, 1, 3)),
                resolved(1_700, 1, 1, 2),
            ],
        ),
    ];
    for (name, count, events) in rows {
        let (verdict, _data) = verdict_of(&[opened(), vec![fees()], events].concat());
        assert!(!verdict.ok && count(&verdict) == 1, "{name}: {verdict:?}");
        assert!(verdict.faults.iter().any(|fault| fault.contains(name)), "{name}: {verdict:?}");
    }
}
