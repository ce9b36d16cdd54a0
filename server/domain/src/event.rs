//! What changed, with who, when and why. Events carry effects, so that applying one computes nothing (INV-7).

use std::sync::Arc;

use crate::{
    calendar::{Holidays, ServiceDay, WeeklyOpening},
    catalog::{LaneOffer, Office},
    fees::Fees,
    ids::{CallerNumber, ContentHash, OfficeNumber, OpeningId, RegistrationId, RequestKey, TrancheNumber},
    payment::{CaseNumber, Payment, PaymentEffect, Resolution},
    registration::Registration,
    session::{SessionPlaces, SessionStart, Turn},
    slot::{Scope, SlotKey},
    time::UnixMillis,
};

/// Version of the event set that is written, and the newest that is understood. A log of an older one is raised before
/// anything else is written to it.
pub const FORMAT: u32 = 2;

/// Who made a change.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Actor {
    /// The calling service.
    pub caller: CallerNumber,
    /// Person or program, if not the caller itself.
    pub subject: Box<str>,
}

impl Actor {
    /// A part of the server itself: the schedule, the catalogue, a flag.
    #[must_use]
    pub fn system(subject: &str) -> Self {
        Self { caller: CallerNumber::default(), subject: subject.into() }
    }
}

/// One change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When it was decided.
    pub at: UnixMillis,
    /// By whom.
    pub actor: Actor,
    /// Why.
    pub reason: Box<str>,
    /// What.
    pub change: Change,
}

/// What changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// First event of a log.
    LogOpened {
        /// UUID of the log.
        log_id: u128,
        /// Version of the event set.
        format: u32,
        /// Recognises the NIK key.
        nik_key_check: [u8; 16],
    },
    /// From here on events of a newer set may come.
    FormatRaised(u32),
    /// The holidays, all of them.
    HolidaysDefined(Arc<Holidays>),
    /// An opening rule, new or changed.
    OpeningDefined(WeeklyOpening),
    /// An opening rule left the catalogue.
    OpeningRemoved(OpeningId),
    /// An office, new or changed.
    OfficeDefined {
        /// Its number in this log.
        number: OfficeNumber,
        /// What it is now.
        office: Arc<Office>,
    },
    /// An office left the catalogue.
    OfficeClosed(OfficeNumber),
    /// What passports cost, all of it.
    FeesDefined(Arc<Fees>),
    /// A catalogue was applied; what differed stands in events of its own.
    CatalogApplied {
        /// Digest of all of it.
        digest: [u8; 32],
        /// Named at the start, not sent by an operator.
        at_start: bool,
    },
    /// An operator's write, after everything it changed.
    CommandCarriedOut(CommandMark),
    /// Quota or opening of a slot, above the catalogue.
    OverrideSet {
        /// The slot.
        slot: SlotKey,
        /// What holds from now on, whole.
        set: Override,
    },
    /// Quota and opening of a slot are the catalogue's again.
    OverrideCleared(SlotKey),
    /// No places are given out within a scope.
    Paused(Scope),
    /// A pause of exactly that scope is over.
    Resumed(Scope),
    /// Places for a slot, ahead of their opening.
    TrancheReleased(Release),
    /// Other places or other times for a tranche.
    TrancheChanged {
        /// Which.
        tranche: TrancheNumber,
        /// Its slot.
        slot: SlotKey,
        /// Its places now.
        places: u32,
        /// Its times now, and its day's.
        times: Times,
        /// How its places are dealt out over sessions now; empty where there are none.
        sessions: Box<[SessionPlaces]>,
    },
    /// A registration.
    Granted(Arc<Registration>),
    /// A registration gives its places back; why stands in the event.
    Cancelled {
        /// Which.
        id: RegistrationId,
        /// Its slot.
        slot: SlotKey,
        /// Opened for what was paid for it (INV-11).
        case: Option<CaseNumber>,
    },
    /// A held place was not paid for in time, and is given back.
    HoldExpired {
        /// Whose.
        id: RegistrationId,
        /// Its slot.
        slot: SlotKey,
    },
    /// A registration gives its place up for another one, in one step: never two, never none.
    Rescheduled(Box<Rescheduled>),
    /// Somebody came on the service day.
    CheckedIn {
        /// Whose registration.
        id: RegistrationId,
        /// Its slot.
        slot: SlotKey,
    },
    /// Somebody who came was served.
    Served {
        /// Whose registration.
        id: RegistrationId,
        /// Its slot.
        slot: SlotKey,
    },
    /// The day is over, and these did not come.
    NoShows {
        /// Where.
        office: OfficeNumber,
        /// When.
        day: ServiceDay,
        /// Their registrations.
        ids: Box<[RegistrationId]>,
    },
    /// A payment was accepted, and came to a place or a case.
    PaymentReceived(Box<PaymentReceipt>),
    /// An operator brought a case to its end.
    CaseResolved(CaseResolution),
    /// The service day is over: its registrations are no longer live.
    DayClosed {
        /// Where.
        office: OfficeNumber,
        /// When.
        day: ServiceDay,
        /// From then on repeats need not be answered.
        forget_at: UnixMillis,
    },
    /// The day's registrations leave memory.
    DayForgotten {
        /// Where.
        office: OfficeNumber,
        /// When.
        day: ServiceDay,
    },
}

