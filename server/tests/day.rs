//! The service day, over gRPC: who comes, who is served, who does not come, and how many they are.

mod support;

use std::sync::Arc;

use kuota_client::{
    Admin, AvailabilityFilter, Client, DayCount, EventFilter, ExportFilter, Key, PassportKind, Payee,
    Payment, RefusalReason, Registration, RegistrationState, RetryPolicy,
};
use support::{
    Friday, MONDAY, OFFICE, Server, T0, held_catalog,
    held_log::{Fate, Valve},
    people::{insist, refused, registered, wish, wish_for},
};

/// Monday, nine o'clock in Pontianak; and its end.
const NINE: &str = "2026-11-30T02:00:00Z";
const ENDS: &str = "2026-11-30T17:00:00Z";

async fn operator(server: &Server) -> Admin {
    let url = format!("http://{}", server.addresses.admin);
    Admin::builder(url).retry(RetryPolicy::none()).connect().await.unwrap()
}

async fn granted(client: &Client, person: u32) -> Registration {
    registered(insist(client, &wish(person)).await)
}

async fn monday(server: &Server) -> DayCount {
    let date = Some(MONDAY.to_owned());
    let filter =
        AvailabilityFilter { from_date: date.clone(), to_date: date, ..AvailabilityFilter::default() };
    operator(server).await.days(&filter).await.unwrap().remove(0)
}

fn counts(day: &DayCount) -> [u32; 7] {
    [day.held, day.confirmed, day.checked_in, day.served, day.no_show, day.cancelled, day.expired]
}

