//! `AdminService`: what operators set stands, is in the log with who and why, and takes nothing away.

mod support;

use std::sync::Arc;

use kuota_api::v1::{self, Lane};
use kuota_client::RefusalReason;
use support::{
    Friday, MONDAY, OFFICE, Server, catalog,
    held_log::{Fate, Valve},
    operator::{command, opening, operator, quota, scope},
    people::{refused, registered, wish, wish_for},
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

fn toml(offices: &[(&str, u32)]) -> String {
    let offices: Vec<_> = offices.iter().map(|(id, places)| ((*id).to_owned(), *places)).collect();
    catalog(&offices)
}

fn apply(id: u128, toml: String) -> v1::ApplyCatalogRequest {
    v1::ApplyCatalogRequest { command: command(id), toml, ..Default::default() }
}

/// Code, reason and message of a status.
fn said(status: &Status) -> (Code, String, &str) {
    (status.code(), status.get_details_error_info().unwrap().reason, status.message())
}

async fn available(server: &Server, date: &str) -> Option<(u32, Option<u32>)> {
    let filter = kuota_client::AvailabilityFilter {
        office_id: Some(OFFICE.into()),
        from_date: Some(date.into()),
        to_date: Some(date.into()),
        ..Default::default()
    };
    let slots = server.client.availability(&filter).await.unwrap();
    slots.first().map(|slot| (slot.capacity, slot.available))
}

#[tokio::test]
async fn a_quota_and_a_pause_stand_after_a_restart_and_after_the_catalogue_is_applied_again() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let start = || Friday::open().places(5).data(&data).start();
    let server = start().await;
    let mut admin = operator(&server).await;
    let ask = wish(1);
    registered(server.client.register(&ask).await.unwrap());
    let changed = admin.set_quota(quota(1, MONDAY, 9)).await.unwrap().into_inner();
    let slot = &changed.slots[0];
    assert_eq!((slot.capacity_before, slot.capacity_after, slot.granted), (Some(5), 9, 1));
    let pause = v1::PauseRequest { command: command(2), scope: scope(None, Some("2026-12-01"), None) };
    admin.pause(pause.clone()).await.unwrap();
    server.stop().await;

    let server = start().await;
    let mut admin = operator(&server).await;
    let catalog = toml(&[(OFFICE, 4)]);
    let applied = admin.apply_catalog(apply(3, catalog.clone())).await.unwrap().into_inner();
    let field = &applied.changes[0];
    assert_eq!((&*field.subject, &*field.field), ("office kanim-pontianak", "lane REGULAR places"));
    assert_eq!((&*field.before, &*field.after), ("5", "4"));
    assert!(applied.slots.iter().all(|slot| slot.service_date != MONDAY), "an operator's quota stands");
    assert_eq!(available(&server, MONDAY).await, Some((9, Some(8))));
    assert_eq!(available(&server, "2026-12-02").await, Some((4, Some(4))));
    let held = server.client.register(&wish_for(OFFICE, "2026-12-01", 2)).await.unwrap();
    assert_eq!(refused(held).reason(), RefusalReason::Paused);
    server.stop().await;

    // The catalogue named at the start is the one it was: it does not undo what an operator applied since.
    let server = start().await;
    let mut admin = operator(&server).await;
    assert_eq!(available(&server, "2026-12-02").await, Some((4, Some(4))));
    let view = admin.get_catalog(v1::GetCatalogRequest {}).await.unwrap().into_inner();
    assert_eq!((view.overrides.len(), view.overrides[0].places), (1, Some(9)));
    assert_eq!((view.pauses.len(), &*view.pauses[0].actor), (1, "siti"));
    let again = admin.apply_catalog(apply(4, view.toml)).await.unwrap().into_inner();
    assert!(
        again.changes.is_empty() && again.receipt.unwrap().changes == 0,
        "what is in force changes nothing"
    );

    let resume = v1::ResumeRequest { command: command(5), scope: pause.scope };
    assert!(admin.resume(resume).await.unwrap().into_inner().pauses.is_empty());
    registered(server.client.register(&wish_for(OFFICE, "2026-12-01", 2)).await.unwrap());
    let clear = v1::ClearOverrideRequest {
        command: command(6),
        office_id: OFFICE.into(),
        service_date: MONDAY.into(),
        lane: Lane::Regular.into(),
        validate_only: false,
    };
    admin.clear_override(clear).await.unwrap();
    assert_eq!(available(&server, MONDAY).await, Some((4, Some(3))));
    assert!(server.verify().ok);
    server.stop().await;
}

