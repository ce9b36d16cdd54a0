//! The contract at the wire: fields, errors with their details, paging, reflection, health.

mod support;

use kuota_api::v1::{
    self, availability_service_client::AvailabilityServiceClient, office_service_client::OfficeServiceClient,
    registration_service_client::RegistrationServiceClient,
};
use support::{
    Friday, MONDAY, OFFICE, Server,
    people::{nik, registered, wish},
};
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::{v1 as reflection, v1alpha as reflection_alpha};
use tonic_types::StatusExt as _;

async fn channel(server: &Server) -> Channel {
    Channel::from_shared(format!("http://{}", server.addresses.grpc)).unwrap().connect().await.unwrap()
}

fn request() -> v1::RegisterRequest {
    v1::RegisterRequest {
        request_id: "01935f3e-7b2a-7cc0-9b1e-3f2a5d6c7e8f".into(),
        office_id: OFFICE.into(),
        service_date: MONDAY.into(),
        lane: v1::Lane::Regular.into(),
        applicants: vec![applicant(1)],
        durability: v1::Durability::Unspecified.into(),
        ..Default::default()
    }
}

fn applicant(number: u32) -> v1::Applicant {
    v1::Applicant { nik: nik(number), reference: String::new(), ..Default::default() }
}

/// The fields a status complains of, with what is allowed.
fn fields(status: &Status) -> Vec<(String, String)> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(status.get_details_error_info().unwrap().reason, "INVALID_FIELD");
    let bad = status.get_details_bad_request().unwrap();
    bad.field_violations.into_iter().map(|v| (v.field, v.description)).collect()
}

