//! What the evidence proves. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::evidence::{Evidence, Resolved};
use crate::{driver::worker::Ack, limits::FINDINGS_OF_A_KIND_SHOWN_MAX};

/// What is proven, counted by kind, and the first findings in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Places granted beyond a slot's capacity.
    pub oversold: u64,
    /// Acknowledged registrations that are not found, or are not what was acknowledged.
    pub lost: u64,
    /// Asks under way when the server was killed or a connection broke that were never carried out: nobody was told yes.
    pub in_flight_lost: u64,
    /// Asks whose outcome nobody knows, even after asking again.
    pub unresolved: u64,
    /// Asks without an answer that had been granted.
    pub unanswered_granted: u64,
    /// Live registrations of people beyond their first, and numbers of a queue given twice.
    pub duplicated: u64,
    /// Grants before their opening.
    pub early: u64,
    /// Places free although people were told that none are.
    pub stranded: u64,
    /// Repeats that got another registration than the first time, or none.
    pub unequal_repeats: u64,
    /// Slots whose free and granted places do not make their capacity.
    pub miscounted: u64,
    /// Registrations the server has from this run.
    pub registrations: u64,
    /// The first of each kind, in words.
    pub findings: Vec<String>,
}

impl Findings {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.oversold
            + self.lost
            + self.unresolved
            + self.duplicated
            + self.early
            + self.stranded
            + self.unequal_repeats
            + self.miscounted
            == 0
    }

    fn find(&mut self, words: impl FnOnce() -> String) {
        let words = words();
        // By kind, which stands before the colon: a thousand of one must not hide the only one of another.
        let kind = words.split_once(':').map_or(&*words, |(kind, _)| kind);
        let shown = self.findings.iter().filter(|finding| finding.starts_with(kind)).count();
        if shown < FINDINGS_OF_A_KIND_SHOWN_MAX {
            self.findings.push(words);
        }
    }
}

/// What a verdict rests on besides the evidence.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// What was acknowledged.
    pub acks: &'a [Ack],
    /// How often a slot was said to be sold out.
    pub sold_out: &'a [u32],
    /// T0 by the wall clock.
    pub t0_ms: i64,
    /// Names of slots, for people.
    pub names: &'a [String],
}

impl Told<'_> {
    fn name(&self, slot: u16) -> &str {
        self.names.get(usize::from(slot)).map_or("a slot of another run", String::as_str)
    }
}

/// Judges.
#[must_use]
pub fn judge(evidence: &Evidence, told: &Told<'_>) -> Findings {
    let mut findings = Findings::default();
    lost(&mut findings, evidence, told);
    places(&mut findings, evidence, told);
    people(&mut findings, evidence, told);
    early(&mut findings, evidence, told);
    repeats(&mut findings, evidence, told);
    for (person, _, _, resolved) in &evidence.resolved {
        match resolved {
            Resolved::Granted(_) => findings.unanswered_granted += 1,
            Resolved::GrantedNow(_) | Resolved::Refused => findings.in_flight_lost += 1,
            Resolved::Unknown => {
                findings.unresolved += 1;
                findings.find(|| format!("unresolved: person {person} cannot learn what became of an ask"));
            }
        }
    }
    findings
}

fn lost(findings: &mut Findings, evidence: &Evidence, told: &Told<'_>) {
    for look_up in &evidence.look_ups {
        if let Some(fault) = look_up.fault {
            let ack = &told.acks[look_up.ack];
            findings.lost += 1;
            findings.find(|| {
                let (id, slot) = (uuid::Uuid::from_u128(ack.id), told.name(ack.slot));
                format!(
                    "lost: registration {id} for {slot} was acknowledged to person {}: {fault}",
                    ack.person
                )
            });
        }
    }
}

