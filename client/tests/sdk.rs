//! The client against a server that answers from a script: what it repeats, what it waits for, when it gives up.

mod support;

use std::time::Duration;

use kuota_api::v1::{self, RefusalReason};
use kuota_client::{
    Admin, Ask, AvailabilityFilter, By, Client, Error, EventFilter, ExportFilter, Key, Lane, Outcome,
    RetryBudget, RetryPolicy, Scope, SlotKey, Update,
};
use support::{Scripted, Stream, failed, grant, granted, item_failed, item_granted, item_refused, refuse};
use tonic::{Code, Status};

const NIK: &str = "6171012309870001";

/// Waits too short to notice.
fn swift() -> RetryPolicy {
    let backoff = Duration::from_millis(1);
    RetryPolicy { backoff_base: backoff, backoff_max: backoff, ..RetryPolicy::default() }
}

async fn client(server: &Scripted) -> Client {
    Client::builder(&server.url).retry(swift()).connect().await.unwrap()
}

fn ask() -> Ask {
    Ask::new("kanim-pontianak", "2026-11-30", Lane::Regular).applicant(NIK, "order 17")
}

fn pushed_back(value: &str) -> Status {
    let mut status = Status::unavailable("come back");
    status.metadata_mut().insert("grpc-retry-pushback-ms", value.parse().unwrap());
    status
}

#[tokio::test]
async fn every_attempt_carries_the_same_request_id_and_the_language() {
    let server = Scripted::start().await;
    let script = &server.script.register;
    script.then(Err(Status::unavailable("gone"))).then(Err(Status::cancelled("Timeout expired")));
    script.then(Err(failed(Code::Unavailable, "OVERLOADED"))).answer_with(grant);
    let client = Client::builder(&server.url).retry(swift()).language("id").connect().await.unwrap();
    let ask = ask();
    // A caller may run it wherever it likes.
    let call = tokio::spawn({
        let (client, ask) = (client.clone(), ask.clone());
        async move { client.register(&ask).await }
    });
    assert_eq!(call.await.unwrap().unwrap(), Outcome::Registered(granted(ask.id())));
    let ids: Vec<String> = script.asked().into_iter().map(|request| request.request_id).collect();
    assert_eq!(ids, vec![ask.id(); 4]);
    assert_eq!(script.languages(), vec![Some("id".to_owned()); 4]);
}

#[tokio::test]
async fn a_refusal_is_an_answer_and_an_error_of_the_caller_is_final() {
    let server = Scripted::start().await;
    let client = client(&server).await;
    let script = &server.script.register;
    script.then(refuse(RefusalReason::Busy, 1)).then(Err(failed(Code::NotFound, "OFFICE_NOT_FOUND")));
    let outcome = client.register(&ask()).await.unwrap();
    assert!(matches!(outcome, Outcome::Refused(refusal) if refusal.reason() == RefusalReason::Busy));
    let error = client.register(&ask()).await.unwrap_err();
    assert_eq!(
        (error.code(), error.reason(), error.attempts()),
        (Code::NotFound, Some("OFFICE_NOT_FOUND"), 1)
    );
    assert!(!error.is_retryable() && !error.is_outcome_unknown());
    assert_eq!(script.asked().len(), 2, "neither was repeated");
}

#[tokio::test]
async fn pushback_is_honoured() {
    let server = Scripted::start().await;
    let client = client(&server).await;
    let script = &server.script.register;
    for never in ["-1", "later"] {
        script.then(Err(pushed_back(never)));
        let error = client.register(&ask()).await.unwrap_err();
        assert_eq!((error.attempts(), error.is_outcome_unknown()), (1, true), "{never}");
    }
    script.then(Err(pushed_back("3600000")));
    let error = client.register(&ask()).await.unwrap_err();
    assert_eq!(
        (error.attempts(), error.retry_after()),
        (1, Some(Duration::from_secs(3_600))),
        "past the deadline"
    );
    script.then(Err(pushed_back("0"))).answer_with(grant);
    assert!(client.register(&ask()).await.is_ok());
}

