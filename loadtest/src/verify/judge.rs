//! What the evidence proves. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;

use super::evidence::{Evidence, Reading, Resolved};
use crate::{
    driver::ask::{Ack, RefusedRepeat, Why},
    limits::FINDINGS_OF_A_KIND_SHOWN_MAX,
    payday::audit::Audit,
    plan::identity::Identities,
    target::{clock_gap::ClockGap, ground::SlotFacts},
};

/// What is proven, counted by kind, and the first findings in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Places granted beyond a slot's capacity, or beyond what was free before the run.
    pub oversold: u64,
    /// Acknowledged registrations that are not found, or are not what was acknowledged.
    pub lost: u64,
    /// Live registrations of this run's people that nobody was told of, though every ask was answered.
    pub untold: u64,
    /// Asks on a stream when the server was killed or a connection broke, or given up, that were never carried out:
    /// nobody was told yes.
    pub in_flight_lost: u64,
    /// Asks that were answered by a gRPC error, and were not carried out.
    pub failed_not_granted: u64,
    /// Asks that no connection took.
    pub never_sent: u64,
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
    /// Slots that have other places than before the run, and no operator wanted it so.
    pub resized: u64,
    /// Questions of the verification that got no answer.
    pub unproven: u64,
    /// Slots that were not listed afterwards, or without what proves their places.
    pub unlisted: u64,
    /// Accepted payments that have neither a place nor a case.
    pub lost_payments: u64,
    /// Answers to payments that the rules do not allow.
    pub wrong_answers: u64,
    /// Held places that were not paid for, and free again too late.
    pub freed_late: u64,
    /// Registrations under this run's identities from before it.
    pub used_before: u64,
    /// Different registrations of this run, those that were granted unsaid included.
    pub registrations: u64,
    /// The first of each kind, in words.
    pub findings: Vec<String>,
    /// Why the run proves nothing, in words.
    #[serde(skip)]
    pub void: Vec<String>,
}

impl Findings {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.oversold
            + self.lost
            + self.untold
            + self.unresolved
            + self.duplicated
            + self.early
            + self.stranded
            + self.unequal_repeats
            + self.miscounted
            + self.resized
            + self.unproven
            + self.lost_payments
            + self.wrong_answers
            + self.freed_late
            == 0
    }

    /// With what was found of the money.
    pub fn add(&mut self, audit: &Audit) {
        self.lost_payments += audit.lost_payments;
        self.wrong_answers += audit.wrong_answers;
        self.freed_late += audit.freed_late;
        audit.findings.iter().for_each(|words| self.find(|| words.clone()));
    }

    fn find(&mut self, words: impl FnOnce() -> String) {
        note(&mut self.findings, words());
    }
}

fn note(list: &mut Vec<String>, words: String) {
    // By kind, which stands before the colon: a thousand of one must not hide the only one of another.
    let kind = words.split_once(':').map_or(&*words, |(kind, _)| kind);
    let shown = list.iter().filter(|finding| finding.starts_with(kind)).count();
    if shown < FINDINGS_OF_A_KIND_SHOWN_MAX {
        list.push(words);
    }
}

/// What a verdict rests on besides the evidence.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// What was acknowledged.
    pub acks: &'a [Ack],
    /// What was refused although it may have been granted before.
    pub refused_repeats: &'a [RefusedRepeat],
    /// How often a slot was said to be sold out.
    pub sold_out: &'a [u32],
    /// Slots before the run, by number.
    pub before: &'a [SlotFacts],
    /// The days were open before the run: T0 is only the time its clock counts from.
    pub days_were_open: bool,
    /// T0 by this machine's wall clock.
    pub t0_ms: i64,
    /// When the run began, by the same clock.
    pub began_ms: i64,
    /// What lies between this clock and the server's.
    pub gap: ClockGap,
    /// Names of slots, for people.
    pub names: &'a [String],
    /// Who asked, and under which ids.
    pub identities: &'a Identities,
}

