//! Every bound of the domain, with its unit in its name (INV-9).

/// Applicants in one registration.
pub const PARTY_MAX: usize = 5;
/// Asks that may wait for the last places of one slot without holding permits.
pub const STANDBYS_PER_SLOT_MAX: u32 = 256;
/// Characters of a caller's reference.
pub const REFERENCE_CHARS_MAX: usize = 64;
/// Characters of a reason.
pub const REASON_CHARS_MAX: usize = 200;
/// Characters of an office or opening slug.
pub const SLUG_CHARS_MAX: usize = 63;
/// Places of one lane on one day.
pub const PLACES_PER_LANE_MAX: u32 = 1_000_000;
/// Sessions of one lane.
pub const SESSIONS_PER_LANE_MAX: usize = 48;
/// Offices of one catalogue.
pub const OFFICES_MAX: usize = 10_000;
/// Rupiah of one passport, or of one lane's surcharge.
pub const RUPIAH_MAX: u32 = 100_000_000;
/// Minutes a place may be held for its payment: a week,
pub const HOLD_MINUTES_MAX: u32 = 7 * 24 * 60;
/// and where the catalogue does not say how many.
pub const HOLD_MINUTES_DEFAULT: u32 = 120;
/// Characters of a payment's reference.
pub const PAYMENT_REFERENCE_CHARS_MAX: usize = 64;
/// Payments without a place that one registration may lead to.
pub const PAYMENT_CASES_PER_REGISTRATION_MAX: usize = 16;
/// Weeks an opening may reach ahead.
pub const WEEKS_AHEAD_MAX: u8 = 26;
/// Scheduled changes (releases, holds that expire, no-shows, day closings) written with one batch; the rest follow in the
/// next.
pub const DUE_EVENTS_PER_BATCH_MAX: usize = 4_096;
/// Events of one operator's write; what is due beyond them follows with the schedule.
pub const COMMAND_EVENTS_MAX: usize = 65_536;
/// How long a repeat of an operator's write is recognised.
pub const COMMANDS_KEPT_DAYS: i64 = 30;
/// Operators' writes that are recognised; beyond, the oldest are not.
pub const COMMANDS_KEPT_MAX: usize = 100_000;
/// Pauses in force at once.
pub const PAUSES_MAX: usize = 1_000;
/// Slots that have a quota or an opening above the catalogue at once.
pub const OVERRIDES_MAX: usize = 50_000;
/// Opening rules of one catalogue.
pub const OPENINGS_MAX: usize = 1_000;
/// Holidays of one catalogue.
pub const HOLIDAYS_MAX: usize = 10_000;
/// Service days one opening may be scheduled for.
pub const OPENING_DAYS_MAX: usize = 31;
/// How far ahead an operator may set something for a service day.
pub const DAYS_AHEAD_MAX: i32 = 400;
/// Characters of an operator's name.
pub const ACTOR_CHARS_MAX: usize = 64;
/// Offices whose schedule is looked at for one batch.
pub const OFFICES_PLANNED_MAX: usize = 512;
/// Booking codes tried before a grant is put off as busy. Two collisions in a row mean billions of live codes.
pub const CODE_TRIES_MAX: u64 = 8;
/// How long repeats of a request find its registration after the service day.
pub const REPEATS_KEPT_DAYS: i64 = 30;
/// Days `--demo` looks ahead for service days.
pub const DEMO_SEARCH_DAYS: i32 = 60;
/// Grants of a log whose keys are entered together while it is replayed: far more than an index has parts, and 36 bytes each and
/// more.
pub const GRANTS_ENTERED_TOGETHER_MAX: usize = 1_000_000;
/// Places from which a slot's permits are spread over several shards.
pub const PLACES_PER_SHARD_MIN: u32 = 512;
/// Slots named to somebody who is refused.
pub const ALTERNATIVES_MAX: usize = 5;
/// Offices of each kind that are looked at for one,
pub const NEIGHBOURS_PER_KIND_MAX: usize = 16;
/// and how far they may be: a day's journey there and back.
pub const NEIGHBOUR_METRES_MAX: u32 = 200_000;
