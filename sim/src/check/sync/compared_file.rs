//! Comparing a client's file with its replica in memory, and with the models.
//!
//! - SY1, SY3 The canonical and the working state of the file are those of the model.
//! - SY22 Only the app changes local objects.

use super::super::compare::CheckError;
use super::domain::ModelNames;
use super::file::{ClientFile, failed};
use super::oracle::ClientStates;
use super::replica::{OwnEntry, Replica};
use crate::check::definition::Violation;
use crate::check::promises::{SY1, SY3, SY4, SY14};

impl ClientFile<'_> {
    /// Tells whether the file had local objects when it was compared last.
    pub(super) const fn has_scratch(&self) -> bool {
        self.has_scratch
    }

    /// Compares the file with the replica in memory, and its states with those of the model.
    pub(super) fn check(
        &mut self,
        replica: &Replica,
        (names, states): (&mut ModelNames, &ClientStates),
    ) -> Result<(), CheckError> {
        let meta = self.replica().meta().map_err(failed)?;
        let found = [meta.cursor, meta.cursor_salt, meta.last_client_seq, meta.answered];
        let Replica { cursor, cursor_salt, last_client_seq, answered, .. } = *replica;
        let expected = [cursor, cursor_salt, last_client_seq, answered];
        if found != expected || meta.chain_hash != replica.chain_hash {
            let text = format!("a file has {meta:?}, not {expected:?}");
            return Err(Violation::new(SY14.id, text).into());
        }
        let pending: Vec<&Vec<u8>> =
            replica.pending().map(|OwnEntry { bytes, .. }| bytes).collect();
        let found = self.entries_after(0)?;
        if !found.iter().eq(pending.iter().copied()) {
            let text = format!("a file has {} pending entries", found.len());
            return Err(Violation::new(SY4.id, format!("{text}, not {}", pending.len())).into());
        }
        self.compare_states((names, states))
    }

    /// Compares the states of the file with those of the model.
    pub(super) fn compare_states(
        &mut self,
        (names, states): (&mut ModelNames, &ClientStates),
    ) -> Result<(), CheckError> {
        let ClientStates { canonical, working } = states;
        let replica = self.replica().clone();
        let mut txn = replica.database().write()?;
        self.has_scratch = self.scratch.compare(txn.tables())?;
        drop(txn);
        let (shown, compared) = replica
            .canonical(|tables| {
                let compared = self.scratch.compare_canonical(tables);
                Ok((names.visible_in(tables, canonical.schema())?, compared))
            })
            .map_err(failed)?;
        compared?;
        compare(SY1.id, (&shown, canonical))?;
        let mut txn = replica.database().write()?;
        let shown = names.visible_in(txn.tables(), working.schema())?;
        compare(SY3.id, (&shown, working))
    }
}

fn compare(
    invariant: &'static str,
    (found, expected): (&fastness_models::merge::Visible, &fastness_models::merge::fold::State),
) -> Result<(), CheckError> {
    let expected = expected.visible();
    if *found == expected {
        return Ok(());
    }
    let text = format!("a file shows {found:?}, not {expected:?}");
    Err(Violation::new(invariant, text).into())
}
