//! The answer "no", as a value. Reasons are the contract; their words for people stand at the edge that speaks.

use std::sync::Arc;

use crate::{
    calendar::ServiceDay, fees::Rupiah, registration::RegistrationState, session::SessionStart, slot::Lane,
    time::UnixMillis,
};

/// Why a place was not given, or a command not carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No place left.
    SoldOut,
    /// Fewer places than the party needs.
    NotEnoughPlaces {
        /// Places left.
        available: u32,
        /// Places needed.
        asked: u32,
    },
    /// The slot opens later.
    NotOpenYet {
        /// Then.
        open_at: UnixMillis,
    },
    /// Booking for the day is over.
    Closed {
        /// Since then.
        at: UnixMillis,
    },
    /// Held by an operator.
    Paused,
    /// An applicant has a live registration.
    AlreadyRegistered {
        /// Index in the request.
        applicant: usize,
    },
    /// Nothing was decided; ask again.
    Busy,
    /// The office does not serve that day.
    NotAServiceDay {
        /// The holiday, if it is one.
        holiday: Option<Arc<str>>,
    },
    /// The day is not scheduled yet.
    BeyondHorizon {
        /// The last day that is.
        horizon: ServiceDay,
    },
    /// The office does not offer the lane.
    LaneNotOffered {
        /// What it offers.
        offered: Vec<Lane>,
    },
    /// The lane takes asks up to an hour of the service day itself, and that has passed.
    PastCutOff {
        /// Since then.
        at: UnixMillis,
    },
    /// A payment is not the fee.
    WrongAmount {
        /// The fee.
        due: Rupiah,
        /// What came in.
        paid: Rupiah,
    },
    /// The place was never held: nothing is to be paid here.
    NoPaymentDue {
        /// Where the registration stands.
        state: RegistrationState,
    },
    /// It was rescheduled before: once is all.
    AlreadyRescheduled {
        /// Then.
        at: UnixMillis,
    },
    /// Its service day has begun: one may reschedule until the day before. For operators: it is over.
    TooLateToReschedule {
        /// Since then.
        at: UnixMillis,
    },
    /// It has no place to give up for another.
    NotReschedulable {
        /// Where the registration stands.
        state: RegistrationState,
    },
    /// It is there already.
    SameSlot,
    /// The other slot asks for something that it does not bring.
    TermsDiffer {
        /// What.
        term: Term,
    },
    /// Who comes before the service day, on the office's clock, comes too early.
    TooEarlyToCheckIn {
        /// That day.
        day: ServiceDay,
        /// When it begins.
        at: UnixMillis,
    },
    /// Who is not expected cannot come.
    NotConfirmed {
        /// Where the registration stands.
        state: RegistrationState,
    },
    /// Who has not come cannot be served.
    NotCheckedIn {
        /// Where the registration stands.
        state: RegistrationState,
    },
    /// Who has come gives no place back.
    AlreadyCheckedIn {
        /// Where the registration stands.
        state: RegistrationState,
    },
    /// Nobody comes or is served any more.
    ServiceDayOver {
        /// That day.
        day: ServiceDay,
        /// When it ended.
        at: UnixMillis,
    },
    /// It was not paid for in time, and holds no place any more.
    HoldExpired {
        /// Since then.
        at: UnixMillis,
    },
    /// The session has no room for the party; or, where any would do, none that is still to come has.
    SessionFull {
        /// Places left in it; or, where any would do, in the one with most.
        available: u32,
        /// Places needed.
        asked: u32,
        /// Sessions still to come with room for the party.
        with_room: Vec<SessionStart>,
    },
    /// The lane has no such session on that day.
    NoSuchSession {
        /// Those it has.
        offered: Vec<SessionStart>,
    },
    /// The session has begun; or, where any would do, all have.
    SessionBegun {
        /// When it did; or when the last did.
        at: UnixMillis,
        /// Sessions still to come with room for the party.
        with_room: Vec<SessionStart>,
    },
}

/// Something that lanes and offices ask for, each their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Term {
    /// Another fee.
    Fee,
    /// A ground to come by the priority lane, or none.
    Ground,
    /// That places are paid for before they are confirmed.
    Payment,
}

impl Term {
    /// Name as in the API's metadata.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fee => "fee",
            Self::Ground => "ground",
            Self::Payment => "payment",
        }
    }
}

