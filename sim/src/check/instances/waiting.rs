//! Calls that must not block: callbacks of the app under the registry lock, and threads that forbid
//! blocking.
//!
//! - J5 No thread waits forever, and a thread marked as non-blocking never waits.

use super::{InstanceHarness, lock};
use crate::check::definition::Violation;
use crate::check::promises::J5;
use fastness::{Error, InstanceError};

impl InstanceHarness<'_> {
    /// Checks that the calls of a migration were refused without blocking.
    pub(super) fn waited(&mut self, migrates: bool) -> Result<(), Violation> {
        let met = std::mem::take(&mut *lock(&self.met));
        let is = |error: &Error, ui: bool| match error {
            Error::Instance(InstanceError::AtWork { .. }) => !ui,
            Error::Instance(InstanceError::BlockingForbidden { .. }) => ui,
            _ => false,
        };
        match &met[..] {
            [] if !migrates => Ok(()),
            [own, open, delete]
                if migrates && is(own, false) && is(open, true) && is(delete, true) =>
            {
                self.probe.mark("migration opened its own file");
                self.probe.mark("UI thread refused instead of waiting for an opening");
                Ok(())
            }
            met => Err(Violation::new(J5.id, format!("migrates: {migrates}, met {met:?}"))),
        }
    }

    /// Checks that a non-blocking thread is refused what would block, and may read.
    pub(super) fn did_not_wait(
        &mut self,
        waited: Option<[Option<Error>; 3]>,
    ) -> Result<(), Violation> {
        let is_ui = |error: &Option<Error>| {
            matches!(error, Some(Error::Instance(InstanceError::BlockingForbidden { .. })))
        };
        match waited {
            None => Ok(()),
            Some([transact, observe, None]) if is_ui(&transact) && is_ui(&observe) => {
                self.probe.mark("UI thread refused instead of waiting for a transaction");
                Ok(())
            }
            Some(met) => {
                Err(Violation::new(J5.id, format!("in a transaction of another: {met:?}")))
            }
        }
    }
}
