//! Proves the outcome of a run from the server's answers afterwards.

pub mod evidence;
pub mod judge;

use kuota_server::verify::Verdict as LogVerdict;

use self::{
    evidence::{Evidence, Inquiry, wall_ms},
    judge::{Findings, Told, judge},
};
use crate::{
    driver::{
        letter::{Letters, SlotName},
        worker::Driven,
    },
    target::Target,
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
}

/// Asks the server, and judges.
///
/// # Errors
/// When the server does not answer.
pub async fn prove(target: &Target, letters: &Letters, driven: &Driven) -> anyhow::Result<Proof> {
    let inquiry = Inquiry {
        client: &target.client,
        admin: target.admin.as_ref(),
        ground: &target.ground,
        identities: letters.identities(),
    };
    let evidence = inquiry.ask_all(driven).await?;
    let name = |slot: &SlotName| format!("{} {}", slot.office_id, slot.service_date);
    let names: Vec<String> = target.ground.slots.iter().map(name).collect();
    let told = Told {
        acks: &driven.acks,
        sold_out: &driven.sold_out,
        t0_ms: if target.ground.was_open { i64::MAX / 2 } else { wall_ms(target.ground.t0) },
        names: &names,
    };
    let findings = judge(&evidence, &told);
    let log = target.log().map(|log| kuota_server::verify::verify(&log)).transpose()?;
    Ok(Proof { findings, evidence, log })
}
