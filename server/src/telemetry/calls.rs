//! What is counted of every call: begun, answered with which status, and how long it took. Counted in sheets, so that
//! threads that count at the same time rarely touch the same memory; whoever looks adds the sheets up. A count of a call
//! costs no allocation and keeps nothing of it.

use std::{
    fmt::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::metrics::SECONDS;

const STARTED: &str = "grpc_server_started_total";
const HANDLED: &str = "grpc_server_handled_total";
const HANDLING: &str = "grpc_server_handling_seconds";

const REGISTRATION: &str = "kuota.v1.RegistrationService";
const OFFICE: &str = "kuota.v1.OfficeService";
const AVAILABILITY: &str = "kuota.v1.AvailabilityService";
const ADMIN: &str = "kuota.v1.AdminService";
const HEALTH: &str = "grpc.health.v1.Health";
/// Calls that are counted. Others have names from outside.
const METHODS: [(&str, &str, CallKind); 25] = [
    (REGISTRATION, "Register", CallKind::Unary),
    (REGISTRATION, "RegisterBatch", CallKind::Unary),
    (REGISTRATION, "GetRegistration", CallKind::Unary),
    (REGISTRATION, "Cancel", CallKind::Unary),
    (REGISTRATION, "ConfirmPayment", CallKind::Unary),
    (REGISTRATION, "Reschedule", CallKind::Unary),
    (REGISTRATION, "CheckIn", CallKind::Unary),
    (REGISTRATION, "Complete", CallKind::Unary),
    (OFFICE, "ListOffices", CallKind::Unary),
    (AVAILABILITY, "ListAvailability", CallKind::Unary),
    (AVAILABILITY, "WatchAvailability", CallKind::ServerStream),
    (ADMIN, "ApplyCatalog", CallKind::Unary),
    (ADMIN, "GetCatalog", CallKind::Unary),
    (ADMIN, "ScheduleOpening", CallKind::Unary),
    (ADMIN, "SetQuota", CallKind::Unary),
    (ADMIN, "ClearOverride", CallKind::Unary),
    (ADMIN, "Pause", CallKind::Unary),
    (ADMIN, "Resume", CallKind::Unary),
    (ADMIN, "ListEvents", CallKind::Unary),
    (ADMIN, "Export", CallKind::ServerStream),
    (ADMIN, "ListPaymentCases", CallKind::Unary),
    (ADMIN, "ResolvePaymentCase", CallKind::Unary),
    (ADMIN, "RescheduleSpecially", CallKind::Unary),
    (ADMIN, "ListDays", CallKind::Unary),
    (HEALTH, "Check", CallKind::Unary),
];

/// Names of the gRPC status codes, by number.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// How many messages a call is answered with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallKind {
    /// One.
    Unary,
    /// Many.
    ServerStream,
}

impl CallKind {
    /// Label as in grpc-ecosystem's Prometheus middleware.
    const fn label(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ServerStream => "server_stream",
        }
    }
}

/// A method whose calls are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Method(usize);

impl Method {
    /// `Register`, which most calls are.
    pub const REGISTER: Self = Self(0);
    /// `RegisterBatch`, whose messages are long.
    pub const REGISTER_BATCH: Self = Self(1);

    /// The method of a path, `/package.Service/Method`.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        let (service, method) = path.strip_prefix('/')?.split_once('/')?;
        METHODS.iter().position(|known| (known.0, known.1) == (service, method)).map(Self)
    }

    /// How its calls are answered.
    #[must_use]
    pub const fn kind(self) -> CallKind {
        METHODS[self.0].2
    }
}

/// Every sheet.
#[derive(Debug)]
pub(super) struct Calls {
    sheets: Box<[Arc<CallSheet>]>,
    /// Which sheet is handed out next.
    next: AtomicUsize,
}

/// Counts of some connections. A cache line is not shared with another sheet: 128 bytes, for lines are fetched in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct CallSheet {
    methods: [Counts; METHODS.len()],
}

#[derive(Debug, Default)]
struct Counts {
    started: AtomicU64,
    handled: [AtomicU64; CODES.len()],
    /// One more than there are bounds: for what took longer than all of them.
    buckets: [AtomicU64; SECONDS.len() + 1],
    took_ns: AtomicU64,
}

// Relaxed throughout: counts are read one by one, and order nothing else.
impl CallSheet {
    /// A call came in.
    pub fn started(&self, method: Method) {
        self.methods[method.0].started.fetch_add(1, Ordering::Relaxed);
    }