#[tokio::test]
async fn attempts_and_budget_are_bounded() {
    let server = Scripted::start().await;
    let script = &server.script.register;
    (0..20).for_each(|_| {
        script.then(Err(failed(Code::Unavailable, "OVERLOADED")));
    });
    let client = client(&server).await.retry(RetryPolicy { budget: RetryBudget::new(14, 100), ..swift() });
    let attempts = async || client.clone().register(&ask()).await.unwrap_err().attempts();
    assert_eq!((attempts().await, attempts().await, attempts().await), (5, 2, 1), "half of 14 is spent");
    assert_eq!(client.retry(RetryPolicy::none()).register(&ask()).await.unwrap_err().attempts(), 1);
}

#[tokio::test]
async fn a_timeout_is_told_apart_from_a_cancel_and_from_silence_of_the_network() {
    let server = Scripted::start().await;
    let once = client(&server).await.retry(RetryPolicy::none());
    let script = &server.script.register;
    script.then(Err(Status::cancelled("Timeout expired"))).then(Err(Status::cancelled("by the server")));
    let error = once.register(&ask()).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { outcome_unknown: true, .. }), "{error:?}");
    let error = once.register(&ask()).await.unwrap_err();
    assert!(matches!(&error, Error::Status(failed) if failed.code == Code::Cancelled), "{error:?}");
    assert!(error.is_outcome_unknown() && error.is_retryable());

    let nobody = Client::builder("http://127.0.0.1:1").retry(swift()).connect_lazy().unwrap();
    let error = nobody.register(&ask()).await.unwrap_err();
    assert!(matches!(error, Error::Connect { attempts: 5, outcome_unknown: false, .. }), "{error:?}");
    let error = Client::connect("http://127.0.0.1:1").await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
}

#[tokio::test]
async fn bad_settings_and_batches_are_refused_before_anything_is_sent() {
    let lazily = |url: &str, channels, language: &str| {
        Client::builder(url).channels(channels).language(language).connect_lazy().unwrap_err()
    };
    let url = "http://127.0.0.1:1";
    assert!(matches!(lazily("https://127.0.0.1:1", 1, "id"), Error::Url { .. }));
    let rows = [
        (lazily(url, 0, "id"), "channels: 0"),
        (lazily(url, 65, "id"), "channels: 65"),
        (lazily(url, 1, "\n"), "language"),
    ];
    for (error, words) in rows {
        assert!(matches!(&error, Error::Argument { what } if what.contains(words)), "{error:?}");
    }
    let client = Client::builder(url).connect_lazy().unwrap();
    for asks in [vec![], vec![ask(); 1_001]] {
        let error = client.register_batch(&asks).await.unwrap_err();
        let expected = format!("a batch of {} asks; 1 to 1000 are allowed", asks.len());
        assert_eq!((error.to_string(), error.attempts()), (expected, 0));
    }
}

#[tokio::test]
async fn a_batch_repeats_only_what_failed_for_a_passing_reason() {
    let server = Scripted::start().await;
    let client = client(&server).await;
    let script = &server.script.register_batch;
    let answer = |items| Ok(v1::RegisterBatchResponse { items, server_time: None });
    script.then(Err(Status::unavailable("gone")));
    script.answer_with(move |batch: &v1::RegisterBatchRequest| {
        let asks = &batch.requests;
        answer(vec![
            item_failed(&asks[0], Code::Unavailable, "OVERLOADED"),
            item_granted(&asks[1]),
            item_refused(&asks[2], RefusalReason::SoldOut),
            item_failed(&asks[3], Code::NotFound, "OFFICE_NOT_FOUND"),
            item_failed(&asks[4], Code::Unavailable, "OUTCOME_UNKNOWN"),
        ])
    });
    script.answer_with(move |batch| answer(batch.requests.iter().map(item_granted).collect()));
    let asks: Vec<Ask> = (0..5).map(|_| ask()).collect();
    let items = client.register_batch(&asks).await.unwrap();
    for index in [0, 1, 4] {
        let Ok(Outcome::Registered(registration)) = &items[index] else { panic!("{index}: {items:?}") };
        assert_eq!(registration.request_id, asks[index].id(), "answers stand in the order of the asks");
    }
    assert!(matches!(&items[2], Ok(Outcome::Refused(refusal)) if refusal.reason() == RefusalReason::SoldOut));
    let error = items[3].as_ref().unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::NotFound, Some("OFFICE_NOT_FOUND")));
    let sent: Vec<Vec<String>> = script
        .asked()
        .into_iter()
        .map(|batch| batch.requests.into_iter().map(|request| request.request_id).collect())
        .collect();
    let all: Vec<String> = asks.iter().map(|ask| ask.id().to_owned()).collect();
    assert_eq!(sent, [all.clone(), all.clone(), vec![all[0].clone(), all[4].clone()]]);
}

