//! Own entries that are pending no longer, and what tells the app of them.
//!
//! - SY23 Each is named once: by its outcomes, or as refused. A reason that comes later is named
//!   too.

use super::super::compare::CheckError;
use super::file::{ClientFile, failed};
use crate::check::definition::Violation;
use crate::check::promises::SY23;
use std::collections::BTreeSet;

/// The entries of a file whose end the app has yet to hear of, or its reason.
pub(super) struct Waiting {
    client: u32,
    pending: BTreeSet<u64>,
    unexplained: BTreeSet<u64>,
}

impl ClientFile<'_> {
    /// Returns the entries that wait before a call.
    pub(super) fn waiting(&self) -> Result<Waiting, CheckError> {
        let client = self.meta()?.client;
        let (pending, unexplained) = (self.pending_numbers()?, self.unexplained(client)?);
        Ok(Waiting { client, pending, unexplained })
    }

    /// Compares the numbers that a call has named with the entries that it has ended.
    pub(super) fn compare_ended(
        &self,
        before: &Waiting,
        mut named: Vec<u64>,
    ) -> Result<(), CheckError> {
        let (pending, unexplained) = (self.pending_numbers()?, self.unexplained(before.client)?);
        let ended = before.pending.difference(&pending);
        let explained = before.unexplained.difference(&unexplained);
        let mut expected: Vec<u64> = ended.chain(explained).copied().collect();
        expected.sort_unstable();
        named.sort_unstable();
        if named == expected {
            return Ok(());
        }
        let text = format!("client {} hears of the end of {named:?}", before.client);
        Err(Violation::new(SY23.id, format!("{text}, not of {expected:?}")).into())
    }

    /// Returns the numbers of the refused entries without a reason.
    fn unexplained(&self, client: u32) -> Result<BTreeSet<u64>, CheckError> {
        let letters = self.replica().dead_letters().map_err(failed)?.into_iter();
        let letters = letters.filter(|letter| letter.client == client && letter.refusal.code == 0);
        Ok(letters.map(|letter| letter.client_seq).collect())
    }
}
