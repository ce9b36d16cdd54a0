//! `verify` on logs that were damaged on purpose: each broken invariant is counted, named, and ends with 1.

mod attendance;
mod payments;
mod reschedule;
mod sessions;
#[path = "../support/mod.rs"]
mod support;

use std::{path::Path, process::Command};

use kuota_api::log::v1::{
    Applicant, Cancelled, CommandCarriedOut, DayClosed, Event, EventBatch, FeesDefined, FormatRaised,
    Granted, LaneSurcharge, LogOpened, OfficeDefined, OverrideCleared, OverrideSet, PassportFee, Paused,
    Resumed, Scope, Slot, TrancheChanged, TrancheReleased, event::Body,
};
use kuota_server::{
    log::{Chain, EventLog, FORMAT, LogOptions, SqliteLog},
    verify::{Verdict, verify},
};
use prost::Message as _;
use support::process::SERVER;

const OPEN_AT_MS: i64 = 1_000;
const CLOSE_AT_MS: i64 = 5_000;
const DAY_END_MS: i64 = 9_000;

use payments::cancelled;

const SLOT: Slot = Slot { office: 0, day: 20_000, lane: 1 };

fn at(at_ms: i64, body: Body) -> (i64, Event) {
    (at_ms, Event { body: Some(body), ..Event::default() })
}

/// A log of one office with one slot of two places.
fn opened() -> Vec<(i64, Event)> {
    let (log_id, nik_key_check) = (vec![1; 16], vec![2; 16]);
    let released = TrancheReleased {
        tranche: 1,
        slot: Some(SLOT),
        opening_id: "weekly".into(),
        places: 2,
        open_at_ms: OPEN_AT_MS,
        close_at_ms: CLOSE_AT_MS,
        day_end_ms: DAY_END_MS,
        ..TrancheReleased::default()
    };
    vec![
        at(0, Body::LogOpened(LogOpened { log_id, format: FORMAT, nik_key_check })),
        at(0, Body::OfficeDefined(OfficeDefined { id: "a".into(), ..OfficeDefined::default() })),
        at(0, Body::TrancheReleased(released)),
    ]
}

fn grant(at_ms: i64, number: u8) -> (i64, Event) {
    grant_of(at_ms, number, |_| {})
}

fn grant_of(at_ms: i64, number: u8, change: impl Fn(&mut Granted)) -> (i64, Event) {
    let applicant = Applicant { key: vec![number; 16], last_four: 1, ..Applicant::default() };
    let mut granted = Granted {
        registration_id: vec![number; 16],
        request_id: vec![number; 16],
        content: vec![number; 16],
        slot: Some(SLOT),
        tranche: 1,
        queue_number: number.into(),
        code: number.into(),
        applicants: vec![applicant],
        ..Granted::default()
    };
    change(&mut granted);
    at(at_ms, Body::Granted(granted))
}

fn command(at_ms: i64, number: u8, forget_before_ms: i64) -> (i64, Event) {
    let (request_id, content) = (vec![number; 16], vec![number; 16]);
    at(
        at_ms,
        Body::CommandCarriedOut(CommandCarriedOut { request_id, content, changes: 1, forget_before_ms }),
    )
}

fn write(data: &Path, events: &[(i64, Event)]) {
    let (mut log, _) = SqliteLog::open(&data.join("log.sqlite"), LogOptions::default()).unwrap();
    let mut chain = Chain::default();
    for (now_ms, event) in events {
        let payload = EventBatch { events: vec![event.clone()] }.encode_to_vec();
        let row = chain.seal(1, payload, (1, 2), (FORMAT, *now_ms));
        log.append(&row).unwrap();
        chain.follow(&row).unwrap();
    }
}

fn verdict_of(events: &[(i64, Event)]) -> (Verdict, tempfile::TempDir) {
    let data = tempfile::tempdir().unwrap();
    write(data.path(), events);
    (verify(data.path()).unwrap(), data)
}

#[test]
fn a_sound_log_is_ok() {
    let more = [
        grant(1_000, 1),
        grant(1_500, 2),
        at(
            1_600,
            Body::Cancelled(Cancelled { registration_id: vec![1; 16], slot: Some(SLOT), payment_case: 0 }),
        ),
        grant(2_000, 3),
        at(9_000, Body::DayClosed(DayClosed { office: 0, day: 20_000, forget_at_ms: 99_000 })),
    ];
    let (verdict, _data) = verdict_of(&[opened(), more.to_vec()].concat());
    assert!(verdict.ok, "{verdict:?}");
    assert_eq!((verdict.events, verdict.grants, verdict.live), (8, 3, 0));
}

