//! The load tester proves itself: whoever breaks a promise is caught and named, and whoever keeps them all passes.

mod support;

use kuota_loadtest::{exit::Verdict, run::Chaos, run::Order, run::run};
use support::{Break, Own, against, alone, in_batches, lasting, order, sampled, small};

#[test]
fn a_server_that_keeps_its_promises_passes() {
    let report = against(Break::Nothing);
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);
    assert_eq!((report.findings.registrations, report.places), (160, 160));
}

#[test]
fn whoever_breaks_a_promise_is_caught_and_named() {
    for (breaks, name) in [
        (Break::Capacity, "oversold: kanim-test 2030-01-07 has 160 places, and 163 are granted"),
        (Break::Durability, "lost: registration"),
        (Break::Opening, "early: kanim-test 2030-01-07 was granted"),
        (Break::Repeats, "unequal repeat: person"),
        (Break::Pace, "stalled: no answer for"),
        (Break::Truth, "stranded: kanim-test 2030-01-07 has 2 places free"),
        (Break::Size, "resized: kanim-test 2030-01-07 had 160 places before the run, and shows 161 now"),
        (Break::Times, "lost: registration"),
        (Break::Service, "1 calls got no answer or a gRPC error (in all UNAVAILABLE 1); 0 are allowed"),
    ] {
        let report = against(breaks);
        assert_eq!(report.verdict, Verdict::Fail, "{breaks:?}: {:?}", report.reasons);
        assert!(
            report.reasons.iter().any(|reason| reason.starts_with(name)),
            "{breaks:?}: {:?}",
            report.reasons
        );
        let found = &report.findings;
        let is_expected = match breaks {
            Break::Capacity => found.oversold == 3,
            Break::Durability | Break::Times => found.lost == 1 && found.oversold == 0,
            Break::Opening => found.early > 0,
            Break::Repeats => found.unequal_repeats > 0 && found.duplicated > 0,
            Break::Pace => found.is_clean() && report.latency_ms.response.max >= 900.0,
            Break::Truth => found.stranded == 2,
            Break::Size => found.resized == 1,
            Break::Service => report.errors["UNAVAILABLE"] == 1,
            Break::Nothing | Break::List | Break::Order | Break::Count | Break::Past => false,
        };
        assert!(is_expected, "{breaks:?}: {found:?}");
    }
}

#[test]
fn what_proves_nothing_is_void() {
    for (breaks, name) in [
        (Break::List, "void: unproven: kanim-test 2030-01-07 is not listed after the run"),
        (Break::Past, "void: these identities were used before; give another --run-id"),
    ] {
        let report = against(breaks);
        assert_eq!(report.verdict, Verdict::Void, "{breaks:?}: {:?}", report.reasons);
        assert_eq!(report.reasons[0], name, "{breaks:?}");
    }
}

#[test]
fn batches_are_read_item_by_item() {
    let report = in_batches(Break::Nothing);
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);
    assert!(report.calls < report.sent, "{} {}", report.calls, report.sent);
    for breaks in [Break::Order, Break::Count] {
        let report = in_batches(breaks);
        assert_eq!(report.verdict, Verdict::Fail, "{breaks:?}: {:?}", report.reasons);
        assert!(
            report.errors.get("UNKNOWN").is_some_and(|count| *count > 0),
            "{breaks:?}: {:?}",
            report.errors
        );
    }
    let report = in_batches(Break::Capacity);
    assert_eq!(report.findings.oversold, 3, "{:?}", report.reasons);
}

#[test]
fn percentiles_are_those_of_an_exact_sort_of_the_same_run() {
    let (report, mut samples) = sampled();
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);
    assert_eq!(samples.len() as u64, report.sent);
    samples.sort_unstable();
    let response = report.latency_ms.response;
    for (share, found) in [
        (0.5, response.p50),
        (0.9, response.p90),
        (0.99, response.p99),
        (0.999, response.p999),
        (1.0, response.max),
    ] {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "thousands of samples"
        )]
        let rank = ((samples.len() as f64 * share).ceil() as usize).clamp(1, samples.len());
        #[expect(clippy::cast_precision_loss, reason = "microseconds of a second")]
        let exact = samples[rank - 1].max(1) as f64 / 1_000.0;
        assert!((found - exact).abs() <= exact * 0.001 + 0.001, "{share}: {found}, not {exact}");
    }
}

#[test]
fn a_second_in_which_the_server_stands_still_shows_as_the_second_it_was() {
    let _alone = alone();
    let report = run(&Order { chaos: Some(Chaos::Stall), ..order(small()) }).unwrap();
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);
    let max_ms = report.latency_ms.response.max;
    assert!((900.0..2_500.0).contains(&max_ms), "{max_ms}");
    assert!(report.silence_max_ms >= 900.0, "{}", report.silence_max_ms);
}

#[test]
fn a_server_killed_in_mid_spike_loses_nothing_it_acknowledged() {
    let _alone = alone();
    let report = run(&Order { chaos: Some(Chaos::Kill), ..order(lasting()) }).unwrap();
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);
    assert!(report.chaos.is_some(), "chaos never struck");
    assert!(report.findings.is_clean(), "{:?}", report.findings);
    assert_eq!(report.log_verified, Some(true));
}

#[test]
fn a_blow_that_never_fell_is_void() {
    let _alone = alone();
    let mut scenario = small();
    // Nobody asks after the opening: nobody is told yes.
    scenario.people.people = 1;
    scenario.expect.outcomes.clear();
    let report = run(&Order { chaos: Some(Chaos::Kill), ..order(scenario) }).unwrap();
    assert_eq!(report.verdict, Verdict::Void, "{:?}", report.reasons);
    assert!(report.reasons[0].starts_with("void: the server was to be struck"), "{:?}", report.reasons);
}

#[test]
fn asks_go_in_batches_too() {
    let _alone = alone();
    let mut scenario = small();
    scenario.client.batch_asks = 50;
    let report = run(&order(scenario)).unwrap();
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);
    assert!(report.findings.registrations > 100, "{}", report.findings.registrations);
}

#[test]
fn another_run_id_on_the_same_server_starts_fresh() {
    let _alone = alone();
    let server = Own::start();
    let [target, admin_target] = server.urls();
    let (target, admin_target) = (Some(target), Some(admin_target));
    for run_id in ["one", "two"] {
        let order = Order {
            target: target.clone(),
            admin_target: admin_target.clone(),
            run_id: run_id.into(),
            ..order(small())
        };
        let report = run(&order).unwrap();
        assert_eq!(report.verdict, Verdict::Pass, "{run_id}: {:?}", report.reasons);
        assert!(!report.days_were_open && report.refused["NOT_OPEN_YET"] > 0, "{run_id}");
    }
    let again = Order { target, admin_target, run_id: "two".into(), ..order(small()) };
    let report = run(&again).unwrap();
    assert_eq!(report.verdict, Verdict::Void, "{:?}", report.reasons);
    assert!(report.reasons[0].contains("used before; give another --run-id"), "{:?}", report.reasons);
}