/// Granted against capacity, and free places against refusals.
fn places(findings: &mut Findings, evidence: &Evidence, told: &Told<'_>) {
    let mut granted: BTreeMap<u16, HashSet<u128>> = BTreeMap::new();
    let mut places: BTreeMap<u16, u64> = BTreeMap::new();
    for ack in told.acks {
        if granted.entry(ack.slot).or_default().insert(ack.id) {
            *places.entry(ack.slot).or_default() += 1;
        }
    }
    for (_, _, slot, resolved) in &evidence.resolved {
        if let Resolved::Granted(id) | Resolved::GrantedNow(id) = resolved
            && granted.entry(*slot).or_default().insert(*id)
        {
            *places.entry(*slot).or_default() += 1;
        }
    }
    findings.registrations = granted.values().map(|ids| ids.len() as u64).sum();
    let mut exported: BTreeMap<u16, u64> = BTreeMap::new();
    for held in evidence.held.iter().flatten().filter(|held| !held.is_cancelled) {
        *exported.entry(held.slot).or_default() += held.people.len().max(1) as u64;
    }
    for (slot, facts) in &evidence.slots {
        let acknowledged = places.get(slot).copied().unwrap_or(0);
        let held = exported.get(slot).copied().unwrap_or(0);
        let (taken, capacity) = (acknowledged.max(held), u64::from(facts.capacity));
        if taken > capacity {
            findings.oversold += taken - capacity;
            findings.find(|| {
                format!("oversold: {} has {capacity} places, and {taken} are granted", told.name(*slot))
            });
        }
        let Some(available) = facts.available.map(u64::from) else { continue };
        if evidence.held.is_some() && available + held != capacity && taken <= capacity {
            findings.miscounted += 1;
            findings.find(|| {
                format!(
                    "miscounted: {} shows {available} free and {held} granted of {capacity}",
                    told.name(*slot)
                )
            });
        }
        let refused = told.sold_out.get(usize::from(*slot)).copied().unwrap_or(0);
        if refused > 0 && available > 0 {
            findings.stranded += available;
            findings.find(|| {
                format!(
                    "stranded: {} has {available} places free, and {refused} asks were told SOLD_OUT",
                    told.name(*slot)
                )
            });
        }
    }
}

/// One live registration a person, and one number a registration.
fn people(findings: &mut Findings, evidence: &Evidence, told: &Told<'_>) {
    let mut holds: HashMap<u32, HashSet<u128>> = HashMap::new();
    for ack in told.acks {
        holds.entry(ack.person).or_default().insert(ack.id);
    }
    for (index, got) in &evidence.repeats {
        if let Some(id) = got {
            holds.entry(told.acks[*index].person).or_default().insert(*id);
        }
    }
    let mut numbers = HashSet::new();
    for held in evidence.held.iter().flatten() {
        for person in held.people.iter().flatten().filter(|_| !held.is_cancelled) {
            holds.entry(*person).or_default().insert(held.id);
        }
        if !numbers.insert((held.slot, held.queue_number)) {
            findings.duplicated += 1;
            findings.find(|| {
                let slot = told.name(held.slot);
                format!("duplicated: queue number {} is given twice at {slot}", held.queue_number)
            });
        }
    }
    for (person, ids) in holds.iter().filter(|(_, ids)| ids.len() > 1) {
        findings.duplicated += ids.len() as u64 - 1;
        findings.find(|| format!("duplicated: person {person} has {} live registrations", ids.len()));
    }
}

fn early(findings: &mut Findings, evidence: &Evidence, told: &Told<'_>) {
    let mut seen = HashSet::new();
    let mut check = |id: u128, slot: u16, granted_at_ms: i64| {
        let Some(open_time_ms) = evidence.slots.get(&slot).map(|facts| facts.open_time_ms) else { return };
        if granted_at_ms < open_time_ms && seen.insert(id) {
            findings.early += 1;
            findings.find(|| {
                let early_ms = open_time_ms - granted_at_ms;
                format!("early: {} was granted {early_ms} ms before its opening", told.name(slot))
            });
        }
    };
    for held in evidence.held.iter().flatten() {
        check(held.id, held.slot, held.create_time_ms);
    }
    for ack in told.acks {
        check(ack.id, ack.slot, ack.create_time_ms);
        // Whatever the server says of the time: an answer cannot come before the opening. Both clocks are one machine's
        // or synchronised; a millisecond is rounding.
        check(ack.id, ack.slot, told.t0_ms + ack.done_us.div_euclid(1_000) + 1);
    }
}

fn repeats(findings: &mut Findings, evidence: &Evidence, told: &Told<'_>) {
    let mut first: HashMap<(u32, u8), u128> = HashMap::new();
    let unequal = |findings: &mut Findings, ack: &Ack, got: &str| {
        findings.unequal_repeats += 1;
        findings.find(|| {
            format!(
                "unequal repeat: person {} asked again under the same request_id and got {got}",
                ack.person
            )
        });
    };
    for ack in told.acks {
        match first.insert((ack.person, ack.ordinal), ack.id) {
            Some(id) if id != ack.id => unequal(findings, ack, "another registration"),
            Some(_) | None => {}
        }
    }
    for (index, got) in &evidence.repeats {
        let ack = &told.acks[*index];
        match got {
            Some(id) if *id == ack.id => {}
            Some(_) => unequal(findings, ack, "another registration"),
            None => unequal(findings, ack, "a refusal"),
        }
    }
}