#[tokio::test]
async fn a_batch_that_is_given_up_says_which_outcomes_are_unknown() {
    let server = Scripted::start().await;
    let client = client(&server).await.retry(RetryPolicy { attempts_max: 2, ..swift() });
    let script = &server.script.register_batch;
    for _ in 0..2 {
        script.answer_with(|batch: &v1::RegisterBatchRequest| {
            let mut items: Vec<_> = batch.requests.iter().map(item_granted).collect();
            let last = items.len() - 1;
            items[last] = item_failed(&batch.requests[last], Code::Unavailable, "LOG_FULL");
            Ok(v1::RegisterBatchResponse { items, server_time: None })
        });
    }
    let items = client.register_batch(&[ask(), ask()]).await.unwrap();
    let error = items[1].as_ref().unwrap_err();
    assert!(items[0].is_ok() && error.is_retryable() && !error.is_outcome_unknown(), "{items:?}");
    assert_eq!((error.reason(), error.attempts()), (Some("LOG_FULL"), 2));

    script.then(Err(Status::unavailable("gone")));
    script.answer_with(|batch| {
        let items =
            batch.requests.iter().map(|ask| item_failed(ask, Code::Unavailable, "LOG_FULL")).collect();
        Ok(v1::RegisterBatchResponse { items, server_time: None })
    });
    let items = client.register_batch(&[ask()]).await.unwrap();
    assert!(items[0].as_ref().unwrap_err().is_outcome_unknown(), "the first attempt may have been granted");
    script.then(Err(Status::unavailable("gone"))).then(Err(Status::unavailable("gone")));
    assert!(client.register_batch(&[ask()]).await.unwrap_err().is_outcome_unknown());
}

#[tokio::test]
async fn waiting_goes_through_the_opening_the_crowd_and_an_outage() {
    let server = Scripted::start().await;
    let client = client(&server).await.retry(RetryPolicy { attempts_max: 1, ..swift() });
    let script = &server.script.register;
    script.then(refuse(RefusalReason::NotOpenYet, 1)).then(refuse(RefusalReason::Busy, 1));
    script.then(Err(Status::unavailable("gone"))).then(Err(failed(Code::Unavailable, "OUTCOME_UNKNOWN")));
    script.answer_with(grant);
    let ask = ask();
    let outcome = client.register_and_wait(&ask, Duration::from_secs(60)).await.unwrap();
    assert_eq!(outcome, Outcome::Registered(granted(ask.id())));
    assert!(script.asked().iter().all(|request| request.request_id == ask.id()) && script.asked().len() == 5);

    script.then(Err(pushed_back("3600000")));
    let error = client.register_and_wait(&ask, Duration::from_secs(60)).await.unwrap_err();
    assert!(
        matches!(&error, Error::OutcomeUnknown { request_id, .. } if request_id == ask.id()),
        "{error:?}"
    );
}

fn watched(available: u32, revision: u64) -> v1::WatchedSlot {
    let slot = v1::Slot {
        office_id: "kanim-pontianak".into(),
        service_date: "2026-11-30".into(),
        lane: Lane::Regular.into(),
        available: Some(available),
        ..Default::default()
    };
    v1::WatchedSlot { slot: Some(slot), revision }
}

fn told(event: v1::watch_availability_response::Event) -> Result<v1::WatchAvailabilityResponse, Status> {
    Ok(v1::WatchAvailabilityResponse { event: Some(event), server_time: None })
}

fn snapshot(slot: v1::WatchedSlot) -> Vec<Result<v1::WatchAvailabilityResponse, Status>> {
    use v1::watch_availability_response::Event;
    let slots = vec![slot];
    vec![
        told(Event::Snapshot(v1::WatchedSlots { slots })),
        told(Event::SnapshotEnd(v1::SnapshotEnd { slots: 1 })),
    ]
}

