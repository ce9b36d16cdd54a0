//! Messages to domain values and back. Parses at the door: inside, an ill-formed value cannot exist.

use kuota_api::v1;
use kuota_domain::{
    billing::BillingReference,
    calendar::ServiceDay,
    code::BookingCode,
    ids::{CallerNumber, RegistrationId, RequestKey},
    limits::{PARTY_MAX, REASON_CHARS_MAX, REFERENCE_CHARS_MAX, SLUG_CHARS_MAX},
    nik::Nik,
    passport::{Ground, PassportKind},
    registration::{Registration, RegistrationState},
    session::{Session, SessionStart},
    slot::Lane,
    time::UnixMillis,
};
use smallvec::SmallVec;
use tonic::Status;
use tonic_types::FieldViolation;
use uuid::Uuid;
use zeroize::Zeroize;

use super::{
    ask::{self, Ask},
    encode::last_four,
    reschedule,
    status::invalid,
};
use crate::engine::{Directory, Durability, Granted, Key, Person, Wish};

const UUID_ALLOWED: &str = "a UUID, as 01935f3e-7b2a-7cc0-9b1e-3f2a5d6c7e8f, is allowed";

const GROUNDS: &str = "on LANE_PRIORITY the ground is required: PRIORITY_GROUND_ELDERLY, PRIORITY_GROUND_DISABLED, \
                       PRIORITY_GROUND_PREGNANT or PRIORITY_GROUND_CHILD_UNDER_FIVE";
const PASSPORT_KINDS: &str = "PASSPORT_KIND_ORDINARY_5_YEARS, PASSPORT_KIND_ORDINARY_10_YEARS, \
                              PASSPORT_KIND_ELECTRONIC_5_YEARS, PASSPORT_KIND_ELECTRONIC_10_YEARS or none is allowed";

/// Collects what is wrong with a request, so that one answer names every field.
#[derive(Default)]
pub(super) struct Violations(Vec<FieldViolation>);

impl Violations {
    pub(super) fn add(&mut self, field: impl Into<String>, allowed: impl Into<String>) {
        self.0.push(FieldViolation::new(field, allowed));
    }

    /// The value, or a note that the field is wrong.
    pub(super) fn take<T, E: ToString>(&mut self, field: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.add(field, error.to_string())).ok()
    }

    pub(super) fn check(self) -> Result<(), Status> {
        if self.0.is_empty() { Ok(()) } else { Err(invalid(self.0)) }
    }
}

/// Reads a wish for places.
pub(super) fn wish(ask: &Ask<'_>, caller: CallerNumber) -> Result<Wish, Status> {
    let mut violations = Violations::default();
    let request_id = violations.take("request_id", uuid(ask.request_id));
    if ask.office_id.is_empty() || ask.office_id.len() > SLUG_CHARS_MAX {
        violations.add("office_id", "the id of an office, as ListOffices names it, is required");
    }
    let day = violations.take("service_date", ServiceDay::parse(ask.service_date));
    let lane = violations.take("lane", lane(ask.lane));
    let durability = violations.take("durability", durability(ask.durability));
    let ground = violations.take("ground", ground(ask.ground, lane)).flatten();
    let session = session(ask.session, &mut violations);
    let party = party(&ask.applicants, &mut violations);
    violations.check()?;
    match (request_id, day, lane, durability) {
        (Some(request_id), Some(day), Some(lane), Some(durability)) => {
            let office = ask.office_id.into();
            Ok(Wish { caller, request_id, office, day, lane, session, party, ground, durability })
        }
        _ => Err(invalid(Vec::new())),
    }
}