#[tokio::test]
async fn a_malformed_request_is_told_the_field_and_what_is_allowed_and_writes_nothing() {
    let server = Friday::open().places(5).start().await;
    let mut client = RegistrationServiceClient::new(channel(&server).await);
    let before = server.verify().events;
    type Row = (&'static str, fn(&mut v1::RegisterRequest), &'static str);
    let rows: [Row; 22] = [
        ("office_id", |r| r.office_id = "x".repeat(64), "the id of an office"),
        ("request_id", |r| r.request_id = String::new(), "a UUID"),
        ("request_id", |r| r.request_id = "17".into(), "a UUID"),
        (
            "request_id",
            |r| r.request_id = "00000000-0000-0000-0000-000000000000".into(),
            "other than the nil UUID",
        ),
        ("office_id", |r| r.office_id = String::new(), "is required"),
        ("service_date", |r| r.service_date = "30.11.2026".into(), "written like 2026-11-30"),
        ("service_date", |r| r.service_date = "2026-02-30".into(), "a calendar day"),
        ("lane", |r| r.lane = 0, "LANE_REGULAR, LANE_ONE_DAY or LANE_PRIORITY is required"),
        ("lane", |r| r.lane = 9, "LANE_REGULAR, LANE_ONE_DAY or LANE_PRIORITY is required"),
        ("ground", |r| r.lane = 3, "on LANE_PRIORITY the ground is required"),
        ("ground", |r| r.ground = 1, "a ground is allowed on LANE_PRIORITY only"),
        ("ground", |r| (r.lane, r.ground) = (2, 4), "a ground is allowed on LANE_PRIORITY only"),
        ("ground", |r| r.ground = 9, "PRIORITY_GROUND_ELDERLY"),
        (
            "applicants[0].passport_kind",
            |r| r.applicants[0].passport_kind = 9,
            "PASSPORT_KIND_ORDINARY_5_YEARS",
        ),
        ("durability", |r| r.durability = 9, "DURABILITY_DURABLE or DURABILITY_ACCEPTED"),
        ("applicants", |r| r.applicants.clear(), "1 to 5 applicants"),
        ("applicants", |r| r.applicants = (0..6).map(applicant).collect(), "1 to 5 applicants"),
        ("applicants[1].nik", |r| r.applicants = vec![applicant(1), applicant(1)], "no NIK twice"),
        ("applicants[0].nik", |r| r.applicants[0].nik = "12".into(), "exactly 16 digits"),
        ("applicants[0].nik", |r| r.applicants[0].nik = "6171013302870001".into(), "a birth date"),
        ("applicants[0].nik", |r| r.applicants[0].nik = "0071010102870001".into(), "name an area"),
        ("applicants[0].reference", |r| r.applicants[0].reference = "x".repeat(65), "up to 64 characters"),
    ];
    for (field, spoil, allowed) in rows {
        let mut request = request();
        spoil(&mut request);
        let status = client.register(request).await.unwrap_err();
        let found = fields(&status);
        assert!(
            found.iter().any(|(name, said)| name == field && said.contains(allowed)),
            "{field}: {found:?}"
        );
    }
    let mut all = request();
    (all.request_id, all.lane, all.service_date) = ("x".into(), 0, "y".into());
    assert_eq!(fields(&client.register(all).await.unwrap_err()).len(), 3, "every wrong field at once");
    let huge =
        v1::RegisterRequest { office_id: "x".repeat(kuota_server::limits::BATCH_BYTES_MAX), ..request() };
    assert_eq!(client.register(huge).await.unwrap_err().code(), Code::OutOfRange, "a request has a bound");
    assert_eq!(server.verify().events, before);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_says_nothing_is_closed() {
    use std::io::Read as _;
    let server = Friday::open().places(1).start().await;
    let addresses = [server.addresses.grpc, server.addresses.admin, server.addresses.http];
    let closed = addresses.map(|address| {
        let mut silent = std::net::TcpStream::connect(address).unwrap();
        tokio::task::spawn_blocking(move || silent.read_to_end(&mut Vec::new()))
    });
    for closed in closed {
        assert!(closed.await.unwrap().is_ok_and(|read| read < 100));
    }
    server.stop().await;
}

#[tokio::test]
async fn other_calls_name_their_fields_too() {
    let server = Friday::open().places(5).start().await;
    let mut registrations = RegistrationServiceClient::new(channel(&server).await);
    let mut slots = AvailabilityServiceClient::new(channel(&server).await);
    let mut offices = OfficeServiceClient::new(channel(&server).await);
    use v1::get_registration_request::Key;
    for (key, field) in [
        (None, "key"),
        (Some(Key::Id("x".into())), "id"),
        (Some(Key::Code("K7P2-9QXX".into())), "code"),
        (Some(Key::RequestId("x".into())), "request_id"),
    ] {
        let status = registrations.get_registration(v1::GetRegistrationRequest { key }).await.unwrap_err();
        assert_eq!(fields(&status)[0].0, field);
    }
    let cancel = v1::CancelRequest { id: "x".into(), reason: "r".repeat(201) };
    let status = registrations.cancel(cancel).await.unwrap_err();
    assert_eq!(fields(&status).iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), ["id", "reason"]);
    let ask = v1::ListAvailabilityRequest {
        from_date: Some("2026-12-02".into()),
        to_date: Some("2026-12-01".into()),
        lane: Some(7),
        page_size: -1,
        page_token: "zz".into(),
        ..v1::ListAvailabilityRequest::default()
    };
    let found = fields(&slots.list_availability(ask).await.unwrap_err());
    let names: Vec<_> = found.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(names, ["page_size", "page_token", "to_date", "lane"]);
    let ask = v1::ListOfficesRequest { page_size: 1_001, page_token: String::new() };
    assert_eq!(fields(&offices.list_offices(ask).await.unwrap_err())[0].0, "page_size");
    server.stop().await;
}

