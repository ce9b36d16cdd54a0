//! What the server says after the run: slots, registrations, and answers to the questions a run leaves open. Asked
//! through the SDK, never taken from what the driver counted.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::SystemTime,
};

use anyhow::Context as _;
use futures_util::{StreamExt as _, stream};
use kuota_client::{
    Admin, Ask, AvailabilityFilter, Client, Error, ExportFilter, Key, Lane, Outcome, RegistrationState,
};
use uuid::Uuid;

use crate::{
    driver::{
        letter::SlotName,
        worker::{Ack, Driven},
    },
    limits::{REPEATS_CHECKED_MAX, VERIFY_CONCURRENT},
    plan::identity::{Identities, NIK_DIGITS, REFERENCE_CHARS},
    target::ground::Ground,
};

/// A slot as the server shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotFacts {
    /// All places.
    pub capacity: u32,
    /// Free places.
    pub available: Option<u32>,
    /// When it opened.
    pub open_time_ms: i64,
}

/// A registration as the server exports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its id.
    pub id: u128,
    /// Of which slot.
    pub slot: u16,
    /// Its number in the queue.
    pub queue_number: u32,
    /// When it was granted.
    pub create_time_ms: i64,
    /// It was given back.
    pub is_cancelled: bool,
    /// Who has it; nobody of this run, perhaps. One an applicant.
    pub people: Vec<Option<u32>>,
}

/// A registration that was told, and is asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookUp {
    /// Whose acknowledgement.
    pub ack: usize,
    /// What is wrong with it.
    pub fault: Option<&'static str>,
}

/// What an ask without an answer turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// It had been granted.
    Granted(u128),
    /// It was never carried out; asked again, it was granted now.
    GrantedNow(u128),
    /// It was never carried out; asked again, it is refused.
    Refused,
    /// Still nobody knows.
    Unknown,
}

/// Everything the server said.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Slots, by number.
    pub slots: BTreeMap<u16, SlotFacts>,
    /// Registrations, where operators' questions may be asked.
    pub held: Option<Vec<Held>>,
    /// Acknowledgements that were looked up.
    pub look_ups: Vec<LookUp>,
    /// Ids of acknowledgements that were asked for again, and what the repeat got: nothing is a refusal.
    pub repeats: Vec<(usize, Option<u128>)>,
    /// Asks without an answer: who, which wish, and what became of it.
    pub resolved: Vec<(u32, u8, u16, Resolved)>,
}

/// Asks the server.
pub(super) struct Inquiry<'a> {
    pub(super) client: &'a Client,
    pub(super) admin: Option<&'a Admin>,
    pub(super) ground: &'a Ground,
    pub(super) identities: &'a Identities,
}

