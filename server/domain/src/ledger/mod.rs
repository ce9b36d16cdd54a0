//! The ledger: the deterministic state machine that alone decides who gets a place.
//!
//! `decide` looks and says what would change; `apply` changes. State may run ahead of the log by the batches that are
//! not committed yet; the journal undoes them when a commit fails. What callers may see is published elsewhere, and
//! only after the commit.

mod administer;
mod ahead;
mod apply;
mod arrivals;
mod attendance;
mod catalogue;
mod changes;
mod coming;
mod decide;
mod digest;
mod finder;
mod grant;
mod index;
mod journal;
mod payments;
mod replay;
mod reschedule;
mod roll;
mod schedule;
mod sessions;

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::offset_of,
    num::NonZeroU32,
    sync::Arc,
};

use hashbrown::HashMap;

pub use self::{
    administer::{Directive, Instruction, Objection, Rehearsal, SlotChange},
    ahead::{OFFICES_AT_HAND, SLOTS_AT_HAND},
    apply::Misfit,
    attendance::Attendance,
    catalogue::CatalogConflict,
    changes::Changed,
    decide::{Cancellation, Command, Decision, Rejection},
    finder::{Finder, Row},
    payments::Remedy,
    replay::{Replay, Unfit},
};
use self::{
    arrivals::Arrivals,
    changes::Changes,
    index::RowNumber,
    journal::{Journal, Undo},
    roll::Roll,
    sessions::Sessions,
};
use crate::{
    calendar::{Holidays, ServiceDay, WeeklyOpening},
    catalog::Office,
    days::Days,
    event::{Change, FORMAT, Override, Times},
    fees::{Fees, Rupiah},
    gate::{Ending, Figures},
    ids::{ContentHash, OfficeId, OfficeNumber, OpeningId, RegistrationId, RequestKey, TrancheNumber},
    nik::ApplicantKey,
    payment::{CaseNumber, PaymentCase, PaymentReference},
    registration::Registration,
    slot::{Lane, Scope, SlotKey},
    time::UnixMillis,
};

/// Who a log is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogIdentity {
    /// UUID of the log.
    pub log_id: u128,
    /// Version of its event set.
    pub format: u32,
    /// Recognises its NIK key.
    pub nik_key_check: [u8; 16],
}

/// Everything the events add up to.
#[derive(Debug)]
pub struct Ledger {
    identity: Option<LogIdentity>,
    holidays: Arc<Holidays>,
    fees: Arc<Fees>,
    openings: BTreeMap<OpeningId, WeeklyOpening>,
    offices: Vec<OfficeState>,
    office_numbers: HashMap<OfficeId, OfficeNumber>,
    /// The slot of each tranche; tranche numbers count from 1.
    tranches: Vec<SlotKey>,
    roll: Roll,
    sessions: Sessions,
    timers: BTreeSet<(UnixMillis, Timer)>,
    /// Payments that were accepted, by which their repeats are recognised.
    payments: BTreeMap<PaymentReference, PaymentRecord>,
    /// Payments without a place: all that are open, and what was done about the others (INV-11).
    cases: BTreeMap<CaseNumber, Arc<PaymentCase>>,
    last_case: u32,
    /// The layer above the catalogue: only operators write it, and only they take it back.
    overrides: BTreeMap<SlotKey, Override>,
    pauses: BTreeMap<Scope, Pause>,
    /// Operators' writes, by which their repeats are recognised.
    commands: BTreeMap<RequestKey, CommandRecord>,
    /// The same by age.
    command_ages: BTreeSet<(UnixMillis, RequestKey)>,
    /// Digest of the catalogue that was named at the start, as last applied.
    catalog_at_start: Option<[u8; 32]>,
    journal: Journal,
    /// Slots whose figures changed, until they are taken. Not part of the state.
    changes: Changes,
    /// When the schedule of some office must be looked at again. Not part of the state: replay never plans.
    next_plan: UnixMillis,
}

/// A pause in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pause {
    /// Since when.
    pub since: UnixMillis,
    /// Who set it.
    pub actor: Box<str>,
    /// Why.
    pub reason: Box<str>,
}

/// An operator's write that was carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CommandRecord {
    /// Hash of what was asked.
    pub content: ContentHash,
    /// When it was carried out.
    pub at: UnixMillis,
    /// Events it caused.
    pub changes: u32,
}

/// A payment that was accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct PaymentRecord {
    registration: RegistrationId,
    amount: Rupiah,
    /// The case it led to.
    case: Option<CaseNumber>,
}

/// What a grant reads is in the first cache line, as of a day.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
struct OfficeState {
    open: bool,
    /// Whether places of any of its lanes wait to be paid for.
    holds: bool,
    days: Days<DayState>,
    office: Arc<Office>,
    /// Its schedule is complete until then. Not part of the state.
    planned_until: UnixMillis,
}

