//! Servers that break one promise each, and orders to run against them.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::allow_attributes, reason = "not every part is unused everywhere")]

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use kuota_api::v1::{
    CancelRequest, CancelResponse, CheckInRequest, CheckInResponse, CompleteRequest, CompleteResponse,
    ConfirmPaymentRequest, ConfirmPaymentResponse, GetRegistrationRequest, GetRegistrationResponse,
    ListAvailabilityRequest, ListAvailabilityResponse, Refusal, RefusalReason, RegisterBatchItem,
    RegisterBatchRequest, RegisterBatchResponse, RegisterRequest, RegisterResponse, RegisteredApplicant,
    Registration, RegistrationState, RescheduleRequest, RescheduleResponse, Slot, SlotState,
    WatchAvailabilityRequest, WatchAvailabilityResponse,
    availability_service_server::{AvailabilityService, AvailabilityServiceServer},
    get_registration_request::Key,
    register_batch_item,
    register_response::Outcome,
    registration_service_server::{RegistrationService, RegistrationServiceServer},
};
use kuota_loadtest::{
    calibrate::Calibration,
    report::figures::{Percentiles, Report},
    run::{Order, replay, run},
    scenario::{SMOKE, Scenario},
    target::child::Child,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, time::Instant};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_kuota-loadtest");
/// More than there are bots, so that others get some, and fewer than people.
const CAPACITY: u32 = 160;
/// From the first look to the opening: what comes before T0 in the scenario of these tests fits in.
const OPENS_IN: Duration = Duration::from_millis(900);
const STALL: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

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
    /// Places grow while the run goes on.
    Size,
    /// Some calls get UNAVAILABLE.
    Service,
    /// The slot is not listed any more.
    List,
    /// Two items of a batch stand in each other's place.
    Order,
    /// A batch has an item less than there were asks.
    Count,
    /// Look-ups have other times than the acknowledgements.
    Times,
    /// Everybody had registered before the run.
    Past,
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
            applicants: vec![RegisteredApplicant {
                nik_last_four: nik[12..].to_owned(),
                reference: request.applicants[0].reference.clone(),
                ..RegisteredApplicant::default()
            }],
            create_time: Some(if self.breaks == Break::Past { now - HOUR } else { now }.into()),
            ..Registration::default()
        };
        book.by_request.insert(request.request_id.clone(), registration.clone());
        if self.breaks != Break::Durability || book.granted != 7 {
            let mut kept = registration.clone();
            if self.breaks == Break::Times && book.granted == 7 {
                kept.create_time = Some((now + STALL).into());
            }
            book.by_id.insert(registration.id.clone(), kept);
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
        if self.breaks == Break::Service && self.book.lock().unwrap().granted == 10 {
            self.book.lock().unwrap().granted += 1;
            return Err(Status::unavailable("not now"));
        }
        let outcome = self.decide(request.get_ref());
        let stalled_until = self.book.lock().unwrap().stalled_until;
        if let Some(until) = stalled_until {
            tokio::time::sleep_until(until).await;
        }
        Ok(Response::new(RegisterResponse { outcome: Some(outcome), server_time: None }))
    }

    async fn register_batch(
        &self,
        request: Request<RegisterBatchRequest>,
    ) -> Result<Response<RegisterBatchResponse>, Status> {
        let item = |request: &RegisterRequest| RegisterBatchItem {
            request_id: request.request_id.clone(),
            outcome: Some(match self.decide(request) {
                Outcome::Registration(registration) => {
                    register_batch_item::Outcome::Registration(registration)
                }
                Outcome::Refusal(refusal) => register_batch_item::Outcome::Refusal(refusal),
            }),
        };
        let mut items: Vec<_> = request.get_ref().requests.iter().map(item).collect();
        match self.breaks {
            Break::Order if items.len() > 1 => items.swap(0, 1),
            Break::Count if items.len() > 1 => drop(items.pop()),
            _ => {}
        }
        Ok(Response::new(RegisterBatchResponse { items, server_time: None }))
    }

    async fn get_registration(
        &self,
        request: Request<GetRegistrationRequest>,
    ) -> Result<Response<GetRegistrationResponse>, Status> {
        let book = self.book.lock().unwrap();
        let found = match request.into_inner().key {
            Some(Key::Id(id)) => book.by_id.get(&id).cloned(),
            Some(Key::RequestId(id)) => book.by_request.get(&id).cloned(),
            Some(Key::Code(_) | Key::BillingReference(_)) | None => None,
        };
        let registration = Some(found.ok_or_else(|| Status::not_found("no such registration"))?);
        Ok(Response::new(GetRegistrationResponse { registration, server_time: None }))
    }

    async fn cancel(&self, _: Request<CancelRequest>) -> Result<Response<CancelResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn confirm_payment(
        &self,
        _: Request<ConfirmPaymentRequest>,
    ) -> Result<Response<ConfirmPaymentResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn check_in(&self, _: Request<CheckInRequest>) -> Result<Response<CheckInResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn complete(&self, _: Request<CompleteRequest>) -> Result<Response<CompleteResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn reschedule(
        &self,
        _: Request<RescheduleRequest>,
    ) -> Result<Response<RescheduleResponse>, Status> {
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
            capacity: if is_open && self.breaks == Break::Size { CAPACITY + 1 } else { CAPACITY },
            available: is_open.then(|| CAPACITY.saturating_sub(book.granted)),
            state: if is_open { SlotState::Open } else { SlotState::NotOpenYet }.into(),
            open_time: Some(open_time.into()),
        };
        let slots = if is_open && self.breaks == Break::List { Vec::new() } else { vec![slot] };
        let response = ListAvailabilityResponse { slots, next_page_token: String::new(), server_time: None };
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