impl Told<'_> {
    fn name(&self, slot: u16) -> &str {
        self.names.get(usize::from(slot)).map_or("a slot of another run", String::as_str)
    }

    /// A time of the run's clock by the wall, in milliseconds.
    const fn at_ms(&self, us: i64) -> i64 {
        self.t0_ms + us.div_euclid(1_000)
    }

    /// Whether the server granted it before the run began, by its own clock.
    const fn is_from_before(&self, create_time_ms: i64) -> bool {
        create_time_ms < self.gap.earliest_ms(self.began_ms)
    }
}

/// Judges.
#[must_use]
pub fn judge(evidence: &Evidence, told: &Told<'_>) -> Findings {
    let mut findings = Findings::default();
    lost(&mut findings, evidence, told);
    untold(&mut findings, evidence, told);
    places(&mut findings, evidence, told);
    listed(&mut findings, evidence, told);
    people(&mut findings, evidence, told);
    early(&mut findings, evidence, told);
    repeats(&mut findings, evidence, told);
    open(&mut findings, evidence);
    findings.unproven = evidence.unanswered.count;
    for words in &evidence.unanswered.words {
        findings.find(|| format!("unproven: {words}"));
    }
    used_before(&mut findings, evidence, told);
    findings
}

/// Every acknowledgement is found, and is what it was said to be.
fn lost(findings: &mut Findings, evidence: &Evidence, told: &Told<'_>) {
    let mut seen = HashSet::new();
    for ack in told.acks {
        // Not asked: that stands among what got no answer.
        let Some(found) = evidence.look_ups.get(&ack.id) else { continue };
        let fault = match found {
            None => "it is not found",
            Some(found) if found.slot != Some(ack.slot) => "it is at another office or on another day",
            Some(found) if !found.stands => "it is not confirmed, and nobody cancelled it",
            Some(found) if found.request_id != told.identities.request(ack.person, ack.ordinal) => {
                "it belongs to another request_id"
            }
            Some(found) if found.person != Some(ack.person) => "it has another reference",
            Some(found) if found.create_time_ms != ack.create_time_ms => "it has another create_time",
            Some(_) => continue,
        };
        if !seen.insert(ack.id) {
            continue;
        }
        findings.lost += 1;
        findings.find(|| {
            let (id, slot) = (uuid::Uuid::from_u128(ack.id), told.name(ack.slot));
            format!("lost: registration {id} for {slot} was acknowledged to person {}: {fault}", ack.person)
        });
    }
}

/// Ids that somebody was told of, or that an ask without an answer turned out to have.
fn accounted(evidence: &Evidence, told: &Told<'_>) -> BTreeMap<u128, u16> {
    let acknowledged = told.acks.iter().map(|ack| (ack.id, ack.slot));
    let unsaid = evidence.open.iter().filter_map(|open| match open.resolved {
        Resolved::Granted(found) => Some((found.id, open.slot)),
        Resolved::GrantedNow(_) | Resolved::NotCarriedOut | Resolved::Unknown => None,
    });
    acknowledged.chain(unsaid).collect()
}

/// Ids that the verification itself was granted.
fn granted_now(evidence: &Evidence) -> impl Iterator<Item = (u128, u16)> {
    evidence.open.iter().filter_map(|open| match open.resolved {
        Resolved::GrantedNow(id) => Some((id, open.slot)),
        Resolved::Granted(_) | Resolved::NotCarriedOut | Resolved::Unknown => None,
    })
}

/// Who holds a place knows it.
fn untold(findings: &mut Findings, evidence: &Evidence, told: &Told<'_>) {
    let mut known: HashSet<u128> = accounted(evidence, told).into_keys().collect();
    known.extend(granted_now(evidence).map(|(id, _)| id));
    let readings = [&evidence.first, &evidence.second];
    for held in readings.into_iter().flat_map(|reading| reading.held.iter().flatten()) {
        let person = held.people.iter().flatten().next();
        let is_ghost = !held.is_over && !told.is_from_before(held.create_time_ms);
        if let Some(person) = person.filter(|_| is_ghost)
            && known.insert(held.id)
        {
            findings.untold += 1;
            findings.find(|| {
                let (id, slot) = (uuid::Uuid::from_u128(held.id), told.name(held.slot));
                format!("untold: person {person} has registration {id} at {slot}, and was never told so")
            });
        }
    }
}

