//! What one value of a scenario cannot know by its type: bounds, and how values fit together.

use kuota_api::v1::RefusalReason;

use super::{CatalogOrigin, CatalogSection, PaymentsSection, Scenario};
use crate::{limits, payday::audit::COUNTS, plan::planned_calls};

/// What is wrong with a key.
pub(super) struct Complaint {
    pub(super) key: &'static str,
    pub(super) message: String,
}

/// Checks bounds and sums.
pub(super) fn check(scenario: &Scenario) -> Result<(), Complaint> {
    let Scenario { catalog, opening, people, arrivals, retries, client, bounds, .. } = scenario;
    let is_generated = catalog.origin == CatalogOrigin::Generated;
    let span = limits::SPAN_MS_MAX;
    let bounded = [
        ("time_compression_factor", scenario.time_compression_factor, 1, 1_000),
        ("generated_offices", catalog.generated_offices, u64::from(is_generated), 10_000),
        ("generated_places", catalog.generated_places, u64::from(is_generated), 100_000_000),
        ("generated_hold_minutes", catalog.generated_hold_minutes, 0, 60),
        ("service_days", catalog.service_days, 1, 20),
        ("zipf_exponent_percent", catalog.zipf_exponent_percent, 0, 300),
        ("lead_ms", opening.lead_ms, 100, 60_000),
        ("people", people.people, 1, limits::PEOPLE_MAX),
        ("human_percent", people.human_percent, 0, 100),
        ("app_percent", people.app_percent, 0, 100),
        ("bot_percent", people.bot_percent, 0, 100),
        ("double_clicker_percent", people.double_clicker_percent, 0, 100),
        ("impatient_percent", people.impatient_percent, 0, 100),
        ("attempts_min", people.attempts_min, 1, limits::ATTEMPTS_MAX),
        ("attempts_max", people.attempts_max, people.attempts_min, limits::ATTEMPTS_MAX),
        ("prepoll_ms", arrivals.prepoll_ms, 0, span),
        ("step_factor", arrivals.step_factor, 1, 1_000),
        ("fast_percent", arrivals.fast_percent, 0, 100),
        ("fast_tau_ms", arrivals.fast_tau_ms, 1, span),
        ("slow_tau_ms", arrivals.slow_tau_ms, 1, span),
        ("window_ms", arrivals.window_ms, 1, span),
        ("impatient_ms", arrivals.impatient_ms, 0, span),
        ("bot_lead_ms", arrivals.bot_lead_ms, 0, span),
        ("bot_spread_ms", arrivals.bot_spread_ms, 0, span),
        ("bot_requests", arrivals.bot_requests, 1, limits::BOT_REQUESTS_MAX),
        ("bot_gap_ms", arrivals.bot_gap_ms, 0, span),
        ("second_click_ms", arrivals.second_click_ms, 1, span),
        ("human_wait_min_ms", retries.human_wait_min_ms, 1, span),
        ("human_wait_max_ms", retries.human_wait_max_ms, retries.human_wait_min_ms, span),
        ("app_backoff_base_ms", retries.app_backoff_base_ms, 1, span),
        ("app_backoff_max_ms", retries.app_backoff_max_ms, retries.app_backoff_base_ms, span),
        ("bot_wait_ms", retries.bot_wait_ms, 1, span),
        ("connections", client.connections, client.threads, limits::CONNECTIONS_MAX),
        ("streams", client.streams, 1, limits::STREAMS_MAX),
        ("threads", client.threads, 1, limits::THREADS_MAX),
        ("timeout_ms", client.timeout_ms, 10, 600_000),
        ("batch_asks", client.batch_asks, 1, limits::BATCH_ASKS_MAX),
        ("lag_p99_ms_max", bounds.lag_p99_ms_max, 1, 60_000),
        ("stall_ms_max", bounds.stall_ms_max, 1, 600_000),
        ("errors_max", bounds.errors_max, 0, limits::PLANNED_CALLS_MAX),
    ];
    for (key, value, min, max) in bounded {
        if !(min..=max).contains(&value) {
            return Err(Complaint { key, message: format!("{value}: {min} to {max} is allowed") });
        }
    }
    let shares = people.human_percent + people.app_percent + people.bot_percent;
    let shares = shares + people.double_clicker_percent;
    if shares != 100 {
        let message = format!("the shares of the four personas make {shares}; 100 is allowed");
        return Err(Complaint { key: "human_percent", message });
    }
    if catalog.origin == CatalogOrigin::File && catalog.file.is_none() {
        return Err(Complaint {
            key: "origin",
            message: "a catalogue from a file needs the key `file`".into(),
        });
    }
    if is_generated {
        generated(catalog)?;
    }
    if let Some(payments) = &scenario.payments {
        self::payments(payments, catalog)?;
    }
    let planned = planned_calls(scenario);
    if planned > limits::PLANNED_CALLS_MAX {
        let message =
            format!("{planned} calls are planned before retries; {} are allowed", limits::PLANNED_CALLS_MAX);
        return Err(Complaint { key: "people", message });
    }
    for outcome in &scenario.expect.outcomes {
        let is_reason = RefusalReason::from_str_name(&format!("REFUSAL_REASON_{outcome}")).is_some();
        let is_known =
            ["GRANTED", "REPEATED"].contains(&outcome.as_str()) || COUNTS.contains(&outcome.as_str());
        if !is_reason && !is_known {
            let message = format!(
                "`{outcome}`: GRANTED, REPEATED, a reason of a refusal, or what becomes of payments is allowed"
            );
            return Err(Complaint { key: "outcomes", message });
        }
    }
    Ok(())
}

