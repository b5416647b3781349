//! Transactions of apps: drawn from what the app sees, and written into the client's file.
//!
//! - SY6 An author's runs stay contiguous: a file anchors its elements by the author's rule.
//! - SY7 An entry has the cursor of its author as its base.

use super::super::compare::CheckError;
use super::SyncHarness;
use super::app::do_edit;
use super::domain::{LINKS, ModelNames, foundation};
use super::edit::{Edit, JOINS, View, number_of};
use super::file::ClientFile;
use super::placement::{Placement, placements};
use super::replica::{Draft, Replica};
use crate::check::definition::Violation;
use crate::check::probe::Probe;
use crate::check::promises::{SY4, SY6, SY7};
use fastness::object::Transaction;
use fastness_models::Op;
use fastness_models::merge::{Kind, Schema};
use fastness_sync::entry::ElementId;
use std::collections::BTreeMap;

/// Bit of an operand: the commit does not wait for the disk.
const DEFERS: u8 = 0x40;
/// Most operations of a transaction.
pub(super) const OPERATIONS_MAX: usize = 6;
/// Most values that a plan writes.
pub(super) const VALUES_MAX: i64 = 500;

/// A transaction before its commit.
struct Drawn {
    edits: Vec<Edit>,
    draft: Draft,
}

impl SyncHarness<'_> {
    /// Writes a transaction, or keeps it open.
    pub(super) fn write(&mut self, op: Op) -> Result<(), CheckError> {
        let index = usize::from(op.a & !JOINS) % self.clients.len();
        let open = self.open.entry(index).or_default();
        open.push(op);
        if op.a & JOINS != 0 && open.len() < OPERATIONS_MAX {
            return Ok(());
        }
        let ops = std::mem::take(open);
        let local_ms = self.local_ms(index);
        let Some(Drawn { edits, draft }) = self.draw(index, &ops) else { return Ok(()) };
        let client = &mut self.clients[index];
        let Some(replica) = &mut client.replica else { return Ok(()) };
        let malformed = |error| Violation::new(SY4.id, format!("an entry is malformed: {error:?}"));
        let own = match &mut client.file {
            None => replica.commit(draft).map_err(malformed)?,
            Some(file) => {
                file.set_time(local_ms);
                let is_deferred = op.a & DEFERS != 0;
                let last = replica.last_client_seq;
                let written = file.write((&edits, is_deferred), last, self.probe)?;
                if let Some(written) = &written {
                    let has_purged = file.has_purged()?;
                    let mark = compare_anchors(replica, (&draft, written), has_purged)?;
                    mark.into_iter().for_each(|mark| self.probe.mark(mark));
                }
                written.map(|bytes| replica.push(bytes)).transpose().map_err(malformed)?
            }
        };
        client.follow_restart(&mut self.connections, (&mut self.oracle, self.probe))?;
        let Some(own) = own else { return self.check(index) };
        self.probe.line(|| format!("     client {index} writes {}", own.header.client_seq));
        let cursor = self.clients[index].replica.as_ref().map(|replica| replica.cursor);
        if cursor != Some(own.header.base) {
            let text = format!("an entry has the base {}, not {cursor:?}", own.header.base);
            return Err(Violation::new(SY7.id, text).into());
        }
        self.oracle.wrote(own.client.into(), &own)?;
        self.clients[index].wake(self.now_ms);
        self.check(index)
    }

    fn local_ms(&self, index: usize) -> u64 {
        self.now_ms.saturating_add_signed(self.clients[index].skew_ms)
    }

    /// Draws the edits of a transaction; none if the client cannot write.
    fn draw(&mut self, index: usize, ops: &[Op]) -> Option<Drawn> {
        let local_ms = self.local_ms(index);
        let replica = self.clients[index].replica.as_ref()?;
        if self.value > VALUES_MAX {
            return None;
        }
        let mut schema =
            self.oracle.states(replica.identity.client.into()).working.schema().clone();
        let names = &mut self.oracle.names;
        let known = names.visible(&replica.working, &schema);
        let (mut edits, value) = (Vec::new(), &mut self.value);
        let draft = replica.draft(local_ms, &mut |writer| {
            if !schema.contains_key(&0) {
                writer.push_all(foundation());
            }
            for op in ops {
                *value += 1;
                let mut visible = names.visible(writer.state, &schema);
                // A file gives other keys to the tags of this transaction.
                visible.retain(|object, _| object.class != 1 || known.contains_key(object));
                // A file shows links to an object that the transaction creates again after it.
                if edits.iter().any(|edit| matches!(edit, Edit::Create(_))) {
                    let lists = visible.values_mut();
                    lists.for_each(|contents| drop(contents.remove(&number_of(LINKS))));
                }
                let view = View { visible: &visible, schema: &schema, names, value: *value };
                if let Some(edit) = view.edit(*op) {
                    writer.edit(edit);
                    edits.push(edit);
                    note(&mut schema, edit);
                }
            }
        });
        Some(Drawn { edits, draft })
    }
}

