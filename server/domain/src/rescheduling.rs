//! When a registration may give its place up for another one: what is said of it, its day and its terms, and nothing of
//! what is free. The ledger decides by it, and who is refused is told by it where else the registration may go.

use crate::{
    catalog::LaneOffer,
    fees::{Fees, Rupiah},
    ids::{RegistrationId, RequestKey},
    refusal::{Refusal, Term},
    registration::{Registration, RegistrationState},
    session::SessionStart,
    slot::{Lane, SlotKey},
    time::UnixMillis,
};

/// A wish for another place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rescheduling {
    /// Whose.
    pub registration: RegistrationId,
    /// By which a repeat is recognised, and who wishes it.
    pub request: RequestKey,
    /// Where to.
    pub slot: SlotKey,
    /// The session there; `None`: any.
    pub session: Option<SessionStart>,
}

/// Who wishes for another place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wisher {
    /// The person, once.
    Caller,
    /// An operator, for an officer's error, an outage or force majeure: that does not count.
    Operator,
}

impl Wisher {
    /// All of them, in order.
    pub const ALL: [Self; 2] = [Self::Caller, Self::Operator];

    /// Name as in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Operator => "operator",
        }
    }
}

/// What stands around a wish.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// Now.
    pub now: UnixMillis,
    /// From then on the place may not be left any more.
    pub until: UnixMillis,
    /// What passports and lanes cost.
    pub fees: &'a Fees,
    /// The lane that is wished for, where the catalogue has it.
    pub offer: Option<&'a LaneOffer>,
}

impl Registration {
    /// Why it stays where it is, whatever is free in the other slot; `None` when it may go.
    #[must_use]
    pub fn why_it_stays(&self, to: SlotKey, wisher: Wisher, around: Circumstances<'_>) -> Option<Refusal> {
        let state = self.state;
        match state {
            RegistrationState::Held | RegistrationState::Confirmed => {}
            RegistrationState::CheckedIn
            | RegistrationState::Served
            | RegistrationState::NoShow
            | RegistrationState::Expired
            | RegistrationState::Cancelled => {
                return Some(Refusal::NotReschedulable { state });
            }
        }
        if around.now >= around.until {
            return Some(Refusal::TooLateToReschedule { at: around.until });
        }
        if self.slot == to {
            return Some(Refusal::SameSlot);
        }
        if let (Wisher::Caller, Some(moved)) = (wisher, self.moved()) {
            return Some(Refusal::AlreadyRescheduled { at: moved.at });
        }
        self.differing_term(to, around).map(|term| Refusal::TermsDiffer { term })
    }

    /// What the other slot asks for that this registration does not bring. In its own lane at its own office it keeps the
    /// terms of its grant, whatever the catalogue says by now.
    fn differing_term(&self, to: SlotKey, around: Circumstances<'_>) -> Option<Term> {
        let (here, there) = (self.slot.lane, to.lane);
        if self.slot.office == to.office && here == there {
            return None;
        }
        let surcharge = |lane| around.fees.surcharges.get(&lane).map_or(Rupiah(0), |price| price.rupiah);
        if surcharge(here) != surcharge(there) {
            return Some(Term::Fee);
        }
        if here != there && [here, there].contains(&Lane::Priority) {
            return Some(Term::Ground);
        }
        let holds = around.offer.is_some_and(|offer| offer.hold_minutes.is_some());
        (holds && self.billing().is_none()).then_some(Term::Payment)
    }

    /// Whether a request led to it, or to the slot where it is.
    #[must_use]
    pub fn answers(&self, request: RequestKey) -> bool {
        self.request == request || self.was_moved_by(request)
    }

    /// Whether it was rescheduled at this request.
    #[must_use]
    pub fn was_moved_by(&self, request: RequestKey) -> bool {
        self.moved().is_some_and(|moved| moved.request == request)
    }
}
