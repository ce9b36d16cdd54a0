//! A file of people whose run does not come to its end: every ask has its line all the same.

mod support;

use std::{io::Write as _, process::Command, sync::mpsc};

use kuota_api::v1::{self, RefusalReason};
use support::{
    Scripted, failed,
    friday::{command, kuota},
    item_granted, item_refused,
};
use tonic::Code;

/// So many people, an ask each.
fn people(count: u32) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::with_suffix(".csv").unwrap();
    writeln!(file, "office,date,lane,nik,reference").unwrap();
    for number in 1..=count {
        writeln!(file, "kanim-pontianak,2026-11-30,REGULAR,617101230987{number:04},").unwrap();
    }
    file
}

/// The outcomes of results in CSV.
fn outcomes(results: &str) -> Vec<&str> {
    results.lines().skip(1).map(|line| line.split(',').nth(2).unwrap()).collect()
}

#[tokio::test]
async fn a_round_that_fails_for_good_loses_no_answer_and_ends_the_run() {
    let server = Scripted::start().await;
    let file = people(4);
    server.script.register_batch.answer_with(|batch: &v1::RegisterBatchRequest| {
        let (granted, busy) = (item_granted(&batch.requests[0]), RefusalReason::Busy);
        let items = vec![granted, item_refused(&batch.requests[1], busy)];
        Ok(v1::RegisterBatchResponse { items, server_time: None })
    });
    server.script.register_batch.then(Err(failed(Code::InvalidArgument, "INVALID_FIELD")));
    let arguments = ["register", "--file", file.path().to_str().unwrap(), "--batch", "2"];
    let (out, err, code) = kuota(&server.url, &server.url, &arguments, "").await;
    assert_eq!(outcomes(&out), ["REGISTERED", "INVALID_FIELD", "NOT_ASKED", "NOT_ASKED"], "{err}");
    let tally = "4 asks: 1 registered, 0 refused, 1 invalid, 0 without an answer, 2 not asked\nTo go on: ";
    assert!(err.starts_with("kuota: invalid_field\n") && err.contains(tally) && code == 69, "{code} {err}");
}

#[tokio::test]
async fn a_batch_without_any_answer_ends_the_run() {
    let server = Scripted::start().await;
    let file = people(3);
    let arguments = ["register", "--file", "-", "--batch", "2"];
    let text = std::fs::read_to_string(file.path()).unwrap();
    let (out, err, code) = kuota(&server.url, &server.url, &arguments, &text).await;
    assert_eq!(outcomes(&out), ["UNIMPLEMENTED", "UNIMPLEMENTED", "NOT_ASKED"], "{err}");
    assert_eq!(server.script.register_batch.asked().len(), 1);
    assert!(code == 69 && err.contains("1 not asked") && err.contains("request_id"), "{code} {err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn an_interrupted_run_tells_of_each_ask() {
    for signal in ["-INT", "-TERM"] {
        let server = Scripted::start().await;
        let file = people(3);
        let (asked, is_asked) = mpsc::channel();
        let (end, is_ended) = mpsc::channel::<()>();
        server.script.register_batch.answer_with(move |_| {
            asked.send(()).unwrap();
            // No answer while the tool runs.
            let _ = is_ended.recv();
            Err(failed(Code::Unavailable, "STOPPING"))
        });
        let arguments = ["register", "--file", file.path().to_str().unwrap(), "--batch", "2"];
        let child = command(&server.url, &server.url, &arguments).spawn().unwrap();
        let run = move || {
            is_asked.recv().unwrap();
            assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
            child.wait_with_output().unwrap()
        };
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        drop(end);
        let (out, err) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(outcomes(&out), ["OUTCOME_UNKNOWN", "OUTCOME_UNKNOWN", "NOT_ASKED"], "{err}");
        let ids: Vec<&str> = out.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
        assert!(ids.iter().all(|id| uuid::Uuid::try_parse(id).is_ok()), "{out}");
        assert!(err.contains("2 without an answer, 1 not asked\nTo go on: "), "{err}");
        assert_eq!(output.status.code(), Some(69), "{err}");
    }
}
