//! Which format an event came with.

use kuota_api::log::v1::event::Body;

/// Whether an event, or something in it, came with the second format.
pub(super) fn needs_format_2(body: &Body) -> bool {
    match body {
        Body::FormatRaised(_)
        | Body::FeesDefined(_)
        | Body::HoldExpired(_)
        | Body::Rescheduled(_)
        | Body::CheckedIn(_)
        | Body::Served(_)
        | Body::NoShows(_)
        | Body::PaymentReceived(_)
        | Body::PaymentCaseResolved(_) => true,
        Body::Cancelled(cancelled) => cancelled.payment_case > 0,
        Body::OfficeDefined(office) => office.lanes.iter().any(|lane| {
            lane.cut_off_minute.is_some() || lane.hold_minutes.is_some() || !lane.sessions.is_empty()
        }),
        Body::TrancheReleased(released) => released.cut_off_ms.is_some() || !released.sessions.is_empty(),
        Body::TrancheChanged(changed) => changed.cut_off_ms.is_some() || !changed.sessions.is_empty(),
        Body::Granted(granted) => {
            granted.fee_rupiah.is_some()
                || granted.hold.is_some()
                || granted.session.is_some()
                || granted.ground > 0
                || granted.applicants.iter().any(|applicant| applicant.passport > 0)
        }
        _ => false,
    }
}
