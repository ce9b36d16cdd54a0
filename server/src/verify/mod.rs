//! The oracle: reads a log and checks every invariant a log can show, with rules of its own. It shares the bytes'
//! format with the server and nothing of how the server decides: an oracle that copies the bug is none.

mod attendance;
mod days;
mod format;
mod payments;
mod places;
mod reschedule;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::Path,
};

use kuota_api::log::v1::{self as stored, event::Body};
use prost::Message as _;
use serde::Serialize;

use crate::{
    data_dir::{is_in_use, log_path},
    hex,
    log::{Chain, FORMAT, ReadError, Row, read_rows},
};

/// Faults that are written out; the rest are counted.
const FAULTS_SHOWN_MAX: usize = 20;

/// What the log shows.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Events read.
    pub events: u64,
    /// Registrations granted.
    pub grants: u64,
    /// Registrations live at the end.
    pub live: u64,
    /// Grants beyond the capacity in force (INV-1).
    pub oversold: u64,
    /// Grants to an applicant with a live registration (INV-2).
    pub duplicate_applicants: u64,
    /// Grants before their opening (INV-6).
    pub early_grants: u64,
    /// Grants under a request id that was granted before (INV-3).
    pub reused_requests: u64,
    /// Payments that were accepted and are remembered; left out where there are none, like the two that follow.
    #[serde(skip_serializing_if = "is_zero")]
    pub payments: u64,
    /// Of these, those that wait for an operator.
    #[serde(skip_serializing_if = "is_zero")]
    pub open_cases: u64,
    /// Payments that have neither a place nor a case (INV-11).
    #[serde(skip_serializing_if = "is_zero")]
    pub lost_payments: u64,
    /// Everything else that contradicts itself: broken chain, unknown references, numbers given twice.
    pub other_faults: u64,
    /// Digest of the last row, hexadecimal.
    pub digest: String,
    /// Whether nothing is wrong.
    pub ok: bool,
    /// The first faults, in words.
    pub faults: Vec<String>,
}

/// Reads the log of a data directory, also while a server writes it.
///
/// # Errors
/// When it cannot be read at all.
pub fn verify(data: &Path) -> Result<Verdict, ReadError> {
    let (log, is_idle) = (log_path(data), !is_in_use(data));
    if !log.exists() {
        return Err(ReadError::Storage("there is no log in this directory".into()));
    }
    let mut oracle = Oracle::default();
    match read_rows(&log, is_idle, &mut |row| oracle.row(row)) {
        Ok(()) => {}
        Err(ReadError::Damaged(what)) => oracle.fault(Kind::Other, what),
        Err(error) => return Err(error),
    }
    Ok(oracle.verdict())
}

#[derive(Clone, Copy)]
enum Kind {
    Oversold,
    DuplicateApplicant,
    Early,
    ReusedRequest,
    LostPayment,
    Other,
}

type SlotKey = (u32, i32, u32);
type DayKey = (u32, i32);

#[derive(Default)]
struct Slot {
    capacity: u64,
    open_at_ms: i64,
    cut_off_ms: Option<i64>,
    taken: u64,
    /// By their starts.
    sessions: HashMap<u32, places::Window>,
}

struct Grant {
    slot: SlotKey,
    session: Option<stored::Session>,
    request: (u32, Vec<u8>),
    applicants: Vec<Vec<u8>>,
    code: u64,
    standing: Standing,
    fee: Option<u64>,
    /// How it was held, if it was.
    hold: Option<stored::Hold>,
    /// The request that moved it, if one did.
    moved: Option<(u32, Vec<u8>)>,
}

/// Where a registration stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Held,
    Confirmed,
    CheckedIn,
    Served,
    NoShow,
    Expired,
    Cancelled,
}

#[derive(Default)]
struct Oracle {
    verdict: Verdict,
    chain: Chain,
    offices: u32,
    tranches: Vec<SlotKey>,
    slots: HashMap<SlotKey, Slot>,
    shares: places::Shares,
    grants: HashMap<Vec<u8>, Grant>,
    requests: HashSet<(u32, Vec<u8>)>,
    codes: HashSet<u64>,
    billings: HashSet<u64>,
    money: payments::Money,
    live: HashMap<Vec<u8>, Vec<u8>>,
    days: HashMap<DayKey, Vec<Vec<u8>>>,
    /// By day and, where there is one, the start of the session.
    queue_numbers: HashSet<(DayKey, Option<u32>, u32)>,
    /// When booking for a day ends, and when the day does.
    ends: HashMap<DayKey, (i64, i64)>,
    /// Days that ended, and from when on they may be forgotten.
    closed: HashMap<DayKey, i64>,
    /// What operators hold: office, day and lane, as far as they are named.
    /// Version of the event set.
    format: u32,
    /// What passports cost, and what lanes cost beyond them.
    fees: HashMap<u32, u64>,
    surcharges: HashMap<u32, u64>,
    paused: HashSet<(Option<u32>, Option<i32>, Option<u32>)>,
    overrides: HashSet<SlotKey>,
    /// Operators' writes, and when they were carried out.
    commands: HashMap<(u32, Vec<u8>), i64>,
    /// The same in their order.
    commands_in_order: VecDeque<(i64, (u32, Vec<u8>))>,
    last_ms: i64,
}

