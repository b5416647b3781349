//! Placeholder.
/// x
pub struct Outcome;
