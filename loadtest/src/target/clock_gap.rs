//! What lies between this machine's clock and a server's: nothing where they are one, and an estimate elsewhere.

use std::{
    net::SocketAddr,
    time::{Instant, SystemTime},
};

use kuota_api::v1::{Lane, ListAvailabilityRequest, availability_service_client::AvailabilityServiceClient};
use tonic::transport::Endpoint;

use super::ground::{milliseconds, wall_ms};
use crate::limits::CLOCK_QUESTIONS;

/// How far a server's clock is ahead of this one, as well as the way there and back lets it be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockGap {
    /// Server minus this machine.
    pub offset_ms: i64,
    /// The way there and back: the estimate is off by half of it at most.
    pub round_trip_ms: i64,
}

impl ClockGap {
    /// Estimates it, by the quickest of some questions (Cristian 1989). This machine's own clock has none.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn estimate(address: SocketAddr) -> anyhow::Result<Self> {
        if address.ip().is_loopback() {
            return Ok(Self::default());
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
        let mut client = AvailabilityServiceClient::new(endpoint);
        let mut gaps = Vec::new();
        for _ in 0..CLOCK_QUESTIONS {
            let request = ListAvailabilityRequest {
                lane: Some(Lane::Regular.into()),
                page_size: 1,
                ..ListAvailabilityRequest::default()
            };
            let (asked, asked_ms) = (Instant::now(), wall_ms(SystemTime::now()));
            let answer = client.list_availability(request).await?.into_inner();
            let took_ms = i64::try_from(asked.elapsed().as_millis())? + 1;
            if let Some(time) = answer.server_time {
                gaps.push((took_ms, milliseconds(time) - asked_ms - took_ms / 2));
            }
        }
        let quickest = gaps.into_iter().min();
        Ok(quickest.map_or(Self::default(), |(round_trip_ms, offset_ms)| Self { offset_ms, round_trip_ms }))
    }

    /// The earliest that it can be there when it is so much here.
    #[must_use]
    pub const fn earliest_ms(self, here_ms: i64) -> i64 {
        here_ms.saturating_add(self.offset_ms - self.round_trip_ms)
    }

    /// The latest that it can be there when it is so much here.
    #[must_use]
    pub const fn latest_ms(self, here_ms: i64) -> i64 {
        here_ms.saturating_add(self.offset_ms + self.round_trip_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_there_is_bounded_by_offset_and_way() {
        let gap = ClockGap { offset_ms: -300, round_trip_ms: 20 };
        assert_eq!((gap.earliest_ms(1_000), gap.latest_ms(1_000)), (680, 720));
        assert_eq!(ClockGap::default().latest_ms(1_000), 1_000);
    }
}