impl Oracle {
    fn fault(&mut self, kind: Kind, what: impl Into<String>) {
        let verdict = &mut self.verdict;
        *match kind {
            Kind::Oversold => &mut verdict.oversold,
            Kind::DuplicateApplicant => &mut verdict.duplicate_applicants,
            Kind::Early => &mut verdict.early_grants,
            Kind::ReusedRequest => &mut verdict.reused_requests,
            Kind::LostPayment => &mut verdict.lost_payments,
            Kind::Other => &mut verdict.other_faults,
        } += 1;
        if verdict.faults.len() < FAULTS_SHOWN_MAX {
            verdict.faults.push(what.into());
        }
    }

    fn row(&mut self, row: &Row) -> Result<(), ReadError> {
        if row.format > FORMAT {
            return Err(ReadError::NotUnderstood(format!(
                "the log has format {}, newer than {FORMAT}",
                row.format
            )));
        }
        // A broken chain is a fault like another: what follows it is not believed.
        self.chain.follow(row)?;
        let batch = stored::EventBatch::decode(&*row.payload).map_err(|_| {
            ReadError::Damaged(format!("event {}: the payload is not readable", row.first_seq))
        })?;
        if batch.events.len() as u64 != row.last_seq - row.first_seq + 1 {
            self.fault(
                Kind::Other,
                format!("event {}: the row names other events than it holds", row.first_seq),
            );
        }
        for (seq, event) in (row.first_seq..).zip(batch.events) {
            self.verdict.events += 1;
            let at_ms = row.now_ms - i64::from(event.before_ms);
            if at_ms < self.last_ms {
                self.fault(Kind::Other, format!("event {seq}: time runs backwards"));
            }
            self.last_ms = at_ms;
            if let Some(what) = self.event(seq, at_ms, event) {
                self.fault(Kind::Other, format!("event {seq}: {what}"));
            }
        }
        Ok(())
    }

