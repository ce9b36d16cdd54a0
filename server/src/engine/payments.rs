//! Payments: word of one goes to the ledger, and the answer says where the money is: in a place, or in a case.

use std::sync::Arc;

use kuota_domain::{
    ledger::Command,
    payment::{CaseNumber, PaymentCase, PaymentNotice},
};

use super::{Engine, Failure, Granted};

/// What became of a payment.
#[derive(Clone, Debug)]
pub struct Paid {
    /// The registration it is for, as it stands.
    pub granted: Granted,
    /// The case it led to.
    pub case: Option<Arc<PaymentCase>>,
}

impl Engine {
    /// Accepts a payment. Told again, it says the same.
    ///
    /// # Errors
    /// A refusal, or why there is no answer.
    pub async fn pay(&self, notice: PaymentNotice) -> Result<Paid, Failure> {
        let reference = notice.payment.reference.clone();
        let granted = self.command(Command::Pay(notice)).await?;
        let case = self.read.cases.of_payment(granted.registration.cases(), &reference);
        Ok(Paid { granted, case })
    }

    /// Payments without a place after a number, in order: those that wait for an operator, or all that are remembered;
    /// and whether there are more.
    #[must_use]
    pub fn payment_cases(
        &self,
        page: (Option<CaseNumber>, usize),
        only_open: bool,
    ) -> (Vec<Arc<PaymentCase>>, bool) {
        self.read.cases.page(page, |case| !only_open || case.resolved.is_none())
    }

    /// One of them.
    #[must_use]
    pub fn payment_case(&self, number: CaseNumber) -> Option<Arc<PaymentCase>> {
        self.read.cases.get(number)
    }

    /// Registrations that wait to be paid for, and payments that wait for an operator.
    #[must_use]
    pub fn unsettled(&self) -> (usize, usize) {
        (self.read.held(), self.read.cases.open())
    }
}
