//! What the server says after the run, as plain values: slots, registrations, and answers to the questions a run leaves
//! open.

use std::collections::{BTreeMap, BTreeSet};

use crate::{driver::ask::Why, target::ground::SlotFacts};

/// A registration as the server exports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its id.
    pub id: u128,
    /// Of which slot.
    pub slot: u16,
    /// In which session, by its start; empty where there are none.
    pub session: String,
    /// Its number in the queue: each session has one.
    pub queue_number: u32,
    /// When it was granted.
    pub create_time_ms: i64,
    /// It was given back, or not paid for in time.
    pub is_over: bool,
    /// Who has it; nobody of this run, perhaps. One an applicant.
    pub people: Vec<Option<u32>>,
}

/// A registration as it was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: u128,
    /// The ask it was granted to.
    pub request_id: u128,
    /// Of which slot; none of this run, perhaps.
    pub slot: Option<u16>,
    /// Who has it, by the reference.
    pub person: Option<u32>,
    /// When it was granted.
    pub create_time_ms: i64,
    /// Nobody gave it back, and nobody else did before its time.
    pub stands: bool,
}

/// What became of an ask without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// It had been granted.
    Granted(Found),
    /// It was never carried out; asked again, it was granted now.
    GrantedNow(u128),
    /// It was never carried out; asked again, it is refused, or it was not asked again.
    NotCarriedOut,
    /// Still nobody knows.
    Unknown,
}

/// An ask without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Who.
    pub person: u32,
    /// Which wish.
    pub ordinal: u8,
    /// For which slot.
    pub slot: u16,
    /// Why there is no answer.
    pub why: Why,
    /// What became of it.
    pub resolved: Resolved,
}

/// A granted ask that was sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// Who.
    pub person: u32,
    /// The registration of the first time.
    pub id: u128,
    /// What the repeat got: nothing is a refusal.
    pub got: Option<u128>,
}

/// Slots and registrations at one time.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Slots, by number.
    pub slots: BTreeMap<u16, SlotFacts>,
    /// Registrations, where operators' questions may be asked.
    pub held: Option<Vec<Held>>,
}

/// Questions that got no answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unanswered {
    /// How many.
    pub count: u64,
    /// The first ones, in words.
    pub words: Vec<String>,
}

/// Everything the server said.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Before the verification wrote anything,
    pub first: Reading,
    /// and after it.
    pub second: Reading,
    /// Acknowledged registrations by id; nothing where there is none.
    pub look_ups: BTreeMap<u128, Option<Found>>,
    /// Granted asks that were sent again.
    pub repeats: Vec<Repeat>,
    /// Asks without an answer.
    pub open: Vec<Open>,
    /// Slots whose places operators changed during the run.
    pub changed_by_operators: BTreeSet<u16>,
    /// Questions of the verification without an answer.
    pub unanswered: Unanswered,
}
