//! Events of the log in the API's form, with a sentence for people.

use kuota_api::v1::{self, EventKind};
use kuota_domain::{
    calendar::ServiceDay,
    event::{Change, Event, PaymentReceipt},
    ids::OfficeNumber,
    payment::{CaseCause, Payment, PaymentEffect, Resolution},
    session::{Session, SessionPlaces, Turn},
    slot::{Scope, SlotKey},
    time::UnixMillis,
};
use uuid::Uuid;

use super::convert::{lane_of, timestamp};
use crate::engine::Directory;

/// The API's form of an event.
pub(super) fn event(directory: &Directory, number: u64, event: &Event) -> v1::Event {
    let (registration, place) = (event.change.registration(), event.change.place());
    v1::Event {
        number,
        time: Some(timestamp(event.at)),
        actor: event.actor.subject.to_string(),
        reason: event.reason.to_string(),
        kind: kind(&event.change).into(),
        description: describe(directory, &event.change),
        registration_id: registration.map(|id| uuid(id.0)).unwrap_or_default(),
        office_id: place.office.map(|office| office_id(directory, office)).unwrap_or_default(),
        service_date: place.day.map(|day| day.to_string()).unwrap_or_default(),
        lane: place.lane.map_or(v1::Lane::Unspecified, lane_of).into(),
        request_id: request_id(&event.change).unwrap_or_default(),
    }
}

fn request_id(change: &Change) -> Option<String> {
    match change {
        Change::Granted(registration) => Some(uuid(registration.request.id)),
        Change::CommandCarriedOut(mark) => Some(uuid(mark.request.id)),
        Change::Rescheduled(step) => step.request.map(|request| uuid(request.id)),
        _ => None,
    }
}

const fn kind(change: &Change) -> EventKind {
    match change {
        Change::LogOpened { .. } => EventKind::LogOpened,
        Change::FormatRaised(_) => EventKind::FormatRaised,
        Change::FeesDefined(_) => EventKind::FeesDefined,
        Change::HolidaysDefined(_) => EventKind::HolidaysDefined,
        Change::OpeningDefined(_) => EventKind::OpeningDefined,
        Change::OpeningRemoved(_) => EventKind::OpeningRemoved,
        Change::OfficeDefined { .. } => EventKind::OfficeDefined,
        Change::OfficeClosed(_) => EventKind::OfficeClosed,
        Change::CatalogApplied { .. } => EventKind::CatalogApplied,
        Change::CommandCarriedOut(_) => EventKind::CommandCarriedOut,
        Change::OverrideSet { .. } => EventKind::OverrideSet,
        Change::OverrideCleared(_) => EventKind::OverrideCleared,
        Change::Paused(_) => EventKind::Paused,
        Change::Resumed(_) => EventKind::Resumed,
        Change::TrancheReleased(_) => EventKind::PlacesReleased,
        Change::TrancheChanged { .. } => EventKind::PlacesChanged,
        Change::Granted(_) => EventKind::Granted,
        Change::Cancelled { .. } => EventKind::Cancelled,
        Change::HoldExpired { .. } => EventKind::HoldExpired,
        Change::Rescheduled(_) => EventKind::Rescheduled,
        Change::CheckedIn { .. } => EventKind::CheckedIn,
        Change::Served { .. } => EventKind::Served,
        Change::NoShows { .. } => EventKind::NoShows,
        Change::PaymentReceived(_) => EventKind::PaymentReceived,
        Change::CaseResolved(_) => EventKind::PaymentCaseResolved,
        Change::DayClosed { .. } => EventKind::DayClosed,
        Change::DayForgotten { .. } => EventKind::DayForgotten,
    }
}

