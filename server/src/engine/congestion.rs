//! Whether there is more to do than the log takes, and how many asks may then wait for it. Pure: time is handed in.
//!
//! As in CoDel (RFC 8289) and DAGOR (Zhou et al. 2018) the time in the queue tells, not its length or the CPU. A batch waits
//! for the one before it, so the first in line of each batch is looked at, and the least of an interval: one long sync is no
//! overload, a whole interval of long waits is. What follows is not a share to be shed but a limit (Little's law): as many
//! asks may be with ledger and log as the log takes in [`STAY_MAX`]. So the log never runs dry, however many more come, and
//! a log whose every sync is slow is not asked less than it takes.

use std::time::{Duration, Instant};

use crate::{
    limits::{
        BATCH_COMMANDS_MAX, BATCH_TAKES_MAX, SEATS_KEPT_SHARE, STALE_AFTER, STAY_MAX, WAIT_INTERVAL,
        WAIT_TARGET, WAITING_MAX, WAITING_MIN,
    },
    telemetry::Shed,
};

/// What a log is believed to take that nothing is known of: a first sync may be slow, and says little.
const UNKNOWN_PER_S: usize = (WAITING_MAX * 1_000).div_ceil(STAY_MAX.as_millis() as usize);

/// Measures waits and what is served, and concludes from them, once an interval.
#[derive(Debug)]
pub(super) struct Congestion {
    /// When this interval began.
    since: Instant,
    /// The least that the first in line of a batch has waited in this interval.
    least: Option<Duration>,
    /// Asks decided and visible
    served: usize,
    /// since then, when so many had been shed.
    counted_since: (Instant, u64),
    /// What the log takes, in asks a second, as far as that is known.
    served_per_s: usize,
    /// How many asks a batch may have.
    batch: usize,
    /// `None`: there is no need for one.
    limit: Option<usize>,
    /// How many come for each that is served.
    asked_per_served: u64,
}

/// What an interval comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reading {
    /// The least wait of the interval.
    pub(super) wait: Duration,
    /// How many asks may wait; `None`: as many as there is room for.
    pub(super) limit: Option<usize>,
    /// How many come for each that is served.
    pub(super) asked_per_served: u64,
}

