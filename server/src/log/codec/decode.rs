//! Bytes to events.

use std::{num::NonZeroU32, sync::Arc};

use kuota_api::log::v1 as stored;
use kuota_domain::{
    billing::BillingReference,
    calendar::{ServiceDay, Weekday, Weekdays, WeeklyOpening, Zone},
    catalog::{LaneOffer, Office, OfficeKind},
    code::BookingCode,
    event::{
        Actor, CaseResolution, Change, CommandMark, Event, Override, PaymentReceipt, Release, Rescheduled,
        Times,
    },
    fees::{Fees, Price, Rupiah},
    ids::{CallerNumber, ContentHash, OfficeNumber, RegistrationId, RequestKey, Slug, TrancheNumber},
    nik::ApplicantKey,
    passport::{Ground, PassportKind},
    payment::{CaseCause, CaseNumber, Payment, PaymentEffect, PaymentReference, Resolution},
    registration::{Applicant, Billing, Particulars, Registration, RegistrationState},
    session::{Session, SessionPlaces, SessionShare, Turn},
    slot::{Lane, Scope, SlotKey},
    time::UnixMillis,
};
use stored::event::Body;

use super::{
    CodecError,
    granted::{self, Granted, GrantedEvent},
    numbers::Numbered,
};

pub(super) fn granted(event: GrantedEvent<'_>, now: UnixMillis) -> Result<Event, CodecError> {
    let at = now.plus_ms(-i64::from(event.before_ms));
    let caller = CallerNumber(event.caller);
    Ok(Event {
        at,
        actor: Actor { caller, subject: event.subject.into() },
        reason: event.reason.into(),
        change: Change::Granted(Arc::new(grant(event.granted, caller, at)?)),
    })
}

pub(super) fn event(event: stored::Event, now: UnixMillis) -> Result<Event, CodecError> {
    let at = now.plus_ms(-i64::from(event.before_ms));
    let caller = CallerNumber(event.caller);
    Ok(Event {
        at,
        actor: Actor { caller, subject: event.subject.into() },
        reason: event.reason.into(),
        change: change(event.body.ok_or(CodecError::UnknownType)?, caller, at)?,
    })
}