/// A small opening that lasts a second.
pub(crate) fn small() -> Scenario {
    let mut text = SMOKE.to_owned();
    for (from, to) in [
        ("people = 1000\n", "people = 300\n"),
        ("human_percent = 45", "human_percent = 20"),
        ("double_clicker_percent = 5", "double_clicker_percent = 30"),
        ("lead_ms = 500", "lead_ms = 100"),
        ("time_compression_factor = 10", "time_compression_factor = 25"),
        ("window_ms = 20000", "window_ms = 8000"),
        ("attempts_max = 10", "attempts_max = 4"),
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

/// The same, but people have the patience to see a server come back.
pub(crate) fn lasting() -> Scenario {
    let mut scenario = small();
    scenario.time_compression_factor = 10;
    (scenario.people.attempts_min, scenario.people.attempts_max) = (8, 10);
    scenario
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
        calibration: Some(known()),
        command: "a test".into(),
        keeps_samples: false,
        is_quiet: true,
    }
}

/// A client that can do much: what is shown here is not how fast this machine is.
fn known() -> Calibration {
    Calibration {
        ceiling_calls_per_s: 1e9,
        client_cpu_us_per_call: 1.0,
        latency_ms: Percentiles::default(),
        noise_p99_ms: 0.0,
        noise_max_ms: 0.0,
        plain_tonic: None,
    }
}

/// One run at a time in this process: two at once on two cores show each other's load.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs against a server that breaks one promise.
pub(crate) fn against(breaks: Break) -> Report {
    asked(breaks, small())
}

/// Runs against a server that breaks one promise, in batches.
pub(crate) fn in_batches(breaks: Break) -> Report {
    let mut scenario = small();
    scenario.client.batch_asks = 50;
    asked(breaks, scenario)
}

fn asked(breaks: Break, scenario: Scenario) -> Report {
    let _alone = alone();
    let target = Some(format!("http://{}", serve(breaks)));
    run(&Order { target, ..order(scenario) }).unwrap()
}

/// Runs on a server of its own, and keeps every response time.
pub(crate) fn sampled() -> (Report, Vec<i64>) {
    let _alone = alone();
    replay(&Order { keeps_samples: true, ..order(small()) }).unwrap()
}

/// A real server with the built-in catalogue, for several runs.
pub(crate) struct Own {
    child: Child,
    _data: TempDir,
}

impl Own {
    pub(crate) fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let child = Child::server(PROGRAM.as_ref(), &data.path().join("data"), None, 0).unwrap();
        Self { child, _data: data }
    }

    /// Of its listeners: for services, and for operators.
    pub(crate) fn urls(&self) -> [String; 2] {
        let urls: Vec<_> = self.child.addresses.iter().map(|address| format!("http://{address}")).collect();
        urls.try_into().unwrap()
    }
}
