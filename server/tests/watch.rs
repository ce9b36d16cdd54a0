//! `WatchAvailability`: a snapshot, then what changes; slow readers cost nothing and miss nothing that lasts.

mod support;

use std::collections::HashMap;

use kuota_api::v1::{
    self, admin_service_client::AdminServiceClient, availability_service_client::AvailabilityServiceClient,
    watch_availability_response::Event,
};
use kuota_client::{Ask, Client, Lane};
use support::{
    Friday, MONDAY, OFFICE,
    people::{insist, nik, registered, wish, wish_for},
    process::Process,
};
use tonic::{Code, Status, Streaming, transport::Channel};
use tonic_types::StatusExt as _;

type Stream = Streaming<v1::WatchAvailabilityResponse>;

async fn channel(address: &str) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

async fn watch(channel: &Channel, request: v1::WatchAvailabilityRequest) -> Result<Stream, Status> {
    let answer = AvailabilityServiceClient::new(channel.clone()).watch_availability(request).await;
    answer.map(tonic::Response::into_inner)
}

/// What a watcher knows: state and revision of each slot.
#[derive(Default)]
struct Board {
    slots: HashMap<(String, String, i32), (u64, v1::Slot)>,
    complete: bool,
    messages: usize,
}

impl Board {
    async fn read(&mut self, stream: &mut Stream) -> Result<Event, Status> {
        let event = stream.message().await?.unwrap().event.unwrap();
        self.messages += 1;
        match &event {
            Event::Snapshot(watched) => {
                assert!(!self.complete);
                self.put(watched);
            }
            Event::SnapshotEnd(end) => {
                assert_eq!(end.slots as usize, self.slots.len());
                self.complete = true;
            }
            Event::Changes(watched) => {
                assert!(self.complete, "changes come after the snapshot");
                self.put(watched);
            }
            Event::Heartbeat(_) => {}
        }
        Ok(event)
    }

    fn put(&mut self, watched: &v1::WatchedSlots) {
        for slot in &watched.slots {
            let (revision, slot) = (slot.revision, slot.slot.clone().unwrap());
            let key = (slot.office_id.clone(), slot.service_date.clone(), slot.lane);
            let before = self.slots.insert(key, (revision, slot));
            assert!(before.is_none_or(|(before, _)| before < revision), "a revision only grows");
        }
    }

    async fn snapshot(&mut self, stream: &mut Stream) {
        while !self.complete {
            self.read(stream).await.unwrap();
        }
    }

    /// Reads until the slot of a day has so many places available.
    async fn until(&mut self, stream: &mut Stream, date: &str, available: Option<u32>) {
        while self.slot(date).available != available {
            self.read(stream).await.unwrap();
        }
    }

    fn slot(&self, date: &str) -> &v1::Slot {
        &self.slots[&(OFFICE.to_owned(), date.to_owned(), Lane::Regular.into())].1
    }
}