fn change(slot: v1::WatchedSlot) -> Result<v1::WatchAvailabilityResponse, Status> {
    told(v1::watch_availability_response::Event::Changes(v1::WatchedSlots { slots: vec![slot] }))
}

#[tokio::test]
async fn a_watch_survives_its_streams_and_shows_nothing_old() {
    let server = Scripted::start().await;
    let client = client(&server).await;
    let script = &server.script.watch;
    let stopping = || Err(failed(Code::Unavailable, "STOPPING"));
    let play = |messages, stays_open| Ok(Stream { messages, stays_open });
    let first =
        [snapshot(watched(5, 1)), vec![change(watched(4, 2)), change(watched(5, 1)), stopping()]].concat();
    script.then(play(first, true)).then(Err(failed(Code::Unavailable, "TOO_MANY_WATCHERS")));
    script.then(play(snapshot(watched(5, 1)), false));
    script.then(play([snapshot(watched(3, 3)), vec![change(watched(2, 4))]].concat(), true));
    let office_id = Some("kanim-pontianak".to_owned());
    let mut watch = client.watch(AvailabilityFilter { office_id, ..Default::default() });
    let expected = [
        Update::Snapshot(vec![watched(5, 1)]),
        Update::Changed(vec![watched(4, 2)]),
        Update::Snapshot(vec![watched(4, 2)]),
        Update::Snapshot(vec![watched(3, 3)]),
        Update::Changed(vec![watched(2, 4)]),
    ];
    for update in expected {
        assert_eq!(watch.next().await.unwrap(), update);
    }
    assert_eq!(script.asked().len(), 4);
    let heartbeat = script.asked()[0].heartbeat;
    assert_eq!(heartbeat, Some(prost_types::Duration { seconds: 15, nanos: 0 }));
}

#[tokio::test]
async fn a_watch_gives_up_what_asking_again_cannot_mend() {
    let server = Scripted::start().await;
    let client = client(&server).await;
    let rows = [
        (failed(Code::NotFound, "OFFICE_NOT_FOUND"), Code::NotFound),
        (failed(Code::InvalidArgument, "INVALID_FIELD"), Code::InvalidArgument),
        (pushed_back("-1"), Code::Unavailable),
    ];
    for (status, code) in rows {
        server.script.watch.then(Err(status));
        let error = client.watch(AvailabilityFilter::default()).next().await.unwrap_err();
        assert_eq!(error.code(), code);
    }
}

#[tokio::test]
async fn a_write_of_an_operator_is_repeated_under_its_request_id() {
    let server = Scripted::start().await;
    let admin = Admin::builder(&server.url).retry(swift()).connect().await.unwrap();
    let receipt = Some(v1::Receipt { changes: 1, ..Default::default() });
    let done = v1::PauseResponse { receipt, ..Default::default() };
    server.script.pause.then(Err(Status::unavailable("gone"))).then(Ok(done.clone()));
    let by = By::new("siti", "power cut");
    assert_eq!(admin.pause(&by, &Scope::default()).await.unwrap(), done);
    let command =
        v1::Command { request_id: by.request_id.clone(), actor: "siti".into(), reason: "power cut".into() };
    let request = v1::PauseRequest { command: Some(command), scope: Some(Scope::default()) };
    assert_eq!(server.script.pause.asked(), [request.clone(), request]);

    server.script.set_quota.then(Err(failed(Code::FailedPrecondition, "NOT_SCHEDULED")));
    let slot = SlotKey::new("kanim-pontianak", "2026-11-30", Lane::Regular);
    let error = admin.set_quota(&by, &slot, 10).await.unwrap_err();
    assert_eq!((error.reason(), error.attempts()), (Some("NOT_SCHEDULED"), 1));
}

