//! Looking back: who did what, when and why; who has a place; and in which language.

mod support;

use kuota_api::v1::{self, EventKind, Lane, registration_service_client::RegistrationServiceClient};
use kuota_client::Outcome;
use support::{
    Friday, MONDAY, OFFICE, instant,
    operator::{Admin, at_time, command, operator, quota, scope},
    people::{registered, wish, wish_for},
};
use tonic::{Code, Request};
use tonic_types::StatusExt as _;
use uuid::Uuid;
async fn events(admin: &mut Admin, of: v1::ListEventsRequest) -> Vec<v1::Event> {
    let mut request = v1::ListEventsRequest { page_size: 7, ..of };
    let mut events = Vec::new();
    loop {
        let page = admin.list_events(request.clone()).await.unwrap().into_inner();
        events.extend(page.events);
        if page.next_page_token.is_empty() {
            return events;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn the_log_tells_who_did_what_when_and_why() {
    let of = v1::ListEventsRequest::default;
    let server = Friday::open().places(3).office("kanim-sambas", 2).start().await;
    let mut admin = operator(&server).await;
    let found = registered(server.client.register(&wish(1)).await.unwrap());
    registered(server.client.register(&wish_for("kanim-sambas", MONDAY, 2)).await.unwrap());
    server.at("2026-11-27T07:05:00Z").await;
    admin.set_quota(quota(1, MONDAY, 9)).await.unwrap();
    admin
        .pause(v1::PauseRequest { command: command(2), scope: scope(Some(OFFICE), None, None) })
        .await
        .unwrap();
    server.client.cancel(&found.id, "ill").await.unwrap();

    let story =
        events(&mut admin, v1::ListEventsRequest { registration_id: Some(found.id.clone()), ..of() }).await;
    let kinds: Vec<_> = story.iter().map(v1::Event::kind).collect();
    assert_eq!(kinds, [EventKind::Granted, EventKind::Cancelled]);
    assert_eq!((&*story[1].reason, &*story[1].office_id, &*story[1].service_date), ("ill", OFFICE, MONDAY));
    assert_eq!(story[1].time.as_ref().unwrap().seconds, instant("2026-11-27T07:05:00Z").0 / 1_000);
    assert!(story[0].description.contains(&found.code), "{}", story[0].description);

    let by_siti = events(&mut admin, v1::ListEventsRequest { actor: Some("siti".into()), ..of() }).await;
    let kinds: Vec<_> = by_siti.iter().map(v1::Event::kind).collect();
    use EventKind::{CommandCarriedOut, OverrideSet, Paused, PlacesChanged};
    assert_eq!(kinds, [OverrideSet, PlacesChanged, CommandCarriedOut, Paused, CommandCarriedOut]);
    assert!(by_siti.iter().all(|event| event.reason == "as the test wishes"));

    let mut both = v1::ListEventsRequest { actor: Some("siti".into()), ..of() };
    both.office_id = Some(OFFICE.into());
    let kinds: Vec<_> = events(&mut admin, both).await.iter().map(v1::Event::kind).collect();
    assert_eq!(kinds, [OverrideSet, PlacesChanged, Paused], "what Siti did to one office");

    let of_sambas =
        events(&mut admin, v1::ListEventsRequest { office_id: Some("kanim-sambas".into()), ..of() }).await;
    assert!(of_sambas.iter().all(|event| event.office_id == "kanim-sambas"));
    assert_eq!(of_sambas.iter().filter(|event| event.kind() == EventKind::Granted).count(), 1);

    let all = events(&mut admin, of()).await;
    let numbers: Vec<_> = all.iter().map(|event| event.number).collect();
    assert_eq!(numbers, (1..=server.verify().events).collect::<Vec<_>>(), "each event once, in order");
    let from =
        v1::ListEventsRequest { from_time: Some(at_time("2026-11-27T07:01:00Z")), ..Default::default() };
    let recent = admin.list_events(from.clone()).await.unwrap().into_inner().events;
    assert_eq!(recent.len(), 6, "the operator's five, and the cancellation");
    let between = v1::ListEventsRequest { to_time: Some(at_time("2026-11-27T07:02:00Z")), ..from };
    assert!(admin.list_events(between).await.unwrap().into_inner().events.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn an_export_lists_registrations_in_the_order_of_the_queue_without_identity_numbers() {
    let server = Friday::open().places(700).office("kanim-sambas", 2).start().await;
    let mut admin = operator(&server).await;
    for person in 0..601 {
        registered(server.client.register(&wish(person)).await.unwrap());
    }
    let other = registered(server.client.register(&wish_for("kanim-sambas", MONDAY, 900)).await.unwrap());
    server.client.cancel(&other.id, "ill").await.unwrap();
    let export = |request| {
        let mut admin = admin.clone();
        async move {
            let mut stream = admin.export(Request::new(request)).await.unwrap().into_inner();
            let mut registrations = Vec::new();
            while let Some(part) = stream.message().await.unwrap() {
                assert!(part.registrations.len() <= 500);
                registrations.extend(part.registrations);
            }
            registrations
        }
    };
    let all = export(v1::ExportRequest::default()).await;
    assert_eq!(all.len(), 602);
    let queue: Vec<_> = all[..601].iter().map(|found| found.queue_number).collect();
    assert_eq!(queue, (1..=601).collect::<Vec<_>>());
    assert_eq!((all[601].state(), &*all[601].cancel_reason), (v1::RegistrationState::Cancelled, "ill"));
    assert_eq!(all[0].references, ["person 0"]);
    let office = v1::ExportRequest { office_id: Some("kanim-sambas".into()), ..Default::default() };
    assert_eq!(export(office).await.len(), 1);
    let later = v1::ExportRequest { from_date: Some("2026-12-01".into()), ..Default::default() };
    assert!(export(later).await.is_empty());
    let text = format!("{all:?}");
    assert!((0..601).all(|person| !text.contains(&support::people::nik(person))));
    let wrong = v1::ExportRequest { to_date: Some("soon".into()), ..Default::default() };
    assert_eq!(admin.export(wrong).await.unwrap_err().code(), Code::InvalidArgument);
    server.stop().await;
}

#[tokio::test]
async fn people_are_spoken_to_in_indonesian_when_they_ask() {
    let server = Friday::open().places(1).start().await;
    let client =
        RegistrationServiceClient::connect(format!("http://{}", server.addresses.grpc)).await.unwrap();
    assert!(matches!(server.client.register(&wish(1)).await.unwrap(), Outcome::Registered(_)));
    let ask = |language: &'static str| {
        let mut client = client.clone();
        async move {
            let applicant = v1::Applicant {
                nik: support::people::nik(2),
                reference: String::new(),
                ..Default::default()
            };
            let mut request = Request::new(v1::RegisterRequest {
                request_id: Uuid::from_u128(9).to_string(),
                office_id: OFFICE.into(),
                service_date: MONDAY.into(),
                lane: Lane::Regular.into(),
                applicants: vec![applicant],
                durability: 0,
                ..Default::default()
            });
            request.metadata_mut().insert("accept-language", language.parse().unwrap());
            let answer = client.register(request).await.unwrap().into_inner();
            match answer.outcome.unwrap() {
                v1::register_response::Outcome::Refusal(refusal) => refusal,
                v1::register_response::Outcome::Registration(found) => panic!("{found:?}"),
            }
        }
    };
    let (english, indonesian) = (ask("en").await, ask("id-ID, en;q=0.5").await);
    assert_eq!(english.message, "No place is left on this day.");
    assert_eq!(indonesian.message, "Kuota untuk hari ini sudah habis.");
    assert_eq!((english.reason, english.metadata), (indonesian.reason, indonesian.metadata));

    let mut request = Request::new(v1::GetRegistrationRequest {
        key: Some(v1::get_registration_request::Key::RequestId(Uuid::from_u128(77).to_string())),
    });
    request.metadata_mut().insert("accept-language", "id".parse().unwrap());
    let missing = client.clone().get_registration(request).await.unwrap_err();
    assert_eq!(missing.get_details_error_info().unwrap().reason, "REGISTRATION_NOT_FOUND");
    assert_eq!(missing.message(), "there is no such registration");
    let words = missing.get_details_localized_message().unwrap();
    assert_eq!((&*words.locale, &*words.message), ("id", "Pendaftaran tidak ditemukan."));
    server.stop().await;
}
