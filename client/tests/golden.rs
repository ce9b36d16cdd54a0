//! What `kuota` prints, against a server that answers from a script.
//! `UPDATE_EXPECT=1 cargo test -p kuota-client --test golden` writes the files in `golden/` anew.

mod support;

use std::{collections::HashMap, io::Write as _};

use expect_test::expect_file;
use kuota_api::v1::{self, Lane, RefusalReason};
use support::{
    Scripted, Stream, failed, item_failed, item_granted, item_refused,
    tool::{ID, golden, page, run},
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

const KANIM: &str = "kanim-pontianak";

/// A server that knows the zone of its one office, however often it is asked.
async fn pontianak() -> Scripted {
    let server = Scripted::start().await;
    for _ in 0..20 {
        let office = v1::Office {
            id: KANIM.into(),
            name: "Kantor Imigrasi Pontianak".into(),
            time_zone: "Asia/Pontianak".into(),
            ..Default::default()
        };
        server
            .script
            .offices
            .then(Ok(v1::ListOfficesResponse { offices: vec![office], ..Default::default() }));
    }
    server
}

/// 2026-11-27 14:00 in Pontianak, and so many seconds.
fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: 1_795_762_800 + seconds, nanos: 0 })
}

/// Asked again without a pause.
fn at_once(mut status: Status) -> Status {
    status.metadata_mut().insert("grpc-retry-pushback-ms", "0".parse().unwrap());
    status
}

fn receipt(changes: u32) -> Option<v1::Receipt> {
    Some(v1::Receipt { request_id: ID.into(), time: at(0), changes, repeated_request: false })
}

fn slot_change(before: Option<u32>, after: u32, granted: u32) -> v1::SlotChange {
    v1::SlotChange {
        office_id: KANIM.into(),
        service_date: "2026-11-30".into(),
        lane: Lane::Regular.into(),
        capacity_before: before,
        capacity_after: after,
        granted,
        open_time_before: at(0).filter(|_| before.is_some()),
        open_time_after: at(0),
    }
}

fn pause(scope: v1::Scope) -> v1::PauseState {
    v1::PauseState { scope: Some(scope), since: at(60), actor: "siti".into(), reason: "power cut".into() }
}

fn office_scope() -> v1::Scope {
    v1::Scope { office_id: Some(KANIM.into()), ..Default::default() }
}

#[tokio::test]
async fn what_else_is_free() {
    let server = pontianak().await;
    let row = |office: &str, date: &str, lane: Lane, more: (i64, u32, u32)| {
        let (surcharge_rupiah, distance_m, available) = more;
        let (office_id, service_date, lane) = (office.into(), date.into(), lane.into());
        v1::Alternative { office_id, service_date, lane, surcharge_rupiah, distance_m, available }
    };
    let alternatives = vec![
        row(KANIM, "2026-12-02", Lane::Regular, (0, 0, 3)),
        row(KANIM, "2026-11-30", Lane::OneDay, (1_000_000, 0, 1)),
        row("mpp-near", "2026-11-30", Lane::Regular, (0, 850, 10)),
        row("ukk-far", "2026-11-30", Lane::Priority, (0, 63_499, 2)),
        row("kanim-new", "someday", Lane::Unspecified, (0, 199_500, 2)),
    ];
    for _ in 0..2 {
        let refusal =
            v1::Refusal { alternatives: alternatives.clone(), ..support::refusal(RefusalReason::SoldOut, 0) };
        let outcome = Some(v1::register_response::Outcome::Refusal(refusal));
        server.script.register.then(Ok(v1::RegisterResponse { outcome, server_time: None }));
    }
    let ask = ["register", "--office", KANIM, "--date", "2026-11-30", "--nik", "6171012309870001"];
    let commands: [&[&str]; 2] = [&ask, &[&ask[..], &["--output", "json"]].concat()];
    let text = page(&server, &commands).await.replace("6171012309870001", "<nik>");
    expect_file![golden("alternatives.txt")].assert_eq(&text);
}

