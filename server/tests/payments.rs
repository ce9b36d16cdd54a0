//! Held places and their payments, through the API: from a hold to its payment, its expiry, and what comes late.

mod support;

use std::sync::Arc;

use kuota_api::v1;
use kuota_client::{
    Admin, Ask, By, Client, Durability, Error, Key, Lane, Outcome, Paid, PassportKind, Payee, Payment,
    PaymentCaseCause, PaymentCaseState, RefusalReason, Registration, RegistrationState, Remedy, RetryPolicy,
    SlotKey,
};
use support::{
    Friday, MONDAY, OFFICE, Server, held_catalog,
    held_log::{Fate, Valve},
    people::{insist, nik, refused, registered},
};

const FEE: i64 = 350_000;
/// Well-formed, and no registration's.
const NOBODYS: &str = "22222-22222";
const TUESDAY: &str = "2026-12-01";

fn holding(places: u32) -> Friday {
    Friday::open().catalog(held_catalog(places))
}

fn ask(person: u32) -> Ask {
    Ask::new(OFFICE, MONDAY, Lane::Regular).applicant(nik(person), "").passport(PassportKind::Ordinary5Years)
}

async fn hold(client: &Client, person: u32) -> Registration {
    registered(insist(client, &ask(person)).await)
}

fn payment(of: &Registration, reference: &str) -> Payment {
    let payee = Payee::Billing(of.billing_reference.clone());
    Payment { payee, reference: reference.into(), amount_rupiah: FEE }
}

fn confirmed(paid: Paid) -> Registration {
    match paid {
        Paid::Confirmed(registration) => registration,
        other => panic!("not confirmed: {other:?}"),
    }
}

fn case(paid: Paid) -> v1::PaymentCase {
    match paid {
        Paid::Case(case) => case,
        other => panic!("no case: {other:?}"),
    }
}

async fn operator(server: &Server) -> Admin {
    let url = format!("http://{}", server.addresses.admin);
    Admin::builder(url).retry(RetryPolicy::none()).connect().await.unwrap()
}

fn by() -> By {
    By::new("siti", "as the test wishes")
}

#[tokio::test]
async fn a_held_place_is_confirmed_by_its_payment_and_stays_so_after_a_restart() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let server = holding(2).data(&data).start().await;
    let held = hold(&server.client, 1).await;
    assert_eq!((held.state(), held.fee_rupiah), (RegistrationState::Held, Some(FEE)));
    let expires = held.hold_expire_time.unwrap();
    assert_eq!(expires.seconds * 1_000, support::instant(support::T0).0 + 7_200_000);

    let paid = confirmed(server.client.confirm_payment(&payment(&held, "BRI-1")).await.unwrap());
    assert_eq!((paid.id.as_str(), paid.state()), (held.id.as_str(), RegistrationState::Confirmed));
    assert_eq!(paid.payment_reference, "BRI-1");
    let by_id = Payment { payee: Payee::Id(held.id.clone()), ..payment(&held, "BRI-1") };
    assert_eq!(confirmed(server.client.confirm_payment(&by_id).await.unwrap()), paid, "again: the same");
    server.stop().await;

    let server = holding(2).data(&data).start().await;
    assert_eq!(server.client.get(Key::Id(held.id.clone())).await.unwrap(), paid);
    assert_eq!(confirmed(server.client.confirm_payment(&by_id).await.unwrap()), paid);
    server.at("2026-11-27T12:00:00Z").await;
    assert_eq!(server.client.get(Key::Id(held.id)).await.unwrap(), paid, "nothing expires that was paid");
    let page = support::process::page(&server.addresses.http.to_string(), "/metrics");
    assert!(page.contains("kuota_held_registrations 0\n"), "{page}");
    let verdict = server.verify();
    assert!(verdict.ok && verdict.payments == 1, "{verdict:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_registration_is_found_by_its_billing_reference() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let server = holding(2).data(&data).start().await;
    let held = hold(&server.client, 1).await;
    let by = |reference: &str| Key::Billing(reference.to_owned());
    let in_lower_case = held.billing_reference.replace('-', "").to_lowercase();
    for reference in [held.billing_reference.as_str(), &in_lower_case] {
        assert_eq!(server.client.get(by(reference)).await.unwrap(), held);
    }
    // Promised and not in the log yet, it may be found as well.
    let promised =
        registered(server.client.register(&ask(2).durability(Durability::Accepted)).await.unwrap());
    assert_eq!(server.client.get(by(&promised.billing_reference)).await.unwrap().id, promised.id);
    for (reference, reason) in
        [("ABCDE-FGHJK", "INVALID_FIELD"), (NOBODYS, "REGISTRATION_NOT_FOUND"), ("", "INVALID_FIELD")]
    {
        assert_eq!(server.client.get(by(reference)).await.unwrap_err().reason(), Some(reason), "{reference}");
    }
    let key = by(&held.billing_reference);
    let early = refused(server.client.check_in(&key, "").await.unwrap());
    assert_eq!(early.reason(), RefusalReason::NotConfirmed);
    let missing = refused(server.client.complete(&key, "").await.unwrap());
    assert_eq!(missing.reason(), RefusalReason::NotCheckedIn);
    server.stop().await;

    let server = holding(2).data(&data).start().await;
    let found = server.client.get(key).await.unwrap();
    assert_eq!(found, held, "after a restart");
    server.stop().await;
}

