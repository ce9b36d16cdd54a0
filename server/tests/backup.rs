//! Backup and restore: what was acknowledged before is in the copy, and what is no whole copy is none.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use kuota_client::{Ask, Client, Key, Lane, Outcome};
use support::{
    people::nik,
    process::{Process, SERVER},
    verify,
};

fn server(arguments: &[&str], directories: &[&Path]) -> Output {
    let mut command = Command::new(SERVER);
    let mut directories = directories.iter();
    for argument in arguments {
        match *argument {
            "@" => command.arg(directories.next().unwrap()),
            argument => command.arg(argument),
        };
    }
    command.output().unwrap()
}

fn backup(data: &Path, to: &Path) -> Output {
    server(&["backup", "--data", "@", "--to", "@"], &[data, to])
}

fn restore(from: &Path, data: &Path) -> Output {
    server(&["restore", "--from", "@", "--data", "@"], &[from, data])
}

fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn open_offices(client: &Client) -> Vec<(String, String)> {
    let slots = client.availability(&kuota_client::AvailabilityFilter::default()).await.unwrap();
    let open = slots.into_iter().filter(|slot| slot.lane() == Lane::Regular && slot.available > Some(20));
    open.map(|slot| (slot.office_id, slot.service_date)).collect()
}

/// Asks until it is told to stop; notes what was acknowledged, in order.
async fn ask_on(client: Client, slots: Vec<(String, String)>, lane: u32, shared: Arc<Spike>) {
    let mut person = lane;
    while !shared.over.load(Ordering::Relaxed) && person < 200_000 {
        let (office, date) = &slots[person as usize % slots.len()];
        let ask = Ask::new(office, date, Lane::Regular).applicant(nik(person), "");
        if let Outcome::Registered(found) = client.register(&ask).await.unwrap() {
            shared.acknowledged.lock().unwrap().push((ask.id().to_owned(), found.id));
        }
        person += 8;
    }
}

#[derive(Default)]
struct Spike {
    over: AtomicBool,
    acknowledged: Mutex<Vec<(String, String)>>,
}

impl Spike {
    fn so_far(&self) -> Vec<(String, String)> {
        self.acknowledged.lock().unwrap().clone()
    }

