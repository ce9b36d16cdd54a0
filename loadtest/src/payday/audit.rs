//! What became of the money, judged. Pure: from what payers were told, and what the server says afterwards.

use std::collections::{BTreeMap, HashMap, HashSet};

use kuota_client::{PaymentCaseCause, RefusalReason, RegistrationState};

/// What somebody does about a place that waits for money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// Pays before the hold expires.
    InTime,
    /// Pays after it did.
    Late,
    /// Pays in time, says so again, and then pays once more.
    Twice,
    /// Pays something else first, and then the fee, in time.
    WrongAmount,
    /// Does nothing.
    Never,
}

/// A registration whose place was held, as the server exports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its id.
    pub id: String,
    /// Whose.
    pub person: u32,
    /// Where it stands.
    pub state: RegistrationState,
    /// Office and service day.
    pub place: String,
    /// Until when it was held.
    pub expire_time_ms: i64,
    /// When it was granted.
    pub create_time_ms: i64,
    /// When it last changed.
    pub update_time_ms: i64,
    /// What is to be paid.
    pub fee_rupiah: i64,
    /// The payment that confirmed it.
    pub payment_reference: String,
}

/// Word of a payment, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// For which registration.
    pub registration: String,
    /// The payment's name.
    pub reference: String,
    /// Whose way it is to pay so.
    pub conduct: Conduct,
    /// It was the fee.
    pub is_fee: bool,
    /// The answer.
    pub told: Told,
}

/// What a payer was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The place is confirmed.
    Confirmed,
    /// The money is in a case.
    Case(PaymentCaseCause),
    /// It was not accepted.
    Refused(RefusalReason),
    /// There was no answer.
    Failed(String),
}

/// A payment case, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Of which registration.
    pub registration: String,
    /// Which payment.
    pub reference: String,
}

/// Everything that is known of the money, when no place waits for any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// In the order in which each payer was answered.
    pub said: Vec<Said>,
    /// Registrations of this run.
    pub held: Vec<Held>,
    /// All cases.
    pub cases: Vec<Case>,
}

/// What is proven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// How often each thing happened.
    pub counts: BTreeMap<&'static str, u64>,
    /// Accepted payments without a place and without a case.
    pub lost_payments: u64,
    /// Answers that the rules do not allow.
    pub wrong_answers: u64,
    /// Places that were free again later than they may, or not at all.
    pub freed_late: u64,
    /// In words.
    pub findings: Vec<String>,
}

/// What is counted, and may be expected of a run.
pub const COUNTS: [&str; 8] = [
    "EXPIRED",
    "PAID",
    "PAID_LATE",
    "PAID_TWICE",
    "PAYMENT_REPEATED",
    "PLACE_GONE",
    "TAKEN_AGAIN",
    "WRONG_AMOUNT",
];

/// Judges. A place is freed in time within so many milliseconds of its hold's end.
#[must_use]
pub fn audit(book: &Book, freed_within_ms: i64) -> Audit {
    let mut audit = Audit::default();
    let held: HashMap<&str, &Held> = book.held.iter().map(|held| (held.id.as_str(), held)).collect();
    let cases: HashSet<_> =
        book.cases.iter().map(|case| (case.registration.as_str(), case.reference.as_str())).collect();
    let mut seen = HashSet::new();
    for said in &book.said {
        let is_repeat = said.is_fee && !seen.insert(&said.reference);
        let (registration, reference) = (said.registration.as_str(), said.reference.as_str());
        let has_place = held.get(registration).is_some_and(|held| {
            held.state == RegistrationState::Confirmed && held.payment_reference == reference
        });
        let is_safe = match &said.told {
            Told::Confirmed => has_place,
            Told::Case(_) => cases.contains(&(registration, reference)),
            Told::Refused(_) | Told::Failed(_) => true,
        };
        if !is_safe {
            audit.lost_payments += 1;
            audit
                .findings
                .push(format!("lost payment: {reference} was accepted, and has neither a place nor a case"));
        }
        match expected(said, is_repeat) {
            Some(name) => *audit.counts.entry(name).or_default() += 1,
            None => {
                audit.wrong_answers += 1;
                let (conduct, told) = (said.conduct, &said.told);
                audit.findings.push(format!("wrong answer: {conduct:?} was told {told:?} ({reference})"));
            }
        }
    }
    freed(&mut audit, book, freed_within_ms);
    audit
}

/// What an answer is called, if the rules allow it.
fn expected(said: &Said, is_repeat: bool) -> Option<&'static str> {
    let is_second = said.reference.ends_with("/b") && said.conduct == Conduct::Twice;
    match (said.conduct, &said.told) {
        (_, Told::Refused(RefusalReason::WrongAmount)) if !said.is_fee => Some("WRONG_AMOUNT"),
        (_, _) if !said.is_fee => None,
        (Conduct::Twice, Told::Case(PaymentCaseCause::PaidTwice)) if is_second => Some("PAID_TWICE"),
        (Conduct::Twice, Told::Confirmed) if is_repeat => Some("PAYMENT_REPEATED"),
        (Conduct::InTime | Conduct::WrongAmount, Told::Confirmed) => Some("PAID"),
        (Conduct::Twice, Told::Confirmed) if !is_second => Some("PAID"),
        (Conduct::Late, Told::Confirmed) => Some("PAID_LATE"),
        (Conduct::Late, Told::Case(PaymentCaseCause::PlaceGone)) => Some("PLACE_GONE"),
        _ => None,
    }
}