impl Refusal {
    /// What is said when `available` places are too few for `asked`.
    #[must_use]
    pub const fn too_few(available: u32, asked: u32) -> Self {
        if available == 0 { Self::SoldOut } else { Self::NotEnoughPlaces { available, asked } }
    }

    /// Names of the reasons, as in the API and in metrics.
    pub const REASONS: [&'static str; 27] = [
        "SOLD_OUT",
        "NOT_ENOUGH_PLACES",
        "NOT_OPEN_YET",
        "CLOSED",
        "PAUSED",
        "ALREADY_REGISTERED",
        "BUSY",
        "NOT_A_SERVICE_DAY",
        "BEYOND_HORIZON",
        "LANE_NOT_OFFERED",
        "PAST_CUT_OFF",
        "WRONG_AMOUNT",
        "NO_PAYMENT_DUE",
        "HOLD_EXPIRED",
        "ALREADY_RESCHEDULED",
        "TOO_LATE_TO_RESCHEDULE",
        "NOT_RESCHEDULABLE",
        "SAME_SLOT",
        "TERMS_DIFFER",
        "SESSION_FULL",
        "NO_SUCH_SESSION",
        "SESSION_BEGUN",
        "TOO_EARLY_TO_CHECK_IN",
        "NOT_CONFIRMED",
        "NOT_CHECKED_IN",
        "ALREADY_CHECKED_IN",
        "SERVICE_DAY_OVER",
    ];

    /// Whether another day, lane or office may do: then they are named.
    #[must_use]
    pub const fn leaves_alternatives(&self) -> bool {
        match self {
            Self::SoldOut
            | Self::NotEnoughPlaces { .. }
            | Self::Closed { .. }
            | Self::Paused
            | Self::PastCutOff { .. } => true,
            Self::NotOpenYet { .. }
            | Self::AlreadyRegistered { .. }
            | Self::Busy
            | Self::NotAServiceDay { .. }
            | Self::BeyondHorizon { .. }
            | Self::LaneNotOffered { .. }
            | Self::WrongAmount { .. }
            | Self::NoPaymentDue { .. }
            | Self::HoldExpired { .. }
            | Self::AlreadyRescheduled { .. }
            | Self::TooLateToReschedule { .. }
            | Self::NotReschedulable { .. }
            | Self::SameSlot
            | Self::TermsDiffer { .. }
            // Those name sessions of the same day that have room.
            | Self::SessionFull { .. }
            | Self::NoSuchSession { .. }
            | Self::SessionBegun { .. }
            | Self::TooEarlyToCheckIn { .. }
            | Self::NotConfirmed { .. }
            | Self::NotCheckedIn { .. }
            | Self::AlreadyCheckedIn { .. }
            | Self::ServiceDayOver { .. } => false,
        }
    }

    /// Position in [`Refusal::REASONS`].
    #[must_use]
    pub const fn index(&self) -> usize {
        match self {
            Self::SoldOut => 0,
            Self::NotEnoughPlaces { .. } => 1,
            Self::NotOpenYet { .. } => 2,
            Self::Closed { .. } => 3,
            Self::Paused => 4,
            Self::AlreadyRegistered { .. } => 5,
            Self::Busy => 6,
            Self::NotAServiceDay { .. } => 7,
            Self::BeyondHorizon { .. } => 8,
            Self::LaneNotOffered { .. } => 9,
            Self::PastCutOff { .. } => 10,
            Self::WrongAmount { .. } => 11,
            Self::NoPaymentDue { .. } => 12,
            Self::HoldExpired { .. } => 13,
            Self::AlreadyRescheduled { .. } => 14,
            Self::TooLateToReschedule { .. } => 15,
            Self::NotReschedulable { .. } => 16,
            Self::SameSlot => 17,
            Self::TermsDiffer { .. } => 18,
            Self::SessionFull { .. } => 19,
            Self::NoSuchSession { .. } => 20,
            Self::SessionBegun { .. } => 21,
            Self::TooEarlyToCheckIn { .. } => 22,
            Self::NotConfirmed { .. } => 23,
            Self::NotCheckedIn { .. } => 24,
            Self::AlreadyCheckedIn { .. } => 25,
            Self::ServiceDayOver { .. } => 26,
        }
    }
}
