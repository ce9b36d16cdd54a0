//! Reschedules that a log tells of.

use kuota_api::log::v1::{
    Event, Hold, HoldExpired, OfficeDefined, Rescheduled, Slot, TrancheReleased, event::Body,
};
use kuota_server::verify::Verdict;

use crate::{SLOT, at, fees, grant_of, opened, verdict_of};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// When Tuesday ends.
const TUESDAY_END_MS: i64 = 3 * DAY_MS;
const TUESDAY: Slot = Slot { day: 20_002, ..SLOT };
const WEDNESDAY: Slot = Slot { day: 20_003, ..SLOT };
const ONE_DAY: Slot = Slot { lane: 2, ..WEDNESDAY };

fn released(tranche: u32, slot: Slot, day_end_ms: i64) -> (i64, Event) {
    let released = TrancheReleased {
        tranche,
        slot: Some(slot),
        opening_id: "weekly".into(),
        places: 1,
        open_at_ms: 1_000,
        close_at_ms: day_end_ms - 9 * HOUR_MS,
        day_end_ms,
        ..TrancheReleased::default()
    };
    at(0, Body::TrancheReleased(released))
}

/// Somebody on Tuesday, where there is one place, as on Wednesday.
fn week() -> Vec<(i64, Event)> {
    let mut log = opened();
    log.push(released(2, TUESDAY, TUESDAY_END_MS));
    log.push(released(3, WEDNESDAY, TUESDAY_END_MS + DAY_MS));
    log.push(released(4, ONE_DAY, TUESDAY_END_MS + DAY_MS));
    log.push(tuesday(1_000, 1));
    log
}

fn tuesday(at_ms: i64, number: u8) -> (i64, Event) {
    grant_of(at_ms, number, |granted| (granted.slot, granted.tranche) = (Some(TUESDAY), 2))
}

fn step(at_ms: i64, change: impl Fn(&mut Rescheduled)) -> (i64, Event) {
    let mut step = Rescheduled {
        registration_id: vec![1; 16],
        from: Some(TUESDAY),
        to: Some(WEDNESDAY),
        tranche: 3,
        queue_number: 1,
        request_id: vec![100; 16],
        ..Rescheduled::default()
    };
    change(&mut step);
    at(at_ms, Body::Rescheduled(step))
}

fn specially(step: &mut Rescheduled) {
    step.request_id = Vec::new();
}

#[test]
fn who_leaves_a_place_for_another_has_one() {
    let back = step(2_000, |step| {
        specially(step);
        (step.from, step.to, step.tranche, step.queue_number) = (Some(WEDNESDAY), Some(TUESDAY), 2, 3);
    });
    // The place that was left is given to another, and comes back by a cancellation.
    let cancelled =
        kuota_api::log::v1::Cancelled { registration_id: vec![2; 16], slot: Some(TUESDAY), payment_case: 0 };
    let more = vec![step(1_500, |_| {}), tuesday(1_600, 2), at(1_700, Body::Cancelled(cancelled)), back];
    let (verdict, _data) = verdict_of(&[week(), more].concat());
    assert!(verdict.ok, "{verdict:?}");
    assert_eq!((verdict.grants, verdict.live), (2, 1));
    // An operator may on the day itself.
    let (verdict, _data) = verdict_of(&[week(), vec![step(TUESDAY_END_MS - 1, specially)]].concat());
    assert!(verdict.ok, "{verdict:?}");
}

fn held() -> Vec<(i64, Event)> {
    let mut log = week();
    log.pop();
    log.push(fees());
    log.push(grant_of(1_000, 1, |granted| {
        (granted.slot, granted.tranche) = (Some(TUESDAY), 2);
        granted.applicants[0].passport = 1;
        granted.fee_rupiah = Some(351_000);
        granted.hold = Some(Hold { billing_reference: 1, expires_ms: 9_000 });
    }));
    log
}