#[tokio::test]
async fn listings_go_on_over_short_and_empty_pages() {
    let server = Scripted::start().await;
    let admin = Admin::builder(&server.url).retry(swift()).connect().await.unwrap();
    let page = |numbers: &[u64], token: &str| {
        let events =
            numbers.iter().map(|number| v1::Event { number: *number, ..Default::default() }).collect();
        Ok(v1::ListEventsResponse { events, next_page_token: token.into(), server_time: None })
    };
    let script = &server.script.list_events;
    script.then(page(&[1, 2], "a")).then(page(&[], "b")).then(Err(Status::unavailable("gone")));
    script.then(page(&[3], "c")).then(page(&[], ""));
    let mut events = admin.events(&EventFilter::default());
    let mut numbers = Vec::new();
    while let Some(event) = events.next().await.unwrap() {
        numbers.push(event.number);
    }
    assert_eq!(numbers, [1, 2, 3]);
    let tokens: Vec<String> = script.asked().into_iter().map(|request| request.page_token).collect();
    assert_eq!(tokens, ["", "a", "b", "b", "c"]);
    script.then(page(&[1], "a")).then(page(&[2], "a"));
    let mut endless = admin.events(&EventFilter::default());
    assert_eq!(endless.next().await.unwrap().unwrap().number, 1);
    assert_eq!(
        endless.next().await.unwrap_err().code(),
        Code::OutOfRange,
        "a token that comes again leads nowhere"
    );
}

#[tokio::test]
async fn an_export_is_read_part_by_part_and_says_when_it_breaks_off() {
    let server = Scripted::start().await;
    let admin = Admin::builder(&server.url).retry(swift()).connect().await.unwrap();
    let part = |code: &str| {
        let registrations = vec![v1::ExportedRegistration { code: code.into(), ..Default::default() }];
        Ok(v1::ExportResponse { registrations })
    };
    let script = &server.script.export;
    script.then(Err(Status::unavailable("gone")));
    script.then(Ok(Stream { messages: vec![part("a"), part("b")], stays_open: false }));
    let mut export = admin.export(&ExportFilter::default()).await.unwrap();
    assert_eq!(export.next().await.unwrap().unwrap()[0].code, "a");
    assert_eq!(export.next().await.unwrap().unwrap()[0].code, "b");
    assert_eq!(export.next().await.unwrap(), None);
    script
        .then(Ok(Stream { messages: vec![part("a"), Err(Status::unavailable("gone"))], stays_open: false }));
    let mut export = admin.export(&ExportFilter::default()).await.unwrap();
    assert!(export.next().await.unwrap().is_some());
    assert_eq!(export.next().await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn an_empty_answer_is_an_unknown_outcome() {
    let server = Scripted::start().await;
    let client = client(&server).await.retry(RetryPolicy::none());
    server.script.register.then(Ok(v1::RegisterResponse::default()));
    assert!(client.register(&ask()).await.unwrap_err().is_outcome_unknown());
    server.script.get.then(Ok(v1::GetRegistrationResponse::default()));
    assert!(!client.get(Key::Code("K7P29QXW".into())).await.unwrap_err().is_outcome_unknown());
}

/// Compiles only when every call may move between threads, as `tokio::spawn` asks.
#[tokio::test]
async fn every_call_can_be_spawned() {
    fn spawnable<F: Future + Send>(call: F) {
        drop(call);
    }
    let client = Client::builder("http://127.0.0.1:1").connect_lazy().unwrap();
    let admin = Admin::builder("http://127.0.0.1:1").connect_lazy().unwrap();
    let (ask, filter, by) = (ask(), AvailabilityFilter::default(), By::new("siti", "a test"));
    let slot = SlotKey::new("kanim-pontianak", "2026-11-30", Lane::Regular);
    spawnable(client.register(&ask));
    spawnable(client.register_and_wait(&ask, Duration::from_secs(1)));
    spawnable(client.register_batch(std::slice::from_ref(&ask)));
    spawnable(client.get(Key::Id(String::new())));
    spawnable(client.cancel("", ""));
    spawnable(client.offices());
    spawnable(client.availability(&filter));
    spawnable(client.watch(filter.clone()).next());
    spawnable(admin.catalog());
    spawnable(admin.apply_catalog(&by, "", false));
    spawnable(admin.set_quota(&by, &slot, 1));
    spawnable(admin.pause(&by, &Scope::default()));
    spawnable(admin.events(&EventFilter::default()).next());
    spawnable(admin.export(&ExportFilter::default()));
    spawnable(Client::connect("http://127.0.0.1:1"));
}
