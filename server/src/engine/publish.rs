//! Making a committed batch visible. Order: registrations, request map, slot words (Release), answers.

use std::{mem, sync::Arc};

use kuota_domain::{
    ahead::{coming, fetch_all},
    calendar::ServiceDay,
    gate::{Pass, SlotGate},
    ids::{OfficeNumber, RequestKey},
    ledger::{Changed, Rejection},
    refusal::Refusal,
    slot::SlotKey,
};

use super::{
    Failure, Granted,
    batch::{Asked, Batch, Publication, Reply, Verdict},
    directory::OfficesView,
    ledger_thread::LedgerThread,
    operate::OperatorView,
    requests::Waiters,
    slots::Step,
};

impl LedgerThread {
    /// Makes everything in the log visible. Nobody looks yet: so slots may come before registrations, which are counted there.
    pub(super) fn publish_recovered(&mut self) {
        self.publish_catalog(Some(OfficesView::of(&self.ledger)), Some(OperatorView::of(&self.ledger, None)));
        let slots: Vec<_> = self.ledger.slots().collect();
        let figures: Vec<_> = slots.into_iter().map(|slot| (slot, self.ledger.standing(slot))).collect();
        self.publish_figures(&figures, &[], Vec::new());
        self.read.put_all(&self.ledger);
        self.ledger.cases().for_each(|case| self.read.cases.put(case));
    }

    pub(super) fn publish(&mut self, mut batch: Batch) {
        let mut waiters = mem::take(&mut self.published);
        let (mut dropped_days, mut shown) = (Vec::new(), Vec::with_capacity(batch.publications.len()));
        let mut steps = Vec::new();
        for publication in batch.publications.drain(..) {
            match publication {
                Publication::Registration(row, registration, happening) => {
                    steps.extend(self.read.put(row, &registration));
                    if let Some(happening) = happening {
                        self.metrics.happened(happening, registration.slot.lane);
                    }
                    shown.push(registration.request);
                    waiters.push((Waiters::default(), Granted { registration, durable: true }));
                }
                Publication::Case(case) => self.read.cases.put(&case),
                Publication::CaseForgotten(number) => self.read.cases.forget(number),
                Publication::Forgotten(row) => self.read.finder.hide(row),
                Publication::DayDropped(office, day) => dropped_days.push((office, day)),
            }
        }
        self.read.requests.withdraw_all(&shown, |at, waiting| waiters[at].0 = waiting);
        self.publish_dropped(&dropped_days);
        self.publish_catalog(batch.offices.take(), batch.view.take());
        // Spent permits are gone with the places; the rest come home before the slots' words are written.
        let mut spent = vec![0; batch.figures.len()];
        let (mut commands, mut operations, mut flushes) = (Vec::new(), Vec::new(), Vec::new());
        let (mut answers, mut over) = (Vec::new(), Vec::with_capacity(batch.replies.len()));
        let mut replies = batch.replies.drain(..);
        for at in 0..replies.len() {
            let next = replies.as_slice();
            for (_, some) in coming(at, next.len(), 1) {
                let passes = next[some].iter().filter_map(Reply::pass);
                fetch_all(passes.filter_map(Pass::gate).map(|gate| &**gate));
            }
            let Some(reply) = replies.next() else { break };
            match reply {
                Reply::Ask(Asked { request, slot, places, verdict, granted, pass, asking }) => {
                    if let Some(at) = granted {
                        spent[at] += pass.spend();
                    } else {
                        drop(pass);
                        answers.push((request, slot, places, verdict));
                    }
                    over.push(asking);
                }
                Reply::Command { verdict, wanted, answer } => commands.push((answer, wanted, verdict)),
                Reply::Operate { outcome, answer } => operations.push((answer, outcome)),
                Reply::Flush(answer) => flushes.push(answer),
            }
        }
        drop(replies);
        self.read.askings.end_all(over);
        self.publish_figures(&batch.figures, &spent, steps);
        self.settle();
        for (waiting, granted) in waiters.drain(..) {
            waiting.answer(&Ok(granted));
        }
        for (answer, wanted, verdict) in commands {
            let verdict = verdict.map_err(|rejection| match wanted {
                Some((slot, places)) => self.confirmed(slot, places, rejection),
                None => rejection,
            });
            let said = verdict.map(|registration| Granted { registration, durable: true });
            // A caller that went away changes nothing.
            let _ = answer.send(said.map_err(Failure::from));
        }
        for (answer, outcome) in operations {
            let _ = answer.send(outcome);
        }
        for (request, slot, places, verdict) in answers {
            self.answer(request, slot, places, verdict);
        }
        for answer in flushes {
            let _ = answer.send(());
        }
        self.published = waiters;
        self.keep(batch);
    }

