//! Events to bytes and back. Numbers of lanes, kinds and fields are for ever; see `proto/kuota/log/v1`.

mod decode;
mod encode;
mod granted;
mod numbers;

use kuota_api::log::v1 as stored;
use kuota_domain::{event::Event, time::UnixMillis};
use prost::Message as _;

use self::granted::GrantedEvent;
use crate::wire::{Fields, Value, nested};

/// Bytes that are no events of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Not protobuf.
    #[error("a row's payload is not readable")]
    Payload,
    /// An event type of a newer release.
    #[error("an event of unknown type: the log was written by a newer release")]
    UnknownType,
    /// A field outside of what it may hold.
    #[error("an event's {0} is not understood")]
    Field(&'static str),
}

/// `kuota.log.v1.EventBatch.events`.
const EVENTS_FIELD: u32 = 1;
/// A grant has so many bytes, about.
const EVENT_BYTES_USUAL: usize = 160;

/// Bytes of one batch, in a buffer that may have held another.
#[must_use]
pub fn encode_events(events: &[Event], now: UnixMillis, mut payload: Vec<u8>) -> Vec<u8> {
    payload.clear();
    payload.reserve(EVENT_BYTES_USUAL * events.len());
    for event in events {
        // As `stored::EventBatch` would encode it, without all of them in memory at once.
        nested(EVENTS_FIELD, &mut payload, |out| encode::event(event, now, out));
    }
    payload
}

/// Appends the events of one batch to a list.
///
/// # Errors
/// When the bytes hold something this release does not understand.
pub fn decode_events(payload: &[u8], now: UnixMillis, events: &mut Vec<Event>) -> Result<(), CodecError> {
    for field in Fields(payload) {
        let Some((EVENTS_FIELD, Value::Bytes(event))) = field else { return Err(CodecError::Payload) };
        events.push(match GrantedEvent::read(event) {
            Some(event) => decode::granted(event, now)?,
            None => {
                let event = stored::Event::decode(event).map_err(|_| CodecError::Payload)?;
                decode::event(event, now)?
            }
        });
    }
    Ok(())
}
