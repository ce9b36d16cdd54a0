//! Scenarios: those that are built in are well-formed, and what is wrong is named with file, line, key and nearest key.

use kuota_loadtest::{
    plan::Plan,
    scenario::{FRIDAY, NATIONAL, PAYDAY, SMOKE, SOAK, Scenario},
};

#[test]
fn what_is_wrong_is_named_with_file_line_key_and_the_nearest_right_key() {
    let line_of = |text: &str, key: &str| text.lines().position(|line| line.starts_with(key)).unwrap() + 1;
    for (from, to, key, message) in [
        ("people = 1000", "peopel = 1000", "peopel", "`peopel` is not known; the nearest is `people`"),
        ("fast_tau_ms", "fast_tau", "fast_tau", "`fast_tau` is not known; the nearest is `fast_tau_ms`"),
        ("\"generated\"", "\"generate\"", "origin", "`generate` is not known; the nearest is `generated`"),
        ("people = 1000", "people = 0", "people", "0: 1 to 5000000 is allowed"),
        ("people = 1000", "people = \"many\"", "people", "invalid type: string \"many\", expected u64"),
        ("bot_percent = 40", "bot_percent = 41", "human_percent", "the shares of the four personas make 101"),
        ("streams = 256", "streams = 257", "streams", "257: 1 to 256 is allowed"),
        ("attempts_max = 10", "attempts_max = 2", "attempts_max", "2: 3 to 30 is allowed"),
        ("\"SOLD_OUT\"", "\"SOLDOUT\"", "outcomes", "`SOLDOUT`: GRANTED, REPEATED, a reason"),
        ("\"generated\"", "\"file\"", "origin", "a catalogue from a file needs the key `file`"),
        (
            "generated_places = 300",
            "generated_places = 301",
            "generated_places",
            "301: a multiple of service_days (2), and at least one place for each of 6 slots, is allowed",
        ),
        (
            "generated_offices = 3\ngenerated_places = 300\nservice_days = 2",
            "generated_offices = 10000\ngenerated_places = 100000\nservice_days = 10",
            "generated_offices",
            "10000 on 10 days make 100000 slots; 65535 are allowed",
        ),
        (
            "time_compression_factor = 10",
            "time_compression_factor = 0",
            "time_compression_factor",
            "0: 1 to 1000",
        ),
    ] {
        let text = SMOKE.replacen(from, to, 1);
        let error = Scenario::parse("small.toml", &text).unwrap_err().to_string();
        let expected = format!("small.toml:{}: {key}: {message}", line_of(&text, key));
        assert!(error.starts_with(&expected), "expected {expected}\n   found {error}");
    }
    let crowd = SMOKE.replace("people = 1000\n", "people = 5000000\n");
    let crowd = crowd.replace("prepoll_ms = 10000", "prepoll_ms = 80000000");
    let error = Scenario::parse("small.toml", &crowd).unwrap_err().to_string();
    assert!(error.contains("calls are planned before retries; 20000000 are allowed"), "{error}");
    let missing = Scenario::parse("small.toml", &SMOKE.replace("seed = 1\n", "")).unwrap_err().to_string();
    assert!(missing.contains("missing field `seed`"), "{missing}");
}

#[test]
fn payments_need_holds_and_come_in_their_time() {
    for (from, to, expected) in [
        ("late_percent = 20", "late_percent = 36", "in_time_percent: the shares of those who pay make 101"),
        ("generated_hold_minutes = 1\n", "", "in_time_percent: payments need places that are held"),
        ("pay_after_ms_max = 20000", "pay_after_ms_max = 30001", "pay_after_ms_max: 30001: 1 to 30000"),
        ("freed_within_ms_max = 100", "freed_within_ms_max = 0", "freed_within_ms_max: 0: 1 to 60000"),
    ] {
        let error = Scenario::parse("payday.toml", &PAYDAY.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(expected), "expected {expected}\n   found {error}");
    }
}

#[test]
fn every_scenario_that_is_built_in_can_be_planned() {
    for (text, name, offices) in
        [(SMOKE, "smoke", 3), (FRIDAY, "friday", 11), (PAYDAY, "payday", 3), (SOAK, "soak", 11)]
    {
        let scenario = Scenario::parse(name, text).unwrap();
        assert_eq!(scenario.name, name);
        let (one, other) = (Plan::of(&scenario, offices), Plan::of(&scenario, offices));
        assert_eq!(one.digest, other.digest);
        assert!(one.arrivals.is_sorted_by_key(|arrival| arrival.at_us));
    }
    let national = Scenario::parse("national", NATIONAL).unwrap();
    assert_eq!((national.people.people, national.catalog.generated_places), (1_000_000, 100_000));
}