    /// Follows one event; says what contradicts the ones before it, if it is not a fault with a counter of its own.
    fn event(&mut self, seq: u64, at_ms: i64, event: stored::Event) -> Option<&'static str> {
        let Some(body) = event.body else { return Some("unknown event type") };
        if seq == 1 && !matches!(body, Body::LogOpened(_)) {
            return Some("the log does not begin with its opening");
        }
        if format::needs_format_2(&body) && self.format < 2 && !matches!(body, Body::FormatRaised(_)) {
            return Some("an event that the log's format has not");
        }
        match body {
            Body::LogOpened(_) if seq != 1 => return Some("the log is opened twice"),
            Body::LogOpened(opened) => self.format = opened.format,
            Body::FormatRaised(raised) if raised.format <= self.format => {
                return Some("the format is raised to what it was, or lowered");
            }
            Body::FormatRaised(raised) => self.format = raised.format,
            Body::FeesDefined(fees) => {
                let passports = fees.passports.into_iter().map(|fee| (fee.passport, u64::from(fee.rupiah)));
                let surcharges = fees.surcharges.into_iter().map(|fee| (fee.lane, u64::from(fee.rupiah)));
                (self.fees, self.surcharges) = (passports.collect(), surcharges.collect());
            }
            Body::HolidaysDefined(_) | Body::OpeningDefined(_) => {}
            Body::OfficeDefined(office) if office.number > self.offices => {
                return Some("offices are not numbered in order");
            }
            Body::OfficeDefined(office) => self.office_defined(office),
            Body::OfficeClosed(office) if office.number >= self.offices => return Some("unknown office"),
            Body::OfficeClosed(_) => {}
            Body::OpeningRemoved(_) | Body::CatalogApplied(_) => {}
            Body::CommandCarriedOut(mark) => {
                let is_old = |(carried_out_ms, _): &(i64, _)| *carried_out_ms < mark.forget_before_ms;
                while self.commands_in_order.front().is_some_and(is_old) {
                    let old = self.commands_in_order.pop_front();
                    old.and_then(|(_, command)| self.commands.remove(&command));
                }
                let command = (event.caller, mark.request_id);
                if self.commands.insert(command.clone(), at_ms).is_some() {
                    return Some("an operator's write is carried out twice");
                }
                self.commands_in_order.push_back((at_ms, command));
            }
            Body::OverrideSet(set) => match set.slot.as_ref().map(key) {
                Some(slot) if slot.0 < self.offices => drop(self.overrides.insert(slot)),
                Some(_) | None => return Some("unknown office"),
            },
            Body::OverrideCleared(cleared) => {
                if !cleared.slot.as_ref().map(key).is_some_and(|slot| self.overrides.remove(&slot)) {
                    return Some("what was never set is cleared");
                }
            }
            Body::Paused(paused) => {
                let Some(scope) = paused.scope else { return Some("a pause names no scope") };
                self.paused.insert((scope.office, scope.day, scope.lane));
            }
            Body::Resumed(resumed) => {
                let resumed = resumed.scope.map(|scope| (scope.office, scope.day, scope.lane));
                if !resumed.is_some_and(|scope| self.paused.remove(&scope)) {
                    return Some("what was never paused resumes");
                }
            }
            Body::TrancheReleased(released) => return self.released(&released),
            Body::TrancheChanged(changed) => return self.changed(at_ms, &changed),
            Body::Granted(granted) => return self.granted(seq, at_ms, event.caller, granted),
            Body::Cancelled(cancelled) => return self.cancelled(at_ms, &cancelled),
            Body::HoldExpired(expired) => return self.hold_expired(at_ms, &expired),
            Body::CheckedIn(came) => return self.checked_in(at_ms, &came),
            Body::Served(served) => return self.served(at_ms, &served),
            Body::NoShows(absent) => return self.no_shows(at_ms, &absent),
            Body::Rescheduled(step) => return self.rescheduled(at_ms, event.caller, step),
            Body::PaymentReceived(received) => return self.payment_received(at_ms, received),
            Body::PaymentCaseResolved(resolved) => return self.case_resolved(at_ms, &resolved),
            Body::DayClosed(closed) => return self.day_closed(at_ms, closed),
            Body::DayForgotten(forgotten) => return self.day_forgotten(at_ms, forgotten),
        }
        None
    }

    fn granted(
        &mut self,
        seq: u64,
        at_ms: i64,
        caller: u32,
        granted: stored::Granted,
    ) -> Option<&'static str> {
        self.verdict.grants += 1;
        let Some(slot) = granted.slot.as_ref().map(key) else { return Some("a grant names no slot") };
        let party = granted.applicants.len() as u64;
        let Some(places) = self.slots.get_mut(&slot) else {
            return Some("a grant names a slot without places");
        };
        places.taken += party;
        let (over, early) = (places.taken > places.capacity, at_ms < places.open_at_ms);
        let (taken, capacity, open_at_ms) = (places.taken, places.capacity, places.open_at_ms);
        let is_cut_off = places.cut_off_ms.is_some_and(|cut_off_ms| at_ms >= cut_off_ms);
        let fee = self.fee(&granted);
        if over {
            self.fault(Kind::Oversold, format!("event {seq}: oversold: {taken} places taken of {capacity}"));
        }
        if early {
            self.fault(
                Kind::Early,
                format!("event {seq}: granted at {at_ms} ms, before the opening at {open_at_ms} ms"),
            );
        }
        let request = (caller, granted.request_id);
        if !self.requests.insert(request.clone()) {
            self.fault(Kind::ReusedRequest, format!("event {seq}: a request_id is granted a second time"));
        }
        let id = granted.registration_id;
        let applicants: Vec<Vec<u8>> =
            granted.applicants.into_iter().map(|applicant| applicant.key).collect();
        for (index, applicant) in applicants.iter().enumerate() {
            if self.live.insert(applicant.clone(), id.clone()).is_some() {
                let what = format!("event {seq}: applicant {index} already has a live registration");
                self.fault(Kind::DuplicateApplicant, what);
            }
        }
        let day = (slot.0, slot.1);
        let (cited, billing) = (self.cited(granted.tranche), granted.hold);
        let is_held = self.is_held(slot);
        let (session, queue_number) = (granted.session, granted.queue_number);
        let misplaced = self.take_session(at_ms, slot, session, party);
        let complaint = if granted.fee_rupiah.map(u64::from) != fee {
            Some("a fee is not what the catalogue in force comes to")
        } else if is_cut_off {
            Some("a grant comes after its lane was cut off")
        } else if is_held {
            Some("a grant comes while its slot is paused")
        } else if party == 0 {
            Some("a grant is for nobody")
        } else if cited != Some(slot) {
            Some("a grant cites a tranche of another slot")
        } else if self.closed.contains_key(&day)
            || self.ends.get(&day).is_none_or(|(close, _)| at_ms >= *close)
        {
            Some("a grant comes after booking for its service day has ended")
        } else if misplaced.is_some() {
            misplaced
        } else if !self.queue_numbers.insert((day, session.map(|one| one.start_minute), queue_number)) {
            Some("a queue number is given twice")
        } else if !self.codes.insert(granted.code) {
            Some("a booking code is given twice")
        } else if billing.is_some_and(|hold| !self.billings.insert(hold.billing_reference)) {
            Some("a billing reference is given twice")
        } else if billing.is_some_and(|hold| fee.is_none() || hold.expires_ms < at_ms) {
            Some("a place is held without a fee, or for no time")
        } else if self.grants.contains_key(&id) {
            Some("a registration id is given twice")
        } else {
            None
        };
        self.days.entry(day).or_default().push(id.clone());
        let standing = if billing.is_some() { Standing::Held } else { Standing::Confirmed };
        let (code, hold) = (granted.code, billing);
        let grant = Grant { slot, session, request, applicants, code, standing, fee, hold, moved: None };
        self.grants.insert(id, grant);
        complaint
    }

    /// What a party pays by what the log says of fees: nothing is known unless each of them names a passport with a fee.
    fn fee(&self, granted: &stored::Granted) -> Option<u64> {
        let lane = granted.slot.as_ref().map_or(0, |slot| slot.lane);
        let mut sum = 0;
        for applicant in &granted.applicants {
            sum += self.fees.get(&applicant.passport)? + self.surcharges.get(&lane).unwrap_or(&0);
        }
        Some(sum).filter(|_| !granted.applicants.is_empty())
    }

    /// The slot of a tranche.
    fn cited(&self, tranche: u32) -> Option<SlotKey> {
        (tranche as usize).checked_sub(1).and_then(|index| self.tranches.get(index)).copied()
    }

    /// Whether an operator holds a slot.
    fn is_held(&self, slot: SlotKey) -> bool {
        self.paused.iter().any(|(office, day, lane)| {
            office.is_none_or(|office| office == slot.0)
                && day.is_none_or(|day| day == slot.1)
                && lane.is_none_or(|lane| lane == slot.2)
        })
    }

    /// A registration's applicants are free, and so are its places.
    fn give_back(&mut self, id: &[u8]) {
        let Some(grant) = self.grants.get(id) else { return };
        for applicant in &grant.applicants {
            if self.live.get(applicant).is_some_and(|of| of == id) {
                self.live.remove(applicant);
            }
        }
        if let Some(slot) = self.slots.get_mut(&grant.slot) {
            slot.taken = slot.taken.saturating_sub(grant.applicants.len() as u64);
        }
        let (slot, session, party) = (grant.slot, grant.session, grant.applicants.len() as u64);
        self.free_session(slot, session, party);
    }

    fn cancelled(&mut self, at_ms: i64, cancelled: &stored::Cancelled) -> Option<&'static str> {
        let id = &cancelled.registration_id;
        let Some(grant) = self.grants.get_mut(id).filter(|grant| grant.has_place()) else {
            return Some("a registration is cancelled that does not exist, or twice");
        };
        grant.standing = Standing::Cancelled;
        let is_elsewhere = cancelled.slot.as_ref().map(key) != Some(grant.slot);
        let day = (grant.slot.0, grant.slot.1);
        let is_over = self.ends.get(&day).is_none_or(|(_, end)| at_ms >= *end);
        self.give_back(id);
        if let Some(fault) = self.refund_due(id, cancelled.payment_case) {
            return Some(fault);
        }
        if is_elsewhere {
            return Some("a cancellation names another slot than its registration");
        }
        is_over.then_some("a cancellation comes after the end of its service day")
    }

    fn verdict(mut self) -> Verdict {
        self.check_money();
        let live: HashSet<&Vec<u8>> = self.live.values().collect();
        self.verdict.live = live.len() as u64;
        self.verdict.digest = hex::encode(&self.chain.digest());
        self.verdict.ok = self.verdict.faults.is_empty();
        self.verdict
    }
}

const fn key(slot: &stored::Slot) -> SlotKey {
    (slot.office, slot.day, slot.lane)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}
