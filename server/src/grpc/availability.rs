//! `AvailabilityService`.

use std::{ops::RangeInclusive, time::Duration};

use futures_util::stream::unfold;
use kuota_api::v1::{self, availability_service_server::AvailabilityService};
use kuota_domain::{
    calendar::ServiceDay,
    gate::Figures,
    ids::OfficeNumber,
    slot::{Lane, SlotKey},
    time::UnixMillis,
};
use tonic::{Request, Response, Status};

use super::{
    Api, BoxStream,
    convert::{self, Violations, lane_of, timestamp},
    language::Language,
    office,
    paging::{fingerprint, page, token},
    status::status,
};
use crate::engine::{Directory, Sighting, SlotFilter, Tidings};

/// How often silence is broken, unless a watcher says otherwise.
const HEARTBEAT: Duration = Duration::from_secs(15);
const HEARTBEATS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);
const PAGE_DEFAULT: usize = 500;
const PAGE_MAX: usize = 5_000;

#[tonic::async_trait]
impl AvailabilityService for Api {
    async fn list_availability(
        &self,
        request: Request<v1::ListAvailabilityRequest>,
    ) -> Result<Response<v1::ListAvailabilityResponse>, Status> {
        let language = Language::of(request.metadata());
        let request = request.into_inner();
        let (now, directory) = (self.engine.now(), self.engine.directory());
        let query = fingerprint(&format!(
            "{:?} {:?} {:?} {:?}",
            request.office_id, request.from_date, request.to_date, request.lane
        ));
        let mut violations = Violations::default();
        let asked = (request.page_size, request.page_token.as_str());
        let page = page(asked, (PAGE_DEFAULT, PAGE_MAX), query, &mut violations);
        let asked = Asked {
            office_id: &request.office_id,
            from_date: &request.from_date,
            to_date: &request.to_date,
            lane: request.lane,
        };
        let filter = asked.filter(&directory, violations, language)?;

        let mut rest = filter.slots(&directory, (page.after.map(position), false), now);
        let taken: Vec<_> = rest.by_ref().take(page.size).collect();
        let last = taken.last().map(|(slot, _)| place(*slot));
        let next_page_token =
            last.filter(|_| rest.next().is_some()).map_or_else(String::new, |last| token(query, last));
        let slots = taken.into_iter().map(|(key, figures)| slot(&directory, key, figures, now)).collect();
        let server_time = Some(timestamp(now));
        Ok(Response::new(v1::ListAvailabilityResponse { slots, next_page_token, server_time }))
    }

    type WatchAvailabilityStream = BoxStream<v1::WatchAvailabilityResponse>;

