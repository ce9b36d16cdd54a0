//! The verdict and its reasons. Pure: from the report, and what stands beside it.

use super::Chaos;
use crate::{
    driver::pulse::Span,
    exit::Verdict,
    limits::{CEILING_PERCENT_MAX, CLIENT_CPU_PERCENT_MAX},
    report::{
        figures::{Report, RequirementFigure},
        require::Requirement,
    },
    scenario::Scenario,
};

/// Errors that a server never gives to asks like these, unless something is wrong with either side.
const NEVER: [&str; 7] = [
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "FAILED_PRECONDITION",
    "UNIMPLEMENTED",
    "INTERNAL",
    "DATA_LOSS",
];

/// What a verdict rests on besides the report's figures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) require: &'a [Requirement],
    pub(super) chaos: Option<Chaos>,
    /// What is wrong with the server's log.
    pub(super) log_faults: &'a [String],
    /// The longest silence that nothing excuses.
    pub(super) silence_us: Span,
    /// How late the driver was for its first call.
    pub(super) late_start_us: i64,
}

/// Decides: what is proven wrong comes before what proves nothing, and that before thresholds. Identities that were used
/// before come first: then nothing is proven either way.
pub(super) fn judge(case: &Case<'_>, report: &mut Report) {
    let wrong = wrong(case, report);
    let void = void(case, report);
    let missed = missed(case, report);
    let (verdict, reasons) = if report.findings.used_before > 0 {
        (Verdict::Void, [void, wrong, missed].concat())
    } else if !wrong.is_empty() {
        (Verdict::Fail, [wrong, void, missed].concat())
    } else if !void.is_empty() {
        (Verdict::Void, [void, missed].concat())
    } else if !missed.is_empty() {
        (Verdict::Fail, missed)
    } else {
        (Verdict::Pass, Vec::new())
    };
    (report.verdict, report.reasons) = (verdict, reasons);
}

fn wrong(case: &Case<'_>, report: &Report) -> Vec<String> {
    let mut reasons = report.findings.findings.clone();
    reasons.extend(case.log_faults.iter().take(3).map(|fault| format!("log: {fault}")));
    if report.unsent > 0 {
        let cap = case.scenario.in_flight_cap();
        reasons.push(format!(
            "{} calls were not sent: {cap}, or as many as the server takes, were under way already",
            report.unsent
        ));
    }
    let bounds = &case.scenario.bounds;
    let (silence_us, since_us) = case.silence_us;
    if silence_us / 1_000 > i64::try_from(bounds.stall_ms_max).unwrap_or(i64::MAX) {
        reasons.push(format!(
            "stalled: no answer for {} ms from T0 + {} ms on, though calls were under way or wanted; {} ms are allowed",
            silence_us / 1_000,
            since_us / 1_000,
            bounds.stall_ms_max
        ));
    }
    for code in NEVER {
        if let Some(count) = report.errors.get(code) {
            reasons.push(format!("{count} calls failed with {code}"));
        }
    }
    let errors = report.errors.values().sum::<u64>().saturating_sub(report.errors_excused);
    if errors > bounds.errors_max {
        let by_code: Vec<_> = report.errors.iter().map(|(code, count)| format!("{code} {count}")).collect();
        let excuse = match case.chaos {
            None => String::new(),
            Some(_) => format!(", besides {} while the server was struck", report.errors_excused),
        };
        reasons.push(format!(
            "{errors} calls got no answer or a gRPC error{excuse} (in all {}); {} are allowed",
            by_code.join(", "),
            bounds.errors_max
        ));
    }
    reasons
}

