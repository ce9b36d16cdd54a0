//! The service day: who came, who was served, and how many people are where.

use kuota_api::v1::{
    self, DayCount, check_in_request, complete_request,
    registration_service_client::RegistrationServiceClient,
};
use tonic::Request;

use crate::{
    admin::{Admin, service},
    ask::{Key, Outcome},
    call::{Call, Effect, insist},
    client::{AvailabilityFilter, Client},
    error::Error,
    limits,
};

impl Client {
    /// Somebody came: on the service day itself, on the office's clock. Said again, the same registration is returned.
    /// `actor` is the clerk or the counter, up to 64 characters, kept in the log; or empty.
    ///
    /// # Errors
    /// `NOT_FOUND` when there is no such registration, or when there is no answer. A refusal is an answer.
    pub async fn check_in(&self, key: &Key, actor: &str) -> Result<Outcome, Error> {
        insist(Call::begin(&self.link.terms, Effect::Write), |allowed| async move {
            let key = Some(match key.clone() {
                Key::Id(id) => check_in_request::Key::Id(id),
                Key::Code(code) => check_in_request::Key::Code(code),
                Key::RequestId(id) => check_in_request::Key::RequestId(id),
                Key::Billing(reference) => check_in_request::Key::BillingReference(reference),
            });
            let request = v1::CheckInRequest { key, actor: actor.into() };
            let send = async |channel, request: Request<_>| {
                RegistrationServiceClient::new(channel).check_in(request).await
            };
            Outcome::of_check_in(self.link.attempt(allowed, request, send).await?)
        })
        .await
    }

    /// Somebody who came was served. Said again, the same registration is returned.
    ///
    /// # Errors
    /// As [`check_in`](Self::check_in).
    pub async fn complete(&self, key: &Key, actor: &str) -> Result<Outcome, Error> {
        insist(Call::begin(&self.link.terms, Effect::Write), |allowed| async move {
            let key = Some(match key.clone() {
                Key::Id(id) => complete_request::Key::Id(id),
                Key::Code(code) => complete_request::Key::Code(code),
                Key::RequestId(id) => complete_request::Key::RequestId(id),
                Key::Billing(reference) => complete_request::Key::BillingReference(reference),
            });
            let request = v1::CompleteRequest { key, actor: actor.into() };
            let send = async |channel, request: Request<_>| {
                RegistrationServiceClient::new(channel).complete(request).await
            };
            Outcome::of_complete(self.link.attempt(allowed, request, send).await?)
        })
        .await
    }
}

impl Admin {
    /// How many people are where, by office, service day and lane: expected, come, served, not come, gone. From today at
    /// the office, unless `from_date` says otherwise; days that are over are remembered for 30 days.
    ///
    /// # Errors
    /// `NOT_FOUND` for an unknown office, or when there is no answer.
    pub async fn days(&self, filter: &AvailabilityFilter) -> Result<Vec<DayCount>, Error> {
        let (mut days, mut page_token) = (Vec::new(), String::new());
        for _ in 0..limits::PAGES_MAX {
            let request = v1::ListDaysRequest {
                office_id: filter.office_id.clone(),
                from_date: filter.from_date.clone(),
                to_date: filter.to_date.clone(),
                lane: filter.lane.map(i32::from),
                page_size: 0,
                page_token,
            };
            let send = async |channel, request: Request<_>| service(channel).list_days(request).await;
            let page = self.link.call(Effect::Read, &request, send).await?;
            days.extend(page.days);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        Ok(days)
    }
}
