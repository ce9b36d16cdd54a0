//! A grant as it lies in a row: its bytes are borrowed from there. Most events of a log are grants, and a start reads all of
//! them. Reads the fields this release declares; where an event is no grant, or has others, generated code has the word.

use kuota_api::log::v1 as stored;
use prost::Message;
use smallvec::SmallVec;

use crate::wire::{Fields, Value};

/// `kuota.log.v1.Event.granted`.
pub(super) const GRANTED: u32 = 17;

/// `kuota.log.v1.Event` with a grant, borrowed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct GrantedEvent<'a> {
    pub(super) before_ms: u32,
    pub(super) caller: u32,
    pub(super) subject: &'a str,
    pub(super) reason: &'a str,
    pub(super) granted: Granted<'a>,
}

/// `kuota.log.v1.Granted`, borrowed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Granted<'a> {
    pub(super) registration_id: &'a [u8],
    pub(super) request_id: &'a [u8],
    pub(super) content: &'a [u8],
    pub(super) slot: Option<stored::Slot>,
    pub(super) tranche: u32,
    pub(super) queue_number: u32,
    pub(super) code: u64,
    pub(super) applicants: SmallVec<[Applicant<'a>; 1]>,
    pub(super) fee_rupiah: Option<u32>,
    pub(super) ground: u32,
    pub(super) hold: Option<stored::Hold>,
    pub(super) session: Option<stored::Session>,
}

/// `kuota.log.v1.Applicant`, borrowed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Applicant<'a> {
    pub(super) key: &'a [u8],
    pub(super) last_four: u32,
    pub(super) reference: &'a str,
    pub(super) passport: u32,
}

impl<'a> GrantedEvent<'a> {
    /// The event in a message, if it is a grant and has nothing else.
    pub(super) fn read(message: &'a [u8]) -> Option<Self> {
        let mut event = Self::default();
        let mut grants = 0;
        for field in Fields(message) {
            match field? {
                (1, Value::Number(before_ms)) => event.before_ms = narrow(before_ms)?,
                (2, Value::Number(caller)) => event.caller = narrow(caller)?,
                (3, Value::Bytes(subject)) => event.subject = str::from_utf8(subject).ok()?,
                (4, Value::Bytes(reason)) => event.reason = str::from_utf8(reason).ok()?,
                (GRANTED, Value::Bytes(granted)) => {
                    event.granted = Granted::read(granted)?;
                    grants += 1;
                }
                _ => return None,
            }
        }
        Some(event).filter(|_| grants == 1)
    }

    /// The same of what generated code has read, if it is a grant.
    #[cfg(test)]
    fn of(event: &'a stored::Event) -> Option<Self> {
        let Some(stored::event::Body::Granted(granted)) = &event.body else { return None };
        Some(Self {
            before_ms: event.before_ms,
            caller: event.caller,
            subject: &event.subject,
            reason: &event.reason,
            granted: Granted::of(granted),
        })
    }
}

impl<'a> Granted<'a> {
    fn read(message: &'a [u8]) -> Option<Self> {
        let mut granted = Self::default();
        for field in Fields(message) {
            match field? {
                (1, Value::Bytes(id)) => granted.registration_id = id,
                (2, Value::Bytes(id)) => granted.request_id = id,
                (3, Value::Bytes(content)) => granted.content = content,
                (4, Value::Bytes(slot)) => merge(&mut granted.slot, slot)?,
                (5, Value::Number(tranche)) => granted.tranche = narrow(tranche)?,
                (6, Value::Number(queue_number)) => granted.queue_number = narrow(queue_number)?,
                (7, Value::Number(code)) => granted.code = code,
                (8, Value::Bytes(applicant)) => granted.applicants.push(Applicant::read(applicant)?),
                (9, Value::Number(rupiah)) => granted.fee_rupiah = Some(narrow(rupiah)?),
                (10, Value::Number(ground)) => granted.ground = narrow(ground)?,
                (11, Value::Bytes(hold)) => merge(&mut granted.hold, hold)?,
                (12, Value::Bytes(session)) => merge(&mut granted.session, session)?,
                _ => return None,
            }
        }
        Some(granted)
    }

    /// The same of what generated code has read.
    pub(super) fn of(granted: &'a stored::Granted) -> Self {
        let applicant = |applicant: &'a stored::Applicant| Applicant {
            key: &applicant.key,
            last_four: applicant.last_four,
            reference: &applicant.reference,
            passport: applicant.passport,
        };
        Self {
            registration_id: &granted.registration_id,
            request_id: &granted.request_id,
            content: &granted.content,
            slot: granted.slot,
            tranche: granted.tranche,
            queue_number: granted.queue_number,
            code: granted.code,
            applicants: granted.applicants.iter().map(applicant).collect(),
            fee_rupiah: granted.fee_rupiah,
            ground: granted.ground,
            hold: granted.hold,
            session: granted.session,
        }
    }
}

