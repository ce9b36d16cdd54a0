//! A granted place and the ask that led to it.

use std::{fmt, ops::Deref};

use compact_str::CompactString;

use crate::{
    billing::BillingReference,
    code::BookingCode,
    fees::Rupiah,
    ids::{ContentHash, RegistrationId, RequestKey, TrancheNumber},
    nik::ApplicantKey,
    passport::{Ground, PassportKind},
    payment::{CaseNumber, Payment},
    session::{Session, SessionStart},
    slot::SlotKey,
    time::UnixMillis,
};

/// One person of a party, as kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Applicant {
    /// Keyed hash of the NIK.
    pub key: ApplicantKey,
    /// Last four digits of the NIK.
    pub last_four: u16,
    /// What the person comes for, if that was said.
    pub passport: Option<PassportKind>,
    /// The caller's own reference. Most are short and stand in place.
    pub reference: CompactString,
}

/// Who comes together: 1 to 5 applicants. Most come alone and stand in place.
#[derive(Clone, PartialEq, Eq)]
pub struct Party(Members);

#[derive(Clone, PartialEq, Eq)]
enum Members {
    One([Applicant; 1]),
    Several(Box<[Applicant]>),
}

impl Deref for Party {
    type Target = [Applicant];

    fn deref(&self) -> &[Applicant] {
        match &self.0 {
            Members::One(one) => one,
            Members::Several(several) => several,
        }
    }
}

impl FromIterator<Applicant> for Party {
    fn from_iter<I: IntoIterator<Item = Applicant>>(applicants: I) -> Self {
        let mut applicants = applicants.into_iter();
        Self(match (applicants.next(), applicants.next()) {
            (Some(one), None) => Members::One([one]),
            (first, second) => Members::Several(first.into_iter().chain(second).chain(applicants).collect()),
        })
    }
}

impl<'a> IntoIterator for &'a Party {
    type Item = &'a Applicant;
    type IntoIter = std::slice::Iter<'a, Applicant>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// A well-formed wish for places. Identity and randomness are given to the ledger, never taken by it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Id the registration gets, if granted.
    pub registration: RegistrationId,
    /// Who asks, under which id.
    pub request: RequestKey,
    /// Hash of what is asked.
    pub content: ContentHash,
    /// Where and when.
    pub slot: SlotKey,
    /// The session they wish to come in; `None`: any.
    pub session: Option<SessionStart>,
    /// The party.
    pub applicants: Party,
    /// Why they come by the priority lane.
    pub ground: Option<Ground>,
    /// Randomness for the booking code.
    pub code_seed: u64,
}

impl Ask {
    /// Places asked.
    #[must_use]
    pub fn places(&self) -> u32 {
        places(&self.applicants)
    }
}

/// Where a registration stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegistrationState {
    /// The place is taken until a deadline, and waits to be paid for.
    Held,
    /// The place is taken.
    Confirmed,
    /// Its people came.
    CheckedIn,
    /// Its people were served.
    Served,
    /// Its people did not come.
    NoShow,
    /// It was not paid for in time, and others may have it.
    Expired,
    /// It was given back.
    Cancelled,
}

/// A granted place, or places.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration {
    /// Its id.
    pub id: RegistrationId,
    /// The request it answers.
    pub request: RequestKey,
    /// What was asked.
    pub content: ContentHash,
    /// Where and when.
    pub slot: SlotKey,
    /// The tranche in force.
    pub tranche: TrancheNumber,
    /// Where it stands.
    pub state: RegistrationState,
    /// The window of the day to come in; `None` where the lane has none.
    pub session: Option<Session>,
    /// Order of the grant within office, day and session, from 1.
    pub queue_number: u32,
    /// What the person reads out.
    pub code: BookingCode,
    /// The party.
    pub applicants: Party,
    /// When it was granted.
    pub created: UnixMillis,
    /// What few registrations have; `None` where all of it is empty.
    pub particulars: Option<Box<Particulars>>,
}

/// What few registrations have: it takes room only where it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Particulars {
    /// When it last changed, if it did.
    pub updated: Option<UnixMillis>,
    /// What the party pays, where it is known.
    pub fee: Option<Rupiah>,
    /// Why they come by the priority lane.
    pub ground: Option<Ground>,
    /// How it is paid for, where places are held.
    pub billing: Option<Billing>,
    /// What paid for the place, and when.
    pub paid: Option<(Payment, UnixMillis)>,
    /// Payments for it that found no place.
    pub cases: Vec<CaseNumber>,
    /// How it came from another slot at its caller's wish, once.
    pub moved: Option<Move>,
    /// When its people came.
    pub checked_in: Option<UnixMillis>,
    /// When they were served.
    pub served: Option<UnixMillis>,
    /// Why it was cancelled.
    pub cancel_reason: Box<str>,
}

/// A reschedule that was carried out at the caller's wish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    /// By which its repeats are recognised.
    pub request: RequestKey,
    /// Where it was before.
    pub from: SlotKey,
    /// Where it was asked to be.
    pub to: SlotKey,
    /// The session that was asked for by name there.
    pub named: Option<SessionStart>,
    /// When.
    pub at: UnixMillis,
}

/// How a held place is paid for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Billing {
    /// What the payer names.
    pub reference: BillingReference,
    /// From then on the place is nobody's.
    pub expires: UnixMillis,
}

impl Billing {
    /// The same with another deadline.
    #[must_use]
    pub fn until(self, expires: UnixMillis) -> Self {
        Self { expires, ..self }
    }
}