#[tokio::test]
async fn a_day_from_its_first_guest_to_those_who_never_came_also_over_a_restart() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let server = Friday::open().places(5).data(&data).start().await;
    let client = &server.client;
    let (first, second, third) =
        (granted(client, 1).await, granted(client, 2).await, granted(client, 3).await);
    let fourth = granted(client, 4).await;
    client.cancel(&fourth.id, "ill").await.unwrap();
    assert_eq!(counts(&monday(&server).await), [0, 3, 0, 0, 0, 1, 0]);

    let early = refused(client.check_in(&Key::Code(first.code.clone()), "counter 3").await.unwrap());
    assert_eq!(early.reason(), RefusalReason::TooEarlyToCheckIn);
    let begins = support::instant("2026-11-29T17:00:00Z").0;
    assert_eq!(
        (early.open_time.unwrap().seconds * 1_000, early.metadata["service_date"].as_str()),
        (begins, MONDAY)
    );
    server.at(NINE).await;
    let came = registered(client.check_in(&Key::Code(first.code.clone()), "counter 3").await.unwrap());
    assert_eq!((came.state(), came.check_in_time), (RegistrationState::CheckedIn, came.update_time));
    let again = client.check_in(&Key::Id(first.id.clone()), "counter 4").await.unwrap();
    assert_eq!(registered(again), came, "again: the same");
    let served = registered(client.complete(&Key::Id(first.id.clone()), "").await.unwrap());
    assert_eq!((served.state(), served.serve_time), (RegistrationState::Served, served.update_time));
    registered(client.check_in(&Key::RequestId(second.request_id.clone()), "").await.unwrap());
    let why = |outcome| {
        let refusal = refused(outcome);
        (refusal.reason(), refusal.metadata["state"].clone())
    };
    let stays = client.cancel(&second.id, "").await.unwrap();
    assert_eq!(why(stays), (RefusalReason::AlreadyCheckedIn, "CHECKED_IN".into()));
    let gone = client.check_in(&Key::Id(fourth.id.clone()), "").await.unwrap();
    assert_eq!(why(gone), (RefusalReason::NotConfirmed, "CANCELLED".into()));
    let waits = client.complete(&Key::Id(third.id.clone()), "").await.unwrap();
    assert_eq!(why(waits), (RefusalReason::NotCheckedIn, "CONFIRMED".into()));
    let unknown = client.check_in(&Key::Id("01935f3e-7b2a-7cc0-9b1e-3f2a5d6c7e8f".into()), "").await;
    assert_eq!(unknown.unwrap_err().reason(), Some("REGISTRATION_NOT_FOUND"));
    let unreadable = client.check_in(&Key::Code("ABC".into()), "").await;
    assert_eq!(unreadable.unwrap_err().reason(), Some("INVALID_FIELD"));
    let long = client.check_in(&Key::Id(first.id.clone()), &"x".repeat(65)).await;
    assert_eq!(long.unwrap_err().reason(), Some("INVALID_FIELD"));
    assert_eq!(counts(&monday(&server).await), [0, 1, 1, 1, 0, 1, 0]);

    server.at(ENDS).await;
    assert_eq!(counts(&monday(&server).await), [0, 0, 1, 1, 1, 1, 0]);
    let absent = client.get(Key::Id(third.id.clone())).await.unwrap();
    assert_eq!(absent.state(), RegistrationState::NoShow);
    let late = refused(client.complete(&Key::Id(second.id.clone()), "").await.unwrap());
    assert_eq!((late.reason(), late.open_time), (RefusalReason::ServiceDayOver, None));
    let page = support::process::page(&server.addresses.http.to_string(), "/metrics");
    for line in [
        "kuota_check_ins_total{lane=\"REGULAR\"} 2\n",
        "kuota_served_total{lane=\"REGULAR\"} 1\n",
        "kuota_no_shows_total{lane=\"REGULAR\"} 1\n",
    ] {
        assert!(page.contains(line), "{line}");
    }
    server.stop().await;

    let server = Friday::at(ENDS).places(5).data(&data).start().await;
    assert_eq!(counts(&monday(&server).await), [0, 0, 1, 1, 1, 1, 0], "counted anew after a restart");
    let admin = operator(&server).await;
    let mut events = admin.events(&EventFilter { registration_id: Some(third.id), ..EventFilter::default() });
    let mut story = Vec::new();
    while let Some(event) = events.next().await.unwrap() {
        story.push(event.description);
    }
    assert_eq!(story.last().unwrap(), &format!("{OFFICE} on {MONDAY}: nobody came for 1 registration."));
    let mut export = admin.export(&ExportFilter::default()).await.unwrap();
    let rows = export.next().await.unwrap().unwrap();
    let row = rows.iter().find(|row| row.id == first.id).unwrap();
    assert_eq!((row.check_in_time, row.serve_time), (served.check_in_time, served.serve_time));
    // A person who did not come may ask again.
    registered(insist(&server.client, &wish_for(OFFICE, "2026-12-01", 3)).await);
    let verdict = server.verify();
    assert!(verdict.ok, "{verdict:?}");
    server.stop().await;
}