impl Inquiry<'_> {
    /// Everything, in an order that leaves nothing to change in between: first what may still grant.
    pub(super) async fn ask_all(&self, driven: &Driven) -> anyhow::Result<Evidence> {
        let resolved = self.resolve(driven).await?;
        let repeats = self.repeat(&driven.acks).await?;
        let look_ups = self.look_up(&driven.acks).await?;
        let slots = self.slots().await?;
        let held = match self.admin {
            Some(admin) => Some(self.export(admin).await?),
            None => None,
        };
        Ok(Evidence { slots, held, look_ups, repeats, resolved })
    }

    fn ask(&self, person: u32, ordinal: u8, slot: u16) -> Ask {
        let SlotName { office_id, service_date, lane } = &self.ground.slots[usize::from(slot)];
        let (mut nik, mut reference) = ([b'0'; NIK_DIGITS], [b'0'; REFERENCE_CHARS]);
        self.identities.nik(person, &mut nik);
        self.identities.reference(person, &mut reference);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ask::new(office_id, service_date, *lane)
            .applicant(text(&nik), text(&reference))
            .request_id(Uuid::from_u128(self.identities.request(person, ordinal)).to_string())
    }

    /// Asks whose outcome is unknown are looked for, and then asked again under the same id.
    async fn resolve(&self, driven: &Driven) -> anyhow::Result<Vec<(u32, u8, u16, Resolved)>> {
        let known: HashSet<_> = driven.acks.iter().map(|ack| (ack.person, ack.ordinal)).collect();
        let open: BTreeMap<_, u16> =
            driven.unknown.iter().map(|ask| ((ask.person, ask.ordinal), ask.slot)).collect();
        let open = open.into_iter().filter(|(key, _)| !known.contains(key));
        let resolve = |((person, ordinal), slot): ((u32, u8), u16)| async move {
            let ask = self.ask(person, ordinal, slot);
            let resolved = match self.client.get(Key::RequestId(ask.id().into())).await {
                Ok(registration) => Resolved::Granted(id(&registration.id)?),
                Err(error) if is_not_found(&error) => match self.client.register(&ask).await {
                    Ok(Outcome::Registered(registration)) => Resolved::GrantedNow(id(&registration.id)?),
                    Ok(Outcome::Refused(_)) => Resolved::Refused,
                    Err(_) => Resolved::Unknown,
                },
                Err(_) => Resolved::Unknown,
            };
            anyhow::Ok((person, ordinal, slot, resolved))
        };
        gather(open.map(resolve)).await
    }

    /// The same ask gets the same registration.
    async fn repeat(&self, acks: &[Ack]) -> anyhow::Result<Vec<(usize, Option<u128>)>> {
        let step = acks.len().div_ceil(REPEATS_CHECKED_MAX).max(1);
        let chosen = acks.iter().enumerate().step_by(step);
        let repeat = |(index, ack): (usize, &Ack)| {
            let ask = self.ask(ack.person, ack.ordinal, ack.slot);
            async move {
                Ok(match self.client.register(&ask).await.context("a repeat got no answer")? {
                    Outcome::Registered(registration) => (index, Some(id(&registration.id)?)),
                    Outcome::Refused(_) => (index, None),
                })
            }
        };
        gather(chosen.map(repeat)).await
    }

    /// Every acknowledgement is found, and is what it was said to be.
    async fn look_up(&self, acks: &[Ack]) -> anyhow::Result<Vec<LookUp>> {
        let mut seen = HashSet::new();
        let distinct = acks.iter().enumerate().filter(|(_, ack)| seen.insert(ack.id));
        let look_up = |(index, ack): (usize, &Ack)| {
            let (key, slot) =
                (Uuid::from_u128(ack.id).to_string(), &self.ground.slots[usize::from(ack.slot)]);
            async move {
                let fault = match self.client.get(Key::Id(key)).await {
                    Ok(found) if found.office_id != slot.office_id => Some("it is at another office"),
                    Ok(found) if found.service_date != slot.service_date => Some("it is on another day"),
                    Ok(found) if found.state() != RegistrationState::Confirmed => {
                        Some("it is not confirmed, and nobody cancelled it")
                    }
                    Ok(_) => None,
                    Err(error) if is_not_found(&error) => Some("it is not found"),
                    Err(error) => return Err(error).context("a look-up got no answer"),
                };
                Ok(LookUp { ack: index, fault })
            }
        };
        gather(distinct.map(look_up)).await
    }

    async fn slots(&self) -> anyhow::Result<BTreeMap<u16, SlotFacts>> {
        let names = self.names();
        let dates = self.ground.dates();
        let filter = AvailabilityFilter {
            from_date: dates.first().map(|date| (*date).to_owned()),
            to_date: dates.last().map(|date| (*date).to_owned()),
            lane: Some(Lane::Regular),
            ..AvailabilityFilter::default()
        };
        let listed = self.client.availability(&filter).await?;
        let facts = listed.iter().filter_map(|slot| {
            let number = names.get(&(slot.office_id.as_str(), slot.service_date.as_str()))?;
            let open_time_ms = slot.open_time.map_or(0, milliseconds);
            Some((*number, SlotFacts { capacity: slot.capacity, available: slot.available, open_time_ms }))
        });
        Ok(facts.collect())
    }

    async fn export(&self, admin: &Admin) -> anyhow::Result<Vec<Held>> {
        let names = self.names();
        let dates = self.ground.dates();
        let filter = ExportFilter {
            office_id: None,
            from_date: dates.first().map(|date| (*date).to_owned()),
            to_date: dates.last().map(|date| (*date).to_owned()),
        };
        let mut export = admin.export(&filter).await?;
        let mut held = Vec::new();
        while let Some(part) = export.next().await? {
            for registration in part {
                let slot = (registration.office_id.as_str(), registration.service_date.as_str());
                let (Some(slot), Lane::Regular) = (names.get(&slot), registration.lane()) else { continue };
                held.push(Held {
                    id: id(&registration.id)?,
                    slot: *slot,
                    queue_number: registration.queue_number,
                    create_time_ms: registration.create_time.map_or(0, milliseconds),
                    is_cancelled: registration.state() == RegistrationState::Cancelled,
                    people: registration.references.iter().map(|text| self.identities.person(text)).collect(),
                });
            }
        }
        Ok(held)
    }

    fn names(&self) -> HashMap<(&str, &str), u16> {
        let slots = self.ground.slots.iter().enumerate();
        slots
            .filter_map(|(number, slot)| {
                let number = u16::try_from(number).ok()?;
                Some(((slot.office_id.as_str(), slot.service_date.as_str()), number))
            })
            .collect()
    }
}

async fn gather<T, F: Future<Output = anyhow::Result<T>>>(
    questions: impl Iterator<Item = F>,
) -> anyhow::Result<Vec<T>> {
    let mut answers = stream::iter(questions).buffer_unordered(VERIFY_CONCURRENT);
    let mut gathered = Vec::new();
    while let Some(answer) = answers.next().await {
        gathered.push(answer?);
    }
    Ok(gathered)
}

fn is_not_found(error: &Error) -> bool {
    error.code() == tonic::Code::NotFound
}

fn id(text: &str) -> anyhow::Result<u128> {
    Ok(Uuid::parse_str(text).with_context(|| format!("the server named a registration `{text}`"))?.as_u128())
}

fn milliseconds(time: prost_types::Timestamp) -> i64 {
    time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000
}

/// The wall clock's milliseconds.
#[must_use]
pub fn wall_ms(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
