//! The command line: what scripts rely on.

mod support;

use std::process::{Command, Output};

use kuota_loadtest::scenario::SMOKE;
use support::PROGRAM;

fn loadtest(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn bad_usage_ends_with_64_and_says_what_would_be_right() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wrong.toml");
    std::fs::write(&path, SMOKE.replacen("lead_ms", "leed_ms", 1)).unwrap();
    let wrong = path.to_str().unwrap();
    for (arguments, words) in [
        (
            vec!["run", "--scenario", wrong],
            "wrong.toml:14: leed_ms: `leed_ms` is not known; the nearest is `lead_ms`",
        ),
        (vec!["run", "--scenario", "nowhere.toml"], "cannot be read"),
        (vec!["run", "--target", "http://192.0.2.1:50051"], "--i-own-this-target"),
        (vec!["run", "--target", "http://127.0.0.1:1", "--chaos", "kill"], "leave --target out"),
        (vec!["run", "--require", "fast please"], "response.p99_ms < 50"),
        (vec!["run", "--require", "refused.SOLDOUT == 0"], "no report has such a figure"),
        (vec!["run", "--require", "response.p98_ms < 50"], "no report has such a figure"),
        (vec!["bench", "everything"], "refusal, grant, batch"),
        (vec!["bench", "grant", "--target", "http://192.0.2.1:50051"], "--i-own-this-target"),
    ] {
        let output = loadtest(&arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn the_first_screen_of_help_is_enough_to_run_the_friday() {
    let output = loadtest(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let first_screen: Vec<_> = text.lines().take(24).collect();
    assert!(first_screen.iter().any(|line| line.contains("kuota-loadtest run  ")), "{text}");
    assert!(first_screen.iter().any(|line| line.contains("Exit codes")), "{text}");
}

#[test]
fn the_exit_code_is_the_verdict_and_json_has_what_scripts_read() {
    let directory = tempfile::tempdir().unwrap();
    let (scenario, json, csv) =
        (directory.path().join("s.toml"), directory.path().join("r.json"), directory.path().join("r.csv"));
    let quick = SMOKE
        .replace("people = 1000\n", "people = 300\n")
        .replace("lag_p99_ms_max = 50", "lag_p99_ms_max = 60000")
        .replace("double_clicker_percent = 5", "double_clicker_percent = 30")
        .replace("human_percent = 45", "human_percent = 20");
    let run = |text: &str, more: &[&str]| {
        std::fs::write(&scenario, text).unwrap();
        let mut arguments = vec!["run", "--quiet", "--scenario", scenario.to_str().unwrap()];
        arguments.extend(more);
        loadtest(&arguments)
    };
    let files = ["--json", json.to_str().unwrap(), "--csv", csv.to_str().unwrap()];
    let passed = run(&quick, &[&files[..], &["--require", "oversold == 0"]].concat());
    assert_eq!(passed.status.code(), Some(0), "{}", String::from_utf8_lossy(&passed.stdout));
    assert!(passed.stdout.starts_with(b"PASS  "));
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(report["verdict"], "pass");
    for key in [
        "offered",
        "sent",
        "answered",
        "in_flight_max",
        "granted",
        "refused",
        "errors",
        "oversold",
        "lost",
        "duplicated",
        "early",
        "schedule_digest",
        "series",
    ] {
        assert!(!report[key].is_null(), "{key}");
    }
    for latency in ["response", "service", "lag"] {
        for percentile in ["p50", "p90", "p99", "p999", "max"] {
            assert!(report["latency_ms"][latency][percentile].is_number(), "{latency} {percentile}");
        }
    }
    assert!(std::fs::read_to_string(&csv).unwrap().starts_with("second,offered,sent,answered"));
    // A figure of the schema's page for every key, so that the two do not drift apart.
    let schema = include_str!("../SCHEMA.md");
    for key in report.as_object().unwrap().keys() {
        assert!(schema.contains(&format!("`{key}`")), "SCHEMA.md says nothing of {key}");
    }

    let failed = run(&quick, &["--require", "response.p99_ms < 0.001"]);
    assert_eq!(failed.status.code(), Some(1), "{}", String::from_utf8_lossy(&failed.stdout));
    let void = run(&quick.replace("outcomes = [\"GRANTED\"", "outcomes = [\"PAUSED\""), &[]);
    assert_eq!(void.status.code(), Some(2), "{}", String::from_utf8_lossy(&void.stdout));
    assert!(String::from_utf8_lossy(&void.stdout).contains("void: PAUSED never occurred"));
}
