//! Refusals that only a snapshot names: the server's answer was lost, and the new identity never
//! asks for it.
//!
//! - SY4 A refused entry becomes a dead letter, also by a reset.

use super::download::{Refusal, bury, dead_letter};
use super::error::{BadDownload, ClientResult};
use super::layout::{REFUSED, entry_key, read_entry_key};
use super::pending::PendingEntry;
use crate::reset::ReportedRefusal;
use crate::server::read_letter;
use fastness::StoreSnapshot;
use fastness::table::Tables;

/// Moves the pending entries of a client that a snapshot names as refused to the dead letters, and
/// gives dead letters without a reason theirs. Returns the refusals that are new.
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
        bury(tables, (client, &PendingEntry { client_seq, entry }), Refusal { code, operation })?;
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
