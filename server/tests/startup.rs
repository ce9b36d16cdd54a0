//! Starting and stopping: what is refused, with which words and which exit code.

mod support;

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use kuota_client::{Ask, Key, Lane};
use support::{
    OFFICE,
    people::{nik, registered},
    process::{Process, SERVER, arguments, page, signal},
    verify,
};

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(SERVER);
    // Another server may have the usual ones.
    for listener in ["KUOTA_LISTEN", "KUOTA_ADMIN_LISTEN", "KUOTA_HTTP_LISTEN"] {
        command.env(listener, "127.0.0.1:0");
    }
    let output: Output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Starts and expects that it does not; how it ended and what it said.
fn refused(data: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(SERVER);
    if !more.contains(&"--http-listen") {
        command.args(["--http-listen", "127.0.0.1:0"]);
    }
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    command.arg("--data").arg(data).args(more).stderr(Stdio::piped()).stdin(Stdio::null());
    match Process::spawn(command) {
        Ok(_) => panic!("the server started"),
        Err(ended) => (ended.code, ended.printed),
    }
}

#[test]
fn bad_usage_and_configuration_end_with_64_and_name_the_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let settings = path("kuota.toml", "threads = 2\nlissten = \"127.0.0.1:0\"\n");
    let catalog =
        path("offices.toml", &support::catalog(&[(OFFICE.into(), 1)]).replace("\"KANIM\"", "\"BANK\""));
    let gone = directory.path().join("gone.toml").to_str().unwrap().to_owned();
    for (arguments, expected) in [
        (vec!["--colour"], "unexpected argument '--colour'"),
        (vec!["--threads", "0"], "0 is not in 1..=1024"),
        (vec!["--listen", "here"], "invalid socket address syntax"),
        (vec!["--listen", "0.0.0.0:0"], "only loopback addresses are allowed"),
        (vec!["--config", &settings], "kuota.toml:2: lissten: unknown field `lissten`"),
        (vec!["--config", &gone], "gone.toml: cannot be read"),
        (vec!["--catalog", &catalog], "kind: `BANK`: one of KANIM, UKK, MPP is allowed"),
        (vec!["--log-level", "!!"], "log_level = !!"),
        (vec!["--nik-key", &gone], "gone.toml: cannot be read"),
    ] {
        for command in [None, Some("check")] {
            let data = ["--data", directory.path().to_str().unwrap()];
            let all: Vec<&str> = command.into_iter().chain(arguments.iter().copied()).chain(data).collect();
            let (code, out, err) = run(&all);
            assert_eq!(code, Some(64), "{arguments:?} {command:?}: {err}");
            assert!(err.contains(expected) && out.is_empty(), "{arguments:?} {command:?}: {out}{err}");
        }
    }
}