#[tokio::test]
async fn each_payment_that_is_not_accepted_says_why() {
    let server = holding(2).start().await;
    let held = hold(&server.client, 1).await;
    let client = &server.client;
    let pay = async |payment: Payment| client.confirm_payment(&payment).await;
    let wrong = Payment { amount_rupiah: FEE - 1, ..payment(&held, "a") };
    let Paid::Refused(refusal) = pay(wrong).await.unwrap() else { panic!("accepted") };
    assert_eq!(refusal.reason(), RefusalReason::WrongAmount);
    assert_eq!((&*refusal.metadata["due_rupiah"], &*refusal.metadata["paid_rupiah"]), ("350000", "349999"));
    confirmed(pay(payment(&held, "a")).await.unwrap());
    let nobody = "01935f3e-7b2a-7cc0-9b1e-3f2a5d6c7e8f";
    for (payment, code, reason) in [
        (
            Payment { payee: Payee::Id(nobody.into()), ..payment(&held, "b") },
            "NotFound",
            "REGISTRATION_NOT_FOUND",
        ),
        (
            Payment { amount_rupiah: 1, ..payment(&held, "a") },
            "FailedPrecondition",
            "PAYMENT_REFERENCE_REUSED",
        ),
        (Payment { amount_rupiah: -1, ..payment(&held, "b") }, "InvalidArgument", "INVALID_FIELD"),
        (payment(&held, "no blanks"), "InvalidArgument", "INVALID_FIELD"),
        (
            Payment { payee: Payee::Billing("K7P2".into()), ..payment(&held, "b") },
            "InvalidArgument",
            "INVALID_FIELD",
        ),
    ] {
        let error = server.client.confirm_payment(&payment).await.unwrap_err();
        assert_eq!((format!("{:?}", error.code()).as_str(), error.reason()), (code, Some(reason)));
    }
    let nameless = Ask::new(OFFICE, MONDAY, Lane::Regular).applicant(nik(2), "");
    let Error::Status(failed) = server.client.register(&nameless).await.unwrap_err() else { panic!() };
    assert_eq!(failed.fields[0].0, "applicants[0].passport_kind");
    let at_once = Ask::new(OFFICE, MONDAY, Lane::OneDay).applicant(nik(3), "");
    let at_once = registered(server.client.register(&at_once).await.unwrap());
    let of_it = Payment { payee: Payee::Id(at_once.id), ..payment(&held, "c") };
    let Paid::Refused(refusal) = pay(of_it).await.unwrap() else { panic!("accepted") };
    assert_eq!((refusal.reason(), &*refusal.metadata["state"]), (RefusalReason::NoPaymentDue, "CONFIRMED"));
    server.stop().await;
}

