//! A report's figures from what was measured.

use std::collections::{BTreeMap, HashSet};

use kuota_api::v1::RefusalReason;
use tonic::Code;

use super::{Measured, Order};
use crate::{
    driver::tally::{Counts, Tally},
    exit::Verdict,
    plan::{Kind, Persona},
    report::figures::{Latencies, OfficeFigures, Percentiles, PersonaFigures, Report, Usage, code_name},
    target::{ground::wall_ms, usage::peak_memory_kib},
};

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn float(count: u64) -> f64 {
    count as f64
}

/// Everything but the verdict.
pub(super) fn compose(order: &Order, measured: &Measured, in_flight_max: u64) -> Report {
    let Measured { calibration, target, shared, driven, series, proof, .. } = measured;
    let Tally { counts, .. } = &driven.tally;
    let (scenario, ground) = (&shared.scenario, &target.ground);
    let t0_ms = wall_ms(ground.t0);
    let first_grant_ms = driven.acks.iter().map(|ack| ack.create_time_ms).min();
    let busiest = series.iter().map(|row| row.calls).max().unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let ms = |us: i64| us as f64 / 1_000.0;
    Report {
        verdict: Verdict::Void,
        reasons: Vec::new(),
        scenario: scenario.name.clone(),
        seed: scenario.seed,
        run_id: order.run_id.clone(),
        schedule_digest: shared.plan.digest.clone(),
        time_compression_factor: scenario.time_compression_factor,
        target: target.address.to_string(),
        own_server: order.target.is_none(),
        t0: jiff::Timestamp::try_from(ground.t0).map(|time| time.to_string()).unwrap_or_default(),
        days_were_open: ground.was_open,
        not_proven: proof.not_proven.clone(),
        duration_s: measured.duration_s,
        people: scenario.people.people,
        offices: ground.offices.len(),
        places: ground.places(),
        offered: counts.offered,
        sent: counts.sent,
        calls: counts.calls,
        answered: counts.answered,
        unsent: counts.unsent,
        timed_out: counts.timed_out,
        broken: counts.broken,
        retries: counts.retries,
        retry_amplification: float(counts.offered - counts.looks) / float(counts.journeys.max(1)),
        in_flight_max,
        granted: counts.granted,
        repeated: counts.repeated,
        looked: counts.looked,
        refused: refused(counts),
        payments: measured.payments.clone(),
        errors: errors(counts),
        errors_excused: counts.excused,
        findings: proof.findings.clone(),
        log_verified: proof.log.as_ref().map(|log| log.ok),
        latency_ms: latencies(&driven.tally),
        silence_max_ms: ms(driven.tally.silence_us.0),
        silence_unexcused_max_ms: ms(driven.tally.unexcused_silence_us.0),
        first_grant_after_t0_ms: first_grant_ms.filter(|_| !ground.was_open).map(|first| first - t0_ms),
        order_inversions_percent: inversions(measured),
        chaos: measured.chaos.clone(),
        usage: Usage {
            client_cpu_us_per_call: float(driven.cpu_ns) / 1_000.0 / float(counts.calls.max(1)),
            server_cpu_us_per_call: measured.server_cpu_us.map(|us| float(us) / float(counts.calls.max(1))),
            peak_memory_mib: float(peak_memory_kib()) / 1_024.0,
            ceiling_calls_per_s: calibration.ceiling_calls_per_s,
            busiest_second_calls: busiest,
            busiest_second_cpu_percent: series.iter().map(|row| row.client_cpu_percent).fold(0.0, f64::max),
            noise_p99_ms: calibration.noise_p99_ms,
        },
        personas: personas(measured),
        by_office: offices(measured),
        requirements: Vec::new(),
        command: order.command.clone(),
        machine: machine(),
        series: series.clone(),
    }
}

/// Refusals by the API's names.
fn refused(counts: &Counts) -> BTreeMap<String, u64> {
    let named = counts.refused.iter().enumerate().filter(|(_, count)| **count > 0).map(|(reason, count)| {
        let reason = i32::try_from(reason).ok().and_then(|reason| RefusalReason::try_from(reason).ok());
        let name = reason.map_or("UNSPECIFIED", |reason| reason.as_str_name());
        (name.trim_start_matches("REFUSAL_REASON_").to_owned(), *count)
    });
    named.collect()
}

/// Errors by gRPC's names; what this client gave up or lost counts as what a caller would see.
fn errors(counts: &Counts) -> BTreeMap<String, u64> {
    let mut named: BTreeMap<String, u64> = BTreeMap::new();
    for (code, count) in counts.errors.iter().enumerate().filter(|(_, count)| **count > 0) {
        *named.entry(code_name(i32::try_from(code).unwrap_or(2))).or_default() += count;
    }
    for (code, count) in [(Code::DeadlineExceeded, counts.timed_out), (Code::Unavailable, counts.broken)] {
        if count > 0 {
            *named.entry(code_name(code.into())).or_default() += count;
        }
    }
    named
}

