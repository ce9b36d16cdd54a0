//! Payments for held places, and the cases of those that found no place (INV-11).

use compact_str::CompactString;

use crate::{
    billing::BillingReference,
    code::BookingCode,
    event::Actor,
    fees::Rupiah,
    ids::{CallerNumber, RegistrationId, TrancheNumber},
    limits::PAYMENT_REFERENCE_CHARS_MAX,
    session::Turn,
    slot::SlotKey,
    time::UnixMillis,
};

/// The payer's name of a payment, by which its repeats are recognised: a transaction number, as a bank gives it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PaymentReference(CompactString);

/// A text that is no payment reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "1 to {PAYMENT_REFERENCE_CHARS_MAX} letters, digits, dashes, dots, slashes, colons and underscores are allowed"
)]
pub struct PaymentReferenceError;

impl PaymentReference {
    /// Reads a reference.
    ///
    /// # Errors
    /// When it is empty, too long, or has other characters.
    pub fn parse(raw: &str) -> Result<Self, PaymentReferenceError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-./:_".contains(&byte);
        let is_one = (1..=PAYMENT_REFERENCE_CHARS_MAX).contains(&raw.len()) && raw.bytes().all(allowed);
        if is_one { Ok(Self(raw.into())) } else { Err(PaymentReferenceError) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Money that came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payment {
    /// Its name.
    pub reference: PaymentReference,
    /// How much.
    pub amount: Rupiah,
}

/// What a registration is called by whoever pays for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Payee {
    /// By its id.
    Id(RegistrationId),
    /// By its billing reference.
    Billing(BillingReference),
}

/// Word of a payment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaymentNotice {
    /// For what.
    pub payee: Payee,
    /// What came in.
    pub payment: Payment,
    /// Who says so.
    pub caller: CallerNumber,
}

/// Names a case: they count from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CaseNumber(pub u32);

/// How a payment came to have no place of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CaseCause {
    /// It came after its hold had expired, and the place was gone, or the applicant had another by then.
    PlaceGone,
    /// It came after its registration was cancelled.
    PaidAfterCancellation,
    /// Its registration was paid already.
    PaidTwice,
    /// Its registration was cancelled after it.
    CancelledAfterPayment,
}

impl CaseCause {
    /// Every cause, in order.
    pub const ALL: [Self; 4] =
        [Self::PlaceGone, Self::PaidAfterCancellation, Self::PaidTwice, Self::CancelledAfterPayment];
}

/// What an accepted payment comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PaymentEffect {
    /// The held place is confirmed.
    Confirmed,
    /// The hold had expired and the place was still free: it is taken again, and confirmed. With another turn where its
    /// own session has no room for it any more, or is over.
    Reinstated(Option<Turn>),
    /// There is no place for it: a case is opened.
    CaseOpened(CaseNumber, CaseCause),
}

/// What is done about a case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolution {
    /// The money goes back, outside of this system.
    Refund,
    /// Its registration gets another place.
    Place {
        /// Where and when.
        slot: SlotKey,
        /// The tranche in force there.
        tranche: TrancheNumber,
        /// Its session and its number in the queue there.
        turn: Turn,
    },
}

/// A payment without a place, for an operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaymentCase {
    /// Its number.
    pub number: CaseNumber,
    /// The registration that was paid.
    pub registration: RegistrationId,
    /// Its booking code.
    pub code: BookingCode,
    /// Where its place was.
    pub slot: SlotKey,
    /// What came in.
    pub payment: Payment,
    /// How it came to this.
    pub cause: CaseCause,
    /// Since when.
    pub opened: UnixMillis,
    /// What was done about it; `None` while it is open.
    pub resolved: Option<Resolved>,
}

/// The end of a case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resolved {
    /// When.
    pub at: UnixMillis,
    /// By whom.
    pub actor: Actor,
    /// Why so.
    pub reason: Box<str>,
    /// How.
    pub resolution: Resolution,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_reference_is_what_banks_print() {
        let long = "x".repeat(PAYMENT_REFERENCE_CHARS_MAX);
        for (raw, good) in [
            ("820261127000123", true),
            ("BRI/2026-11-27:17_a.b", true),
            (long.as_str(), true),
            ("", false),
            ("a b", false),
            ("caf\u{e9}", false),
            (&format!("{long}x"), false),
        ] {
            assert_eq!(PaymentReference::parse(raw).is_ok(), good, "{raw:?}");
        }
    }
}