#[tokio::test]
async fn quotas_openings_and_overrides() {
    let server = pontianak().await;
    let script = &server.script;
    let pauses = || Ok(v1::GetCatalogResponse { pauses: vec![pause(office_scope())], ..Default::default() });
    script.set_quota.then(Ok(v1::SetQuotaResponse {
        receipt: receipt(1),
        slots: vec![slot_change(Some(120), 100, 112)],
        ..Default::default()
    }));
    script.set_quota.then(Ok(v1::SetQuotaResponse {
        receipt: receipt(1),
        slots: vec![slot_change(Some(120), 140, 112)],
        ..Default::default()
    }));
    script.get_catalog.then(pauses()).then(Ok(v1::GetCatalogResponse::default()));
    script.clear_override.then(Ok(v1::ClearOverrideResponse { receipt: receipt(0), ..Default::default() }));
    script.get_catalog.then(Ok(v1::GetCatalogResponse::default()));
    let repeated = v1::Receipt { repeated_request: true, ..receipt(1).unwrap() };
    script.schedule_opening.then(Ok(v1::ScheduleOpeningResponse {
        receipt: receipt(2),
        slots: vec![slot_change(None, 40, 0)],
        ..Default::default()
    }));
    script.get_catalog.then(Ok(v1::GetCatalogResponse::default()));
    script
        .schedule_opening
        .then(Ok(v1::ScheduleOpeningResponse { receipt: Some(repeated), ..Default::default() }));
    script.get_catalog.then(Ok(v1::GetCatalogResponse::default()));
    script.schedule_opening.then(Err(failed(Code::InvalidArgument, "OPENING_IN_THE_PAST")));
    script
        .set_quota
        .then(Ok(v1::SetQuotaResponse { slots: vec![slot_change(Some(120), 1, 112)], ..Default::default() }));
    script.clear_override.then(Err(failed(Code::FailedPrecondition, "NOT_SCHEDULED")));
    script.schedule_opening.then(Err(failed(Code::FailedPrecondition, "PLACES_REQUIRED")));
    let slot = ["--office", KANIM, "--date", "2026-11-30", "--lane", "REGULAR"];
    let why = ["--reason", "a test", "--yes"];
    let set = [&["admin", "quota", "set"], &slot[..], &["--places", "100"], &why].concat();
    let set_json =
        [&["--output", "json", "admin", "quota", "set"], &slot[..], &["--places", "140"], &why].concat();
    let looked = [&["admin", "quota", "set"], &slot[..], &["--places", "1", "--reason", "a test"]].concat();
    let clear_looked = [&["admin", "quota", "clear"], &slot[..], &["--reason", "a test"]].concat();
    let clear = [&["admin", "quota", "clear"], &slot[..], &why].concat();
    let open = |at: &'static str| {
        let days = ["admin", "open", "--office", KANIM, "--date", "2026-12-05", "--at", at, "--places", "40"];
        [&days[..], &["--request-id", ID], &why].concat()
    };
    let (local, absolute) = (open("2026-11-28 09:00"), open("2026-11-28T02:00:00Z"));
    let (past, wrong) = (open("2020-01-01T00:00:00Z"), open("soon"));
    let no_places = [&["--output", "json"], &local[..]].concat();
    let commands: [&[&str]; 10] =
        [&set, &set_json, &clear, &local, &absolute, &past, &wrong, &looked, &clear_looked, &no_places];
    let page = page(&server, &commands).await;
    let looks: Vec<bool> = script.set_quota.asked().iter().map(|asked| asked.validate_only).collect();
    assert_eq!(looks, [false, false, true], "what is not confirmed is only looked at");
    expect_file![golden("admin-slots.txt")].assert_eq(&page);
    let asked = script.schedule_opening.asked();
    assert_eq!(asked[0], asked[1], "the clock of the office, and UTC");
    let command = asked[0].command.clone().unwrap();
    assert_eq!((command.actor.as_str(), command.reason.as_str()), ("siti", "a test"));
}

