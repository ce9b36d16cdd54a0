//! Operators' writes: who, why, and by what a repeat is recognised.

use std::sync::Arc;

use kuota_api::v1;
use kuota_domain::{
    catalog::Catalog,
    catalog_diff::{Difference, DifferenceKind},
    event::Actor,
    ids::{ContentHash, RequestKey},
    ledger::{Directive, Instruction, Pause, SlotChange},
    limits::{ACTOR_CHARS_MAX, REASON_CHARS_MAX},
    slot::Scope,
};
use prost::Message;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;
use uuid::Uuid;

use super::{
    Api,
    convert::{self, Violations, lane_of, timestamp},
    language::Language,
    registration::ANONYMOUS,
    status::status,
};
use crate::{
    engine::{Directory, Failure, Operated, OperatorView, Pushback},
    limits::CHANGES_SHOWN_MAX,
};

/// A request that changes something.
pub(super) trait Write: Message {
    /// Tells it from other writes of the same shape.
    const METHOD: &'static str;

    /// Its command, taken out: what is left is its content.
    fn take_command(&mut self) -> Option<v1::Command>;
}

macro_rules! writes {
    ($($request:ident $method:literal)+) => {$(
        impl Write for v1::$request {
            const METHOD: &'static str = $method;

            fn take_command(&mut self) -> Option<v1::Command> {
                self.command.take()
            }
        }
    )+};
}

writes! {
    ApplyCatalogRequest "ApplyCatalog"
    ScheduleOpeningRequest "ScheduleOpening"
    SetQuotaRequest "SetQuota"
    ClearOverrideRequest "ClearOverride"
    PauseRequest "Pause"
    ResumeRequest "Resume"
    ResolvePaymentCaseRequest "ResolvePaymentCase"
    RescheduleSpeciallyRequest "RescheduleSpecially"
}

/// Who wants something, and why.
#[derive(Debug)]
pub(super) struct Wanted {
    request: RequestKey,
    content: ContentHash,
    actor: Actor,
    reason: Box<str>,
}

/// Reads the command of a write; what is wrong is noted.
pub(super) fn take(request: &mut impl Write, violations: &mut Violations) -> Option<Wanted> {
    let Some(command) = request.take_command() else {
        violations.add("command", "request_id, actor and reason are required");
        return None;
    };
    let id = violations.take("command.request_id", convert::uuid(&command.request_id));
    let texts = [
        ("command.actor", &command.actor, ACTOR_CHARS_MAX),
        ("command.reason", &command.reason, REASON_CHARS_MAX),
    ];
    for (field, text, most) in texts {
        if text.trim().is_empty() || text.chars().count() > most {
            violations.add(field, format!("1 to {most} characters are allowed"));
        }
    }
    let (caller, subject) = (ANONYMOUS, command.actor.as_str().into());
    Some(Wanted {
        request: RequestKey { caller, id: id? },
        content: content(request),
        actor: Actor { caller, subject },
        reason: command.reason.into(),
    })
}

fn content<R: Write>(request: &R) -> ContentHash {
    let mut hash = Sha256::new();
    hash.update(R::METHOD);
    hash.update([0]);
    hash.update(request.encode_to_vec());
    let mut content = [0; 16];
    content.copy_from_slice(&hash.finalize()[..16]);
    ContentHash(content)
}

/// What became of a write.
pub(super) struct Done {
    request_id: u128,
    operated: Operated,
}

impl Api {
    /// Carries a write out, or says what it would come to.
    pub(super) async fn operate(
        &self,
        wanted: Wanted,
        directive: Directive,
        validate_only: bool,
        language: Language,
    ) -> Result<Done, Status> {
        let Wanted { request, content, actor, reason } = wanted;
        let instruction = Instruction { request, content, actor, reason, directive };
        let operated = self.engine.operate(instruction, validate_only).await;
        let operated = operated.map_err(|failure| status(failure, language))?;
        Ok(Done { request_id: request.id, operated })
    }

    /// Every pause in force.
    pub(super) fn pauses(&self) -> Vec<v1::PauseState> {
        // The view first: every office in it is in the directory that comes after.
        let view = self.engine.operator_view();
        pauses(&view, &self.engine.directory())
    }

    /// A seat for somebody whose write takes long to read.
    pub(super) fn take_writer(&self, language: Language) -> Result<OwnedSemaphorePermit, Status> {
        let seat = self.writers.clone().try_acquire_owned();
        seat.map_err(|_| status(Failure::Overloaded(Pushback::default()), language))
    }
}

/// The pauses of a view.
pub(super) fn pauses(view: &OperatorView, directory: &Directory) -> Vec<v1::PauseState> {
    let state = |(scope, pause): (&Scope, &Pause)| v1::PauseState {
        scope: Some(v1::Scope {
            office_id: scope
                .office
                .and_then(|office| directory.office(office))
                .map(|entry| entry.office.id.to_string()),
            service_date: scope.day.map(|day| day.to_string()),
            lane: scope.lane.map(|lane| lane_of(lane).into()),
        }),
        since: Some(timestamp(pause.since)),
        actor: pause.actor.to_string(),
        reason: pause.reason.to_string(),
    };
    view.pauses.iter().map(state).collect()
}

impl Done {
    pub(super) fn receipt(&self) -> Option<v1::Receipt> {
        self.operated.receipt.map(|receipt| v1::Receipt {
            request_id: Uuid::from_u128(self.request_id).to_string(),
            time: Some(timestamp(receipt.at)),
            changes: receipt.changes,
            repeated_request: receipt.repeated,
        })
    }

    pub(super) fn slots(&self) -> Vec<v1::SlotChange> {
        self.operated.slots.iter().take(CHANGES_SHOWN_MAX).map(slot_change).collect()
    }

    pub(super) fn slots_total(&self) -> u32 {
        u32::try_from(self.operated.slots.len()).unwrap_or(u32::MAX)
    }

    /// The catalogue an applied one was compared with.
    pub(super) fn catalog_before(&self) -> Option<Arc<Catalog>> {
        self.operated.before.clone()
    }
}

fn slot_change(change: &SlotChange) -> v1::SlotChange {
    v1::SlotChange {
        office_id: change.office.to_string(),
        service_date: change.slot.day.to_string(),
        lane: lane_of(change.slot.lane).into(),
        capacity_before: change.before.map(|before| before.capacity),
        capacity_after: change.after.capacity,
        granted: change.granted,
        open_time_before: change.before.map(|before| timestamp(before.open_at)),
        open_time_after: Some(timestamp(change.after.open_at)),
    }
}

/// The API's form of a difference.
pub(super) fn difference(difference: &Difference) -> v1::CatalogChange {
    let kind = match difference.kind {
        DifferenceKind::Added => v1::CatalogChangeKind::Added,
        DifferenceKind::Changed => v1::CatalogChangeKind::Changed,
        DifferenceKind::Removed => v1::CatalogChangeKind::Removed,
    };
    v1::CatalogChange {
        kind: kind.into(),
        subject: difference.subject.clone(),
        field: difference.field.clone(),
        before: difference.before.clone(),
        after: difference.after.clone(),
    }
}