#[test]
fn a_hold_goes_along_and_ends_when_it_would_have() {
    let expired = HoldExpired { registration_id: vec![1; 16], slot: Some(WEDNESDAY) };
    let more =
        vec![step(1_500, |step| step.hold_expires_ms = Some(9_000)), at(9_000, Body::HoldExpired(expired))];
    let (verdict, _data) = verdict_of(&[held(), more].concat());
    assert!(verdict.ok && verdict.live == 0, "{verdict:?}");
    for (expires_ms, log) in [(None, held()), (Some(9_001), held()), (Some(9_000), week())] {
        let more = vec![step(1_500, |step| step.hold_expires_ms = expires_ms)];
        let (verdict, _data) = verdict_of(&[log, more].concat());
        let fault = "a reschedule changes how long a place is held";
        assert!(verdict.faults.iter().any(|found| found.contains(fault)), "{verdict:?}");
    }
}

#[test]
fn each_way_to_have_two_places_or_none_is_counted_and_named() {
    type Count = fn(&Verdict) -> u64;
    let other: Count = |verdict| verdict.other_faults;
    let wednesday =
        |number| grant_of(1_000, number, |granted| (granted.slot, granted.tranche) = (Some(WEDNESDAY), 3));
    let rows: Vec<(&str, Count, Vec<(i64, Event)>)> = vec![
        (
            "oversold by a place that is taken once more",
            |verdict| verdict.oversold,
            vec![wednesday(2), step(1_500, |step| step.queue_number = 3)],
        ),
        (
            "a reschedule has a request_id that was used before",
            |verdict| verdict.reused_requests,
            vec![step(1_500, |step| step.request_id = vec![1; 16])],
        ),
        (
            "a place is taken once more before its opening",
            |verdict| verdict.early_grants,
            vec![
                at(1_000, Body::OfficeDefined(OfficeDefined { number: 1, ..OfficeDefined::default() })),
                {
                    let (at_ms, mut event) = released(5, Slot { office: 1, ..TUESDAY }, TUESDAY_END_MS);
                    if let Some(Body::TrancheReleased(released)) = &mut event.body {
                        released.open_at_ms = 2_000;
                    }
                    (at_ms.max(1_000), event)
                },
                step(1_500, |step| {
                    (step.to, step.tranche) = (Some(Slot { office: 1, ..TUESDAY }), 5);
                }),
            ],
        ),
        (
            "a registration is rescheduled a second time",
            other,
            vec![
                step(1_500, |_| {}),
                step(1_600, |step| {
                    (step.from, step.to, step.tranche) = (Some(WEDNESDAY), Some(TUESDAY), 2);
                    (step.request_id, step.queue_number) = (vec![101; 16], 2);
                }),
            ],
        ),
        (
            "a registration is rescheduled when its service day has come, or is over",
            other,
            vec![step(TUESDAY_END_MS - 23 * HOUR_MS, |_| {})],
        ),
        (
            "a registration is rescheduled when its service day has come, or is over",
            other,
            vec![step(TUESDAY_END_MS, specially)],
        ),
        (
            "a registration without a place is rescheduled",
            other,
            vec![step(1_500, |step| step.registration_id = vec![9; 16])],
        ),
        (
            "a registration is rescheduled from where it is not, or to where it is",
            other,
            vec![step(1_500, |step| step.from = Some(SLOT))],
        ),
        (
            "a registration is rescheduled from where it is not, or to where it is",
            other,
            vec![step(1_500, |step| step.to = Some(TUESDAY))],
        ),
        (
            "a registration is rescheduled to a lane of another price",
            other,
            vec![(1_000, fees().1), step(1_500, |step| (step.to, step.tranche) = (Some(ONE_DAY), 4))],
        ),
        ("a reschedule cites a tranche of another slot", other, vec![step(1_500, |step| step.tranche = 2)]),
        (
            "a queue number is given twice",
            other,
            vec![wednesday(2), step(1_500, |step| step.queue_number = 2)],
        ),
        (
            "a place is taken where no grant may be",
            other,
            vec![step(6_000, |step| {
                specially(step);
                (step.to, step.tranche) = (Some(SLOT), 1);
            })],
        ),
    ];
    for (name, count, events) in rows {
        let (verdict, _data) = verdict_of(&[week(), events].concat());
        assert!(!verdict.ok && count(&verdict) >= 1, "{name}: {verdict:?}");
        assert!(verdict.faults.iter().any(|fault| fault.contains(name)), "{name}: {verdict:?}");
    }
}
