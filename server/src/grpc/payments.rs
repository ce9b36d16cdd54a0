//! Payments and their cases: messages to domain values and back.

use kuota_api::v1::{self, confirm_payment_request, resolve_payment_case_request::Resolution as Wished};
use kuota_domain::{
    billing::BillingReference,
    fees::Rupiah,
    ids::{CallerNumber, RegistrationId},
    ledger::{Directive, Remedy},
    payment::{
        CaseCause, CaseNumber, Payee, Payment, PaymentCase, PaymentNotice, PaymentReference, Resolution,
    },
};
use tonic::Status;
use uuid::Uuid;

use super::{
    Api, command,
    convert::{self, Violations, lane_of, timestamp},
    language::Language,
    paging::{fingerprint, page, token},
    status::{invalid, status},
};
use crate::engine::{Failure, Key, Paid};

const CASES_DEFAULT: usize = 100;
const CASES_MAX: usize = 1_000;

/// Reads word of a payment.
pub(super) fn notice(
    request: v1::ConfirmPaymentRequest,
    caller: CallerNumber,
) -> Result<PaymentNotice, Status> {
    use confirm_payment_request::Key as Said;
    let mut violations = Violations::default();
    let payee = match request.key {
        None => {
            violations.add("key", "one of id and billing_reference is required");
            None
        }
        Some(Said::Id(id)) => {
            violations.take("id", convert::uuid(&id)).map(|id| Payee::Id(RegistrationId(id)))
        }
        Some(Said::BillingReference(text)) => {
            violations.take("billing_reference", BillingReference::parse(&text)).map(Payee::Billing)
        }
    };
    let reference = violations.take("payment_reference", PaymentReference::parse(&request.payment_reference));
    let amount =
        u32::try_from(request.amount_rupiah).map_err(|_| "whole rupiah are allowed: 0 to 4294967295");
    let amount = violations.take("amount_rupiah", amount).map(Rupiah);
    violations.check()?;
    match (payee, reference, amount) {
        (Some(payee), Some(reference), Some(amount)) => {
            Ok(PaymentNotice { payee, payment: Payment { reference, amount }, caller })
        }
        _ => Err(invalid(Vec::new())),
    }
}

impl Api {
    /// What a payment is answered with: where the money is.
    pub(super) fn paid(
        &self,
        answer: Result<Paid, Failure>,
        language: Language,
    ) -> Result<v1::ConfirmPaymentResponse, Status> {
        use v1::confirm_payment_response::Outcome;
        let now = self.engine.now();
        let outcome = match answer {
            Ok(Paid { case: Some(case), .. }) => Outcome::PaymentCase(self.payment_case(&case)),
            Ok(Paid { granted, case: None }) => Outcome::Registration(self.registration(&granted)),
            Err(Failure::Refused(why, wanted)) => {
                Outcome::Refusal(self.refusal((&why, wanted, None), now, None, language))
            }
            Err(failure) => return Err(status(failure, language)),
        };
        Ok(v1::ConfirmPaymentResponse { outcome: Some(outcome), server_time: Some(timestamp(now)) })
    }

    pub(super) fn payment_cases(
        &self,
        request: &v1::ListPaymentCasesRequest,
    ) -> Result<v1::ListPaymentCasesResponse, Status> {
        let mut violations = Violations::default();
        let query = fingerprint(if request.include_resolved { "all cases" } else { "open cases" });
        let asked = (request.page_size, request.page_token.as_str());
        let page = page(asked, (CASES_DEFAULT, CASES_MAX), query, &mut violations);
        violations.check()?;
        let after = page.after.map(|after| u32::try_from(u128::from_be_bytes(after)).unwrap_or(u32::MAX));
        let wanted = (after.map(CaseNumber), page.size);
        let (found, is_cut) = self.engine.payment_cases(wanted, !request.include_resolved);
        let last = found.last().filter(|_| is_cut);
        let next_page_token =
            last.map_or_else(String::new, |last| token(query, u128::from(last.number.0).to_be_bytes()));
        let payment_cases = found.iter().map(|case| self.payment_case(case)).collect();
        let server_time = self.server_time();
        Ok(v1::ListPaymentCasesResponse { payment_cases, next_page_token, server_time })
    }

    pub(super) async fn resolve_case(
        &self,
        mut request: v1::ResolvePaymentCaseRequest,
        language: Language,
    ) -> Result<v1::ResolvePaymentCaseResponse, Status> {
        let mut violations = Violations::default();
        let wanted = command::take(&mut request, &mut violations);
        let remedy = match request.resolution {
            None => {
                violations.add("resolution", "one of place and refund is required");
                None
            }
            Some(Wished::Refund(v1::PaymentCaseRefund {})) => Some(Remedy::Refund),
            Some(Wished::Place(place)) => {
                let asked = (place.office_id.as_str(), place.service_date.as_str(), place.lane);
                self.slot(asked, &mut violations, language)?.map(Remedy::Place)
            }
        };
        let (wanted, remedy) = super::admin::whole(violations, (wanted, remedy))?;
        let case = CaseNumber(request.number);
        // Looked at before: when it is resolved it may leave memory.
        let registration = self.engine.payment_case(case).map(|case| case.registration);
        let directive = Directive::ResolveCase { case, remedy };
        let receipt = self.operate(wanted, directive, false, language).await?.receipt();
        let payment_case = self.engine.payment_case(case).map(|case| self.payment_case(&case));
        let registration = registration.and_then(|id| self.engine.find(Key::Id(id)));
        let registration = registration.map(|found| self.registration(&found));
        let server_time = self.server_time();
        Ok(v1::ResolvePaymentCaseResponse { receipt, payment_case, registration, server_time })
    }

    /// The API's form of a case.
    fn payment_case(&self, case: &PaymentCase) -> v1::PaymentCase {
        let state = match case.resolved.as_ref().map(|resolved| resolved.resolution) {
            None => v1::PaymentCaseState::Open,
            Some(Resolution::Refund) => v1::PaymentCaseState::Refunded,
            Some(Resolution::Place { .. }) => v1::PaymentCaseState::Placed,
        };
        let resolved = case.resolved.as_ref();
        v1::PaymentCase {
            number: case.number.0,
            registration_id: Uuid::from_u128(case.registration.0).to_string(),
            code: case.code.to_string(),
            office_id: self.engine.office_id(case.slot.office),
            service_date: case.slot.day.to_string(),
            lane: lane_of(case.slot.lane).into(),
            payment_reference: case.payment.reference.as_str().to_owned(),
            amount_rupiah: case.payment.amount.0.into(),
            cause: cause_of(case.cause).into(),
            open_time: Some(timestamp(case.opened)),
            state: state.into(),
            resolve_time: resolved.map(|resolved| timestamp(resolved.at)),
            resolved_by: resolved.map_or_else(String::new, |resolved| resolved.actor.subject.to_string()),
            resolve_reason: resolved.map_or_else(String::new, |resolved| resolved.reason.to_string()),
        }
    }
}

const fn cause_of(cause: CaseCause) -> v1::PaymentCaseCause {
    match cause {
        CaseCause::PlaceGone => v1::PaymentCaseCause::PlaceGone,
        CaseCause::PaidAfterCancellation => v1::PaymentCaseCause::PaidAfterCancellation,
        CaseCause::PaidTwice => v1::PaymentCaseCause::PaidTwice,
        CaseCause::CancelledAfterPayment => v1::PaymentCaseCause::CancelledAfterPayment,
    }
}
