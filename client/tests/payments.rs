//! What `kuota` prints of payments and their cases, against a server that answers from a script.
//! `UPDATE_EXPECT=1 cargo test -p kuota-client --test payments` writes the file in `golden/` anew.

mod support;

use expect_test::expect_file;
use kuota_api::v1::{self, Lane, RefusalReason};
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

fn receipt(changes: u32) -> Option<v1::Receipt> {
    Some(v1::Receipt { request_id: ID.into(), time: at(0), changes, repeated_request: false })
}

#[tokio::test]
async fn payments_and_their_cases() {
    let server = pontianak().await;
    let script = &server.script;
    let held = v1::Registration {
        id: ID.into(),
        office_id: KANIM.into(),
        service_date: "2026-11-30".into(),
        lane: Lane::Regular.into(),
        state: v1::RegistrationState::Held.into(),
        fee_rupiah: Some(650_000),
        billing_reference: "K7P2Y-9QXWA".into(),
        hold_expire_time: at(7_200),
        session: Some(v1::Session { start_time: "08:00".into(), end_time: "09:00".into() }),
        ..support::granted(ID)
    };
    let paid = v1::Registration {
        state: v1::RegistrationState::Confirmed.into(),
        payment_reference: "BRI-1".into(),
        payment_time: at(60),
        ..held.clone()
    };
    let case = v1::PaymentCase {
        number: 7,
        registration_id: ID.into(),
        code: "K7P2-9QXW".into(),
        office_id: KANIM.into(),
        service_date: "2026-11-30".into(),
        lane: Lane::Regular.into(),
        payment_reference: "BRI-2".into(),
        amount_rupiah: 650_000,
        cause: v1::PaymentCaseCause::PlaceGone.into(),
        open_time: at(7_300),
        state: v1::PaymentCaseState::Open.into(),
        ..Default::default()
    };
    use v1::confirm_payment_response::Outcome;
    let answer = |outcome| Ok(v1::ConfirmPaymentResponse { outcome: Some(outcome), server_time: None });
    script.get.then(Ok(v1::GetRegistrationResponse { registration: Some(held), server_time: None }));
    script.confirm_payment.then(answer(Outcome::Registration(paid.clone())));
    script.confirm_payment.then(answer(Outcome::PaymentCase(case.clone())));
    script.confirm_payment.then(answer(Outcome::PaymentCase(case.clone())));
    script.confirm_payment.then(answer(Outcome::Refusal(support::refusal(RefusalReason::WrongAmount, 0))));
    script.confirm_payment.then(Err(failed(Code::FailedPrecondition, "PAYMENT_REFERENCE_REUSED")));
    let cases =
        || Ok(v1::ListPaymentCasesResponse { payment_cases: vec![case.clone()], ..Default::default() });
    script.payment_cases.then(cases()).then(cases()).then(Ok(Default::default()));
    let ended = |state: v1::PaymentCaseState, registration| v1::ResolvePaymentCaseResponse {
        receipt: receipt(1),
        payment_case: Some(v1::PaymentCase { state: state.into(), ..case.clone() }),
        registration,
        server_time: None,
    };
    script.resolve_case.then(Ok(ended(v1::PaymentCaseState::Placed, Some(paid.clone()))));
    script.resolve_case.then(Ok(ended(v1::PaymentCaseState::Refunded, Some(paid))));
    script.resolve_case.then(Err(failed(Code::FailedPrecondition, "PAYMENT_CASE_NEEDS_REFUND")));
    let pay =
        |reference: &'static str| ["pay", "K7P2Y-9QXWA", "--reference", reference, "--amount", "650000"];
    let resolve = ["admin", "payments", "resolve", "7", "--reason", "a test", "--yes"];
    let place = ["--office", KANIM, "--date", "2026-12-01", "--lane", "REGULAR"];
    let placed = [&resolve[..], &place].concat();
    let refunded = [&["--output", "json"], &resolve[..], &["--refund"]].concat();
    let unasked = ["admin", "payments", "resolve", "7", "--reason", "a test", "--refund"];
    let (first, second, third) = (pay("BRI-1"), pay("BRI-2"), pay("BRI-3"));
    let json = [&["--output", "json"], &second[..]].concat();
    let commands: [&[&str]; 13] = [
        &["get", ID],
        &first,
        &second,
        &json,
        &third,
        &third,
        &["admin", "payments", "list"],
        &["--output", "json", "admin", "payments", "list", "--all"],
        &["admin", "payments", "list"],
        &placed,
        &refunded,
        &placed,
        &unasked,
    ];
    expect_file![golden("payments.txt")].assert_eq(&page(&server, &commands).await);
    assert!(script.payment_cases.asked()[1].include_resolved);
}
