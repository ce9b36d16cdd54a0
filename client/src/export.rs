//! The export: registrations as they stand, part after part.

use std::time::Duration;

use kuota_api::v1::{ExportRequest, ExportResponse, ExportedRegistration};
use tonic::{Request, Streaming};

use crate::{
    admin::service,
    call::{Call, Effect, insist},
    error::Error,
    failure::Failure,
    limits::EXPORT_SILENCE_MAX,
    link::Link,
};

/// Which registrations to export; all by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportFilter {
    /// Only this office.
    pub office_id: Option<String>,
    /// Only service days from this one on.
    pub from_date: Option<String>,
    /// Only service days up to and including this one.
    pub to_date: Option<String>,
}

/// An export under way, from [`Admin::export`](crate::Admin::export).
///
/// Opening it is retried. One that breaks off is not: it would begin anew.
#[derive(Debug)]
pub struct Export {
    url: String,
    stream: Streaming<ExportResponse>,
}

impl Export {
    pub(crate) async fn open(link: &Link, filter: &ExportFilter) -> Result<Self, Error> {
        let ExportFilter { office_id, from_date, to_date } = filter.clone();
        let request = &ExportRequest { office_id, from_date, to_date };
        let stream = insist(Call::begin(&link.terms, Effect::Read), |allowed| {
            let send = async |channel, request: Request<_>| service(channel).export(request).await;
            link.open(allowed, request.clone(), send)
        });
        Ok(Self { url: link.terms.url.clone(), stream: stream.await? })
    }

    /// The next registrations; `None` after the last.
    ///
    /// # Errors
    /// When the stream breaks off, or is silent for 30 s: begin again.
    pub async fn next(&mut self) -> Result<Option<Vec<ExportedRegistration>>, Error> {
        let part = tokio::time::timeout(EXPORT_SILENCE_MAX, self.stream.message()).await;
        let part = match part {
            Ok(part) => part.map_err(Failure::from),
            Err(_) => Err(Failure::overdue()),
        };
        match part {
            Ok(part) => Ok(part.map(|part| part.registrations)),
            Err(failure) => Err(failure.into_error(&self.url, 1, false, Duration::ZERO)),
        }
    }
}