impl Change {
    /// The first event set that has it, with everything it carries.
    #[must_use]
    pub fn format(&self) -> u32 {
        let is_new = match self {
            Self::FormatRaised(_)
            | Self::FeesDefined(_)
            | Self::HoldExpired { .. }
            | Self::Rescheduled(_)
            | Self::CheckedIn { .. }
            | Self::Served { .. }
            | Self::NoShows { .. }
            | Self::PaymentReceived(_)
            | Self::CaseResolved(_) => true,
            Self::Cancelled { case, .. } => case.is_some(),
            Self::OfficeDefined { office, .. } => {
                let is_new = |offer: &LaneOffer| {
                    offer.cut_off_minute.is_some()
                        || offer.hold_minutes.is_some()
                        || !offer.sessions.is_empty()
                };
                office.lanes.iter().any(is_new)
            }
            Self::TrancheReleased(Release { times, sessions, .. })
            | Self::TrancheChanged { times, sessions, .. } => times.cut_off.is_some() || !sessions.is_empty(),
            Self::Granted(registration) => {
                registration.particulars.is_some()
                    || registration.session.is_some()
                    || registration.applicants.iter().any(|applicant| applicant.passport.is_some())
            }
            Self::LogOpened { .. }
            | Self::HolidaysDefined(_)
            | Self::OpeningDefined(_)
            | Self::OpeningRemoved(_)
            | Self::OfficeClosed(_)
            | Self::CatalogApplied { .. }
            | Self::CommandCarriedOut(_)
            | Self::OverrideSet { .. }
            | Self::OverrideCleared(_)
            | Self::Paused(_)
            | Self::Resumed(_)
            | Self::DayClosed { .. }
            | Self::DayForgotten { .. } => false,
        };
        if is_new { 2 } else { 1 }
    }

    /// The slot whose places it schedules, alters, takes or gives back, or whose override it sets.
    #[must_use]
    pub fn slot(&self) -> Option<SlotKey> {
        match self {
            Self::TrancheReleased(release) => Some(release.slot),
            Self::Granted(registration) => Some(registration.slot),
            Self::PaymentReceived(receipt) => Some(receipt.slot),
            Self::Rescheduled(step) => Some(step.to),
            Self::CaseResolved(resolved) => match resolved.resolution {
                Resolution::Place { slot, .. } => Some(slot),
                Resolution::Refund => None,
            },
            Self::TrancheChanged { slot, .. }
            | Self::Cancelled { slot, .. }
            | Self::HoldExpired { slot, .. }
            | Self::OverrideSet { slot, .. }
            | Self::OverrideCleared(slot) => Some(*slot),
            Self::LogOpened { .. }
            | Self::FormatRaised(_)
            | Self::HolidaysDefined(_)
            | Self::OpeningDefined(_)
            | Self::OpeningRemoved(_)
            | Self::FeesDefined(_)
            | Self::CatalogApplied { .. }
            | Self::CommandCarriedOut(_)
            | Self::Paused(_)
            | Self::Resumed(_)
            | Self::OfficeDefined { .. }
            | Self::OfficeClosed(_)
            | Self::CheckedIn { .. }
            | Self::Served { .. }
            | Self::NoShows { .. }
            | Self::DayClosed { .. }
            | Self::DayForgotten { .. } => None,
        }
    }

    /// Every slot whose places it changes: the other one is a place that is left.
    pub fn slots(&self) -> impl Iterator<Item = SlotKey> + use<> {
        let left = match self {
            Self::Rescheduled(step) => Some(step.from),
            _ => None,
        };
        self.slot().into_iter().chain(left)
    }

