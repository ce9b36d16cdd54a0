//! Every bound of the server, with its unit in its name (INV-9). Those of the rules stand in `kuota_domain::limits`.

use std::time::Duration;

/// Orders that may wait for the ledger: two of every connection. One more is told OVERLOADED.
pub const LEDGER_QUEUE_MAX: usize = 2 * CONNECTIONS_MAX;
/// Operators' writes that may wait for the ledger, or be read at the door.
pub const OPERATORS_QUEUE_MAX: usize = 16;
/// Events of a batch from which on nothing more is decided into it.
pub const BATCH_EVENTS_MAX: usize = 16_384;
/// Asks that may wait for the ledger; those that come beyond, a batch or what one connection sent in one go, are told
/// OVERLOADED.
pub const ASKS_WAITING_MAX: usize = 65_536;
/// The server is overloaded when for an interval the first in line of every batch has waited longer than this for the log:
/// many times what a sync takes on any disk that is well, and a small part of what callers have.
pub const WAIT_TARGET: Duration = Duration::from_millis(50);
/// How long waits are watched before anything is concluded: longer than a burst that the log works off by itself.
pub const WAIT_INTERVAL: Duration = Duration::from_millis(100);
/// How long an ask may be with ledger and log while the server is overloaded. It says how many may be there; the rest are told
/// OVERLOADED.
pub const STAY_MAX: Duration = Duration::from_millis(300);
/// How long a batch may take: what operators write waits for the one before it.
pub const BATCH_TAKES_MAX: Duration = Duration::from_millis(60);
/// Asks that have waited longer than this when the ledger takes them are shed too, as long as the server is overloaded: what
/// came before it was known must not delay all that comes after.
pub const STALE_AFTER: Duration = Duration::from_millis(600);
/// So many asks may always wait: a log that stands still for a moment must not be asked for nothing after it.
pub const WAITING_MIN: usize = 64;
/// No limit is above this.
pub const WAITING_MAX: usize = ASKS_WAITING_MAX;
/// One seat more in so many is kept for connections that have nobody waiting.
pub const SEATS_KEPT_SHARE: usize = 4;
/// The least time after which a call that was shed may come back. It doubles with how many come for each that is served,
pub const PUSHBACK_MIN: Duration = Duration::from_millis(250);
/// so often at most,
pub const PUSHBACK_DOUBLINGS_MAX: u8 = 4;
/// and is stretched by up to as much again, in so many steps, so that a crowd does not come back as one.
pub const PUSHBACK_STEPS: u8 = 16;
/// Asks in one `RegisterBatch`.
pub const BATCH_ASKS_MAX: usize = 1_000;
/// Orders decided into one batch.
pub const BATCH_COMMANDS_MAX: usize = 4_096;
/// Parts of the tables of what is under way, each with a lock: more than threads, so that two rarely meet.
pub const UNDER_WAY_PARTS: usize = 256;
/// Calls that may wait for the outcome of one request id, besides the first.
pub const JOINERS_PER_REQUEST_MAX: usize = 16;
/// Rows of a log that is replayed go from thread to thread in lists, which are full with so many events.
pub const REPLAY_LIST_EVENTS_MIN: u64 = 4_096;
/// Threads that decode them, where there are as many cores: more than two are faster than the one that applies.
pub const REPLAY_DECODERS_MAX: usize = 2;
/// Lists of rows that are read and not decoded yet.
pub const REPLAY_ROW_LISTS_MAX: usize = 8;
/// Lists of events that are decoded and not applied yet: as many as are decoded while the ledger enters keys.
pub const REPLAY_EVENT_LISTS_MAX: usize = 48;
/// Bytes of its file that the kernel is asked to have in memory meanwhile, beyond where the reader is: a log need not fit.
pub const REPLAY_BYTES_AHEAD_MAX: u64 = 96 << 20;

/// After so long the list of what else is free is looked at anew for those who are refused. Whether a place is still there
/// is read for every answer.
pub const MENU_FRESH: Duration = Duration::from_secs(1);
/// The same where fewer are named than may be.
pub const SHORT_MENU_FRESH: Duration = Duration::from_millis(250);
/// Slots that have such a list; beyond, the one that has had it for the longest is without.
pub const MENUS_MAX: usize = 32_768;
/// Lists made in a tenth of a second, by whoever is refused first: a hundredth of a core.
pub const MENUS_PER_WINDOW_MAX: u64 = 100;
/// That tenth, in milliseconds.
pub const MENUS_WINDOW_MS: i64 = 100;