fn party(applicants: &[ask::Applicant<'_>], violations: &mut Violations) -> SmallVec<[Person; 1]> {
    if applicants.is_empty() || applicants.len() > PARTY_MAX {
        violations.add("applicants", format!("1 to {PARTY_MAX} applicants are allowed"));
    }
    let mut party = SmallVec::new();
    for (index, applicant) in applicants.iter().take(PARTY_MAX).enumerate() {
        if applicant.reference.chars().count() > REFERENCE_CHARS_MAX {
            let field = format!("applicants[{index}].reference");
            violations.add(field, format!("up to {REFERENCE_CHARS_MAX} characters are allowed"));
        }
        let field = || format!("applicants[{index}].nik");
        if let Some(first) = applicants[..index].iter().position(|other| other.nik == applicant.nik) {
            violations.add(field(), format!("no NIK twice in a party: the same as applicants[{first}]"));
        }
        let kind = passport_kind(applicant.passport_kind);
        if kind.is_err() {
            violations.add(format!("applicants[{index}].passport_kind"), PASSPORT_KINDS);
        }
        match Nik::parse(applicant.nik) {
            Ok(nik) => {
                let (passport, reference) = (kind.unwrap_or_default(), applicant.reference.into());
                party.push(Person { nik, passport, reference });
            }
            Err(error) => violations.add(field(), error.to_string()),
        }
    }
    party
}

/// Wipes the identity numbers of asks (INV-10).
pub(super) fn wipe(requests: &mut [v1::RegisterRequest]) {
    for applicant in requests.iter_mut().flat_map(|request| &mut request.applicants) {
        applicant.nik.zeroize();
    }
}

/// Reads a range of service days.
pub(super) fn days(
    (from, to): (&Option<String>, &Option<String>),
    violations: &mut Violations,
) -> (Option<ServiceDay>, Option<ServiceDay>) {
    let mut day = |field, text: &Option<String>| {
        text.as_deref().and_then(|text| violations.take(field, ServiceDay::parse(text)))
    };
    let (from, to) = (day("from_date", from), day("to_date", to));
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        violations.add("to_date", "a day not before from_date is allowed");
    }
    (from, to)
}

/// Reads the key of a look-up.
pub(super) fn key(request: v1::GetRegistrationRequest, caller: CallerNumber) -> Result<Key, Status> {
    use v1::get_registration_request::Key as Asked;
    let mut violations = Violations::default();
    let key = match request.key {
        None => {
            violations.add("key", "one of id, code, request_id and billing_reference is required");
            None
        }
        Some(Asked::Id(id)) => violations.take("id", uuid(&id)).map(|id| Key::Id(RegistrationId(id))),
        Some(Asked::Code(code)) => violations.take("code", BookingCode::parse(&code)).map(Key::Code),
        Some(Asked::RequestId(id)) => {
            violations.take("request_id", uuid(&id)).map(|id| Key::Request(RequestKey { caller, id }))
        }
        Some(Asked::BillingReference(text)) => {
            violations.take("billing_reference", BillingReference::parse(&text)).map(Key::Billing)
        }
    };
    violations.check()?;
    key.ok_or_else(|| invalid(Vec::new()))
}

/// Reads a wish to give places back.
pub(super) fn cancellation(request: &v1::CancelRequest) -> Result<RegistrationId, Status> {
    let mut violations = Violations::default();
    let id = violations.take("id", uuid(&request.id));
    if request.reason.chars().count() > REASON_CHARS_MAX {
        violations.add("reason", format!("up to {REASON_CHARS_MAX} characters are allowed"));
    }
    violations.check()?;
    id.map(RegistrationId).ok_or_else(|| invalid(Vec::new()))
}

pub(super) fn uuid(text: &str) -> Result<u128, &'static str> {
    let uuid = Uuid::try_parse(text).map_err(|_| UUID_ALLOWED)?;
    if uuid.is_nil() { Err("a UUID other than the nil UUID is allowed") } else { Ok(uuid.as_u128()) }
}