#[tokio::test]
async fn a_quota_below_what_is_granted_is_accepted_reported_and_grants_no_more() {
    let server = Friday::open().places(3).start().await;
    let mut admin = operator(&server).await;
    let mut taken = Vec::new();
    for person in 0..3 {
        taken.push(registered(server.client.register(&wish(person)).await.unwrap()));
    }
    let preview = v1::SetQuotaRequest { validate_only: true, ..quota(1, MONDAY, 1) };
    let shown = admin.set_quota(preview).await.unwrap().into_inner();
    assert_eq!((shown.receipt, available(&server, MONDAY).await), (None, Some((3, Some(0)))));
    let changed = admin.set_quota(quota(1, MONDAY, 1)).await.unwrap().into_inner();
    assert_eq!((changed.slots[0].capacity_after, changed.slots[0].granted), (1, 3));
    assert_eq!(changed.slots, shown.slots, "what was shown is what happens");
    let same = admin.set_quota(quota(2, MONDAY, 1)).await.unwrap().into_inner();
    assert_eq!(same.slots[0].granted, 3, "it is reported also when nothing changes");
    for (person, gone) in (10..).zip(&taken) {
        let sold_out = server.client.register(&wish(person)).await.unwrap();
        assert_eq!(refused(sold_out).reason(), RefusalReason::SoldOut);
        server.client.cancel(&gone.id, "").await.unwrap();
    }
    registered(server.client.register(&wish(20)).await.unwrap());
    assert!(server.verify().ok);
    server.stop().await;
}

#[tokio::test]
async fn a_one_off_opening_opens_at_its_time() {
    let server = Friday::open().places(3).start().await;
    let mut admin = operator(&server).await;
    let saturday = "2026-12-05";
    let set = opening(1, saturday, "2026-11-27T09:00:00Z", Some(2));
    let slots = admin.schedule_opening(set).await.unwrap().into_inner().slots;
    assert_eq!((slots.len(), slots[0].capacity_before, slots[0].capacity_after), (1, None, 2));
    let early = refused(server.client.register(&wish_for(OFFICE, saturday, 1)).await.unwrap());
    assert_eq!(early.reason(), RefusalReason::NotOpenYet);
    server.at("2026-11-27T09:00:00Z").await;
    registered(server.client.register(&wish_for(OFFICE, saturday, 1)).await.unwrap());
    assert!(server.verify().ok);
    server.stop().await;
}

