//! Every bound of the client, with its unit last. Defaults of what can be set stand here too.

use std::time::Duration;

/// For a whole logical call, retries included, unless said otherwise.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
/// For one attempt of a call, unless said otherwise.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// For a connection, unless said otherwise.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections, unless said otherwise.
pub(crate) const CHANNELS: usize = 2;
/// Connections at most: more only cost the server memory.
pub(crate) const CHANNELS_MAX: usize = 64;
/// A connection that carries calls is asked so often whether it is alive.
pub(crate) const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// It is dead when it has not answered by then.
pub(crate) const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Attempts of one logical call, the first included, unless said otherwise.
pub(crate) const ATTEMPTS_MAX: u32 = 5;
/// Upper end of the first wait between attempts, unless said otherwise.
pub(crate) const BACKOFF_BASE: Duration = Duration::from_millis(50);
/// Upper end of every later wait, unless said otherwise.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Tokens of a full retry budget, unless said otherwise.
pub(crate) const BUDGET_TOKENS: u32 = 100;
/// What a success gives back to it, in thousandths of a token, unless said otherwise.
pub(crate) const BUDGET_REFUND_THOUSANDTHS: u32 = 100;

/// Asks in one batch, as the server has it.
pub(crate) const BATCH_ASKS_MAX: usize = 1_000;
/// The answer to a batch: a thousand parties of five, each with what went wrong.
pub(crate) const BATCH_ANSWER_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Pages followed before a listing of offices or slots is taken to be endless.
pub(crate) const PAGES_MAX: usize = 10_000;
/// Pages of events followed: a page may be empty, the log is read in pieces.
pub(crate) const EVENT_PAGES_MAX: u32 = 10_000_000;
/// Events asked for at once.
pub(crate) const EVENT_PAGE_SIZE: i32 = 500;
/// An answer of the admin service: a catalogue of up to 4 MiB, and what stands above it.
pub(crate) const ADMIN_ANSWER_MAX_BYTES: usize = 32 * 1024 * 1024;

/// Silence on a watch is broken so often, unless said otherwise.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);
/// What may be asked for instead, as the server has it.
pub(crate) const HEARTBEAT_MIN: Duration = Duration::from_secs(1);
pub(crate) const HEARTBEAT_MAX: Duration = Duration::from_secs(60);
/// A watch that has been silent for so many heartbeats is dead.
pub(crate) const HEARTBEATS_MISSED_MAX: u32 = 3;
/// Slots one watch may hold: far more than a country has.
pub(crate) const WATCHED_SLOTS_MAX: usize = 1_000_000;
/// An export that has been silent for so long is dead.
pub(crate) const EXPORT_SILENCE_MAX: Duration = Duration::from_secs(30);