fn change(body: Body, caller: CallerNumber, at: UnixMillis) -> Result<Change, CodecError> {
    Ok(match body {
        Body::LogOpened(opened) => Change::LogOpened {
            log_id: u128::from_be_bytes(bytes(&opened.log_id, "log id")?),
            format: opened.format,
            nik_key_check: bytes(&opened.nik_key_check, "key check")?,
        },
        Body::FormatRaised(raised) => Change::FormatRaised(raised.format),
        Body::FeesDefined(defined) => Change::FeesDefined(Arc::new(fees(defined)?)),
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
            slot: slot(set.slot)?,
            set: Override { places: set.places, open_at: set.open_at_ms.map(UnixMillis) },
        },
        Body::OverrideCleared(cleared) => Change::OverrideCleared(slot(cleared.slot)?),
        Body::Paused(paused) => Change::Paused(scope(paused.scope)?),
        Body::Resumed(resumed) => Change::Resumed(scope(resumed.scope)?),
        Body::OfficeDefined(defined) => {
            let number = OfficeNumber(defined.number);
            Change::OfficeDefined { number, office: Arc::new(office(defined)?) }
        }
        Body::OfficeClosed(closed) => Change::OfficeClosed(OfficeNumber(closed.number)),
        Body::TrancheReleased(released) => Change::TrancheReleased(Release {
            tranche: TrancheNumber(released.tranche),
            slot: slot(released.slot)?,
            opening: slug(&released.opening_id)?,
            places: released.places,
            times: Times {
                open_at: UnixMillis(released.open_at_ms),
                close_at: UnixMillis(released.close_at_ms),
                cut_off: released.cut_off_ms.map(UnixMillis),
                day_end: UnixMillis(released.day_end_ms),
            },
            sessions: session_places(released.sessions)?,
        }),
        Body::TrancheChanged(changed) => Change::TrancheChanged {
            tranche: TrancheNumber(changed.tranche),
            slot: slot(changed.slot)?,
            places: changed.places,
            times: Times {
                open_at: UnixMillis(changed.open_at_ms),
                close_at: UnixMillis(changed.close_at_ms),
                cut_off: changed.cut_off_ms.map(UnixMillis),
                day_end: UnixMillis(changed.day_end_ms),
            },
            sessions: session_places(changed.sessions)?,
        },
        Body::Granted(granted) => Change::Granted(Arc::new(grant(Granted::of(&granted), caller, at)?)),
        Body::Cancelled(cancelled) => Change::Cancelled {
            id: RegistrationId(uuid(&cancelled.registration_id, "registration id")?),
            slot: slot(cancelled.slot)?,
            case: Some(cancelled.payment_case).filter(|case| *case > 0).map(CaseNumber),
        },
        Body::HoldExpired(expired) => Change::HoldExpired {
            id: RegistrationId(uuid(&expired.registration_id, "registration id")?),
            slot: slot(expired.slot)?,
        },
        Body::CheckedIn(came) => Change::CheckedIn {
            id: RegistrationId(uuid(&came.registration_id, "registration id")?),
            slot: slot(came.slot)?,
        },
        Body::Served(served) => Change::Served {
            id: RegistrationId(uuid(&served.registration_id, "registration id")?),
            slot: slot(served.slot)?,
        },
        Body::NoShows(absent) => {
            let id = |id: &Vec<u8>| uuid(id, "registration id").map(RegistrationId);
            Change::NoShows {
                office: OfficeNumber(absent.office),
                day: ServiceDay::from_number(absent.day),
                ids: absent.registration_ids.iter().map(id).collect::<Result<_, CodecError>>()?,
            }
        }
        Body::Rescheduled(step) => Change::Rescheduled(Box::new(rescheduled(&step, caller)?)),
        Body::PaymentReceived(received) => Change::PaymentReceived(Box::new(payment(&received)?)),
        Body::PaymentCaseResolved(resolved) => Change::CaseResolved(resolution(&resolved)?),
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

fn fees(defined: stored::FeesDefined) -> Result<Fees, CodecError> {
    let price = |rupiah, source: String| Price { rupiah: Rupiah(rupiah), source: source.into() };
    let passport =
        |fee: stored::PassportFee| Ok((PassportKind::of(fee.passport)?, price(fee.rupiah, fee.source)));
    let surcharge = |surcharge: stored::LaneSurcharge| {
        Ok((Lane::of(surcharge.lane)?, price(surcharge.rupiah, surcharge.source)))
    };
    Ok(Fees {
        passports: defined.passports.into_iter().map(passport).collect::<Result<_, CodecError>>()?,
        surcharges: defined.surcharges.into_iter().map(surcharge).collect::<Result<_, CodecError>>()?,
    })
}

fn office(defined: stored::OfficeDefined) -> Result<Office, CodecError> {
    let share = |one: stored::SessionShare| {
        let share = NonZeroU32::new(one.share).ok_or(CodecError::Field("share of a session"))?;
        Ok(SessionShare { session: session(one.session)?, share })
    };
    let offer = |offer: stored::LaneOffer| {
        Ok(LaneOffer {
            lane: Lane::of(offer.lane)?,
            places: offer.places,
            source: offer.source.into(),
            cut_off_minute: offer.cut_off_minute.map(|minute| narrow(minute, "cut-off")).transpose()?,
            hold_minutes: offer.hold_minutes,
            sessions: offer.sessions.into_iter().map(share).collect::<Result<_, CodecError>>()?,
        })
    };
    Ok(Office {
        id: slug(&defined.id)?,
        name: defined.name.into(),
        kind: OfficeKind::of(defined.kind)?,
        parent: if defined.parent_id.is_empty() { None } else { Some(slug(&defined.parent_id)?) },
        zone: Zone::parse(&defined.time_zone).map_err(|_| CodecError::Field("time zone"))?,
        latitude_e6: defined.latitude_e6,
        longitude_e6: defined.longitude_e6,
        opening: slug(&defined.opening_id)?,
        closing_minute: narrow(defined.closing_minute, "closing minute")?,
        lanes: defined.lanes.into_iter().map(offer).collect::<Result<_, CodecError>>()?,
    })
}

fn grant(granted: Granted<'_>, caller: CallerNumber, at: UnixMillis) -> Result<Registration, CodecError> {
    let applicant = |applicant: granted::Applicant<'_>| {
        Ok(Applicant {
            key: ApplicantKey(bytes(applicant.key, "applicant")?),
            last_four: narrow(applicant.last_four, "last four digits")?,
            passport: PassportKind::maybe(applicant.passport)?,
            reference: applicant.reference.into(),
        })
    };
    let (fee, ground) = (granted.fee_rupiah.map(Rupiah), Ground::maybe(granted.ground)?);
    let billing = granted.hold.map(billing).transpose()?;
    let state = if billing.is_some() { RegistrationState::Held } else { RegistrationState::Confirmed };
    Ok(Registration {
        id: RegistrationId(uuid(granted.registration_id, "registration id")?),
        request: RequestKey { caller, id: uuid(granted.request_id, "request id")? },
        content: ContentHash(bytes(granted.content, "content hash")?),
        slot: slot(granted.slot)?,
        tranche: TrancheNumber(granted.tranche),
        state,
        session: granted.session.map(|one| session(Some(one))).transpose()?,
        queue_number: granted.queue_number,
        code: BookingCode::from_number(granted.code).ok_or(CodecError::Field("booking code"))?,
        applicants: granted.applicants.into_iter().map(applicant).collect::<Result<_, CodecError>>()?,
        created: at,
        particulars: Particulars { fee, ground, billing, ..Particulars::default() }.boxed(),
    })
}

fn billing(hold: stored::Hold) -> Result<Billing, CodecError> {
    let reference = BillingReference::from_number(hold.billing_reference);
    let reference = reference.ok_or(CodecError::Field("billing reference"))?;
    Ok(Billing { reference, expires: UnixMillis(hold.expires_ms) })
}

fn payment(received: &stored::PaymentReceived) -> Result<PaymentReceipt, CodecError> {
    let reference = PaymentReference::parse(&received.payment_reference);
    let effect = match received.effect {
        1 => PaymentEffect::Confirmed,
        2 => PaymentEffect::Reinstated(match received.queue_number {
            0 => None,
            queue_number => Some(turn(queue_number, received.session)?),
        }),
        3 => PaymentEffect::CaseOpened(CaseNumber(received.payment_case), CaseCause::of(received.cause)?),
        _ => return Err(CodecError::Field("effect of a payment")),
    };
    Ok(PaymentReceipt {
        id: RegistrationId(uuid(&received.registration_id, "registration id")?),
        slot: slot(received.slot)?,
        payment: Payment {
            reference: reference.map_err(|_| CodecError::Field("payment reference"))?,
            amount: Rupiah(received.amount_rupiah),
        },
        effect,
    })
}

fn resolution(resolved: &stored::PaymentCaseResolved) -> Result<CaseResolution, CodecError> {
    let resolution = match resolved.slot {
        None => Resolution::Refund,
        some => Resolution::Place {
            slot: slot(some)?,
            tranche: TrancheNumber(resolved.tranche),
            turn: turn(resolved.queue_number, resolved.session)?,
        },
    };
    let id = RegistrationId(uuid(&resolved.registration_id, "registration id")?);
    Ok(CaseResolution { case: CaseNumber(resolved.payment_case), id, resolution })
}

fn rescheduled(step: &stored::Rescheduled, caller: CallerNumber) -> Result<Rescheduled, CodecError> {
    let request = Some(&step.request_id).filter(|id| !id.is_empty()).map(|id| uuid(id, "request id"));
    let turn = turn(step.queue_number, step.session)?;
    Ok(Rescheduled {
        id: RegistrationId(uuid(&step.registration_id, "registration id")?),
        from: slot(step.from)?,
        to: slot(step.to)?,
        tranche: TrancheNumber(step.tranche),
        turn,
        named: turn.session.filter(|_| step.is_session_named).map(Session::start),
        hold_expires: step.hold_expires_ms.map(UnixMillis),
        request: request.transpose()?.map(|id| RequestKey { caller, id }),
    })
}

fn turn(queue_number: u32, stored: Option<stored::Session>) -> Result<Turn, CodecError> {
    let session = stored.map(|stored| session(Some(stored))).transpose()?;
    Ok(Turn { session, queue_number })
}

fn session(stored: Option<stored::Session>) -> Result<Session, CodecError> {
    let misfit = CodecError::Field("session");
    let stored = stored.ok_or(misfit.clone())?;
    let minutes = (narrow(stored.start_minute, "session")?, narrow(stored.end_minute, "session")?);
    Session::new(minutes.0, minutes.1).map_err(|_| misfit)
}

fn session_places(dealt: Vec<stored::SessionPlaces>) -> Result<Box<[SessionPlaces]>, CodecError> {
    let one =
        |one: stored::SessionPlaces| Ok(SessionPlaces { session: session(one.session)?, places: one.places });
    dealt.into_iter().map(one).collect()
}

fn slot(slot: Option<stored::Slot>) -> Result<SlotKey, CodecError> {
    let slot = slot.ok_or(CodecError::Field("slot"))?;
    let (office, day) = (OfficeNumber(slot.office), ServiceDay::from_number(slot.day));
    Ok(SlotKey { office, day, lane: Lane::of(slot.lane)? })
}

fn scope(scope: Option<stored::Scope>) -> Result<Scope, CodecError> {
    let scope = scope.ok_or(CodecError::Field("scope"))?;
    Ok(Scope {
        office: scope.office.map(OfficeNumber),
        day: scope.day.map(ServiceDay::from_number),
        lane: scope.lane.map(Lane::of).transpose()?,
    })
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
