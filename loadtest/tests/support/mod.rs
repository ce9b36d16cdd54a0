//! Servers that break one promise each, and orders to run against them.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::allow_attributes, reason = "not every part is unused everywhere")]

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use kuota_api::v1::{
    CancelRequest, CancelResponse, GetRegistrationRequest, GetRegistrationResponse, ListAvailabilityRequest,
    ListAvailabilityResponse, Refusal, RefusalReason, RegisterBatchRequest, RegisterBatchResponse,
    RegisterRequest, RegisterResponse, Registration, RegistrationState, Slot, SlotState,
    WatchAvailabilityRequest, WatchAvailabilityResponse,
    availability_service_server::{AvailabilityService, AvailabilityServiceServer},
    get_registration_request::Key,
    register_response::Outcome,
    registration_service_server::{RegistrationService, RegistrationServiceServer},
};
use kuota_loadtest::{
    report::figures::Report,
    run::{Order, replay, run},
    scenario::{SMOKE, Scenario},
};
use tokio::{net::TcpListener, time::Instant};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_kuota-loadtest");
/// More than there are bots, so that others get some, and fewer than people.
const CAPACITY: u32 = 160;
/// From the first look to the opening: what comes before T0 in the scenario of these tests fits in.
const OPENS_IN: Duration = Duration::from_millis(1_000);
const STALL: Duration = Duration::from_secs(1);

/// The promise that is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Break {
    Nothing,
    /// More places than there are.
    Capacity,
    /// An acknowledged registration is gone.
    Durability,
    /// Granted before the opening.
    Opening,
    /// A repeat is a new registration.
    Repeats,
    /// No answer for a second.
    Pace,
    /// Places are left, and people are told that none are.
    Truth,
}

#[derive(Default)]
struct Book {
    open_time: Option<SystemTime>,
    by_request: HashMap<String, Registration>,
    by_id: HashMap<String, Registration>,
    niks: HashSet<String>,
    granted: u32,
    stalled_until: Option<Instant>,
}

#[derive(Clone)]
struct Fake {
    breaks: Break,
    book: Arc<Mutex<Book>>,
}

impl Fake {
    fn decide(&self, request: &RegisterRequest) -> Outcome {
        let book = &mut *self.book.lock().unwrap();
        let now = SystemTime::now();
        let is_open = book.open_time.is_some_and(|time| time <= now);
        if !is_open && self.breaks != Break::Opening {
            return refused(RefusalReason::NotOpenYet);
        }
        if let Some(known) = book.by_request.get(&request.request_id)
            && self.breaks != Break::Repeats
        {
            return Outcome::Registration(known.clone());
        }
        let nik = &request.applicants[0].nik;
        let is_repeat = book.by_request.contains_key(&request.request_id);
        if book.niks.contains(nik) && !is_repeat {
            return refused(RefusalReason::AlreadyRegistered);
        }
        let places = match self.breaks {
            Break::Capacity => CAPACITY + 3,
            Break::Truth => CAPACITY - 2,
            _ => CAPACITY,
        };
        if book.granted >= places && !is_repeat {
            return refused(RefusalReason::SoldOut);
        }
        book.granted += u32::from(!is_repeat);
        book.niks.insert(nik.clone());
        if book.granted == 10 && self.breaks == Break::Pace {
            book.stalled_until = Some(Instant::now() + STALL);
        }
        let registration = Registration {
            id: uuid::Uuid::new_v4().to_string(),
            request_id: request.request_id.clone(),
            office_id: request.office_id.clone(),
            service_date: request.service_date.clone(),
            lane: request.lane,
            state: RegistrationState::Confirmed.into(),
            queue_number: book.granted,
            create_time: Some(now.into()),
            ..Registration::default()
        };
        book.by_request.insert(request.request_id.clone(), registration.clone());
        if self.breaks != Break::Durability || book.granted != 7 {
            book.by_id.insert(registration.id.clone(), registration.clone());
        }
        Outcome::Registration(registration)
    }
}

fn refused(reason: RefusalReason) -> Outcome {
    Outcome::Refusal(Refusal { reason: reason.into(), ..Refusal::default() })
}