/// Every hold that ended unpaid ended in time, and its place went to others.
fn freed(audit: &mut Audit, book: &Book, freed_within_ms: i64) {
    let mut first_freed: HashMap<&str, i64> = HashMap::new();
    for held in &book.held {
        match held.state {
            RegistrationState::Held => {
                audit.freed_late += 1;
                audit.findings.push(format!("freed late: {} still waits for money", held.id));
            }
            // Late money opens cases later, and they are changes too.
            RegistrationState::Expired => {
                *audit.counts.entry("EXPIRED").or_default() += 1;
                let is_untouched = !book.cases.iter().any(|case| case.registration == held.id);
                let late_ms = held.update_time_ms - held.expire_time_ms;
                if is_untouched && !(0..=freed_within_ms).contains(&late_ms) {
                    audit.freed_late += 1;
                    audit
                        .findings
                        .push(format!("freed late: {} expired {late_ms} ms after its time", held.id));
                }
                let first = first_freed.entry(&held.place).or_insert(held.expire_time_ms);
                *first = (*first).min(held.expire_time_ms);
            }
            RegistrationState::Confirmed
            | RegistrationState::CheckedIn
            | RegistrationState::Served
            | RegistrationState::NoShow
            | RegistrationState::Cancelled
            | RegistrationState::Unspecified => {}
        }
    }
    let again = book.held.iter().filter(|held| {
        first_freed.get(held.place.as_str()).is_some_and(|first_ms| held.create_time_ms >= *first_ms)
    });
    let again = u64::try_from(again.count()).unwrap_or(u64::MAX);
    if again > 0 {
        audit.counts.insert("TAKEN_AGAIN", again);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(id: &str, state: RegistrationState, payment_reference: &str) -> Held {
        let is_expired = state == RegistrationState::Expired;
        Held {
            id: id.into(),
            person: 1,
            state,
            place: "kanim 2030-01-07".into(),
            expire_time_ms: 60_000,
            create_time_ms: if id == "late" { 61_000 } else { 0 },
            update_time_ms: if is_expired { 60_040 } else { 1_000 },
            fee_rupiah: 650_000,
            payment_reference: payment_reference.into(),
        }
    }

    fn said(registration: &str, suffix: &str, conduct: Conduct, told: Told) -> Said {
        let (reference, is_fee) = (format!("{registration}/{suffix}"), told != wrong());
        Said { registration: registration.into(), reference, conduct, is_fee, told }
    }

    fn wrong() -> Told {
        Told::Refused(RefusalReason::WrongAmount)
    }

    /// One of each conduct, and everything as it should be.
    fn book() -> Book {
        use RegistrationState::{Confirmed, Expired};
        let twice = Told::Case(PaymentCaseCause::PaidTwice);
        let gone = Told::Case(PaymentCaseCause::PlaceGone);
        let case = |registration: &str, suffix: &str| Case {
            registration: registration.into(),
            reference: format!("{registration}/{suffix}"),
        };
        Book {
            said: vec![
                said("one", "a", Conduct::InTime, Told::Confirmed),
                said("two", "a", Conduct::Twice, Told::Confirmed),
                said("two", "a", Conduct::Twice, Told::Confirmed),
                said("two", "b", Conduct::Twice, twice),
                said("three", "a", Conduct::WrongAmount, wrong()),
                said("three", "b", Conduct::WrongAmount, Told::Confirmed),
                said("four", "a", Conduct::Late, gone),
                said("five", "a", Conduct::Late, Told::Confirmed),
            ],
            held: vec![
                held("one", Confirmed, "one/a"),
                held("two", Confirmed, "two/a"),
                held("three", Confirmed, "three/b"),
                held("four", Expired, ""),
                held("five", Confirmed, "five/a"),
                held("never", Expired, ""),
                held("late", Confirmed, "late/a"),
            ],
            cases: vec![case("two", "b"), case("four", "a")],
        }
    }

    #[test]
    fn money_that_has_a_place_or_a_case_is_sound_and_everything_is_counted() {
        let found = audit(&book(), 100);
        assert_eq!(found.findings, Vec::<String>::new());
        let counts: Vec<_> = found.counts.into_iter().collect();
        let expected = [
            ("EXPIRED", 2),
            ("PAID", 3),
            ("PAID_LATE", 1),
            ("PAID_TWICE", 1),
            ("PAYMENT_REPEATED", 1),
            ("PLACE_GONE", 1),
            ("TAKEN_AGAIN", 1),
            ("WRONG_AMOUNT", 1),
        ];
        assert_eq!(counts, expected);
    }

    #[test]
    fn whoever_loses_money_or_holds_on_to_a_place_is_found() {
        type Change = fn(&mut Book);
        let rows: [(&str, Change); 9] = [
            ("lost payment: one/a", |book| book.held[0].state = RegistrationState::Expired),
            ("lost payment: one/a", |book| book.held[0].payment_reference = "x".into()),
            ("lost payment: four/a", |book| drop(book.cases.pop())),
            ("wrong answer: InTime was told Case(PlaceGone)", |book| {
                book.said[0].told = Told::Case(PaymentCaseCause::PlaceGone);
            }),
            ("wrong answer: WrongAmount was told Confirmed", |book| book.said[4].told = Told::Confirmed),
            ("wrong answer: Twice was told Confirmed", |book| book.said[3].told = Told::Confirmed),
            ("wrong answer: Late was told Refused(HoldExpired)", |book| {
                book.said[6].told = Told::Refused(RefusalReason::HoldExpired);
            }),
            ("freed late: never expired 101 ms after its time", |book| book.held[5].update_time_ms = 60_101),
            ("freed late: never still waits for money", |book| {
                book.held[5].state = RegistrationState::Held;
            }),
        ];
        for (name, change) in rows {
            let mut book = book();
            change(&mut book);
            let found = audit(&book, 100);
            assert!(found.findings.iter().any(|finding| finding.starts_with(name)), "{name}: {found:?}");
            assert!(found.lost_payments + found.wrong_answers + found.freed_late > 0, "{name}");
        }
    }
}
