//! What operators ask for: rehearsed on the ledger, with everything that follows from it, and taken back again. The
//! rehearsal's events are then applied like any others, or only shown.

use std::{collections::BTreeMap, sync::Arc};

use super::{CatalogConflict, CommandRecord, Ledger, Misfit, Remedy};
use crate::{
    calendar::{ServiceDay, Weekdays},
    catalog::Catalog,
    event::{Actor, Change, CommandMark, Event, Override},
    gate::Figures,
    ids::{ContentHash, OfficeId, RegistrationId, RequestKey},
    limits::{COMMAND_EVENTS_MAX, COMMANDS_KEPT_DAYS, COMMANDS_KEPT_MAX, OVERRIDES_MAX, PAUSES_MAX},
    payment::CaseNumber,
    refusal::Refusal,
    session::SessionStart,
    slot::{Scope, SlotKey},
    time::UnixMillis,
};

const DAY_MS: i64 = 86_400_000;

/// Something an operator wants, with who and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instruction {
    /// By which a repeat is recognised.
    pub request: RequestKey,
    /// Hash of what is asked.
    pub content: ContentHash,
    /// Who.
    pub actor: Actor,
    /// Why.
    pub reason: Box<str>,
    /// What.
    pub directive: Directive,
}

/// What an operator wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Directive {
    /// Offices, lanes, openings and holidays as in a catalogue.
    ApplyCatalog {
        /// All of it.
        catalog: Arc<Catalog>,
        /// Offices that are missing are closed although they have live registrations.
        close_offices: bool,
    },
    /// Slots open once, at a time.
    ScheduleOpening {
        /// Which.
        slots: Vec<SlotKey>,
        /// When.
        open_at: UnixMillis,
        /// With so many places, if not the catalogue's.
        places: Option<u32>,
    },
    /// A slot has so many places, whatever the catalogue says.
    SetQuota {
        /// Which.
        slot: SlotKey,
        /// How many.
        places: u32,
    },
    /// A slot is as the catalogue says.
    ClearOverride(SlotKey),
    /// No places are given out within a scope.
    Pause(Scope),
    /// A pause of exactly that scope is over.
    Resume(Scope),
    /// Something is done about a payment without a place.
    ResolveCase {
        /// Which.
        case: CaseNumber,
        /// What.
        remedy: Remedy,
    },
    /// A registration goes to another slot, and it does not count.
    Reschedule {
        /// Which.
        registration: RegistrationId,
        /// Where to.
        slot: SlotKey,
        /// The session there; `None`: any.
        session: Option<SessionStart>,
    },
}

/// Why an operator's wish is not carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Objection {
    /// The request id stands for something else.
    RequestReused,
    /// The catalogue drops an office with live registrations.
    OfficeInUse {
        /// Which.
        office: OfficeId,
        /// How many.
        live: usize,
    },
    /// The office is no longer in the catalogue.
    OfficeClosed(OfficeId),
    /// Nothing opens that day: no rule, and no opening of its own.
    NotScheduled(ServiceDay),
    /// The catalogue has no places for that day and lane, so that the opening must name them.
    PlacesNeeded(ServiceDay),
    /// The day is open already.
    AlreadyOpen(ServiceDay),
    /// Booking for the day is over, or would be when it opens.
    BookingClosed(ServiceDay),
    /// The opening is not in the future.
    OpeningInThePast {
        /// Now.
        now: UnixMillis,
    },
    /// There are as many pauses as there may be.
    TooManyPauses,
    /// As many slots have something of their own as may.
    TooManyOverrides,
    /// There is no such case, or it was resolved long ago.
    NoSuchCase(CaseNumber),
    /// The case is resolved already.
    CaseResolved(CaseNumber),
    /// Its registration has a place, or left memory: the money can only go back.
    CaseNeedsRefund(CaseNumber),
    /// There is no such registration.
    NoSuchRegistration,
    /// The place that was meant cannot be had.
    Refused(Refusal),
    /// It would contradict the log: a fault of this program.
    Contradiction(Misfit),
}

impl From<CatalogConflict> for Objection {
    fn from(conflict: CatalogConflict) -> Self {
        match conflict {
            CatalogConflict::OfficeInUse { office, live } => Self::OfficeInUse { office, live },
        }
    }
}