/// Surroundings of a transaction that is drawn.
pub(super) struct DrawScene<'a> {
    pub(super) names: &'a mut ModelNames,
    /// The classes that the app sees.
    pub(super) schema: Schema,
    /// Distinguishes values.
    pub(super) value: &'a mut i64,
    /// The app inserts no elements and creates no tags.
    pub(super) gives_no_ids: bool,
}

impl ClientFile<'_> {
    /// Writes a transaction that is drawn from what the file shows in it.
    pub(super) fn write_drawn(
        &mut self,
        ops: &[Op],
        DrawScene { names, mut schema, value, gives_no_ids }: DrawScene<'_>,
        probe: &mut Probe,
    ) -> Result<(), CheckError> {
        let is_deferred = ops.last().is_some_and(|op| op.a & DEFERS != 0);
        let edit = |txn: &mut Transaction| {
            for op in ops {
                *value += 1;
                let visible = names.visible_in(txn.tables(), &schema)?;
                let view = View { visible: &visible, schema: &schema, names, value: *value };
                let edit = view.edit(*op).filter(|edit| !(gives_no_ids && edit.gives_id()));
                if let Some(edit) = edit {
                    do_edit(txn, &edit)?;
                    note(&mut schema, edit);
                }
            }
            Ok(())
        };
        let before = self.last_client_seq()?;
        if self.commit(edit, is_deferred, probe)? {
            probe.mark(match self.last_client_seq()? > before {
                true => "client: crash during a commit: committed",
                false => "client: crash during a commit: rolled back",
            });
        }
        Ok(())
    }
}

/// Compares where a file and its replica in memory place the elements of a transaction; returns
/// the mark of a comparison. A purge drops what the author's rule looks at, at different times:
/// only the elements are compared then.
fn compare_anchors(
    replica: &Replica,
    (draft, written): (&Draft, &[u8]),
    has_purged: bool,
) -> Result<Option<&'static str>, Violation> {
    let client = replica.identity.client;
    let (expected, found) = (draft.placements(client), placements(written, client));
    let is_equal = if has_purged {
        let elements = |of: &[Placement]| of.iter().map(|(element, _)| *element).collect();
        let [expected, found]: [Vec<ElementId>; 2] = [elements(&expected), elements(&found)];
        expected == found
    } else {
        expected == found
    };
    if is_equal {
        return Ok(match (found.is_empty(), has_purged) {
            (true, _) => None,
            (false, false) => Some("anchors of a file were compared"),
            (false, true) => Some("elements of a file that has purged were compared"),
        });
    }
    let text = format!("client {client} places elements at {found:?}, not at {expected:?}");
    Err(Violation::new(SY6.id, text))
}

/// Adds what an edit defines to the classes that an app sees.
fn note(schema: &mut Schema, edit: Edit) {
    match edit {
        Edit::AddExtra(of) => {
            let kind = if of == 0 { Kind::Int } else { Kind::Counter };
            if let Some((_, properties)) = schema.get_mut(&0) {
                properties.insert(5, kind);
            }
        }
        Edit::AddLate(_) => {
            schema.insert(2, (0, BTreeMap::new()));
        }
        _ => {}
    }
}
