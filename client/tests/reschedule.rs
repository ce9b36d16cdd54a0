//! What `kuota` prints of reschedules, against a server that answers from a script.
//! `UPDATE_EXPECT=1 cargo test -p kuota-client --test reschedule` writes the file in `golden/` anew.

mod support;

use expect_test::expect_file;
use kuota_api::v1::{self, Lane, RefusalReason};
use kuota_client::{Client, Destination, Outcome, Reschedule, RetryPolicy};
use support::{
    Scripted, failed,
    tool::{ID, golden, page},
};
use tonic::Code;

const KANIM: &str = "kanim-pontianak";

/// A server that knows the zone of its one office, however often it is asked.
async fn pontianak() -> Scripted {
    let server = Scripted::start().await;
    for _ in 0..20 {
        let office =
            v1::Office { id: KANIM.into(), time_zone: "Asia/Pontianak".into(), ..Default::default() };
        let answer = v1::ListOfficesResponse { offices: vec![office], ..Default::default() };
        server.script.offices.then(Ok(answer));
    }
    server
}

/// 2026-11-27 14:00 in Pontianak.
fn at() -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: 1_795_762_800, nanos: 0 })
}

fn there() -> v1::Registration {
    v1::Registration {
        id: ID.into(),
        office_id: KANIM.into(),
        service_date: "2026-12-01".into(),
        lane: Lane::Regular.into(),
        state: v1::RegistrationState::Confirmed.into(),
        ..support::granted(ID)
    }
}

fn slot(date: &str, granted: u32) -> v1::SlotChange {
    v1::SlotChange {
        office_id: KANIM.into(),
        service_date: date.into(),
        lane: Lane::Regular.into(),
        capacity_before: Some(120),
        capacity_after: 120,
        granted,
        open_time_before: at(),
        open_time_after: at(),
    }
}

fn outcome(outcome: v1::reschedule_response::Outcome) -> v1::RescheduleResponse {
    v1::RescheduleResponse { outcome: Some(outcome), server_time: None }
}

#[tokio::test]
async fn a_place_is_given_up_for_another() {
    let server = pontianak().await;
    let script = &server.script;
    let left = v1::RescheduledFrom {
        office_id: KANIM.into(),
        service_date: "2026-11-30".into(),
        lane: Lane::Regular.into(),
    };
    let moved = v1::Registration { rescheduled_from: Some(left), reschedule_time: at(), ..there() };
    let registration = || Ok(outcome(v1::reschedule_response::Outcome::Registration(moved.clone())));
    let found = v1::GetRegistrationResponse { registration: Some(there()), server_time: None };
    script.get.then(Ok(found.clone())).then(Ok(found));
    script.reschedule.then(registration()).then(registration());
    let refusal = support::refusal(RefusalReason::AlreadyRescheduled, 0);
    script.reschedule.then(Ok(outcome(v1::reschedule_response::Outcome::Refusal(refusal))));
    script.reschedule.then(Err(failed(Code::FailedPrecondition, "REQUEST_ID_REUSED")));
    let receipt = v1::Receipt { request_id: ID.into(), time: at(), changes: 1, repeated_request: false };
    let done = v1::RescheduleSpeciallyResponse {
        receipt: Some(receipt),
        registration: Some(there()),
        slots: vec![slot("2026-11-30", 118), slot("2026-12-01", 31)],
        server_time: None,
    };
    let preview = v1::RescheduleSpeciallyResponse { receipt: None, ..done.clone() };
    script.specially.then(Ok(done.clone())).then(Ok(done)).then(Ok(preview));
    script.specially.then(Err(failed(Code::FailedPrecondition, "SAME_SLOT")));
    let elsewhere =
        ["--office", "mpp-pontianak", "--lane", "REGULAR", "--session", "09:00", "--request-id", ID];
    let to = ["--date", "2026-12-01"];
    let (own, specially) = (["reschedule", ID], ["admin", "reschedule", ID, "--reason", "power cut"]);
    let by_code = [&["reschedule", "K7P2-9QXW"], &to[..]].concat();
    let own = [&own[..], &to, &elsewhere].concat();
    let json = [&["--output", "json"], &own[..]].concat();
    let asked = [&specially[..], &to, &["--session", "09:00"]].concat();
    let done = [&asked[..], &["--yes"]].concat();
    let done_json = [&["--output", "json"], &done[..]].concat();
    let commands: [&[&str]; 8] = [&by_code, &json, &own, &own, &done, &done_json, &asked, &done];
    expect_file![golden("reschedule.txt")].assert_eq(&page(&server, &commands).await);
    let wishes = script.reschedule.asked();
    assert_eq!(
        (wishes[0].office_id.as_deref(), wishes[0].lane, &*wishes[0].session),
        (None, None, ""),
        "what is not said is not sent"
    );
    assert_eq!(wishes[2].office_id.as_deref(), Some("mpp-pontianak"));
    assert_eq!((&*wishes[2].session, &*wishes[2].request_id), ("09:00", ID));
    let previews: Vec<bool> = script.specially.asked().iter().map(|asked| asked.validate_only).collect();
    assert_eq!(previews, [false, false, true, false]);
    assert!(script.specially.asked().iter().all(|asked| asked.session == "09:00"));
}

/// One id for all attempts: whatever became of the first, there is one step.
#[tokio::test]
async fn an_unanswered_wish_is_sent_again_under_its_id() {
    let server = Scripted::start().await;
    let script = &server.script;
    script.reschedule.then(Err(failed(Code::Unavailable, "OUTCOME_UNKNOWN")));
    script.reschedule.then(Ok(outcome(v1::reschedule_response::Outcome::Registration(there()))));
    let retry = RetryPolicy::default();
    let client = Client::builder(&server.url).retry(retry).connect().await.unwrap();
    let wish = Reschedule::new(ID, Destination::day("2026-12-01"));
    let answer = client.reschedule(&wish).await.unwrap();
    assert_eq!(answer, Outcome::Registered(there()));
    let ids: Vec<String> = script.reschedule.asked().into_iter().map(|asked| asked.request_id).collect();
    assert_eq!(ids, [wish.request_id.clone(), wish.request_id]);
}
