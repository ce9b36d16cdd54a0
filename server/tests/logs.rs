//! What every event log must do, whatever it is made of; and how fast a long one comes back.

use std::{
    iter::{once, repeat_n},
    path::Path,
    sync::Arc,
    time::Instant,
};

use kuota_api::log::v1 as stored;
use kuota_domain::{
    calendar::ServiceDay,
    catalog::{Catalog, LaneOffer},
    event::{Actor, Change, Event},
    ids::{CallerNumber, ContentHash, OfficeNumber, RegistrationId, RequestKey},
    ledger::{Cancellation, Command, Decision, Ledger},
    nik::{ApplicantKey, NikKey},
    registration::{Applicant, Ask},
    slot::{Lane, SlotKey},
    time::UnixMillis,
};
use kuota_server::{
    config::CatalogSource,
    engine::recover,
    limits::REPLAY_LIST_EVENTS_MIN,
    log::{
        AppendError, Chain, EventLog, FORMAT, LogOptions, MemoryLog, ReadError, Row, SqliteLog,
        decode_events, encode_events,
    },
    telemetry::Metrics,
};
use prost::Message as _;

/// The server's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn sqlite(directory: &Path) -> SqliteLog {
    SqliteLog::open(&directory.join("log.sqlite"), LogOptions::default()).unwrap().0
}

/// Rows that follow each other.
fn rows(count: u8) -> Vec<Row> {
    let mut chain = Chain::default();
    (0..count)
        .map(|n| {
            let events = u64::from(n) + 1;
            let row = chain.seal(events, vec![n; 100], (u128::from(n), 9), (FORMAT, 1_000 + i64::from(n)));
            chain.follow(&row).unwrap();
            row
        })
        .collect()
}

fn read(log: &mut dyn EventLog) -> Vec<Row> {
    let mut found = Vec::new();
    log.read(&mut |row| {
        found.push(row.clone());
        Ok(())
    })
    .unwrap();
    found
}

/// The suite: every implementation passes it.
fn conforms(log: &mut dyn EventLog) {
    assert_eq!((log.last_seq().unwrap(), read(log)), (0, vec![]), "an empty log is empty");
    let rows = rows(20);
    for (count, row) in rows.iter().enumerate() {
        log.append(row).unwrap();
        assert_eq!(log.last_seq().unwrap(), row.last_seq);
        assert_eq!(read(log), rows[..=count], "what was appended is read, in order");
    }
    assert!(log.size_bytes() >= 2_000);
    let mut seen = 0;
    let stopped = log.read(&mut |_| {
        seen += 1;
        if seen == 3 { Err(ReadError::Damaged("enough".into())) } else { Ok(()) }
    });
    assert!(matches!(stopped, Err(ReadError::Damaged(_))) && seen == 3, "a reader may stop");
}

#[test]
fn a_log_in_memory_conforms() {
    conforms(&mut MemoryLog::default());
}

#[test]
fn a_log_in_sqlite_conforms() {
    let directory = tempfile::tempdir().unwrap();
    conforms(&mut sqlite(directory.path()));
    assert_eq!(read(&mut sqlite(directory.path())), rows(20), "and again after it was closed");
}

#[test]
fn a_full_log_says_so_writes_nothing_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.sqlite");
    let small = LogOptions { size_max_bytes: Some(32_768) };
    let (mut log, _) = SqliteLog::open(&path, small).unwrap();
    let rows = rows(3);
    log.append(&rows[0]).unwrap();
    let large = Row { payload: vec![7; 100_000], ..rows[1].clone() };
    for _ in 0..3 {
        assert!(matches!(log.append(&large), Err(AppendError::Full)));
        assert_eq!(read(&mut log), rows[..1]);
    }
    log.append(&rows[1]).unwrap();
    assert_eq!(read(&mut log), rows[..2]);
}

