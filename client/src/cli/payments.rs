//! Payments: says that one came in, lists those without a place, and ends their cases.

use kuota_client::{
    By, Error, Key, Outcome, Paid, Payee, Payment, PaymentCase, PaymentCaseState, Remedy,
    ResolvePaymentCaseResponse,
};

use super::{
    Args,
    arguments::AdminAddress,
    confirm::confirm,
    json, lookup,
    report::{DONE, Failed, NO, say},
    single, table,
};

pub(super) async fn pay(args: &Args, key: &str, reference: &str, amount_rupiah: i64) -> Result<u8, Failed> {
    let client = args.connect().await?;
    let payee = match lookup(key, false) {
        Key::Billing(reference) => Payee::Billing(reference),
        key @ (Key::Id(_) | Key::Code(_) | Key::RequestId(_)) => Payee::Id(single::id(&client, key).await?),
    };
    let payment = Payment { payee, reference: reference.into(), amount_rupiah };
    match client.confirm_payment(&payment).await? {
        Paid::Confirmed(registration) => {
            Ok(single::show(args, &client, &Outcome::Registered(registration)).await)
        }
        Paid::Refused(refusal) => Ok(single::show(args, &client, &Outcome::Refused(refusal)).await),
        Paid::Case(case) => {
            say(&if args.is_json() { json::payments::paid_case(&case) } else { opened(&case) });
            Ok(NO)
        }
    }
}

fn opened(case: &PaymentCase) -> String {
    format!(
        "The payment is kept, and has no place: case {} ({}). An operator finds another place, or has it refunded.",
        case.number,
        table::cause_name(case.cause())
    )
}

pub(super) async fn list(args: &Args, address: &AdminAddress, all: bool) -> Result<u8, Failed> {
    let cases = args.connect_admin(address).await?.payment_cases(all).await.map_err(Failed::Admin)?;
    say(&if args.is_json() { json::payments::cases(&cases) } else { table::cases(&cases) });
    Ok(DONE)
}

pub(super) async fn resolve(
    args: &Args,
    address: &AdminAddress,
    (number, remedy): (u32, &Remedy),
    (by, yes): (&By, bool),
) -> Result<u8, Failed> {
    let what = match remedy {
        Remedy::Refund => format!("Payment case {number}: the money goes back."),
        Remedy::Place(slot) => format!(
            "Payment case {number}: its registration gets a place at {} on {}, {}.",
            slot.office_id,
            slot.service_date,
            table::lane_name(slot.lane)
        ),
    };
    confirm(&what, &address.admin_url, yes)?;
    let admin = args.connect_admin(address).await?;
    let failed = |error: Error| Failed::AdminWrite { error, request_id: by.request_id.clone() };
    let answer = admin.resolve_payment_case(by, number, remedy).await.map_err(failed)?;
    say(&if args.is_json() { json::payments::resolved(&answer) } else { ended(number, &answer) });
    Ok(DONE)
}

fn ended(number: u32, answer: &ResolvePaymentCaseResponse) -> String {
    let state = answer.payment_case.as_ref().map(PaymentCase::state);
    let placed = answer.registration.as_ref().filter(|_| state == Some(PaymentCaseState::Placed));
    match placed {
        Some(found) => format!(
            "Case {number} is resolved: {} has queue number {} at {} on {}, {}.",
            found.code,
            found.queue_number,
            found.office_id,
            found.service_date,
            table::lane_name(found.lane())
        ),
        None => format!("Case {number} is resolved: the money goes back."),
    }
}