impl<'a> Applicant<'a> {
    fn read(message: &'a [u8]) -> Option<Self> {
        let mut applicant = Self::default();
        for field in Fields(message) {
            match field? {
                (1, Value::Bytes(key)) => applicant.key = key,
                (2, Value::Number(last_four)) => applicant.last_four = narrow(last_four)?,
                (3, Value::Bytes(reference)) => applicant.reference = str::from_utf8(reference).ok()?,
                (4, Value::Number(passport)) => applicant.passport = narrow(passport)?,
                _ => return None,
            }
        }
        Some(applicant)
    }
}

/// A message within the grant. Messages of the same field are one.
fn merge<M: Message + Default>(into: &mut Option<M>, message: &[u8]) -> Option<()> {
    into.get_or_insert_default().merge(message).ok()
}

fn narrow(number: u64) -> Option<u32> {
    u32::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use stored::event::Body;

    use super::*;

    fn event() -> stored::Event {
        let applicant = |key: u8, reference: &str| stored::Applicant {
            key: vec![key; 16],
            last_four: 9_999,
            reference: reference.into(),
            passport: 4,
        };
        let granted = stored::Granted {
            registration_id: vec![1; 16],
            request_id: vec![2; 16],
            content: vec![3; 16],
            slot: Some(stored::Slot { office: 300, day: -20_000, lane: 2 }),
            tranche: 1_000,
            queue_number: 120,
            code: u64::MAX,
            applicants: vec![applicant(4, "\u{e9}"), applicant(5, &"x".repeat(200))],
            fee_rupiah: Some(0),
            ground: 3,
            hold: Some(stored::Hold { billing_reference: u64::MAX, expires_ms: -1 }),
            session: Some(stored::Session { start_minute: 480, end_minute: 540 }),
        };
        stored::Event {
            before_ms: u32::MAX,
            caller: 7,
            subject: "who".into(),
            reason: "why".into(),
            body: Some(Body::Granted(granted)),
        }
    }

    fn bare() -> stored::Event {
        stored::Event { body: Some(Body::Granted(stored::Granted::default())), ..Default::default() }
    }

    #[test]
    fn a_grant_is_read_as_generated_code_reads_it() {
        for event in [event(), bare()] {
            let read = stored::Event::decode(&*event.encode_to_vec()).unwrap();
            assert_eq!(GrantedEvent::read(&event.encode_to_vec()), GrantedEvent::of(&read));
            assert!(GrantedEvent::of(&read).is_some());
        }
        // Messages that follow each other are one, and the last of two numbers counts.
        let Some(Body::Granted(granted)) = event().body else { panic!("a grant") };
        let twice = [granted.encode_to_vec(), granted.encode_to_vec()].concat();
        let merged = stored::Granted::decode(&*twice).unwrap();
        assert_eq!(Granted::read(&twice), Some(Granted::of(&merged)));
    }

    #[test]
    fn what_is_no_grant_or_has_more_is_left_to_generated_code() {
        let with = |more: &[u8]| [&event().encode_to_vec(), more].concat();
        let in_grant = |more: &[u8]| {
            let length = u8::try_from(more.len()).unwrap();
            [&[0x8a, 0x01, length], more].concat()
        };
        let whole = event().encode_to_vec();
        let expired = stored::Event {
            body: Some(Body::HoldExpired(stored::HoldExpired::default())),
            ..Default::default()
        };
        for message in [
            Vec::new(),
            expired.encode_to_vec(),
            with(&bare().encode_to_vec()),               // two grants
            with(&expired.encode_to_vec()),              // a grant, and then something else
            with(&[0x98, 0x06, 1]),                      // field 99
            with(&[0x1a, 1, 0xff]),                      // no UTF-8
            with(&[0x08, 0xff, 0xff, 0xff, 0xff, 0x7f]), // a number of more than 32 bits
            with(&[0x08, 0xff]),                         // a number without end
            in_grant(&[0x78, 1]),                        // field 15 of a grant
            in_grant(&[0x22, 1, 0x0d]),                  // a slot that is none
            in_grant(&[0x42, 2, 0x48, 1]),               // field 9 of an applicant
            in_grant(&[0x0a, 2, 0]),                     // longer than the grant
            whole[..whole.len() - 3].to_vec(),           // cut short
        ] {
            assert_eq!(GrantedEvent::read(&message), None, "{message:?}");
        }
    }
}