    /// Office, day and lane it is about, as far as it is about one of each.
    #[must_use]
    pub fn place(&self) -> Scope {
        let of =
            |office: &OfficeNumber, day: Option<ServiceDay>| Scope { office: Some(*office), day, lane: None };
        match self {
            Self::OfficeDefined { number, .. } | Self::OfficeClosed(number) => of(number, None),
            Self::DayClosed { office, day, .. }
            | Self::DayForgotten { office, day }
            | Self::NoShows { office, day, .. } => of(office, Some(*day)),
            Self::Paused(scope) | Self::Resumed(scope) => *scope,
            Self::CheckedIn { slot, .. } | Self::Served { slot, .. } => Scope::of(*slot),
            _ => self.slot().map_or_else(Scope::default, Scope::of),
        }
    }

    /// Whether a registration is among those it makes or changes.
    #[must_use]
    pub fn is_about(&self, id: RegistrationId) -> bool {
        match self {
            Self::NoShows { ids, .. } => ids.contains(&id),
            _ => self.registration() == Some(id),
        }
    }

    /// The registration it makes or changes, if it is one.
    #[must_use]
    pub fn registration(&self) -> Option<RegistrationId> {
        match self {
            Self::Granted(registration) => Some(registration.id),
            Self::Cancelled { id, .. }
            | Self::HoldExpired { id, .. }
            | Self::CheckedIn { id, .. }
            | Self::Served { id, .. } => Some(*id),
            Self::PaymentReceived(receipt) => Some(receipt.id),
            Self::Rescheduled(step) => Some(step.id),
            Self::CaseResolved(resolved) => Some(resolved.id),
            Self::LogOpened { .. }
            | Self::FormatRaised(_)
            | Self::HolidaysDefined(_)
            | Self::OpeningDefined(_)
            | Self::OpeningRemoved(_)
            | Self::FeesDefined(_)
            | Self::CatalogApplied { .. }
            | Self::CommandCarriedOut(_)
            | Self::OverrideSet { .. }
            | Self::OverrideCleared(_)
            | Self::Paused(_)
            | Self::Resumed(_)
            | Self::OfficeDefined { .. }
            | Self::OfficeClosed(_)
            | Self::TrancheReleased(_)
            | Self::TrancheChanged { .. }
            | Self::NoShows { .. }
            | Self::DayClosed { .. }
            | Self::DayForgotten { .. } => None,
        }
    }
}

/// A place given up for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rescheduled {
    /// Whose.
    pub id: RegistrationId,
    /// The slot it leaves.
    pub from: SlotKey,
    /// The slot it goes to.
    pub to: SlotKey,
    /// The tranche in force there.
    pub tranche: TrancheNumber,
    /// Its session and its number in the queue there.
    pub turn: Turn,
    /// That session, if it was wished for by name.
    pub named: Option<SessionStart>,
    /// When its hold expires, if it is held.
    pub hold_expires: Option<UnixMillis>,
    /// The caller's wish, which counts; `None`: an operator's, which does not.
    pub request: Option<RequestKey>,
}

/// A payment, and what it came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaymentReceipt {
    /// The registration it is for.
    pub id: RegistrationId,
    /// Its slot.
    pub slot: SlotKey,
    /// What came in.
    pub payment: Payment,
    /// What it came to.
    pub effect: PaymentEffect,
}

/// The end of a case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CaseResolution {
    /// Which.
    pub case: CaseNumber,
    /// The registration it is about.
    pub id: RegistrationId,
    /// What is done.
    pub resolution: Resolution,
}

/// By what a repeat of an operator's write is recognised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CommandMark {
    /// Its request.
    pub request: RequestKey,
    /// Hash of what was asked.
    pub content: ContentHash,
    /// Events it caused, this one not counted.
    pub changes: u32,
    /// Writes carried out before then need not be recognised any more.
    pub forget_before: UnixMillis,
}

/// What an operator set for a slot, above the catalogue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Override {
    /// Its places, if not the catalogue's.
    pub places: Option<u32>,
    /// Its opening, if not the rule's.
    pub open_at: Option<UnixMillis>,
}

/// Places of a slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Release {
    /// Number in this log.
    pub tranche: TrancheNumber,
    /// The slot.
    pub slot: SlotKey,
    /// The opening that releases it.
    pub opening: OpeningId,
    /// Places.
    pub places: u32,
    /// When they can be had.
    pub times: Times,
    /// How they are dealt out over sessions; empty where there are none.
    pub sessions: Box<[SessionPlaces]>,
}

/// The instants that rule a tranche.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times {
    /// When its places can be had.
    pub open_at: UnixMillis,
    /// When booking for the day ends, in every lane.
    pub close_at: UnixMillis,
    /// When this lane takes no more asks, if that is another time.
    pub cut_off: Option<UnixMillis>,
    /// When the service day ends.
    pub day_end: UnixMillis,
}
