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
    /// Returns the acknowledgement of an own entry of an identity; none if the identity has no
    /// entry of this number. A reset gives the file another identity, which writes the entries that
    /// were lost again under other numbers. The file knows an earlier identity's dead letters, and
    /// its entries of the history that no backup has. The first identity takes over the entries of
    /// identity 0, which a file has before its first contact.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn acknowledgement(
        &self,
        client: u32,
        client_seq: u64,
    ) -> ClientResult<Option<Acknowledgement>> {
        let snapshot = self.database().store().snapshot();
        let meta = ClientMeta::in_snapshot(&snapshot)?.ok_or_else(|| self.damaged())?;
        let is_current = client == meta.client;
        if is_current && (client_seq == 0 || client_seq > meta.last_client_seq) {
            return Ok(None);
        }
        if is_current && snapshot.tree(PENDING).get(&number_key(client_seq))?.is_some() {
            return Ok(Some(Acknowledgement::Local));
        }
        let key = entry_key(client, client_seq);
        if snapshot.tree(DEAD_LETTERS).get(&key)?.is_some() {
            return Ok(Some(Acknowledgement::Refused));
        }
        let Some(saved) = snapshot.tree(UNSAVED).get(&key)? else {
            return Ok(is_current.then_some(Acknowledgement::BackedUp));
        };
        let seq = saved.get(..8).and_then(read_number).ok_or_else(|| self.damaged())?;
        Ok(Some(Acknowledgement::Ordered(seq)))
    }
}
