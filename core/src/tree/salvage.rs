//! Salvage: a scan of a damaged tree that returns every entry that can still be read.
//!
//! - D6 A salvage scan omits only entries behind unreadable pages.

use super::bytes::Bytes;
use super::node::Node;
use crate::conc::Arc;
use crate::error::Result;
use crate::fault::{self, Fault};
use crate::pager::Pager;
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
}

impl<'a> SalvageIter<'a> {
    pub(crate) fn new(pager: &'a Pager, root: Result<Option<Arc<Node>>>) -> Self {
        Self { pager, root: root.transpose(), path: Vec::new() }
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
            let index = std::mem::replace(next, *next + 1);
            if node.level() == 0 {
                let value = node.value(index, self.pager);
                if value.is_err() {
                    fault::tree::skip_node(Fault::Fs09, next, node.count());
                }
                return Some(value.map(|value| (node.key_bytes(index), value)));
            }
            match node.child(index, self.pager) {
                Ok(child) => self.path.push((child, 0)),
                Err(error) => {
                    fault::tree::skip_node(Fault::Fs10, next, node.count());
                    return Some(Err(error));
                }
            }
        }
    }
}

impl FusedIterator for SalvageIter<'_> {}
