//! Reports for the operator: clients, and entries that were refused.
//!
//! - MR9 An expired client holds back no history; it resumes, or resets below the horizon.

use super::error::{EntryRefusal, ServerError, ServerResult};
use super::layout::{
    CLIENTS, ClientRecord, DEAD_LETTERS, FileRecord as _, client_key, read_letter_key,
};
use super::replica::ServerReplica;
use super::trees::{ReadTrees as _, put};

/// A client of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientReport {
    /// Its number.
    pub client: u32,
    /// Identity of its user.
    pub user: String,
    /// Number of its last entry that has an answer.
    pub last_client_seq: u64,
    /// The least seq that its downloads and entries may still refer to.
    pub needs: u64,
    /// Time of its last contact, in milliseconds since 1970; 0 if it is of an earlier epoch, 1 if
    /// it is expired.
    pub contact: u64,
}

/// A refused entry whose client has not confirmed the refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedEntry {
    /// The client.
    pub client: u32,
    /// Number of the entry.
    pub client_seq: u64,
    /// The refusal.
    pub refusal: EntryRefusal,
}

impl ServerReplica {
    /// Returns clients in the order of their numbers, at most so many.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn clients(&self, count_max: usize) -> ServerResult<Vec<ClientReport>> {
        let mut clients = Vec::new();
        for entry in self.store.snapshot().tree(CLIENTS).range(..)?.take(count_max) {
            let (key, value) = entry?;
            let number = key.as_ref().try_into().map_err(|_| ServerError::Malformed(CLIENTS))?;
            let record = ClientRecord::decode(&value)?;
            let ClientRecord { user, last_client_seq, needs, contact, .. } = record;
            let client = u32::from_be_bytes(number);
            clients.push(ClientReport { client, user, last_client_seq, needs, contact });
        }
        Ok(clients)
    }

    /// Returns the refused entries of all clients, at most so many.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn all_dead_letters(&self, count_max: usize) -> ServerResult<Vec<RefusedEntry>> {
        let mut letters = Vec::new();
        for entry in self.store.snapshot().tree(DEAD_LETTERS).range(..)?.take(count_max) {
            let (key, value) = entry?;
            let number = key.first_chunk().ok_or(ServerError::Malformed(DEAD_LETTERS))?;
            let (client, client_seq) = (u32::from_be_bytes(*number), read_letter_key(&key)?);
            letters.push(RefusedEntry {
                client,
                client_seq,
                refusal: EntryRefusal::decode(&value)?,
            });
        }
        Ok(letters)
    }

    /// Expires a client: its last contact is as long ago as possible. The next contact ends that.
    ///
    /// # Errors
    /// If the client does not exist in this epoch; if the file cannot be read or written, or is
    /// damaged.
    pub fn expire(&self, client: u32) -> ServerResult<()> {
        let mut txn = self.store.write()?;
        let mut record = txn.client(client)?;
        record.contact = 1;
        put(&mut txn, &client_key(client), &record)?;
        txn.commit()?;
        Ok(())
    }
}