    async fn watch_availability(
        &self,
        request: Request<v1::WatchAvailabilityRequest>,
    ) -> Result<Response<Self::WatchAvailabilityStream>, Status> {
        let language = Language::of(request.metadata());
        let request = request.into_inner();
        let mut violations = Violations::default();
        let heartbeat = heartbeat(request.heartbeat, &mut violations);
        let asked = Asked {
            office_id: &request.office_id,
            from_date: &request.from_date,
            to_date: &request.to_date,
            lane: request.lane,
        };
        let mut filter = asked.filter(&self.engine.directory(), violations, language)?;
        // What is shown once is shown until it is over.
        filter.as_of = Some(self.engine.now());
        let watcher = self.hub.watch(filter, heartbeat).map_err(|failure| status(failure, language))?;
        let api = self.clone();
        let stream = unfold(Some(watcher), move |watcher| {
            let api = api.clone();
            async move {
                let mut watcher = watcher?;
                match watcher.next().await {
                    Ok(tidings) => Some((Ok(api.tidings(tidings)), Some(watcher))),
                    Err(failure) => Some((Err(status(failure, language)), None)),
                }
            }
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

impl Api {
    fn tidings(&self, tidings: Tidings) -> v1::WatchAvailabilityResponse {
        use v1::watch_availability_response::Event;
        let (now, directory) = (self.engine.now(), self.engine.directory());
        let watched = |sightings: Vec<Sighting>| {
            let slots = sightings.into_iter().map(|sighting| v1::WatchedSlot {
                slot: Some(slot(&directory, sighting.slot, sighting.figures, now)),
                revision: sighting.revision,
            });
            v1::WatchedSlots { slots: slots.collect() }
        };
        let event = match tidings {
            Tidings::Snapshot(sightings) => Event::Snapshot(watched(sightings)),
            Tidings::SnapshotEnd(slots) => Event::SnapshotEnd(v1::SnapshotEnd { slots }),
            Tidings::Changes(sightings) => Event::Changes(watched(sightings)),
            Tidings::Silence => Event::Heartbeat(v1::Heartbeat {}),
        };
        v1::WatchAvailabilityResponse { event: Some(event), server_time: Some(timestamp(now)) }
    }
}

fn heartbeat(asked: Option<prost_types::Duration>, violations: &mut Violations) -> Duration {
    let Some(asked) = asked else { return HEARTBEAT };
    let span = Duration::try_from(asked).ok().filter(|span| HEARTBEATS.contains(span));
    violations.take("heartbeat", span.ok_or("1 to 60 seconds are allowed")).unwrap_or(HEARTBEAT)
}

/// What requests for lists say about slots.
pub(super) struct Asked<'a> {
    pub(super) office_id: &'a Option<String>,
    pub(super) from_date: &'a Option<String>,
    pub(super) to_date: &'a Option<String>,
    pub(super) lane: Option<i32>,
}

impl Asked<'_> {
    pub(super) fn filter(
        &self,
        directory: &Directory,
        mut violations: Violations,
        language: Language,
    ) -> Result<SlotFilter, Status> {
        let (from, to) = convert::days((self.from_date, self.to_date), &mut violations);
        let lane = self.lane.and_then(|lane| violations.take("lane", convert::lane(lane)));
        violations.check()?;
        let office = self.office_id.as_deref().map(|id| office::find(directory, id, language));
        let office = office.transpose()?.map(|(number, _)| number);
        Ok(SlotFilter { office, from, to, lane, as_of: None })
    }
}

fn slot(directory: &Directory, key: SlotKey, figures: Figures, now: UnixMillis) -> v1::Slot {
    let state = if now >= figures.close_at {
        v1::SlotState::Closed
    } else if now < figures.open_at {
        v1::SlotState::NotOpenYet
    } else if figures.paused {
        v1::SlotState::Paused
    } else if figures.free == 0 {
        v1::SlotState::SoldOut
    } else {
        v1::SlotState::Open
    };
    let counted = matches!(state, v1::SlotState::Open | v1::SlotState::SoldOut);
    v1::Slot {
        office_id: directory.office(key.office).map_or_else(String::new, |entry| entry.office.id.to_string()),
        service_date: key.day.to_string(),
        lane: lane_of(key.lane).into(),
        capacity: figures.capacity,
        available: counted.then_some(figures.free),
        state: state.into(),
        open_time: Some(timestamp(figures.open_at)),
    }
}

/// A slot as a position in the list.
pub(super) fn place(slot: SlotKey) -> [u8; 16] {
    let mut place = [0; 16];
    place[..4].copy_from_slice(&slot.office.0.to_be_bytes());
    place[4..8].copy_from_slice(&slot.day.number().to_be_bytes());
    place[8] = u8::try_from(slot.lane.index()).unwrap_or(u8::MAX);
    place
}

pub(super) fn position(place: [u8; 16]) -> SlotKey {
    let word = |at: usize| [place[at], place[at + 1], place[at + 2], place[at + 3]];
    let lane = Lane::ALL.get(usize::from(place[8])).copied().unwrap_or(Lane::Priority);
    SlotKey {
        office: OfficeNumber(u32::from_be_bytes(word(0))),
        day: ServiceDay::from_number(i32::from_be_bytes(word(4))),
        lane,
    }
}