#[tokio::test]
async fn pauses_and_status() {
    let server = pontianak().await;
    let script = &server.script;
    let everything = pause(v1::Scope::default());
    script.pause.then(Ok(v1::PauseResponse {
        receipt: receipt(1),
        pauses: vec![everything.clone(), pause(office_scope())],
        ..Default::default()
    }));
    let still = vec![everything.clone()];
    script.resume.then(Ok(v1::ResumeResponse { receipt: receipt(1), pauses: still, ..Default::default() }));
    script.resume.then(Ok(v1::ResumeResponse { receipt: receipt(0), ..Default::default() }));
    (0..5).for_each(|_| {
        script.resume.then(Err(at_once(Status::unavailable("gone"))));
    });
    let places = v1::Override {
        office_id: KANIM.into(),
        service_date: "2026-11-30".into(),
        lane: Lane::OneDay.into(),
        places: Some(5),
        open_time: None,
    };
    let opening =
        v1::Override { places: None, open_time: at(3_600), lane: Lane::Regular.into(), ..places.clone() };
    let status = v1::GetCatalogResponse {
        toml: "[[office]]\n".into(),
        overrides: vec![places, opening],
        pauses: vec![everything],
        server_time: None,
    };
    script.get_catalog.then(Ok(status.clone())).then(Ok(status.clone())).then(Ok(status));
    script.get_catalog.then(Ok(v1::GetCatalogResponse::default()));
    let commands: [&[&str]; 8] = [
        &["admin", "pause", "--office", KANIM, "--reason", "power cut", "--yes"],
        &["admin", "resume", "--office", KANIM, "--reason", "back", "-y"],
        &["--output", "json", "admin", "resume", "--everything", "--reason", "back", "-y"],
        &["admin", "resume", "--everything", "--reason", "back", "-y"],
        &["admin", "status"],
        &["admin", "status", "--output", "json"],
        &["admin", "catalog", "get"],
        &["admin", "status"],
    ];
    expect_file![golden("admin-pauses.txt")].assert_eq(&page(&server, &commands).await);
}