#[test]
fn what_operators_do_is_sound_too() {
    let scope = Some(Scope { office: Some(0), day: None, lane: Some(1) });
    let later = TrancheChanged {
        tranche: 1,
        slot: Some(SLOT),
        places: 3,
        open_at_ms: OPEN_AT_MS,
        close_at_ms: CLOSE_AT_MS + 2_000,
        day_end_ms: DAY_END_MS + 2_000,
        ..TrancheChanged::default()
    };
    let more = [
        at(1_000, Body::Paused(Paused { scope })),
        command(1_000, 1, 0),
        at(1_100, Body::Resumed(Resumed { scope })),
        at(1_200, Body::OverrideSet(OverrideSet { slot: Some(SLOT), places: Some(3), open_at_ms: None })),
        grant(1_300, 1),
        at(1_400, Body::TrancheChanged(later)),
        grant(CLOSE_AT_MS + 1_000, 2),
        command(CLOSE_AT_MS + 1_000, 1, CLOSE_AT_MS),
    ];
    let (verdict, _data) = verdict_of(&[opened(), more.to_vec()].concat());
    assert!(verdict.ok, "booking that closes later is honoured: {verdict:?}");
}

/// 350,000 for an ordinary passport, and 1,000 more on the lane of the slot.
fn fees() -> (i64, Event) {
    let source = String::new();
    let passports = vec![PassportFee { passport: 1, rupiah: 350_000, source: source.clone() }];
    let surcharges = vec![LaneSurcharge { lane: 1, rupiah: 1_000, source }];
    at(900, Body::FeesDefined(FeesDefined { passports, surcharges }))
}

fn paid_grant(at_ms: i64, number: u8, passport: u32, fee_rupiah: Option<u32>) -> (i64, Event) {
    grant_of(at_ms, number, |granted| {
        granted.applicants[0].passport = passport;
        granted.fee_rupiah = fee_rupiah;
    })
}

#[test]
fn fees_are_what_the_log_says_they_are() {
    let more = [paid_grant(1_000, 1, 0, None), paid_grant(1_000, 2, 1, Some(351_000))];
    let (verdict, _data) = verdict_of(&[opened(), vec![fees()], more.to_vec()].concat());
    assert!(verdict.ok, "{verdict:?}");
}