/// Registrations that hold no place any more, by the export.
fn over(reading: &Reading) -> HashSet<u128> {
    reading.held.iter().flatten().filter(|held| held.is_over).map(|held| held.id).collect()
}

/// Places of one slot that are taken, by the acknowledgements and by the export.
fn taken(reading: &Reading, ids: impl Iterator<Item = (u128, u16)>) -> BTreeMap<u16, (u64, u64)> {
    let mut taken: BTreeMap<u16, (u64, u64)> = BTreeMap::new();
    let over = over(reading);
    for (_, slot) in ids.filter(|(id, _)| !over.contains(id)) {
        taken.entry(slot).or_default().0 += 1;
    }
    for held in reading.held.iter().flatten().filter(|held| !held.is_over) {
        taken.entry(held.slot).or_default().1 += held.people.len().max(1) as u64;
    }
    taken
}

/// Granted against capacity, and free places against refusals.
fn places(findings: &mut Findings, evidence: &Evidence, told: &Told<'_>) {
    let own = accounted(evidence, told);
    findings.registrations = own.len() as u64;
    let own_later: BTreeMap<u128, u16> = own.clone().into_iter().chain(granted_now(evidence)).collect();
    let readings = [
        (&evidence.first, taken(&evidence.first, own.into_iter()), true),
        (&evidence.second, taken(&evidence.second, own_later.into_iter()), false),
    ];
    let (mut oversold, mut miscounted) = (BTreeMap::<u16, (u64, u64, u64)>::new(), BTreeSet::new());
    for (reading, taken, is_first) in readings {
        for (slot, facts) in &reading.slots {
            let (own, held) = taken.get(slot).copied().unwrap_or_default();
            let shown = u64::from(facts.capacity);
            // What is shown afterwards may be what was granted: the promise is the one from before.
            let before = told.before.get(usize::from(*slot));
            let is_changed = evidence.changed_by_operators.contains(slot);
            let promised = before.filter(|_| !is_changed).map_or(shown, |before| u64::from(before.capacity));
            let free = before.filter(|_| told.days_were_open && !is_changed);
            let free = free.and_then(|before| before.available).map_or(promised, u64::from).min(promised);
            let (all, places) = if own > free { (own, free) } else { (own.max(held), promised) };
            if all > places {
                let worst = oversold.entry(*slot).or_default();
                *worst = (*worst).max((all - places, all, places));
            }
            let Some(available) = facts.available.map(u64::from) else { continue };
            let is_even = reading.held.is_none() || available + held == shown;
            if !is_even && all <= places && miscounted.insert(*slot) {
                findings.miscounted += 1;
                findings.find(|| {
                    format!(
                        "miscounted: {} shows {available} free and {held} granted of {shown}",
                        told.name(*slot)
                    )
                });
            }
            let refused = told.sold_out.get(usize::from(*slot)).copied().unwrap_or(0);
            // A place that came back may have been nobody's when they asked.
            let came_back = reading.held.iter().flatten().any(|held| held.is_over && held.slot == *slot);
            if is_first && refused > 0 && available > 0 && !came_back {
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
    for (slot, (excess, all, places)) in oversold {
        findings.oversold += excess;
        findings.find(|| format!("oversold: {} has {places} places, and {all} are granted", told.name(slot)));
    }
}

/// Every slot of the run is listed afterwards, with what proves its places, and with the places it had before.
fn listed(findings: &mut Findings, evidence: &Evidence, told: &Told<'_>) {
    for (slot, before) in (0_u16..).zip(told.before) {
        let readings = [&evidence.first, &evidence.second];
        let missing = readings.into_iter().find_map(|reading| match reading.slots.get(&slot) {
            None => Some("is not listed"),
            Some(facts) if facts.open_time_ms.is_none() => Some("does not say when it opened"),
            Some(facts) if facts.available.is_none() && !facts.may_hide_places => {
                Some("does not say what is free")
            }
            Some(_) => None,
        });
        if let Some(missing) = missing {
            findings.unlisted += 1;
            note(&mut findings.void, format!("unproven: {} {missing} after the run", told.name(slot)));
        }
        let after = evidence.second.slots.get(&slot).or_else(|| evidence.first.slots.get(&slot));
        let is_changed = after.is_some_and(|after| after.capacity != before.capacity);
        if let Some(after) = after.filter(|_| is_changed && !evidence.changed_by_operators.contains(&slot)) {
            findings.resized += 1;
            findings.find(|| {
                let (from, to) = (before.capacity, after.capacity);
                format!("resized: {} had {from} places before the run, and shows {to} now", told.name(slot))
            });
        }
    }
}

/// One live registration a person, and one number a registration.
fn people(findings: &mut Findings, evidence: &Evidence, told: &Told<'_>) {
    let mut holds: BTreeMap<u32, BTreeSet<u128>> = BTreeMap::new();
    let over = over(&evidence.second);
    let mut hold = |person: u32, id: u128| {
        holds.entry(person).or_default().extend(Some(id).filter(|id| !over.contains(id)));
    };
    told.acks.iter().for_each(|ack| hold(ack.person, ack.id));
    for repeat in &evidence.repeats {
        repeat.got.into_iter().for_each(|id| hold(repeat.person, id));
    }
    for open in &evidence.open {
        match open.resolved {
            Resolved::Granted(found) => hold(open.person, found.id),
            Resolved::GrantedNow(id) => hold(open.person, id),
            Resolved::NotCarriedOut | Resolved::Unknown => {}
        }
    }
    let mut numbers: BTreeMap<(u16, &str, u32), BTreeSet<u128>> = BTreeMap::new();
    let readings = [&evidence.first, &evidence.second];
    for held in readings.into_iter().flat_map(|reading| reading.held.iter().flatten()) {
        let live = held.people.iter().flatten().filter(|_| !held.is_over);
        live.for_each(|person| hold(*person, held.id));
        numbers.entry((held.slot, &held.session, held.queue_number)).or_default().insert(held.id);
    }
    for ((slot, _, number), ids) in numbers.iter().filter(|(_, ids)| ids.len() > 1) {
        findings.duplicated += ids.len() as u64 - 1;
        findings.find(|| {
            format!("duplicated: queue number {number} is given {} times at {}", ids.len(), told.name(*slot))
        });
    }
    for (person, ids) in holds.iter().filter(|(_, ids)| ids.len() > 1) {
        findings.duplicated += ids.len() as u64 - 1;
        findings.find(|| format!("duplicated: person {person} has {} live registrations", ids.len()));
    }
}

/// Nothing was granted before the opening: by what the slot says of it, by T0, and by when the answer was here.
fn early(findings: &mut Findings, evidence: &Evidence, told: &Told<'_>) {
    let mut seen = HashSet::new();
    let t0_ms = if told.days_were_open { i64::MIN } else { told.t0_ms };
    let mut check = |id: u128, slot: u16, granted_at_ms: i64| {
        let shown_ms = evidence.first.slots.get(&slot).and_then(|facts| facts.open_time_ms);
        let open_time_ms = shown_ms.unwrap_or(i64::MIN).max(t0_ms);
        if granted_at_ms < open_time_ms && seen.insert(id) {
            findings.early += 1;
            findings.find(|| {
                let early_ms = open_time_ms - granted_at_ms;
                format!("early: {} was granted {early_ms} ms before its opening", told.name(slot))
            });
        }
    };
    for held in evidence.first.held.iter().flatten().filter(|held| held.people.iter().any(Option::is_some)) {
        check(held.id, held.slot, held.create_time_ms);
    }
    for ack in told.acks {
        check(ack.id, ack.slot, ack.create_time_ms);
        // Whatever the server says of the time: an answer cannot come before the opening. A millisecond is rounding.
        check(ack.id, ack.slot, told.gap.latest_ms(told.at_ms(ack.done_us)) + 1);
    }
}

fn repeats(findings: &mut Findings, evidence: &Evidence, told: &Told<'_>) {
    let mut unequal = |person: u32, got: &str| {
        findings.unequal_repeats += 1;
        findings.find(|| {
            format!("unequal repeat: person {person} asked again under the same request_id and got {got}")
        });
    };
    let mut first: HashMap<(u32, u8), (u128, i64)> = HashMap::new();
    for ack in told.acks {
        let one = (ack.id, ack.create_time_ms);
        if first.insert((ack.person, ack.ordinal), one).is_some_and(|(id, _)| id != ack.id) {
            unequal(ack.person, "another registration");
        }
    }
    for open in &evidence.open {
        if let Resolved::Granted(found) = open.resolved {
            first.insert((open.person, open.ordinal), (found.id, found.create_time_ms));
        }
    }
    for refused in told.refused_repeats {
        let granted = first.get(&(refused.person, refused.ordinal));
        // Granted before it was even sent, by a clock that may differ from this one.
        let sent_ms = told.gap.earliest_ms(told.at_ms(refused.sent_us));
        if granted.is_some_and(|(_, create_time_ms)| *create_time_ms < sent_ms) {
            unequal(refused.person, "a refusal");
        }
    }
    for repeat in &evidence.repeats {
        match repeat.got {
            Some(id) if id == repeat.id => {}
            Some(_) => unequal(repeat.person, "another registration"),
            None => unequal(repeat.person, "a refusal"),
        }
    }
}

/// Asks without an answer.
fn open(findings: &mut Findings, evidence: &Evidence) {
    for open in &evidence.open {
        let person = open.person;
        match (open.resolved, open.why) {
            (Resolved::Granted(_), _) => findings.unanswered_granted += 1,
            (Resolved::GrantedNow(_) | Resolved::NotCarriedOut, Why::UnderWay) => {
                findings.in_flight_lost += 1;
            }
            (Resolved::GrantedNow(_) | Resolved::NotCarriedOut, Why::Failed) => {
                findings.failed_not_granted += 1;
            }
            (Resolved::GrantedNow(_) | Resolved::NotCarriedOut, Why::NotSent) => findings.never_sent += 1,
            (Resolved::Unknown, _) => {
                findings.unresolved += 1;
                findings.find(|| format!("unresolved: person {person} cannot learn what became of an ask"));
            }
        }
    }
}

/// Whether these people had asked here before: then nothing of the above means anything.
fn used_before(findings: &mut Findings, evidence: &Evidence, told: &Told<'_>) {
    let acks = told.acks.iter().map(|ack| (ack.id, ack.create_time_ms));
    let held = evidence.first.held.iter().flatten().filter(|held| held.people.iter().any(Option::is_some));
    let held = held.map(|held| (held.id, held.create_time_ms));
    // Asked for on another day then: the ask fails, and its request_id leads to what it got.
    let open = evidence.open.iter().filter_map(|open| match open.resolved {
        Resolved::Granted(found) => Some((found.id, found.create_time_ms)),
        Resolved::GrantedNow(_) | Resolved::NotCarriedOut | Resolved::Unknown => None,
    });
    let before =
        acks.chain(held).chain(open).filter(|(_, create_time_ms)| told.is_from_before(*create_time_ms));
    findings.used_before = before.map(|(id, _)| id).collect::<HashSet<_>>().len() as u64;
    if findings.used_before > 0 {
        findings.void.insert(0, "these identities were used before; give another --run-id".into());
    }
}
