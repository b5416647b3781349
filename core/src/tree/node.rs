//! A committed node in memory, with the children that were read so far.

use super::cache::{Cost, Trim};
use super::{Bytes, Cache, Pager};
use crate::conc::{Arc, AtomicBool, OnceLock, Ordering};
use crate::error::Result;
use crate::page::{NodePage, ValueSpan};
use crate::unit::PAGE_BYTES;

/// A committed node. It never changes; children only become resident. To let some go, the nodes
/// above them are replaced, up to the root.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) page: NodePage,
    children: Box<[OnceLock<Arc<Node>>]>,
    /// Used since the cache last looked at it.
    touched: AtomicBool,
    cost: Cost,
}

impl Node {
    /// Holds a node none of whose children are resident.
    pub(crate) fn new(page: NodePage, cache: &Cache) -> Self {
        let count = if page.level() == 0 { 0 } else { page.count() };
        Self::with_children(page, std::iter::repeat_n(None, count), cache)
    }

    /// Holds a node with the children that are resident.
    pub(crate) fn with_children(
        page: NodePage,
        children: impl Iterator<Item = Option<Arc<Self>>>,
        cache: &Cache,
    ) -> Self {
        let children: Box<[_]> =
            children.map(|child| child.map_or_else(OnceLock::new, OnceLock::from)).collect();
        let bytes = PAGE_BYTES + size_of::<Self>() + size_of_val(&*children);
        Self { page, children, touched: AtomicBool::new(false), cost: cache.cost(bytes) }
    }

    /// Returns child `index` if it is resident.
    pub(crate) fn resident(&self, index: usize) -> Option<&Arc<Self>> {
        let child = self.children[index].get()?;
        if !child.touched.load(Ordering::Relaxed) {
            child.touched.store(true, Ordering::Relaxed);
        }
        Some(child)
    }

    /// Returns child `index`, reading it if it is not resident.
    pub(crate) fn child(&self, index: usize, pager: &Pager) -> Result<Arc<Self>> {
        self.resident(index).map_or_else(|| self.read_child(index, pager), |c| Ok(Arc::clone(c)))
    }

    #[cold]
    fn read_child(&self, index: usize, pager: &Pager) -> Result<Arc<Self>> {
        let child = pager.node(&self.page.child(index), Some(self.page.level() - 1))?;
        if pager.cache().make_room() {
            // If another reader was faster, its node stays.
            drop(self.children[index].set(Arc::clone(&child)));
        }
        Ok(child)
    }

    /// Looks a key up in this node and below.
    pub(crate) fn get(self: &Arc<Self>, key: &[u8], pager: &Pager) -> Result<Option<Bytes>> {
        let mut node = self;
        while node.page.level() > 0 {
            let index = node.page.child_of(key);
            match node.resident(index) {
                Some(child) => node = child,
                None => return node.read_child(index, pager)?.get(key, pager),
            }
        }
        match node.page.find(key) {
            Ok(index) => node.value(index, pager).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Returns the value of a leaf's entry.
    pub(crate) fn value(self: &Arc<Self>, index: usize, pager: &Pager) -> Result<Bytes> {
        match self.page.value(index) {
            ValueSpan::Inline { at, len } => Ok(Bytes::of_page(Arc::clone(self), at, len)),
            ValueSpan::Stored { bytes, first } => {
                pager.chain(bytes, first, |_| ()).map(Bytes::from)
            }
        }
    }

    /// Returns the node without the descendants that are let go, or itself if none are.
    pub(crate) fn trimmed(self: &Arc<Self>, trim: &mut Trim<'_>) -> Arc<Self> {
        let mut changed = false;
        let children = self.children.iter().map(|slot| {
            let child = slot.get()?;
            let trimmed = child.trimmed(trim);
            let idle = trimmed.children.iter().all(|below| below.get().is_none());
            if idle && !child.touched.swap(false, Ordering::Relaxed) && trim.take(&child.cost) {
                changed = true;
                return None;
            }
            changed |= !Arc::ptr_eq(child, &trimmed);
            Some(trimmed)
        });
        let children: Vec<_> = children.collect();
        if !changed {
            return Arc::clone(self);
        }
        let node = Self::with_children(self.page.clone(), children.into_iter(), trim.cache);
        node.touched.store(self.touched.load(Ordering::Relaxed), Ordering::Relaxed);
        Arc::new(node)
    }
}