fn latencies(tally: &Tally) -> Latencies {
    Latencies {
        response: Percentiles::of(&tally.response),
        service: Percentiles::of(&tally.service),
        lag: Percentiles::of(&tally.lag),
        journey: Percentiles::of(&tally.journey),
        response_hot_offices: Percentiles::of(&tally.offices[0]),
        response_other_offices: Percentiles::of(&tally.offices[1]),
    }
}

fn personas(measured: &Measured) -> BTreeMap<&'static str, PersonaFigures> {
    let tally = &measured.driven.tally;
    let mut holders: [HashSet<u32>; 4] = Default::default();
    for ack in &measured.driven.acks {
        if let Some(persona) = ack.kind.persona() {
            holders[persona as usize].insert(ack.person);
        }
    }
    let all: u64 = holders.iter().map(|people| people.len() as u64).sum();
    let figures = Persona::ALL.into_iter().map(|persona| {
        let places = holders[persona as usize].len() as u64;
        let figures = PersonaFigures {
            journeys: tally.ended[persona as usize].0,
            places,
            share_percent: 100.0 * float(places) / float(all.max(1)),
            response: Percentiles::of(&tally.personas[persona as usize]),
        };
        (persona.name(), figures)
    });
    figures.collect()
}

/// Places of offices, before the verification was granted any: by the export, or where there is none by what the server
/// says is free, and by what was acknowledged.
fn offices(measured: &Measured) -> Vec<OfficeFigures> {
    let (ground, reading) = (&measured.target.ground, &measured.proof.evidence.first);
    let days = ground.dates().len().max(1);
    let mut grants: BTreeMap<u16, (u64, i64)> = BTreeMap::new();
    let mut grant = |slot: u16, places: u64, at_ms: i64| {
        let slot = grants.entry(slot).or_default();
        *slot = (slot.0 + places, slot.1.max(at_ms));
    };
    match &reading.held {
        Some(held) => held
            .iter()
            .filter(|held| !held.is_over)
            .for_each(|held| grant(held.slot, held.people.len().max(1) as u64, held.create_time_ms)),
        None => {
            let mut seen = HashSet::new();
            let acks = measured.driven.acks.iter().filter(|ack| seen.insert(ack.id));
            acks.for_each(|ack| grant(ack.slot, 1, ack.create_time_ms));
        }
    }
    let office = |(number, office_id): (usize, &String)| {
        let mut figures = OfficeFigures {
            office_id: office_id.clone(),
            capacity: 0,
            granted: 0,
            sold_out_after_s: Some(0.0),
            told_sold_out: 0,
        };
        for slot in number * days..(number + 1) * days {
            let Ok(slot) = u16::try_from(slot) else { continue };
            let facts = reading.slots.get(&slot).copied().unwrap_or_default();
            let (counted, last_ms) = grants.get(&slot).copied().unwrap_or_default();
            let capacity = u64::from(facts.capacity);
            let shown = facts.available.map(|available| capacity.saturating_sub(available.into()));
            let granted =
                shown.filter(|_| reading.held.is_none()).map_or(counted, |shown| shown.max(counted));
            figures.capacity += capacity;
            figures.granted += granted;
            figures.told_sold_out += u64::from(measured.driven.sold_out[usize::from(slot)]);
            let is_sold_out = counted > 0 && granted >= capacity;
            #[expect(clippy::cast_precision_loss, reason = "figures for people")]
            let after_s = (last_ms - facts.open_time_ms.unwrap_or(last_ms)) as f64 / 1_000.0;
            figures.sold_out_after_s =
                figures.sold_out_after_s.filter(|_| is_sold_out).map(|latest| latest.max(after_s));
        }
        figures
    };
    ground.offices.iter().enumerate().map(office).collect()
}

/// Of neighbours in a queue, how many came in the other order.
fn inversions(measured: &Measured) -> Option<f64> {
    let held = measured.proof.evidence.first.held.as_ref()?;
    let first = measured.driven.acks.iter().filter(|ack| ack.kind != Kind::SecondClick);
    let first_us: BTreeMap<u128, i64> = first.map(|ack| (ack.id, ack.first_us)).collect();
    let mut queues: BTreeMap<(u16, &str), Vec<(u32, i64)>> = BTreeMap::new();
    for held in held {
        if let Some(first_us) = first_us.get(&held.id) {
            queues.entry((held.slot, &held.session)).or_default().push((held.queue_number, *first_us));
        }
    }
    let (mut pairs, mut inverted) = (0_u64, 0_u64);
    for queue in queues.values_mut() {
        queue.sort_unstable();
        pairs += queue.len().saturating_sub(1) as u64;
        inverted += queue.windows(2).filter(|pair| pair[1].1 < pair[0].1).count() as u64;
    }
    (pairs > 0).then(|| 100.0 * float(inverted) / float(pairs))
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("");
    format!("{cores} cores,{}, Linux {}", model.trim_start_matches(['\t', ':']), kernel.trim())
}