fn void(case: &Case<'_>, report: &Report) -> Vec<String> {
    let mut reasons: Vec<_> = report.findings.void.iter().map(|reason| format!("void: {reason}")).collect();
    if case.chaos.is_some() && report.chaos.is_none() {
        reasons.push("void: the server was to be struck, and too few places were acknowledged for it".into());
    }
    if case.late_start_us > 0 {
        reasons.push(format!(
            "void: this client was ready {} ms after its first call was due; a longer lead_ms helps",
            case.late_start_us / 1_000
        ));
    }
    #[expect(clippy::cast_precision_loss, reason = "a bound of a minute at most")]
    let lag_ms_max = case.scenario.bounds.lag_p99_ms_max as f64;
    let lag_ms = report.latency_ms.lag.p99;
    if lag_ms > lag_ms_max {
        reasons
            .push(format!("void: this client was late by {lag_ms:.1} ms (p99); {lag_ms_max} ms are allowed"));
    }
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (busiest, allowed) = (
        report.usage.busiest_second_calls as f64,
        report.usage.ceiling_calls_per_s * CEILING_PERCENT_MAX as f64 / 100.0,
    );
    // The ceiling is one of single asks; for batches there is the client's CPU.
    if case.scenario.client.batch_asks == 1 && busiest > allowed {
        reasons.push(format!(
            "void: the busiest second had {busiest:.0} calls; the client's ceiling is {:.0}, and {CEILING_PERCENT_MAX} % of it are allowed",
            report.usage.ceiling_calls_per_s
        ));
    }
    let cpu = report.usage.busiest_second_cpu_percent;
    if cpu > CLIENT_CPU_PERCENT_MAX {
        reasons.push(format!(
            "void: this client took {cpu:.0} % of a core in its busiest second; {CLIENT_CPU_PERCENT_MAX} % are allowed"
        ));
    }
    for outcome in &case.scenario.expect.outcomes {
        let count = match outcome.as_str() {
            "GRANTED" => report.granted,
            "REPEATED" => report.repeated,
            // On days that were open before, nobody can be too early.
            "NOT_OPEN_YET" if report.days_were_open => 1,
            name => {
                let counted = report.refused.get(name).or_else(|| report.payments.get(name));
                counted.copied().unwrap_or(0)
            }
        };
        if count == 0 {
            reasons.push(format!("void: {outcome} never occurred: what was to be tried was not tried"));
        }
    }
    reasons
}

