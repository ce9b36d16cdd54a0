//! Asking a running server whether it serves: what `kuota-server health` does.

use std::{net::SocketAddr, time::Duration};

use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

const TIMEOUT: Duration = Duration::from_secs(3);

/// Whether the server at an address serves.
///
/// # Errors
/// When nobody answers in time.
pub async fn is_serving(address: SocketAddr) -> anyhow::Result<bool> {
    let endpoint = Endpoint::try_from(format!("http://{address}"))?;
    let channel = endpoint.connect_timeout(TIMEOUT).timeout(TIMEOUT).connect().await?;
    let answer = HealthClient::new(channel).check(HealthCheckRequest { service: String::new() }).await;
    let answer = answer.map_err(|status| match status.code() {
        // What tonic calls a timeout.
        tonic::Code::Cancelled => anyhow::anyhow!("no answer within {} s", TIMEOUT.as_secs()),
        code => anyhow::anyhow!("{code}: {}", status.message()),
    })?;
    Ok(answer.into_inner().status() == ServingStatus::Serving)
}
