//! Events to bytes and back. Numbers of lanes, kinds and fields are for ever; see `proto/kuota/log/v1`.

use std::sync::Arc;

use kuota_api::log::v1 as stored;
use kuota_domain::{
    calendar::{ServiceDay, Weekday, Weekdays, WeeklyOpening, Zone},
    catalog::{LaneOffer, Office, OfficeKind},
    code::BookingCode,
    event::{Actor, Change, CommandMark, Event, Override, Release, Times},
    ids::{CallerNumber, ContentHash, OfficeNumber, RegistrationId, RequestKey, Slug, TrancheNumber},
    nik::ApplicantKey,
    registration::{Applicant, Registration, RegistrationState},
    slot::{Lane, Scope, SlotKey},
    time::UnixMillis,
};
use prost::Message as _;
use stored::event::Body;

/// Bytes that are no events of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Not protobuf.
    #[error("a row's payload is not readable")]
    Payload,
    /// An event type of a newer release.
    #[error("an event of unknown type: the log was written by a newer release")]
    UnknownType,
    /// A field outside of what it may hold.
    #[error("an event's {0} is not understood")]
    Field(&'static str),
}

/// `kuota.log.v1.EventBatch.events`.
const EVENTS_FIELD: u32 = 1;
/// A grant has so many bytes, about.
const EVENT_BYTES_USUAL: usize = 160;

/// Bytes of one batch, in a buffer that may have held another.
#[must_use]
pub fn encode_events(events: &[Event], now: UnixMillis, mut payload: Vec<u8>) -> Vec<u8> {
    payload.clear();
    payload.reserve(EVENT_BYTES_USUAL * events.len());
    for event in events {
        // As `stored::EventBatch` would encode it, without all of them in memory at once.
        prost::encoding::message::encode(EVENTS_FIELD, &encode(event, now), &mut payload);
    }
    payload
}

/// Events of one batch.
///
/// # Errors
/// When the bytes hold something this release does not understand.
pub fn decode_events(payload: &[u8], now: UnixMillis) -> Result<Vec<Event>, CodecError> {
    let batch = stored::EventBatch::decode(payload).map_err(|_| CodecError::Payload)?;
    batch.events.into_iter().map(|event| decode(event, now)).collect()
}

fn encode(event: &Event, now: UnixMillis) -> stored::Event {
    stored::Event {
        before_ms: u32::try_from(now.0.saturating_sub(event.at.0)).unwrap_or(0),
        caller: event.actor.caller.0,
        subject: event.actor.subject.to_string(),
        reason: event.reason.to_string(),
        body: Some(encode_change(&event.change)),
    }
}

