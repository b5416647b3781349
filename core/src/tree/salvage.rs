//! Salvage: a scan of a damaged tree that returns every entry that can still be read.
//!
//! - D6 A salvage scan omits only entries behind unreadable pages.
//! - T6 It reads each page once, wherever the file leads to it.

use super::bytes::Bytes;
use super::leaf::Payload;
use super::node::Node;
use crate::conc::Arc;
use crate::error::{Damage, Result};
use crate::fault::{self, Fault};
use crate::pager::{PageSet, Pager};
use std::iter::FusedIterator;

/// An iterator over the readable entries of a tree, in key order. An unreadable page yields one
/// error in place of its entries, and the scan continues behind it.
#[derive(Debug)]
pub struct SalvageIter<'a> {
    pager: &'a Pager,
    /// The root, until the first entry is requested.
    root: Option<Result<Arc<Node>>>,
    /// Nodes of the current path, each with its next child or entry.
    path: Vec<(Arc<Node>, usize)>,
    /// The pages that were read.
    read: PageSet,
}

impl<'a> SalvageIter<'a> {
    pub(crate) fn new(pager: &'a Pager, root: Result<Option<Arc<Node>>>) -> Self {
        Self { pager, root: root.transpose(), path: Vec::new(), read: PageSet::default() }
    }

    fn skip_node(&mut self, fault: Fault) {
        if let Some((node, next)) = self.path.last_mut() {
            fault::tree::skip_node(fault, next, node.count());
        }
    }

    /// Returns a child of a branch.
    fn child(&mut self, node: &Arc<Node>, index: usize) -> Result<Arc<Node>> {
        if let Some(pointer) = node.children[index].pointer
            && !self.read.insert(pointer.page)
        {
            return Err(self.pager.damaged(pointer.page, Damage::Content));
        }
        node.child(index, self.pager)
    }

    /// Returns the value of an entry of a leaf.
    fn value(&mut self, leaf: &Arc<Node>, index: usize) -> Result<Bytes> {
        let Payload::Stored { bytes, first } = leaf.payload(index) else {
            return leaf.value(index, self.pager);
        };
        let (pager, mut value, mut shared) = (self.pager, Vec::new(), None);
        pager.walk_chain(bytes, first, &mut |pointer, data| {
            value.extend_from_slice(data);
            shared = Some(pointer.page).filter(|page| !self.read.insert(*page));
            shared.is_none()
        })?;
        shared.map_or(Ok(Bytes::from(value)), |page| Err(pager.damaged(page, Damage::Content)))
    }
}

impl Iterator for SalvageIter<'_> {
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.root.take() {
            Some(Ok(root)) => self.path.push((root, 0)),
            Some(Err(error)) => return Some(Err(error)),
            None => {}
        }
        loop {
            let (node, next) = self.path.last_mut()?;
            if *next == node.count() {
                self.path.pop();
                continue;
            }
            let (node, index) = (Arc::clone(node), *next);
            *next += 1;
            if node.level() == 0 {
                let value = self.value(&node, index);
                if value.is_err() {
                    self.skip_node(Fault::Fs09);
                }
                return Some(value.map(|value| (node.key_bytes(index), value)));
            }
            match self.child(&node, index) {
                Ok(child) => self.path.push((child, 0)),
                Err(error) => {
                    self.skip_node(Fault::Fs10);
                    return Some(Err(error));
                }
            }
        }
    }
}

impl FusedIterator for SalvageIter<'_> {}
