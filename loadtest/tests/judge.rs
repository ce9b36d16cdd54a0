//! What the evidence proves: a row a finding.

use std::collections::BTreeMap;

use kuota_loadtest::{
    driver::ask::{Ack, RefusedRepeat, Why},
    plan::{Kind, identity::Identities},
    target::{clock_gap::ClockGap, ground::SlotFacts},
    verify::{
        evidence::{Evidence, Found, Held, Open, Reading, Repeat, Resolved},
        judge::{Findings, Told, judge},
    },
};

const T0_MS: i64 = 1_000_000;
const BEGAN_MS: i64 = T0_MS - 10_000;
const CAPACITY: u32 = 3;

/// Two people with a place each at the first of two slots, of three places each, and everything as it should be.
struct Case {
    evidence: Evidence,
    acks: Vec<Ack>,
    refused_repeats: Vec<RefusedRepeat>,
    sold_out: Vec<u32>,
    before: Vec<SlotFacts>,
    days_were_open: bool,
    gap: ClockGap,
    identities: Identities,
}

fn ack(person: u32) -> Ack {
    let (ordinal, kind, id) = (0, Kind::Human, 100 + u128::from(person));
    let create_time_ms = T0_MS + 5;
    Ack { person, slot: 0, ordinal, kind, id, create_time_ms, done_us: 6_000, first_us: 0 }
}

fn held(ack: &Ack, queue_number: u32) -> Held {
    let Ack { id, slot, create_time_ms, .. } = *ack;
    let (session, people) = (String::new(), vec![Some(ack.person)]);
    Held { id, slot, session, queue_number, create_time_ms, is_over: false, people }
}

fn facts(available: u32) -> SlotFacts {
    let (capacity, available) = (CAPACITY, Some(available));
    SlotFacts { capacity, available, open_time_ms: Some(T0_MS), may_hide_places: false }
}

impl Case {
    fn clean() -> Self {
        let identities = Identities::new(1, "judge");
        let acks = vec![ack(1), ack(2)];
        let reading = Reading {
            slots: BTreeMap::from([(0, facts(1)), (1, facts(3))]),
            held: Some(vec![held(&acks[0], 1), held(&acks[1], 2)]),
        };
        let found = |ack: &Ack| Found {
            id: ack.id,
            request_id: identities.request(ack.person, ack.ordinal),
            slot: Some(ack.slot),
            person: Some(ack.person),
            create_time_ms: ack.create_time_ms,
            stands: true,
        };
        let look_ups = acks.iter().map(|ack| (ack.id, Some(found(ack)))).collect();
        let repeats =
            acks.iter().map(|ack| Repeat { person: ack.person, id: ack.id, got: Some(ack.id) }).collect();
        let evidence =
            Evidence { first: reading.clone(), second: reading, look_ups, repeats, ..Evidence::default() };
        Self {
            evidence,
            acks,
            refused_repeats: Vec::new(),
            sold_out: vec![0, 0],
            before: vec![SlotFacts { available: None, ..facts(0) }; 2],
            days_were_open: false,
            gap: ClockGap::default(),
            identities,
        }
    }

    fn judged(&self) -> Findings {
        let names = ["pontianak monday".to_owned(), "pontianak tuesday".to_owned()];
        judge(
            &self.evidence,
            &Told {
                acks: &self.acks,
                refused_repeats: &self.refused_repeats,
                sold_out: &self.sold_out,
                before: &self.before,
                days_were_open: self.days_were_open,
                t0_ms: T0_MS,
                began_ms: BEGAN_MS,
                gap: self.gap,
                names: &names,
                identities: &self.identities,
            },
        )
    }

    fn readings(&mut self, change: impl Fn(&mut Reading)) {
        change(&mut self.evidence.first);
        change(&mut self.evidence.second);
    }

    fn hold(&mut self, registration: &Held) {
        self.readings(|reading| reading.held.as_mut().unwrap().push(registration.clone()));
    }

    fn show(&mut self, slot: u16, facts: SlotFacts) {
        self.readings(|reading| reading.slots.extend([(slot, facts)]));
    }

    fn found(&mut self, id: u128) -> &mut Found {
        self.evidence.look_ups.get_mut(&id).unwrap().as_mut().unwrap()
    }

    fn leave_open(&mut self, why: Why, resolved: Resolved) {
        self.evidence.open.push(Open { person: 3, ordinal: 0, slot: 0, why, resolved });
    }

    /// Person 3 has a place that was granted unsaid.
    fn unsaid(&mut self) -> Found {
        let found = Found { id: 103, person: Some(3), ..*self.found(101) };
        self.leave_open(Why::UnderWay, Resolved::Granted(found));
        self.hold(&held(&ack(3), 3));
        self.show(0, facts(0));
        found
    }
}

type Count = fn(&Findings) -> u64;

