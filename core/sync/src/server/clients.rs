//! Clients: their identities, and whether one can resume.
//!
//! - SV1 A client resumes exactly if the server's history continues the one that it knows, and the
//!   server's entries of the client are those that it wrote.
//! - SV2 No two clients ever get one number, also after a restore.

use super::error::{EntryRefusal, ResumeRefusal, ServerError, ServerResult};
use super::horizon::drop_letters;
use super::layout::{
    ClientRecord, DEAD_LETTERS, ELEMENTS, FileRecord as _, Meta, client_key, letter_key,
    read_letter_key,
};
use super::replica::{ServerReplica, ServerStatus};
use super::trees::{ReadTrees as _, put, put_meta};
use crate::chain::FIRST_SALT;
use crate::fault::{self, Fault};
use fastness::WriteTxn;
use std::ops::Bound;

/// The identity of a client file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// Its number, never 0.
    pub client: u32,
    /// The proof that the number is the client's.
    pub salt: u64,
}

/// State of a client file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientState<'a> {
    /// Its identity.
    pub identity: ClientIdentity,
    /// The user of the session.
    pub user: &'a str,
    /// Epoch of the history that it knows; 0 if it knows none.
    pub epoch: u64,
    /// Last entry that it has applied.
    pub cursor: u64,
    /// Salt of that entry.
    pub cursor_salt: u64,
    /// Last of its own entries that was acknowledged.
    pub last_client_seq: u64,
    /// Chain hash of its entries up to that.
    pub chain_hash: u64,
    /// Least base of its pending entries; the cursor if nothing is pending.
    pub oldest_base: u64,
}

/// State of the server for a client that resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumedClient {
    /// The database.
    pub server: ServerStatus,
    /// Last of the client's entries that the server has answered.
    pub last_client_seq: u64,
    /// Chain hash of the client's entries up to that.
    pub chain_hash: u64,
}

impl ServerReplica {
    /// Gives an identity to a client file of a user; `salt` is random.
    ///
    /// # Errors
    /// If all numbers are used up; if the file cannot be read or written, or is damaged.
    pub fn identify(&self, user: &str, salt: u64, now: u64) -> ServerResult<ClientIdentity> {
        let mut txn = self.store.write()?;
        let mut meta = txn.meta()?;
        let client = unused(&mut txn, meta.next_client)?;
        meta.next_client = client.checked_add(1).ok_or(ServerError::NoClientNumber)?;
        let needs = txn.head(&meta)?.seq;
        put_meta(&mut txn, &meta)?;
        let record = ClientRecord {
            salt,
            user: user.to_owned(),
            last_client_seq: 0,
            last_base: 0,
            last_stamp: 0,
            chain_hash: salt,
            needs,
            contact: now.max(1),
        };
        put(&mut txn, &client_key(client), &record)?;
        self.commit(txn)?;
        Ok(ClientIdentity { client, salt })
    }

    /// Compares the state of a client with that of the server (SV1).
    ///
    /// If the server has more of the client's entries than the client says, the client compares the
    /// chain hash that is returned with that of its pending entries.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is damaged.
    pub fn resume(
        &self,
        state: &ClientState<'_>,
        now: u64,
    ) -> ServerResult<Result<ResumedClient, ResumeRefusal>> {
        let mut txn = self.store.write()?;
        let meta = txn.meta()?;
        let head = txn.head(&meta)?;
        let key = client_key(state.identity.client);
        let Some(mut client) = txn.record::<ClientRecord>(&key)? else {
            return Ok(Err(ResumeRefusal::UnknownClient));
        };
        if let Some(refusal) = refusal(state, &client, (&meta, head.seq)) {
            return Ok(Err(refusal));
        }
        if txn.point(&meta, state.cursor)?.salt != state.cursor_salt {
            return Ok(Err(ResumeRefusal::Diverged));
        }
        let is_same = state.last_client_seq == client.last_client_seq;
        if is_same && state.chain_hash != client.chain_hash && !fault::on(Fault::Sn44) {
            return Ok(Err(ResumeRefusal::Cloned));
        }
        client.needs = state.oldest_base.min(state.cursor);
        client.contact = now.max(1);
        put(&mut txn, &key, &client)?;
        drop_letters(&mut txn, state.identity.client, state.last_client_seq)?;
        self.commit(txn)?;
        let server = ServerStatus::new(&meta, &head);
        let ClientRecord { last_client_seq, chain_hash, .. } = client;
        Ok(Ok(ResumedClient { server, last_client_seq, chain_hash }))
    }

