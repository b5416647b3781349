//! The campaign: a fuzzing run that drives the store with every check for a given time and reports
//! its findings.
//!
//! Input: time limit, checks, seed. Output: progress, findings, a summary, an HTML report.
//!
//! - CA1 Plans are a function of the seed ([`plans`]).
//! - CA2 A saved plan can be replayed ([`planfile`]).
//! - CA4 Findings are deduplicated ([`findings`]).
//! - CA5, CA6 Hangs and panics do not end the campaign ([`engine`]).
//! - CA7 A campaign that could not detect anything never passes ([`summary`]).

mod campaign;
mod canary;
pub mod changed;
mod checkout;
mod clock;
pub mod engine;
mod events;
#[cfg(feature = "faults")]
pub mod faults;
mod files;
pub mod findings;
pub mod foreign;
pub mod history;
pub mod limits;
pub mod list;
pub mod merge;
pub mod mutants;
pub mod night;
pub mod planfile;
pub mod plans;
pub mod progress;
pub mod promote;
pub mod replay;
pub mod report;
mod scheduler;
pub mod summary;
mod tool;
mod worker_slot;

pub use campaign::{Campaign, CampaignResult};
pub use files::EnvironmentError;