#[tokio::test]
async fn what_an_operator_may_not_do_is_told_with_its_reason() {
    let server = Friday::open().places(3).office("kanim-sambas", 2).start().await;
    let mut admin = operator(&server).await;
    let first = wish(1);
    registered(server.client.register(&first).await.unwrap());
    let before = server.verify().events;
    let (past, future) = ("2026-11-27T07:00:00Z", "2026-11-28T07:00:00Z");
    let mut refusals: Vec<(Status, Code, &str, &str)> = Vec::new();
    let mut row = |status: Result<(), Status>, code, reason, message| {
        refusals.push((status.unwrap_err(), code, reason, message));
    };
    let (invalid, failed) = (Code::InvalidArgument, Code::FailedPrecondition);
    let done = |answer: Result<_, Status>| answer.map(|_: tonic::Response<v1::ScheduleOpeningResponse>| ());
    row(
        done(admin.schedule_opening(opening(1, "2026-12-07", past, None)).await),
        invalid,
        "OPENING_IN_THE_PAST",
        "the opening must be in the future",
    );
    row(
        done(admin.schedule_opening(opening(1, MONDAY, future, None)).await),
        failed,
        "ALREADY_OPEN",
        "2026-11-30 is open already",
    );
    row(
        done(admin.schedule_opening(opening(1, "2026-12-05", future, None)).await),
        failed,
        "PLACES_REQUIRED",
        "the catalogue has no places for 2026-12-05",
    );
    let lanes = |lanes: &[i32]| v1::ScheduleOpeningRequest {
        lanes: lanes.to_vec(),
        ..opening(1, "2026-12-07", future, None)
    };
    row(
        done(admin.schedule_opening(lanes(&[Lane::OneDay.into()])).await),
        failed,
        "PLACES_REQUIRED",
        "the catalogue has no places for 2026-12-07 in this lane",
    );
    row(
        done(admin.schedule_opening(lanes(&[1, 0])).await),
        invalid,
        "INVALID_FIELD",
        "lanes[1]: LANE_REGULAR",
    );
    row(done(admin.schedule_opening(lanes(&[1; 4])).await), invalid, "INVALID_FIELD", "lanes: up to 3 lanes");
    row(
        done(admin.schedule_opening(opening(1, "2026-12-07", "2026-12-07T08:00:00Z", None)).await),
        failed,
        "BOOKING_CLOSED",
        "booking for 2026-12-07 is over",
    );
    let none = v1::ScheduleOpeningRequest { service_dates: Vec::new(), ..opening(1, "", future, None) };
    row(done(admin.schedule_opening(none).await), invalid, "INVALID_FIELD", "service_dates: 1 to 31");
    let timeless = v1::ScheduleOpeningRequest { open_time: None, ..opening(1, "2026-12-07", future, None) };
    row(done(admin.schedule_opening(timeless).await), invalid, "INVALID_FIELD", "open_time: the time of the");

    let done = |answer: Result<_, Status>| answer.map(|_: tonic::Response<v1::SetQuotaResponse>| ());
    row(done(admin.set_quota(quota(1, "2026-12-05", 1)).await), failed, "NOT_SCHEDULED", "nothing opens");
    row(done(admin.set_quota(quota(1, "2026-11-20", 1)).await), failed, "BOOKING_CLOSED", "booking for");
    row(
        done(admin.set_quota(quota(1, "2028-01-03", 1)).await),
        invalid,
        "INVALID_FIELD",
        "service_date: a day up to",
    );
    row(
        done(admin.set_quota(quota(1, MONDAY, 1_000_001)).await),
        invalid,
        "INVALID_FIELD",
        "places: 0 to 1000000",
    );
    let nameless = v1::Command { actor: " ".into(), reason: "r".repeat(201), ..command(1).unwrap() };
    let nameless = v1::SetQuotaRequest { command: Some(nameless), ..quota(1, MONDAY, 1) };
    let words = "command.actor: 1 to 64 characters are allowed; command.reason: 1 to 200 characters";
    row(done(admin.set_quota(nameless).await), invalid, "INVALID_FIELD", words);
    let bare = v1::SetQuotaRequest { command: None, ..quota(1, MONDAY, 1) };
    row(done(admin.set_quota(bare).await), invalid, "INVALID_FIELD", "command: request_id, actor and reason");
    let nowhere = v1::SetQuotaRequest { office_id: "kanim-nowhere".into(), ..quota(1, MONDAY, 1) };
    row(done(admin.set_quota(nowhere).await), Code::NotFound, "OFFICE_NOT_FOUND", "there is no office");

    let done = |answer: Result<_, Status>| answer.map(|_: tonic::Response<v1::PauseResponse>| ());
    let unscoped = v1::PauseRequest { command: command(1), scope: None };
    row(done(admin.pause(unscoped).await), invalid, "INVALID_FIELD", "scope: a scope is required");
    let past_day = v1::PauseRequest { command: command(1), scope: scope(None, Some("2026-11-26"), None) };
    row(done(admin.pause(past_day).await), failed, "BOOKING_CLOSED", "booking for 2026-11-26 is over");

    let done = |answer: Result<_, Status>| answer.map(|_: tonic::Response<v1::ApplyCatalogResponse>| ());
    let dropped = toml(&[("kanim-sambas", 2)]);
    row(
        done(admin.apply_catalog(apply(1, dropped)).await),
        failed,
        "OFFICE_IN_USE",
        "office `kanim-pontianak`",
    );
    let broken = toml(&[(OFFICE, 3)]).replace("places = 3", "places = -3");
    row(
        done(admin.apply_catalog(apply(1, broken)).await),
        invalid,
        "INVALID_FIELD",
        "toml: toml:25: places: -3: 0 to",
    );

    let done = |answer: Result<_, Status>| answer.map(|_: tonic::Response<v1::ListEventsResponse>| ());
    let other =
        admin.list_events(v1::ListEventsRequest { page_size: 1, ..Default::default() }).await.unwrap();
    let stolen = v1::ListEventsRequest {
        page_token: other.into_inner().next_page_token,
        actor: Some("siti".into()),
        ..Default::default()
    };
    row(
        done(admin.list_events(stolen).await),
        invalid,
        "INVALID_FIELD",
        "page_token: next_page_token of the page",
    );

    for (status, code, reason, message) in &refusals {
        let (found, why, words) = said(status);
        assert!(found == *code && why == *reason && words.starts_with(message), "{reason}: {status:?}");
    }
    assert_eq!(server.verify().events, before, "what is refused leaves nothing in the log");

    let mut close = apply(2, toml(&[("kanim-sambas", 2)]));
    (close.close_offices, close.validate_only) = (true, true);
    let shown = admin.apply_catalog(close.clone()).await.unwrap().into_inner();
    assert!(shown.receipt.is_none() && shown.changes[0].kind() == v1::CatalogChangeKind::Removed);
    assert_eq!(server.verify().events, before, "what is only validated leaves nothing either");
    close.validate_only = false;
    let done = admin.apply_catalog(close).await.unwrap().into_inner();
    assert_eq!((done.changes, done.slots), (shown.changes, shown.slots), "what was shown is what happens");
    let gone = server.client.register(&wish(2)).await.unwrap_err();
    assert_eq!(gone.reason(), Some("OFFICE_NOT_FOUND"));
    registered(server.client.register(&first).await.unwrap());
    server.stop().await;
}