    async fn until(&self, acknowledged: usize) {
        while self.so_far().len() < acknowledged {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_in_mid_spike_holds_everything_acknowledged_before_it_began() {
    let home = tempfile::tempdir().unwrap();
    let (data, copy, restored) =
        (home.path().join("data"), home.path().join("copy"), home.path().join("new"));
    let process = Process::start(&data, &["--demo"]);
    let slots = open_offices(&process.client().await).await;
    let spike = Arc::new(Spike::default());
    let mut askers = Vec::new();
    for lane in 0..8 {
        let client = process.client().await;
        askers.push(tokio::spawn(ask_on(client, slots.clone(), lane, spike.clone())));
    }
    spike.until(200).await;
    let before = spike.so_far();
    let copied = {
        let (data, copy) = (data.clone(), copy.clone());
        tokio::task::spawn_blocking(move || json(&backup(&data, &copy))).await.unwrap()
    };
    let during = spike.so_far().len();
    spike.until(during + 50).await;
    spike.over.store(true, Ordering::Relaxed);
    for asker in askers {
        asker.await.unwrap();
    }
    let after = spike.so_far().len() as u64;
    process.kill();
    let grants = copied["grants"].as_u64().unwrap();
    assert!(grants >= before.len() as u64 && grants < after, "{} {grants} {after}", before.len());

    assert_eq!(json(&restore(&copy, &restored))["digest"], copied["digest"]);
    let verdict = verify(&restored);
    assert!(verdict.ok && verdict.grants == grants, "{verdict:?}");
    let process = Process::start(&restored, &[]);
    let client = process.client().await;
    for (request, id) in &before {
        let found = client.get(Key::RequestId(request.clone())).await.unwrap();
        assert_eq!(&found.id, id, "what was acknowledged is found after the restore");
    }
    // It goes on: the next grant continues the restored log.
    let next = Ask::new(&slots[0].0, &slots[0].1, Lane::Regular).applicant(nik(210_000), "");
    client.register(&next).await.unwrap();
    assert!(verify(&restored).ok);
    assert!(process.terminate().0.success());
}

/// A data directory with a log, of a server that has stopped.
fn stopped(home: &Path, name: &str) -> PathBuf {
    let data = home.join(name);
    assert!(Process::start(&data, &["--demo"]).terminate().0.success());
    data
}

#[test]
fn what_would_be_no_whole_copy_is_refused_and_leaves_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let data = stopped(home.path(), "data");
    let (good, taken, other) = (at("good"), at("taken"), stopped(home.path(), "other"));
    json(&backup(&data, &good));
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(good.clone()), mode(good.join("nik.key"))), (0o700, 0o600));
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("something"), "").unwrap();

    let spoiled = |name: &str, spoil: &dyn Fn(&Path)| {
        let copy = at(name);
        fs::create_dir(&copy).unwrap();
        for file in ["log.sqlite", "nik.key"] {
            fs::copy(good.join(file), copy.join(file)).unwrap();
        }
        spoil(&copy);
        copy
    };
    let keyless = spoiled("keyless", &|copy| fs::remove_file(copy.join("nik.key")).unwrap());
    let foreign = spoiled("foreign", &|copy| {
        fs::copy(other.join("nik.key"), copy.join("nik.key")).map(drop).unwrap();
    });
    let damaged = spoiled("damaged", &|copy| {
        let log = copy.join("log.sqlite");
        let mut bytes = fs::read(&log).unwrap();
        let name = support::OFFICE.as_bytes();
        let stands = bytes.windows(name.len()).position(|text| text == name).unwrap();
        bytes[stands] = b'K';
        fs::write(log, bytes).unwrap();
    });
    let text = spoiled("text", &|copy| fs::write(copy.join("log.sqlite"), "no log at all").unwrap());
    let new = at("new");
    let rows: [(Output, i32, &str); 8] = [
        (backup(&at("nowhere"), &new), 64, "there is no log in this directory"),
        (backup(&data, &taken), 64, "is not empty; name a directory that does not exist yet"),
        (restore(&good, &taken), 64, "is not empty; name a directory that does not exist yet"),
        (restore(&good, &data), 64, "is not empty"),
        (restore(&keyless, &new), 64, "cannot be read"),
        (restore(&foreign, &new), 64, "is not the key of this log"),
        (restore(&damaged, &new), 70, "does not match its own digest"),
        (restore(&text, &new), 74, "no log of Kuota"),
    ];
    for (output, code, words) in rows {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(code) && said.contains(words), "{words}: {output:?}");
        assert!(!new.exists() && !at("new.unfinished").exists(), "{words}");
    }
    // What a broken attempt left behind is in nobody's way.
    fs::create_dir(at("new.unfinished")).unwrap();
    json(&restore(&good, &new));
    assert!(!at("new.unfinished").exists());
}

/// Runs the commands of the page, as they stand there.
#[test]
fn the_page_on_backups_does_what_it_says() {
    let page = include_str!("../../deploy/BACKUP.md");
    let home = tempfile::tempdir().unwrap();
    let process = Process::start(&home.path().join("data"), &["--demo"]);
    let commands: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert!(commands.len() >= 5, "{commands:?}");
    let programs = Path::new(SERVER).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut process = Some(process);
    for command in commands {
        if command.starts_with("systemctl stop") || command.starts_with("kill") {
            assert!(process.take().unwrap().terminate().0.success());
            continue;
        }
        if command.starts_with("systemctl start") {
            process = Some(Process::start(&home.path().join("data"), &[]));
            continue;
        }
        let mut shell = Command::new("sh");
        let output =
            shell.args(["-ec", command]).current_dir(home.path()).env("PATH", &path).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
    }
    assert!(verify(&home.path().join("data")).ok);
    drop(process);
}