/// Connections of services; fewer where the system allows fewer descriptors.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Connections of operators.
pub const OPERATOR_CONNECTIONS_MAX: usize = 256;
/// Descriptors kept for the log, the listeners, the threads and the console.
pub const DESCRIPTORS_RESERVED: usize = 128;
/// Connections of the HTTP listener.
pub const HTTP_CONNECTIONS_MAX: usize = 32;
/// For the first bytes of a connection: HTTP/2's preface, or the first line of an HTTP/1 request.
pub const FIRST_BYTES_WITHIN: Duration = Duration::from_secs(3);
/// For a whole HTTP connection: a scraper opens a new one.
pub const HTTP_CONNECTION_LIFE: Duration = Duration::from_secs(60);
/// After an error of `accept`: most often descriptors are exhausted, and asking again at once would spin.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bytes of one request; a party of five is under 1 KiB.
pub const REQUEST_BYTES_MAX: usize = 64 * 1_024;
/// Bytes of one request to the service that takes batches.
pub const BATCH_BYTES_MAX: usize = 2 * 1_024 * 1_024;
/// Bytes of one request of an operator: a catalogue of 10,000 offices.
pub const OPERATOR_BYTES_MAX: usize = 4 * 1_024 * 1_024;

/// Bytes of an ask that is read at once, where it came in at once: as many as streams may hold without more room.
pub const ASK_BYTES_AT_ONCE_MAX: usize = 2 * 1_024;
/// Sheets on which calls are counted; connections share them.
pub const CALL_SHEETS: usize = 16;

/// How often histograms are added up: what they keep until then is bounded by what may come in between.
pub const METRICS_UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Watches at once, unless the settings say otherwise.
pub const WATCHERS_MAX: usize = 4_096;
/// Between two messages about the same slot to one watcher.
pub const WATCH_EVERY: Duration = Duration::from_millis(100);
/// Slots in one message of a watch.
pub const WATCH_SLOTS_MAX: usize = 500;
/// Sets of changes kept for watchers; who falls further behind looks at every slot once.
pub const WATCH_STEPS_KEPT_MAX: usize = 64;
/// Reads of the log or of all registrations, for operators, at once.
pub const HISTORY_READS_MAX: usize = 2;
/// Rows of the log read for one page of events,
pub const HISTORY_ROWS_MAX: usize = 4_096;
/// and events looked at.
pub const HISTORY_EVENTS_MAX: usize = 100_000;
/// Slots, and differences of catalogues, shown in one answer; the rest are counted.
pub const CHANGES_SHOWN_MAX: usize = 1_000;
/// Wrong fields named in one answer, and the characters of each.
pub const VIOLATIONS_SHOWN_MAX: usize = 16;
/// Characters of what is said of one wrong field.
pub const VIOLATION_CHARS_MAX: usize = 240;
/// Registrations in one message of an export.
pub const EXPORT_CHUNK: usize = 500;
/// Calls under way on one connection.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 256;
/// Streams a peer may have us reset before it is cut off (RUSTSEC-2024-0003).
pub const LOCAL_RESETS_MAX: usize = 1_024;
/// Bytes of a call's headers.
pub const HEADER_LIST_BYTES_MAX: u32 = 16 * 1_024;
/// Bytes a peer may send before they are read, on one stream and on all of a connection.
pub const RECEIVE_WINDOW_BYTES: u32 = 1_024 * 1_024;
/// Bytes of an answer that wait for the peer to make room, a stream.
pub const SEND_BUFFER_BYTES_MAX: usize = 400 * 1_024;
/// Times a connection goes on with what it did itself before others have their turn.
pub const ROUNDS_PER_POLL_MAX: usize = 3;
/// Calls a connection begins in one of them, so that a turn of all connections is short: a health check waits for one.
pub const CALLS_PER_ROUND_MAX: usize = 32;
/// Turns of connections after which a thread looks at its sockets again,
pub const TURNS_PER_LOOK: u32 = 16;
/// and at connections that were dealt to it.
pub const TURNS_PER_DEAL: u32 = 8;
/// How often a silent peer is asked whether it is still there.
pub const KEEPALIVE_EVERY: Duration = Duration::from_secs(30);
/// How long it may take to say so.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Between telling health checks and closing the door: whoever routes calls here may notice.
pub const NOTICE: Duration = Duration::from_millis(200);
/// For calls under way when the door is closed.
pub const DRAIN_MAX: Duration = Duration::from_secs(10);
/// How often a stop looks whether calls are still under way.
pub const CALLS_LOOKED_AT_EVERY: Duration = Duration::from_millis(20);
/// For streams once the last call under way is answered: who does not read would hold a stop for long.
pub const STREAMS_DRAIN_MAX: Duration = Duration::from_secs(1);
/// For answers on their way when the log is lost.
pub const LAST_WORDS_MAX: Duration = Duration::from_secs(1);