#[tokio::test]
async fn every_error_carries_its_reason() {
    let server = Friday::open().places(5).start().await;
    let mut client = RegistrationServiceClient::new(channel(&server).await);
    let reason = |status: &Status| {
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.domain, "kuota.v1");
        (status.code(), info.reason)
    };
    let nowhere = v1::RegisterRequest { office_id: "nowhere".into(), ..request() };
    let status = client.register(nowhere).await.unwrap_err();
    assert_eq!(reason(&status), (Code::NotFound, "OFFICE_NOT_FOUND".into()));
    client.register(request()).await.unwrap();
    let other = v1::RegisterRequest { applicants: vec![applicant(2)], ..request() };
    let status = client.register(other).await.unwrap_err();
    assert_eq!(reason(&status), (Code::FailedPrecondition, "REQUEST_ID_REUSED".into()));
    let cancel = v1::CancelRequest { id: request().request_id, reason: String::new() };
    let status = client.cancel(cancel).await.unwrap_err();
    assert_eq!(reason(&status), (Code::NotFound, "REGISTRATION_NOT_FOUND".into()));
    server.clock.set_drift_ms(6_000);
    let request_id = uuid::Uuid::new_v4().to_string();
    let later = v1::RegisterRequest { request_id, applicants: vec![applicant(3)], ..request() };
    let status = client.register(later).await.unwrap_err();
    assert_eq!(reason(&status), (Code::Unavailable, "CLOCK_DRIFT".into()));
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
    assert!(status.metadata().contains_key("grpc-retry-pushback-ms"));
    let again = client.register(request()).await.unwrap().into_inner();
    assert!(again.outcome.is_some(), "what is known is still answered");
    server.clock.set_drift_ms(0);
    server.stop().await;
}

#[tokio::test]
async fn a_registration_says_everything_that_was_promised() {
    let server = Friday::open().places(5).start().await;
    let ask = wish(41).applicant(nik(42), "two");
    let registration = registered(server.client.register(&ask).await.unwrap());
    assert_eq!(registration.request_id, ask.id());
    assert_eq!(registration.code.len(), 9);
    assert_eq!((registration.lane(), registration.queue_number), (v1::Lane::Regular, 1));
    let kept: Vec<_> =
        registration.applicants.iter().map(|a| (a.nik_last_four.as_str(), a.reference.as_str())).collect();
    assert_eq!(kept, [("0042", "person 41"), ("0043", "two")]);
    assert_eq!(registration.create_time, registration.update_time);
    use kuota_client::Key;
    for key in [
        Key::Id(registration.id.clone()),
        Key::Code(registration.code.to_lowercase().replace('-', "")),
        Key::RequestId(ask.id().into()),
    ] {
        assert_eq!(server.client.get(key).await.unwrap(), registration);
    }
    server.stop().await;
}

#[tokio::test]
async fn lists_come_in_pages_that_add_up() {
    let server = Friday::open().office("a", 3).office("b", 4).office("c", 5).start().await;
    let mut offices = OfficeServiceClient::new(channel(&server).await);
    let mut slots = AvailabilityServiceClient::new(channel(&server).await);
    let (mut names, mut page_token) = (Vec::new(), String::new());
    for _ in 0..3 {
        let ask = v1::ListOfficesRequest { page_size: 1, page_token };
        let page = offices.list_offices(ask).await.unwrap().into_inner();
        names.extend(page.offices.into_iter().map(|office| office.id));
        page_token = page.next_page_token;
    }
    assert_eq!((names.join(""), page_token.as_str()), ("abc".into(), ""));

    let everything = v1::ListAvailabilityRequest::default();
    let all = slots.list_availability(everything.clone()).await.unwrap().into_inner();
    assert_eq!((all.slots.len(), all.next_page_token.as_str()), (3 * 11, ""));
    let (mut found, mut page_token) = (Vec::new(), String::new());
    for _ in 0..5 {
        let ask = v1::ListAvailabilityRequest { page_size: 7, page_token, ..everything.clone() };
        let page = slots.list_availability(ask).await.unwrap().into_inner();
        found.extend(page.slots);
        page_token = page.next_page_token;
    }
    assert_eq!((found, page_token.as_str()), (all.slots, ""));

    let some = v1::ListAvailabilityRequest {
        office_id: Some("b".into()),
        from_date: Some("2026-12-01".into()),
        to_date: Some("2026-12-02".into()),
        page_size: 1,
        ..everything.clone()
    };
    let page = slots.list_availability(some).await.unwrap().into_inner();
    assert_eq!(page.slots[0].service_date, "2026-12-01");
    let other = v1::ListAvailabilityRequest { page_token: page.next_page_token, ..everything };
    assert_eq!(fields(&slots.list_availability(other).await.unwrap_err())[0].0, "page_token");
    server.stop().await;
}

