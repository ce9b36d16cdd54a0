//! The command line: what scripts rely on.

mod support;

use std::process::{Command, Output};

use kuota_loadtest::scenario::SMOKE;
use support::{Own, PROGRAM, alone};

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
    let _alone = alone();
    let quick = SMOKE
        .replace("time_compression_factor = 10", "time_compression_factor = 25")
        .replace("window_ms = 20000", "window_ms = 8000")
        .replace("attempts_max = 10", "attempts_max = 4")
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

#[test]
fn a_bench_at_a_rate_sends_every_call_at_its_time() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("bench.json");
    let path = json.to_str().unwrap();
    let output = loadtest(&["bench", "refusal", "--seconds", "1", "--rate", "500", "--json", path]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let found: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(found["calls"], 500, "a second's calls, however slow the machine");
    let output = loadtest(&["bench", "refusal", "--rate", "0"]);
    assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
}

#[test]
fn a_bench_of_each_kind_says_what_its_calls_cost() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("bench.json");
    for (kind, places) in [("refusal", false), ("grant", true), ("batch", true)] {
        let path = json.to_str().unwrap();
        let output = loadtest(&["bench", kind, "--seconds", "1", "--connections", "4", "--json", path]);
        assert_eq!(output.status.code(), Some(0), "{kind}: {}", stderr(&output));
        let found: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        assert_eq!(found["kind"], kind);
        for key in ["calls_per_s", "client_cpu_us_per_call", "server_cpu_us_per_call", "calls", "elapsed_s"] {
            assert!(found[key].as_f64().is_some_and(|figure| figure > 0.0), "{kind}: {key} {found}");
        }
        assert_eq!(found["places_per_s"].as_f64().is_some_and(|figure| figure > 0.0), places, "{kind}");
        for percentile in ["p50", "p90", "p99", "p999", "max"] {
            assert!(found["latency_ms"][percentile].is_number(), "{kind}: {percentile}");
        }
    }
}

#[test]
fn a_bench_takes_nobodys_places_unasked_and_no_identity_twice() {
    let _alone = alone();
    let server = Own::start();
    let [target, admin_target] = server.urls();
    let refused = loadtest(&["bench", "refusal", "--seconds", "1", "--target", &target]);
    assert_eq!(refused.status.code(), Some(64), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("no slot is sold out"), "{}", stderr(&refused));
    let grant = ["bench", "grant", "--seconds", "1", "--connections", "1", "--streams", "1", "--run-id", "x"];
    let target = ["--target", &target, "--admin-target", &admin_target];
    let first = loadtest(&[&grant[..], &target[..]].concat());
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    let again = loadtest(&[&grant[..], &target[..]].concat());
    assert_eq!(again.status.code(), Some(1), "{}", stderr(&again));
    assert!(stderr(&again).contains("used before; give another --run-id"), "{}", stderr(&again));
}

#[test]
fn a_calibration_says_what_this_client_can_do() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("calibration.json");
    let output = loadtest(&["calibrate", "--seconds", "1", "--json", json.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let found: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    for key in ["ceiling_calls_per_s", "client_cpu_us_per_call", "noise_p99_ms", "noise_max_ms"] {
        assert!(found[key].is_number(), "{key}");
    }
    for key in ["calls_per_s", "client_cpu_us_per_call", "ours_percent"] {
        assert!(found["plain_tonic"][key].is_number(), "{key}");
    }
}
