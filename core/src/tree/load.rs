//! Loading nodes through the pager, and the path copies of a transaction.

use super::child_ref::ChildRef;
use super::leaf::Payload;
use super::node::Node;
use super::pending_redo::PendingRedo;
use crate::conc::Arc;
use crate::error::{Damage, Result};
use crate::page::{NodePage, Pointer};
use crate::pager::Pager;
use crate::space::FreedPage;

/// Most unwanted pages between two wanted ones that are read with them.
const GAP_PAGES: u64 = 8;

/// The context of an edit: the pager, and the pages that the edit frees.
#[derive(Debug)]
pub(crate) struct EditContext<'a> {
    pub(crate) pager: &'a Pager,
    /// Pages of the last commit that the transaction does not need.
    pub(crate) freed: &'a mut Vec<FreedPage>,
}

impl EditContext<'_> {
    /// Frees a page of the last commit.
    pub(super) fn free(&mut self, pointer: &Pointer) {
        self.freed.push(FreedPage { page: pointer.page, birth: pointer.birth });
    }
}

/// Reads the page of a node; `level` is the one that the parent demands.
pub(crate) fn read_node_page(
    pager: &Pager,
    pointer: &Pointer,
    level: Option<u8>,
) -> Result<NodePage> {
    NodePage::decode(pager.read(pointer)?)
        .filter(|page| level.is_none_or(|level| page.level() == level))
        .ok_or_else(|| pager.damaged(pointer.page, Damage::Content))
}

/// Reads a node; `level` is the one that the parent demands.
pub(super) fn read_node(pager: &Pager, pointer: &Pointer, level: Option<u8>) -> Result<Arc<Node>> {
    let mut node = Node::blank(pager.cache());
    let own = Arc::make_mut(&mut node);
    pager.read_into(pointer, own.page_mut())?;
    if !own.decode_page(level) {
        return Err(pager.damaged(pointer.page, Damage::Content));
    }
    Ok(node)
}

impl PendingRedo {
    /// Applies the entries to a leaf, or attaches them to a branch for the nodes below.
    pub(super) fn apply(self, node: &mut Node) {
        if node.level() > 0 {
            node.redo = Some(Box::new(self)).filter(|redo| !redo.entries().is_empty());
            return;
        }
        for (key, value) in self.entries() {
            match node.find(key) {
                Ok(index) => node.replace_value(index, value),
                Err(index) => node.insert_entry(index, key, value),
            }
        }
    }
}

impl ChildRef<Node> {
    /// Returns the node if it is resident, and marks it as referenced.
    pub(super) fn resident(&self) -> Option<&Arc<Node>> {
        let node = self.peek()?;
        node.referenced.set();
        Some(node)
    }

    /// Returns the node, reading it if it is not resident; `level` is the one that the parent
    /// demands.
    pub(super) fn load(&self, level: Option<u8>, pager: &Pager) -> Result<Arc<Node>> {
        self.resident().map_or_else(|| self.read(level, pager), |node| Ok(Arc::clone(node)))
    }

    #[cold]
    fn read(&self, level: Option<u8>, pager: &Pager) -> Result<Arc<Node>> {
        let pointer = self.pointer.as_ref().expect("T3: a node that is not written is resident");
        let node = read_node(pager, pointer, level)?;
        if pager.cache().make_room() {
            self.set_loaded(&node);
        }
        Ok(node)
    }

    /// Reads the node and applies the entries of the log.
    pub(super) fn read_with_redo(
        &self,
        level: Option<u8>,
        redo: PendingRedo,
        pager: &Pager,
    ) -> Result<Arc<Node>> {
        let pointer = self.pointer.as_ref().expect("T3: redo is applied to nodes of the disk");
        let mut node = read_node(pager, pointer, level)?;
        redo.apply(Arc::make_mut(&mut node));
        if pager.cache().make_room() {
            self.set_loaded(&node);
        }
        Ok(node)
    }

    /// Returns the node to change it: a copy, unless the transaction made one before. The page that
    /// the node was written to is freed.
    #[inline]
    pub(super) fn edit(
        &mut self,
        level: Option<u8>,
        context: &mut EditContext<'_>,
    ) -> Result<&mut Node> {
        if let Some(pointer) = self.pointer {
            self.begin_edit(pointer, level, context)?;
        }
        Ok(self.own())
    }

    #[cold]
    fn begin_edit(
        &mut self,
        pointer: Pointer,
        level: Option<u8>,
        context: &mut EditContext<'_>,
    ) -> Result<()> {
        let node = match self.take_node() {
            Some(node) => node,
            None => read_node(context.pager, &pointer, level)?,
        };
        assert!(node.redo.is_none(), "L1: a tree is changed before the log was replayed");
        *self = Self::unwritten(node);
        context.free(&pointer);
        Ok(())
    }
}

impl Node {
    /// Returns a child of a branch, reading it if it is not resident.
    pub(crate) fn child(&self, index: usize, pager: &Pager) -> Result<Arc<Self>> {
        let resident = self.children[index].resident();
        resident.map_or_else(|| self.read_child(index, pager), |node| Ok(Arc::clone(node)))
    }

    #[cold]
    pub(super) fn read_child(&self, index: usize, pager: &Pager) -> Result<Arc<Self>> {
        let level = Some(self.level() - 1);
        let Some(redo) = &self.redo else {
            return self.children[index].load(level, pager);
        };
        let high = (index + 1 < self.count()).then(|| self.key(index + 1));
        let redo = redo.between(self.key(index), high);
        self.children[index].read_with_redo(level, redo, pager)
    }

    /// Reads ahead: makes up to `count` children from `index` on resident, unless the first is.
    /// Children on nearby pages are read with one call.
    pub(super) fn read_ahead(&self, index: usize, count: usize, pager: &Pager) -> Result<()> {
        if self.redo.is_some() || self.children[index].peek().is_some() {
            return Ok(());
        }
        let ahead = self.children.iter().skip(index).take(count);
        let ahead = ahead.filter(|child| child.peek().is_none());
        let mut wanted: Vec<_> = ahead.filter_map(|child| Some((child.pointer?, child))).collect();
        if wanted.len() < 2 || !pager.cache().make_room() {
            return Ok(());
        }
        wanted.sort_unstable_by_key(|(pointer, _)| pointer.page);
        for close in wanted.chunk_by(|(a, _), (b, _)| b.page.0 - a.page.0 <= GAP_PAGES) {
            let ([(first, _), ..], [.., (last, _)]) = (close, close) else { continue };
            let run = pager.read_run(first.page, last.page)?;
            for (pointer, child) in close {
                // A page that is damaged is reported when the scan reaches it.
                let mut node = Self::blank(pager.cache());
                let own = Arc::make_mut(&mut node);
                if pager.open_into(&run, pointer, own.page_mut())
                    && own.decode_page(Some(self.level() - 1))
                {
                    child.set_loaded(&node);
                }
            }
        }
        Ok(())
    }

    /// Frees the pages of the value of an entry.
    pub(super) fn free_payload(&self, index: usize, context: &mut EditContext<'_>) -> Result<()> {
        if let Payload::Stored { bytes, first } = self.payload(index) {
            let pager = context.pager;
            pager.walk_chain(bytes, first, &mut |pointer, _| {
                context.free(pointer);
                true
            })?;
        }
        Ok(())
    }
}