fn missed(case: &Case<'_>, report: &mut Report) -> Vec<String> {
    // A report is made of plain values.
    let value = serde_json::to_value(&*report).unwrap_or_default();
    let mut reasons = Vec::new();
    for requirement in case.require {
        let found = requirement.check(&value);
        let holds = found.is_some_and(|(_, holds)| holds);
        let found = found.map(|(found, _)| found);
        if !holds {
            reasons.push(match found {
                Some(found) => format!("required {requirement}: found {found}"),
                None => format!("required {requirement}: this run has no such figure"),
            });
        }
        report.requirements.push(RequirementFigure { requirement: requirement.to_string(), found, holds });
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::SMOKE;

    fn fine() -> Report {
        let mut report = Report { granted: 300, repeated: 10, ..Report::default() };
        for reason in ["SOLD_OUT", "NOT_OPEN_YET", "ALREADY_REGISTERED"] {
            report.refused.insert(reason.into(), 1);
        }
        report.usage.ceiling_calls_per_s = 10_000.0;
        report
    }

    fn found(text: &str, change: impl FnOnce(&mut Case<'_>, &mut Report)) -> (Verdict, String) {
        let scenario = Scenario::parse("smoke", text).unwrap();
        let require = ["response.p99_ms < 50".parse().unwrap()];
        let mut report = fine();
        let mut case = Case {
            scenario: &scenario,
            require: &require,
            chaos: None,
            log_faults: &[],
            silence_us: (700_999, 0),
            late_start_us: -1,
        };
        change(&mut case, &mut report);
        judge(&case, &mut report);
        (report.verdict, report.reasons.join("; "))
    }

    #[test]
    fn every_reason_has_its_verdict() {
        type Change = fn(&mut Case<'_>, &mut Report);
        let table: [(Change, Verdict, &str); 20] = [
            (|_, _| {}, Verdict::Pass, ""),
            (|_, report| report.latency_ms.lag.p99 = 51.0, Verdict::Void, "void: this client was late"),
            (
                |_, report| report.usage.busiest_second_calls = 8_001,
                Verdict::Void,
                "void: the busiest second",
            ),
            (
                |_, report| report.usage.busiest_second_cpu_percent = 81.0,
                Verdict::Void,
                "void: this client took",
            ),
            (|_, report| report.repeated = 0, Verdict::Void, "void: REPEATED never occurred"),
            (
                |_, report| report.refused.retain(|reason, _| reason != "NOT_OPEN_YET"),
                Verdict::Void,
                "void: NOT_OPEN_YET never",
            ),
            (
                |_, report| {
                    report.refused.remove("NOT_OPEN_YET");
                    report.days_were_open = true;
                },
                Verdict::Pass,
                "",
            ),
            (|case, _| case.late_start_us = 1_000, Verdict::Void, "void: this client was ready"),
            (|case, _| case.chaos = Some(Chaos::Kill), Verdict::Void, "void: the server was to be struck"),
            (|_, report| report.findings.void = vec!["x".into()], Verdict::Void, "void: x"),
            (|_, report| report.unsent = 1, Verdict::Fail, "1 calls were not sent"),
            (
                |_, report| report.latency_ms.response.p99 = 50.0,
                Verdict::Fail,
                "required response.p99_ms < 50",
            ),
            (|case, _| case.silence_us = (701_000, 0), Verdict::Fail, "stalled: no answer for 701 ms"),
            (
                |_, report| report.errors.extend([("DEADLINE_EXCEEDED".into(), 2)]),
                Verdict::Fail,
                "2 calls got no answer or a gRPC error (in all DEADLINE_EXCEEDED 2); 0 are allowed",
            ),
            (
                |_, report| report.errors.extend([("RESOURCE_EXHAUSTED".into(), 1)]),
                Verdict::Fail,
                "1 calls got no answer or a gRPC error",
            ),
            (
                |case, report| {
                    case.chaos = Some(Chaos::Kill);
                    report.chaos = Some("killed".into());
                    report.errors.insert("UNAVAILABLE".into(), 9);
                    report.errors_excused = 9;
                },
                Verdict::Pass,
                "",
            ),
            (
                |case, report| {
                    case.chaos = Some(Chaos::Kill);
                    report.chaos = Some("killed".into());
                    report.errors.insert("UNAVAILABLE".into(), 9);
                    report.errors_excused = 8;
                },
                Verdict::Fail,
                "1 calls got no answer or a gRPC error, besides 8",
            ),
            (
                |_, report| report.errors.extend([("UNKNOWN".into(), 1)]),
                Verdict::Fail,
                "1 calls failed with UNKNOWN",
            ),
            (
                |_, report| {
                    report.findings.findings = vec!["oversold: x".into()];
                    report.latency_ms.lag.p99 = 51.0;
                },
                Verdict::Fail,
                "oversold: x; void: this client was late",
            ),
            (
                |_, report| {
                    report.findings.findings = vec!["early: x".into()];
                    report.findings.void = vec!["these identities were used before".into()];
                    report.findings.used_before = 1;
                },
                Verdict::Void,
                "void: these identities were used before; early: x",
            ),
        ];
        for (index, (change, verdict, words)) in table.into_iter().enumerate() {
            let (found, reasons) = found(SMOKE, change);
            assert_eq!(found, verdict, "row {index}: {reasons}");
            assert!(reasons.starts_with(words), "row {index}: {reasons}");
        }
    }

    #[test]
    fn some_errors_are_allowed_where_the_scenario_says_so() {
        let text = SMOKE.replace("errors_max = 0", "errors_max = 2");
        for (errors, verdict) in [(2, Verdict::Pass), (3, Verdict::Fail)] {
            let (found, reasons) =
                found(&text, |_, report| report.errors.extend([("UNAVAILABLE".into(), errors)]));
            assert_eq!(found, verdict, "{reasons}");
        }
    }
}
