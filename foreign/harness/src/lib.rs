//! Drives a store of others through the plans of our checks, against our model, on the simulated
//! disk of the crash kit.
//!
//! - FO1 A plan is that of one of our checks: the same operations from the same seed.
//! - FO2 The oracle is ours: the model of the store, and the durable prefix after a crash.
//! - FO3 An error is a finding unless an injected fault caused it.
//!
//! An adapter implements [`Engine`]; [`program`] is its `main`.

mod driver;
mod engine;
mod program;
mod report;
mod run;
mod same;

pub use driver::CHECKS;
pub use engine::{Answer, Contents, Database, Edit, End, Engine, Refused, Snapshot};
pub use program::program;
pub use report::{Finding, Kind, ReducedPlan, Report};
pub use run::{Attack, attack, replay};