impl RegistrationState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Held,
        Self::Confirmed,
        Self::CheckedIn,
        Self::Served,
        Self::NoShow,
        Self::Expired,
        Self::Cancelled,
    ];

    /// Whether it has a place.
    #[must_use]
    pub const fn has_place(self) -> bool {
        match self {
            Self::Held | Self::Confirmed | Self::CheckedIn | Self::Served => true,
            Self::NoShow | Self::Expired | Self::Cancelled => false,
        }
    }

    /// Whether its places count as taken: it has them, or its people did not come, and nobody else could any more.
    #[must_use]
    pub const fn is_counted(self) -> bool {
        self.has_place() || matches!(self, Self::NoShow)
    }

    /// Name as in the API, without its prefix.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "HELD",
            Self::Confirmed => "CONFIRMED",
            Self::CheckedIn => "CHECKED_IN",
            Self::Served => "SERVED",
            Self::NoShow => "NO_SHOW",
            Self::Expired => "EXPIRED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl Particulars {
    /// In its place, if there is anything in it.
    #[must_use]
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

impl Registration {
    /// Places it holds, or held.
    #[must_use]
    pub fn places(&self) -> u32 {
        places(&self.applicants)
    }

    /// Whether an applicant is one of the party.
    #[must_use]
    pub fn has(&self, applicant: ApplicantKey) -> bool {
        self.applicants.iter().any(|other| other.key == applicant)
    }

    /// Whether a registration that is found by the hash of an applicant keeps this one from being live (INV-2). It may be this very
    /// one: different applicants may have the same hash.
    pub(crate) fn is_kept_out_by(&self, found: &Self) -> bool {
        let is_itself = std::ptr::eq(self, found);
        if is_itself { self.names_one_twice() } else { self.applicants.iter().any(|one| found.has(one.key)) }
    }

    fn names_one_twice(&self) -> bool {
        let mut party = self.applicants.iter().enumerate();
        party.any(|(at, one)| self.applicants[..at].iter().any(|before| before.key == one.key))
    }

    /// What the party pays; `None` where nothing is known of it.
    #[must_use]
    pub fn fee(&self) -> Option<Rupiah> {
        self.particulars.as_ref()?.fee
    }

    /// Why they come by the priority lane.
    #[must_use]
    pub fn ground(&self) -> Option<Ground> {
        self.particulars.as_ref()?.ground
    }

    /// How it is paid for, where its place was held.
    #[must_use]
    pub fn billing(&self) -> Option<Billing> {
        self.particulars.as_ref()?.billing
    }

    /// Whether it is paid for under this reference.
    #[must_use]
    pub fn is_billed_by(&self, reference: BillingReference) -> bool {
        self.billing().is_some_and(|billing| billing.reference == reference)
    }

    /// What paid for the place.
    #[must_use]
    pub fn payment(&self) -> Option<&Payment> {
        self.paid_at().map(|(payment, _)| payment)
    }

    /// What paid for the place, and when.
    #[must_use]
    pub fn paid_at(&self) -> Option<&(Payment, UnixMillis)> {
        self.particulars.as_ref()?.paid.as_ref()
    }

    /// How it came from another slot at its caller's wish, if it did.
    #[must_use]
    pub fn moved(&self) -> Option<Move> {
        self.particulars.as_ref()?.moved
    }

    /// When its people came.
    #[must_use]
    pub fn checked_in(&self) -> Option<UnixMillis> {
        self.particulars.as_ref()?.checked_in
    }

    /// When they were served.
    #[must_use]
    pub fn served(&self) -> Option<UnixMillis> {
        self.particulars.as_ref()?.served
    }

    /// The same in another state from an instant on.
    #[must_use]
    pub fn enter(self, state: RegistrationState, at: UnixMillis) -> Self {
        Self { state, ..self }.changed(at)
    }

    /// The same, changed at an instant.
    #[must_use]
    pub fn changed(self, at: UnixMillis) -> Self {
        self.with(|particulars| particulars.updated = Some(at))
    }

    /// When it last changed, or was granted.
    #[must_use]
    pub fn updated(&self) -> UnixMillis {
        self.particulars.as_ref().and_then(|particulars| particulars.updated).unwrap_or(self.created)
    }

    /// Payments for it that found no place.
    #[must_use]
    pub fn cases(&self) -> &[CaseNumber] {
        self.particulars.as_ref().map_or(&[], |particulars| &particulars.cases)
    }

    /// Confirmed, and paid for by this payment.
    #[must_use]
    pub fn paid(self, payment: &Payment, at: UnixMillis) -> Self {
        let confirmed = Self { state: RegistrationState::Confirmed, ..self };
        confirmed.with(|particulars| particulars.paid = Some((payment.clone(), at)))
    }

    /// Why it was cancelled; empty unless it was.
    #[must_use]
    pub fn cancel_reason(&self) -> &str {
        self.particulars.as_ref().map_or("", |particulars| &particulars.cancel_reason)
    }

    /// The same with other particulars.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Particulars)) -> Self {
        let mut particulars = self.particulars.take().map_or_else(Particulars::default, |found| *found);
        change(&mut particulars);
        self.particulars = particulars.boxed();
        self
    }
}

fn places(applicants: &[Applicant]) -> u32 {
    u32::try_from(applicants.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 300 bytes a live registration may take, indices included. With its counts it takes a size that the allocator has.
    const BYTES_MAX: usize = 144;

    #[test]
    fn what_few_registrations_have_takes_no_room_in_the_others() {
        assert!(size_of::<Registration>() <= BYTES_MAX, "{}", size_of::<Registration>());
        assert_eq!(Particulars::default().boxed(), None);
    }
}