    /// Returns the refused entries of a client above a number, which a resume has to repeat.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn dead_letters(&self, client: u32, after: u64) -> ServerResult<Vec<(u64, EntryRefusal)>> {
        let snapshot = self.store.snapshot();
        let (first, last) = (letter_key(client, after), letter_key(client, u64::MAX));
        let bounds = (Bound::Excluded(&first[..]), Bound::Included(&last[..]));
        let mut letters = Vec::new();
        for entry in snapshot.tree(DEAD_LETTERS).range(bounds)? {
            let (key, value) = entry?;
            let number = read_letter_key(&key)?;
            letters.push((number, EntryRefusal::decode(&value)?));
        }
        Ok(letters)
    }

    /// Keeps the history after a seq for a client that gets the snapshot of that seq.
    ///
    /// # Errors
    /// If the client does not exist; if the file cannot be read or written, or is damaged.
    pub fn hold(&self, client: u32, seq: u64) -> ServerResult<()> {
        let mut txn = self.store.write()?;
        let mut record = txn.client(client)?;
        if seq < record.needs {
            record.needs = seq;
            put(&mut txn, &client_key(client), &record)?;
        }
        self.commit(txn)
    }

    /// Notes what a client has applied, and what its pending entries refer to.
    ///
    /// # Errors
    /// If the client does not exist; if the file cannot be read or written, or is damaged.
    pub fn progress(&self, client: u32, progress: ClientProgress, now: u64) -> ServerResult<()> {
        let mut txn = self.store.write()?;
        let meta = txn.meta()?;
        let head = txn.head(&meta)?.seq;
        let mut record = txn.client(client)?;
        let oldest_base = fault::server::no_base(progress.oldest_base);
        record.needs = record.needs.max(oldest_base.min(progress.cursor).min(head));
        record.contact = now.max(1);
        put(&mut txn, &client_key(client), &record)?;
        self.commit(txn)
    }
}

/// Returns the first number from one on that no client has had: neither in this file, nor, as
/// objects and elements show, in a history that is lost.
pub(super) fn unused(txn: &mut WriteTxn, from: u32) -> ServerResult<u32> {
    let mut number = from;
    for entry in txn.tree(ELEMENTS)?.range(&client_key(from)[..]..)? {
        if *entry?.0 != client_key(number) {
            break;
        }
        number = number.checked_add(1).ok_or(ServerError::NoClientNumber)?;
    }
    Ok(number)
}

/// Progress of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientProgress {
    /// Last entry that it has applied.
    pub cursor: u64,
    /// Least base of its pending entries; the cursor if nothing is pending.
    pub oldest_base: u64,
}

/// The refusals that need no salt.
fn refusal(
    state: &ClientState<'_>,
    client: &ClientRecord,
    (meta, head): (&Meta, u64),
) -> Option<ResumeRefusal> {
    let begins = state.epoch == 0 && state.cursor == 0 && state.cursor_salt == FIRST_SALT;
    if client.salt != state.identity.salt || client.user != state.user {
        Some(ResumeRefusal::UnknownClient)
    } else if state.epoch != meta.epoch && !begins {
        Some(ResumeRefusal::Diverged)
    } else if state.cursor > head {
        Some(ResumeRefusal::CursorAboveHead)
    } else if state.cursor.min(state.oldest_base) < meta.horizon.seq {
        Some(ResumeRefusal::Expired)
    } else if state.last_client_seq > client.last_client_seq {
        // Acknowledged entries are lost.
        Some(ResumeRefusal::Diverged)
    } else {
        None
    }
}