#[test]
fn a_newer_layout_or_format_is_refused_clearly() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.sqlite");
    drop(sqlite(directory.path()));
    let database = rusqlite::Connection::open(&path).unwrap();
    database.pragma_update(None, "user_version", 2).unwrap();
    drop(database);
    let error = SqliteLog::open(&path, LogOptions::default()).unwrap_err().to_string();
    assert_eq!(error, "the log has layout 2; this server knows layout 1: start a newer one");

    let mut log = MemoryLog::default();
    let event = Event {
        at: UnixMillis(1),
        actor: Actor::default(),
        reason: Box::default(),
        change: Change::LogOpened { log_id: 1, format: FORMAT + 1, nik_key_check: [0; 16] },
    };
    let row =
        Chain::default().seal(1, encode_events(&[event], UnixMillis(1), Vec::new()), (1, 1), (FORMAT + 1, 1));
    log.append(&row).unwrap();
    let error = recover(Box::new(log), &key(), Arc::new(Metrics::new())).unwrap_err().to_string();
    let (newer, newest) = (FORMAT + 1, FORMAT);
    let expected =
        format!("the log has format {newer}; this server knows format {newest}: start a newer one");
    assert_eq!(error, expected);
}

#[test]
fn of_several_faults_of_a_log_the_first_is_told() {
    let opened = Change::LogOpened { log_id: 1, format: FORMAT, nik_key_check: [0; 16] };
    let event = |change| Event { at: UnixMillis(1), actor: Actor::default(), reason: Box::default(), change };
    let (opened, digest) = (event(opened), [0; 32]);
    let applied = event(Change::CatalogApplied { digest, at_start: true });
    let payload = |events: Vec<Event>| encode_events(&events, UnixMillis(1), Vec::new());
    // Rows with how many events they say they have.
    let fits = (2, payload(vec![opened.clone(), applied.clone()]));
    let misfit = (1, payload(vec![opened]));
    let garbled = (2, [payload(vec![applied.clone()]), vec![0xff]].concat());
    let (short, long) =
        ((3, payload(vec![applied.clone()])), (1, payload(vec![applied.clone(), applied.clone()])));
    // As many as go from thread to thread together.
    let many = usize::try_from(REPLAY_LIST_EVENTS_MIN).unwrap();
    let many = (REPLAY_LIST_EVENTS_MIN, payload(vec![applied; many]));
    let twice = |at| format!("event {at} of the log does not fit what comes before it");
    let ends = |first, last, next| format!("the row of events {first} to {last} ends before event {next}");
    // Next to each other, and far enough apart that several threads decode them.
    for apart in 0..4_u8 {
        let at = 3 + u64::from(apart) * REPLAY_LIST_EVENTS_MIN;
        let cases = [
            ([&misfit, &garbled], twice(at)),
            ([&misfit, &short], twice(at)),
            ([&garbled, &misfit], format!("event {}: ", at + 1)),
            ([&short, &misfit], ends(at, at + 2, at + 1)),
            ([&long, &garbled], ends(at, at, at + 2)),
        ];
        for ((faults, error), is_changed) in
            cases.iter().flat_map(|case| [false, true].map(|is_changed| (case, is_changed)))
        {
            let between = || repeat_n(&many, apart.into());
            let rows = once(&fits).chain(between()).chain([faults[0]]).chain(between()).chain([faults[1]]);
            let (mut log, mut chain) = (MemoryLog::default(), Chain::default());
            for (events, payload) in rows {
                let row = chain.seal(*events, payload.clone(), (1, 1), (FORMAT, 1));
                chain.advance(&row);
                log.append(&row).unwrap();
            }
            // Damage behind it.
            let last = chain.seal(1, Vec::new(), (1, 1), (FORMAT, 1));
            if is_changed {
                log.append(&Row { now_ms: 2, ..last }).unwrap();
            }
            let told = recover(Box::new(log), &key(), Arc::new(Metrics::new())).unwrap_err().to_string();
            assert!(told.contains(error), "{apart}: {told}, not {error}");
        }
    }
}

fn key() -> NikKey {
    NikKey::new(&zeroize::Zeroizing::new([1; NikKey::BYTES]))
}

/// A log writer for long logs: decides like the server, appends rows of 1,000 events.
struct Writer {
    ledger: Ledger,
    chain: Chain,
    log: MemoryLog,
    batch: Vec<Event>,
    now: UnixMillis,
    events: u64,
}

impl Writer {
    fn change(&mut self, change: Change) {
        self.push(Event { at: self.now, actor: Actor::system("test"), reason: Box::default(), change });
    }