/// What a grant reads and writes is in the first cache line, where its lane is the first: there are many days, and each
/// grant comes to another.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
struct DayState {
    close_at: UnixMillis,
    end: UnixMillis,
    arrivals: Arrivals,
    /// Of the queue of those without a session.
    last_queue_number: u32,
    closed: bool,
    /// In which list of changes each lane's slot was noted last, if in any: where that is another, it need not be read. Not part
    /// of the state.
    noted_in: [u8; Lane::ALL.len()],
    lanes: [Option<Places>; Lane::ALL.len()],
}

const _: () = assert!(offset_of!(OfficeState, office) <= 64, "more than one line");
const _: () = assert!(offset_of!(DayState, lanes) + size_of::<Option<Places>>() <= 64, "more than one line");

impl DayState {
    fn new(times: Times) -> Self {
        Self {
            close_at: times.close_at,
            end: times.day_end,
            arrivals: Arrivals::default(),
            last_queue_number: 0,
            closed: false,
            noted_in: [0; Lane::ALL.len()],
            lanes: [None; Lane::ALL.len()],
        }
    }

    /// The tranche of a lane, and its figures.
    fn standing(&self, lane: Lane, paused: bool) -> Option<(TrancheNumber, Figures)> {
        let places = self.lanes[lane.index()]?;
        let (close_at, ending) = match places.cut_off().filter(|cut_off| *cut_off < self.close_at) {
            Some(cut_off) => (cut_off, Ending::CutOff),
            None => (self.close_at, Ending::Closing),
        };
        let Places { capacity, taken, open_at, .. } = places;
        let free = capacity.saturating_sub(taken);
        Some((places.tranche(), Figures { capacity, free, taken, paused, open_at, close_at, ending }))
    }
}

/// The places of one slot. One tranche each for now: the log could hold several.
#[derive(Debug, Clone, Copy)]
struct Places {
    /// They count from 1, so that a lane without places takes no room to say so.
    tranche: NonZeroU32,
    capacity: u32,
    taken: u32,
    /// Where its slot stands among those that changed, if it is that which stands there. Not part of the state.
    changed_at: u32,
    open_at: UnixMillis,
    /// The hour from which on the lane takes no more asks for the day; the end of time, where there is none.
    cut_off: UnixMillis,
}

impl Places {
    fn new(tranche: TrancheNumber, capacity: u32, Times { open_at, cut_off, .. }: Times) -> Option<Self> {
        let (tranche, cut_off) = (NonZeroU32::new(tranche.0)?, cut_off.unwrap_or(UnixMillis::MAX));
        Some(Self { tranche, capacity, taken: 0, changed_at: 0, open_at, cut_off })
    }

    const fn tranche(&self) -> TrancheNumber {
        TrancheNumber(self.tranche.get())
    }

    /// The hour from which on the lane takes no more asks for the day.
    fn cut_off(&self) -> Option<UnixMillis> {
        Some(self.cut_off).filter(|at| *at < UnixMillis::MAX)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// First: at the same instant holds expire before their day ends.
    Hold(RowNumber),
    DayEnd(OfficeNumber, ServiceDay),
    Forget(OfficeNumber, ServiceDay),
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            identity: None,
            holidays: Arc::default(),
            fees: Arc::default(),
            openings: BTreeMap::new(),
            offices: Vec::new(),
            office_numbers: HashMap::new(),
            tranches: Vec::new(),
            roll: Roll::default(),
            sessions: Sessions::default(),
            timers: BTreeSet::new(),
            payments: BTreeMap::new(),
            cases: BTreeMap::new(),
            last_case: 0,
            overrides: BTreeMap::new(),
            pauses: BTreeMap::new(),
            commands: BTreeMap::new(),
            command_ages: BTreeSet::new(),
            catalog_at_start: None,
            journal: Journal::default(),
            changes: Changes::default(),
            next_plan: UnixMillis::MIN,
        }
    }
}

impl Ledger {
    /// Who the log is; `None` before its first event.
    #[must_use]
    pub const fn identity(&self) -> Option<LogIdentity> {
        self.identity
    }

    /// What raises the event set of an older log. Written before anything else is: what comes may need it.
    #[must_use]
    pub fn format_due(&self) -> Option<Change> {
        self.identity.filter(|identity| identity.format < FORMAT).map(|_| Change::FormatRaised(FORMAT))
    }

    /// Offices by number, with whether they are still in the catalogue.
    pub fn offices(&self) -> impl ExactSizeIterator<Item = (&Arc<Office>, bool)> {
        self.offices.iter().map(|state| (&state.office, state.open))
    }

