//! The plan: every intended call with its time, fixed before the run. Pure: from a scenario and nothing else, the same
//! bytes on every machine.

pub mod identity;
pub mod popularity;
pub mod random;

use sha2::{Digest as _, Sha256};

use self::{popularity::Popularity, random::Random};
use crate::scenario::Scenario;

/// What a call is, and who makes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Somebody looks at what is free.
    Look,
    /// A person asks, and asks again by hand.
    Human,
    /// An app asks.
    App,
    /// A bot asks, under one of several request ids.
    Bot,
    /// A person asks,
    DoubleClicker,
    /// and clicks again: the same ask, whatever became of the first.
    SecondClick,
}

/// Kinds of people, for figures by persona.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Persona {
    /// Retries by hand.
    Human,
    /// Backs off with full jitter.
    App,
    /// Many request ids a NIK, at T0.
    Bot,
    /// The same request id twice.
    DoubleClicker,
}

impl Persona {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Human, Self::App, Self::Bot, Self::DoubleClicker];

    /// In reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::App => "app",
            Self::Bot => "bot",
            Self::DoubleClicker => "double_clicker",
        }
    }
}

impl Kind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Look, Self::Human, Self::App, Self::Bot, Self::DoubleClicker, Self::SecondClick];

    /// Who makes it; nobody in particular looks.
    #[must_use]
    pub const fn persona(self) -> Option<Persona> {
        match self {
            Self::Look => None,
            Self::Human => Some(Persona::Human),
            Self::App => Some(Persona::App),
            Self::Bot => Some(Persona::Bot),
            Self::DoubleClicker | Self::SecondClick => Some(Persona::DoubleClicker),
        }
    }
}

/// One intended call: 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// When, in microseconds from T0.
    pub at_us: i64,
    /// Who.
    pub person: u32,
    /// For which slot: office times service days, plus service day.
    pub slot: u16,
    /// Which of the person's wishes.
    pub ordinal: u8,
    /// What.
    pub kind: Kind,
}

/// Streams of random numbers, by purpose.
const PERSONAS: u64 = 1;
const ARRIVALS: u64 = 2;
const CHOICES: u64 = 3;
const LOOKS: u64 = 4;
/// Of what is drawn during a run.
pub const WAITS: u64 = 5;
const ATTEMPTS: u64 = 6;
/// When the server is killed.
pub const CHAOS: u64 = 7;

/// Every intended call.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order of their times.
    pub arrivals: Vec<Arrival>,
    /// SHA-256 of them, hexadecimal.
    pub digest: String,
    /// How many slots there are.
    pub slots: usize,
    service_days: usize,
    seed: u64,
    attempts: (u64, u64),
    popularity: Popularity,
}

impl Plan {
    /// The plan of a scenario, for so many offices.
    #[must_use]
    pub fn of(scenario: &Scenario, offices: usize) -> Self {
        let service_days = usize::try_from(scenario.catalog.service_days).unwrap_or(1);
        let mut plan = Self {
            arrivals: Vec::new(),
            digest: String::new(),
            slots: offices * service_days,
            service_days,
            seed: scenario.seed,
            attempts: (scenario.people.attempts_min, scenario.people.attempts_max),
            popularity: Popularity::zipf(offices, scenario.catalog.zipf_exponent_percent),
        };
        let people = u32::try_from(scenario.people.people).unwrap_or(u32::MAX);
        plan.arrivals.reserve_exact(usize::try_from(planned_calls(scenario) * 101 / 100).unwrap_or(0));
        for person in 0..people {
            plan.invite(scenario, person);
        }
        plan.look(scenario);
        // A total order: equal times are told apart, so that sorting cannot depend on its algorithm.
        plan.arrivals.sort_unstable_by_key(|arrival| {
            (arrival.at_us, arrival.person, arrival.ordinal, arrival.kind as u8)
        });
        plan.digest = plan.digest_of(scenario);
        plan
    }

