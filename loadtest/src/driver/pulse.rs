//! Whether the server answers. One pulse for all threads: what one of them is told, all have been told. Owns the rule of
//! silence, and what an ordered blow excuses; knows nothing of calls.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::limits::SERVER_START_MAX;

/// Something that has not happened.
const NEVER: i64 = i64::MAX;

/// When the server last answered, and when it was struck and was back. Microseconds of the run's clock.
#[derive(Debug)]
pub struct Pulse {
    answered_us: AtomicI64,
    struck_us: AtomicI64,
    back_us: AtomicI64,
}

impl Default for Pulse {
    fn default() -> Self {
        let at = AtomicI64::new;
        Self { answered_us: at(i64::MIN), struck_us: at(NEVER), back_us: at(NEVER) }
    }
}

// Relaxed throughout: each is a time by itself, and a millisecond more or less decides nothing.
impl Pulse {
    /// It answered.
    pub fn answer(&self, now_us: i64) {
        self.answered_us.fetch_max(now_us, Ordering::Relaxed);
    }

    /// It is about to be struck, on purpose.
    pub fn strike(&self, now_us: i64) {
        self.struck_us.store(now_us, Ordering::Relaxed);
    }

    /// It serves again.
    pub fn come_back(&self, now_us: i64) {
        self.back_us.store(now_us, Ordering::Relaxed);
    }

    /// Whether a call may fail now: from the strike until the server is back, and as long after it as a call takes that
    /// was sent before.
    #[must_use]
    pub fn excuses_error(&self, now_us: i64, timeout_us: i64) -> bool {
        let back_us = self.back_us.load(Ordering::Relaxed);
        now_us >= self.struck_us.load(Ordering::Relaxed) && now_us <= back_us.saturating_add(timeout_us)
    }

    /// Whether it may be silent now: from the strike until its first answer after it, within bounds.
    fn excuses_silence(&self, now_us: i64) -> bool {
        let struck_us = self.struck_us.load(Ordering::Relaxed);
        let longest_us = i64::try_from(SERVER_START_MAX.as_micros()).unwrap_or(i64::MAX);
        let has_answered = self.answered_us.load(Ordering::Relaxed) > self.back_us.load(Ordering::Relaxed);
        now_us >= struck_us && now_us - struck_us < longest_us && !has_answered
    }
}

/// A silence: how long, and since when. The longer one is the greater.
pub type Span = (i64, i64);

/// How long one thread has waited for any answer.
#[derive(Debug)]
pub struct Silence {
    since_us: i64,
    frozen_us: i64,
    /// The longest there was,
    pub longest: Span,
    /// and the longest that nothing excuses.
    pub unexcused: Span,
}

impl Silence {
    /// From now on.
    #[must_use]
    pub const fn since(now_us: i64) -> Self {
        Self { since_us: now_us, frozen_us: 0, longest: (0, 0), unexcused: (0, 0) }
    }

    /// Looks at the pulse. `is_waiting`: calls are under way, or wanted and no connection stands. `frozen_us` is how long
    /// this thread stood still itself just now, which is not the server's silence.
    pub fn listen(&mut self, pulse: &Pulse, is_waiting: bool, now_us: i64, frozen_us: i64) {
        let answered_us = pulse.answered_us.load(Ordering::Relaxed);
        if !is_waiting {
            (self.since_us, self.frozen_us) = (now_us, 0);
        } else if answered_us > self.since_us {
            (self.since_us, self.frozen_us) = (answered_us, 0);
        }
        let waited_us = now_us - self.since_us;
        self.frozen_us = (self.frozen_us + frozen_us).clamp(0, waited_us.max(0));
        let silence = (waited_us - self.frozen_us, self.since_us);
        self.longest = self.longest.max(silence);
        if !pulse.excuses_silence(now_us) {
            self.unexcused = self.unexcused.max(silence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_while_somebody_waits_and_this_thread_is_awake() {
        let pulse = Pulse::default();
        let mut silence = Silence::since(0);
        silence.listen(&pulse, false, 1_000, 0);
        silence.listen(&pulse, true, 4_000, 0);
        assert_eq!(silence.longest, (3_000, 1_000));
        pulse.answer(5_000);
        silence.listen(&pulse, true, 6_000, 0);
        assert_eq!(silence.longest, (3_000, 1_000), "an answer to another thread is one");
        silence.listen(&pulse, true, 106_000, 99_000);
        assert_eq!(silence.longest, (3_000, 1_000), "a freeze of its own is not the server's");
        silence.listen(&pulse, true, 109_000, 0);
        assert_eq!(silence.longest, (5_000, 5_000));
    }

    #[test]
    fn a_strike_excuses_silence_until_the_first_answer_and_errors_until_calls_from_before_are_over() {
        let pulse = Pulse::default();
        let mut silence = Silence::since(0);
        pulse.strike(1_000);
        silence.listen(&pulse, true, 900_000, 0);
        pulse.come_back(1_000_000);
        silence.listen(&pulse, true, 1_200_000, 0);
        assert_eq!((silence.longest, silence.unexcused), ((1_200_000, 0), (0, 0)));
        pulse.answer(1_300_000);
        silence.listen(&pulse, true, 1_400_000, 0);
        assert_eq!(silence.unexcused, (100_000, 1_300_000));
        for (at_us, expected) in [(999, false), (1_000, true), (1_500_000, true), (1_500_001, false)] {
            assert_eq!(pulse.excuses_error(at_us, 500_000), expected, "{at_us}");
        }
        let mut silence = Silence::since(0);
        let (never_back, start_us) = (Pulse::default(), 30_000_000);
        never_back.strike(0);
        silence.listen(&never_back, true, start_us, 0);
        assert_eq!(silence.unexcused, (start_us, 0), "not for ever");
    }
}
