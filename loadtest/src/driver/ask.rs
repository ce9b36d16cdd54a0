//! What a driver sends and what it brings home: asks, acknowledgements, and asks that stayed open.

use crate::{
    driver::tally::Tally,
    plan::{Arrival, Kind},
};

/// One call of somebody's journey.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ask {
    /// When it was intended.
    pub at_us: i64,
    /// When the journey's first call was.
    pub first_us: i64,
    /// Who.
    pub person: u32,
    /// For which slot.
    pub slot: u16,
    /// Which of the person's wishes.
    pub ordinal: u8,
    /// Calls of the journey before this one.
    pub tries: u8,
    /// An earlier call of the same wish got no answer: it may have been carried out.
    pub is_open: bool,
    kind: u8,
}

impl Ask {
    /// Which kind of call.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        Kind::ALL[self.kind as usize]
    }

    /// The journey's next call.
    pub(super) const fn next(self, at_us: i64, slot: u16, ordinal: u8, is_open: bool) -> Self {
        Self { at_us, slot, ordinal, tries: self.tries + 1, is_open, ..self }
    }
}

impl From<Arrival> for Ask {
    fn from(arrival: Arrival) -> Self {
        let Arrival { at_us, person, slot, ordinal, kind } = arrival;
        let kind = kind as u8;
        Self { at_us, first_us: at_us, person, slot, ordinal, tries: 0, is_open: false, kind }
    }
}

/// An acknowledgement, as the server gave it.
#[derive(Clone, Copy, Debug)]
pub struct Ack {
    /// Who.
    pub person: u32,
    /// Of which slot.
    pub slot: u16,
    /// Of which wish.
    pub ordinal: u8,
    /// Who that is.
    pub kind: Kind,
    /// The registration's id.
    pub id: u128,
    /// When it was granted, by the server.
    pub create_time_ms: i64,
    /// When the answer came, by the run's clock.
    pub done_us: i64,
    /// When the journey began.
    pub first_us: i64,
}

/// Why nobody knows what became of an ask. What leaves most open is the least.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Why {
    /// It was on a stream, and the connection broke or the time was over.
    UnderWay,
    /// The server answered with an error.
    Failed,
    /// No connection stood: it was never sent.
    NotSent,
}

/// A refusal of an ask that may have been granted before: the answers contradict each other if it had been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedRepeat {
    /// Who.
    pub person: u32,
    /// Which wish.
    pub ordinal: u8,
    /// When the refused call was sent, by the run's clock.
    pub sent_us: i64,
}

/// What one thread brings home.
#[derive(Debug, Default)]
pub struct Driven {
    /// What it counted.
    pub tally: Tally,
    /// What it was told.
    pub acks: Vec<Ack>,
    /// Asks whose outcome is not known.
    pub unknown: Vec<(Ask, Why)>,
    /// Refusals of asks that may have been granted before.
    pub refused_repeats: Vec<RefusedRepeat>,
    /// How often a slot was said to be sold out.
    pub sold_out: Vec<u32>,
    /// CPU time of the thread.
    pub cpu_ns: u64,
    /// Response times, where they are kept.
    pub samples: Vec<i64>,
    /// How late the thread was for the first intended call; not positive when it was ready.
    pub late_start_us: i64,
}

impl Driven {
    /// With what another thread brought.
    pub fn add(&mut self, other: Self) {
        self.tally.add(&other.tally);
        self.acks.extend(other.acks);
        self.unknown.extend(other.unknown);
        self.refused_repeats.extend(other.refused_repeats);
        self.cpu_ns += other.cpu_ns;
        self.samples.extend(other.samples);
        self.late_start_us = self.late_start_us.max(other.late_start_us);
        self.sold_out.resize(other.sold_out.len(), 0);
        for (own, other) in self.sold_out.iter_mut().zip(other.sold_out) {
            *own += other;
        }
    }
}

/// What one call carries.
pub(super) enum Load {
    One(Ask),
    Many(Box<[Ask]>),
}

impl Load {
    pub(super) fn asks(&self) -> &[Ask] {
        match self {
            Self::One(ask) => std::slice::from_ref(ask),
            Self::Many(asks) => asks,
        }
    }
}
