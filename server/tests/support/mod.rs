//! Servers for tests: in this process with a clock that stands still, or in one of their own that can be killed.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::allow_attributes, reason = "not every part is unused everywhere")]

pub(crate) mod held_log;
pub(crate) mod operator;
pub(crate) mod people;
pub(crate) mod process;
pub(crate) mod slow_log;
pub(crate) mod watchman;

use std::sync::Arc;

use kuota_client::Client;
use kuota_domain::time::UnixMillis;
use kuota_server::{
    app::{Addresses, App, WrapLog},
    clock::ManualClock,
    config::{CatalogSource, LogFormat, Settings},
    engine::Engine,
    exit::Exit,
};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// Friday 27 November 2026, 14:00 in Pontianak: Monday 30 November opens.
pub(crate) const T0: &str = "2026-11-27T07:00:00Z";
pub(crate) const MONDAY: &str = "2026-11-30";
pub(crate) const OFFICE: &str = "kanim-pontianak";
/// Times that what falls due may have more fall due.
const DUE_ROUNDS_MAX: usize = 50;

/// What passports cost, and the surcharge of ONE_DAY, as in a catalogue.
pub(crate) const PRICES: &str = r#"
[[fee]]
passport = "ORDINARY_5_YEARS"
rupiah = 350000
source = "test"

[[fee]]
passport = "ELECTRONIC_10_YEARS"
rupiah = 950000
source = "test"

[[surcharge]]
lane = "ONE_DAY"
rupiah = 1000000
source = "test"
"#;

/// One office whose regular lane holds places for two hours, and whose others confirm at once.
pub(crate) fn held_catalog(places: u32) -> CatalogSource {
    let regular = format!("places = {places}\n");
    let held = format!("{regular}confirm = \"BY_PAYMENT\"\n");
    let one_day = "\n[[office.lane]]\nlane = \"ONE_DAY\"\nplaces = 9\nsource = \"test\"\n";
    let text = PRICES.to_owned() + &catalog(&[(OFFICE.into(), places)]).replace(&regular, &held) + one_day;
    CatalogSource::Text { name: "test".into(), text }
}

