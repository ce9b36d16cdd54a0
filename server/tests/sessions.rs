//! Sessions through the API: named or any, one by one and in batches, and what is said when one is full.

mod support;

use std::sync::Arc;

use kuota_api::v1::{self, register_batch_item, registration_service_client::RegistrationServiceClient};
use kuota_client::{
    Admin, Ask, By, Client, Destination, ExportFilter, Key, OfficeSession, RefusalReason, Registration,
    Reschedule,
};
use kuota_server::config::CatalogSource;
use support::{
    Friday, MONDAY, OFFICE, catalog,
    people::{insist, nik, refused, registered, wish},
};
use tonic::Request;

const SESSIONS: &str = r#"sessions = [
  { start = "09:00", end = "10:00", share = 1 },
  { start = "08:00", end = "09:00", share = 2 },
]
"#;

/// So many places on Monday: twice as many from 08:00 as from 09:00.
fn in_sessions(places: u32) -> Friday {
    let regular = format!("places = {places}\n");
    let text = catalog(&[(OFFICE.into(), places)]).replace(&regular, &format!("{regular}{SESSIONS}"));
    Friday::open().catalog(CatalogSource::Text { name: "test".into(), text })
}

/// Start and number in the queue.
fn turn(registration: &Registration) -> (&str, u32) {
    (registration.session.as_ref().map_or("", |session| &session.start_time), registration.queue_number)
}

fn in_session(person: u32, start: &str) -> Ask {
    wish(person).session(start)
}

async fn register(client: &Client, ask: &Ask) -> Registration {
    registered(insist(client, ask).await)
}

#[tokio::test]
async fn a_caller_names_a_session_or_gets_the_earliest_and_keeps_it_over_a_restart() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let server = in_sessions(4).data(&data).start().await;
    let office = server.client.offices().await.unwrap().remove(0);
    let session = |start: &str, end: &str, daily_places| OfficeSession {
        start_time: start.into(),
        end_time: end.into(),
        daily_places,
    };
    assert_eq!(office.lanes[0].sessions, [session("08:00", "09:00", 3), session("09:00", "10:00", 1)]);

    let named = register(&server.client, &in_session(1, "09:00")).await;
    let any = register(&server.client, &wish(2)).await;
    let next = register(&server.client, &wish(3)).await;
    assert_eq!([turn(&named), turn(&any), turn(&next)], [("09:00", 1), ("08:00", 1), ("08:00", 2)]);
    assert_eq!(named.session.as_ref().unwrap().end_time, "10:00");
    server.stop().await;

    let server = in_sessions(4).data(&data).start().await;
    assert_eq!(server.client.get(Key::Id(named.id.clone())).await.unwrap(), named);
    assert_eq!(register(&server.client, &wish(4)).await.queue_number, 3);
    let admin = Admin::connect(&format!("http://{}", server.addresses.admin)).await.unwrap();
    let mut export = admin.export(&ExportFilter::default()).await.unwrap();
    let exported = export.next().await.unwrap().unwrap();
    let starts: Vec<_> = exported.iter().filter_map(|one| one.session.as_ref()).collect();
    assert_eq!(starts.len(), 4);
    let verdict = server.verify();
    assert!(verdict.ok && verdict.grants == 4, "{verdict:?}");
    server.stop().await;
}

#[tokio::test]
async fn each_refusal_for_a_session_names_those_that_have_room() {
    // (who, session, reason, metadata)
    type Row = (u32, &'static str, RefusalReason, &'static [(&'static str, &'static str)]);
    let rows: [Row; 3] = [
        (
            7,
            "09:00",
            RefusalReason::SessionFull,
            &[("asked", "1"), ("available", "0"), ("sessions_with_room", "08:00")],
        ),
        (7, "10:00", RefusalReason::NoSuchSession, &[("offered", "08:00, 09:00")]),
        (1, "09:00", RefusalReason::AlreadyRegistered, &[("applicant", "0")]),
    ];
    let server = in_sessions(5).start().await;
    register(&server.client, &in_session(1, "09:00")).await;
    register(&server.client, &in_session(2, "09:00")).await;
    for (person, session, reason, metadata) in rows {
        // More often than there are places: each permit taken goes home.
        for _ in 0..9 {
            let refusal = refused(insist(&server.client, &in_session(person, session)).await);
            assert_eq!(refusal.reason(), reason);
            let mut told: Vec<_> = refusal.metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            told.sort_unstable();
            assert_eq!(told, metadata);
        }
    }
    let party = (10..14).fold(wish(9), |ask, person| ask.applicant(nik(person), ""));
    let none = refused(insist(&server.client, &party).await);
    assert_eq!(none.reason(), RefusalReason::NotEnoughPlaces, "the day has three left");
    for person in 20..23 {
        assert_eq!(turn(&register(&server.client, &wish(person)).await).0, "08:00");
    }
    let gone = refused(insist(&server.client, &in_session(7, "08:00")).await);
    assert_eq!(gone.reason(), RefusalReason::SoldOut, "the day comes first");
    server.at("2026-11-30T00:00:00Z").await;
    let verdict = server.verify();
    assert!(verdict.ok && verdict.grants == 5, "{verdict:?}");
    server.stop().await;
}

