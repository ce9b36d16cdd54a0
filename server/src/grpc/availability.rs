//! `AvailabilityService`.

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
    Api,
    convert::{self, Violations, lane_of, timestamp},
    paging::{fingerprint, page, token},
    status::status,
};
use crate::engine::{Directory, Failure};

const PAGE_DEFAULT: usize = 500;
const PAGE_MAX: usize = 5_000;

/// Which slots.
struct Filter {
    office: Option<OfficeNumber>,
    from: Option<ServiceDay>,
    to: Option<ServiceDay>,
    lane: Option<Lane>,
}

#[tonic::async_trait]
impl AvailabilityService for Api {
    async fn list_availability(
        &self,
        request: Request<v1::ListAvailabilityRequest>,
    ) -> Result<Response<v1::ListAvailabilityResponse>, Status> {
        let request = request.into_inner();
        let (now, directory) = (self.engine.now(), self.engine.directory());
        let query = fingerprint(&format!(
            "{:?} {:?} {:?} {:?}",
            request.office_id, request.from_date, request.to_date, request.lane
        ));
        let mut violations = Violations::default();
        let asked = (request.page_size, request.page_token.as_str());
        let page = page(asked, (PAGE_DEFAULT, PAGE_MAX), query, &mut violations);
        let filter = filter(&request, &directory, violations)?;

        let after = page.after.map(position);
        let mut rest =
            slots(&directory, &filter, now).filter(|(slot, _)| after.is_none_or(|after| *slot > after));
        let taken: Vec<_> = rest.by_ref().take(page.size).collect();
        let last = taken.last().map(|(slot, _)| place(*slot));
        let next_page_token =
            last.filter(|_| rest.next().is_some()).map_or_else(String::new, |last| token(query, last));
        let slots = taken.into_iter().map(|(key, figures)| slot(&directory, key, figures, now)).collect();
        let server_time = Some(timestamp(now));
        Ok(Response::new(v1::ListAvailabilityResponse { slots, next_page_token, server_time }))
    }
}

fn filter(
    request: &v1::ListAvailabilityRequest,
    directory: &Directory,
    mut violations: Violations,
) -> Result<Filter, Status> {
    let mut day = |field, text: &Option<String>| {
        text.as_deref().and_then(|text| violations.take(field, ServiceDay::parse(text)))
    };
    let (from, to) = (day("from_date", &request.from_date), day("to_date", &request.to_date));
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        violations.add("to_date", "a day not before from_date is allowed");
    }
    let lane = request.lane.and_then(|lane| violations.take("lane", convert::lane(lane)));
    violations.check()?;
    let office = match &request.office_id {
        None => None,
        Some(id) => match directory.find(id) {
            Some((number, _)) => Some(number),
            None => return Err(status(Failure::OfficeNotFound(id.clone()))),
        },
    };
    Ok(Filter { office, from, to, lane })
}

/// Slots in order of office, day and lane.
fn slots<'a>(
    directory: &'a Directory,
    filter: &'a Filter,
    now: UnixMillis,
) -> impl Iterator<Item = (SlotKey, Figures)> + 'a {
    let offices = directory.offices().filter(|(number, entry)| match filter.office {
        Some(office) => office == *number,
        None => entry.open,
    });
    offices.flat_map(move |(office, entry)| {
        let from = filter.from.unwrap_or_else(|| ServiceDay::at(now, &entry.office.zone));
        entry
            .slots_from(from)
            .take_while(|(day, ..)| filter.to.is_none_or(|to| *day <= to))
            .filter(|(_, lane, _)| filter.lane.is_none_or(|wanted| wanted == *lane))
            .map(move |(day, lane, gate)| (SlotKey { office, day, lane }, gate.figures()))
    })
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
fn place(slot: SlotKey) -> [u8; 16] {
    let mut place = [0; 16];
    place[..4].copy_from_slice(&slot.office.0.to_be_bytes());
    place[4..8].copy_from_slice(&slot.day.number().to_be_bytes());
    place[8] = u8::try_from(slot.lane.index()).unwrap_or(u8::MAX);
    place
}

fn position(place: [u8; 16]) -> SlotKey {
    let word = |at: usize| [place[at], place[at + 1], place[at + 2], place[at + 3]];
    let lane = Lane::ALL.get(usize::from(place[8])).copied().unwrap_or(Lane::Priority);
    SlotKey {
        office: OfficeNumber(u32::from_be_bytes(word(0))),
        day: ServiceDay::from_number(i32::from_be_bytes(word(4))),
        lane,
    }
}
