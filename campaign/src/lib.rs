//! The campaign: attacks the store with every check for as long as asked, and says what it found.
//!
//! Comes in: how long, which checks, a seed. Goes out: progress, findings, a summary, a report.
//!
//! - K1 The same seed gives the same plans ([`plans`]).
//! - K2 What is saved can be replayed ([`planfile`]).
//! - K4 Each finding once ([`findings`]).
//! - K5, K6 Neither a hang nor a panic ends it ([`engine`]).
//! - K7 Blind is never green ([`summary`]).

mod campaign;
mod clock;
pub mod engine;
mod events;
#[cfg(feature = "faults")]
pub mod faults;
mod files;
pub mod findings;
pub mod history;
pub mod list;
pub mod merge;
pub mod planfile;
pub mod plans;
pub mod progress;
pub mod promote;
pub mod replay;
pub mod report;
mod scheduler;
pub mod summary;
mod watch;

pub use campaign::{Campaign, Ended};
pub use files::Environment;
