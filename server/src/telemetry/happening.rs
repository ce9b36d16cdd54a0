//! What happens to registrations, as it is counted.

use kuota_domain::{
    event::Change,
    payment::{PaymentEffect, Resolution},
    rescheduling::Wisher,
};

/// What happened to a registration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Happening {
    /// It was granted: confirmed, or held.
    Granted,
    /// It was cancelled.
    Cancelled,
    /// Its hold expired.
    Expired,
    /// A payment for it came to this.
    Paid(Paid),
    /// An operator gave it another place.
    Placed,
    /// It gave its place up for another, at this one's wish.
    Rescheduled(Wisher),
    /// Its people came.
    CheckedIn,
    /// Its people were served.
    Served,
    /// Its people did not come.
    NoShow,
}

/// What a payment came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paid {
    /// The held place.
    Confirmed,
    /// The same place again, after its hold had expired.
    Reinstated,
    /// A case.
    Case,
}

impl Paid {
    /// Every one, in order.
    pub(super) const NAMES: [&'static str; 3] = ["confirmed", "reinstated", "case"];
}

impl Happening {
    /// What a change is to the registration it is about.
    #[must_use]
    pub fn of(change: &Change) -> Option<Self> {
        match change {
            Change::Granted(_) => Some(Self::Granted),
            Change::Cancelled { .. } => Some(Self::Cancelled),
            Change::HoldExpired { .. } => Some(Self::Expired),
            Change::PaymentReceived(receipt) => Some(Self::Paid(match receipt.effect {
                PaymentEffect::Confirmed => Paid::Confirmed,
                PaymentEffect::Reinstated(_) => Paid::Reinstated,
                PaymentEffect::CaseOpened(..) => Paid::Case,
            })),
            Change::CaseResolved(resolved) => match resolved.resolution {
                Resolution::Place { .. } => Some(Self::Placed),
                Resolution::Refund => None,
            },
            Change::CheckedIn { .. } => Some(Self::CheckedIn),
            Change::Served { .. } => Some(Self::Served),
            Change::NoShows { .. } => Some(Self::NoShow),
            Change::Rescheduled(step) => Some(Self::Rescheduled(match step.request {
                Some(_) => Wisher::Caller,
                None => Wisher::Operator,
            })),
            _ => None,
        }
    }
}
