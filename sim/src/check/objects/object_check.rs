//! The interface between the driver and an object check.

use super::harness::ObjectHarness;
use crate::check::compare::CheckError;
use fastness_models::Op;

/// The part of an object check beyond the common operations.
pub(in crate::check) trait ObjectCheck: Sized {
    /// The invariant that an unexpected refusal violates.
    const INVARIANT: &'static str;

    /// Starts, with a database whose classes hold no objects.
    fn begin(harness: &mut ObjectHarness<'_>) -> Result<Self, CheckError>;

    /// Runs one operation.
    fn act(&mut self, harness: &mut ObjectHarness<'_>, op: Op) -> Result<(), CheckError>;

    /// Drops everything that keeps the database open, before it is reopened.
    fn release(&mut self, _harness: &mut ObjectHarness<'_>) -> Result<(), CheckError> {
        Ok(())
    }

    /// Ends, after the last operation.
    fn end(self, _harness: &mut ObjectHarness<'_>) -> Result<(), CheckError> {
        Ok(())
    }
}
