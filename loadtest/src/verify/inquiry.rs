//! Asks the server after the run, through the SDK: first what only reads, then what may still grant, then what only reads
//! once more. A question without an answer is kept as such; it never ends the inquiry.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt::Display,
    time::SystemTime,
};

use futures_util::{StreamExt as _, stream};
use kuota_client::{
    Admin, Ask, Client, Error, EventFilter, ExportFilter, Key, Lane, Outcome, PassportKind, Registration,
    RegistrationState,
};
use tonic::Code;
use uuid::Uuid;

use super::evidence::{Evidence, Found, Held, Open, Reading, Repeat, Resolved, Unanswered};
use crate::{
    driver::{
        ask::{Ack, Driven, Why},
        letter::SlotName,
    },
    limits::{FINDINGS_OF_A_KIND_SHOWN_MAX, REPEATS_CHECKED_MAX, UNANSWERED_MAX, VERIFY_CONCURRENT},
    plan::identity::{Identities, NIK_DIGITS, REFERENCE_CHARS},
    target::ground::{Ground, milliseconds},
};

/// A granted ask: who, which wish, of which slot, and its registration.
type Granted = (u32, u8, u16, u128);

/// Asks the server.
pub(super) struct Inquiry<'a> {
    pub(super) client: &'a Client,
    pub(super) admin: Option<&'a Admin>,
    pub(super) ground: &'a Ground,
    pub(super) identities: &'a Identities,
    pub(super) began: SystemTime,
    /// What everybody comes for.
    pub(super) passport: PassportKind,
}

/// Confirmed, whatever became of its day; or held, or let go when its time was over: what became of the money is judged
/// elsewhere.
fn stands(registration: &Registration) -> bool {
    let expire_time = registration.hold_expire_time.map(milliseconds);
    let updated = registration.update_time.map(milliseconds);
    match registration.state() {
        RegistrationState::Confirmed
        | RegistrationState::CheckedIn
        | RegistrationState::Served
        | RegistrationState::NoShow => true,
        RegistrationState::Held => expire_time.is_some(),
        RegistrationState::Expired => expire_time.is_some_and(|at| updated >= Some(at)),
        RegistrationState::Cancelled | RegistrationState::Unspecified => false,
    }
}

