//! Evicting nodes from a version of a tree, as the [clock](crate::pager) decides.

use super::child_ref::ChildRef;
use super::node::Node;
use crate::conc::Arc;
use crate::pager::Sweep;

impl Node {
    /// Returns the node without the descendants that the sweep evicts, or itself if it evicts none.
    /// The sweep begins at the key `from`.
    pub(super) fn without_evicted(self: &Arc<Self>, from: &[u8], sweep: &mut Sweep) -> Arc<Self> {
        let first = if from.is_empty() { 0 } else { self.child_of(from) };
        let mut changes = Vec::new();
        for (index, child_ref) in self.children.iter().enumerate().skip(first) {
            if sweep.ends_at(self.key(index)) {
                break;
            }
            let Some(child) = child_ref.peek() else { continue };
            let rest = child.without_evicted(if index == first { from } else { &[] }, sweep);
            let is_bottom = rest.children.iter().all(|below| below.peek().is_none());
            let can_go = !child_ref.is_unwritten() && is_bottom;
            if can_go && sweep.evicts(&child.referenced, child.charge.bytes()) {
                changes.push((index, child_ref.evicted()));
            } else if !Arc::ptr_eq(child, &rest) {
                changes.push((index, ChildRef::resident_at(child_ref.pointer, rest)));
            }
        }
        if changes.is_empty() {
            return Arc::clone(self);
        }
        Arc::new(self.with_children(self.children.with(changes)))
    }
}
