//! The load tester proves itself: whoever breaks a promise is caught and named, and whoever keeps them all passes.

mod support;

use kuota_loadtest::{exit::Verdict, run::Chaos, run::Order, run::run};
use support::{Break, against, order, sampled, small};

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
    ] {
        let report = against(breaks);
        assert_eq!(report.verdict, Verdict::Fail, "{breaks:?}: {:?}", report.reasons);
        assert!(
            report.reasons.iter().any(|reason| reason.starts_with(name)),
            "{breaks:?}: {:?}",
            report.reasons
        );
        let found = &report.findings;
        let counts = [found.oversold, found.lost, found.early, found.unequal_repeats, found.stranded];
        let is_expected = match breaks {
            Break::Capacity => counts[0] == 3,
            Break::Durability => counts[1] == 1 && counts[0] == 0,
            Break::Opening => counts[2] > 0,
            Break::Repeats => counts[3] > 0 && found.duplicated > 0,
            Break::Pace => found.is_clean() && report.latency_ms.response.max >= 900.0,
            Break::Truth => counts[4] == 2,
            Break::Nothing => false,
        };
        assert!(is_expected, "{breaks:?}: {found:?}");
    }
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
    let report = run(&Order { chaos: Some(Chaos::Stall), ..order(small()) }).unwrap();
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);
    let max_ms = report.latency_ms.response.max;
    assert!((900.0..2_500.0).contains(&max_ms), "{max_ms}");
    assert!(report.silence_max_ms >= 900.0, "{}", report.silence_max_ms);
}

#[test]
fn a_server_killed_in_mid_spike_loses_nothing_it_acknowledged() {
    let report = run(&Order { chaos: Some(Chaos::Kill), ..order(small()) }).unwrap();
    assert!(report.chaos.is_some(), "chaos never struck");
    assert!(report.findings.is_clean(), "{:?}", report.findings);
    assert_eq!(report.findings.lost, 0);
    assert_eq!(report.log_verified, Some(true));
    assert_ne!(report.verdict, Verdict::Fail, "{:?}", report.reasons);
}

#[test]
fn asks_go_in_batches_too() {
    let mut scenario = small();
    scenario.client.batch_asks = 50;
    let report = run(&order(scenario)).unwrap();
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);
    assert!(report.findings.registrations > 200, "{}", report.findings.registrations);
}
