//! Payments without a place, as JSON.

use kuota_client::{PaymentCase, PaymentCaseCause, PaymentCaseState, ResolvePaymentCaseResponse};
use serde_json::{Value, json};

use super::{lane_name, operations::receipt_value, pretty, registration_value, time};

pub(in super::super) fn paid_case(case: &PaymentCase) -> String {
    pretty(&json!({ "payment_case": case_value(case) }))
}

pub(in super::super) fn cases(cases: &[PaymentCase]) -> String {
    pretty(&json!({ "payment_cases": cases.iter().map(case_value).collect::<Vec<_>>() }))
}

pub(in super::super) fn resolved(answer: &ResolvePaymentCaseResponse) -> String {
    pretty(&json!({
        "receipt": answer.receipt.as_ref().map(receipt_value),
        "payment_case": answer.payment_case.as_ref().map(case_value),
        "registration": answer.registration.as_ref().map(registration_value),
    }))
}

fn case_value(case: &PaymentCase) -> Value {
    json!({
        "number": case.number,
        "registration_id": case.registration_id,
        "code": case.code,
        "office_id": case.office_id,
        "service_date": case.service_date,
        "lane": lane_name(case.lane()),
        "payment_reference": case.payment_reference,
        "amount_rupiah": case.amount_rupiah,
        "cause": PaymentCaseCause::as_str_name(&case.cause()),
        "open_time": case.open_time.as_ref().map(time),
        "state": PaymentCaseState::as_str_name(&case.state()),
        "resolve_time": case.resolve_time.as_ref().map(time),
        "resolved_by": case.resolved_by,
        "resolve_reason": case.resolve_reason,
    })
}