#[test]
fn each_broken_invariant_is_counted_and_named() {
    type Count = fn(&Verdict) -> u64;
    let changed = |open_at_ms| {
        let (close_at_ms, day_end_ms) = (CLOSE_AT_MS, DAY_END_MS);
        Body::TrancheChanged(TrancheChanged {
            tranche: 1,
            slot: Some(SLOT),
            places: 1,
            open_at_ms,
            close_at_ms,
            day_end_ms,
            ..TrancheChanged::default()
        })
    };
    let cut_off = |cut_off_ms| match changed(OPEN_AT_MS) {
        Body::TrancheChanged(changed) => {
            Body::TrancheChanged(TrancheChanged { places: 2, cut_off_ms: Some(cut_off_ms), ..changed })
        }
        other => other,
    };
    let rows: Vec<(&str, Count, Vec<(i64, Event)>)> = vec![
        (
            "oversold: 3 places taken of 2",
            |v| v.oversold,
            vec![grant(1_000, 1), grant(1_000, 2), grant(1_000, 3)],
        ),
        (
            "oversold: 2 places taken of 1",
            |v| v.oversold,
            vec![grant(1_000, 1), at(1_000, changed(OPEN_AT_MS)), grant(1_000, 2)],
        ),
        (
            "applicant 0 already has a live registration",
            |v| v.duplicate_applicants,
            vec![grant(1_000, 1), grant_of(1_000, 2, |g| g.applicants[0].key = vec![1; 16])],
        ),
        ("granted at 999 ms, before the opening at 1000 ms", |v| v.early_grants, vec![grant(999, 1)]),
        (
            "a request_id is granted a second time",
            |v| v.reused_requests,
            vec![grant(1_000, 1), grant_of(1_000, 2, |g| g.request_id = vec![1; 16])],
        ),
        (
            "a queue number is given twice",
            |v| v.other_faults,
            vec![grant(1_000, 1), grant_of(1_000, 2, |g| g.queue_number = 1)],
        ),
        (
            "a booking code is given twice",
            |v| v.other_faults,
            vec![grant(1_000, 1), grant_of(1_000, 2, |g| g.code = 1)],
        ),
        ("a grant is for nobody", |v| v.other_faults, vec![grant_of(1_000, 1, |g| g.applicants.clear())]),
        ("a grant comes after booking", |v| v.other_faults, vec![grant(5_000, 1)]),
        ("time runs backwards", |v| v.other_faults, vec![grant(2_000, 1), grant(1_999, 2)]),
        ("the opening of an opened tranche is moved", |v| v.other_faults, vec![at(1_000, changed(2_000))]),
        (
            "does not exist, or twice",
            |v| v.other_faults,
            vec![at(
                1_000,
                Body::Cancelled(Cancelled {
                    registration_id: vec![1; 16],
                    slot: Some(SLOT),
                    payment_case: 0,
                }),
            )],
        ),
        (
            "a service day ends too early",
            |v| v.other_faults,
            vec![at(8_999, Body::DayClosed(DayClosed { office: 0, day: 20_000, forget_at_ms: 99_000 }))],
        ),
        (
            "a grant comes while its slot is paused",
            |v| v.other_faults,
            vec![at(1_000, Body::Paused(Paused { scope: Some(Scope::default()) })), grant(1_000, 1)],
        ),
        (
            "what was never paused resumes",
            |v| v.other_faults,
            vec![at(1_000, Body::Resumed(Resumed { scope: Some(Scope::default()) }))],
        ),
        (
            "what was never set is cleared",
            |v| v.other_faults,
            vec![at(1_000, Body::OverrideCleared(OverrideCleared { slot: Some(SLOT) }))],
        ),
        (
            "an operator's write is carried out twice",
            |v| v.other_faults,
            vec![command(1_000, 1, 0), command(2_000, 1, 1_000)],
        ),
        (
            "a cancellation names another slot",
            |v| v.other_faults,
            vec![
                grant(1_000, 1),
                at(
                    1_000,
                    Body::Cancelled(Cancelled { registration_id: vec![1; 16], slot: None, payment_case: 0 }),
                ),
            ],
        ),
        (
            "a fee is not what the catalogue in force comes to",
            |v| v.other_faults,
            vec![fees(), paid_grant(1_000, 1, 1, Some(350_000))],
        ),
        (
            "a fee is not what the catalogue in force comes to",
            |v| v.other_faults,
            vec![paid_grant(1_000, 1, 0, Some(0))],
        ),
        (
            "a grant comes after its lane was cut off",
            |v| v.other_faults,
            vec![at(1_000, cut_off(2_000)), grant(1_999, 1), grant(2_000, 2)],
        ),
        (
            "the format is raised to what it was, or lowered",
            |v| v.other_faults,
            vec![at(1_000, Body::FormatRaised(FormatRaised { format: FORMAT }))],
        ),
        ("unknown event type", |v| v.other_faults, vec![(1_000, Event::default())]),
    ];
    for (name, count, events) in rows {
        let (verdict, data) = verdict_of(&[opened(), events].concat());
        assert!(!verdict.ok && count(&verdict) == 1, "{name}: {verdict:?}");
        assert!(verdict.faults.iter().any(|fault| fault.contains(name)), "{name}: {verdict:?}");
        let output = Command::new(SERVER).arg("verify").arg("--data").arg(data.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}");
        let (out, err) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(out.contains("\"ok\": false") && err.contains(name), "{name}: {out}{err}");
    }
}

#[test]
fn an_old_log_must_be_raised_before_it_holds_what_is_new() {
    let mut old = opened();
    if let Some(Body::LogOpened(opened)) = &mut old[0].1.body {
        opened.format = 1;
    }
    let (verdict, _data) = verdict_of(&[old.clone(), vec![fees()]].concat());
    assert!(verdict.faults[0].contains("an event that the log's format has not"), "{verdict:?}");
    let raised = at(900, Body::FormatRaised(FormatRaised { format: 2 }));
    let (verdict, _data) = verdict_of(&[old, vec![raised, fees()]].concat());
    assert!(verdict.ok, "{verdict:?}");
}

#[test]
fn a_broken_chain_is_found() {
    let data = tempfile::tempdir().unwrap();
    write(data.path(), &[opened(), vec![grant(1_000, 1), grant(1_000, 2)]].concat());
    let log = rusqlite::Connection::open(data.path().join("log.sqlite")).unwrap();
    for (damage, fault) in [
        (
            "UPDATE batches SET payload = x'00' WHERE first_seq = 4",
            "the row of event 4 does not match its own digest",
        ),
        ("DELETE FROM batches WHERE first_seq = 4", "event 4 should follow, found 5"),
    ] {
        log.execute(damage, []).unwrap();
        let verdict = verify(data.path()).unwrap();
        assert!(!verdict.ok && verdict.faults[0].contains(fault), "{verdict:?}");
    }
}

#[test]
fn a_directory_without_a_log_ends_with_74() {
    let data = tempfile::tempdir().unwrap();
    let output = Command::new(SERVER).arg("verify").arg("--data").arg(data.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(74));
}
