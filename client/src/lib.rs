//! Typed client of Kuota.
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
//! An [`Ask`] carries its `request_id`: send the same ask again whenever the outcome is unknown, and it is granted at
//! most once.

#![warn(clippy::unwrap_used)]

mod client;
mod error;

pub use kuota_api::v1::{
    Durability, Lane, Office, OfficeKind, Refusal, RefusalReason, Registration, RegistrationState, Slot,
    SlotState,
};

pub use self::{
    client::{Ask, AvailabilityFilter, Client, Key, Outcome},
    error::Error,
};