#[tokio::test]
async fn a_hold_expires_also_while_the_server_is_down_and_a_late_payment_has_a_place_or_a_case() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let server = holding(2).data(&data).start().await;
    let (first, second) = (hold(&server.client, 1).await, hold(&server.client, 2).await);
    assert_eq!(refused(server.client.register(&ask(3)).await.unwrap()).reason(), RefusalReason::SoldOut);
    server.stop().await;

    let server = Friday::at("2026-11-27T09:00:00Z").catalog(held_catalog(2)).data(&data).start().await;
    for held in [&first, &second] {
        let found = server.client.get(Key::Id(held.id.clone())).await.unwrap();
        assert_eq!(found.state(), RegistrationState::Expired);
    }
    let third = hold(&server.client, 3).await;
    let again = confirmed(server.client.confirm_payment(&payment(&first, "late-1")).await.unwrap());
    assert_eq!(again.queue_number, first.queue_number, "the same place");
    let lost = case(server.client.confirm_payment(&payment(&second, "late-2")).await.unwrap());
    assert_eq!(lost.cause(), PaymentCaseCause::PlaceGone);
    assert_eq!(case(server.client.confirm_payment(&payment(&second, "late-2")).await.unwrap()), lost);
    let gone = server.client.cancel(&second.id, "").await.unwrap();
    assert_eq!(refused(gone).reason(), RefusalReason::HoldExpired);
    confirmed(server.client.confirm_payment(&payment(&third, "on-time")).await.unwrap());
    let twice = case(server.client.confirm_payment(&payment(&third, "twice")).await.unwrap());
    assert_eq!(twice.cause(), PaymentCaseCause::PaidTwice);
    let Outcome::Registered(cancelled) = server.client.cancel(&first.id, "ill").await.unwrap() else {
        panic!()
    };
    assert_eq!(cancelled.payment_case_numbers, [3]);

    let admin = operator(&server).await;
    let open = admin.payment_cases(false).await.unwrap();
    assert_eq!(open.iter().map(|case| case.number).collect::<Vec<_>>(), [1, 2, 3]);
    let tuesday = Remedy::Place(SlotKey::new(OFFICE, TUESDAY, Lane::Regular));
    let who = by();
    let answer = admin.resolve_payment_case(&who, 1, &tuesday).await.unwrap();
    let placed = answer.registration.unwrap();
    assert_eq!((placed.service_date.as_str(), placed.state()), (TUESDAY, RegistrationState::Confirmed));
    assert_eq!((&placed.code, &*placed.payment_reference), (&second.code, "late-2"));
    assert_eq!(answer.payment_case.unwrap().state(), Placed);
    assert!(admin.resolve_payment_case(&who, 1, &tuesday).await.unwrap().receipt.unwrap().repeated_request);
    for (number, remedy, reason) in [
        (1, Remedy::Refund, "PAYMENT_CASE_RESOLVED"),
        (2, tuesday.clone(), "PAYMENT_CASE_NEEDS_REFUND"),
        (9, Remedy::Refund, "PAYMENT_CASE_NOT_FOUND"),
        (3, Remedy::Place(SlotKey::new(OFFICE, "2026-12-05", Lane::Regular)), "NOT_A_SERVICE_DAY"),
    ] {
        let error = admin.resolve_payment_case(&by(), number, &remedy).await.unwrap_err();
        assert_eq!(error.reason(), Some(reason), "{number}");
    }
    admin.resolve_payment_case(&by(), 2, &Remedy::Refund).await.unwrap();
    server.stop().await;

    let server = Friday::at("2026-11-27T09:00:01Z").catalog(held_catalog(2)).data(&data).start().await;
    let admin = operator(&server).await;
    let open = admin.payment_cases(false).await.unwrap();
    assert_eq!(open.iter().map(|case| case.number).collect::<Vec<_>>(), [3], "cases survive a restart");
    let all = admin.payment_cases(true).await.unwrap();
    let states: Vec<_> = all.iter().map(v1::PaymentCase::state).collect();
    use PaymentCaseState::{Open, Placed, Refunded};
    assert_eq!(states, [Placed, Refunded, Open]);
    let page = support::process::page(&server.addresses.http.to_string(), "/metrics");
    assert!(page.contains("kuota_payment_cases_open 1\n"), "{page}");
    let verdict = server.verify();
    assert!(verdict.ok && verdict.open_cases == 1, "{verdict:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_whose_commit_fails_never_happened() {
    let valve = Valve::default();
    let server = holding(2).log(valve.wrap()).start().await;
    let held = hold(&server.client, 1).await;
    valve.set(Fate::Full);
    let error = server.client.confirm_payment(&payment(&held, "BRI-1")).await.unwrap_err();
    assert_eq!(error.reason(), Some("LOG_FULL"));
    valve.set(Fate::Pass);
    assert_eq!(server.client.get(Key::Id(held.id.clone())).await.unwrap(), held);
    confirmed(server.client.confirm_payment(&payment(&held, "BRI-1")).await.unwrap());
    assert!(server.verify().ok);
    server.stop().await;
}

/// Ten thousand holds of the same second, and people who ask meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_holds_that_expire_together_are_free_at_once_and_refusals_go_on() {
    const HOLDS: u32 = 10_000;
    let server = holding(HOLDS).start().await;
    let asks: Vec<Ask> = (0..HOLDS).map(ask).collect();
    for batch in asks.chunks(1_000) {
        for item in server.client.register_batch(batch).await.unwrap() {
            assert_eq!(registered(item.unwrap()).state(), RegistrationState::Held);
        }
    }
    assert_eq!(refused(server.client.register(&ask(HOLDS)).await.unwrap()).reason(), RefusalReason::SoldOut);
    server.clock.set(support::instant("2026-11-27T09:00:00Z"));
    let began = std::time::Instant::now();
    // Whoever asks for another day that is sold out, or for more than there is, is told so all the while.
    let beyond = Ask::new(OFFICE, "2026-12-05", Lane::Regular).applicant(nik(HOLDS + 1), "");
    let (mut refusals, mut free) = (0, 0);
    while free < HOLDS {
        let refusal = refused(server.client.register(&beyond).await.unwrap());
        assert_eq!(refusal.reason(), RefusalReason::NotAServiceDay);
        refusals += 1;
        free = server.engine().directory().figures(monday()).unwrap().free;
    }
    println!("{HOLDS} holds free after {:?}, {refusals} refusals meanwhile", began.elapsed());
    assert!(refusals > 1, "refusals went on");
    assert_eq!(registered(insist(&server.client, &ask(HOLDS)).await).state(), RegistrationState::Held);
    let verdict = server.verify();
    assert!(verdict.ok && verdict.live == 1, "{verdict:?}");
    server.stop().await;
}

fn monday() -> kuota_domain::slot::SlotKey {
    kuota_domain::slot::SlotKey {
        office: kuota_domain::ids::OfficeNumber(0),
        day: kuota_domain::calendar::ServiceDay::parse(MONDAY).unwrap(),
        lane: kuota_domain::slot::Lane::Regular,
    }
}
