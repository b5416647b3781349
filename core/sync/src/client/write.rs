//! The entry of a commit: what an app wrote is undone, and applied again by the merge rules.
//!
//! - SY3 A local write and a rebase are one code path.
//! - HC1 A stamp is greater than every stamp that the client wrote or saw before.

use super::meta::ClientMeta;
use super::pending::{self, PendingEntry};
use super::rebase::{note_local, working_author};
use crate::clock::Clock;
use crate::entry::Header;
use crate::table_state::{Refused, TableState, WINDOW_TREE, local_changes};
use fastness::Error;
use fastness::object::PendingCommit;
use fastness::table::{Operation, SchemaChange};

/// Makes the entry of a commit at a local time, in milliseconds since 1970.
pub(super) fn commit(commit: PendingCommit<'_>, clock: &Clock, now: u64) -> Result<(), Error> {
    let PendingCommit { operations, pre_images, tables, touched } = commit;
    note_local(tables, &local_changes(operations))?;
    if operations.iter().all(is_local) {
        return Ok(());
    }
    let mut meta = ClientMeta::of(tables)?;
    let mut clock = clock.continued(meta.last_stamp);
    let stamp = clock.stamp(now).ok_or_else(|| refused("the clock has no time left"))?;
    let client_seq = meta.last_client_seq.checked_add(1);
    let client_seq = client_seq.ok_or_else(|| refused("the file has no entries left"))?;
    let author = working_author(&meta, Header { client_seq, base: meta.cursor, stamp });
    tables.restore(pre_images.iter())?;
    drop(tables.record()?);
    let mut state = TableState::new(tables, WINDOW_TREE);
    let written = state.write_entry(&author, operations)?;
    touched.append(&mut state.take_touched());
    let entry = written.map_err(|reason: Refused| refused(&reason.to_string()))?;
    let images = tables.end_recording()?;
    pending::put(tables, &PendingEntry { client_seq, entry })?;
    pending::put_images(tables, client_seq, &images)?;
    meta.last_client_seq = client_seq;
    meta.last_stamp = stamp;
    meta.put(tables)
}

const fn is_local(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::SchemaChange(SchemaChange::SetIndexed { .. } | SchemaChange::SetVersion { .. })
    )
}

fn refused(reason: &str) -> Error {
    Error::CommitRefused { reason: reason.to_owned() }
}
