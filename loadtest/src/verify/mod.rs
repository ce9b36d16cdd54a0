//! Proves the outcome of a run from the server's answers afterwards.

pub mod evidence;
mod inquiry;
pub mod judge;

use std::time::SystemTime;

use kuota_client::PassportKind;
use kuota_server::verify::Verdict as LogVerdict;

use self::{
    evidence::Evidence,
    inquiry::Inquiry,
    judge::{Findings, Told, judge},
};
use crate::{
    driver::{
        ask::Driven,
        letter::{Letters, SlotName},
    },
    target::{Target, ground::wall_ms},
};

/// What was found, and on what it rests.
#[derive(Debug)]
pub struct Proof {
    /// By the server's answers.
    pub findings: Findings,
    /// What the server said.
    pub evidence: Evidence,
    /// By the server's log, where it can be read.
    pub log: Option<LogVerdict>,
    /// What could not be asked here, for people.
    pub not_proven: Vec<String>,
}

/// Asks the server, and judges. What gets no answer is a finding, and never ends the run without a report.
pub async fn prove(
    target: &Target,
    letters: &Letters,
    driven: &Driven,
    (began, passport): (SystemTime, PassportKind),
) -> Proof {
    let ground = &target.ground;
    let inquiry = Inquiry {
        client: &target.client,
        admin: target.admin.as_ref(),
        ground,
        identities: letters.identities(),
        began,
        passport,
    };
    let mut evidence = inquiry.ask_all(driven).await;
    let log = match target.log().map(|log| kuota_server::verify::verify(&log)).transpose() {
        Ok(log) => log,
        Err(error) => {
            evidence.unanswered.note(format!("the log cannot be read: {error}"));
            None
        }
    };
    let name = |slot: &SlotName| format!("{} {}", slot.office_id, slot.service_date);
    let names: Vec<String> = ground.slots.iter().map(name).collect();
    let told = Told {
        acks: &driven.acks,
        refused_repeats: &driven.refused_repeats,
        sold_out: &driven.sold_out,
        before: &ground.before,
        days_were_open: ground.was_open,
        t0_ms: wall_ms(ground.t0),
        began_ms: wall_ms(began),
        gap: target.gap,
        names: &names,
        identities: letters.identities(),
    };
    let findings = judge(&evidence, &told);
    Proof { findings, evidence, log, not_proven: not_proven(target) }
}

fn not_proven(target: &Target) -> Vec<String> {
    let mut words = Vec::new();
    if target.admin.is_none() {
        words.push(
            "registrations nobody was told of, and queue numbers (--admin-target lets them be counted)"
                .into(),
        );
    }
    if target.log().is_none() {
        words.push("the log".into());
    }
    if target.ground.was_open {
        words.push("the edge at T0 (the days were open before)".into());
    }
    words
}