/// Payments come before a hold's end, or after it, whatever hold the catalogue has.
fn payments(payments: &PaymentsSection, catalog: &CatalogSection) -> Result<(), Complaint> {
    if catalog.generated_hold_minutes == 0 {
        let message = "payments need places that are held: a generated_hold_minutes of 1 to 60".into();
        return Err(Complaint { key: "in_time_percent", message });
    }
    let hold_ms = catalog.generated_hold_minutes * 60_000;
    let bounded = [
        ("pay_after_ms_max", payments.pay_after_ms_max, 1, hold_ms / 2),
        ("late_after_ms_max", payments.late_after_ms_max, 1, 600_000),
        ("freed_within_ms_max", payments.freed_within_ms_max, 1, 60_000),
    ];
    for (key, value, min, max) in bounded {
        if !(min..=max).contains(&value) {
            return Err(Complaint { key, message: format!("{value}: {min} to {max} is allowed") });
        }
    }
    let shares = payments.in_time_percent + payments.late_percent;
    let shares = shares + payments.twice_percent + payments.wrong_amount_percent;
    if shares > 100 {
        let message = format!("the shares of those who pay make {shares}; up to 100 is allowed");
        return Err(Complaint { key: "in_time_percent", message });
    }
    Ok(())
}

/// A generated catalogue has a slot for each office and day, and every place it is said to have.
fn generated(catalog: &CatalogSection) -> Result<(), Complaint> {
    let CatalogSection { generated_offices, generated_places, service_days, .. } = catalog;
    let slots = generated_offices * service_days;
    if slots > limits::SLOTS_MAX as u64 {
        let message = format!(
            "{generated_offices} on {service_days} days make {slots} slots; {} are allowed",
            limits::SLOTS_MAX
        );
        return Err(Complaint { key: "generated_offices", message });
    }
    if *generated_places < slots || generated_places % service_days != 0 {
        let message = format!(
            "{generated_places}: a multiple of service_days ({service_days}), and at least one place for each of {slots} slots, \
             is allowed"
        );
        return Err(Complaint { key: "generated_places", message });
    }
    Ok(())
}
