//! Logs of every format ever written must replay to the same state for ever (INV-7).
//!
//! A new format gets a directory of its own: `KUOTA_GOLDEN=server/tests/golden/format-2 cargo test -p kuota-server
//! --test golden` writes one. Those that are there are never written again.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use kuota_client::{
    Admin, Ask, By, Destination, Key, Lane, PassportKind, Payee, Payment, Registration, Remedy, Reschedule,
    SlotKey,
};
use kuota_server::{
    config::CatalogSource,
    engine::recover,
    log::{LogOptions, SqliteLog},
    telemetry::Metrics,
    verify::Verdict,
};
use support::{
    Friday, OFFICE, catalog,
    people::{nik, registered, wish_for},
};

/// Nobody's secret: these logs hold made-up people.
const KEY: &str = "00000000000000000000000000000000000000000000000000000000000000aa";

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// What a log comes to: the ledger's digest, and what the oracle counts.
fn outcome(directory: &Path) -> String {
    // A copy: opening a log changes its file.
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("log.sqlite");
    fs::copy(directory.join("log.sqlite"), &path).unwrap();
    let verdict: Verdict = support::verify(copy.path());
    let (log, _) = SqliteLog::open(&path, LogOptions::default()).unwrap();
    let key_file = copy.path().join("nik.key");
    fs::write(&key_file, KEY).unwrap();
    let key = kuota_server::data_dir::read_key(&key_file).unwrap();
    let recovered = recover(Box::new(log), &key, Arc::new(Metrics::new())).unwrap();
    let state: String = recovered.ledger.digest().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("state {state}\n{}\n", serde_json::to_string_pretty(&verdict).unwrap())
}

#[test]
fn the_log_of_each_format_replays_to_its_digest() {
    let formats = fs::read_dir(goldens()).unwrap();
    let directories: Vec<PathBuf> = formats.map(|entry| entry.unwrap().path()).collect();
    assert!(!directories.is_empty());
    for directory in directories {
        let expected = fs::read_to_string(directory.join("outcome.txt")).unwrap();
        assert_eq!(outcome(&directory), expected, "{}", directory.display());
        assert!(expected.contains("\"ok\": true"));
    }
}

/// Every type of event there is stands in the newest log, so that none can change its meaning unseen.
#[test]
fn the_newest_log_holds_every_type_of_event() {
    use kuota_api::log::v1::EventBatch;
    use prost::Message as _;
    let newest = fs::read_dir(goldens()).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("log.sqlite");
    fs::copy(newest.join("log.sqlite"), &path).unwrap();
    let mut types = std::collections::BTreeSet::new();
    kuota_server::log::read_rows(&path, true, &mut |row| {
        for event in EventBatch::decode(&*row.payload).unwrap().events {
            let name = format!("{:?}", event.body.unwrap());
            types.insert(name.split('(').next().unwrap().to_owned());
        }
        Ok(())
    })
    .unwrap();
    let proto = include_str!("../../proto/kuota/log/v1/event.proto");
    let body = proto.split("oneof body {").nth(1).unwrap().split("\n  }").next().unwrap();
    let fields = body.lines().filter(|line| line.trim_end().ends_with(';'));
    let declared: Vec<&str> = fields.map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(types.iter().map(String::as_str).collect::<Vec<_>>(), {
        let mut declared = declared;
        declared.sort_unstable();
        declared
    });
}

#[tokio::test]
async fn a_golden_log_is_written_on_request() {
    let asked = std::env::var("KUOTA_GOLDEN").ok();
    let data = Arc::new(tempfile::tempdir().unwrap());
    fs::write(data.path().join("nik.key"), format!("{KEY}\n")).unwrap();
    write(&data).await;
    let copy = tempfile::tempdir().unwrap();
    let target =
        asked.map_or_else(|| copy.path().join("golden"), |path| goldens().join("../../..").join(path));
    assert!(!target.exists(), "{} is there: a golden log is never written again", target.display());
    kuota_server::backup::backup(data.path(), None, &target).unwrap();
    fs::remove_file(target.join("nik.key")).unwrap();
    fs::write(target.join("outcome.txt"), outcome(&target)).unwrap();
    assert!(outcome(&target).contains("\"ok\": true"));
}

