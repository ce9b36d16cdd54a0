//! A ledger with a small world in it, for tests that read like prose.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::allow_attributes, reason = "not every part is unused everywhere")]

use std::sync::Arc;

use kuota_domain::{
    calendar::{ServiceDay, Weekday, Weekdays, WeeklyOpening, Zone},
    catalog::{Catalog, LaneOffer, Office, OfficeKind},
    event::{Actor, Change, Event, FORMAT},
    fees::{Fees, Price, Rupiah},
    ids::{CallerNumber, ContentHash, OfficeNumber, RegistrationId, RequestKey, Slug},
    ledger::{
        Cancellation, Command, Decision, Directive, Instruction, Ledger, Objection, Rehearsal, Rejection,
        Replay, SlotChange,
    },
    nik::ApplicantKey,
    passport::PassportKind,
    payment::{Payee, Payment, PaymentNotice, PaymentReference},
    registration::{Applicant, Ask, Registration},
    session::SessionStart,
    slot::{Lane, SlotKey},
    time::UnixMillis,
};

pub(crate) fn instant(text: &str) -> UnixMillis {
    UnixMillis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

/// Events of a batch in the log.
const BATCH: usize = 1_000;

pub(crate) fn day(text: &str) -> ServiceDay {
    ServiceDay::parse(text).unwrap()
}

pub(crate) fn office(id: &str, lanes: &[(Lane, u32)]) -> Office {
    Office {
        id: Slug::parse(id).unwrap(),
        name: id.into(),
        kind: OfficeKind::Kanim,
        parent: None,
        zone: Zone::parse("Asia/Pontianak").unwrap(),
        latitude_e6: 0,
        longitude_e6: 0,
        opening: Slug::parse("weekly").unwrap(),
        closing_minute: 15 * 60,
        lanes: lanes.iter().map(|(lane, places)| offer(*lane, *places)).collect(),
    }
}

pub(crate) fn offer(lane: Lane, places: u32) -> LaneOffer {
    LaneOffer {
        lane,
        places,
        source: "test".into(),
        cut_off_minute: None,
        hold_minutes: None,
        sessions: Vec::new(),
    }
}

/// 350,000 for an ordinary passport, 950,000 for an electronic one of ten years, a million more on the same day.
pub(crate) fn fees() -> Fees {
    let price = |rupiah| Price { rupiah: Rupiah(rupiah), source: "test".into() };
    Fees {
        passports: [
            (PassportKind::Ordinary5Years, price(350_000)),
            (PassportKind::Electronic10Years, price(950_000)),
        ]
        .into(),
        surcharges: [(Lane::OneDay, price(1_000_000))].into(),
    }
}

/// Friday 14:00 opens Monday to Friday of next week; Thursday 3 December 2026 is a holiday.
pub(crate) fn catalog(offices: Vec<Office>) -> Catalog {
    let weekdays = &Weekday::ALL[..5];
    Catalog {
        openings: vec![WeeklyOpening {
            id: Slug::parse("weekly").unwrap(),
            weekday: Weekday::Friday,
            minute_of_day: 14 * 60,
            service_weekdays: weekdays.iter().fold(Weekdays::default(), |days, day| days.with(*day)),
            weeks_ahead: 1,
        }],
        holidays: [(day("2026-12-03"), Arc::from("Feast"))].into(),
        offices,
        fees: Fees::default(),
    }
}

/// A ledger, the log it wrote, and the time.
pub(crate) struct World {
    pub(crate) ledger: Ledger,
    pub(crate) log: Vec<Event>,
    pub(crate) now: UnixMillis,
    asks: u64,
}

impl World {
    pub(crate) fn new(catalog: &Catalog, now: UnixMillis) -> Self {
        let mut world = Self { ledger: Ledger::default(), log: Vec::new(), now, asks: 0 };
        world.change(Change::LogOpened { log_id: 7, format: FORMAT, nik_key_check: [0; 16] });
        world.apply_catalog(catalog);
        world
    }

    pub(crate) fn apply_catalog(&mut self, catalog: &Catalog) {
        for change in self.ledger.reconcile(catalog, false).unwrap() {
            self.change(change);
        }
        self.catch_up();
    }

    pub(crate) fn change(&mut self, change: Change) {
        let event = Event { at: self.now, actor: Actor::system("test"), reason: Box::default(), change };
        self.apply(event);
    }

    pub(crate) fn apply(&mut self, event: Event) {
        self.ledger.apply(&event).unwrap();
        self.log.push(event);
    }

    pub(crate) fn catch_up(&mut self) {
        for _ in 0..1_000 {
            if self.ledger.next_due() > self.now {
                return;
            }
            for change in self.ledger.due(self.now) {
                self.change(change);
            }
        }
        panic!("what is due never ends");
    }

    pub(crate) fn at(&mut self, text: &str) -> &mut Self {
        self.now = instant(text);
        self.catch_up();
        self
    }

    pub(crate) fn ask(&mut self, service_day: &str, lane: Lane, people: &[u8]) -> Ask {
        self.asks += 1;
        let slot = SlotKey { office: OfficeNumber(0), day: day(service_day), lane };
        ask(self.asks.into(), slot, people)
    }

    pub(crate) fn register(&mut self, ask: Ask) -> Result<Arc<Registration>, Rejection> {
        self.command(&Command::Register(ask))
    }

    pub(crate) fn cancel(&mut self, id: RegistrationId) -> Result<Arc<Registration>, Rejection> {
        let (caller, reason) = (CallerNumber(0), "changed plans".into());
        self.command(&Command::Cancel(Cancellation { registration: id, caller, reason }))
    }

    pub(crate) fn pay(
        &mut self,
        payee: Payee,
        reference: &str,
        rupiah: u32,
    ) -> Result<Arc<Registration>, Rejection> {
        let reference = PaymentReference::parse(reference).unwrap();
        let payment = Payment { reference, amount: Rupiah(rupiah) };
        self.command(&Command::Pay(PaymentNotice { payee, payment, caller: CallerNumber(0) }))
    }

    pub(crate) fn command(&mut self, command: &Command) -> Result<Arc<Registration>, Rejection> {
        match self.ledger.decide(command, self.now)? {
            Decision::Repeat(registration) => Ok(registration),
            Decision::Change(event) => {
                let id = event.change.registration().unwrap();
                self.apply(event);
                Ok(self.ledger.registration(id).unwrap().clone())
            }
        }
    }

    /// Carries an operator's wish out, under a request id; says what it meant for slots.
    pub(crate) fn operate(&mut self, id: u128, directive: Directive) -> Result<Vec<SlotChange>, Objection> {
        let before = self.ledger.digest();
        let rehearsal = self.ledger.rehearse(&instruction(id, directive), self.now);
        assert_eq!(self.ledger.digest(), before, "a rehearsal changes nothing");
        match rehearsal? {
            Rehearsal::Repeat(_) => Ok(Vec::new()),
            Rehearsal::Events { events, slots } => {
                events.into_iter().for_each(|event| self.apply(event));
                Ok(slots)
            }
        }
    }

    /// What a restart would make of the log.
    pub(crate) fn replayed(&self) -> Ledger {
        let replay = Replay::of(self.log.len() as u64, BATCH);
        let replayed = self.log.chunks(BATCH).try_fold(replay, |replay, events| replay.apply(events));
        replayed.and_then(Replay::end).unwrap()
    }
}

/// An operator's wish; the same content for the same wish.
pub(crate) fn instruction(id: u128, directive: Directive) -> Instruction {
    let mut content = [0; 16];
    for (index, byte) in format!("{directive:?}").bytes().enumerate() {
        content[index % 16] = u8::wrapping_mul(content[index % 16], 31).wrapping_add(byte);
    }
    Instruction {
        request: RequestKey { caller: CallerNumber(0), id },
        content: ContentHash(content),
        actor: Actor { caller: CallerNumber(0), subject: "siti".into() },
        reason: "as the test wishes".into(),
        directive,
    }
}

pub(crate) fn person(number: u8) -> Applicant {
    let (key, reference) = (ApplicantKey([number; 16]), Default::default());
    Applicant { key, last_four: number.into(), passport: None, reference }
}

/// An ask for a session.
pub(crate) trait InSession {
    /// For this one, or for any.
    fn in_session(self, session: Option<SessionStart>) -> Self;
}

impl InSession for Ask {
    fn in_session(mut self, session: Option<SessionStart>) -> Self {
        self.session = session;
        self.content.0[15] = session.map_or(0, |start| start.number() + 1);
        self
    }
}

/// An ask whose content is its slot and its people.
pub(crate) fn ask(request: u128, slot: SlotKey, people: &[u8]) -> Ask {
    let mut content = [0; 16];
    content[0] = u8::try_from(slot.lane.index()).unwrap();
    content[1..5].copy_from_slice(&slot.day.number().to_be_bytes());
    content[5] = u8::try_from(slot.office.0).unwrap();
    content[6..6 + people.len()].copy_from_slice(people);
    Ask {
        registration: RegistrationId(request | 1 << 100),
        request: RequestKey { caller: CallerNumber(0), id: request },
        content: ContentHash(content),
        slot,
        session: None,
        applicants: people.iter().map(|number| person(*number)).collect(),
        ground: None,
        code_seed: u64::try_from(request).unwrap().wrapping_mul(0x9E37_79B9),
    }
}