/// Reads a lane; unspecified is none.
pub(super) fn lane(lane: i32) -> Result<Lane, &'static str> {
    match v1::Lane::try_from(lane) {
        Ok(v1::Lane::Regular) => Ok(Lane::Regular),
        Ok(v1::Lane::OneDay) => Ok(Lane::OneDay),
        Ok(v1::Lane::Priority) => Ok(Lane::Priority),
        Ok(v1::Lane::Unspecified) | Err(_) => Err("LANE_REGULAR, LANE_ONE_DAY or LANE_PRIORITY is required"),
    }
}

/// Reads a ground: there is one on the priority lane, and only there.
fn ground(ground: i32, lane: Option<Lane>) -> Result<Option<Ground>, &'static str> {
    use v1::PriorityGround as Said;
    let ground = match Said::try_from(ground) {
        Ok(Said::Unspecified) => None,
        Ok(Said::Elderly) => Some(Ground::Elderly),
        Ok(Said::Disabled) => Some(Ground::Disabled),
        Ok(Said::Pregnant) => Some(Ground::Pregnant),
        Ok(Said::ChildUnderFive) => Some(Ground::ChildUnderFive),
        Err(_) => return Err(GROUNDS),
    };
    match (lane, ground) {
        (Some(Lane::Priority), None) => Err(GROUNDS),
        (Some(Lane::Regular | Lane::OneDay), Some(_)) => Err("a ground is allowed on LANE_PRIORITY only"),
        (Some(_) | None, ground) => Ok(ground),
    }
}

/// Reads a kind of passport; unspecified is none.
fn passport_kind(kind: i32) -> Result<Option<PassportKind>, prost::UnknownEnumValue> {
    use v1::PassportKind as Said;
    Ok(match Said::try_from(kind)? {
        Said::Unspecified => None,
        Said::Ordinary5Years => Some(PassportKind::Ordinary5Years),
        Said::Ordinary10Years => Some(PassportKind::Ordinary10Years),
        Said::Electronic5Years => Some(PassportKind::Electronic5Years),
        Said::Electronic10Years => Some(PassportKind::Electronic10Years),
    })
}

/// The API's name of a kind of passport.
pub(super) const fn passport_of(kind: Option<PassportKind>) -> v1::PassportKind {
    match kind {
        None => v1::PassportKind::Unspecified,
        Some(PassportKind::Ordinary5Years) => v1::PassportKind::Ordinary5Years,
        Some(PassportKind::Ordinary10Years) => v1::PassportKind::Ordinary10Years,
        Some(PassportKind::Electronic5Years) => v1::PassportKind::Electronic5Years,
        Some(PassportKind::Electronic10Years) => v1::PassportKind::Electronic10Years,
    }
}

/// The API's name of a ground.
pub(super) const fn ground_of(ground: Option<Ground>) -> v1::PriorityGround {
    match ground {
        None => v1::PriorityGround::Unspecified,
        Some(Ground::Elderly) => v1::PriorityGround::Elderly,
        Some(Ground::Disabled) => v1::PriorityGround::Disabled,
        Some(Ground::Pregnant) => v1::PriorityGround::Pregnant,
        Some(Ground::ChildUnderFive) => v1::PriorityGround::ChildUnderFive,
    }
}

fn durability(durability: i32) -> Result<Durability, &'static str> {
    match v1::Durability::try_from(durability) {
        Ok(v1::Durability::Unspecified | v1::Durability::Durable) => Ok(Durability::Durable),
        Ok(v1::Durability::Accepted) => Ok(Durability::Accepted),
        Err(_) => Err("DURABILITY_DURABLE or DURABILITY_ACCEPTED is allowed"),
    }
}

/// The API's name of a lane.
pub(super) const fn lane_of(lane: Lane) -> v1::Lane {
    match lane {
        Lane::Regular => v1::Lane::Regular,
        Lane::OneDay => v1::Lane::OneDay,
        Lane::Priority => v1::Lane::Priority,
    }
}

/// A session by its start; empty: any.
pub(super) fn session(text: &str, violations: &mut Violations) -> Option<SessionStart> {
    let named = Some(text).filter(|text| !text.is_empty());
    violations.take("session", named.map(SessionStart::parse).transpose()).flatten()
}

