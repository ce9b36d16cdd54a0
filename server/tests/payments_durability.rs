//! A payment that was acknowledged survives `kill -9`, and one whose answer was lost has one outcome.

mod support;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use kuota_client::{
    Ask, AvailabilityFilter, Client, Key, Lane, Paid, PassportKind, Payee, Payment, Registration,
    RegistrationState, SlotState,
};
use support::{
    OFFICE, PRICES, catalog,
    people::{nik, registered},
    process::Process,
    verify,
};

const ROUNDS: u32 = 12;
const FEE: i64 = 350_000;

fn payment(of: &Registration) -> Payment {
    let payee = Payee::Billing(of.billing_reference.clone());
    Payment { payee, reference: format!("BRI-{}", of.code), amount_rupiah: FEE }
}

/// Holds and pays for one place after the other until the server is gone. Says what was confirmed, and the payment whose
/// answer is still out.
async fn pay_until_killed(
    client: Client,
    day: String,
    people: Arc<AtomicU32>,
    paid: Arc<AtomicU32>,
) -> (Vec<Registration>, Option<Registration>) {
    let mut confirmed = Vec::new();
    loop {
        let person = people.fetch_add(1, Ordering::SeqCst);
        let ask = Ask::new(OFFICE, &day, Lane::Regular)
            .applicant(nik(person), "")
            .passport(PassportKind::Ordinary5Years);
        let Ok(held) = client.register(&ask).await else { return (confirmed, None) };
        let held = registered(held);
        match client.confirm_payment(&payment(&held)).await {
            Ok(Paid::Confirmed(registration)) => {
                confirmed.push(registration);
                paid.fetch_add(1, Ordering::SeqCst);
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                assert!(error.is_retryable(), "{error:?}");
                return (confirmed, Some(held));
            }
        }
    }
}

async fn open_day(client: &Client) -> String {
    let filter = AvailabilityFilter { office_id: Some(OFFICE.into()), ..AvailabilityFilter::default() };
    let slots = client.availability(&filter).await.unwrap();
    let open = slots.iter().filter(|slot| slot.state() == SlotState::Open);
    open.skip(1).map(|slot| slot.service_date.clone()).next().unwrap()
}

/// What was confirmed, and payments without an answer.
#[derive(Default)]
struct Told {
    confirmed: Vec<Registration>,
    open: Vec<Registration>,
}

async fn round(data: &Path, catalog: &str, number: u32, told: &mut Told, people: &Arc<AtomicU32>) {
    let process = Process::start(data, &["--demo", "--catalog", catalog]);
    let client = process.client().await;
    for held in told.open.drain(..) {
        let Paid::Confirmed(registration) = client.confirm_payment(&payment(&held)).await.unwrap() else {
            panic!("an answer that was lost has another outcome")
        };
        told.confirmed.push(registration);
    }
    let day = open_day(&client).await;
    let paid = Arc::new(AtomicU32::new(0));
    let calls: Vec<_> = (0..8)
        .map(|_| tokio::spawn(pay_until_killed(client.clone(), day.clone(), people.clone(), paid.clone())))
        .collect();
    while paid.load(Ordering::SeqCst) < 1 + number * 7 % 40 {
        tokio::task::yield_now().await;
    }
    process.kill();
    for call in calls {
        let (confirmed, open) = call.await.unwrap();
        told.confirmed.extend(confirmed);
        told.open.extend(open);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_between_payment_and_answer_lose_no_payment() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("held.toml");
    let held = catalog(&[(OFFICE.into(), 100_000)])
        .replace("places = 100000", "places = 100000\nconfirm = \"BY_PAYMENT\"");
    std::fs::write(&file, PRICES.to_owned() + &held).unwrap();
    let file = file.to_str().unwrap().to_owned();
    let (mut told, people) = (Told::default(), Arc::new(AtomicU32::new(0)));
    for number in 0..ROUNDS {
        round(data.path(), &file, number, &mut told, &people).await;
    }
    let process = Process::start(data.path(), &["--catalog", &file]);
    let client = process.client().await;
    for registration in &told.confirmed {
        let found = client.get(Key::Id(registration.id.clone())).await.unwrap();
        assert_eq!(found, *registration);
        assert_eq!(found.state(), RegistrationState::Confirmed);
    }
    for held in &told.open {
        let first = client.confirm_payment(&payment(held)).await.unwrap();
        assert_eq!(client.confirm_payment(&payment(held)).await.unwrap(), first);
    }
    let (status, log) = process.terminate();
    assert!(status.success(), "{log}");
    let verdict = verify(data.path());
    let payments = u64::try_from(told.confirmed.len() + told.open.len()).unwrap();
    assert!(verdict.ok && verdict.payments == payments && verdict.open_cases == 0, "{verdict:?}");
}