fn encode_change(change: &Change) -> Body {
    match change {
        Change::LogOpened { log_id, format, nik_key_check } => Body::LogOpened(stored::LogOpened {
            log_id: log_id.to_be_bytes().into(),
            format: *format,
            nik_key_check: nik_key_check.to_vec(),
        }),
        Change::HolidaysDefined(holidays) => Body::HolidaysDefined(stored::HolidaysDefined {
            holidays: holidays
                .iter()
                .map(|(day, name)| stored::Holiday { day: day.number(), name: name.to_string() })
                .collect(),
        }),
        Change::OpeningDefined(rule) => Body::OpeningDefined(stored::OpeningDefined {
            id: rule.id.to_string(),
            weekday: u32::from(rule.weekday.index()) + 1,
            minute_of_day: rule.minute_of_day.into(),
            service_weekdays: rule.service_weekdays.0.into(),
            weeks_ahead: rule.weeks_ahead.into(),
        }),
        Change::OpeningRemoved(id) => Body::OpeningRemoved(stored::OpeningRemoved { id: id.to_string() }),
        Change::CatalogApplied { digest, at_start } => {
            Body::CatalogApplied(stored::CatalogApplied { digest: digest.to_vec(), at_start: *at_start })
        }
        Change::CommandCarriedOut(mark) => Body::CommandCarriedOut(stored::CommandCarriedOut {
            request_id: mark.request.id.to_be_bytes().into(),
            content: mark.content.0.to_vec(),
            changes: mark.changes,
            forget_before_ms: mark.forget_before.0,
        }),
        Change::OverrideSet { slot, set } => Body::OverrideSet(stored::OverrideSet {
            slot: Some(encode_slot(*slot)),
            places: set.places,
            open_at_ms: set.open_at.map(|at| at.0),
        }),
        Change::OverrideCleared(slot) => {
            Body::OverrideCleared(stored::OverrideCleared { slot: Some(encode_slot(*slot)) })
        }
        Change::Paused(scope) => Body::Paused(stored::Paused { scope: Some(encode_scope(*scope)) }),
        Change::Resumed(scope) => Body::Resumed(stored::Resumed { scope: Some(encode_scope(*scope)) }),
        Change::OfficeDefined { number, office } => Body::OfficeDefined(encode_office(*number, office)),
        Change::OfficeClosed(number) => Body::OfficeClosed(stored::OfficeClosed { number: number.0 }),
        Change::TrancheReleased(release) => Body::TrancheReleased(stored::TrancheReleased {
            tranche: release.tranche.0,
            slot: Some(encode_slot(release.slot)),
            opening_id: release.opening.to_string(),
            places: release.places,
            open_at_ms: release.times.open_at.0,
            close_at_ms: release.times.close_at.0,
            day_end_ms: release.times.day_end.0,
        }),
        Change::TrancheChanged { tranche, slot, places, times } => {
            Body::TrancheChanged(stored::TrancheChanged {
                tranche: tranche.0,
                slot: Some(encode_slot(*slot)),
                places: *places,
                open_at_ms: times.open_at.0,
                close_at_ms: times.close_at.0,
                day_end_ms: times.day_end.0,
            })
        }
        Change::Granted(registration) => Body::Granted(encode_grant(registration)),
        Change::Cancelled { id, slot } => Body::Cancelled(stored::Cancelled {
            registration_id: id.0.to_be_bytes().into(),
            slot: Some(encode_slot(*slot)),
        }),
        Change::DayClosed { office, day, forget_at } => Body::DayClosed(stored::DayClosed {
            office: office.0,
            day: day.number(),
            forget_at_ms: forget_at.0,
        }),
        Change::DayForgotten { office, day } => {
            Body::DayForgotten(stored::DayForgotten { office: office.0, day: day.number() })
        }
    }
}

fn encode_office(number: OfficeNumber, office: &Office) -> stored::OfficeDefined {
    stored::OfficeDefined {
        number: number.0,
        id: office.id.to_string(),
        name: office.name.to_string(),
        kind: match office.kind {
            OfficeKind::Kanim => 1,
            OfficeKind::Ukk => 2,
            OfficeKind::Mpp => 3,
        },
        parent_id: office.parent.as_ref().map(ToString::to_string).unwrap_or_default(),
        time_zone: office.zone.name().to_owned(),
        latitude_e6: office.latitude_e6,
        longitude_e6: office.longitude_e6,
        opening_id: office.opening.to_string(),
        closing_minute: office.closing_minute.into(),
        lanes: office
            .lanes
            .iter()
            .map(|offer| stored::LaneOffer {
                lane: lane_number(offer.lane),
                places: offer.places,
                source: offer.source.to_string(),
            })
            .collect(),
    }
}

fn encode_grant(registration: &Registration) -> stored::Granted {
    stored::Granted {
        registration_id: registration.id.0.to_be_bytes().into(),
        request_id: registration.request.id.to_be_bytes().into(),
        content: registration.content.0.into(),
        slot: Some(encode_slot(registration.slot)),
        tranche: registration.tranche.0,
        queue_number: registration.queue_number,
        code: registration.code.number(),
        applicants: registration
            .applicants
            .iter()
            .map(|applicant| stored::Applicant {
                key: applicant.key.0.into(),
                last_four: applicant.last_four.into(),
                reference: applicant.reference.to_string(),
            })
            .collect(),
    }
}

fn encode_slot(slot: SlotKey) -> stored::Slot {
    stored::Slot { office: slot.office.0, day: slot.day.number(), lane: lane_number(slot.lane) }
}

fn encode_scope(scope: Scope) -> stored::Scope {
    stored::Scope {
        office: scope.office.map(|office| office.0),
        day: scope.day.map(ServiceDay::number),
        lane: scope.lane.map(lane_number),
    }
}

const fn lane_number(lane: Lane) -> u32 {
    match lane {
        Lane::Regular => 1,
        Lane::OneDay => 2,
        Lane::Priority => 3,
    }
}