/// One row for each reason not to check in, or not to complete: the sentence, and the time from which it would work.
#[tokio::test]
async fn each_refusal_says_why_and_from_when() {
    let server = Friday::open().catalog(held_catalog(5)).start().await;
    let client = &server.client;
    let in_indonesian = Client::builder(format!("http://{}", server.addresses.grpc)).language("id");
    let in_indonesian = in_indonesian.connect().await.unwrap();
    let held = async |person| {
        let ask = wish(person).passport(PassportKind::Ordinary5Years);
        registered(insist(client, &ask).await)
    };
    let paid = async |person| {
        let registration = held(person).await;
        let payee = Payee::Billing(registration.billing_reference.clone());
        let payment = Payment { payee, reference: format!("BRI-{person}"), amount_rupiah: 350_000 };
        client.confirm_payment(&payment).await.unwrap();
        Key::Id(registration.id)
    };
    let (expected, comes) = (paid(1).await, paid(2).await);
    let cancelled = held(3).await;
    client.cancel(&cancelled.id, "").await.unwrap();
    let unpaid = Key::Id(held(4).await.id);
    let cancelled = Key::Id(cancelled.id);
    let expired = unpaid.clone();
    use RefusalReason::{NotCheckedIn, NotConfirmed, ServiceDayOver, TooEarlyToCheckIn};
    let rows: [(&str, &Key, bool, RefusalReason, &str, &str); 9] = [
        (T0, &unpaid, false, NotConfirmed, "It has not been paid for yet, so", "Pendaftaran ini belum"),
        (
            T0,
            &expected,
            false,
            TooEarlyToCheckIn,
            "It is too early: people check in on",
            "Terlalu awal: kedatangan",
        ),
        (T0, &expected, true, NotCheckedIn, "Its people have not checked in", "Pemohon belum melapor"),
        (NINE, &expired, false, NotConfirmed, "It was not paid for in time", "Tidak dibayar pada waktunya"),
        (NINE, &cancelled, false, NotConfirmed, "It was cancelled", "Pendaftaran ini sudah dibatalkan"),
        (NINE, &expected, true, NotCheckedIn, "Its people have not checked in", "Pemohon belum melapor"),
        (ENDS, &expected, false, ServiceDayOver, "It is too late: the service day", "Sudah terlambat: hari"),
        (ENDS, &expected, true, NotCheckedIn, "Its people have not checked in", "Pemohon belum melapor"),
        (ENDS, &comes, true, ServiceDayOver, "It is too late: the service day", "Sudah terlambat: hari"),
    ];
    for (at, key, is_complete, reason, english, indonesian) in rows {
        server.at(at).await;
        if at == NINE {
            registered(client.check_in(&comes, "").await.unwrap());
        }
        let ask = async |client: &Client| {
            let answer =
                if is_complete { client.complete(key, "").await } else { client.check_in(key, "").await };
            refused(answer.unwrap())
        };
        let refusal = ask(client).await;
        assert_eq!(refusal.reason(), reason, "{at}");
        assert!(refusal.message.starts_with(english), "{refusal:?}");
        assert!(ask(&in_indonesian).await.message.starts_with(indonesian));
        let opens = refusal.open_time.map(|time| time.seconds * 1_000);
        let begins = support::instant("2026-11-29T17:00:00Z").0;
        assert_eq!(opens, (reason == TooEarlyToCheckIn).then_some(begins), "{refusal:?}");
        assert!(refusal.alternatives.is_empty() && refusal.retry_after.is_none(), "{refusal:?}");
    }
    assert!(server.verify().ok);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_in_whose_commit_fails_never_happened() {
    let valve = Valve::default();
    let server = Friday::open().places(2).log(valve.wrap()).start().await;
    let granted = granted(&server.client, 1).await;
    server.at(NINE).await;
    let key = Key::Id(granted.id.clone());
    valve.set(Fate::Full);
    let error = server.client.check_in(&key, "").await.unwrap_err();
    assert_eq!(error.reason(), Some("LOG_FULL"));
    valve.set(Fate::Pass);
    assert_eq!(server.client.get(key.clone()).await.unwrap(), granted);
    assert_eq!(counts(&monday(&server).await), [0, 1, 0, 0, 0, 0, 0], "and nobody was counted");
    registered(server.client.check_in(&key, "").await.unwrap());
    assert_eq!(counts(&monday(&server).await), [0, 0, 1, 0, 0, 0, 0]);
    assert!(server.verify().ok);
    server.stop().await;
}

/// An office that does not use check-in makes nobody a no-show, and its days end all the same.
#[tokio::test]
async fn where_nobody_is_checked_in_nobody_is_a_no_show() {
    let server = Friday::open().places(2).start().await;
    let granted = granted(&server.client, 1).await;
    server.at(ENDS).await;
    assert_eq!(counts(&monday(&server).await), [0, 1, 0, 0, 0, 0, 0]);
    let found = server.client.get(Key::Id(granted.id)).await.unwrap();
    assert_eq!(found.state(), RegistrationState::Confirmed);
    let page = support::process::page(&server.addresses.http.to_string(), "/metrics");
    assert!(page.contains("kuota_no_shows_total{lane=\"REGULAR\"} 0\n"), "{page}");
    registered(insist(&server.client, &wish_for(OFFICE, "2026-12-01", 1)).await);
    assert!(server.verify().ok);
    server.stop().await;
}