#[tokio::test]
async fn a_catalogue_is_shown_before_it_is_applied() {
    let server = pontianak().await;
    let script = &server.script;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kalbar.toml");
    std::fs::write(&file, "[[office]]\n").unwrap();
    let change = |kind: v1::CatalogChangeKind, subject: &str, field: &str, before: &str, after: &str| {
        v1::CatalogChange {
            kind: kind.into(),
            subject: subject.into(),
            field: field.into(),
            before: before.into(),
            after: after.into(),
        }
    };
    use v1::CatalogChangeKind::{Added, Changed, Removed};
    let diff = v1::ApplyCatalogResponse {
        receipt: None,
        changes: vec![
            change(Added, "holiday 2026-12-25", "", "", "Natal"),
            change(Changed, "office kanim-pontianak", "lane REGULAR places", "120", "140"),
            change(Removed, "office mpp-kubu-raya", "", "", ""),
        ],
        changes_total: 3,
        slots: vec![slot_change(Some(120), 140, 7)],
        slots_total: 12,
        server_time: None,
    };
    let applied = v1::ApplyCatalogResponse { receipt: receipt(4), ..diff.clone() };
    script.apply_catalog.then(Ok(diff.clone())).then(Ok(diff.clone())).then(Ok(diff)).then(Ok(applied));
    script.apply_catalog.then(Err(failed(Code::FailedPrecondition, "OFFICE_IN_USE")));
    script.apply_catalog.then(Ok(v1::ApplyCatalogResponse::default()));
    let mut details = ErrorDetails::with_bad_request_violation("toml", "toml:64: places: 0 to 9");
    details.set_error_info("INVALID_FIELD", "kuota.v1", HashMap::new());
    let said = "toml: toml:64: places: 0 to 9";
    let wrong = Status::with_error_details(Code::InvalidArgument, said, details);
    script.apply_catalog.then(Err(wrong));
    let apply = ["admin", "catalog", "apply", file.to_str().unwrap()];
    let with = |more: &[&'static str]| [&apply[..], more].concat();
    let commands = [
        with(&["--validate-only"]),
        with(&["--reason", "new year"]),
        with(&["--reason", "new year", "--yes"]),
        with(&["--validate-only"]),
        with(&["--validate-only"]),
        with(&["--validate-only"]),
        vec!["admin", "catalog", "apply", "nowhere.toml"],
        vec!["--output", "json", "admin", "export"],
    ];
    let commands: Vec<&[&str]> = commands.iter().map(Vec::as_slice).collect();
    let page = page(&server, &commands).await.replace(directory.path().to_str().unwrap(), "<dir>");
    expect_file![golden("admin-catalog.txt")].assert_eq(&page);
    let only: Vec<bool> = script.apply_catalog.asked().iter().map(|asked| asked.validate_only).collect();
    assert_eq!(only, [true, true, true, false, true, true, true], "without --yes nothing is applied");
}

#[tokio::test]
async fn history_and_export() {
    let server = pontianak().await;
    let script = &server.script;
    let event = |number, kind: v1::EventKind, actor: &str, reason: &str, description: &str| v1::Event {
        number,
        time: at(i64::try_from(number).unwrap() * 60),
        actor: actor.into(),
        reason: reason.into(),
        kind: kind.into(),
        description: description.into(),
        registration_id: ID.into(),
        office_id: KANIM.into(),
        service_date: "2026-11-30".into(),
        lane: Lane::Regular.into(),
        request_id: ID.into(),
    };
    use v1::EventKind::{Cancelled, Granted};
    let story = || {
        Ok(v1::ListEventsResponse {
            events: vec![
                event(7, Granted, "", "", "Number 1 of 2026-11-30 was granted to one applicant."),
                event(9, Cancelled, "siti", "ill", "The registration was cancelled; one place came back."),
            ],
            ..Default::default()
        })
    };
    (0..5).for_each(|_| {
        script.list_events.then(story());
    });
    let found = v1::Registration { id: ID.into(), ..support::granted(ID) };
    script.get.then(Ok(v1::GetRegistrationResponse { registration: Some(found), server_time: None }));
    script.get.then(Err(failed(Code::NotFound, "REGISTRATION_NOT_FOUND")));
    let exported = v1::ExportedRegistration {
        id: ID.into(),
        code: "K7P2-9QXW".into(),
        request_id: ID.into(),
        office_id: KANIM.into(),
        service_date: "2026-11-30".into(),
        lane: Lane::Regular.into(),
        state: v1::RegistrationState::Confirmed.into(),
        queue_number: 1,
        references: vec!["order 17".into(), "a \"b\", c".into()],
        create_time: at(0),
        update_time: at(0),
        cancel_reason: String::new(),
        fee_rupiah: Some(1_600_000),
        ground: v1::PriorityGround::Elderly.into(),
        passport_kinds: vec![v1::PassportKind::Electronic10Years.into(), 0],
        billing_reference: "K7P2Y-9QXWA".into(),
        payment_reference: "BRI-1".into(),
        payment_time: at(60),
        payment_case_numbers: vec![7],
        session: Some(v1::Session { start_time: "08:00".into(), end_time: "09:00".into() }),
        ..Default::default()
    };
    for _ in 0..2 {
        let messages = vec![Ok(v1::ExportResponse { registrations: vec![exported.clone()] })];
        script.export.then(Ok(Stream { messages, stays_open: false }));
    }
    let commands: [&[&str]; 11] = [
        &["admin", "events", "--from", "2026-11-28T00:00:00Z", "--to", "2026-11-27T00:00:00Z"],
        &["admin", "events", "--limit", "0"],
        &["log", "K7P2-9QXW"],
        &["log", "22222222"],
        &["log", ID, "--output", "json"],
        &["admin", "events", "--office", KANIM, "--from", "2026-11-27 13:00"],
        &["admin", "events", "--limit", "1"],
        &["admin", "events", "--by", "siti", "--to", "2026-11-27 13:00"],
        &["admin", "events", "--by", "siti", "--office", KANIM],
        &["admin", "export"],
        &["admin", "export", "--format", "json"],
    ];
    expect_file![golden("history.txt")].assert_eq(&page(&server, &commands).await);
}

#[tokio::test]
async fn a_file_of_people() {
    let server = pontianak().await;
    let script = &server.script;
    let mut file = tempfile::NamedTempFile::with_suffix(".csv").unwrap();
    file.write_all(
        b"office,date,lane,nik,reference,party\n\
          kanim-pontianak,2026-11-30,REGULAR,6171012309870001,order 17,\n\
          kanim-pontianak,2026-11-30,REGULAR,6171016309870002,\"a, b\",family\n\
          nowhere,2026-11-30,REGULAR,6171012309870003,,\n\
          kanim-pontianak,2026-11-30,REGULAR,6171012309870004,,family\n\
          kanim-pontianak,2026-11-30,REGULAR,6171012309870005,,\n",
    )
    .unwrap();
    let busy = |ask: &v1::RegisterRequest| {
        let refusal = support::refusal(RefusalReason::Busy, 1);
        let outcome = v1::register_batch_item::Outcome::Refusal(refusal);
        v1::RegisterBatchItem { request_id: ask.request_id.clone(), outcome: Some(outcome) }
    };
    let answer = |items| Ok(v1::RegisterBatchResponse { items, server_time: None });
    script.register_batch.answer_with(move |batch: &v1::RegisterBatchRequest| {
        let asks = &batch.requests;
        assert_eq!(asks[1].applicants.len(), 2, "a party is one ask");
        answer(vec![
            busy(&asks[0]),
            item_granted(&asks[1]),
            item_failed(&asks[2], Code::NotFound, "OFFICE_NOT_FOUND"),
            item_refused(&asks[3], RefusalReason::SoldOut),
        ])
    });
    script.register_batch.answer_with(move |batch| answer(batch.requests.iter().map(item_granted).collect()));
    script.register_batch.answer_with(move |batch| answer(batch.requests.iter().map(item_granted).collect()));
    script.register_batch.answer_with(move |batch| answer(batch.requests.iter().map(item_granted).collect()));
    let name = file.path().to_str().unwrap().to_owned();
    let commands: [&[&str]; 2] =
        [&["register", "--file", &name], &["--output", "json", "register", "--file", &name, "--batch", "2"]];
    let page = page(&server, &commands).await.replace(&name, "people.csv");
    expect_file![golden("people.txt")].assert_eq(&page);
    let sizes: Vec<usize> = script.register_batch.asked().iter().map(|batch| batch.requests.len()).collect();
    assert_eq!(sizes, [4, 1, 2, 2], "only BUSY was asked again");
    assert!(!page.contains("61710"), "no identity number is shown");
}

#[tokio::test]
async fn a_watch_off_a_terminal() {
    use v1::watch_availability_response::Event;
    let server = pontianak().await;
    let slot = |available, state: v1::SlotState, revision| v1::WatchedSlot {
        slot: Some(v1::Slot {
            office_id: KANIM.into(),
            service_date: "2026-11-30".into(),
            lane: Lane::Regular.into(),
            capacity: 120,
            available: Some(available),
            state: state.into(),
            open_time: at(0),
        }),
        revision,
    };
    use v1::SlotState::{Open, SoldOut};
    let told = |event| Ok(v1::WatchAvailabilityResponse { event: Some(event), server_time: None });
    for _ in 0..2 {
        let messages = vec![
            told(Event::Snapshot(v1::WatchedSlots { slots: vec![slot(2, Open, 1)] })),
            told(Event::SnapshotEnd(v1::SnapshotEnd { slots: 1 })),
            told(Event::Changes(v1::WatchedSlots { slots: vec![slot(0, SoldOut, 3)] })),
            Err(failed(Code::NotFound, "OFFICE_NOT_FOUND")),
        ];
        server.script.watch.then(Ok(Stream { messages, stays_open: false }));
    }
    let commands: [&[&str]; 2] = [&["watch", "--office", KANIM], &["watch", "--output", "json"]];
    expect_file![golden("watch.txt")].assert_eq(&page(&server, &commands).await);
}

#[tokio::test]
async fn an_unknown_outcome_and_the_callers_language() {
    let server = pontianak().await;
    (0..5).for_each(|_| {
        server.script.register.then(Err(at_once(failed(Code::Unavailable, "OUTCOME_UNKNOWN"))));
    });
    let register = ["register", "--office", KANIM, "--date", "2026-11-30", "--nik", "6171012309870001"];
    let mut details = ErrorDetails::with_error_info("LOG_FULL", "kuota.v1", HashMap::new());
    details.set_localized_message("id", "penyimpanan server penuh");
    let full = Status::with_error_details(Code::Unavailable, "storage is full", details);
    (0..5).for_each(|_| {
        server.script.register.then(Err(at_once(full.clone())));
    });
    let localized = [&["--language", "id", "--output", "json"], &register[..]].concat();
    let other = ["--language", "de", "offices"];
    let page = page(&server, &[&register, &localized, &other]).await;
    expect_file![golden("unknown.txt")].assert_eq(&page);
    let url = server.url.clone();
    let rows: [(&[(&str, &str)], &[&str], Option<&str>); 6] = [
        (&[("KUOTA_LANGUAGE", "id"), ("LANG", "C")], &[], Some("id")),
        (&[("KUOTA_LANGUAGE", "de"), ("LANG", "id_ID.UTF-8")], &[], None),
        (&[("LANG", "id_ID.UTF-8")], &[], Some("id")),
        (&[("LANG", "id_ID.UTF-8"), ("LC_ALL", "C")], &[], None),
        (&[("LANG", "id_ID.UTF-8")], &["--language", "en"], Some("en")),
        (&[], &[], None),
    ];
    for (environment, flags, expected) in rows {
        let arguments = [flags, &["offices", "--url", &url]].concat();
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let environment = environment.to_owned();
        let run = move || {
            run(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &environment);
        };
        tokio::task::spawn_blocking(run).await.unwrap();
        assert_eq!(server.script.offices.languages().last().unwrap().as_deref(), expected);
    }
}