    /// All intended calls of one person.
    fn invite(&mut self, scenario: &Scenario, person: u32) {
        let (people, arrivals) = (&scenario.people, &scenario.arrivals);
        let kind = {
            let drawn = Random::of(self.seed, PERSONAS, u64::from(person)).below(100);
            let app = people.human_percent + people.app_percent;
            match drawn {
                drawn if drawn < people.human_percent => Kind::Human,
                drawn if drawn < app => Kind::App,
                drawn if drawn < app + people.bot_percent => Kind::Bot,
                _ => Kind::DoubleClicker,
            }
        };
        let random = &mut Random::of(self.seed, ARRIVALS, u64::from(person));
        let driven = |ms: u64| scenario.driven_us(ms);
        let at_us = if kind == Kind::Bot {
            let lead = driven(arrivals.bot_lead_ms);
            signed(random.between(0, lead + driven(arrivals.bot_spread_ms))) - signed(lead)
        } else if random.below(100) < people.impatient_percent {
            -signed(random.between(0, driven(arrivals.impatient_ms)))
        } else {
            let tau = if random.below(100) < arrivals.fast_percent {
                arrivals.fast_tau_ms
            } else {
                arrivals.slow_tau_ms
            };
            signed(self.within(random, driven(tau), driven(arrivals.window_ms)))
        };
        let wishes = if kind == Kind::Bot { arrivals.bot_requests } else { 1 };
        for wish in 0..wishes {
            let ordinal = u8::try_from(wish << 5).unwrap_or(0);
            let slot = self.choice(person, ordinal);
            let at_us = at_us + signed(wish * driven(arrivals.bot_gap_ms));
            self.arrivals.push(Arrival { at_us, person, slot, ordinal, kind });
        }
        if kind == Kind::DoubleClicker {
            let at_us = at_us + signed(random.between(1, driven(arrivals.second_click_ms).max(1)));
            let slot = self.choice(person, 0);
            self.arrivals.push(Arrival { at_us, person, slot, ordinal: 0, kind: Kind::SecondClick });
        }
    }

    /// An exponential delay within the window: a longer one is drawn anew, a bounded number of times.
    fn within(&self, random: &mut Random, tau_us: u64, window_us: u64) -> u64 {
        (0..64).map(|_| random.exponential(tau_us)).find(|delay| *delay < window_us).unwrap_or(window_us / 2)
    }

    /// The slot of a person's wish. Later wishes are drawn like the first.
    #[must_use]
    pub fn choice(&self, person: u32, ordinal: u8) -> u16 {
        let mut random = Random::of(self.seed, CHOICES, u64::from(person) << 8 | u64::from(ordinal));
        let office = self.popularity.draw(&mut random);
        let day = usize::try_from(random.below(self.service_days as u64)).unwrap_or(0);
        u16::try_from(office * self.service_days + day).unwrap_or(0)
    }

    /// Whether a slot is one of the tenth of offices that is asked most: of one office at least.
    #[must_use]
    pub fn is_hot(&self, slot: u16) -> bool {
        let offices = self.slots / self.service_days;
        usize::from(slot) / self.service_days < (offices / 10).max(1)
    }

    /// Calls a person makes before giving up.
    #[must_use]
    pub fn attempts(&self, person: u32) -> u64 {
        let (min, max) = self.attempts;
        Random::of(self.seed, ATTEMPTS, u64::from(person)).between(min, max)
    }

    /// Randomness for what follows from an answer.
    #[must_use]
    pub const fn waits(&self, person: u32, ordinal: u8, tries: u8) -> Random {
        Random::of(self.seed, WAITS, (person as u64) << 16 | (ordinal as u64) << 8 | tries as u64)
    }

    /// People who look before T0: a Poisson process of the highest rate, thinned to a ramp (Lewis and Shedler 1979).
    fn look(&mut self, scenario: &Scenario) {
        let (ramp_us, rate_per_s) =
            (scenario.driven_us(scenario.arrivals.prepoll_ms), look_rate_per_s(scenario));
        if rate_per_s == 0 {
            return;
        }
        let random = &mut Random::of(self.seed, LOOKS, 0);
        // In nanoseconds: at high rates whole microseconds would be too coarse a gap.
        let (mut at_ns, mut person) = (0, 0);
        loop {
            at_ns += random.exponential((1_000_000_000 / rate_per_s).max(1));
            let at_us = at_ns / 1_000;
            if at_us >= ramp_us {
                return;
            }
            if random.below(ramp_us) < at_us {
                let slot = self.choice(person, 0);
                let at_us = signed(at_us) - signed(ramp_us);
                self.arrivals.push(Arrival { at_us, person, slot, ordinal: 0, kind: Kind::Look });
                person += 1;
            }
        }
    }