#[tokio::test]
async fn a_watcher_sees_the_snapshot_what_changes_and_what_the_clock_opens_and_closes() {
    let server = Friday::at("2026-11-27T06:59:59Z").places(3).start().await;
    let channel = channel(&server.addresses.grpc.to_string()).await;
    let mut stream = watch(&channel, v1::WatchAvailabilityRequest::default()).await.unwrap();
    let mut board = Board::default();
    board.snapshot(&mut stream).await;
    assert_eq!(board.slot(MONDAY).state(), v1::SlotState::NotOpenYet);
    assert_eq!(board.slots.len(), 11, "today, and two weeks written ahead");

    server.at("2026-11-27T07:00:00Z").await;
    board.until(&mut stream, MONDAY, Some(3)).await;
    assert_eq!(board.slot(MONDAY).state(), v1::SlotState::Open);

    let taken = registered(server.client.register(&wish(1)).await.unwrap());
    board.until(&mut stream, MONDAY, Some(2)).await;
    server.client.cancel(&taken.id, "").await.unwrap();
    board.until(&mut stream, MONDAY, Some(3)).await;

    server.at("2026-11-30T08:00:00Z").await;
    board.until(&mut stream, MONDAY, None).await;
    assert_eq!(board.slot(MONDAY).state(), v1::SlotState::Closed);
    let week_after_next = "2026-12-14";
    assert!(
        board.slots.keys().any(|(_, date, _)| date == week_after_next),
        "what is scheduled meanwhile is told"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_watcher_is_told_only_of_what_it_asked_for() {
    let server = Friday::open().places(3).office("kanim-sambas", 2).start().await;
    let channel = channel(&server.addresses.grpc.to_string()).await;
    let rows = [
        (Some("kanim-sambas"), None, None, None, 10),
        (None, Some("2026-12-01"), Some("2026-12-02"), None, 4),
        (Some(OFFICE), Some(MONDAY), Some(MONDAY), Some(Lane::Regular), 1),
        (None, None, None, Some(Lane::Priority), 0),
    ];
    for (office, from, to, lane, expected) in rows {
        let request = v1::WatchAvailabilityRequest {
            office_id: office.map(str::to_owned),
            from_date: from.map(str::to_owned),
            to_date: to.map(str::to_owned),
            lane: lane.map(i32::from),
            heartbeat: None,
        };
        let mut board = Board::default();
        board.snapshot(&mut watch(&channel, request).await.unwrap()).await;
        let future = board.slots.keys().filter(|(_, date, _)| date.as_str() >= MONDAY);
        assert_eq!(future.count(), expected, "{office:?} {from:?} {to:?} {lane:?}");
    }
    let request =
        v1::WatchAvailabilityRequest { office_id: Some("kanim-sambas".into()), ..Default::default() };
    let (mut stream, mut board) = (watch(&channel, request).await.unwrap(), Board::default());
    board.snapshot(&mut stream).await;
    registered(server.client.register(&wish(1)).await.unwrap());
    registered(server.client.register(&wish_for("kanim-sambas", MONDAY, 2)).await.unwrap());
    let Event::Changes(changes) = board.read(&mut stream).await.unwrap() else { panic!("a change") };
    assert!(changes.slots.iter().all(|slot| slot.slot.as_ref().unwrap().office_id == "kanim-sambas"));
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_watched_is_said_at_once() {
    let server = Friday::open().places(3).watchers_max(2).start().await;
    let channel = channel(&server.addresses.grpc.to_string()).await;
    let default = v1::WatchAvailabilityRequest::default;
    let span = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let rows = [
        (
            v1::WatchAvailabilityRequest { from_date: Some("soon".into()), ..default() },
            "from_date: a calendar day",
        ),
        (
            v1::WatchAvailabilityRequest {
                from_date: Some("2026-12-02".into()),
                to_date: Some("2026-12-01".into()),
                ..default()
            },
            "to_date: a day not before from_date",
        ),
        (v1::WatchAvailabilityRequest { lane: Some(0), ..default() }, "lane: LANE_REGULAR"),
        (v1::WatchAvailabilityRequest { heartbeat: span(0), ..default() }, "heartbeat: 1 to 60 seconds"),
        (v1::WatchAvailabilityRequest { heartbeat: span(-1), ..default() }, "heartbeat: 1 to 60 seconds"),
        (v1::WatchAvailabilityRequest { heartbeat: span(61), ..default() }, "heartbeat: 1 to 60 seconds"),
    ];
    for (request, allowed) in rows {
        let refused = watch(&channel, request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().starts_with(allowed), "{refused:?}");
    }
    let nowhere = v1::WatchAvailabilityRequest { office_id: Some("kanim-nowhere".into()), ..default() };
    assert_eq!(watch(&channel, nowhere).await.unwrap_err().code(), Code::NotFound);

    let first = watch(&channel, default()).await.unwrap();
    let _second = watch(&channel, default()).await.unwrap();
    let refused = watch(&channel, default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.get_details_error_info().unwrap().reason, "TOO_MANY_WATCHERS");
    assert!(refused.get_details_retry_info().unwrap().retry_delay.is_some());
    drop(first);
    next_watch(&channel).await;
    server.stop().await;
}

/// A watch, once there is a seat.
async fn next_watch(channel: &Channel) -> Stream {
    for _ in 0..100_000 {
        if let Ok(stream) = watch(channel, v1::WatchAvailabilityRequest::default()).await {
            return stream;
        }
        tokio::task::yield_now().await;
    }
    panic!("a watcher that goes away leaves its seat");
}

#[tokio::test]
async fn what_changed_while_nobody_watched_is_in_the_next_snapshot_with_a_later_revision() {
    let server = Friday::open().places(3).watchers_max(1).start().await;
    let channel = channel(&server.addresses.grpc.to_string()).await;
    let mut board = Board::default();
    for (person, available) in (0..).zip([3, 2, 1]) {
        if person > 0 {
            registered(server.client.register(&wish(person)).await.unwrap());
        }
        // The board insists that revisions grow.
        board.complete = false;
        board.snapshot(&mut next_watch(&channel).await).await;
        assert_eq!(board.slot(MONDAY).available, Some(available));
    }
    server.stop().await;
}

#[tokio::test]
async fn silence_is_broken_by_heartbeats_and_the_end_is_said() {
    let mut server = Friday::open().places(3).start().await;
    let channel = channel(&server.addresses.grpc.to_string()).await;
    let heartbeat = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    let request = v1::WatchAvailabilityRequest { heartbeat, ..Default::default() };
    let (mut stream, mut board) = (watch(&channel, request).await.unwrap(), Board::default());
    board.snapshot(&mut stream).await;
    assert!(matches!(board.read(&mut stream).await, Ok(Event::Heartbeat(_))));
    server.begin_stop();
    let end = loop {
        if let Err(status) = board.read(&mut stream).await {
            break status;
        }
    };
    assert_eq!(end.code(), Code::Unavailable);
    assert_eq!(end.get_details_error_info().unwrap().reason, "STOPPING");
    drop(stream);
    server.stop().await;
}

#[tokio::test]
async fn a_watcher_that_does_not_read_does_not_hold_a_stop() {
    let mut server = Friday::open().places(2_000).start().await;
    let endpoint = Channel::from_shared(format!("http://{}", server.addresses.grpc)).unwrap();
    let channel = endpoint.initial_stream_window_size(64).connect().await.unwrap();
    let (mut stream, mut board) =
        (watch(&channel, v1::WatchAvailabilityRequest::default()).await.unwrap(), Board::default());
    board.snapshot(&mut stream).await;
    let mut admin = AdminServiceClient::connect(format!("http://{}", server.addresses.admin)).await.unwrap();
    // More than its window holds: the server has something to say and cannot.
    for (id, places) in (1..).zip(100..110) {
        let (actor, reason) = ("siti".into(), "the test".into());
        let request_id = uuid::Uuid::from_u128(id).to_string();
        let quota = v1::SetQuotaRequest {
            command: Some(v1::Command { request_id, actor, reason }),
            office_id: OFFICE.into(),
            service_date: MONDAY.into(),
            lane: Lane::Regular.into(),
            places,
            validate_only: false,
        };
        admin.set_quota(quota).await.unwrap();
    }
    drop(admin);
    let began = std::time::Instant::now();
    server.begin_stop();
    server.stop().await;
    assert!(began.elapsed() < kuota_server::limits::DRAIN_MAX, "{:?}", began.elapsed());
    drop(stream);
}

/// Resident memory of a process, in bytes.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
}

const WATCHERS: usize = 1_000;
const ASKS: u32 = 20_000;

/// Watchers whose side takes in so many bytes a stream before it must be read.
async fn watchers(process: &Process, count: usize, window: u32) -> Vec<(Stream, Board)> {
    let mut watchers = Vec::with_capacity(count);
    for chunk in 0..count.div_ceil(200) {
        let endpoint = Channel::from_shared(format!("http://{}", process.grpc)).unwrap();
        let channel = endpoint.initial_stream_window_size(window).connect().await.unwrap();
        for _ in 0..(count - chunk * 200).min(200) {
            let request =
                v1::WatchAvailabilityRequest { office_id: Some(OFFICE.into()), ..Default::default() };
            let (mut stream, mut board) = (watch(&channel, request).await.unwrap(), Board::default());
            board.snapshot(&mut stream).await;
            watchers.push((stream, board));
        }
    }
    watchers
}

async fn spike(process: &Process, dates: &[String]) {
    let mut calls = Vec::new();
    for lane in 0..8_u32 {
        let (client, dates) = (process.client().await, dates.to_vec());
        calls.push(tokio::spawn(async move {
            for person in (lane..ASKS).step_by(8) {
                let date = &dates[person as usize % dates.len()];
                let ask = Ask::new(OFFICE, date, Lane::Regular).applicant(nik(person), "");
                insist(&client, &ask).await;
            }
        }));
    }
    for call in calls {
        call.await.unwrap();
    }
}

/// The truth, as a new call reads it: free places by day.
async fn truth(client: &Client) -> HashMap<String, Option<u32>> {
    let filter = kuota_client::AvailabilityFilter {
        office_id: Some(OFFICE.into()),
        lane: Some(Lane::Regular),
        ..kuota_client::AvailabilityFilter::default()
    };
    let slots = client.availability(&filter).await.unwrap();
    slots.into_iter().map(|slot| (slot.service_date, slot.available)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_watchers_of_a_spike_all_end_on_the_true_state_and_a_stopped_one_costs_nothing() {
    let data = tempfile::tempdir().unwrap();
    let process = Process::start(data.path(), &["--demo"]);
    let client = process.client().await;
    let dates: Vec<String> =
        truth(&client).await.into_iter().filter(|(_, free)| free.is_some()).map(|(date, _)| date).collect();
    let reading = watchers(&process, WATCHERS, 65_535).await;
    let mut stopped = watchers(&process, 200, 512).await;
    let before = resident(process.pid());

    // The reading ones read until they know that everything is gone; the stopped ones do not read at all.
    let readers: Vec<_> = reading
        .into_iter()
        .map(|(mut stream, mut board)| {
            let dates = dates.clone();
            tokio::spawn(async move {
                for date in &dates {
                    board.until(&mut stream, date, Some(0)).await;
                }
                board
            })
        })
        .collect();
    spike(&process, &dates).await;
    let after = resident(process.pid());
    let truth = truth(&client).await;
    assert!(dates.iter().all(|date| truth[date] == Some(0)), "the spike takes every place: {truth:?}");
    for reader in readers {
        let board = reader.await.unwrap();
        assert!(dates.iter().all(|date| board.slot(date).available == truth[date]));
    }
    for (stream, board) in &mut stopped {
        for date in &dates {
            board.until(stream, date, truth[date]).await;
        }
        assert!(board.messages < 20, "the newest state, not every state: {} messages", board.messages);
    }
    // What is kept of the spike itself is far below this; a queue for each watcher would be far above.
    let grown = after.saturating_sub(before);
    assert!(grown < 64 << 20, "grew by {} KiB", grown >> 10);
    println!("grew by {} KiB with {WATCHERS} reading and {} stopped watchers", grown >> 10, stopped.len());
    process.terminate();
}
