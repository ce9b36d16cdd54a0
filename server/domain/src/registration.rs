//! A granted place and the ask that led to it.

use crate::{
    code::BookingCode,
    ids::{ContentHash, RegistrationId, RequestKey, TrancheNumber},
    nik::ApplicantKey,
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
    /// The caller's own reference.
    pub reference: Box<str>,
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
    /// The party: 1 to 5.
    pub applicants: Box<[Applicant]>,
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
    /// The place is taken.
    Confirmed,
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
    /// Order of the grant within office and day, from 1.
    pub queue_number: u32,
    /// What the person reads out.
    pub code: BookingCode,
    /// The party.
    pub applicants: Box<[Applicant]>,
    /// When it was granted.
    pub created: UnixMillis,
    /// When it last changed.
    pub updated: UnixMillis,
    /// Why it was cancelled.
    pub cancel_reason: Box<str>,
}

impl Registration {
    /// Places it holds, or held.
    #[must_use]
    pub fn places(&self) -> u32 {
        places(&self.applicants)
    }
}

fn places(applicants: &[Applicant]) -> u32 {
    u32::try_from(applicants.len()).unwrap_or(u32::MAX)
}
