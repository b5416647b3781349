//! A committed node in memory, with the children that were read so far.

use super::{Cache, Pager};
use crate::conc::{Arc, AtomicBool, Loaded, Ordering, Swap, loaded};
use crate::error::Result;
use crate::page::NodePage;
use crate::unit::PAGE_BYTES;

/// A committed node. It never changes; only which children are resident does.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) page: NodePage,
    children: Box<[Swap<Node>]>,
    /// Used since the cache last looked at it.
    touched: AtomicBool,
    _cost: Cost,
}

/// Bytes of memory that are counted while they are held.
#[derive(Debug)]
pub(crate) struct Cost {
    total: Arc<crate::conc::AtomicUsize>,
    bytes: usize,
}

impl Cost {
    pub(crate) fn count(total: &Arc<crate::conc::AtomicUsize>, bytes: usize) -> Self {
        total.fetch_add(bytes, Ordering::Relaxed);
        Self { total: Arc::clone(total), bytes }
    }
}

impl Drop for Cost {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
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
        let children: Box<[_]> = children.map(Swap::new).collect();
        let bytes = PAGE_BYTES + size_of::<Self>() + children.len() * size_of::<Swap<Self>>();
        Self { page, children, touched: AtomicBool::new(false), _cost: cache.cost(bytes) }
    }

    /// Returns child `index`, reading it if it is not resident.
    pub(crate) fn child(self: &Arc<Self>, index: usize, pager: &Pager) -> Result<Loaded<Self>> {
        let resident = self.children[index].load();
        if let Some(child) = &*resident {
            if !child.touched.load(Ordering::Relaxed) {
                child.touched.store(true, Ordering::Relaxed);
            }
            return Ok(resident);
        }
        let child = pager.node(&self.page.child(index), Some(self.page.level() - 1))?;
        self.children[index].store(Some(Arc::clone(&child)));
        pager.cache().admit(self, index);
        Ok(loaded(child))
    }

    /// Returns child `index` if it is resident.
    pub(crate) fn resident(&self, index: usize) -> Option<Arc<Self>> {
        self.children[index].load().clone()
    }

    /// Lets go of child `index` unless it was used since last asked; tells whether it is gone.
    pub(crate) fn evict(&self, index: usize) -> bool {
        let Some(child) = self.resident(index) else { return true };
        if child.touched.swap(false, Ordering::Relaxed) {
            return false;
        }
        self.children[index].store(None);
        true
    }
}
