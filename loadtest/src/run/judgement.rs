//! The verdict and its reasons.

use super::{Measured, Order};
use crate::{
    exit::Verdict,
    limits::{CEILING_PERCENT_MAX, CLIENT_CPU_PERCENT_MAX},
    report::figures::{Report, RequirementFigure},
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

/// Decides: what is proven wrong comes before what proves nothing, and that before thresholds.
pub(super) fn judge(order: &Order, measured: &Measured, report: &mut Report) {
    let wrong = wrong(order, measured, report);
    let void = void(order, measured, report);
    let missed = missed(order, report);
    let (verdict, reasons) = if !wrong.is_empty() {
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

fn wrong(order: &Order, measured: &Measured, report: &Report) -> Vec<String> {
    let mut reasons = report.findings.findings.clone();
    if let Some(log) = measured.proof.log.as_ref().filter(|log| !log.ok) {
        reasons.extend(log.faults.iter().take(3).map(|fault| format!("log: {fault}")));
    }
    if report.unsent > 0 {
        let cap = order.scenario.in_flight_cap();
        reasons.push(format!("{} calls were not sent: {cap} were under way already", report.unsent));
    }
    let bound_ms = order.scenario.bounds.stall_ms_max;
    let (silence_us, since_us) = measured.driven.tally.silence_us;
    if order.chaos.is_none() && silence_us / 1_000 > i64::try_from(bound_ms).unwrap_or(i64::MAX) {
        reasons.push(format!(
            "stalled: no answer for {} ms from T0 + {} ms on, though calls were under way; {bound_ms} ms are allowed",
            silence_us / 1_000,
            since_us / 1_000
        ));
    }
    for code in NEVER {
        if let Some(count) = report.errors.get(code) {
            reasons.push(format!("{count} calls failed with {code}"));
        }
    }
    reasons
}

fn void(order: &Order, measured: &Measured, report: &Report) -> Vec<String> {
    let mut reasons = Vec::new();
    let bounds = &measured.shared.scenario.bounds;
    #[expect(clippy::cast_precision_loss, reason = "a bound of a minute at most")]
    let lag_ms_max = bounds.lag_p99_ms_max as f64;
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
    if order.scenario.client.batch_asks == 1 && busiest > allowed {
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
    for outcome in &measured.shared.scenario.expect.outcomes {
        let count = match outcome.as_str() {
            "GRANTED" => report.granted,
            "REPEATED" => report.repeated,
            // On days that were open before, nobody can be too early.
            "NOT_OPEN_YET" if measured.target.ground.was_open => 1,
            reason => report.refused.get(reason).copied().unwrap_or(0),
        };
        if count == 0 {
            reasons.push(format!("void: {outcome} never occurred: what was to be tried was not tried"));
        }
    }
    reasons
}

fn missed(order: &Order, report: &mut Report) -> Vec<String> {
    // A report is made of plain values.
    let value = serde_json::to_value(&*report).unwrap_or_default();
    let mut reasons = Vec::new();
    for requirement in &order.require {
        let found = requirement.check(&value);
        let holds = found.is_some_and(|(_, holds)| holds);
        let found = found.map(|(found, _)| found);
        if !holds {
            reasons.push(match found {
                Some(found) => format!("required {requirement}: found {found}"),
                None => format!("required {requirement}: the report has no such figure"),
            });
        }
        report.requirements.push(RequirementFigure { requirement: requirement.to_string(), found, holds });
    }
    reasons
}