    /// The rule that opens an office's days.
    #[must_use]
    pub fn rule_of(&self, office: &Office) -> Option<&WeeklyOpening> {
        self.openings.get(&office.opening)
    }

    /// Days without service.
    #[must_use]
    pub const fn holidays(&self) -> &Arc<Holidays> {
        &self.holidays
    }

    /// What passports cost.
    #[must_use]
    pub const fn fees(&self) -> &Arc<Fees> {
        &self.fees
    }

    /// Every slot that has been released and not forgotten.
    pub fn slots(&self) -> impl Iterator<Item = SlotKey> {
        (0..).zip(&self.offices).flat_map(|(number, state)| {
            state.days.iter().flat_map(move |(day, at)| {
                let released = Lane::ALL.into_iter().filter(|lane| at.lanes[lane.index()].is_some());
                released.map(move |lane| SlotKey { office: OfficeNumber(number), day: *day, lane })
            })
        })
    }

    /// Figures of a slot; `None` when nothing was released for it, or it was forgotten.
    #[must_use]
    pub fn figures(&self, slot: SlotKey) -> Option<Figures> {
        self.standing(slot).map(|(_, figures)| figures)
    }

    /// The tranche of a slot, and its figures.
    #[must_use]
    pub fn standing(&self, slot: SlotKey) -> Option<(TrancheNumber, Figures)> {
        self.day(slot.office, slot.day)?.standing(slot.lane, self.is_paused(slot))
    }

    /// Whether an operator holds a slot.
    #[must_use]
    pub fn is_paused(&self, slot: SlotKey) -> bool {
        self.pauses.keys().any(|scope| scope.covers(slot))
    }

    /// Pauses in force.
    #[must_use]
    pub const fn pauses(&self) -> &BTreeMap<Scope, Pause> {
        &self.pauses
    }

    /// What operators set above the catalogue.
    #[must_use]
    pub const fn overrides(&self) -> &BTreeMap<SlotKey, Override> {
        &self.overrides
    }

    /// Digest of the catalogue that was named at the start, as last applied.
    #[must_use]
    pub const fn catalog_at_start(&self) -> Option<[u8; 32]> {
        self.catalog_at_start
    }

    /// A registration by id.
    #[must_use]
    pub fn registration(&self, id: RegistrationId) -> Option<&Arc<Registration>> {
        self.roll.get(id)
    }

    /// Where a registration stands.
    #[must_use]
    pub fn row_of(&self, id: RegistrationId) -> Option<Row> {
        self.roll.row_of(id).map(Row)
    }

    /// Finds registrations for other threads: those that were shown.
    #[must_use]
    pub fn finder(&self) -> Finder {
        self.roll.finder().clone()
    }

    /// Every registration in memory, in no particular order.
    pub fn registrations(&self) -> impl Iterator<Item = &Arc<Registration>> {
        self.roll.all().map(|(_, registration)| registration)
    }

    /// The same with where each stands, in so many pieces of about one size.
    pub fn pieces(
        &self,
        pieces: usize,
    ) -> impl Iterator<Item = impl Iterator<Item = (Row, &Arc<Registration>)>> {
        let named = |(row, registration)| (Row(row), registration);
        self.roll.pieces(pieces).map(move |piece| piece.map(named))
    }

    /// How many rows registrations have, those of forgotten ones among them.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.roll.rows()
    }

    /// The registrations of one office and day, in the order in which they came to it.
    pub fn registrations_of(
        &self,
        office: OfficeNumber,
        day: ServiceDay,
    ) -> impl Iterator<Item = &Arc<Registration>> {
        let rows = self.day(office, day).map(|day| self.roll.links().rows(day.arrivals));
        rows.unwrap_or_default().into_iter().filter_map(|row| self.roll.at(row))
    }

    /// Whether an applicant has a live registration.
    #[must_use]
    pub fn is_live(&self, applicant: ApplicantKey) -> bool {
        self.roll.of_applicant(applicant).is_some()
    }

    /// Whether a registration is live: it holds its applicants, and no other may (INV-2).
    #[must_use]
    pub fn holds(&self, registration: &Registration) -> bool {
        self.roll.row_of(registration.id).is_some_and(|row| self.roll.is_live(row))
    }

    /// The slot a tranche was released for.
    #[must_use]
    pub fn slot_of_tranche(&self, tranche: TrancheNumber) -> Option<SlotKey> {
        self.tranches.get((tranche.0 as usize).checked_sub(1)?).copied()
    }

    fn day(&self, office: OfficeNumber, day: ServiceDay) -> Option<&DayState> {
        self.offices.get(office.index())?.days.get(&day)
    }
}
