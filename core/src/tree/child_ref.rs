//! A reference to a child: the pointer of its page, and the node once it is in memory.
//!
//! It is generic over the node, so that a node can be made of it.

use crate::conc::{Arc, OnceLock};
use crate::page::Pointer;
use std::fmt;

/// A reference to a node: the pointer of a page, the node in memory, or both.
pub(crate) struct ChildRef<N> {
    /// `None` if the node changed and was not written since. Then no node above it was written
    /// either.
    pub(super) pointer: Option<Pointer>,
    /// The node, if it was in memory when the reference was made.
    node: Option<Arc<N>>,
    /// The node, if it was read since.
    loaded: OnceLock<Arc<N>>,
}

impl<N> Default for ChildRef<N> {
    fn default() -> Self {
        Self { pointer: None, node: None, loaded: OnceLock::new() }
    }
}

impl<N> Clone for ChildRef<N> {
    fn clone(&self) -> Self {
        Self { pointer: self.pointer, node: self.peek().cloned(), loaded: OnceLock::new() }
    }
}

impl<N: fmt::Debug> fmt::Debug for ChildRef<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChildRef").field(&self.pointer).field(&self.peek()).finish()
    }
}

impl<N> ChildRef<N> {
    /// Refers to a page.
    pub(super) const fn stored(pointer: Pointer) -> Self {
        Self { pointer: Some(pointer), node: None, loaded: OnceLock::new() }
    }

    /// Refers to a node that is not written.
    pub(super) const fn unwritten(node: Arc<N>) -> Self {
        Self::resident_at(None, node)
    }

    pub(crate) const fn resident_at(pointer: Option<Pointer>, node: Arc<N>) -> Self {
        Self { pointer, node: Some(node), loaded: OnceLock::new() }
    }

    /// Returns the reference without the node.
    pub(crate) const fn evicted(&self) -> Self {
        Self { pointer: self.pointer, node: None, loaded: OnceLock::new() }
    }

    /// Tells whether the node changed and was not written since.
    pub(super) const fn is_unwritten(&self) -> bool {
        self.pointer.is_none()
    }

    /// Returns the node if it is resident.
    pub(crate) fn into_node(self) -> Option<Arc<N>> {
        self.node.or(self.loaded.into_inner())
    }

    /// Returns the node if it is resident, and does not mark it as referenced.
    pub(super) fn peek(&self) -> Option<&Arc<N>> {
        match &self.node {
            Some(node) => Some(node),
            None => self.loaded.get(),
        }
    }

    /// Makes a node that was read resident. If another reader was faster, its node stays.
    pub(super) fn set_loaded(&self, node: &Arc<N>) {
        drop(self.loaded.set(Arc::clone(node)));
    }

    /// Returns the node if it is resident, and leaves the reference without it.
    pub(super) fn take_node(&mut self) -> Option<Arc<N>> {
        self.node.take().or_else(|| self.loaded.take())
    }

    /// Returns the node if no other reference leads to it.
    pub(super) fn exclusive(&mut self) -> Option<&mut N> {
        self.node.as_mut().and_then(Arc::get_mut)
    }
}

impl<N: Clone> ChildRef<N> {
    /// Returns a node that is not written, to change it; a copy if others see it.
    pub(super) fn own(&mut self) -> &mut N {
        Arc::make_mut(self.node.as_mut().expect("T3: a node that is not written is resident"))
    }
}
