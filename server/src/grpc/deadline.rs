//! `grpc-timeout`: how long a caller waits. Whoever waited in vain is told so; what reached the ledger belongs to it.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use tonic::Status;

/// Read once, not at every call.
static TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// Digits of a timeout, as gRPC has them.
const DIGITS_MAX: usize = 8;

/// How long the caller of these headers waits, if it says so and can be understood.
pub(super) fn of(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(&TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > DIGITS_MAX || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// Over when the caller waits no longer; never, if it did not say how long.
pub(super) async fn passes(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => std::future::pending().await,
    }
}

/// What a caller is told who waits no longer.
pub(super) fn passed() -> Status {
    Status::deadline_exceeded("the time that the caller gave is over")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_as_grpc_writes_it() {
        for (text, span) in [
            ("2H", Some(Duration::from_secs(7_200))),
            ("3M", Some(Duration::from_secs(180))),
            ("99999999S", Some(Duration::from_secs(99_999_999))),
            ("250m", Some(Duration::from_millis(250))),
            ("5u", Some(Duration::from_micros(5))),
            ("1n", Some(Duration::from_nanos(1))),
            ("999999999m", None),
            ("-1S", None),
            ("S", None),
            ("1", None),
            ("", None),
            ("1s", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            assert_eq!(of(&headers), span, "{text}");
        }
        assert_eq!(of(&HeaderMap::new()), None);
    }
}
