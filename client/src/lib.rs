//! Typed client of Kuota, the service that hands out scarce appointments.
//!
//! ```no_run
//! # async fn example() -> Result<(), kuota_client::Error> {
//! use kuota_client::{Ask, Client, Lane, Outcome};
//!
//! let client = Client::connect("http://127.0.0.1:50051").await?;
//! let ask = Ask::new("kanim-pontianak", "2026-11-30", Lane::Regular).applicant("6171012309870001", "order 17");
//! match client.register(&ask).await? {
//!     Outcome::Registered(registration) => println!("{}", registration.code),
//!     Outcome::Refused(refusal) => println!("{}", refusal.message),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Three kinds of answer
//!
//! | answer | means | do |
//! |---|---|---|
//! | [`Outcome::Registered`] | yes; it is in the synced log (or, with [`Durability::Accepted`], not yet) | keep the booking code |
//! | [`Outcome::Refused`] | no, and [why](RefusalReason); nothing is bound | tell the person, or ask again after `retry_after` |
//! | [`Error`] | no answer | [`is_outcome_unknown`](Error::is_outcome_unknown): send the same ask again. Otherwise nothing was written |
//!
//! A refusal is not an error: thousands of people hear "sold out" in the second of an opening, and that is the service
//! working. Take a reason that you do not know as final. [`Refusal::alternatives`] names up to five other days, lanes and
//! offices that had places for the whole party; to take one is a new intent, and a new [`Ask`].
//!
//! # The request_id
//!
//! An [`Ask`] carries its `request_id`, one for each intent. Whatever happens to a call (a deadline, a broken
//! connection, a restart of either side), sending the same ask again is safe: it is granted at most once, and a repeat
//! gets the first registration, also when the slot has sold out since. Store the id with the intent *before* the first
//! call, with [`Ask::request_id`] or from [`Ask::id`], and a crash of your own service loses nothing either.
//!
//! # Retries and their budget
//!
//! A call is one intent, and as many attempts as its [`RetryPolicy`] allows: five, unless said otherwise, within the
//! deadline of 10 s. An attempt is given up after 3 s, so that a lost connection does not take the whole deadline.
//! Between attempts the client waits for a random time up to a bound that doubles, or for as long as the server says
//! (`grpc-retry-pushback-ms`, `RetryInfo`); a server that says "never" is not asked again.
//!
//! All clones of a client share a [`RetryBudget`]. When most calls fail, retries only make it worse: once half of the
//! budget is spent, errors are returned at once until successes have filled it again.
//!
//! # Waiting for an opening
//!
//! [`Client::register`] returns NOT_OPEN_YET and BUSY as they come. [`Client::register_and_wait`] waits them out by the
//! server's own, jittered, time, goes through outages, and resolves unknown outcomes, for as long as you have
//! patience. Then it says what it knows: the last refusal, an error that wrote nothing, or [`Error::OutcomeUnknown`]
//! with the id to ask again with.
//!
//! # Batches
//!
//! [`Client::register_batch`] sends up to 1,000 asks in one call. Each is decided by itself; the answer has an item for
//! each, in their order; items that failed for a passing reason are asked again under their own ids.
//!
//! # Watching
//!
//! [`Client::watch`] shows what is free and then what changes. It reconnects by itself and never shows an older state
//! of a slot after a newer one; a [`Board`] keeps the slots current. Show it to people, and register without asking it:
//! what was free a moment ago may be taken.
//!
//! # Operating
//!
//! [`Admin`] speaks to the listener for operators: catalogue, one-off openings, quotas, pauses, history, export. Every
//! write says [who and why](By), is idempotent, and stands in the log before it is answered.
//!
//! # Connections
//!
//! [`Client::builder`] sets connections, deadlines, retries and the language of messages. A client is cheap to clone and
//! reconnects by itself; make one and keep it. Runnable examples are in `client/examples/`.

#![warn(clippy::unwrap_used)]

mod admin;
mod ask;
mod batch;
mod board;
mod budget;
mod builder;
mod call;
mod client;
mod day;
mod error;
mod export;
mod failure;
mod gather;
mod history;
mod limits;
mod link;
mod payment;
mod reschedule;
mod retry;
mod wait;
mod watch;

pub use kuota_api::v1::{
    Alternative, ApplyCatalogResponse, CatalogChange, CatalogChangeKind, ClearOverrideResponse, DayCount,
    Durability, Event, EventKind, ExportedRegistration, GetCatalogResponse, Lane, Office, OfficeKind,
    OfficeLane, OfficeSession, Override, PassportFee, PassportKind, PauseResponse, PauseState, PaymentCase,
    PaymentCaseCause, PaymentCaseState, PriorityGround, Receipt, Refusal, RefusalReason, RegisteredApplicant,
    Registration, RegistrationState, RescheduleSpeciallyResponse, RescheduledFrom,
    ResolvePaymentCaseResponse, ResumeResponse, ScheduleOpeningResponse, Scope, Session, SetQuotaResponse,
    Slot, SlotChange, SlotState, WatchedSlot,
};

pub use self::{
    admin::{Admin, By, Opening},
    ask::{Ask, Key, Outcome},
    board::{Board, SlotKey},
    budget::RetryBudget,
    builder::Builder,
    client::{AvailabilityFilter, Client},
    error::{Error, Failed},
    export::{Export, ExportFilter},
    history::{EventFilter, Events},
    payment::{Paid, Payee, Payment, Remedy},
    reschedule::{Destination, Reschedule},
    retry::RetryPolicy,
    watch::{Update, Watch},
};