    fn push(&mut self, event: Event) {
        self.ledger.apply(&event).unwrap();
        self.batch.push(event);
        self.events += 1;
        if self.batch.len() == 1_000 {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let payload = encode_events(&self.batch, self.now, Vec::new());
        let row = self.chain.seal(self.batch.len() as u64, payload, (1, 2), (FORMAT, self.now.0));
        self.log.append(&row).unwrap();
        self.chain.follow(&row).unwrap();
        self.batch.clear();
    }

    fn command(&mut self, command: &Command) -> RegistrationId {
        let Ok(Decision::Change(event)) = self.ledger.decide(command, self.now) else {
            panic!("{command:?}")
        };
        let id = event.change.registration().unwrap();
        self.push(event);
        id
    }
}

/// Grants, parties and cancellations over 11 offices and 4 days: so many events.
fn long_log(events: u64) -> Writer {
    let now = UnixMillis("2026-11-27T07:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond());
    let (ledger, chain, log) = (Ledger::default(), Chain::default(), MemoryLog::default());
    let mut writer = Writer { ledger, chain, log, batch: Vec::new(), now, events: 0 };
    let nik_key_check = key().check_value(7);
    writer.change(Change::LogOpened { log_id: 7, format: FORMAT, nik_key_check });
    let mut catalog: Catalog = CatalogSource::built_in().load().unwrap();
    for office in &mut catalog.offices {
        office.lanes = vec![LaneOffer { places: 1_000_000, ..office.lanes[0].clone() }];
    }
    for change in writer.ledger.reconcile(&catalog, false).unwrap() {
        writer.change(change);
    }
    while writer.ledger.next_due() <= now {
        for change in writer.ledger.due(now) {
            writer.change(change);
        }
    }
    let monday = ServiceDay::parse("2026-11-30").unwrap();
    let mut number = 0_u128;
    while writer.events < events {
        number += 1;
        let day = monday.plus_days(i32::try_from(number % 4).unwrap());
        let office = OfficeNumber(u32::try_from(number % 11).unwrap());
        let people = if number.is_multiple_of(7) { 3 } else { 1 };
        // Spread like hashes are.
        let spread = |n: u128| n.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835).to_be_bytes();
        let applicant = |n| Applicant {
            key: ApplicantKey(spread(number * 8 + n)),
            last_four: 1,
            passport: None,
            reference: "order".into(),
        };
        let id = writer.command(&Command::Register(Ask {
            ground: None,
            session: None,
            registration: RegistrationId(u128::from_be_bytes(spread(number))),
            request: RequestKey { caller: CallerNumber(0), id: number },
            content: ContentHash(spread(number)),
            slot: SlotKey { office, day, lane: Lane::Regular },
            applicants: (0..people).map(applicant).collect(),
            code_seed: u64::from_be_bytes(spread(number)[..8].try_into().unwrap()),
        }));
        if number.is_multiple_of(5) && writer.events < events {
            let (caller, reason) = (CallerNumber(0), "ill".into());
            writer.command(&Command::Cancel(Cancellation { registration: id, caller, reason }));
        }
    }
    writer.flush();
    writer
}

/// Time is printed, not judged: a noisy machine proves nothing. ARCHITECTURE.md has the figure, and the command.
#[test]
fn a_million_mixed_events_replay_to_the_same_digest() {
    let mut writer = long_log(1_000_000);
    let directory = tempfile::tempdir().unwrap();
    let mut log = sqlite(directory.path());
    writer
        .log
        .read(&mut |row| log.append(row).map_err(|error| ReadError::Storage(error.to_string())))
        .unwrap();
    drop(log);
    let began = Instant::now();
    let recovered = recover(Box::new(sqlite(directory.path())), &key(), Arc::new(Metrics::new())).unwrap();
    println!("{} events replayed in {:?}", recovered.events, began.elapsed());
    assert_eq!(recovered.events, 1_000_000);
    assert_eq!(recovered.ledger.digest(), writer.ledger.digest());
}

#[test]
fn events_read_back_as_they_were_written() {
    let writer = long_log(2_000);
    let mut log = writer.log;
    for row in read(&mut log) {
        let now = UnixMillis(row.now_ms);
        let mut events = Vec::new();
        decode_events(&row.payload, now, &mut events).unwrap();
        assert_eq!(encode_events(&events, now, Vec::new()), row.payload);
        let by_the_schema = stored::EventBatch::decode(&*row.payload).unwrap().encode_to_vec();
        assert_eq!(by_the_schema, row.payload, "what is written in place is written as the schema has it");
        assert_eq!(events.len() as u64, row.last_seq - row.first_seq + 1);
    }
}