fn decode(event: stored::Event, now: UnixMillis) -> Result<Event, CodecError> {
    let at = now.plus_ms(-i64::from(event.before_ms));
    let caller = CallerNumber(event.caller);
    Ok(Event {
        at,
        actor: Actor { caller, subject: event.subject.into() },
        reason: event.reason.into(),
        change: decode_change(event.body.ok_or(CodecError::UnknownType)?, caller, at)?,
    })
}

fn decode_change(body: Body, caller: CallerNumber, at: UnixMillis) -> Result<Change, CodecError> {
    Ok(match body {
        Body::LogOpened(opened) => Change::LogOpened {
            log_id: u128::from_be_bytes(bytes(&opened.log_id, "log id")?),
            format: opened.format,
            nik_key_check: bytes(&opened.nik_key_check, "key check")?,
        },
        Body::HolidaysDefined(defined) => {
            let named =
                |holiday: stored::Holiday| (ServiceDay::from_number(holiday.day), holiday.name.into());
            Change::HolidaysDefined(Arc::new(defined.holidays.into_iter().map(named).collect()))
        }
        Body::OpeningDefined(rule) => Change::OpeningDefined(WeeklyOpening {
            id: slug(&rule.id)?,
            weekday: *(rule.weekday as usize)
                .checked_sub(1)
                .and_then(|index| Weekday::ALL.get(index))
                .ok_or(CodecError::Field("weekday"))?,
            minute_of_day: narrow(rule.minute_of_day, "minute of day")?,
            service_weekdays: Weekdays(narrow(rule.service_weekdays, "service weekdays")?),
            weeks_ahead: narrow(rule.weeks_ahead, "weeks ahead")?,
        }),
        Body::OpeningRemoved(removed) => Change::OpeningRemoved(slug(&removed.id)?),
        Body::CatalogApplied(applied) => Change::CatalogApplied {
            digest: bytes(&applied.digest, "catalogue digest")?,
            at_start: applied.at_start,
        },
        Body::CommandCarriedOut(mark) => Change::CommandCarriedOut(CommandMark {
            request: RequestKey { caller, id: uuid(&mark.request_id, "request id")? },
            content: ContentHash(bytes(&mark.content, "content hash")?),
            changes: mark.changes,
            forget_before: UnixMillis(mark.forget_before_ms),
        }),
        Body::OverrideSet(set) => Change::OverrideSet {
            slot: decode_slot(set.slot)?,
            set: Override { places: set.places, open_at: set.open_at_ms.map(UnixMillis) },
        },
        Body::OverrideCleared(cleared) => Change::OverrideCleared(decode_slot(cleared.slot)?),
        Body::Paused(paused) => Change::Paused(decode_scope(paused.scope)?),
        Body::Resumed(resumed) => Change::Resumed(decode_scope(resumed.scope)?),
        Body::OfficeDefined(defined) => {
            let number = OfficeNumber(defined.number);
            Change::OfficeDefined { number, office: Arc::new(decode_office(defined)?) }
        }
        Body::OfficeClosed(closed) => Change::OfficeClosed(OfficeNumber(closed.number)),
        Body::TrancheReleased(released) => Change::TrancheReleased(Release {
            tranche: TrancheNumber(released.tranche),
            slot: decode_slot(released.slot)?,
            opening: slug(&released.opening_id)?,
            places: released.places,
            times: times(released.open_at_ms, released.close_at_ms, released.day_end_ms),
        }),
        Body::TrancheChanged(changed) => Change::TrancheChanged {
            tranche: TrancheNumber(changed.tranche),
            slot: decode_slot(changed.slot)?,
            places: changed.places,
            times: times(changed.open_at_ms, changed.close_at_ms, changed.day_end_ms),
        },
        Body::Granted(granted) => Change::Granted(Arc::new(decode_grant(granted, caller, at)?)),
        Body::Cancelled(cancelled) => Change::Cancelled {
            id: RegistrationId(uuid(&cancelled.registration_id, "registration id")?),
            slot: decode_slot(cancelled.slot)?,
        },
        Body::DayClosed(closed) => Change::DayClosed {
            office: OfficeNumber(closed.office),
            day: ServiceDay::from_number(closed.day),
            forget_at: UnixMillis(closed.forget_at_ms),
        },
        Body::DayForgotten(forgotten) => Change::DayForgotten {
            office: OfficeNumber(forgotten.office),
            day: ServiceDay::from_number(forgotten.day),
        },
    })
}