    /// Keeps what a batch took up for the next one.
    fn keep(&mut self, batch: Batch) {
        let Batch { publications, replies, mut figures, .. } = batch;
        figures.clear();
        if self.spare.replies.capacity() == 0 {
            self.spare = Batch { publications, replies, figures, ..mem::take(&mut self.spare) };
        }
    }

    fn publish_dropped(&mut self, days: &[(OfficeNumber, ServiceDay)]) {
        if days.is_empty() {
            return;
        }
        let mut directory = (**self.read.directory.load()).clone();
        let mut slots = self.read.slots.write();
        for (office, day) in days {
            directory.drop_day(*office, *day);
            slots.drop_day(*office, *day);
        }
        self.read.directory.store(Arc::new(directory));
    }

    /// Answers an ask that changed nothing.
    fn answer(&self, request: RequestKey, slot: SlotKey, places: u32, verdict: Verdict) {
        let rejection = match verdict {
            Ok(registration) => {
                let registration = self.read.finder.by_id(registration.id).unwrap_or(registration);
                let waiting = self.read.requests.withdraw(request);
                return waiting.answer(&Ok(Granted { registration, durable: true }));
            }
            Err(rejection) => self.confirmed(slot, places, rejection),
        };
        let failure = Failure::from(rejection).of_ask(slot, places);
        self.read.requests.withdraw(request).answer(&Err(failure));
    }

    /// INV-5: a slot found short within a batch may not have been short at any commit, if places were freed later
    /// in the same batch. Then nothing is claimed, and the caller asks again.
    fn confirmed(&self, slot: SlotKey, places: u32, rejection: Rejection) -> Rejection {
        let short =
            matches!(rejection, Rejection::Refused(Refusal::SoldOut | Refusal::NotEnoughPlaces { .. }));
        let is_free = || self.read.slots.read().free(slot) >= places;
        if short && is_free() { Rejection::Refused(Refusal::Busy) } else { rejection }
    }

    fn publish_catalog(&self, offices: Option<OfficesView>, view: Option<OperatorView>) {
        if let Some(offices) = offices {
            let mut directory = (**self.read.directory.load()).clone();
            directory.set_offices(offices);
            self.read.directory.store(Arc::new(directory));
        }
        if let Some(view) = view {
            self.read.operators.store(Arc::new(view));
        }
    }

    /// Publishes figures of slots, in whose order is said how many permits their grants spent, and counts who went where.
    fn publish_figures(&mut self, figures: &[Changed], spent: &[u32], steps: Vec<Step>) {
        let (mut directory, mut slots) = (None, self.read.slots.write());
        for (at, (slot, found)) in figures.iter().enumerate() {
            slots.look_ahead(at, &figures[at..]);
            let (slot, spent) = (*slot, spent.get(at).copied().unwrap_or(0));
            let Some((tranche, figures)) = *found else { continue };
            if let Some(owes) = slots.publish(tranche, figures, spent) {
                if owes {
                    self.indebted.insert(tranche);
                }
            } else {
                let shards = SlotGate::shards_for(figures.capacity, self.shards_max);
                let (gate, keeper) = SlotGate::new(figures, shards);
                let directory = directory.get_or_insert_with(|| (**self.read.directory.load()).clone());
                directory.add_slot(slot, &gate);
                slots.open((tranche, slot), keeper);
            }
        }
        slots.count(steps);
        drop(slots);
        if let Some(directory) = directory {
            self.read.directory.store(Arc::new(directory));
        }
        // Last: whoever is told of a change reads the new word.
        if self.read.changes.are_watched() {
            self.read.changes.note(figures.iter().map(|(slot, _)| *slot));
        }
    }
}
