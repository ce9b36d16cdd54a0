//! Every bound of the load tester, with its unit in its name.

use std::time::Duration;

/// People of one scenario: their numbers have seven digits or fewer in references and fit every index.
pub const PEOPLE_MAX: u64 = 5_000_000;
/// Slots (office and service day) of one scenario: they are numbered with 16 bits.
pub const SLOTS_MAX: usize = 65_535;
/// Calls a person makes at most, retries included: choices are numbered with five bits.
pub const ATTEMPTS_MAX: u64 = 30;
/// Request ids a bot sends for one NIK: they are numbered with three bits.
pub const BOT_REQUESTS_MAX: u64 = 8;
/// Connections of the driven load.
pub const CONNECTIONS_MAX: u64 = 1_024;
/// Streams a connection: what Kuota allows.
pub const STREAMS_MAX: u64 = 256;
/// Calls a second of a bench: beyond what a driver's thread sends.
pub const RATE_MAX: i64 = 1_000_000;
/// Driver threads.
pub const THREADS_MAX: u64 = 64;
/// Asks in one `RegisterBatch`.
pub const BATCH_ASKS_MAX: u64 = 1_000;
/// Longest modelled time: a day.
pub const SPAN_MS_MAX: u64 = 86_400_000;
/// Calls of one tick that a connection is given before the next one has its turn: as a gateway's callers share one.
pub const CALLS_IN_A_ROW: usize = 16;
/// How often due calls are released.
pub const TICK: Duration = Duration::from_millis(1);
/// Ticks between two looks while nothing is due: what is overdue or down waits no longer.
pub const IDLE_TICKS_MAX: u32 = 10;
/// From how late a tick on this thread counts as having stood still itself.
pub const FREEZE_MIN: Duration = Duration::from_millis(20);
/// Seconds a driver's thread keeps while nobody takes them; of older ones only the totals are kept.
pub const SECONDS_KEPT_MAX: usize = 64;
/// For all connections of a thread to be had before a run.
pub const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Between two tries to connect anew.
pub const RECONNECT_EVERY_US: i64 = 20_000;
/// Longest time a histogram tells apart, in microseconds; anything longer counts as this: an hour.
pub const HISTOGRAM_MAX_US: u64 = 3_600_000_000;
/// Significant digits of every percentile.
pub const HISTOGRAM_DIGITS: u8 = 3;
/// Bytes an answer may have: a full batch of registrations.
pub const ANSWER_BYTES_MAX: usize = 4 * 1_024 * 1_024;
/// Window of a stream: a full batch's answer without a word in between.
pub const STREAM_WINDOW_BYTES: u32 = 4 * 1_024 * 1_024;
/// Window of a connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 64 * 1_024 * 1_024;
/// Bodies are cut from blocks of this size.
pub const BODY_BLOCK_BYTES: usize = 64 * 1_024;
/// Seconds of the per-second series; beyond, seconds are counted in the totals only.
pub const SERIES_SECONDS_MAX: usize = 100_000;
/// Seconds waiting between the driver's threads and the one that shows them.
pub const SECONDS_WAITING_MAX: usize = 64;
/// Look-ups and repeats under way while the outcome is verified.
pub const VERIFY_CONCURRENT: usize = 128;
/// Questions of the verification without an answer, after which no more are asked.
pub const UNANSWERED_MAX: u64 = 100;
/// Acknowledgements that are asked again after the run, evenly chosen.
pub const REPEATS_CHECKED_MAX: usize = 5_000;
/// Findings of a kind that are written out in words; the rest are counted.
pub const FINDINGS_OF_A_KIND_SHOWN_MAX: usize = 3;
/// Offices shown on the final screen.
pub const OFFICES_SHOWN_MAX: usize = 8;
/// For a server of its own to say where it listens.
pub const SERVER_START_MAX: Duration = Duration::from_secs(30);
/// How far ahead an opening of a server that is not ours may lie for a run to wait for it.
pub const WAIT_FOR_OPENING_MAX: Duration = Duration::from_secs(900);
/// How many days from today on a day that nothing has opened is looked for.
pub const DAYS_AHEAD_MAX: i64 = 400;
/// Questions by which the gap between two clocks is estimated: the quickest counts.
pub const CLOCK_QUESTIONS: u32 = 8;
/// Calls that a scenario may plan, before retries: 16 bytes each.
pub const PLANNED_CALLS_MAX: u64 = 20_000_000;
/// For an opening of a bench's own to have come.
pub const OPENING_COMES_MAX: Duration = Duration::from_secs(15);
/// How much of the ceiling a run may use: more, and the client may have been the limit.
pub const CEILING_PERCENT_MAX: u64 = 80;
/// Niceness of a run's own server: it shares the machine with this client, which must not be what is late.
pub const SERVER_NICE: u8 = 5;
/// How much of a core each driving thread may use in any second: more, and it may have been the limit.
pub const CLIENT_CPU_PERCENT_MAX: f64 = 80.0;
/// Payments under way at once, beside the driven load.
pub const PAYMENTS_CONCURRENT: usize = 64;
/// Between two looks at which places wait for money.
pub const PAYMENTS_LOOK_EVERY: Duration = Duration::from_millis(200);
/// For the quick calibration before a run, a side.
pub const CALIBRATION_QUICK: Duration = Duration::from_millis(1_500);
