//! What `kuota` prints of the service day, against a server that answers from a script.
//! `UPDATE_EXPECT=1 cargo test -p kuota-client --test day` writes the file in `golden/` anew.

mod support;

use expect_test::expect_file;
use kuota_api::v1::{self, Lane, RefusalReason, RegistrationState, check_in_response, complete_response};
use kuota_client::{Client, Key, Outcome, RetryPolicy};
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

/// 2026-11-30 09:00 in Pontianak, and so many seconds.
fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: 1_796_004_000 + seconds, nanos: 0 })
}

fn came() -> v1::Registration {
    v1::Registration {
        id: ID.into(),
        office_id: KANIM.into(),
        service_date: "2026-11-30".into(),
        lane: Lane::Regular.into(),
        state: RegistrationState::CheckedIn.into(),
        check_in_time: at(0),
        ..support::granted(ID)
    }
}

fn checked_in(outcome: check_in_response::Outcome) -> v1::CheckInResponse {
    v1::CheckInResponse { outcome: Some(outcome), server_time: None }
}

fn completed(outcome: complete_response::Outcome) -> v1::CompleteResponse {
    v1::CompleteResponse { outcome: Some(outcome), server_time: None }
}

fn monday(lane: Lane, counts: [u32; 8]) -> v1::DayCount {
    let [capacity, held, confirmed, checked_in, served, no_show, cancelled, expired] = counts;
    v1::DayCount {
        office_id: KANIM.into(),
        service_date: "2026-11-30".into(),
        lane: lane.into(),
        capacity,
        held,
        confirmed,
        checked_in,
        served,
        no_show,
        cancelled,
        expired,
    }
}

#[tokio::test]
async fn a_day_at_the_counter() {
    let server = pontianak().await;
    let script = &server.script;
    let early = v1::Refusal {
        message:
            "It is too early: people check in on the service day, 2026-11-30, from midnight on at the office."
                .into(),
        metadata: [("service_date".into(), "2026-11-30".into())].into(),
        open_time: at(-32_400),
        ..support::refusal(RefusalReason::TooEarlyToCheckIn, 0)
    };
    let is_early = || Ok(checked_in(check_in_response::Outcome::Refusal(early.clone())));
    script.check_in.then(Ok(checked_in(check_in_response::Outcome::Registration(came()))));
    script.check_in.then(is_early()).then(is_early());
    script.check_in.then(Err(failed(Code::NotFound, "REGISTRATION_NOT_FOUND")));
    let served =
        v1::Registration { state: RegistrationState::Served.into(), serve_time: at(1_200), ..came() };
    script.complete.then(Ok(completed(complete_response::Outcome::Registration(served))));
    let missing = support::refusal(RefusalReason::NotCheckedIn, 0);
    script.complete.then(Ok(completed(complete_response::Outcome::Refusal(missing))));
    let days = || vec![monday(Lane::Regular, [120, 3, 80, 20, 10, 0, 4, 2]), monday(Lane::Priority, [10; 8])];
    // Two pages, the first of which says that there is another.
    let page_of = |days: Vec<_>, next: &str| {
        Ok(v1::ListDaysResponse { days, next_page_token: next.into(), server_time: None })
    };
    let (first, second) = (vec![days().remove(0)], vec![days().remove(1)]);
    script
        .days
        .then(page_of(first, "more"))
        .then(page_of(second, ""))
        .then(page_of(vec![days().remove(0)], ""));
    script.days.then(page_of(Vec::new(), ""));
    let by_code = ["check-in", "K7P2-9QXW", "--actor", "counter 3"];
    let json = ["--output", "json", "check-in", ID];
    let filter = ["admin", "days", "--office", KANIM, "--from", "2026-11-30", "--to", "2026-11-30"];
    let days_json = [&["--output", "json"], &filter[..], &["--lane", "REGULAR"]].concat();
    let commands: [&[&str]; 9] = [
        &by_code,
        &by_code,
        &json,
        &["check-in", "K7P2-9QXW"],
        &["complete", ID, "--actor", "counter 3"],
        &["complete", ID],
        &filter,
        &days_json,
        &["admin", "days"],
    ];
    expect_file![golden("day.txt")].assert_eq(&page(&server, &commands).await);
    let said: Vec<_> = script.check_in.asked().into_iter().map(|asked| (asked.key, asked.actor)).collect();
    let code = Some(v1::check_in_request::Key::Code("K7P2-9QXW".into()));
    assert_eq!(said[0], (code, "counter 3".into()));
    assert_eq!(said[2], (Some(v1::check_in_request::Key::Id(ID.into())), String::new()));
    let asked = script.days.asked();
    assert_eq!((asked[1].page_token.as_str(), asked[1].to_date.as_deref()), ("more", Some("2026-11-30")));
    assert_eq!(asked[3].from_date, None, "today, as the server knows it");
}

/// It is the same however often it is said, so that an answer that is lost is asked for again.
#[tokio::test]
async fn a_check_in_without_an_answer_is_sent_again() {
    let server = Scripted::start().await;
    let script = &server.script;
    script.check_in.then(Err(failed(Code::Unavailable, "OUTCOME_UNKNOWN")));
    script.check_in.then(Ok(checked_in(check_in_response::Outcome::Registration(came()))));
    script.complete.then(Err(failed(Code::Unavailable, "OUTCOME_UNKNOWN")));
    script.complete.then(Ok(completed(complete_response::Outcome::Registration(came()))));
    let client = Client::builder(&server.url).retry(RetryPolicy::default()).connect().await.unwrap();
    let by_request = Key::RequestId(ID.into());
    assert_eq!(client.check_in(&by_request, "").await.unwrap(), Outcome::Registered(came()));
    assert_eq!(client.complete(&by_request, "").await.unwrap(), Outcome::Registered(came()));
    assert_eq!((script.check_in.asked().len(), script.complete.asked().len()), (2, 2));
}
