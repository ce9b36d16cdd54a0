//! `OfficeService`.

use std::sync::Arc;

use kuota_api::v1::{self, office_service_server::OfficeService};
use kuota_domain::{
    catalog::{Office, OfficeKind},
    fees::{Fees, Price},
    ids::OfficeNumber,
    limits::SLUG_CHARS_MAX,
    passport::PassportKind,
    session::SessionPlaces,
};
use tonic::{Request, Response, Status};

use super::{
    Api,
    convert::{Violations, lane_of, passport_of},
    language::Language,
    paging::{fingerprint, page, token},
    status::status,
};
use crate::engine::{Directory, Failure, OfficeEntry};

const PAGE_MAX: usize = 1_000;

#[tonic::async_trait]
impl OfficeService for Api {
    async fn list_offices(
        &self,
        request: Request<v1::ListOfficesRequest>,
    ) -> Result<Response<v1::ListOfficesResponse>, Status> {
        let request = request.into_inner();
        let query = fingerprint("offices");
        let mut violations = Violations::default();
        let asked = (request.page_size, request.page_token.as_str());
        let page = page(asked, (PAGE_MAX, PAGE_MAX), query, &mut violations);
        violations.check()?;

        let directory = self.engine.directory();
        let first = page.after.map_or(0, |after| u128::from_be_bytes(after).saturating_add(1));
        let mut rest =
            directory.offices().filter(|(number, entry)| entry.open && u128::from(number.0) >= first);
        let taken: Vec<_> = rest.by_ref().take(page.size).collect();
        let last = taken.last().map(|(number, _)| u128::from(number.0).to_be_bytes());
        let next_page_token =
            last.filter(|_| rest.next().is_some()).map_or_else(String::new, |last| token(query, last));
        let fees = directory.fees();
        let offices = taken.into_iter().map(|(_, entry)| office(&entry.office, fees)).collect();
        let (passport_fees, server_time) = (passport_fees(fees), self.server_time());
        Ok(Response::new(v1::ListOfficesResponse { offices, next_page_token, server_time, passport_fees }))
    }
}

/// The office of that id, with its number.
pub(super) fn find<'a>(
    directory: &'a Directory,
    id: &str,
    language: Language,
) -> Result<(OfficeNumber, &'a Arc<OfficeEntry>), Status> {
    // What is no slug is not sent back whole.
    let named = || id.chars().take(SLUG_CHARS_MAX).collect();
    directory.find(id).ok_or_else(|| status(Failure::OfficeNotFound(named()), language))
}

fn passport_fees(fees: &Fees) -> Vec<v1::PassportFee> {
    let fee = |(kind, price): (&PassportKind, &Price)| v1::PassportFee {
        passport_kind: passport_of(Some(*kind)).into(),
        fee_rupiah: price.rupiah.0.into(),
        source: price.source.to_string(),
    };
    fees.passports.iter().map(fee).collect()
}

fn office(office: &Office, fees: &Fees) -> v1::Office {
    let kind = match office.kind {
        OfficeKind::Kanim => v1::OfficeKind::Kanim,
        OfficeKind::Ukk => v1::OfficeKind::Ukk,
        OfficeKind::Mpp => v1::OfficeKind::Mpp,
    };
    v1::Office {
        id: office.id.to_string(),
        name: office.name.to_string(),
        kind: kind.into(),
        parent_id: office.parent.as_ref().map(ToString::to_string).unwrap_or_default(),
        time_zone: office.zone.name().to_owned(),
        latitude: f64::from(office.latitude_e6) / 1e6,
        longitude: f64::from(office.longitude_e6) / 1e6,
        lanes: office
            .lanes
            .iter()
            .map(|offer| v1::OfficeLane {
                lane: lane_of(offer.lane).into(),
                daily_places: offer.places,
                source: offer.source.to_string(),
                surcharge_rupiah: fees.surcharges.get(&offer.lane).map_or(0, |price| price.rupiah.0.into()),
                cut_off_time: offer.cut_off_minute.map_or_else(String::new, clock),
                hold: offer
                    .hold_minutes
                    .map(|minutes| prost_types::Duration { seconds: i64::from(minutes) * 60, nanos: 0 }),
                sessions: offer
                    .deal(offer.places)
                    .into_iter()
                    .map(|SessionPlaces { session, places }| v1::OfficeSession {
                        start_time: session.start().to_string(),
                        end_time: session.end().to_string(),
                        daily_places: places,
                    })
                    .collect(),
            })
            .collect(),
    }
}

fn clock(minute_of_day: u16) -> String {
    format!("{:02}:{:02}", minute_of_day / 60, minute_of_day % 60)
}
