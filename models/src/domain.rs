//! Placeholder.
/// x
pub struct Domain;