pub(crate) fn instant(text: &str) -> UnixMillis {
    UnixMillis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

/// A Friday, to be started.
pub(crate) struct Friday {
    now: UnixMillis,
    offices: Vec<(String, u32)>,
    wrap: Option<WrapLog>,
    demo: bool,
    data: Option<Arc<TempDir>>,
    log_size_max_bytes: Option<u64>,
    catalog: Option<CatalogSource>,
    watchers_max: usize,
}

impl Friday {
    /// At the instant next week opens.
    pub(crate) fn open() -> Self {
        Self::at(T0)
    }

    pub(crate) fn at(now: &str) -> Self {
        Self {
            now: instant(now),
            offices: Vec::new(),
            wrap: None,
            demo: false,
            data: None,
            log_size_max_bytes: None,
            catalog: None,
            watchers_max: 4_096,
        }
    }

    /// One more office, with so many places a day in its regular lane.
    pub(crate) fn office(mut self, id: &str, places: u32) -> Self {
        self.offices.push((id.into(), places));
        self
    }

    pub(crate) fn places(self, places: u32) -> Self {
        self.office(OFFICE, places)
    }

    pub(crate) fn catalog(mut self, catalog: CatalogSource) -> Self {
        self.catalog = Some(catalog);
        self
    }

    pub(crate) fn log(mut self, wrap: WrapLog) -> Self {
        self.wrap = Some(wrap);
        self
    }

    pub(crate) fn demo(mut self) -> Self {
        self.demo = true;
        self
    }

    pub(crate) fn data(mut self, data: &Arc<TempDir>) -> Self {
        self.data = Some(data.clone());
        self
    }

    pub(crate) fn log_size_max_bytes(mut self, bytes: u64) -> Self {
        self.log_size_max_bytes = Some(bytes);
        self
    }

    pub(crate) fn watchers_max(mut self, most: usize) -> Self {
        self.watchers_max = most;
        self
    }

    pub(crate) async fn start(self) -> Server {
        let data = self.data.unwrap_or_else(|| Arc::new(tempfile::tempdir().unwrap()));
        let text = catalog(&self.offices);
        let here = || "127.0.0.1:0".parse().unwrap();
        let settings = Settings {
            catalog: self.catalog.unwrap_or(CatalogSource::Text { name: "test".into(), text }),
            listen: here(),
            admin_listen: here(),
            http_listen: here(),
            data: data.path().into(),
            threads: 8,
            nik_key: None,
            log_size_max_bytes: self.log_size_max_bytes,
            log_format: LogFormat::Human,
            log_level: "info".into(),
            watchers_max: self.watchers_max,
            demo: self.demo,
            insecure: false,
        };
        let clock = Arc::new(ManualClock::at(self.now));
        let app = App::start(&settings, clock.clone(), self.wrap).unwrap();
        let (addresses, engine) = (app.addresses().unwrap(), app.engine());
        let (stop, stopped) = oneshot::channel::<()>();
        let running = run(app, stopped);
        let client = people::single_minded(&addresses.grpc.to_string()).await;
        Server { client, addresses, clock, data, engine: Some(engine), stop: Some(stop), running }
    }
}

pub(crate) fn catalog(offices: &[(String, u32)]) -> String {
    let mut text = r#"
[[opening]]
id = "weekly"
weekday = "FRIDAY"
time = "14:00"
service_weekdays = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"]
weeks_ahead = 1

[[holiday]]
date = "2026-12-25"
name = "Christmas"
"#
    .to_owned();
    for (id, places) in offices {
        text.push_str(&format!(
            r#"
[[office]]
id = "{id}"
name = "{id}"
kind = "KANIM"
time_zone = "Asia/Pontianak"
latitude = 0.0
longitude = 109.0
opening = "weekly"
closing_time = "15:00"

[[office.lane]]
lane = "REGULAR"
places = {places}
source = "test"
"#
        ));
    }
    text
}

/// A server in this process.
pub(crate) struct Server {
    pub(crate) client: Client,
    pub(crate) addresses: Addresses,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) data: Arc<TempDir>,
    engine: Option<Arc<Engine>>,
    stop: Option<oneshot::Sender<()>>,
    running: oneshot::Receiver<Exit>,
}

/// Runs a server on threads of its own until `stop` is sent or dropped.
fn run(app: App, stop: oneshot::Receiver<()>) -> oneshot::Receiver<Exit> {
    let (ended, running) = oneshot::channel();
    std::thread::spawn(move || {
        let exit = app.run(async {
            drop(stop.await);
            Ok(())
        });
        // A test that is over does not ask.
        let _ = ended.send(exit.unwrap());
    });
    running
}

impl Server {
    pub(crate) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub(crate) fn engine_handle(&self) -> Arc<Engine> {
        self.engine.clone().unwrap()
    }

    pub(crate) async fn connect(&self) -> Client {
        people::single_minded(&self.addresses.grpc.to_string()).await
    }

    /// Moves the clock, and waits until what became due is in the log.
    pub(crate) async fn at(&self, now: &str) {
        self.clock.set(instant(now));
        // What falls due may have more fall due: days end, then may be forgotten, then others are scheduled.
        for _ in 0..DUE_ROUNDS_MAX {
            let before = self.verify().events;
            self.engine().flush().await;
            self.engine().flush().await;
            if self.verify().events == before {
                return;
            }
        }
        panic!("something is still due after {DUE_ROUNDS_MAX} rounds");
    }

    /// What SIGTERM does.
    pub(crate) fn begin_stop(&mut self) {
        self.stop = None;
    }

    pub(crate) async fn stop(mut self) -> Exit {
        self.engine = None;
        self.begin_stop();
        self.running.await.unwrap()
    }

    /// Waits until the server ends by itself.
    pub(crate) async fn ended(mut self) -> Exit {
        self.engine = None;
        self.running.await.unwrap()
    }

    pub(crate) fn verify(&self) -> kuota_server::verify::Verdict {
        verify(self.data.path())
    }
}

pub(crate) fn verify(data: &std::path::Path) -> kuota_server::verify::Verdict {
    kuota_server::verify::verify(data).unwrap()
}
