//! Faults of a client's replica.

use super::{Fault, on, planted};
use crate::client::{ClientMeta, ClientReplica, ClientResult, PENDING, RESET, number_key};
use crate::codec::put_binary;
use crate::entry::{Encoder, EntryError, Header, decode};
use crate::table_state::WINDOW_TREE;
use fastness::table::PreImage;

/// SN-28: an entry claims to know one entry more than its author.
pub(crate) fn one_more(cursor: u64) -> u64 {
    if on(Fault::Sn28) { cursor.saturating_add(1) } else { cursor }
}

/// NR-60: now and then an own entry undoes the pending ones behind it.
pub(crate) fn is_thousandth(client_seq: u64) -> bool {
    client_seq.is_multiple_of(1000) && planted("NR-60")
}

/// NR-63: entries that the history may still bring count as refused.
pub(crate) fn everything_applied(applied: u64) -> u64 {
    if planted("NR-63") { u64::MAX } else { applied }
}

/// NR-71: the server decides how many entries are kept for it.
pub(crate) fn window(permitted: u64, most: u64) -> u64 {
    if planted("NR-71") { permitted } else { permitted.min(most) }
}

/// NR-74: a stamp may be the last one that there is.
pub(crate) fn stamps(most: u64) -> u64 {
    if planted("NR-74") { u64::MAX } else { most }
}

/// NR-64: a chain hash reads all dead letters.
pub(crate) fn read_letters(replica: &ClientReplica) -> ClientResult<()> {
    if planted("NR-64") { replica.dead_letters().map(drop) } else { Ok(()) }
}

/// NR-67: the chain hash of one identity continues that of another with its number.
pub(crate) fn without_salt((client, salt): (u32, u64)) -> (u32, u64) {
    if planted("NR-67") { (client, 0) } else { (client, salt) }
}

/// NR-86: a reset that discards drops also what its backup does not have.
pub(crate) fn drop_all(backed_up: u64) -> u64 {
    if planted("NR-86") { u64::MAX } else { backed_up }
}

/// NR-82: a server may fill the disk.
pub(crate) fn disk(bytes_max: u64) -> u64 {
    if planted("NR-82") { u64::MAX } else { bytes_max }
}

/// NR-81: the refusals of one answer are taken out one after another.
pub(crate) fn at_once(refusals: usize) -> usize {
    if planted("NR-81") { 1 } else { refusals.max(1) }
}

/// SN-16: own entries keep the stamps of their client.
pub(crate) fn own_stamp(stamp: u64, written: Header) -> u64 {
    if on(Fault::Sn16) { written.stamp } else { stamp }
}

/// SN-23: a client forgets acknowledged entries before they are backed up.
pub(crate) fn everything(durable_seq: u64) -> u64 {
    if on(Fault::Sn23) { u64::MAX } else { durable_seq }
}

/// SN-40: the number of a refused entry is used again.
pub(crate) fn reuse_number(meta: &mut ClientMeta, client_seq: u64) {
    if meta.last_client_seq == client_seq && on(Fault::Sn40) {
        meta.last_client_seq -= 1;
    }
}

/// SN-25: a refusal takes out the oldest pending entry.
pub(crate) fn oldest(client_seq: u64) -> u64 {
    if on(Fault::Sn25) { 0 } else { client_seq }
}

/// SN-41: undo leaves out the window.
pub(crate) fn is_left_out(image: &PreImage<'_>) -> bool {
    image.tree == WINDOW_TREE && on(Fault::Sn41)
}

/// SY-13: the cursor of a download is committed after its entries.
pub(crate) fn put_cursor(replica: &ClientReplica, meta: ClientMeta) -> ClientResult<()> {
    if on(Fault::Sy13) {
        let mut txn = replica.database().write()?;
        meta.put(txn.tables())?;
        txn.commit()?;
    }
    Ok(())
}

/// RS-07: a reset that begins again goes on where the attempt before was.
pub(crate) fn attempt_before<T: Default>(held: Option<T>) -> T {
    held.filter(|_| on(Fault::Rs07)).unwrap_or_default()
}

/// RS-01: a reset notes in a second transaction that it has ended.
pub(crate) fn end_reset(replica: &ClientReplica) -> ClientResult<()> {
    if on(Fault::Rs01) {
        let mut txn = replica.database().write()?;
        txn.tables().txn_mut().tree(RESET)?.clear()?;
        txn.commit()?;
    }
    Ok(())
}

/// SN-39: a restart adds all pending entries a second time.
pub(crate) fn queue_again(replica: &ClientReplica) -> ClientResult<()> {
    if !on(Fault::Sn39) {
        return Ok(());
    }
    let pending = replica.upload_after(0, usize::MAX)?.entries;
    let mut meta = replica.meta()?;
    let mut txn = replica.database().write()?;
    for (_, entry) in &pending {
        meta.last_client_seq += 1;
        if let Ok(entry) = numbered(entry, meta.last_client_seq) {
            let mut tree = txn.tables().txn_mut().tree(PENDING)?;
            let mut record = Vec::new();
            put_binary(&mut record, &entry);
            // Neither outcomes nor pre-images.
            record.extend([0, 0]);
            tree.insert(&number_key(meta.last_client_seq), &record)?;
        }
    }
    meta.put(txn.tables())?;
    txn.commit()?;
    Ok(())
}

fn numbered(entry: &[u8], client_seq: u64) -> Result<Vec<u8>, EntryError> {
    let entry = decode(entry)?;
    let mut encoder = Encoder::new(Header { client_seq, ..entry.header })?;
    entry.operations.iter().try_for_each(|operation| encoder.push(operation))?;
    encoder.finish()
}
