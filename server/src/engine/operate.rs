//! Operators' writes: an order is rehearsed on the ledger, its events go to the log like any others, and the answer
//! waits for the commit.

use std::{collections::BTreeMap, sync::Arc};

use kuota_domain::{
    catalog::Catalog,
    event::Override,
    ledger::{Directive, Instruction, Ledger, Objection, Pause, Rehearsal, SlotChange},
    slot::{Scope, SlotKey},
    time::UnixMillis,
};
use tokio::sync::oneshot;

use super::{
    Engine, Failure,
    batch::{Order, Reply},
    ledger_thread::LedgerThread,
};

/// What an operator is told.
pub type OperatorAnswer = Result<Operated, Failure>;

/// What became of an operator's wish, or would.
#[derive(Clone, Debug, Default)]
pub struct Operated {
    /// When and how much; `None` when it was only validated.
    pub receipt: Option<Receipt>,
    /// Slots whose places or opening differ.
    pub slots: Vec<SlotChange>,
    /// The catalogue it was compared with, if it was about one.
    pub before: Option<Arc<Catalog>>,
}

/// A write that is in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// When it was carried out.
    pub at: UnixMillis,
    /// Events it caused.
    pub changes: u32,
    /// It was carried out before this call.
    pub repeated: bool,
}

/// What operators see: the catalogue in force and the layer above it, as committed.
#[derive(Clone, Debug, Default)]
pub struct OperatorView {
    /// The catalogue.
    pub catalog: Arc<Catalog>,
    /// Quotas and openings above it.
    pub overrides: BTreeMap<SlotKey, Override>,
    /// Pauses above it.
    pub pauses: BTreeMap<Scope, Pause>,
}

impl OperatorView {
    /// As the ledger stands; the catalogue is made anew only when it changed.
    pub(super) fn of(ledger: &Ledger, catalog: Option<Arc<Catalog>>) -> Self {
        Self {
            catalog: catalog.unwrap_or_else(|| Arc::new(ledger.catalog())),
            overrides: ledger.overrides().clone(),
            pauses: ledger.pauses().clone(),
        }
    }
}

impl Engine {
    /// Carries out what an operator wants; with `validate_only`, says what it would come to.
    ///
    /// # Errors
    /// Why not, or why there is no answer.
    pub async fn operate(&self, instruction: Instruction, validate_only: bool) -> OperatorAnswer {
        if self.clock.drifts() {
            return Err(Failure::ClockDrift);
        }
        let (answer, receiver) = oneshot::channel();
        self.send(Order::Operate { instruction: Box::new(instruction), validate_only, answer })?;
        receiver.await.unwrap_or(Err(Failure::OutcomeUnknown))
    }

    /// The catalogue in force and the layer above it.
    #[must_use]
    pub fn operator_view(&self) -> Arc<OperatorView> {
        self.read.operators.load_full()
    }
}

impl LedgerThread {
    /// Rehearses an instruction and, unless it is only asked about, applies what it comes to.
    pub(super) fn operate(
        &mut self,
        instruction: &Instruction,
        validate_only: bool,
        answer: oneshot::Sender<OperatorAnswer>,
    ) {
        let before = match &instruction.directive {
            Directive::ApplyCatalog { .. } => {
                let catalog = self.catalog.get_or_insert_with(|| Arc::new(self.ledger.catalog()));
                Some(catalog.clone())
            }
            Directive::ScheduleOpening { .. }
            | Directive::SetQuota { .. }
            | Directive::ClearOverride(_)
            | Directive::Pause(_)
            | Directive::Resume(_)
            | Directive::ResolveCase { .. }
            | Directive::Reschedule { .. } => None,
        };
        if self.is_behind() {
            // It was not put off: the log is full, and what is due waits for that to pass.
            self.current.replies.push(Reply::Operate { outcome: Err(Failure::LogFull), answer });
            return;
        }
        let outcome = match self.ledger.rehearse(instruction, self.now) {
            Err(Objection::RequestReused) => Err(Failure::RequestReused),
            Err(objection) => Err(Failure::Objected(objection)),
            Ok(Rehearsal::Repeat(record)) => {
                let receipt = Receipt { at: record.at, changes: record.changes, repeated: true };
                Ok(Operated { receipt: Some(receipt), ..Operated::default() })
            }
            Ok(Rehearsal::Events { slots, .. }) if validate_only => {
                Ok(Operated { receipt: None, slots, before })
            }
            Ok(Rehearsal::Events { events, slots }) => {
                // The last event is the mark by which a repeat is recognised.
                let changes = u32::try_from(events.len() - 1).unwrap_or(u32::MAX);
                let receipt = Some(Receipt { at: self.now, changes, repeated: false });
                events.into_iter().for_each(|event| self.apply(event));
                Ok(Operated { receipt, slots, before })
            }
        };
        self.current.replies.push(Reply::Operate { outcome, answer });
    }
}