impl Congestion {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            since: now,
            least: None,
            served: 0,
            counted_since: (now, 0),
            served_per_s: UNKNOWN_PER_S,
            batch: WAITING_MIN,
            limit: None,
            asked_per_served: 1,
        }
    }

    /// A batch goes to the log; its first in line has waited that long.
    pub(super) fn handed_over(&mut self, waited: Duration) {
        self.least = Some(self.least.map_or(waited, |least| least.min(waited)));
    }

    /// A batch of so many asks is decided and visible. A full one that was quick lets the next be twice as large, so that a
    /// burst after a quiet hour finds the size it needs within a few commits; one that took too long tells what fits.
    pub(super) fn served(&mut self, asks: usize, took: Duration) {
        self.served += asks;
        if took > BATCH_TAKES_MAX {
            let fits = asks as u128 * BATCH_TAKES_MAX.as_micros() / took.as_micros();
            self.batch = usize::try_from(fits).unwrap_or(WAITING_MIN).max(WAITING_MIN);
        } else if asks >= self.batch {
            // Those that were in it may be more than were allowed: the last order is taken whole.
            self.batch = (2 * asks).min(BATCH_COMMANDS_MAX);
        }
    }

    /// Concludes, if an interval is over. `waiting` is how long the first in line has waited that is still there, `shed`
    /// how many asks were ever shed.
    pub(super) fn look(&mut self, now: Instant, waiting: Option<Duration>, shed: u64) -> Option<Reading> {
        if now.duration_since(self.since) < WAIT_INTERVAL {
            return None;
        }
        self.since = now;
        // While the log takes nothing at all, whoever waits tells.
        let wait = self.least.take().or(waiting).unwrap_or_default();
        let anybody_shed = shed > self.counted_since.1;
        self.measure(now, (wait, waiting.is_some()), shed);
        self.limit = match self.limit {
            _ if wait > WAIT_TARGET => Some(self.taken_in(STAY_MAX)),
            None => None,
            Some(limit) if anybody_shed && limit < WAITING_MAX => Some(limit + limit / 4),
            Some(_) => None,
        };
        Some(Reading { wait, limit: self.limit, asked_per_served: self.asked_per_served })
    }

    /// How many asks a batch may have, so that no batch is one that all others wait for. Under overload asks stay in the queue
    /// until the log is free and operators have written what they want: that takes a batch without the crowd.
    pub(super) fn batch_max(&self, others_go_first: bool) -> usize {
        if self.limit.is_some() && others_go_first {
            return 0;
        }
        self.batch
    }

    /// Whether an ask that waits since then came too early to be served in time.
    pub(super) fn is_stale(&self, queued: Instant, now: Instant) -> bool {
        self.limit.is_some() && now.duration_since(queued) > STALE_AFTER
    }

    /// Takes what was served as what can be, while too many wait for it.
    fn measure(&mut self, now: Instant, (wait, is_waited_for): (Duration, bool), shed: u64) {
        if self.served == 0 && is_waited_for && wait <= STALE_AFTER {
            // The log is at a batch for longer than an interval: both counts go on.
            return;
        }
        let took_ms =
            usize::try_from(now.duration_since(self.counted_since.0).as_millis()).unwrap_or(usize::MAX);
        let served_per_s = self.served.saturating_mul(1_000) / took_ms.max(1);
        // More is believed at once, less by quarters, so that one slow sync does not halve the limit: one that is too low
        // costs places, one too high only time. By halves, where asks have become stale by then. And where nobody waits for
        // long, that few were served says nothing of the log.
        let believed = match wait {
            _ if wait > STALE_AFTER => usize::midpoint(self.served_per_s, served_per_s),
            _ if wait > WAIT_TARGET => (3 * self.served_per_s + served_per_s) / 4,
            _ => self.served_per_s,
        };
        self.served_per_s = served_per_s.max(believed);
        self.asked_per_served = 1 + (shed - self.counted_since.1) / (self.served.max(1) as u64);
        (self.served, self.counted_since) = (0, (now, shed));
    }

    /// As many asks as the log takes in so long.
    fn taken_in(&self, span: Duration) -> usize {
        let span_ms = usize::try_from(span.as_millis()).unwrap_or(usize::MAX);
        (self.served_per_s.saturating_mul(span_ms) / 1_000).clamp(WAITING_MIN, WAITING_MAX)
    }
}

