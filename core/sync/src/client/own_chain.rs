//! The chain hash of the own entries, which a session compares with the server's.
//!
//! - SV1 A file whose entries are not those that the server has gets a new identity.
//! - SY24 One entry is in memory at a time, and dead letters that were answered are not read.
//!
//! Format: docs/protocol.md#hash-chains.

use super::download::DeadLetter;
use super::error::ClientResult;
use super::layout::{DEAD_LETTERS, PENDING, entry_key, number_key};
use super::meta::ClientMeta;
use super::pending::entry_of;
use super::replica::ClientReplica;
use crate::chain::chain_hash;
use crate::fault;
use fastness::{Error, StoreSnapshot};

/// The chain hash of the entries of an identity up to a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnChain {
    /// The client, and its salt: a new database gives out the same numbers again.
    identity: (u32, u64),
    last: u64,
    pub(super) hash: u64,
}

impl OwnChain {
    /// Returns the chain up to a number. It continues one that was read before, if there is one of
    /// the same identity: entries never change (SY19).
    pub(super) fn up_to(
        last: u64,
        known: Option<Self>,
        replica: &ClientReplica,
    ) -> ClientResult<Self> {
        let snapshot = replica.database().store().snapshot();
        let meta = ClientMeta::in_snapshot(&snapshot)?.ok_or_else(|| replica.damaged())?;
        let ClientMeta { client, answered, chain_hash: hash, .. } = meta;
        let is_between = |known: &Self| (answered..=last).contains(&known.last);
        let identity = fault::client::without_salt((client, meta.ident_salt));
        let known = known.filter(|known| known.identity == identity && is_between(known));
        let mut chain = known.unwrap_or(Self { identity, last: answered, hash });
        fault::client::read_letters(replica)?;
        for number in chain.last + 1..=last.min(meta.last_client_seq) {
            if let Some(entry) = own_entry(&snapshot, (client, number), replica)? {
                chain.hash = chain_hash(chain.hash, &entry);
            }
            chain.last = number;
        }
        Ok(chain)
    }
}

/// Returns an own entry that is pending or refused. A refusal that came with a resume has taken its
/// entry out of the pending ones.
fn own_entry(
    snapshot: &StoreSnapshot,
    (client, number): (u32, u64),
    replica: &ClientReplica,
) -> Result<Option<Vec<u8>>, Error> {
    if let Some(record) = snapshot.tree(PENDING).get(&number_key(number))? {
        let entry = entry_of(&record).ok_or_else(|| replica.damaged())?;
        return Ok(Some(entry.to_vec()));
    }
    let key = entry_key(client, number);
    let Some(letter) = snapshot.tree(DEAD_LETTERS).get(&key)? else { return Ok(None) };
    let letter = DeadLetter::decode(&key, &letter).ok_or_else(|| replica.damaged())?;
    Ok(Some(letter.entry))
}
