//! Rebalancing: the nodes that a transaction changed are split and merged to the size of a page,
//! once, before they are written.
//!
//! Until then a node may grow to several pages, or become nearly empty. One even split into as few
//! nodes as possible leaves fuller pages than a split of each node when it is full. Sparse
//! neighbours that removals left are merged.

use super::child_ref::ChildRef;
use super::edit::TreeEdit;
use super::node::{Node, Split};
use crate::page::NODE_CAPACITY;
use crate::pager::Cache;

impl TreeEdit {
    /// Makes every changed node fit its page (T3), and merges sparse changed neighbours.
    pub(crate) fn rebalance(&mut self, cache: &Cache) {
        if let Some(root) = &mut self.root
            && root.is_unwritten()
        {
            root.own().merge_sparse();
        }
        self.split_oversized(cache);
        self.collapse_root();
    }

    /// Makes every changed node fit its page (T3); the number of nodes only grows.
    pub(crate) fn split_oversized(&mut self, cache: &Cache) {
        while let Some(root) = &mut self.root
            && root.is_unwritten()
        {
            let splits = root.own().split_oversized(cache);
            if splits.is_empty() {
                return;
            }
            self.grow(splits, cache);
        }
    }
}

impl Node {
    /// Splits the nodes below, then this one; returns what was split off to its right.
    fn split_oversized(&mut self, cache: &Cache) -> Vec<Split> {
        if self.level() > 0 {
            self.split_oversized_children(cache);
        }
        if self.used <= NODE_CAPACITY {
            return Vec::new();
        }
        let cuts = cuts(&self.sizes());
        if self.level() == 0 {
            return self.split_leaf(&cuts, cache);
        }
        let mut splits: Vec<Split> =
            cuts.into_iter().rev().map(|at| self.split_branch(at, cache)).collect();
        splits.reverse();
        splits
    }

    fn split_oversized_children(&mut self, cache: &Cache) {
        let mut all_splits = Vec::new();
        for index in 0..self.children.len() {
            let child = &self.children[index];
            if child.is_unwritten() && child.peek().is_some_and(|child| child.may_be_oversized()) {
                let splits = self.children[index].own().split_oversized(cache);
                if !splits.is_empty() {
                    all_splits.push((index, splits));
                }
            }
        }
        if all_splits.is_empty() {
            return;
        }
        // One pass: an insertion for each split would move all children behind it each time.
        let (children, mut all_splits) = (self.take_children(), all_splits.into_iter().peekable());
        self.set_children(children.into_iter().enumerate().flat_map(|(index, child)| {
            let splits = all_splits.next_if(|(of, _)| *of == index).into_iter();
            let splits = splits.flat_map(|(_, splits)| splits);
            let splits = splits.map(|split| (split.separator, ChildRef::unwritten(split.node)));
            std::iter::once(child).chain(splits)
        }));
    }

    const fn may_be_oversized(&self) -> bool {
        self.level() > 0 || self.used > NODE_CAPACITY
    }

    /// Merges changed neighbours, on every level below, where that leaves a third fewer nodes.
    fn merge_sparse(&mut self) {
        if self.level() > 1 {
            self.children.unwritten_mut().for_each(|child| child.own().merge_sparse());
        }
        let mut start = 0;
        while start < self.children.len() {
            let behind = self.children.iter().skip(start);
            let run = behind.take_while(|child| child.is_unwritten()).count();
            let used = |child: &ChildRef<Self>| child.peek().map_or(0, |node| node.used);
            let bytes: usize = self.children.iter().skip(start).take(run).map(used).sum();
            if run > 1 && bytes.div_ceil(NODE_CAPACITY) * 3 <= run * 2 {
                self.merge_children(start, run);
                start += 1;
            } else {
                start += run + 1;
            }
        }
    }
}

/// Returns the indices at which cells of these sizes are cut into as few, even parts as fit.
fn cuts(sizes: &[usize]) -> Vec<usize> {
    let total: usize = sizes.iter().sum();
    let mut count = total.div_ceil(NODE_CAPACITY);
    loop {
        assert!(count <= sizes.len(), "T3: a cell fits no page");
        let cuts = even_cuts(sizes, total, count);
        let ends = cuts.iter().copied().chain([sizes.len()]);
        let starts = [0].into_iter().chain(cuts.iter().copied());
        let fits = |(start, end)| sizes[start..end].iter().sum::<usize>() <= NODE_CAPACITY;
        if starts.zip(ends).all(fits) {
            return cuts;
        }
        count += 1;
    }
}

fn even_cuts(sizes: &[usize], total: usize, count: usize) -> Vec<usize> {
    let mut cuts = Vec::new();
    let mut before = 0;
    for (index, size) in sizes.iter().enumerate() {
        // A cell belongs to the part that holds its middle.
        let part = (before + size / 2) * count / total.max(1);
        if part > cuts.len() && index > cuts.last().copied().unwrap_or(0) {
            cuts.push(index);
        }
        before += size;
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_few_even_and_fit() {
        let third = NODE_CAPACITY / 3;
        for (sizes, parts) in [
            (vec![100; 40], 1),
            (vec![100; 41], 2),
            (vec![100; 400], 10),
            (vec![third; 12], 4),
            (vec![third; 13], 5),
            (vec![1], 1),
            (vec![third, 1, third, 1, third, 1, third], 2),
        ] {
            let cuts = cuts(&sizes);
            assert!(cuts.len() < parts + 1, "{} parts of {sizes:?}", cuts.len() + 1);
            assert!(cuts.is_sorted_by(|a, b| a < b));
            assert!(cuts.iter().all(|&at| at > 0 && at < sizes.len()));
        }
    }
}
