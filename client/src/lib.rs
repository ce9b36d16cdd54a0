//! Typed client of Kuota.

#![warn(clippy::unwrap_used)]

mod admin;
mod ask;
mod batch;
mod board;
mod budget;
mod builder;
mod call;
mod client;
mod error;
mod export;
mod failure;
mod gather;
mod history;
mod limits;
mod link;
mod retry;
mod wait;
mod watch;

pub use kuota_api::v1::{
    ApplyCatalogResponse, CatalogChange, CatalogChangeKind, ClearOverrideResponse, Durability, Event,
    EventKind, ExportedRegistration, GetCatalogResponse, Lane, Office, OfficeKind, OfficeLane, Override,
    PauseResponse, PauseState, Receipt, Refusal, RefusalReason, RegisteredApplicant, Registration,
    RegistrationState, ResumeResponse, ScheduleOpeningResponse, Scope, SetQuotaResponse, Slot, SlotChange,
    SlotState, WatchedSlot,
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
    history::{EventFilter, Events, Subject},
    retry::RetryPolicy,
    watch::{Update, Watch},
};