#[tokio::test]
async fn a_write_is_carried_out_once() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let server = Friday::open().places(3).data(&data).start().await;
    let mut admin = operator(&server).await;
    let first = admin.set_quota(quota(1, MONDAY, 7)).await.unwrap().into_inner().receipt.unwrap();
    assert!(!first.repeated_request && first.changes == 2);
    server.stop().await;
    let server = Friday::at("2026-11-27T08:00:00Z").places(3).data(&data).start().await;
    let mut admin = operator(&server).await;
    let events = server.verify().events;
    let again = admin.set_quota(quota(1, MONDAY, 7)).await.unwrap().into_inner().receipt.unwrap();
    assert!(again.repeated_request && again.time == first.time && again.changes == 2);
    let reused = admin.set_quota(quota(1, MONDAY, 8)).await.unwrap_err();
    assert_eq!(said(&reused).1, "REQUEST_ID_REUSED");
    let pause = v1::PauseRequest { command: command(1), scope: scope(None, None, None) };
    assert_eq!(said(&admin.pause(pause).await.unwrap_err()).1, "REQUEST_ID_REUSED");
    assert_eq!(server.verify().events, events);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_does_not_reach_the_log_never_was() {
    let valve = Valve::default();
    let server = Friday::open().places(3).log(valve.wrap()).start().await;
    let mut admin = operator(&server).await;
    valve.set(Fate::Hold);
    let mut other = operator(&server).await;
    let pausing = tokio::spawn(async move {
        other.pause(v1::PauseRequest { command: command(1), scope: scope(None, None, None) }).await
    });
    tokio::task::spawn_blocking({
        let valve = valve.clone();
        move || valve.wait_until_holding()
    })
    .await
    .unwrap();
    let view = admin.get_catalog(v1::GetCatalogRequest {}).await.unwrap().into_inner();
    assert!(view.pauses.is_empty(), "nothing is shown before it is in the log");
    valve.set(Fate::Full);
    assert_eq!(said(&pausing.await.unwrap().unwrap_err()).1, "LOG_FULL");
    valve.set(Fate::Pass);
    let view = admin.get_catalog(v1::GetCatalogRequest {}).await.unwrap().into_inner();
    assert!(view.pauses.is_empty());
    registered(server.client.register(&wish(1)).await.unwrap());
    let again = v1::PauseRequest { command: command(1), scope: scope(None, None, None) };
    assert!(!admin.pause(again).await.unwrap().into_inner().receipt.unwrap().repeated_request);
    assert!(server.verify().ok);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn catalogues_decided_in_one_batch_are_each_compared_with_the_one_before() {
    let valve = Valve::default();
    let server = Friday::open().places(5).log(valve.wrap()).start().await;
    valve.set(Fate::Hold);
    let (client, ask) = (server.connect().await, wish(1));
    let registering = tokio::spawn(async move { client.register(&ask).await });
    let holding = valve.clone();
    tokio::task::spawn_blocking(move || holding.wait_until_holding()).await.unwrap();
    let mut applying = Vec::new();
    for (id, places) in [(1, 4), (2, 6)] {
        let mut admin = operator(&server).await;
        let catalog = toml(&[(OFFICE, places)]);
        applying.push(tokio::spawn(async move { admin.apply_catalog(apply(id, catalog)).await }));
    }
    valve.set(Fate::Pass);
    registered(registering.await.unwrap().unwrap());
    let mut steps = Vec::new();
    for applied in applying {
        let change = applied.await.unwrap().unwrap().into_inner().changes.remove(0);
        steps.push((change.before, change.after));
    }
    let step = |before: &str, after: &str| (before.to_owned(), after.to_owned());
    let orders = [[step("5", "4"), step("4", "6")], [step("6", "4"), step("5", "6")]];
    assert!(orders.iter().any(|order| *order == *steps), "{steps:?}");
    server.stop().await;
}
