//! A write transaction of a server file: the state's tables, and the trees beside them.

use super::error::{ServerError, ServerResult};
use super::layout::{HISTORY, ROOT};
use super::replica::ServerReplica;
use crate::entry::Operations;
use crate::fault;
use crate::merge::{Author, apply};
use crate::table_state::{TableState, WINDOW_TREE};
use fastness::table::Tables;
use fastness::{Durability, WriteTxn};

/// A write transaction with the state.
pub(super) struct StateTxn {
    tables: Tables,
    durability: Durability,
}

impl StateTxn {
    pub(super) fn begin(replica: &ServerReplica) -> ServerResult<Self> {
        let tables = Tables::open(replica.store.write()?, ROOT)?;
        Ok(Self { tables, durability: replica.durability })
    }

    /// Returns the trees of the file.
    pub(super) const fn trees(&mut self) -> &mut WriteTxn {
        self.tables.txn_mut()
    }

    pub(super) const fn state(&mut self) -> TableState<'_> {
        TableState::new(&mut self.tables, WINDOW_TREE)
    }

    /// Applies an entry that was checked.
    pub(super) fn fold(&mut self, author: &Author, bytes: &[u8]) -> ServerResult<()> {
        let mut state = self.state();
        for operation in Operations::new(bytes).map_err(|_| ServerError::Malformed(HISTORY))? {
            let operation = operation.map_err(|_| ServerError::Malformed(HISTORY))?;
            apply(&mut state, author, operation)?;
        }
        state.note_entry(author)?;
        Ok(())
    }

    pub(super) fn commit(self) -> ServerResult<()> {
        let (txn, _) = self.tables.finish()?;
        txn.commit_with(fault::server::durability(self.durability))?;
        Ok(())
    }
}