/// What a wish comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rehearsal {
    /// These events, in this order, and what they mean for slots.
    Events {
        /// To be applied together.
        events: Vec<Event>,
        /// Slots whose places or opening differ afterwards.
        slots: Vec<SlotChange>,
    },
    /// It was carried out before.
    Repeat(CommandRecord),
}

/// What an operator's wish means for one slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotChange {
    /// Which.
    pub slot: SlotKey,
    /// Its office.
    pub office: OfficeId,
    /// Before, if it was scheduled.
    pub before: Option<Figures>,
    /// After.
    pub after: Figures,
    /// Places granted.
    pub granted: u32,
}

impl Ledger {
    /// Says what an instruction comes to at an instant. The state is afterwards as it was.
    ///
    /// # Errors
    /// When it cannot be carried out.
    pub fn rehearse(&mut self, instruction: &Instruction, now: UnixMillis) -> Result<Rehearsal, Objection> {
        let kept_from = self.commands_kept_from(now);
        let known = self.commands.get(&instruction.request);
        if let Some(record) = known.filter(|record| record.at >= kept_from) {
            let same = record.content == instruction.content;
            return if same { Ok(Rehearsal::Repeat(*record)) } else { Err(Objection::RequestReused) };
        }
        let changes = self.decide_directive(&instruction.directive, now)?;
        let (savepoint, planning) = (self.savepoint(), self.planning());
        let played = self.play(instruction, changes, now);
        self.undo_to(savepoint);
        self.restore_planning(&planning);
        played.map_err(Objection::Contradiction)
    }

    fn play(
        &mut self,
        instruction: &Instruction,
        mut changes: Vec<Change>,
        now: UnixMillis,
    ) -> Result<Rehearsal, Misfit> {
        let mut events = Vec::new();
        let mut before = BTreeMap::new();
        let event = |change| Event {
            at: now,
            actor: instruction.actor.clone(),
            reason: instruction.reason.clone(),
            change,
        };
        // What was due before is done by now: what comes is this operator's doing, and stands at their account.
        loop {
            for change in changes {
                for slot in change.slots() {
                    before.entry(slot).or_insert_with(|| self.figures(slot));
                }
                let event = event(change);
                self.apply(&event)?;
                events.push(event);
            }
            if events.len() >= COMMAND_EVENTS_MAX {
                break;
            }
            changes = self.plan(now);
            if changes.is_empty() && self.next_plan > now {
                break;
            }
        }
        let mark = CommandMark {
            request: instruction.request,
            content: instruction.content,
            changes: u32::try_from(events.len()).unwrap_or(u32::MAX),
            forget_before: self.commands_kept_from(now),
        };
        let mark = event(Change::CommandCarriedOut(mark));
        self.apply(&mark)?;
        events.push(mark);
        let changed = before.into_iter().filter_map(|(slot, before)| {
            let (after, granted) = (self.figures(slot)?, self.granted_in(slot));
            let office = self.offices.get(slot.office.index())?.office.id.clone();
            Some(SlotChange { slot, office, before, after, granted })
        });
        Ok(Rehearsal::Events { slots: changed.collect(), events })
    }

    fn decide_directive(&self, directive: &Directive, now: UnixMillis) -> Result<Vec<Change>, Objection> {
        match directive {
            Directive::ApplyCatalog { catalog, close_offices } => {
                let mut changes = self.reconcile(catalog, *close_offices)?;
                if !changes.is_empty() {
                    changes.insert(0, Change::CatalogApplied { digest: catalog.digest(), at_start: false });
                }
                Ok(changes)
            }
            Directive::ScheduleOpening { slots, open_at, places } => {
                if *open_at <= now {
                    return Err(Objection::OpeningInThePast { now });
                }
                self.check_room(slots)?;
                slots.iter().map(|slot| self.decide_opening(*slot, (*open_at, *places), now)).collect()
            }
            Directive::SetQuota { slot, places } => {
                self.check_bookable(*slot, now)?;
                self.check_room(std::slice::from_ref(slot))?;
                let set = self.overrides.get(slot).copied().unwrap_or_default();
                let opens = set.open_at.is_some() || self.is_served(*slot) || self.figures(*slot).is_some();
                if !opens {
                    return Err(Objection::NotScheduled(slot.day));
                }
                let set = Override { places: Some(*places), ..set };
                Ok(vec![Change::OverrideSet { slot: *slot, set }])
            }
            Directive::ClearOverride(slot) => {
                let is_set = self.overrides.contains_key(slot);
                Ok(is_set.then_some(Change::OverrideCleared(*slot)).into_iter().collect())
            }
            Directive::Pause(scope) => {
                if self.pauses.contains_key(scope) {
                    return Ok(Vec::new());
                }
                if let Some(day) = scope.day.filter(|day| self.is_over_everywhere(*day, now)) {
                    return Err(Objection::BookingClosed(day));
                }
                let has_room = self.pauses.len() < PAUSES_MAX;
                has_room.then(|| vec![Change::Paused(*scope)]).ok_or(Objection::TooManyPauses)
            }
            Directive::ResolveCase { case, remedy } => Ok(vec![self.decide_remedy(*case, *remedy, now)?]),
            Directive::Reschedule { registration, slot, session } => {
                Ok(vec![self.decide_special_reschedule(*registration, (*slot, *session), now)?])
            }
            Directive::Resume(scope) => {
                let is_paused = self.pauses.contains_key(scope);
                Ok(is_paused.then_some(Change::Resumed(*scope)).into_iter().collect())
            }
        }
    }

