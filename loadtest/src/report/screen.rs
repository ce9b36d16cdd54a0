//! The final screen: one page that a person can read, the verdict first.

use std::fmt::Write as _;

use super::figures::{Percentiles, Report};
use crate::limits::OFFICES_SHOWN_MAX;

/// The page.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut page = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut page, report);
    page
}

fn write(page: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(page, "{}  {}", report.verdict, headline(report))?;
    for reason in &report.reasons {
        writeln!(page, "  {reason}")?;
    }
    let compressed = match report.time_compression_factor {
        1 => "time as modelled".into(),
        factor => format!("time compressed {factor} times"),
    };
    writeln!(
        page,
        "\nscenario  {}, seed {}, {compressed}, {} people, {} offices, {} places",
        report.scenario, report.seed, report.people, report.offices, report.places
    )?;
    writeln!(page, "schedule  {}", report.schedule_digest)?;
    writeln!(page, "target    {}, T0 {}, run id {}", report.target, report.t0, report.run_id)?;
    if let Some(chaos) = &report.chaos {
        writeln!(page, "chaos     {chaos}")?;
    }
    writeln!(
        page,
        "\ncalls     {} offered, {} sent, {} answered, {} not sent, {} timed out, {} broken",
        report.offered, report.sent, report.answered, report.unsent, report.timed_out, report.broken
    )?;
    writeln!(
        page,
        "          {} in flight at most, busiest second {}, {:.2} calls a journey's first, {:.1} s",
        report.in_flight_max,
        report.usage.busiest_second_calls,
        report.retry_amplification,
        report.duration_s
    )?;
    let named = |counts: &std::collections::BTreeMap<String, u64>| {
        let words: Vec<_> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    };
    writeln!(
        page,
        "outcomes  granted {}, repeated {}, looked {}",
        report.granted, report.repeated, report.looked
    )?;
    writeln!(page, "          refused: {}", named(&report.refused))?;
    writeln!(page, "          errors: {}", named(&report.errors))?;
    let found = &report.findings;
    writeln!(
        page,
        "places    {} registrations; oversold {}, lost {}, untold {}, duplicated {}, early {}, stranded {}, unequal repeats {}",
        found.registrations,
        found.oversold,
        found.lost,
        found.untold,
        found.duplicated,
        found.early,
        found.stranded,
        found.unequal_repeats
    )?;
    let log = match report.log_verified {
        Some(true) => "the log verifies",
        Some(false) => "THE LOG DOES NOT VERIFY",
        None => "the log cannot be read from here",
    };
    writeln!(
        page,
        "          without an answer: {} granted all the same, {} lost in flight, {} failed, {} never sent, {} unknown; {log}",
        found.unanswered_granted,
        found.in_flight_lost,
        found.failed_not_granted,
        found.never_sent,
        found.unresolved
    )?;
    if !report.not_proven.is_empty() {
        writeln!(page, "          not proven: {}", report.not_proven.join("; "))?;
    }
    if let Some(first) = report.first_grant_after_t0_ms {
        writeln!(page, "          first grant {first} ms after T0")?;
    }
    writeln!(
        page,
        "\n{:22}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "milliseconds", "p50", "p90", "p99", "p99.9", "max"
    )?;
    let latency = &report.latency_ms;
    for (name, percentiles) in [
        ("response", &latency.response),
        ("service", &latency.service),
        ("lag (ours)", &latency.lag),
        ("journey", &latency.journey),
        ("response, hot offices", &latency.response_hot_offices),
        ("response, the others", &latency.response_other_offices),
    ] {
        row(page, name, percentiles)?;
    }
    writeln!(page)?;
    for (name, persona) in &report.personas {
        writeln!(
            page,
            "{name:16}{:>9} journeys {:>8} places {:>6.1} %   response p99 {:>9.1} ms",
            persona.journeys, persona.places, persona.share_percent, persona.response.p99
        )?;
    }
    if let Some(inversions) = report.order_inversions_percent {
        writeln!(page, "{inversions:.1} % of neighbours in the queue came in the other order")?;
    }
    writeln!(page)?;
    for office in report.by_office.iter().take(OFFICES_SHOWN_MAX) {
        let when = match office.sold_out_after_s {
            Some(seconds) => format!("sold out after {seconds:.3} s"),
            None => format!("{} left", office.capacity.saturating_sub(office.granted)),
        };
        writeln!(page, "{:30}{:>7} of {:<7} {when}", office.office_id, office.granted, office.capacity)?;
    }
    if report.by_office.len() > OFFICES_SHOWN_MAX {
        let sold_out = report.by_office.iter().filter(|office| office.sold_out_after_s.is_some()).count();
        writeln!(page, "… {sold_out} of {} offices sold out", report.by_office.len())?;
    }
    let usage = &report.usage;
    let server = usage.server_cpu_us_per_call.map_or("unknown".into(), |us| format!("{us:.1} us"));
    writeln!(
        page,
        "\nthis client  {:.0} % of a core in its busiest second, {:.1} us of CPU a call, {:.0} MiB at most; ceiling {:.0} calls/s",
        usage.busiest_second_cpu_percent,
        usage.client_cpu_us_per_call,
        usage.peak_memory_mib,
        usage.ceiling_calls_per_s
    )?;
    writeln!(
        page,
        "the server   {server} of CPU a call; the machine wakes who waits late by {:.2} ms (p99)",
        usage.noise_p99_ms
    )?;
    for requirement in &report.requirements {
        let found = requirement.found.map_or("no such figure".into(), |found| format!("{found}"));
        let word = if requirement.holds { "holds" } else { "does not hold" };
        writeln!(page, "required {}: {word} ({found})", requirement.requirement)?;
    }
    writeln!(page, "{}", report.command)?;
    writeln!(page, "{}", report.machine)
}

fn headline(report: &Report) -> String {
    format!(
        "{} of {} places granted, response p99 {:.1} ms",
        report.findings.registrations, report.places, report.latency_ms.response.p99
    )
}

fn row(page: &mut String, name: &str, percentiles: &Percentiles) -> std::fmt::Result {
    let Percentiles { p50, p90, p99, p999, max } = percentiles;
    writeln!(page, "{name:22}{p50:>10.2}{p90:>10.2}{p99:>10.2}{p999:>10.2}{max:>10.2}")
}