/// Whether one more ask may wait: while there is room, and its connection does not have more waiting than there is room.
/// So the connection with the most is the first to be shed, one that asks little finds room, and nobody counts
/// connections: dynamic thresholds (Choudhury and Hahne 1998).
pub(super) const fn admit(limit: usize, waiting: usize, of_connection: usize) -> Result<(), Shed> {
    // A few seats more for whoever has nobody waiting.
    let seats = if of_connection == 0 { limit + limit / SEATS_KEPT_SHARE } else { limit };
    let room = seats.saturating_sub(waiting);
    if room == 0 {
        Err(Shed::QueueWait)
    } else if of_connection < room {
        Ok(())
    } else {
        Err(Shed::Connection)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// What an interval shows, and what must follow: waits of batches, who waits at its end, asks served and shed.
    type Row = (&'static [u64], Option<u64>, usize, u64, Option<usize>);

    fn play(rows: &[Row]) {
        play_after(|_| {}, rows);
    }

    /// What it takes is known: 10,000 a second.
    fn known(congestion: &mut Congestion) {
        congestion.served_per_s = 10_000;
    }

    /// The same after what somebody makes of it first.
    fn play_after(before: impl FnOnce(&mut Congestion), rows: &[Row]) {
        let start = Instant::now();
        let mut congestion = Congestion::new(start);
        before(&mut congestion);
        let mut shed_ever = 0;
        for (number, (waits, waiting, served, shed, expected)) in rows.iter().enumerate() {
            waits.iter().for_each(|wait| congestion.handed_over(ms(*wait)));
            congestion.served(*served, ms(1));
            shed_ever += shed;
            let now = start + WAIT_INTERVAL * u32::try_from(number + 1).unwrap();
            assert_eq!(
                congestion.look(now - ms(1), None, shed_ever),
                None,
                "{number}: the interval is not over"
            );
            let reading = congestion.look(now, waiting.map(ms), shed_ever).unwrap();
            assert_eq!(reading.limit, *expected, "interval {number}: {reading:?}");
        }
    }

    #[test]
    fn one_short_wait_in_an_interval_is_enough_not_to_be_overloaded() {
        play(&[
            (&[], None, 0, 0, None),
            (&[900, 50, 700], Some(300), 100, 0, None),
            (&[51, 60], Some(0), 100, 0, Some(3 * WAITING_MAX / 4 + 75)),
        ]);
    }

    #[test]
    fn the_limit_is_what_the_log_takes_in_the_time_an_ask_may_stay() {
        play_after(
            known,
            &[
                (&[80], Some(80), 1_000, 0, Some(3_000)),
                // Less is believed by quarters, by halves where asks are stale, more at once.
                (&[80], Some(80), 600, 9_000, Some(2_700)),
                (&[80], Some(80), 600, 9_000, Some(2_475)),
                (&[601], Some(80), 600, 9_000, Some(2_137)),
                (&[80], Some(80), 3_000, 9_000, Some(9_000)),
                (&[80], Some(80), 1_000_000, 9_000, Some(WAITING_MAX)),
            ],
        );
        play_after(|congestion| congestion.served_per_s = 0, &[(&[80], Some(80), 1, 0, Some(WAITING_MIN))]);
    }

    #[test]
    fn a_log_that_stands_still_is_asked_as_much_as_before_and_less_only_when_asks_are_stale() {
        play_after(
            known,
            &[
                (&[1], None, 1_000, 0, None),
                (&[1], Some(40), 1_000, 0, None),
                (&[], Some(140), 0, 0, Some(3_000)),
                (&[], Some(240), 0, 5_000, Some(3_000)),
                // It is back: what was served in three intervals, and no more than that is made of it.
                (&[340], Some(1), 2_000, 0, Some(2_749)),
                (&[], Some(601), 0, 0, Some(1_374)),
                (&[], Some(701), 0, 0, Some(687)),
                (&[750], Some(1), 2_000, 0, Some(6_000)),
            ],
        );
    }

    #[test]
    fn a_slow_sync_sheds_nobody_while_nothing_is_known_nor_after_a_quiet_hour() {
        play(&[
            (&[], Some(140), 0, 0, Some(WAITING_MAX)),
            (&[240], Some(10), 1_000, 0, Some(3 * WAITING_MAX / 4 + 375)),
            (&[], None, 0, 0, None),
            (&[2], None, 10, 0, None),
            (&[], None, 0, 0, None),
            (&[], Some(140), 0, 0, Some(3 * WAITING_MAX / 4 + 375)),
        ]);
    }

    #[test]
    fn it_ends_when_waits_are_short_and_nobody_is_shed() {
        play_after(
            known,
            &[
                (&[80], Some(80), 1_000, 500, Some(3_000)),
                (&[20], Some(20), 1_000, 500, Some(3_750)),
                (&[20], Some(20), 1_000, 500, Some(4_687)),
                (&[20], Some(20), 1_000, 0, None),
                (&[], None, 0, 0, None),
            ],
        );
    }

    #[test]
    fn a_batch_may_be_twice_as_large_after_a_full_one_and_only_what_fits_after_a_long_one() {
        let mut congestion = Congestion::new(Instant::now());
        for (asks, took_ms, expected) in [
            (63, 1, 64),
            (64, 60, 128),
            (128, 1, 256),
            (255, 1, 256),
            (256, 61, 251),
            (0, 1, 251),
            (251, 1, 502),
            (600, 1, 1_200),
            (1_199, 1, 1_200),
            (1_200, 1, 2_400),
            (2_400, 1, BATCH_COMMANDS_MAX),
            (BATCH_COMMANDS_MAX, 1, BATCH_COMMANDS_MAX),
            (BATCH_COMMANDS_MAX, 4_096, WAITING_MIN),
        ] {
            congestion.served(asks, ms(took_ms));
            assert_eq!(congestion.batch_max(false), expected, "{asks} in {took_ms} ms");
        }
    }

    #[test]
    fn how_many_come_for_each_that_is_served() {
        let start = Instant::now();
        let mut congestion = Congestion::new(start);
        for (interval, served, shed_ever, expected) in
            [(1, 100, 0, 1), (2, 100, 900, 10), (3, 0, 1_000, 10), (4, 100, 1_100, 3), (5, 100, 1_100, 1)]
        {
            congestion.served(served, ms(1));
            let reading = congestion.look(start + WAIT_INTERVAL * interval, Some(ms(90)), shed_ever).unwrap();
            assert_eq!(reading.asked_per_served, expected, "interval {interval}");
        }
    }

    #[test]
    fn the_connection_with_the_most_is_shed_first_and_one_that_asks_little_finds_room() {
        for (limit, waiting, own, expected) in [
            (100, 0, 0, Ok(())),
            (100, 99, 0, Ok(())),
            (100, 100, 1, Err(Shed::QueueWait)),
            (100, 124, 0, Ok(())),
            (100, 125, 0, Err(Shed::QueueWait)),
            (100, 500, 0, Err(Shed::QueueWait)),
            (100, 49, 49, Ok(())),
            (100, 50, 50, Err(Shed::Connection)),
            (100, 80, 20, Err(Shed::Connection)),
            (100, 80, 19, Ok(())),
        ] {
            assert_eq!(admit(limit, waiting, own), expected, "{own} of {waiting} of {limit}");
        }
    }

    /// A log that takes so many asks a millisecond and so long for each sync, while so many come every millisecond: what
    /// it serves in five seconds from then on, and the longest that any of these stayed.
    fn simulate(taken_per_ms: u64, sync_ms: u64, offered_per_ms: u64, from_ms: u64) -> (u64, u64) {
        let start = Instant::now();
        let mut congestion = Congestion::new(start);
        let (mut queue, mut in_log) = (VecDeque::<u64>::new(), VecDeque::new());
        let (mut limit, mut shed, mut served, mut longest) = (usize::MAX, 0, 0, 0);
        let (mut begun_at, mut done_at) = (0, 0);
        for now in 0..from_ms + 5_000 {
            if now >= done_at {
                congestion.served(in_log.len(), ms(done_at - begun_at));
                for came in in_log.drain(..).filter(|_| now >= from_ms) {
                    (served, longest) = (served + 1, longest.max(now - came));
                }
                while let Some(came) = queue.front()
                    && in_log.len() < congestion.batch_max(false)
                {
                    if congestion.is_stale(start + ms(*came), start + ms(now)) {
                        shed += 1;
                    } else {
                        in_log.push_back(*came);
                    }
                    queue.pop_front();
                }
                if let Some(first) = in_log.front() {
                    congestion.handed_over(ms(now - first));
                    begun_at = now;
                    done_at = now + sync_ms + (in_log.len() as u64).div_ceil(taken_per_ms);
                }
            }
            for _ in 0..offered_per_ms {
                if queue.len() + in_log.len() < limit {
                    queue.push_back(now);
                } else {
                    shed += 1;
                }
            }
            let waiting = queue.front().map(|first| ms(now - first));
            if let Some(reading) = congestion.look(start + ms(now), waiting, shed) {
                limit = reading.limit.unwrap_or(usize::MAX);
            }
        }
        (served, longest)
    }

    proptest! {
        #[test]
        fn however_many_come_the_log_is_busy_and_nobody_stays_long(
            taken_per_ms in 1_u64..50, sync_ms in 0_u64..5, ratio in 1_u64..20,
        ) {
            let (served, longest) = simulate(taken_per_ms, sync_ms, taken_per_ms * ratio, 500);
            prop_assert!(served >= taken_per_ms * 5_000 * 9 / 10, "{served} of {}", taken_per_ms * 5_000);
            let batch_ms = 100 + sync_ms;
            prop_assert!(longest <= 600 + 2 * batch_ms, "{longest} ms");
        }

        #[test]
        fn slow_syncs_are_no_overload_where_the_log_takes_all(
            sync_ms in 0_u64..40, offered_per_ms in 1_u64..50,
        ) {
            // What it takes is known by then.
            let (served, _) = simulate(1_000, sync_ms, offered_per_ms, 2_000);
            let at_the_ends = 3 * (sync_ms + 2);
            prop_assert!(served >= offered_per_ms * (5_000 - at_the_ends), "{served}");
        }
    }
}
