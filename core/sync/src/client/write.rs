//! The entry of a commit: the merge rules' memory of what an app wrote, and its way back.
//!
//! Most transactions stay as the app left them. One that the rules might apply in another way is
//! undone, and applied again by them.
//!
//! - SY3 A local write is the fold of its entry over the working state before.
//! - SY11 Both ways leave the same state.
//! - HC1 A stamp is greater than every stamp that the client wrote or saw before.

use super::meta::ClientMeta;
use super::pending::{self, AppliedEntry};
use super::rebase::{note_local, working_author};
use super::touched::{TouchedObjects, note_images};
use crate::clock::Clock;
use crate::entry::Header;
use crate::fault;
use crate::merge::Author;
use crate::table_state::{EntryWritten, Refused, TableState, WINDOW_TREE, local_changes};
use fastness::Error;
use fastness::object::PendingCommit;
use fastness::table::{
    ObjectId, ObjectRef, Operation, PreImage, PreImages, SchemaChange, Tables, Value,
};
use std::borrow::Cow;

/// The part of a replica that a commit needs.
pub(super) struct CommitContext<'c> {
    pub(super) clock: Clock,
    /// The local time, in milliseconds since 1970.
    pub(super) now: u64,
    /// Objects of the pending entries.
    pub(super) objects: &'c mut TouchedObjects,
    /// The slow path is taken: for comparison.
    pub(super) is_slow: bool,
}

/// Makes the entry of a commit.
pub(super) fn commit(commit: PendingCommit<'_>, context: CommitContext<'_>) -> Result<(), Error> {
    let PendingCommit { operations, pre_images, tables, touched } = commit;
    let has_schema = operations.iter().any(is_schema);
    if has_schema {
        note_local(tables, &local_changes(operations))?;
        if operations.iter().all(is_local) {
            return Ok(());
        }
    }
    let meta = ClientMeta::of(tables)?;
    let before = (meta.last_client_seq, meta.last_stamp);
    let mut clock = context.clock.continued(meta.last_stamp);
    let stamp = clock.stamp(context.now).ok_or_else(|| refused("the clock has no time left"))?;
    let client_seq = meta.last_client_seq.checked_add(1);
    let client_seq = client_seq.ok_or_else(|| refused("the file has no entries left"))?;
    let base = fault::client::one_more(meta.cursor);
    let author = working_author(&meta, Header { client_seq, base, stamp });
    let mut step = CommitStep { tables: &mut *tables, author, operations, pre_images };
    let is_slow = has_schema || context.is_slow;
    let fast = if is_slow { None } else { step.note()? };
    let (written, images) = match fast {
        Some(noted) => noted,
        None => step.apply(touched)?,
    };
    let EntryWritten { entry, outcomes } = &written;
    let applied = AppliedEntry { client_seq, entry, outcomes };
    pending::put(tables, &applied, images.iter().flat_map(|images| images.iter()))?;
    let objects = context.objects;
    if !objects.knows(before) {
        objects.clear();
        if pending::first_number(tables)? != Some(client_seq) {
            return Ok(());
        }
    }
    note_operations(objects, client_seq, (tables, operations));
    let images = images.iter().flat_map(|images| images.iter());
    note_images(objects, client_seq, (tables, images));
    objects.set_mark((client_seq, stamp));
    Ok(())
}

/// The pre-images of an entry.
type EntryImages<'s> = Vec<Cow<'s, PreImages>>;

/// The entry of a commit, before it is stored.
struct CommitStep<'t, 's> {
    tables: &'t mut Tables,
    author: Author,
    operations: &'s [Operation],
    pre_images: &'s PreImages,
}

impl<'s> CommitStep<'_, 's> {
    /// Notes what the app wrote in the window; none if the rules have to apply it.
    fn note(&mut self) -> Result<Option<(EntryWritten, EntryImages<'s>)>, Error> {
        let mut state = TableState::new(self.tables, WINDOW_TREE);
        let Some(written) = state.note_entry_written(&self.author, self.operations)? else {
            return Ok(None);
        };
        let written = written.map_err(|reason: Refused| refused(&reason.to_string()))?;
        let window = self.tables.end_recording()?;
        Ok(Some((written, vec![Cow::Borrowed(self.pre_images), Cow::Owned(window)])))
    }

    /// Undoes what the app wrote, and applies it by the rules.
    fn apply(
        &mut self,
        touched: &mut Vec<ObjectId>,
    ) -> Result<(EntryWritten, EntryImages<'s>), Error> {
        let tables = &*self.tables;
        let synced = self.pre_images.iter();
        let synced = synced.filter(|image| !tables.is_local_entry(image.tree, image.key));
        let synced: Vec<PreImage<'_>> = synced.collect();
        self.tables.restore(synced)?;
        drop(self.tables.record()?);
        let mut state = TableState::new(self.tables, WINDOW_TREE);
        let written = state.write_entry(&self.author, self.operations)?;
        touched.append(&mut state.take_touched());
        let written = written.map_err(|reason: Refused| refused(&reason.to_string()))?;
        Ok((written, vec![Cow::Owned(self.tables.end_recording()?)]))
    }
}

/// Notes the objects that operations name.
fn note_operations(
    objects: &mut TouchedObjects,
    client_seq: u64,
    (tables, operations): (&Tables, &[Operation]),
) {
    for operation in operations {
        if is_schema(operation) && !is_local(operation) {
            objects.note_schema(client_seq);
        }
        if let Some(ObjectRef { class, key }) = operation.target()
            && let Some(class) = tables.class_id(class)
        {
            objects.note(client_seq, &ObjectId { class, key: key.clone() });
        }
        if let Some(Value::Link(to)) = operation.value() {
            objects.note(client_seq, to);
        }
    }
}

const fn is_schema(operation: &Operation) -> bool {
    matches!(operation, Operation::SchemaChange(_))
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