#[tonic::async_trait]
impl RegistrationService for Fake {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let outcome = self.decide(request.get_ref());
        let stalled_until = self.book.lock().unwrap().stalled_until;
        if let Some(until) = stalled_until {
            tokio::time::sleep_until(until).await;
        }
        Ok(Response::new(RegisterResponse { outcome: Some(outcome), server_time: None }))
    }

    async fn register_batch(
        &self,
        _: Request<RegisterBatchRequest>,
    ) -> Result<Response<RegisterBatchResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_registration(
        &self,
        request: Request<GetRegistrationRequest>,
    ) -> Result<Response<GetRegistrationResponse>, Status> {
        let book = self.book.lock().unwrap();
        let found = match request.into_inner().key {
            Some(Key::Id(id)) => book.by_id.get(&id).cloned(),
            Some(Key::RequestId(id)) => book.by_request.get(&id).cloned(),
            Some(Key::Code(_)) | None => None,
        };
        let registration = Some(found.ok_or_else(|| Status::not_found("no such registration"))?);
        Ok(Response::new(GetRegistrationResponse { registration, server_time: None }))
    }

    async fn cancel(&self, _: Request<CancelRequest>) -> Result<Response<CancelResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

#[tonic::async_trait]
impl AvailabilityService for Fake {
    async fn list_availability(
        &self,
        request: Request<ListAvailabilityRequest>,
    ) -> Result<Response<ListAvailabilityResponse>, Status> {
        let book = &mut *self.book.lock().unwrap();
        let now = SystemTime::now();
        let open_time = *book.open_time.get_or_insert(now + OPENS_IN);
        let is_open = open_time <= now;
        let slot = Slot {
            office_id: "kanim-test".into(),
            service_date: "2030-01-07".into(),
            lane: request.get_ref().lane.unwrap_or(1),
            capacity: CAPACITY,
            available: is_open.then(|| CAPACITY.saturating_sub(book.granted)),
            state: if is_open { SlotState::Open } else { SlotState::NotOpenYet }.into(),
            open_time: Some(open_time.into()),
        };
        let response =
            ListAvailabilityResponse { slots: vec![slot], next_page_token: String::new(), server_time: None };
        Ok(Response::new(response))
    }

    type WatchAvailabilityStream = tokio_stream::Empty<Result<WatchAvailabilityResponse, Status>>;

    async fn watch_availability(
        &self,
        _: Request<WatchAvailabilityRequest>,
    ) -> Result<Response<Self::WatchAvailabilityStream>, Status> {
        Err(Status::unimplemented(""))
    }
}

/// Serves for as long as the test's process lives.
fn serve(breaks: Break) -> SocketAddr {
    let fake = Fake { breaks, book: Arc::default() };
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            Server::builder()
                .add_service(RegistrationServiceServer::new(fake.clone()))
                .add_service(AvailabilityServiceServer::new(fake))
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .unwrap();
        });
    });
    receiver.recv().unwrap()
}

/// A small opening that lasts some seconds.
pub(crate) fn small() -> Scenario {
    let mut text = SMOKE.to_owned();
    for (from, to) in [
        ("people = 1000\n", "people = 300\n"),
        ("human_percent = 45", "human_percent = 20"),
        ("double_clicker_percent = 5", "double_clicker_percent = 30"),
        ("lead_ms = 500", "lead_ms = 200"),
        ("prepoll_ms = 10000", "prepoll_ms = 2000"),
        ("service_days = 2", "service_days = 1"),
        // What is shown here is not how fast this machine is.
        ("lag_p99_ms_max = 50", "lag_p99_ms_max = 60000"),
        ("stall_ms_max = 700", "stall_ms_max = 800"),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    Scenario::parse("small.toml", &text).unwrap()
}

pub(crate) fn order(scenario: Scenario) -> Order {
    Order {
        scenario,
        program: PROGRAM.into(),
        target: None,
        admin_target: None,
        pid: None,
        is_owned: false,
        run_id: "1".into(),
        chaos: None,
        require: Vec::new(),
        command: "a test".into(),
        keeps_samples: false,
        is_quiet: true,
    }
}

/// Runs against a server that breaks one promise.
pub(crate) fn against(breaks: Break) -> Report {
    let target = Some(format!("http://{}", serve(breaks)));
    run(&Order { target, ..order(small()) }).unwrap()
}

/// Runs on a server of its own, and keeps every response time.
pub(crate) fn sampled() -> (Report, Vec<i64>) {
    replay(&Order { keeps_samples: true, ..order(small()) }).unwrap()
}