/// The log before the newest, which holds every type of event of its time, and what the newest server adds to it.
async fn write(data: &Arc<tempfile::TempDir>) {
    fs::copy(goldens().join("format-1/log.sqlite"), data.path().join("log.sqlite")).unwrap();
    let lane = |more: &str| {
        format!("\n[[office.lane]]\nlane = \"ONE_DAY\"\nplaces = 2\nsource = \"test\"\n{more}\n")
    };
    let held =
        catalog(&[(OFFICE.into(), 1)]).replace("places = 1\n", "places = 1\nconfirm = \"BY_PAYMENT\"\n");
    let sessions = "sessions = [{ start = \"08:00\", end = \"11:00\", share = 1 }]\n";
    let held = held.replace("BY_PAYMENT\"\n", &format!("BY_PAYMENT\"\n{sessions}"));
    let one_day = "cut_off_time = \"10:00\"\nsessions = [{ start = \"08:00\", end = \"09:00\", share = 1 }, \
                   { start = \"09:00\", end = \"10:00\", share = 1 }]";
    let text = support::PRICES.to_owned() + &held + &lane(one_day);
    let source = CatalogSource::Text { name: "golden".into(), text };
    let server = Friday::at("2027-01-08T07:00:00Z").catalog(source).data(data).start().await;
    let hold = async |person| {
        let ask = wish_for(OFFICE, "2027-01-11", person).passport(PassportKind::Electronic10Years);
        registered(server.client.register(&ask).await.unwrap())
    };
    let pay = async |of: &Registration, reference: &str| {
        let payee = Payee::Billing(of.billing_reference.clone());
        let payment = Payment { payee, reference: reference.into(), amount_rupiah: 950_000 };
        server.client.confirm_payment(&payment).await.unwrap()
    };
    let late = hold(40).await;
    server.at("2027-01-08T09:00:00Z").await;
    let paid = hold(41).await;
    pay(&paid, "BRI/1").await;
    // The place is gone: a case, which gets another place; and one that is refunded.
    pay(&late, "BRI/2").await;
    pay(&paid, "BRI/3").await;
    let admin = Admin::connect(&format!("http://{}", server.addresses.admin)).await.unwrap();
    let by = |id: u128| By::new("siti", "golden").request_id(uuid::Uuid::from_u128(id).to_string());
    let tuesday = SlotKey::new(OFFICE, "2027-01-12", Lane::OneDay);
    admin.resolve_payment_case(&by(101), 1, &Remedy::Place(tuesday)).await.unwrap();
    admin.resolve_payment_case(&by(102), 2, &Remedy::Refund).await.unwrap();
    server.client.cancel(&paid.id, "paid for, and given back").await.unwrap();
    // One moves of its own accord, and is moved on by an operator.
    let wish = Reschedule::new(&hold(42).await.id, Destination::day("2027-01-13").session("08:00"));
    let wish = wish.request_id(uuid::Uuid::from_u128(103).to_string());
    registered(server.client.reschedule(&wish).await.unwrap());
    admin.reschedule_specially(&by(104), &wish.id, &Destination::day("2027-01-14")).await.unwrap();
    // One comes and is served, one does not come.
    let comes = hold(43).await;
    pay(&comes, "BRI/4").await;
    let absent = Ask::new(OFFICE, "2027-01-11", Lane::OneDay).applicant(nik(44), "person 44");
    let absent = absent.passport(PassportKind::Electronic10Years);
    registered(server.client.register(&absent).await.unwrap());
    server.at("2027-01-11T05:00:00Z").await;
    server.client.check_in(&Key::Code(comes.code), "counter 3").await.unwrap();
    server.client.complete(&Key::Id(comes.id), "counter 3").await.unwrap();
    server.at("2027-01-15T05:00:00Z").await;
    server.stop().await;
}
