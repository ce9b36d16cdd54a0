//! Events to bytes.

use kuota_api::log::v1 as stored;
use kuota_domain::{
    calendar::ServiceDay,
    catalog::Office,
    event::{CaseResolution, Change, Event, PaymentReceipt, Rescheduled},
    fees::{Fees, Price},
    ids::OfficeNumber,
    passport::{Ground, PassportKind},
    payment::{PaymentEffect, Resolution},
    registration::{Billing, Registration},
    session::{Session, SessionPlaces},
    slot::{Lane, Scope, SlotKey},
    time::UnixMillis,
};
use prost::encoding::message;
use stored::event::Body;

use super::{granted::GRANTED, numbers::Numbered as _};
use crate::wire::{bytes, nested, number, present, text};

/// Writes an event, as `kuota.log.v1.Event` has it.
pub(super) fn event(event: &Event, now: UnixMillis, out: &mut Vec<u8>) {
    number(1, u32::try_from(now.0.saturating_sub(event.at.0)).unwrap_or(0), out);
    number(2, event.actor.caller.0, out);
    text(3, &event.actor.subject, out);
    text(4, &event.reason, out);
    change(&event.change, out);
}

fn change(change: &Change, out: &mut Vec<u8>) {
    let body = match change {
        // What most events are is written as it goes.
        Change::Granted(registration) => return nested(GRANTED, out, |out| grant(registration, out)),
        Change::LogOpened { log_id, format, nik_key_check } => Body::LogOpened(stored::LogOpened {
            log_id: log_id.to_be_bytes().into(),
            format: *format,
            nik_key_check: nik_key_check.to_vec(),
        }),
        Change::FormatRaised(format) => Body::FormatRaised(stored::FormatRaised { format: *format }),
        Change::FeesDefined(fees) => Body::FeesDefined(self::fees(fees)),
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
            slot: Some(slot_of(*slot)),
            places: set.places,
            open_at_ms: set.open_at.map(|at| at.0),
        }),
        Change::OverrideCleared(slot) => {
            Body::OverrideCleared(stored::OverrideCleared { slot: Some(slot_of(*slot)) })
        }
        Change::Paused(scope) => Body::Paused(stored::Paused { scope: Some(scope_of(*scope)) }),
        Change::Resumed(scope) => Body::Resumed(stored::Resumed { scope: Some(scope_of(*scope)) }),
        Change::OfficeDefined { number, office } => Body::OfficeDefined(office_of(*number, office)),
        Change::OfficeClosed(number) => Body::OfficeClosed(stored::OfficeClosed { number: number.0 }),
        Change::TrancheReleased(release) => Body::TrancheReleased(stored::TrancheReleased {
            tranche: release.tranche.0,
            slot: Some(slot_of(release.slot)),
            opening_id: release.opening.to_string(),
            places: release.places,
            open_at_ms: release.times.open_at.0,
            close_at_ms: release.times.close_at.0,
            day_end_ms: release.times.day_end.0,
            cut_off_ms: release.times.cut_off.map(|at| at.0),
            sessions: release.sessions.iter().map(session_places).collect(),
        }),
        Change::TrancheChanged { tranche, slot, places, times, sessions } => {
            Body::TrancheChanged(stored::TrancheChanged {
                tranche: tranche.0,
                slot: Some(slot_of(*slot)),
                places: *places,
                open_at_ms: times.open_at.0,
                close_at_ms: times.close_at.0,
                day_end_ms: times.day_end.0,
                cut_off_ms: times.cut_off.map(|at| at.0),
                sessions: sessions.iter().map(session_places).collect(),
            })
        }
        Change::Cancelled { id, slot, case } => Body::Cancelled(stored::Cancelled {
            payment_case: case.map_or(0, |case| case.0),
            registration_id: id.0.to_be_bytes().into(),
            slot: Some(slot_of(*slot)),
        }),
        Change::HoldExpired { id, slot } => Body::HoldExpired(stored::HoldExpired {
            registration_id: id.0.to_be_bytes().into(),
            slot: Some(slot_of(*slot)),
        }),
        Change::Rescheduled(step) => Body::Rescheduled(rescheduled(step)),
        Change::CheckedIn { id, slot } => Body::CheckedIn(stored::CheckedIn {
            registration_id: id.0.to_be_bytes().into(),
            slot: Some(slot_of(*slot)),
        }),
        Change::Served { id, slot } => Body::Served(stored::Served {
            registration_id: id.0.to_be_bytes().into(),
            slot: Some(slot_of(*slot)),
        }),
        Change::NoShows { office, day, ids } => Body::NoShows(stored::NoShows {
            office: office.0,
            day: day.number(),
            registration_ids: ids.iter().map(|id| id.0.to_be_bytes().into()).collect(),
        }),
        Change::PaymentReceived(receipt) => Body::PaymentReceived(payment(receipt)),
        Change::CaseResolved(resolved) => Body::PaymentCaseResolved(resolution(*resolved)),
        Change::DayClosed { office, day, forget_at } => Body::DayClosed(stored::DayClosed {
            office: office.0,
            day: day.number(),
            forget_at_ms: forget_at.0,
        }),
        Change::DayForgotten { office, day } => {
            Body::DayForgotten(stored::DayForgotten { office: office.0, day: day.number() })
        }
    };
    body.encode(out);
}

