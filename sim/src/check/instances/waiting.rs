//! Who must not wait does not: code of the app's that runs under a claim, and UI threads.
//!
//! - J5 Nobody waits for ever, and a UI thread does not wait.

use super::{Run, lock};
use crate::check::Violation;
use crate::check::promises::J5;
use fastness::instance::Instance;
use fastness::{Error, InstanceError};

/// What comes of beginning a transaction, of observing, and of reading.
pub(super) fn refusals(instance: &Instance) -> [Option<Error>; 3] {
    let transact = instance.transact(|_| Ok(()));
    [transact.err(), instance.subscribe().err(), instance.snapshot().err()]
}

impl Run<'_> {
    /// What a migration tried was refused, and nobody waited.
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
                self.probe.mark("a migration met its own claim");
                self.probe.mark("a UI thread did not wait");
                Ok(())
            }
            met => Err(Violation::new(J5.id, format!("migrates: {migrates}, met {met:?}"))),
        }
    }

    /// A UI thread is refused what would wait for a transaction, and may read.
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
                self.probe.mark("a UI thread did not wait for a transaction");
                Ok(())
            }
            Some(met) => {
                Err(Violation::new(J5.id, format!("in a transaction of another: {met:?}")))
            }
        }
    }
}