fn describe(directory: &Directory, change: &Change) -> String {
    let at = |slot: SlotKey| format!("{} on {}, {}", office_id(directory, slot.office), slot.day, slot.lane);
    let day = |office, day: ServiceDay| format!("{} on {day}", office_id(directory, office));
    match change {
        Change::LogOpened { log_id, format, .. } => {
            format!("Log {} opened, format {format}.", uuid(*log_id))
        }
        Change::FormatRaised(format) => format!("The log's format is {format} from here on."),
        Change::FeesDefined(fees) => {
            format!("Fees set: {} passports, {} lanes.", fees.passports.len(), fees.surcharges.len())
        }
        Change::HolidaysDefined(holidays) => format!("Holidays set: {} days.", holidays.len()),
        Change::OpeningDefined(rule) => format!("Opening rule {} set.", rule.id),
        Change::OpeningRemoved(id) => format!("Opening rule {id} removed."),
        Change::OfficeDefined { office, .. } => format!("Office {} set.", office.id),
        Change::OfficeClosed(office) => format!("Office {} closed.", office_id(directory, *office)),
        Change::CatalogApplied { at_start: true, .. } => "Catalogue applied at the start.".into(),
        Change::CatalogApplied { at_start: false, .. } => "Catalogue applied.".into(),
        Change::CommandCarriedOut(mark) => match mark.changes {
            0 => "Write carried out; nothing had to change.".into(),
            1 => "Write carried out; the change stands before it.".into(),
            changes => format!("Write carried out; its {changes} changes stand before it."),
        },
        Change::OverrideSet { slot, set } => {
            let places = set.places.map(|places| format!("{places} places"));
            let opening = set.open_at.map(|at| format!("opening at {}", instant(at)));
            let what: Vec<_> = places.into_iter().chain(opening).collect();
            format!("{}: {} set above the catalogue.", at(*slot), what.join(" and "))
        }
        Change::OverrideCleared(slot) => format!("{}: back to the catalogue.", at(*slot)),
        Change::Paused(scope) => format!("Paused {}.", scoped(directory, *scope)),
        Change::Resumed(scope) => format!("Resumed {}.", scoped(directory, *scope)),
        Change::TrancheReleased(release) => format!(
            "{}: {} places, opening at {}{}.",
            at(release.slot),
            release.places,
            instant(release.times.open_at),
            dealt(&release.sessions)
        ),
        Change::TrancheChanged { slot, places, times, sessions, .. } => {
            let (place, opening, dealt) = (at(*slot), instant(times.open_at), dealt(sessions));
            format!("{place}: now {places} places, opening at {opening}{dealt}.")
        }
        Change::Granted(registration) => format!(
            "Granted {} for {} at {}{}, queue number {}.",
            registration.code,
            people(registration.places()),
            at(registration.slot),
            hours(registration.session),
            registration.queue_number
        ),
        Change::Cancelled { slot, case: None, .. } => {
            format!("Cancelled; the places at {} are free again.", at(*slot))
        }
        Change::Cancelled { slot, case: Some(case), .. } => format!(
            "Cancelled; the places at {} are free again, and what was paid is payment case {}.",
            at(*slot),
            case.0
        ),
        Change::HoldExpired { slot, .. } => {
            format!("Not paid for in time; the places at {} are free again.", at(*slot))
        }
        Change::CheckedIn { slot, .. } => format!("Came to {}.", at(*slot)),
        Change::Served { slot, .. } => format!("Served at {}.", at(*slot)),
        Change::NoShows { office, day: date, ids } => {
            let many =
                if ids.len() == 1 { "1 registration".into() } else { format!("{} registrations", ids.len()) };
            format!("{}: nobody came for {many}.", day(*office, *date))
        }
        Change::Rescheduled(step) => format!(
            "Rescheduled from {} to {}{}{}.",
            at(step.from),
            at(step.to),
            queued(step.turn),
            if step.request.is_some() { "" } else { "; it does not count" }
        ),
        Change::PaymentReceived(receipt) => paid(receipt, &at(receipt.slot)),
        Change::CaseResolved(resolved) => match resolved.resolution {
            Resolution::Refund => format!("Payment case {}: the money goes back.", resolved.case.0),
            Resolution::Place { slot, turn, .. } => {
                let (case, place) = (resolved.case.0, at(slot));
                format!("Payment case {case}: a place at {place}{}.", queued(turn))
            }
        },
        Change::DayClosed { office, day: date, .. } => {
            format!("{}: the service day is over.", day(*office, *date))
        }
        Change::DayForgotten { office, day: date } => {
            format!("{}: its registrations left memory; they stay in the log.", day(*office, *date))
        }
    }
}

fn paid(receipt: &PaymentReceipt, place: &str) -> String {
    let Payment { reference, amount } = &receipt.payment;
    let reference = reference.as_str();
    match receipt.effect {
        PaymentEffect::Confirmed => format!("{amount} paid ({reference}); {place} is confirmed."),
        PaymentEffect::Reinstated(turn) => {
            let turn = turn.map(queued).unwrap_or_default();
            format!("{amount} paid late ({reference}); {place} was still free, and is confirmed{turn}.")
        }
        PaymentEffect::CaseOpened(case, cause) => {
            let why = match cause {
                CaseCause::PlaceGone => "the place was gone",
                CaseCause::PaidAfterCancellation => "the registration was cancelled",
                CaseCause::PaidTwice => "the registration was paid already",
                CaseCause::CancelledAfterPayment => "the registration was cancelled afterwards",
            };
            format!("{amount} paid ({reference}); {why}: payment case {}.", case.0)
        }
    }
}

fn queued(Turn { session, queue_number }: Turn) -> String {
    format!("{}, queue number {queue_number}", hours(session))
}

fn hours(session: Option<Session>) -> String {
    session.map_or_else(String::new, |session| format!(", {session}"))
}

fn dealt(sessions: &[SessionPlaces]) -> String {
    if sessions.is_empty() {
        return String::new();
    }
    let each = sessions.iter().map(|one| format!("{} at {}", one.places, one.session));
    format!(": {}", each.collect::<Vec<_>>().join(", "))
}

fn scoped(directory: &Directory, scope: Scope) -> String {
    let parts: Vec<String> = [
        scope.office.map(|office| office_id(directory, office)),
        scope.day.map(|day| format!("on {day}")),
        scope.lane.map(|lane| format!("lane {lane}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { "everything".into() } else { parts.join(", ") }
}

fn people(count: u32) -> String {
    if count == 1 { "1 person".into() } else { format!("{count} people") }
}

fn instant(at: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| format!("{} ms", at.0), |at| at.to_string())
}

fn uuid(id: u128) -> String {
    Uuid::from_u128(id).to_string()
}

fn office_id(directory: &Directory, office: OfficeNumber) -> String {
    directory
        .office(office)
        .map_or_else(|| format!("office {}", office.0), |entry| entry.office.id.to_string())
}
