//! Answers to own entries that only a snapshot names: refusals whose REJECT was lost, and numbers
//! that another copy of the file has used. The new identity never asks for them.
//!
//! - SY4 A refused entry becomes a dead letter, also by a reset. No entry of a copy counts as
//!   contained because another copy has used its number.

use super::download::{Refusal, dead_letter, put_letter};
use super::error::{BadDownload, ClientResult};
use super::layout::{NUMBERS, REFUSED, entry_key, read_entry_key};
use super::meta::ClientMeta;
use super::pending::PendingEntry;
use crate::chain::chain_hash;
use crate::reset::ReportedRefusal;
use crate::server::{UsedNumbers, read_letter};
use fastness::StoreSnapshot;
use fastness::table::Tables;

/// Tells whether another copy of the file has used numbers of its entries: the chain hash of a
/// client's entries in the snapshot is not that of the file's.
pub(super) fn is_copied(
    tables: &Tables,
    (meta, pending): (&ClientMeta, &[PendingEntry]),
    snapshot: &StoreSnapshot,
) -> ClientResult<bool> {
    let Some(value) = snapshot.tree(NUMBERS).get(&meta.client.to_be_bytes())? else {
        return Ok(false);
    };
    let UsedNumbers { last, chain_hash: expected } =
        UsedNumbers::read(&value).ok_or(BadDownload::Snapshot)?;
    if last < meta.answered {
        // The server was restored, and what it has of the client is older.
        return Ok(false);
    }
    let mut hash = meta.chain_hash;
    // One refused entry is in memory at a time.
    for number in meta.answered + 1..=last {
        let at = pending.binary_search_by_key(&number, |pending| pending.client_seq);
        hash = match at {
            Ok(at) => chain_hash(hash, &pending[at].entry),
            Err(_) => match dead_letter(tables, (meta.client, number))? {
                Some(letter) => chain_hash(hash, &letter.entry),
                None => return Ok(true),
            },
        };
    }
    Ok(hash != expected)
}

/// Makes dead letters of the pending entries of a client that a snapshot names as refused, and
/// gives dead letters without a reason theirs. Returns the refusals that are new. The records of
/// the entries stay for the undo.
pub(super) fn take_refused(
    tables: &mut Tables,
    (client, pending): (u32, &mut Vec<PendingEntry>),
    snapshot: &StoreSnapshot,
) -> ClientResult<Vec<ReportedRefusal>> {
    let mut refused = Vec::new();
    for ReportedRefusal { client_seq, code, operation } in named(snapshot, client)? {
        let at = pending.binary_search_by_key(&client_seq, |pending| pending.client_seq);
        let entry = match at {
            Ok(at) => pending.remove(at).entry,
            Err(_) => match dead_letter(tables, (client, client_seq))? {
                Some(letter) if letter.refusal.code == 0 => letter.entry,
                _ => continue,
            },
        };
        let entry = PendingEntry { client_seq, entry };
        put_letter(tables, (client, &entry), Refusal { code, operation })?;
        refused.push(ReportedRefusal { client_seq, code, operation });
    }
    Ok(refused)
}

/// Returns the entries of a client that a snapshot names as refused, in order.
fn named(snapshot: &StoreSnapshot, client: u32) -> ClientResult<Vec<ReportedRefusal>> {
    let (first, last) = (entry_key(client, 0), entry_key(client, u64::MAX));
    let mut named = Vec::new();
    for entry in snapshot.tree(REFUSED).range(&first[..]..=&last[..])? {
        let (key, value) = entry?;
        let refusal = read_entry_key(&key).zip(read_letter(&value));
        let ((_, client_seq), refusal) = refusal.ok_or(BadDownload::Snapshot)?;
        let (code, operation) = (refusal.code.code().0, refusal.operation);
        named.push(ReportedRefusal { client_seq, code, operation });
    }
    Ok(named)
}