#[tokio::test]
async fn on_the_day_itself_a_session_that_has_begun_is_over() {
    let server = in_sessions(5).start().await;
    // 08:30 in Pontianak.
    server.at("2026-11-30T01:30:00Z").await;
    let begun = refused(insist(&server.client, &in_session(1, "08:00")).await);
    assert_eq!(begun.reason(), RefusalReason::SessionBegun);
    assert_eq!(begun.metadata["sessions_with_room"], "09:00");
    let eight = support::instant("2026-11-30T01:00:00Z").0.to_string();
    assert_eq!(begun.metadata["began_at_ms"], eight);
    assert_eq!(turn(&register(&server.client, &wish(1)).await), ("09:00", 1));
    server.stop().await;
}

#[tokio::test]
async fn the_session_is_part_of_what_a_repeat_must_match() {
    let server = in_sessions(5).start().await;
    let any = wish(1);
    let first = register(&server.client, &any).await;
    assert_eq!(register(&server.client, &any).await, first);
    let named = any.session("08:00");
    let error = server.client.register(&named).await.unwrap_err();
    assert_eq!(error.reason(), Some("REQUEST_ID_REUSED"));
    for wrong in ["8:00", "08:01", "noon"] {
        let error = server.client.register(&in_session(2, wrong)).await.unwrap_err();
        assert_eq!(error.reason(), Some("INVALID_FIELD"), "{wrong}");
        assert!(error.to_string().contains("session"), "{error}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_batch_fills_sessions_in_its_order_and_each_is_told_in_their_language() {
    let server = in_sessions(5).start().await;
    let url = format!("http://{}", server.addresses.grpc);
    let mut client = RegistrationServiceClient::connect(url).await.unwrap();
    let ask = |person: u32, session: &str| v1::RegisterRequest {
        request_id: uuid::Uuid::from_u128(u128::from(person)).to_string(),
        office_id: OFFICE.into(),
        service_date: MONDAY.into(),
        lane: v1::Lane::Regular.into(),
        applicants: vec![v1::Applicant { nik: nik(person), ..v1::Applicant::default() }],
        session: session.into(),
        ..v1::RegisterRequest::default()
    };
    let wishes = [(1, "09:00"), (2, ""), (3, "09:00"), (4, "09:00"), (5, "")];
    let requests = wishes.map(|(person, session)| ask(person, session)).to_vec();
    let mut request = Request::new(v1::RegisterBatchRequest { requests });
    request.metadata_mut().insert("accept-language", "id".parse().unwrap());
    let items = client.register_batch(request).await.unwrap().into_inner().items;
    let told: Vec<_> = items
        .into_iter()
        .map(|item| match item.outcome.unwrap() {
            register_batch_item::Outcome::Registration(one) => {
                let (start, number) = turn(&one);
                format!("{start} {number}")
            }
            register_batch_item::Outcome::Refusal(refusal) => refusal.message,
            register_batch_item::Outcome::Error(error) => error.message,
        })
        .collect();
    let full = "Sesi ini tidak cukup untuk 1 orang; masih ada tempat pada 08:00.";
    assert_eq!(told, ["09:00 1", "08:00 1", "09:00 2", full, "08:00 2"]);
    assert!(server.verify().ok);
    server.stop().await;
}

#[tokio::test]
async fn a_reschedule_names_a_session_too_also_an_operators() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let server = in_sessions(4).data(&data).start().await;
    let client = &server.client;
    let granted = register(client, &in_session(1, "09:00")).await;
    let tuesday = |start: &str| Destination::day("2026-12-01").session(start);
    let why = async |start: &str| {
        let refusal =
            refused(client.reschedule(&Reschedule::new(&granted.id, tuesday(start))).await.unwrap());
        (refusal.reason(), refusal.metadata["offered"].clone())
    };
    assert_eq!(why("10:00").await, (RefusalReason::NoSuchSession, "08:00, 09:00".into()));
    let unreadable = Reschedule::new(&granted.id, tuesday("nine"));
    assert_eq!(client.reschedule(&unreadable).await.unwrap_err().reason(), Some("INVALID_FIELD"));
    let wish = Reschedule::new(&granted.id, tuesday("09:00"));
    let moved = registered(client.reschedule(&wish).await.unwrap());
    assert_eq!((moved.service_date.as_str(), turn(&moved)), ("2026-12-01", ("09:00", 1)));
    server.stop().await;

    let server = in_sessions(4).data(&data).start().await;
    let client = &server.client;
    assert_eq!(registered(client.reschedule(&wish).await.unwrap()), moved, "a repeat, after a restart");
    let other = Reschedule { to: tuesday("08:00"), ..wish.clone() };
    assert_eq!(client.reschedule(&other).await.unwrap_err().reason(), Some("REQUEST_ID_REUSED"));
    let admin = Admin::connect(&format!("http://{}", server.addresses.admin)).await.unwrap();
    let (by, wednesday) = (By::new("siti", "power cut"), Destination::day("2026-12-02").session("09:00"));
    let preview = admin.preview_reschedule(&by, &granted.id, &wednesday).await.unwrap();
    assert_eq!(preview.registration.unwrap(), moved, "nothing changed");
    let answer = admin.reschedule_specially(&by, &granted.id, &wednesday).await.unwrap();
    assert_eq!(turn(&answer.registration.unwrap()), ("09:00", 1));
    let gone = Destination::day("2026-12-03").session("10:00");
    let error = admin.reschedule_specially(&By::new("siti", "again"), &granted.id, &gone).await.unwrap_err();
    assert_eq!(error.reason(), Some("NO_SUCH_SESSION"));
    assert!(server.verify().ok);
    server.stop().await;
}