/// The one kind that is found, how often, and the beginning of its words.
fn check(name: &str, change: impl FnOnce(&mut Case), count: Count, expected: u64, words: &str) {
    let mut case = Case::clean();
    change(&mut case);
    let found = case.judged();
    assert_eq!(count(&found), expected, "{name}: {found:?}");
    let said = found.findings.iter().chain(&found.void).any(|finding| finding.starts_with(words));
    assert!(words.is_empty() || said, "{name}: {found:?}");
    if words.is_empty() {
        assert!(found.is_clean() && found.void.is_empty(), "{name}: {found:?}");
    } else {
        assert!(!found.is_clean() || !found.void.is_empty(), "{name}: {found:?}");
    }
}

#[test]
fn what_is_as_it_should_be_has_no_finding() {
    let found = Case::clean().judged();
    assert!(found.is_clean() && found.void.is_empty(), "{found:?}");
    assert_eq!(found.registrations, 2);
}

#[test]
fn a_place_too_many_is_oversold() {
    let extra = |case: &mut Case| {
        for person in [3, 4] {
            case.acks.push(ack(person));
            case.hold(&held(&ack(person), person));
        }
        case.show(0, facts(0));
    };
    let count: Count = |found| found.oversold;
    check("beyond capacity", extra, count, 1, "oversold: pontianak monday has 3 places, and 4 are granted");
    check(
        "a capacity that grew with it",
        |case| {
            extra(case);
            case.show(0, SlotFacts { capacity: 4, ..facts(0) });
        },
        count,
        1,
        "oversold: pontianak monday has 3 places",
    );
    check(
        "beyond what was free before",
        |case| {
            case.days_were_open = true;
            case.before[0].available = Some(1);
        },
        count,
        1,
        "oversold: pontianak monday has 1 places, and 2 are granted",
    );
    check(
        "only after the verification asked",
        |case| {
            extra(case);
            case.acks.truncate(2);
            case.evidence.first = Case::clean().evidence.first;
            case.leave_open(Why::UnderWay, Resolved::GrantedNow(103));
            case.evidence.open.push(Open {
                person: 4,
                resolved: Resolved::GrantedNow(104),
                ..case.evidence.open[0]
            });
        },
        count,
        1,
        "oversold: pontianak monday has 3 places, and 4 are granted",
    );
    check(
        "operators made it larger",
        |case| {
            extra(case);
            case.evidence.changed_by_operators.insert(0);
            case.show(0, SlotFacts { capacity: 4, ..facts(0) });
        },
        count,
        0,
        "",
    );
}

#[test]
fn an_acknowledgement_must_be_found_as_it_was_given() {
    let count: Count = |found| found.lost;
    for (name, change, words) in [
        ("gone", (|case| case.evidence.look_ups.extend([(101, None)])) as fn(&mut Case), "it is not found"),
        ("elsewhere", |case| case.found(101).slot = Some(1), "it is at another office or on another day"),
        ("cancelled", |case| case.found(101).stands = false, "it is not confirmed"),
        ("another ask's", |case| case.found(101).request_id = 7, "it belongs to another request_id"),
        ("another person's", |case| case.found(101).person = Some(2), "it has another reference"),
        ("another time", |case| case.found(101).create_time_ms += 1, "it has another create_time"),
    ] {
        let id = uuid::Uuid::from_u128(101);
        let words =
            format!("lost: registration {id} for pontianak monday was acknowledged to person 1: {words}");
        check(name, change, count, 1, &words);
    }
    check(
        "one registration acknowledged to two",
        |case| case.acks.push(Ack { ordinal: 32, ..ack(1) }),
        count,
        1,
        "lost: registration",
    );
}

#[test]
fn who_holds_a_place_was_told_so() {
    let count: Count = |found| found.untold;
    let ghost = |case: &mut Case| {
        case.hold(&held(&ack(3), 3));
        case.show(0, facts(0));
    };
    check("a ghost", ghost, count, 1, "untold: person 3 has registration");
    check(
        "one of another run",
        |case| {
            case.hold(&Held { people: vec![None], ..held(&ack(3), 3) });
            case.show(0, facts(0));
        },
        count,
        0,
        "",
    );
    check("an ask without an answer", |case| _ = case.unsaid(), |found| found.unanswered_granted, 1, "");
    assert_eq!(
        {
            let mut case = Case::clean();
            case.unsaid();
            case.judged().registrations
        },
        3
    );
}

#[test]
fn asks_without_an_answer_are_told_apart() {
    let lost = Resolved::NotCarriedOut;
    check("broken", |case| case.leave_open(Why::UnderWay, lost), |found| found.in_flight_lost, 1, "");
    check("an error", |case| case.leave_open(Why::Failed, lost), |found| found.failed_not_granted, 1, "");
    check("no connection", |case| case.leave_open(Why::NotSent, lost), |found| found.never_sent, 1, "");
    check(
        "nobody knows",
        |case| case.leave_open(Why::UnderWay, Resolved::Unknown),
        |found| found.unresolved,
        1,
        "unresolved: person 3",
    );
}

