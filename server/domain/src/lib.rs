//! The rules of Kuota, and nothing but rules: no I/O, no clock, no randomness, no runtime. What is decided here
//! depends on the arguments alone, so a whole Friday can be replayed from its log.
//!
//! # Invariants
//!
//! Code and tests cite them by number.
//!
//! 1. **INV-1** Every grant respects the capacity and the opening in force at its place in the log; available is
//!    never negative.
//! 2. **INV-2** An applicant (keyed hash of the NIK) has at most one live registration, across all offices, lanes
//!    and days. Live ends with the service day (`DayClosed`), with cancellation, or when a hold
//!    expires unpaid.
//! 3. **INV-3** (caller, request_id) names one registration. A repeat gets it back: while the first is in flight,
//!    after a restart, when the slot has since sold out, after it was cancelled (as cancelled), until 30 days after
//!    the service day. A refusal binds nothing. The same id with other content is an error. A reschedule has an id too,
//!    of the same kind: it names that step of that registration.
//! 4. **INV-4** A caller told "durable" finds the registration after any crash or restart.
//! 5. **INV-5** `SOLD_OUT` and `NOT_ENOUGH_PLACES` are said only when committed state at some instant of the call
//!    had fewer places than asked.
//! 6. **INV-6** Nothing is granted before its opening, and everything released can be granted: no place is stranded.
//! 7. **INV-7** Every change is an event in the log, with who, when and why. Events carry effects; `apply` assigns,
//!    it never computes. Replay gives the same state on any machine, whatever its time-zone data.
//! 8. **INV-8** A place freed is available again within 100 ms.
//! 9. **INV-9** Every queue, batch, message, wait and retry has a bound, named in [`limits`]; when full, the answer
//!    is a refusal at once that says when to come back.
//! 10. **INV-10** No NIK in clear in the log, in memory longer than the call, in logs, errors or metrics.
//! 11. **INV-11** Every payment that was accepted has a place that was confirmed, whatever became of its day, or a case, and
//!     an open case is never forgotten.

#![warn(clippy::unwrap_used)]

pub mod ahead;
pub mod alternative;
pub mod billing;
pub mod calendar;
pub mod catalog;
pub mod catalog_diff;
pub mod code;
pub mod days;
pub mod distance;
pub mod event;
pub mod fees;
pub mod gate;
pub mod ids;
pub mod ledger;
pub mod limits;
pub mod nik;
pub mod passport;
pub mod payment;
mod permits;
pub mod refusal;
pub mod registration;
pub mod rescheduling;
pub mod session;
pub mod slot;
mod sync;
pub mod time;
