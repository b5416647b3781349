//! Acknowledgement of own entries, in three tiers.
//!
//! - MR10 An entry is backed up once the operator's backup reaches it.

use super::error::ClientResult;
use super::layout::{DEAD_LETTERS, PENDING, UNSAVED, entry_key, number_key, read_number};
use super::meta::ClientMeta;
use super::replica::ClientReplica;

/// State of an own entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Acknowledgement {
    /// The entry is in this file only.
    Local,
    /// The server refused it for ever: it is a dead letter.
    Refused,
    /// The history has it, with this seq.
    Ordered(u64),
    /// The operator's backup has it, or the operator makes none.
    BackedUp,
}

impl ClientReplica {
    /// Returns the acknowledgement of an own entry of the client's identity; none if it has no
    /// entry of this number.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn acknowledgement(&self, client_seq: u64) -> ClientResult<Option<Acknowledgement>> {
        let snapshot = self.database().store().snapshot();
        let meta = ClientMeta::in_snapshot(&snapshot)?.ok_or_else(|| self.damaged())?;
        if client_seq == 0 || client_seq > meta.last_client_seq {
            return Ok(None);
        }
        if snapshot.tree(PENDING).get(&number_key(client_seq))?.is_some() {
            return Ok(Some(Acknowledgement::Local));
        }
        let key = entry_key(meta.client, client_seq);
        if snapshot.tree(DEAD_LETTERS).get(&key)?.is_some() {
            return Ok(Some(Acknowledgement::Refused));
        }
        let Some(saved) = snapshot.tree(UNSAVED).get(&key)? else {
            return Ok(Some(Acknowledgement::BackedUp));
        };
        let seq = saved.get(..8).and_then(read_number).ok_or_else(|| self.damaged())?;
        Ok(Some(Acknowledgement::Ordered(seq)))
    }
}
