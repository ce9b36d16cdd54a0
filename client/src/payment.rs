//! Payments: what is said of one, and where the money is.

use kuota_api::v1::{
    self, ListPaymentCasesRequest, PaymentCase, PaymentCasePlace, PaymentCaseRefund, Refusal, Registration,
    ResolvePaymentCaseResponse, confirm_payment_request, resolve_payment_case_request::Resolution,
};
use tonic::Request;

use crate::{
    admin::{Admin, By, service},
    board::SlotKey,
    call::Effect,
    error::Error,
    failure::Failure,
    limits,
};

/// Word of a payment for a held place.
///
/// Its reference is what repeats are recognised by: send the same payment again until there is an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// What it is for.
    pub payee: Payee,
    /// The payer's name of it, one a payment: a transaction number.
    pub reference: String,
    /// Whole rupiah: the registration's fee.
    pub amount_rupiah: i64,
}

/// What a payment is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payee {
    /// A registration, by its id.
    Id(String),
    /// A registration, by its billing reference.
    Billing(String),
}

/// Where the money of a payment is.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "an answer is moved a few times and never kept in numbers")]
pub enum Paid {
    /// In a place, which is confirmed.
    Confirmed(Registration),
    /// In a case, which an operator resolves: another place, or a refund.
    Case(PaymentCase),
    /// Nowhere: it was not accepted, and this is why.
    Refused(Refusal),
}

/// What is done about a payment without a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The money goes back, outside of this system.
    Refund,
    /// Its registration gets this place.
    Place(SlotKey),
}

impl Payment {
    pub(crate) fn request(&self) -> v1::ConfirmPaymentRequest {
        let key = match self.payee.clone() {
            Payee::Id(id) => confirm_payment_request::Key::Id(id),
            Payee::Billing(reference) => confirm_payment_request::Key::BillingReference(reference),
        };
        let (payment_reference, amount_rupiah) = (self.reference.clone(), self.amount_rupiah);
        v1::ConfirmPaymentRequest { key: Some(key), payment_reference, amount_rupiah }
    }
}

impl Paid {
    pub(crate) fn of(answer: v1::ConfirmPaymentResponse) -> Result<Self, Failure> {
        use v1::confirm_payment_response::Outcome as Answered;
        match answer.outcome {
            Some(Answered::Registration(registration)) => Ok(Self::Confirmed(registration)),
            Some(Answered::PaymentCase(case)) => Ok(Self::Case(case)),
            Some(Answered::Refusal(refusal)) => Ok(Self::Refused(refusal)),
            None => Err(Failure::no_outcome()),
        }
    }
}

impl Admin {
    /// Payments without a place, by number: those that wait for an operator, or all that are remembered.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn payment_cases(&self, include_resolved: bool) -> Result<Vec<PaymentCase>, Error> {
        let (mut cases, mut page_token) = (Vec::new(), String::new());
        for _ in 0..limits::PAGES_MAX {
            let request = ListPaymentCasesRequest { include_resolved, page_size: 1_000, page_token };
            let send =
                async |channel, request: Request<_>| service(channel).list_payment_cases(request).await;
            let page = self.link.call(Effect::Read, &request, send).await?;
            cases.extend(page.payment_cases);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        Ok(cases)
    }

    /// Ends a case: its registration gets another place, or the money goes back.
    ///
    /// # Errors
    /// `NOT_FOUND`; `FAILED_PRECONDITION` with `PAYMENT_CASE_RESOLVED`, `PAYMENT_CASE_NEEDS_REFUND`, or why the place
    /// cannot be had (`SOLD_OUT`, `ALREADY_REGISTERED` …); or when there is no answer.
    pub async fn resolve_payment_case(
        &self,
        by: &By,
        number: u32,
        remedy: &Remedy,
    ) -> Result<ResolvePaymentCaseResponse, Error> {
        let resolution = Some(match remedy.clone() {
            Remedy::Refund => Resolution::Refund(PaymentCaseRefund {}),
            Remedy::Place(SlotKey { office_id, service_date, lane }) => {
                Resolution::Place(PaymentCasePlace { office_id, service_date, lane: lane.into() })
            }
        });
        let request = v1::ResolvePaymentCaseRequest { command: by.command(), number, resolution };
        let send = async |channel, request: Request<_>| service(channel).resolve_payment_case(request).await;
        self.link.call(Effect::Write, &request, send).await
    }
}
