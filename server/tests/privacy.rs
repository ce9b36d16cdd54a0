//! INV-10: a NIK that was used is found nowhere.

mod support;

use std::fs;

use kuota_client::{Ask, Lane};
use support::{
    OFFICE,
    people::{nik, registered},
    process::Process,
};

/// The digits as text, and as the number they spell in either byte order.
fn shapes(nik: &str) -> [Vec<u8>; 3] {
    let number: u64 = nik.parse().unwrap();
    [nik.as_bytes().to_vec(), number.to_be_bytes().to_vec(), number.to_le_bytes().to_vec()]
}

fn holds(text: &[u8], shape: &[u8]) -> bool {
    text.windows(shape.len()).any(|window| window == shape)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_nik_is_in_no_file_no_log_line_no_metric_and_no_error() {
    let data = tempfile::tempdir().unwrap();
    let process = Process::start(data.path(), &["--demo", "--log-level", "trace"]);
    let client = process.client().await;
    let slots = client.availability(&kuota_client::AvailabilityFilter::default()).await.unwrap();
    let day = slots.iter().filter(|slot| slot.available.is_some()).nth(3).unwrap().service_date.clone();
    let used: Vec<String> = (0..20).map(nik).collect();
    let mut said = String::new();
    for nik in &used {
        let ask = Ask::new(OFFICE, &day, Lane::Regular).applicant(nik, "");
        registered(client.register(&ask).await.unwrap());
        let other = ask.clone().applicant(self::nik(99), "");
        said += &format!("{:?}", client.register(&other).await.unwrap_err());
        let again = Ask::new(OFFICE, &day, Lane::Regular).applicant(nik, "");
        said += &format!("{:?} {again:?}", client.register(&again).await.unwrap());
        let twice = again.applicant(nik, "");
        said += &format!("{:?}", client.register(&twice).await.unwrap_err());
        let ill = Ask::new(OFFICE, &day, Lane::Regular).applicant(format!("{nik}7"), "");
        said += &format!("{:?}", client.register(&ill).await.unwrap_err());
    }
    said += &process.page("/metrics");
    let mut places = vec![("answers, errors and metrics".to_owned(), said.into_bytes())];
    for entry in fs::read_dir(data.path()).unwrap() {
        let path = entry.unwrap().path();
        places.push((format!("{} while running", path.display()), fs::read(&path).unwrap()));
    }
    let (status, log) = process.terminate();
    assert!(status.success() && log.contains("TRACE"), "trace-level lines are on");
    places.push(("log lines".into(), log.into_bytes()));
    for entry in fs::read_dir(data.path()).unwrap() {
        let path = entry.unwrap().path();
        places.push((path.display().to_string(), fs::read(&path).unwrap()));
    }
    for nik in &used {
        for shape in shapes(nik) {
            for (place, text) in &places {
                assert!(!holds(text, &shape), "a NIK is in {place}");
            }
        }
    }
}