impl Inquiry<'_> {
    /// Everything.
    pub(super) async fn ask_all(&self, driven: &Driven) -> Evidence {
        let unanswered = &mut Unanswered::default();
        let look_ups = self.look_up(&driven.acks, unanswered).await;
        let mut open = self.find_open(driven, unanswered).await;
        let first = self.read(unanswered).await;
        // From here on the verification itself writes.
        self.ask_again(&mut open, unanswered).await;
        let repeats = self.repeat(&driven.acks, &open, unanswered).await;
        let second = self.read(unanswered).await;
        let changed_by_operators = self.changes(&second, unanswered).await;
        let unanswered = std::mem::take(unanswered);
        Evidence { first, second, look_ups, repeats, open, changed_by_operators, unanswered }
    }

    fn ask(&self, person: u32, ordinal: u8, slot: u16) -> Ask {
        let SlotName { office_id, service_date, lane } = &self.ground.slots[usize::from(slot)];
        let (mut nik, mut reference) = ([b'0'; NIK_DIGITS], [b'0'; REFERENCE_CHARS]);
        self.identities.nik(person, &mut nik);
        self.identities.reference(person, &mut reference);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ask::new(office_id, service_date, *lane)
            .applicant(text(&nik), text(&reference))
            .passport(self.passport)
            .request_id(Uuid::from_u128(self.identities.request(person, ordinal)).to_string())
    }

    async fn get(&self, key: Key) -> Result<Option<Found>, Error> {
        match self.client.get(key).await {
            Ok(registration) => Ok(Some(self.found(&registration))),
            Err(error) if error.code() == Code::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn found(&self, registration: &Registration) -> Found {
        let references = &registration.applicants;
        let reference = (references.len() == 1).then(|| references[0].reference.as_str());
        Found {
            id: id(&registration.id),
            request_id: id(&registration.request_id),
            slot: self
                .ground
                .number(&registration.office_id, &registration.service_date)
                .filter(|_| registration.lane() == Lane::Regular),
            person: reference.and_then(|reference| self.identities.person(reference)),
            create_time_ms: registration.create_time.map_or(0, milliseconds),
            stands: stands(registration),
        }
    }

    /// Every acknowledged registration, by its id.
    async fn look_up(&self, acks: &[Ack], unanswered: &mut Unanswered) -> BTreeMap<u128, Option<Found>> {
        let ids: BTreeSet<u128> = acks.iter().map(|ack| ack.id).collect();
        let look_up = |id: u128| async move {
            let found = self.get(Key::Id(Uuid::from_u128(id).to_string())).await;
            found.map(|found| (id, found)).map_err(|error| format!("a look-up got no answer: {error}"))
        };
        gather(ids.into_iter().map(look_up), unanswered).await.into_iter().collect()
    }

    /// Asks without an answer, by their `request_id`.
    async fn find_open(&self, driven: &Driven, unanswered: &mut Unanswered) -> Vec<Open> {
        let known: HashSet<_> = driven.acks.iter().map(|ack| (ack.person, ack.ordinal)).collect();
        let mut open: BTreeMap<(u32, u8), (Why, u16)> = BTreeMap::new();
        for (ask, why) in &driven.unknown {
            let one = open.entry((ask.person, ask.ordinal)).or_insert((*why, ask.slot));
            one.0 = one.0.min(*why);
        }
        let open = open.into_iter().filter(|(key, _)| !known.contains(key));
        let find = |((person, ordinal), (why, slot)): ((u32, u8), (Why, u16))| async move {
            let request_id = Uuid::from_u128(self.identities.request(person, ordinal)).to_string();
            let resolved = match self.get(Key::RequestId(request_id)).await {
                Ok(Some(found)) => Resolved::Granted(found),
                Ok(None) => Resolved::NotCarriedOut,
                Err(_) => Resolved::Unknown,
            };
            Ok(Open { person, ordinal, slot, why, resolved })
        };
        gather(open.map(find), unanswered).await
    }

    /// What was never carried out is asked again under the same id: does anybody know now? What was never sent is not:
    /// nobody else will send it either.
    async fn ask_again(&self, open: &mut [Open], unanswered: &mut Unanswered) {
        let lost = open.iter().enumerate().filter(|(_, open)| {
            open.resolved == Resolved::Unknown
                || open.resolved == Resolved::NotCarriedOut && open.why != Why::NotSent
        });
        let ask = |(index, open): (usize, &Open)| {
            let ask = self.ask(open.person, open.ordinal, open.slot);
            async move {
                let resolved = match self.client.register(&ask).await {
                    Ok(Outcome::Registered(registration)) => Resolved::GrantedNow(id(&registration.id)),
                    Ok(Outcome::Refused(_)) => Resolved::NotCarriedOut,
                    Err(_) => Resolved::Unknown,
                };
                Ok((index, resolved))
            }
        };
        let answers = gather(lost.map(ask).collect::<Vec<_>>().into_iter(), unanswered).await;
        for (index, resolved) in answers {
            open[index].resolved = resolved;
        }
    }

    /// The same ask gets the same registration: an even choice of what was acknowledged, and what had been granted unsaid.
    async fn repeat(&self, acks: &[Ack], open: &[Open], unanswered: &mut Unanswered) -> Vec<Repeat> {
        let step = acks.len().div_ceil(REPEATS_CHECKED_MAX).max(1);
        let told = acks.iter().step_by(step).map(|ack| (ack.person, ack.ordinal, ack.slot, ack.id));
        let unsaid = open.iter().filter_map(|open| match open.resolved {
            Resolved::Granted(found) => Some((open.person, open.ordinal, open.slot, found.id)),
            Resolved::GrantedNow(_) | Resolved::NotCarriedOut | Resolved::Unknown => None,
        });
        let repeat = |(person, ordinal, slot, first): Granted| {
            let ask = self.ask(person, ordinal, slot);
            async move {
                match self.client.register(&ask).await {
                    Ok(Outcome::Registered(registration)) => {
                        Ok(Repeat { person, id: first, got: Some(id(&registration.id)) })
                    }
                    Ok(Outcome::Refused(_)) => Ok(Repeat { person, id: first, got: None }),
                    Err(error) => Err(format!("a repeat got no answer: {error}")),
                }
            }
        };
        gather(told.chain(unsaid).map(repeat), unanswered).await
    }

    async fn read(&self, unanswered: &mut Unanswered) -> Reading {
        let slots = match self.ground.look(self.client).await {
            Ok(slots) => slots,
            Err(error) => {
                unanswered.note(format!("the list of slots got no answer: {error}"));
                BTreeMap::new()
            }
        };
        let held = match self.admin {
            None => None,
            Some(admin) => match self.export(admin).await {
                Ok(held) => Some(held),
                Err(error) => {
                    unanswered.note(format!("the export got no answer: {error}"));
                    None
                }
            },
        };
        Reading { slots, held }
    }

    async fn export(&self, admin: &Admin) -> Result<Vec<Held>, Error> {
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
                let slot = self.ground.number(&registration.office_id, &registration.service_date);
                let (Some(slot), Lane::Regular) = (slot, registration.lane()) else { continue };
                held.push(Held {
                    id: id(&registration.id),
                    slot,
                    session: registration
                        .session
                        .as_ref()
                        .map_or_else(String::new, |one| one.start_time.clone()),
                    queue_number: registration.queue_number,
                    create_time_ms: registration.create_time.map_or(0, milliseconds),
                    is_over: matches!(
                        registration.state(),
                        RegistrationState::Cancelled | RegistrationState::Expired
                    ),
                    people: registration.references.iter().map(|text| self.identities.person(text)).collect(),
                });
            }
        }
        Ok(held)
    }

    /// Slots that have other places than before, because operators wanted it so.
    async fn changes(&self, after: &Reading, unanswered: &mut Unanswered) -> BTreeSet<u16> {
        let is_resized = |(slot, facts): &(&u16, &_)| self.ground.is_resized(**slot, facts);
        let resized = after.slots.iter().filter(is_resized);
        let offices: BTreeSet<_> =
            resized.map(|(slot, _)| &self.ground.slots[usize::from(*slot)].office_id).collect();
        let mut changed = BTreeSet::new();
        let Some(admin) = self.admin else { return changed };
        for office_id in offices {
            let filter = EventFilter {
                office_id: Some(office_id.clone()),
                from_time: Some(self.began),
                ..EventFilter::default()
            };
            let mut events = admin.events(&filter);
            loop {
                match events.next().await {
                    Ok(Some(event)) if event.kind() == kuota_api::v1::EventKind::PlacesChanged => {
                        changed.extend(self.ground.number(office_id, &event.service_date));
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => {
                        unanswered.note(format!("the history got no answer: {error}"));
                        break;
                    }
                }
            }
        }
        changed
    }
}

impl Unanswered {
    /// One more.
    pub(super) fn note(&mut self, words: impl Display) {
        self.count += 1;
        if self.words.len() < FINDINGS_OF_A_KIND_SHOWN_MAX {
            self.words.push(words.to_string());
        }
    }
}

/// Asks many questions, so many at once. When too many get no answer, the others are not asked, and count as well.
async fn gather<T, F: Future<Output = Result<T, String>>>(
    mut questions: impl Iterator<Item = F>,
    unanswered: &mut Unanswered,
) -> Vec<T> {
    let mut answers = stream::iter(questions.by_ref()).buffer_unordered(VERIFY_CONCURRENT);
    let mut gathered = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(answer) => gathered.push(answer),
            Err(words) => unanswered.note(words),
        }
        if unanswered.count >= UNANSWERED_MAX {
            break;
        }
    }
    drop(answers);
    unanswered.count += questions.count() as u64;
    gathered
}

/// A UUID; one that is none is nobody's.
fn id(text: &str) -> u128 {
    Uuid::parse_str(text).map_or(0, |id| id.as_u128())
}