fn fees(fees: &Fees) -> stored::FeesDefined {
    let passport = |(kind, price): (&PassportKind, &Price)| stored::PassportFee {
        passport: kind.stored(),
        rupiah: price.rupiah.0,
        source: price.source.to_string(),
    };
    let surcharge = |(lane, price): (&Lane, &Price)| stored::LaneSurcharge {
        lane: lane.stored(),
        rupiah: price.rupiah.0,
        source: price.source.to_string(),
    };
    stored::FeesDefined {
        passports: fees.passports.iter().map(passport).collect(),
        surcharges: fees.surcharges.iter().map(surcharge).collect(),
    }
}

fn office_of(number: OfficeNumber, office: &Office) -> stored::OfficeDefined {
    stored::OfficeDefined {
        number: number.0,
        id: office.id.to_string(),
        name: office.name.to_string(),
        kind: office.kind.stored(),
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
                lane: offer.lane.stored(),
                places: offer.places,
                source: offer.source.to_string(),
                cut_off_minute: offer.cut_off_minute.map(u32::from),
                hold_minutes: offer.hold_minutes,
                sessions: offer
                    .sessions
                    .iter()
                    .map(|one| stored::SessionShare {
                        session: Some(session(one.session)),
                        share: one.share.get(),
                    })
                    .collect(),
            })
            .collect(),
    }
}

/// Writes a grant, as `kuota.log.v1.Granted` has it.
fn grant(registration: &Registration, out: &mut Vec<u8>) {
    bytes(1, &registration.id.0.to_be_bytes(), out);
    bytes(2, &registration.request.id.to_be_bytes(), out);
    bytes(3, &registration.content.0, out);
    message::encode(4, &slot_of(registration.slot), out);
    number(5, registration.tranche.0, out);
    number(6, registration.queue_number, out);
    number(7, registration.code.number(), out);
    for applicant in &registration.applicants {
        nested(8, out, |out| {
            bytes(1, &applicant.key.0, out);
            number(2, applicant.last_four, out);
            text(3, &applicant.reference, out);
            number(4, applicant.passport.map_or(0, PassportKind::stored), out);
        });
    }
    if let Some(fee) = registration.fee() {
        present(9, fee.0, out);
    }
    number(10, registration.ground().map_or(0, Ground::stored), out);
    if let Some(Billing { reference, expires }) = registration.billing() {
        let hold = stored::Hold { billing_reference: reference.number(), expires_ms: expires.0 };
        message::encode(11, &hold, out);
    }
    if let Some(one) = registration.session {
        message::encode(12, &session(one), out);
    }
}

fn payment(receipt: &PaymentReceipt) -> stored::PaymentReceived {
    let (effect, payment_case, cause) = match receipt.effect {
        PaymentEffect::Confirmed => (1, 0, 0),
        PaymentEffect::Reinstated(_) => (2, 0, 0),
        PaymentEffect::CaseOpened(case, cause) => (3, case.0, cause.stored()),
    };
    let turn = match receipt.effect {
        PaymentEffect::Reinstated(turn) => turn,
        PaymentEffect::Confirmed | PaymentEffect::CaseOpened(..) => None,
    };
    stored::PaymentReceived {
        registration_id: receipt.id.0.to_be_bytes().into(),
        slot: Some(slot_of(receipt.slot)),
        payment_reference: receipt.payment.reference.as_str().to_owned(),
        amount_rupiah: receipt.payment.amount.0,
        effect,
        payment_case,
        cause,
        queue_number: turn.map_or(0, |turn| turn.queue_number),
        session: turn.and_then(|turn| turn.session).map(session),
    }
}

fn resolution(resolved: CaseResolution) -> stored::PaymentCaseResolved {
    let (slot, tranche, turn) = match resolved.resolution {
        Resolution::Refund => (None, 0, None),
        Resolution::Place { slot, tranche, turn } => (Some(slot_of(slot)), tranche.0, Some(turn)),
    };
    let registration_id = resolved.id.0.to_be_bytes().into();
    stored::PaymentCaseResolved {
        payment_case: resolved.case.0,
        registration_id,
        slot,
        tranche,
        queue_number: turn.map_or(0, |turn| turn.queue_number),
        session: turn.and_then(|turn| turn.session).map(session),
    }
}

fn rescheduled(step: &Rescheduled) -> stored::Rescheduled {
    stored::Rescheduled {
        registration_id: step.id.0.to_be_bytes().into(),
        from: Some(slot_of(step.from)),
        to: Some(slot_of(step.to)),
        tranche: step.tranche.0,
        queue_number: step.turn.queue_number,
        session: step.turn.session.map(session),
        is_session_named: step.named.is_some(),
        request_id: step.request.map(|request| request.id.to_be_bytes().into()).unwrap_or_default(),
        hold_expires_ms: step.hold_expires.map(|at| at.0),
    }
}

fn session(session: Session) -> stored::Session {
    stored::Session { start_minute: session.start().minute().into(), end_minute: session.end_minute().into() }
}

fn session_places(one: &SessionPlaces) -> stored::SessionPlaces {
    stored::SessionPlaces { session: Some(session(one.session)), places: one.places }
}

fn slot_of(slot: SlotKey) -> stored::Slot {
    stored::Slot { office: slot.office.0, day: slot.day.number(), lane: slot.lane.stored() }
}

fn scope_of(scope: Scope) -> stored::Scope {
    stored::Scope {
        office: scope.office.map(|office| office.0),
        day: scope.day.map(ServiceDay::number),
        lane: scope.lane.map(Lane::stored),
    }
}
