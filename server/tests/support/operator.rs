//! What an operator asks.

use kuota_api::v1::{self, Lane, admin_service_client::AdminServiceClient};
use tonic::transport::Channel;
use uuid::Uuid;

use super::{OFFICE, Server, instant};

pub(crate) type Admin = AdminServiceClient<Channel>;

pub(crate) async fn operator(server: &Server) -> Admin {
    Admin::connect(format!("http://{}", server.addresses.admin)).await.unwrap()
}

pub(crate) fn command(id: u128) -> Option<v1::Command> {
    let (actor, reason) = ("siti".into(), "as the test wishes".into());
    Some(v1::Command { request_id: Uuid::from_u128(id).to_string(), actor, reason })
}

pub(crate) fn quota(id: u128, date: &str, places: u32) -> v1::SetQuotaRequest {
    let (office_id, service_date) = (OFFICE.into(), date.into());
    let (lane, validate_only) = (Lane::Regular.into(), false);
    v1::SetQuotaRequest { command: command(id), office_id, service_date, lane, places, validate_only }
}

pub(crate) fn opening(id: u128, date: &str, at: &str, places: Option<u32>) -> v1::ScheduleOpeningRequest {
    v1::ScheduleOpeningRequest {
        command: command(id),
        office_id: OFFICE.into(),
        service_dates: vec![date.into()],
        lanes: Vec::new(),
        open_time: Some(at_time(at)),
        places,
        validate_only: false,
    }
}

pub(crate) fn at_time(text: &str) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: instant(text).0 / 1_000, nanos: 0 }
}

pub(crate) fn scope(office: Option<&str>, date: Option<&str>, lane: Option<Lane>) -> Option<v1::Scope> {
    let (office_id, service_date) = (office.map(Into::into), date.map(Into::into));
    Some(v1::Scope { office_id, service_date, lane: lane.map(i32::from) })
}
