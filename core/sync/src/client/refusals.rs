//! Answers to own entries that only a snapshot names: refusals whose REJECT was lost, and numbers
//! that another copy of the file has used. The new identity never asks for them.
//!
//! - SY4 A refused entry becomes a dead letter, also by a reset. No entry of a copy counts as
//!   contained because another copy has used its number.

use super::download::{DeadLetter, Refusal, dead_letter, put_letter};
use super::error::{BadDownload, ClientResult};
use super::layout::{DEAD_LETTERS, NUMBERS, REFUSED, entry_key, read_entry_key};
use super::meta::ClientMeta;
use super::pending::PendingEntry;
use crate::chain::chain_hash;
use crate::reset::ReportedRefusal;
use crate::server::{UsedNumbers, read_letter};
use fastness::StoreSnapshot;
use fastness::table::{SideKey, Tables};
use std::collections::BTreeMap;

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
    let mut entries = letters_after(tables, meta)?;
    entries.extend(pending.iter().map(|pending| (pending.client_seq, pending.entry.clone())));
    let (mut number, mut hash) = (meta.answered, meta.chain_hash);
    for (client_seq, entry) in entries.iter().take_while(|(number, _)| **number <= last) {
        if *client_seq != number + 1 {
            return Ok(true);
        }
        (number, hash) = (*client_seq, chain_hash(hash, entry));
    }
    Ok(number != last || hash != expected)
}

/// Returns the dead letters of a client whose answers are not part of its chain hash yet.
fn letters_after(tables: &Tables, meta: &ClientMeta) -> ClientResult<BTreeMap<u64, Vec<u8>>> {
    let (mut entries, prefix) = (BTreeMap::new(), meta.client.to_be_bytes());
    let letters = SideKey { tree: DEAD_LETTERS, key: &prefix };
    let mut after = Some(meta.answered);
    while let Some(first) = after.and_then(|after| after.checked_add(1)) {
        let next = tables.side_next(letters, &entry_key(meta.client, first))?;
        let Some((key, value)) = next else { break };
        let letter = DeadLetter::decode(&key, &value).ok_or_else(|| tables.damaged())?;
        after = Some(letter.client_seq);
        entries.insert(letter.client_seq, letter.entry);
    }
    Ok(entries)
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