#[test]
fn check_prints_what_would_be_used() {
    let (code, out, err) = run(&["check", "--threads", "3"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        out.contains("offices: 11,") && out.contains("threads           3") && out.ends_with("ok\n"),
        "{out}"
    );
}

#[test]
fn flags_come_before_the_environment() {
    let with_environment = |arguments: &[&str]| {
        let output = Command::new(SERVER).args(arguments).env("KUOTA_THREADS", "5").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(with_environment(&["check"]).contains("threads           5\n"));
    assert!(with_environment(&["check", "--threads", "6"]).contains("threads           6\n"));
}

#[test]
fn a_second_server_on_the_same_data_is_refused_with_the_reason() {
    let data = tempfile::tempdir().unwrap();
    let first = Process::start(data.path(), &[]);
    let (code, err) = refused(data.path(), &[]);
    assert_eq!(code, Some(64), "{err}");
    assert!(
        err.contains(&format!("another kuota-server (process {}) uses this data directory", first.pid())),
        "{err}"
    );
    let listen = first.grpc.clone();
    let other = tempfile::tempdir().unwrap();
    let (code, err) = refused(other.path(), &["--http-listen", &first.http]);
    assert_eq!(code, Some(64), "{err}");
    assert!(err.contains("http_listen = 127.0.0.1:") && err.contains("cannot listen"), "{err}");
    let (code, out, err) = run(&["health", "--listen", &listen]);
    assert_eq!((code, out.as_str()), (Some(0), "SERVING\n"), "{err}");
    assert!(page(&first.http, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(page(&first.http, "/healthz").starts_with("HTTP/1.1 200"));
    let (status, log) = first.terminate();
    assert!(status.success(), "{log}");
    let (code, _, err) = run(&["health", "--listen", &listen]);
    assert_eq!(code, Some(1), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_with_0_and_what_was_told_stays_true() {
    let data = tempfile::tempdir().unwrap();
    let process = Process::start(data.path(), &["--demo", "--log-format", "json"]);
    let client = process.client().await;
    let slots = client.availability(&kuota_client::AvailabilityFilter::default()).await.unwrap();
    let day = slots.iter().filter(|slot| slot.available.is_some()).nth(3).unwrap().service_date.clone();
    let calls: Vec<_> = (0..50)
        .map(|n| {
            let (client, ask) = (client.clone(), Ask::new(OFFICE, &day, Lane::Regular).applicant(nik(n), ""));
            tokio::spawn(async move { client.register(&ask).await })
        })
        .collect();
    signal(process.pid(), rustix::process::Signal::TERM);
    let mut told = Vec::new();
    for call in calls {
        if let Ok(outcome) = call.await.unwrap() {
            told.push(registered(outcome));
        }
    }
    let (status, log) = process.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{log}");
    let process = Process::start(data.path(), &[]);
    let client = process.client().await;
    for registration in told {
        assert_eq!(client.get(Key::Id(registration.id.clone())).await.unwrap(), registration);
    }
}

#[test]
fn another_nik_key_is_refused() {
    let data = tempfile::tempdir().unwrap();
    drop(Process::start(data.path(), &[]).terminate());
    let key = data.path().join("other.key");
    fs::write(&key, "a".repeat(64)).unwrap();
    let (code, err) = refused(data.path(), &["--nik-key", key.to_str().unwrap()]);
    assert_eq!(code, Some(64), "{err}");
    assert!(err.contains("the NIK key is not the one this log was written with"), "{err}");
    fs::remove_file(data.path().join("nik.key")).unwrap();
    let (code, err) = refused(data.path(), &[]);
    assert_eq!(code, Some(64), "{err}");
    assert!(err.contains("the NIK key of this log is missing"), "{err}");
}

#[test]
fn a_file_that_is_no_log_is_refused() {
    let data = tempfile::tempdir().unwrap();
    drop(Process::start(data.path(), &[]).terminate());
    fs::write(data.path().join("log.sqlite"), "this is no database, whatever its name may say").unwrap();
    let (code, err) = refused(data.path(), &[]);
    assert_eq!(code, Some(74), "{err}");
    assert!(err.contains("no log of Kuota"), "{err}");
}

/// A frame of the WAL: its header, and a page.
const FRAME_BYTES: usize = 24 + 16_384;

/// A server that granted some places and was killed: its log is partly in the write-ahead log.
async fn killed(data: &Path, places: u32) -> Vec<kuota_client::Registration> {
    let process = Process::start(data, &["--demo"]);
    let client = process.client().await;
    let slots = client.availability(&kuota_client::AvailabilityFilter::default()).await.unwrap();
    let day = slots.iter().filter(|slot| slot.available.is_some()).nth(3).unwrap().service_date.clone();
    let mut granted = Vec::new();
    for n in 0..places {
        let ask = Ask::new(OFFICE, &day, Lane::Regular).applicant(nik(n), "");
        granted.push(registered(client.register(&ask).await.unwrap()));
    }
    process.kill();
    granted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_that_was_never_acknowledged_is_dropped_and_reported() {
    let data = tempfile::tempdir().unwrap();
    let granted = killed(data.path(), 10).await;
    // One more commit was on its way when the power went: its frame is there, its page only in part.
    let path = data.path().join("log.sqlite-wal");
    let mut wal = fs::read(&path).unwrap();
    let mut torn = wal[wal.len() - FRAME_BYTES..].to_vec();
    torn[3_000..].fill(0xAA);
    wal.extend(torn);
    fs::write(&path, wal).unwrap();
    let process = Process::start(data.path(), &[]);
    let client = process.client().await;
    for registration in &granted {
        assert_eq!(client.get(Key::Id(registration.id.clone())).await.unwrap(), *registration);
    }
    let (status, log) = process.terminate();
    assert!(status.success() && log.contains("dropped an unfinished commit at the end of the log"), "{log}");
    let verdict = verify(data.path());
    assert!(verdict.ok && verdict.grants == 10, "{verdict:?}");
    let process = Process::start(data.path(), &[]);
    let (_, log) = process.terminate();
    assert!(!log.contains("dropped"), "it is met once: {log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_damaged_in_the_middle_is_refused_with_what_was_found() {
    let data = tempfile::tempdir().unwrap();
    killed(data.path(), 10).await;
    // Commits that were acknowledged follow the damaged one: dropping them would lose them.
    let path = data.path().join("log.sqlite-wal");
    let wal = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let length = wal.metadata().unwrap().len();
    wal.write_all_at(&[0xAA; 64], length - 4 * FRAME_BYTES as u64).unwrap();
    let (code, err) = refused(data.path(), &[]);
    assert_eq!(code, Some(74), "{err}");
    assert!(err.contains("the log is damaged: frame ") && err.contains("commits follow it"), "{err}");
}

#[test]
fn a_tampered_row_is_refused_and_named() {
    let data = tempfile::tempdir().unwrap();
    let mut command = Command::new(SERVER);
    arguments(&mut command, data.path());
    drop(Process::spawn(command).unwrap().terminate());
    let log = rusqlite::Connection::open(data.path().join("log.sqlite")).unwrap();
    log.execute("UPDATE batches SET now_ms = now_ms + 1 WHERE first_seq = 2", []).unwrap();
    drop(log);
    let (code, err) = refused(data.path(), &[]);
    assert_eq!(code, Some(74), "{err}");
    assert!(err.contains("the row of event 2 does not match its own digest"), "{err}");
    let (code, out, err) = run(&["verify", "--data", data.path().to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("the row of event 2 does not match its own digest") && out.contains("\"ok\": false"),
        "{out}{err}"
    );
}

#[test]
fn a_log_that_breaks_an_invariant_ends_with_70() {
    use kuota_api::log::v1::{Event, EventBatch, LogOpened, OfficeClosed, event::Body};
    use kuota_server::log::{Chain, EventLog, FORMAT, LogOptions, SqliteLog};
    use prost::Message as _;
    let data = tempfile::tempdir().unwrap();
    let opened = LogOpened { log_id: vec![1; 16], format: FORMAT, nik_key_check: vec![2; 16] };
    let events = [Body::LogOpened(opened), Body::OfficeClosed(OfficeClosed { number: 7 })];
    let events = events.map(|body| Event { body: Some(body), ..Event::default() });
    let payload = EventBatch { events: events.into() }.encode_to_vec();
    let (mut log, _) = SqliteLog::open(&data.path().join("log.sqlite"), LogOptions::default()).unwrap();
    log.append(&Chain::default().seal(2, payload, (1, 2), (FORMAT, 1))).unwrap();
    drop(log);
    fs::write(data.path().join("nik.key"), "a".repeat(64)).unwrap();
    let (code, err) = refused(data.path(), &[]);
    assert_eq!(code, Some(70), "{err}");
    assert!(err.contains("event 2 of the log does not fit what comes before it: office number 7"), "{err}");
}

#[test]
fn a_data_directory_that_is_a_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let (code, err) = refused(&file, &[]);
    assert_eq!(code, Some(64), "{err}");
    assert!(err.contains(&format!("data = {}: cannot be used", file.display())), "{err}");
}