#[tokio::test]
async fn health_and_reflection_answer_on_both_listeners() {
    let server = Friday::open().places(1).start().await;
    for address in [server.addresses.grpc, server.addresses.admin] {
        let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        let mut health = HealthClient::new(channel.clone());
        let service = "kuota.v1.RegistrationService".into();
        let answer = health.check(HealthCheckRequest { service }).await.unwrap().into_inner();
        assert_eq!(answer.status(), tonic_health::pb::health_check_response::ServingStatus::Serving);
        let unknown = health.check(HealthCheckRequest { service: "nothing".into() }).await.unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound);

        for symbol in ["kuota.v1.RegistrationService", "google.rpc.ErrorInfo", "grpc.health.v1.Health"] {
            use reflection::server_reflection_request::MessageRequest;
            let ask = reflection::ServerReflectionRequest {
                host: String::new(),
                message_request: Some(MessageRequest::FileContainingSymbol(symbol.into())),
            };
            let mut client =
                reflection::server_reflection_client::ServerReflectionClient::new(channel.clone());
            let mut answers =
                client.server_reflection_info(tokio_stream::iter([ask])).await.unwrap().into_inner();
            let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
            use reflection::server_reflection_response::MessageResponse;
            assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{symbol}: {answer:?}");

            use reflection_alpha::server_reflection_request::MessageRequest as OldRequest;
            let ask = reflection_alpha::ServerReflectionRequest {
                host: String::new(),
                message_request: Some(OldRequest::FileContainingSymbol(symbol.into())),
            };
            let mut client =
                reflection_alpha::server_reflection_client::ServerReflectionClient::new(channel.clone());
            let mut answers =
                client.server_reflection_info(tokio_stream::iter([ask])).await.unwrap().into_inner();
            assert!(answers.message().await.unwrap().is_some(), "{symbol}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn metrics_tell_what_happened() {
    let server = Friday::open().places(2).start().await;
    registered(server.client.register(&wish(0)).await.unwrap());
    let last = registered(server.client.register(&wish(1)).await.unwrap());
    server.client.register(&wish(2)).await.unwrap();
    let http = server.addresses.http.to_string();
    let read = || {
        tokio::task::spawn_blocking({
            let http = http.clone();
            move || support::process::page(&http, "/metrics")
        })
    };
    let page = read().await.unwrap();
    let register =
        "grpc_type=\"unary\",grpc_service=\"kuota.v1.RegistrationService\",grpc_method=\"Register\"";
    for line in [
        "kuota_grants_total{lane=\"REGULAR\"} 2",
        "kuota_refusals_total{reason=\"SOLD_OUT\"} 1",
        "kuota_places_free{office=\"kanim-pontianak\",lane=\"REGULAR\"} 10",
        "kuota_registrations 2",
        "kuota_live_applicants 2",
        "kuota_standbys 0",
        "kuota_permits_out 0",
        "kuota_ledger_queue_depth 0",
        "kuota_log_writable 1",
        "kuota_clock_drift_seconds 0",
        "kuota_next_opening_seconds 604800",
        &format!("grpc_server_started_total{{{register}}} 3"),
        &format!("grpc_server_handled_total{{{register},grpc_code=\"OK\"}} 3"),
        &format!("grpc_server_handling_seconds_count{{{register}}} 3"),
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is missing in\n{page}");
    }
    for name in [
        "kuota_ledger_wait_seconds_count",
        "kuota_batch_events_count",
        "kuota_commit_seconds_count",
        "kuota_log_bytes",
        "kuota_replay_seconds",
    ] {
        assert!(page.lines().any(|found| found.starts_with(name)), "{name} is missing");
    }
    server.client.cancel(&last.id, "").await.unwrap();
    let page = read().await.unwrap();
    assert!(page.contains("kuota_cancellations_total{lane=\"REGULAR\"} 1"), "{page}");
    server.stop().await;
}