fn decode_office(defined: stored::OfficeDefined) -> Result<Office, CodecError> {
    let offer = |offer: stored::LaneOffer| {
        Ok(LaneOffer { lane: lane(offer.lane)?, places: offer.places, source: offer.source.into() })
    };
    Ok(Office {
        id: slug(&defined.id)?,
        name: defined.name.into(),
        kind: match defined.kind {
            1 => OfficeKind::Kanim,
            2 => OfficeKind::Ukk,
            3 => OfficeKind::Mpp,
            _ => return Err(CodecError::Field("office kind")),
        },
        parent: if defined.parent_id.is_empty() { None } else { Some(slug(&defined.parent_id)?) },
        zone: Zone::parse(&defined.time_zone).map_err(|_| CodecError::Field("time zone"))?,
        latitude_e6: defined.latitude_e6,
        longitude_e6: defined.longitude_e6,
        opening: slug(&defined.opening_id)?,
        closing_minute: narrow(defined.closing_minute, "closing minute")?,
        lanes: defined.lanes.into_iter().map(offer).collect::<Result<_, CodecError>>()?,
    })
}

fn decode_grant(
    granted: stored::Granted,
    caller: CallerNumber,
    at: UnixMillis,
) -> Result<Registration, CodecError> {
    let applicant = |applicant: stored::Applicant| {
        Ok(Applicant {
            key: ApplicantKey(bytes(&applicant.key, "applicant")?),
            last_four: narrow(applicant.last_four, "last four digits")?,
            reference: applicant.reference.into(),
        })
    };
    Ok(Registration {
        id: RegistrationId(uuid(&granted.registration_id, "registration id")?),
        request: RequestKey { caller, id: uuid(&granted.request_id, "request id")? },
        content: ContentHash(bytes(&granted.content, "content hash")?),
        slot: decode_slot(granted.slot)?,
        tranche: TrancheNumber(granted.tranche),
        state: RegistrationState::Confirmed,
        queue_number: granted.queue_number,
        code: BookingCode::from_number(granted.code).ok_or(CodecError::Field("booking code"))?,
        applicants: granted.applicants.into_iter().map(applicant).collect::<Result<_, CodecError>>()?,
        created: at,
        updated: at,
        cancel_reason: Box::default(),
    })
}

fn decode_slot(slot: Option<stored::Slot>) -> Result<SlotKey, CodecError> {
    let slot = slot.ok_or(CodecError::Field("slot"))?;
    let (office, day) = (OfficeNumber(slot.office), ServiceDay::from_number(slot.day));
    Ok(SlotKey { office, day, lane: lane(slot.lane)? })
}

fn decode_scope(scope: Option<stored::Scope>) -> Result<Scope, CodecError> {
    let scope = scope.ok_or(CodecError::Field("scope"))?;
    Ok(Scope {
        office: scope.office.map(OfficeNumber),
        day: scope.day.map(ServiceDay::from_number),
        lane: scope.lane.map(lane).transpose()?,
    })
}

const fn times(open_at_ms: i64, close_at_ms: i64, day_end_ms: i64) -> Times {
    Times {
        open_at: UnixMillis(open_at_ms),
        close_at: UnixMillis(close_at_ms),
        day_end: UnixMillis(day_end_ms),
    }
}

fn lane(number: u32) -> Result<Lane, CodecError> {
    Lane::ALL.into_iter().find(|lane| lane_number(*lane) == number).ok_or(CodecError::Field("lane"))
}

fn slug(text: &str) -> Result<Slug, CodecError> {
    Slug::parse(text).map_err(|_| CodecError::Field("slug"))
}

fn narrow<T: TryFrom<u32>>(number: u32, field: &'static str) -> Result<T, CodecError> {
    T::try_from(number).map_err(|_| CodecError::Field(field))
}

fn bytes<const N: usize>(bytes: &[u8], field: &'static str) -> Result<[u8; N], CodecError> {
    bytes.try_into().map_err(|_| CodecError::Field(field))
}

fn uuid(raw: &[u8], field: &'static str) -> Result<u128, CodecError> {
    bytes(raw, field).map(u128::from_be_bytes)
}
