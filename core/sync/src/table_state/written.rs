//! The entry of a transaction whose effect the tables already have.
//!
//! Most transactions of an app do nothing that the merge rules would do in another way: they set
//! values, add to counters, create objects, and insert elements. The rules' memory of them is
//! written beside what the app did, without undoing and repeating it.
//!
//! - SY11 The result is that of [`TableState::write_entry`] on the state before the transaction.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names the kinds it is about and treats all others alike"
)]

use super::author::{Authored, EntryWritten, Neighbours};
use super::gaps::Spot;
use super::links::LinkOwner;
use super::record::{ElementMemory, ValueRecord, links_to};
use super::{FileResult, TableState};
use crate::entry::Anchor;
use crate::merge::Author;
use fastness::table::{Element, ElementId, ObjectKey, ObjectRef, Operation};
use std::collections::BTreeSet;

/// A list of the tables: class, key and property.
type ListName<'o> = (&'o str, &'o ObjectKey, &'o str);

/// An insert that the tables already have.
struct WrittenInsert<'o> {
    element: &'o Element,
    after: Option<ElementId>,
}

impl TableState<'_> {
    /// Notes the operations of a transaction, which the tables already have, as one entry; returns
    /// the entry. None, without a change, if the operations have to be applied by the rules.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged; a [`super::Refused`] is the inner error.
    pub fn note_entry_written(
        &mut self,
        author: &Author,
        operations: &[Operation],
    ) -> FileResult<Option<Authored<EntryWritten>>> {
        if !self.is_simple(operations)? {
            return Ok(None);
        }
        let mut anchors = Vec::with_capacity(operations.len());
        for operation in operations {
            anchors.push(self.note_written(author, operation)?);
        }
        let entry = self.encode(author, &[], operations.iter().zip(anchors));
        let outcomes = Vec::new();
        Ok(Some(entry.map(|entry| EntryWritten { entry, outcomes })))
    }

    /// Tells whether the rules would leave the tables as they are: no object is deleted, no hidden
    /// link appears, no element goes, and each list is edited once, so that its state before is
    /// known.
    fn is_simple(&self, operations: &[Operation]) -> FileResult<bool> {
        let mut lists: BTreeSet<ListName<'_>> = BTreeSet::new();
        for operation in operations {
            let is_simple = match operation {
                Operation::Set { .. } | Operation::Increment { .. } => true,
                Operation::Create(target) => !self.has_hidden_links_to(target)?,
                Operation::ListInsert { target, property, .. }
                | Operation::ListSet { target, property, .. } => {
                    lists.insert((&target.class, &target.key, property))
                }
                _ => false,
            };
            if !is_simple {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tells whether links to an object are hidden because it does not exist.
    pub(crate) fn has_hidden_links_to(&self, target: &ObjectRef) -> FileResult<bool> {
        let Some(class) = self.tables.class_id(&target.class) else { return Ok(false) };
        let prefix = links_to(class, &target.key.to_vec());
        Ok(self.next(&prefix, &prefix)?.is_some())
    }

    /// Notes an operation in the window; returns its anchor.
    fn note_written(&mut self, author: &Author, operation: &Operation) -> FileResult<Anchor> {
        match operation {
            Operation::Set { target, property, .. } => {
                self.note_set(author, LinkOwner { target, property })?;
            }
            Operation::ListSet { target, property, element } => {
                let list = self.list(LinkOwner { target, property })?;
                let memory = self.memory(&list, element.id)?;
                let memory = ElementMemory { value: Some(author.register()), ..memory };
                self.put_memory(&list, element.id, &memory)?;
            }
            Operation::ListInsert { target, property, element, after } => {
                let insert = WrittenInsert { element, after: *after };
                return self.note_insert(author, LinkOwner { target, property }, &insert);
            }
            _ => {}
        }
        Ok(Anchor::Head)
    }

    fn note_set(&mut self, author: &Author, owner: LinkOwner<'_>) -> FileResult<()> {
        let at = self.value_key(owner)?;
        let held: ValueRecord = self.read(&at)?;
        if let Some(link) = &held.link {
            self.remove_hidden_link(owner, link, None)?;
        }
        self.put(&at, &ValueRecord { register: Some(author.register()), link: None })
    }

    fn note_insert(
        &mut self,
        author: &Author,
        owner: LinkOwner<'_>,
        WrittenInsert { element, after }: &WrittenInsert<'_>,
    ) -> FileResult<Anchor> {
        let (id, left) = (element.id, *after);
        let anchor = self.anchor(owner, Neighbours { moved: Some(id), left })?;
        let list = self.list(owner)?;
        let before = match anchor {
            // Immediately before a visible element no hidden one follows.
            Anchor::Before(_) => None,
            Anchor::After(_) | Anchor::Head => self.spot(&list, anchor)?.before,
        };
        let spot = Spot { left, before };
        self.follow(&list, anchor, author.register().seq)?;
        self.split_at(&list, spot, id)?;
        let memory = ElementMemory { value: Some(author.register()), ..self.memory(&list, id)? };
        self.put_memory(&list, id, &memory)?;
        Ok(anchor)
    }
}