    /// A call was answered with a status code.
    pub fn handled(&self, method: Method, code: usize, took: Duration) {
        let counts = &self.methods[method.0];
        counts.handled[code.min(CODES.len() - 1)].fetch_add(1, Ordering::Relaxed);
        let seconds = took.as_secs_f64();
        let bucket = SECONDS.iter().position(|bound| seconds <= *bound).unwrap_or(SECONDS.len());
        counts.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        counts.took_ns.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Calls {
    /// So many sheets.
    pub(super) fn new(sheets: usize) -> Self {
        Self { sheets: (0..sheets.max(1)).map(|_| Arc::default()).collect(), next: AtomicUsize::new(0) }
    }

    /// A sheet to count on, in turn.
    pub(super) fn sheet(&self) -> Arc<CallSheet> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % self.sheets.len();
        self.sheets[number].clone()
    }

    /// Unary calls that are not answered yet.
    pub(super) fn unary_under_way(&self) -> u64 {
        let unary = METHODS.iter().enumerate().filter(|(_, method)| method.2 == CallKind::Unary);
        unary
            .map(|(method, _)| {
                // Answers first: a call that begins and ends in between is then counted as under way, for once.
                let handled: u64 = (0..CODES.len()).map(|code| self.sum(method, |c| &c.handled[code])).sum();
                self.sum(method, |counts| &counts.started).saturating_sub(handled)
            })
            .sum()
    }

    fn sum(&self, method: usize, count: impl Fn(&Counts) -> &AtomicU64) -> u64 {
        self.sheets.iter().map(|sheet| count(&sheet.methods[method]).load(Ordering::Relaxed)).sum()
    }

    /// Everything in Prometheus' text format.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        let labels: Vec<String> = METHODS
            .iter()
            .map(|(service, method, kind)| {
                let kind = kind.label();
                format!("grpc_type=\"{kind}\",grpc_service=\"{service}\",grpc_method=\"{method}\"")
            })
            .collect();
        writeln!(text, "# HELP {STARTED} RPCs started\n# TYPE {STARTED} counter")?;
        for (method, labels) in labels.iter().enumerate() {
            writeln!(text, "{STARTED}{{{labels}}} {}", self.sum(method, |counts| &counts.started))?;
        }
        writeln!(text, "\n# HELP {HANDLED} RPCs completed, by status code\n# TYPE {HANDLED} counter")?;
        for (method, labels) in labels.iter().enumerate() {
            for (code, name) in CODES.iter().enumerate() {
                let count = self.sum(method, |counts| &counts.handled[code]);
                writeln!(text, "{HANDLED}{{{labels},grpc_code=\"{name}\"}} {count}")?;
            }
        }
        writeln!(
            text,
            "\n# HELP {HANDLING} Time from an RPC's head to its response's head; of a stream, to its end\n\
             # TYPE {HANDLING} histogram"
        )?;
        for (method, labels) in labels.iter().enumerate() {
            let mut count = 0;
            for (index, bound) in SECONDS.iter().enumerate() {
                count += self.sum(method, |counts| &counts.buckets[index]);
                writeln!(text, "{HANDLING}_bucket{{{labels},le=\"{bound}\"}} {count}")?;
            }
            count += self.sum(method, |counts| &counts.buckets[SECONDS.len()]);
            let took = Duration::from_nanos(self.sum(method, |counts| &counts.took_ns));
            writeln!(text, "{HANDLING}_bucket{{{labels},le=\"+Inf\"}} {count}")?;
            writeln!(text, "{HANDLING}_sum{{{labels}}} {}", took.as_secs_f64())?;
            writeln!(text, "{HANDLING}_count{{{labels}}} {count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_method_or_none() {
        assert_eq!(Method::of("/kuota.v1.RegistrationService/Register"), Some(Method::REGISTER));
        let watch = Method::of("/kuota.v1.AvailabilityService/WatchAvailability").unwrap();
        assert_eq!(watch.kind(), CallKind::ServerStream);
        for path in
            ["", "/", "/kuota.v1.RegistrationService", "/kuota.v1.RegistrationService/Register/", "/x/y"]
        {
            assert_eq!(Method::of(path), None, "{path}");
        }
    }

    #[test]
    fn sheets_are_added_up() {
        let calls = Calls::new(2);
        for (sheet, took_ms) in [(calls.sheet(), 1), (calls.sheet(), 3), (calls.sheet(), 9_000)] {
            sheet.started(Method::REGISTER);
            sheet.started(Method::REGISTER);
            sheet.handled(Method::REGISTER, 0, Duration::from_millis(took_ms));
        }
        assert_eq!(calls.unary_under_way(), 3);
        let text = calls.render();
        let register =
            "grpc_type=\"unary\",grpc_service=\"kuota.v1.RegistrationService\",grpc_method=\"Register\"";
        for line in [
            format!("grpc_server_started_total{{{register}}} 6"),
            format!("grpc_server_handled_total{{{register},grpc_code=\"OK\"}} 3"),
            format!("grpc_server_handling_seconds_bucket{{{register},le=\"0.001\"}} 1"),
            format!("grpc_server_handling_seconds_bucket{{{register},le=\"0.005\"}} 2"),
            format!("grpc_server_handling_seconds_bucket{{{register},le=\"5\"}} 2"),
            format!("grpc_server_handling_seconds_bucket{{{register},le=\"+Inf\"}} 3"),
            format!("grpc_server_handling_seconds_sum{{{register}}} 9.004"),
            format!("grpc_server_handling_seconds_count{{{register}}} 3"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