    fn decide_opening(
        &self,
        slot: SlotKey,
        (open_at, places): (UnixMillis, Option<u32>),
        now: UnixMillis,
    ) -> Result<Change, Objection> {
        self.check_bookable(slot, open_at.max(now))?;
        let before = self.overrides.get(&slot).copied().unwrap_or_default();
        let places = places.or(before.places);
        if self.figures(slot).is_some_and(|figures| figures.open_at <= now) {
            return Err(Objection::AlreadyOpen(slot.day));
        }
        if places.is_none() && !self.has_places_by_catalog(slot) {
            return Err(Objection::PlacesNeeded(slot.day));
        }
        Ok(Change::OverrideSet { slot, set: Override { places, open_at: Some(open_at) } })
    }

    fn is_over_everywhere(&self, day: ServiceDay, now: UnixMillis) -> bool {
        self.offices.iter().all(|state| day < ServiceDay::at(now, &state.office.zone))
    }

    fn check_room(&self, slots: &[SlotKey]) -> Result<(), Objection> {
        let new = slots.iter().filter(|slot| !self.overrides.contains_key(*slot)).count();
        let fits = self.overrides.len() + new <= OVERRIDES_MAX;
        if fits { Ok(()) } else { Err(Objection::TooManyOverrides) }
    }

    /// Whether a slot's office is open, and booking for its day not over at an instant.
    fn check_bookable(&self, slot: SlotKey, at: UnixMillis) -> Result<(), Objection> {
        let Some(state) = self.offices.get(slot.office.index()).filter(|state| state.open) else {
            let closed = self.offices.get(slot.office.index()).map(|state| state.office.id.clone());
            return Err(closed.map_or(Objection::NotScheduled(slot.day), Objection::OfficeClosed));
        };
        let closes = slot.day.minute(state.office.closing_minute, &state.office.zone);
        if at >= closes { Err(Objection::BookingClosed(slot.day)) } else { Ok(()) }
    }

    /// Whether the office's rule serves a day.
    fn is_served(&self, slot: SlotKey) -> bool {
        let Some(state) = self.offices.get(slot.office.index()) else { return false };
        let served = self.rule_of(&state.office).map_or(Weekdays::default(), |rule| rule.service_weekdays);
        served.contains(slot.day.weekday()) && !self.holidays.contains_key(&slot.day)
    }

    fn has_places_by_catalog(&self, slot: SlotKey) -> bool {
        let office = self.offices.get(slot.office.index()).map(|state| &state.office);
        let offer = office.and_then(|office| office.offer(slot.lane));
        self.is_served(slot) && offer.is_some_and(|offer| offer.places > 0)
    }

    fn granted_in(&self, slot: SlotKey) -> u32 {
        let places = self.day(slot.office, slot.day).and_then(|day| day.lanes[slot.lane.index()]);
        places.map_or(0, |places| places.taken)
    }

    /// From when on writes stay known: bounded by age, and by number.
    fn commands_kept_from(&self, now: UnixMillis) -> UnixMillis {
        let by_age = now.plus_ms(-COMMANDS_KEPT_DAYS * DAY_MS);
        let surplus = (self.commands.len() + 1).saturating_sub(COMMANDS_KEPT_MAX);
        let last_dropped = surplus.checked_sub(1).and_then(|last| self.command_ages.iter().nth(last));
        by_age.max(last_dropped.map_or(by_age, |(at, _)| at.plus_ms(1)))
    }
}