/// The API's form of a session.
pub(super) fn session_of(session: Session) -> v1::Session {
    v1::Session { start_time: session.start().to_string(), end_time: session.end().to_string() }
}

/// The API's name of a state.
pub(super) const fn state_of(state: RegistrationState) -> v1::RegistrationState {
    match state {
        RegistrationState::Confirmed => v1::RegistrationState::Confirmed,
        RegistrationState::Cancelled => v1::RegistrationState::Cancelled,
        RegistrationState::Held => v1::RegistrationState::Held,
        RegistrationState::Expired => v1::RegistrationState::Expired,
        RegistrationState::CheckedIn => v1::RegistrationState::CheckedIn,
        RegistrationState::Served => v1::RegistrationState::Served,
        RegistrationState::NoShow => v1::RegistrationState::NoShow,
    }
}

/// Reads an instant.
pub(super) fn instant(at: &prost_types::Timestamp) -> Result<UnixMillis, &'static str> {
    let ms = at.seconds.checked_mul(1_000).map(|ms| ms.saturating_add(i64::from(at.nanos) / 1_000_000));
    // Years 1 to 9999, as google.protobuf.Timestamp has them.
    let in_range =
        (-62_135_596_800..=253_402_300_799).contains(&at.seconds) && (0..1_000_000_000).contains(&at.nanos);
    ms.filter(|_| in_range).map(UnixMillis).ok_or("an instant between the years 1 and 9999 is allowed")
}

/// The API's form of an instant.
pub(super) fn timestamp(at: UnixMillis) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.0.rem_euclid(1_000) * 1_000_000).unwrap_or(0);
    prost_types::Timestamp { seconds: at.0.div_euclid(1_000), nanos }
}

/// The API's form of a registration.
pub(super) fn registration(granted: &Granted, directory: &Directory) -> v1::Registration {
    let registration: &Registration = &granted.registration;
    let office = directory.office(registration.slot.office);
    let billing = registration.billing();
    v1::Registration {
        id: Uuid::from_u128(registration.id.0).to_string(),
        code: registration.code.to_string(),
        request_id: Uuid::from_u128(registration.request.id).to_string(),
        office_id: office.map_or_else(String::new, |entry| entry.office.id.to_string()),
        service_date: registration.slot.day.to_string(),
        lane: lane_of(registration.slot.lane).into(),
        state: state_of(registration.state).into(),
        queue_number: registration.queue_number,
        durable: Some(granted.durable),
        applicants: registration
            .applicants
            .iter()
            .map(|applicant| v1::RegisteredApplicant {
                nik_last_four: last_four(applicant).into(),
                reference: applicant.reference.to_string(),
                passport_kind: passport_of(applicant.passport).into(),
            })
            .collect(),
        create_time: Some(timestamp(registration.created)),
        update_time: Some(timestamp(registration.updated())),
        cancel_reason: registration.cancel_reason().to_owned(),
        fee_rupiah: registration.fee().map(|fee| fee.0.into()),
        ground: ground_of(registration.ground()).into(),
        billing_reference: billing.map_or_else(String::new, |billing| billing.reference.to_string()),
        hold_expire_time: billing.map(|billing| timestamp(billing.expires)),
        payment_reference: registration
            .payment()
            .map_or_else(String::new, |payment| payment.reference.as_str().to_owned()),
        payment_time: registration.paid_at().map(|(_, at)| timestamp(*at)),
        payment_case_numbers: registration.cases().iter().map(|case| case.0).collect(),
        rescheduled_from: reschedule::left(registration, directory),
        reschedule_time: registration.moved().map(|moved| timestamp(moved.at)),
        session: registration.session.map(session_of),
        check_in_time: registration.checked_in().map(timestamp),
        serve_time: registration.served().map(timestamp),
    }
}
