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

use kuota_api::v1::{self, Lane, admin_service_client::AdminServiceClient};
use kuota_server::{
    engine::recover,
    log::{LogOptions, SqliteLog},
    telemetry::Metrics,
    verify::Verdict,
};
use support::{
    Friday, MONDAY, OFFICE, Server, catalog,
    people::{nik, registered, wish, wish_for},
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

/// Several weeks with everything in them.
async fn write(data: &Arc<tempfile::TempDir>) {
    let offices = || Friday::at("2026-11-20T07:00:00Z").places(3).office("kanim-sambas", 2).data(data);
    let server = offices().start().await;
    let mut taken = Vec::new();
    for person in 0..3 {
        let ask = wish_for(OFFICE, "2026-11-23", person);
        taken.push(registered(server.client.register(&ask).await.unwrap()));
    }
    server.client.cancel(&taken[1].id, "sakit \u{1F912}").await.unwrap();
    let party = kuota_client::Ask::new("kanim-sambas", "2026-11-24", Lane::Regular)
        .applicant(nik(10), "ibu")
        .applicant(nik(11), "");
    registered(server.client.register(&party).await.unwrap());
    operate(&server).await;
    server.at("2026-11-27T07:00:00Z").await;
    registered(server.client.register(&wish(20)).await.unwrap());
    server.at("2027-01-04T07:00:00Z").await;
    registered(server.client.register(&wish_for(OFFICE, "2027-01-05", 30)).await.unwrap());
    server.stop().await;
}

async fn operate(server: &Server) {
    let mut admin = AdminServiceClient::connect(format!("http://{}", server.addresses.admin)).await.unwrap();
    let mut id = 0;
    let mut command = || {
        id += 1;
        let request_id = uuid::Uuid::from_u128(id).to_string();
        Some(v1::Command { request_id, actor: "siti".into(), reason: "golden".into() })
    };
    let (office_id, service_date, lane) = (OFFICE.to_owned(), MONDAY.to_owned(), i32::from(Lane::Regular));
    let quota = v1::SetQuotaRequest {
        command: command(),
        office_id: office_id.clone(),
        service_date: service_date.clone(),
        lane,
        places: 5,
        validate_only: false,
    };
    admin.set_quota(quota).await.unwrap();
    let opening = v1::ScheduleOpeningRequest {
        command: command(),
        office_id: office_id.clone(),
        service_dates: vec!["2026-12-05".into()],
        lanes: vec![lane],
        open_time: Some(prost_types::Timestamp { seconds: 1_796_000_000, nanos: 0 }),
        places: Some(4),
        validate_only: false,
    };
    admin.schedule_opening(opening).await.unwrap();
    let clear =
        v1::ClearOverrideRequest { command: command(), office_id, service_date, lane, validate_only: false };
    admin.clear_override(clear).await.unwrap();
    let scope = Some(v1::Scope { lane: Some(Lane::Priority.into()), ..v1::Scope::default() });
    admin.pause(v1::PauseRequest { command: command(), scope: scope.clone() }).await.unwrap();
    admin.resume(v1::ResumeRequest { command: command(), scope }).await.unwrap();
    let day = Some(v1::Scope { service_date: Some("2026-12-24".into()), ..v1::Scope::default() });
    admin.pause(v1::PauseRequest { command: command(), scope: day }).await.unwrap();
    // Without the office of the party, under another rule, and with another holiday.
    let toml = catalog(&[(OFFICE.into(), 4)]).replace("weekly", "fridays").replace("Christmas", "Natal");
    let apply =
        v1::ApplyCatalogRequest { command: command(), toml, validate_only: false, close_offices: true };
    admin.apply_catalog(apply).await.unwrap();
}