    fn digest_of(&self, scenario: &Scenario) -> String {
        let mut hash = Sha256::new();
        for arrival in &self.arrivals {
            hash.update(arrival.at_us.to_be_bytes());
            hash.update(arrival.person.to_be_bytes());
            hash.update(arrival.slot.to_be_bytes());
            hash.update([arrival.ordinal, arrival.kind as u8]);
        }
        // What people do after an answer follows from these.
        hash.update(self.seed.to_be_bytes());
        hash.update(self.attempts.0.to_be_bytes());
        hash.update(self.attempts.1.to_be_bytes());
        let retries = &scenario.retries;
        for modelled_ms in [
            retries.human_wait_min_ms,
            retries.human_wait_max_ms,
            retries.app_backoff_base_ms,
            retries.app_backoff_max_ms,
            retries.bot_wait_ms,
        ] {
            hash.update(scenario.driven_us(modelled_ms).to_be_bytes());
        }
        kuota_server::hex::encode(&hash.finalize())
    }
}

/// Calls a second that look at what is free, just before T0: the step makes of it what comes just after.
fn look_rate_per_s(scenario: &Scenario) -> u64 {
    let (people, arrivals) = (&scenario.people, &scenario.arrivals);
    let patient = people.people * (100 - people.bot_percent) * (100 - people.impatient_percent) / 10_000;
    let rate = |percent: u64, tau_ms: u64| patient * percent * 10_000 / scenario.driven_us(tau_ms).max(1);
    (rate(arrivals.fast_percent, arrivals.fast_tau_ms)
        + rate(100 - arrivals.fast_percent, arrivals.slow_tau_ms))
        / arrivals.step_factor
}

/// How many calls a scenario plans, before retries, but for chance.
#[must_use]
pub fn planned_calls(scenario: &Scenario) -> u64 {
    let people = &scenario.people;
    let bots = people.bot_percent * (scenario.arrivals.bot_requests - 1);
    let calls = people.people * (100 + bots + people.double_clicker_percent) / 100;
    let prepoll_us = scenario.driven_us(scenario.arrivals.prepoll_ms);
    calls.saturating_add(look_rate_per_s(scenario).saturating_mul(prepoll_us) / 2_000_000)
}

fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{FRIDAY, SMOKE};

    fn plan(text: &str) -> Plan {
        Plan::of(&Scenario::parse("test", text).unwrap(), 11)
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_on_every_machine() {
        // Pinned: a difference means that schedules of earlier releases cannot be replayed.
        assert_eq!(plan(SMOKE).digest, DIGEST);
        assert_ne!(plan(&SMOKE.replace("seed = 1", "seed = 2")).digest, DIGEST);
    }

    const DIGEST: &str = "7fffaf9bd05d37e96acd7c7ea411b6b6c9f8173f5697d808b1b57f0e1bde7021";

    #[test]
    fn a_friday_ramps_up_steps_and_decays() {
        let plan = plan(FRIDAY);
        let asked = |kind| plan.arrivals.iter().filter(move |arrival| arrival.kind == kind);
        let bots = asked(Kind::Bot).count() / 2;
        assert!((7_700..8_300).contains(&bots), "{bots}");
        assert!(asked(Kind::Bot).all(|bot| bot.at_us >= -50_000 && bot.at_us <= 100_000));
        let count = |from: i64, to: i64| {
            plan.arrivals
                .iter()
                .filter(|arrival| arrival.kind != Kind::Bot && (from..to).contains(&arrival.at_us))
                .count()
        };
        let (early, late) = (count(-140_000_000, -110_000_000), count(-30_000_000, -1_000_000));
        assert!(late > 2 * early, "the ramp rises: {early}, {late}");
        let (before, after) = (count(-100_000, 0), count(0, 100_000));
        assert!(after > 2 * before && after < 6 * before, "the step: {before}, {after}");
        assert!(count(10_000_000, 10_100_000) < after / 8, "the decay");
    }
}