#[test]
fn a_person_has_one_place_and_a_place_one_number() {
    let count: Count = |found| found.duplicated;
    check(
        "two places",
        |case| case.acks.push(Ack { id: 201, slot: 1, ordinal: 32, ..ack(1) }),
        count,
        1,
        "duplicated: person 1 has 2 live registrations",
    );
    check(
        "one number",
        |case| case.readings(|reading| reading.held.as_mut().unwrap()[1].queue_number = 1),
        count,
        1,
        "duplicated: queue number 1 is given 2 times at pontianak monday",
    );
}

#[test]
fn nothing_is_granted_before_its_opening() {
    let count: Count = |found| found.early;
    let early = "early: pontianak monday was granted";
    let at = |case: &mut Case, create_time_ms: i64| {
        case.acks[0].create_time_ms = create_time_ms;
        case.found(101).create_time_ms = create_time_ms;
    };
    check("by the server's time", |case| at(case, T0_MS - 1), count, 1, early);
    check("by this client's time", |case| case.acks[0].done_us = -2_000, count, 1, early);
    check(
        "by T0, whatever the slot says",
        |case| {
            at(case, T0_MS - 1);
            let opened = SlotFacts { open_time_ms: Some(T0_MS - 5_000), ..facts(1) };
            case.show(0, opened);
        },
        count,
        1,
        early,
    );
    check(
        "a clock that is behind",
        |case| {
            case.gap = ClockGap { offset_ms: 40, round_trip_ms: 10 };
            case.acks[0].done_us = -45_000;
        },
        count,
        0,
        "",
    );
}

#[test]
fn repeats_are_equal() {
    let count: Count = |found| found.unequal_repeats;
    let words = "unequal repeat: person 1 asked again under the same request_id and got";
    let got = |got: Option<u128>| move |case: &mut Case| case.evidence.repeats[0].got = got;
    check("a refusal", got(None), count, 1, &format!("{words} a refusal"));
    check("another", got(Some(9)), count, 1, &format!("{words} another registration"));
    let refused = |person, sent_us| RefusedRepeat { person, ordinal: 0, sent_us };
    check(
        "a refusal after the grant",
        |case| case.refused_repeats.push(refused(1, 6_000)),
        count,
        1,
        &format!("{words} a refusal"),
    );
    check("a refusal before it", |case| case.refused_repeats.push(refused(1, 5_000)), count, 0, "");
    check(
        "a refusal of what had been granted unsaid",
        |case| {
            case.unsaid();
            case.refused_repeats.push(refused(3, 6_000));
        },
        count,
        1,
        "unequal repeat: person 3",
    );
}

#[test]
fn free_and_granted_places_make_the_capacity_and_nobody_is_refused_a_free_one() {
    check(
        "miscounted",
        |case| case.show(0, facts(2)),
        |found| found.miscounted,
        1,
        "miscounted: pontianak monday shows 2 free and 2 granted of 3",
    );
    check(
        "miscounted later",
        |case| case.evidence.second.slots.extend([(0, facts(0))]),
        |found| found.miscounted,
        1,
        "miscounted: pontianak monday shows 0 free",
    );
    check(
        "stranded",
        |case| case.sold_out[1] = 4,
        |found| found.stranded,
        3,
        "stranded: pontianak tuesday has 3 places free, and 4 asks were told SOLD_OUT",
    );
    check(
        "resized",
        |case| case.show(1, SlotFacts { capacity: 5, ..facts(5) }),
        |found| found.resized,
        1,
        "resized: pontianak tuesday had 3 places before the run, and shows 5 now",
    );
}

#[test]
fn what_is_missing_proves_nothing() {
    let count: Count = |found| found.unlisted;
    let slot = |facts: SlotFacts| move |case: &mut Case| case.show(1, facts);
    check(
        "not listed",
        |case| case.readings(|reading| reading.slots.retain(|slot, _| *slot != 1)),
        count,
        1,
        "unproven: pontianak tuesday is not listed",
    );
    let hidden = SlotFacts { available: None, ..facts(0) };
    check("no places", slot(hidden), count, 1, "unproven: pontianak tuesday does not say what is free");
    check("paused", slot(SlotFacts { may_hide_places: true, ..hidden }), count, 0, "");
    let timeless = SlotFacts { open_time_ms: None, ..facts(3) };
    check("no opening", slot(timeless), count, 1, "unproven: pontianak tuesday does not say when it opened");
    check(
        "used before",
        |case| {
            case.acks[0].create_time_ms = BEGAN_MS - 1;
            case.found(101).create_time_ms = BEGAN_MS - 1;
        },
        |found| found.used_before,
        1,
        "these identities were used before; give another --run-id",
    );
    check(
        "no answer",
        |case| {
            case.evidence.unanswered.count = 2;
            case.evidence.unanswered.words.push("a look-up got no answer".into());
        },
        |found| found.unproven,
        2,
        "unproven: a look-up got no answer",
    );
}
