//! Fitting: giving the nodes that a transaction changed the size of a page, once, before they are
//! written.
//!
//! Until then a node may grow to several pages, or become nearly empty. Cut evenly into as few as
//! hold it, the pages of a load in any order are fuller than if each had been split when it was
//! full; neighbours that a removal left low become fewer.

use super::edit::{Part, TreeEdit};
use super::link::Link;
use super::{Cache, Node};
use crate::page::{NODE_CAPACITY, branch_cell_bytes};

impl TreeEdit {
    /// Makes every changed node fit its page (T3), and changed neighbours that are low fewer.
    pub(crate) fn fit(&mut self, cache: &Cache) {
        if let Some(root) = &mut self.root
            && root.pointer.is_none()
        {
            root.own().gather_low();
        }
        self.cut(cache);
        self.lower();
    }

    /// Makes every changed node fit its page (T3); they only become more.
    pub(crate) fn cut(&mut self, cache: &Cache) {
        while let Some(root) = &mut self.root
            && root.pointer.is_none()
        {
            let parts = root.own().cut(cache);
            if parts.is_empty() {
                return;
            }
            self.grow(parts, cache);
        }
    }
}

impl Node {
    /// Returns what each cell takes in a page.
    pub(super) fn sizes(&self) -> Vec<usize> {
        let indices = 0..self.count();
        if self.level() == 0 {
            return indices.map(|index| self.cell_bytes(index)).collect();
        }
        indices.map(|index| branch_cell_bytes(self.key(index).len())).collect()
    }

    /// Cuts the nodes below, then cuts this one; returns what was cut off to its right.
    fn cut(&mut self, cache: &Cache) -> Vec<Part> {
        if self.level() > 0 {
            self.cut_children(cache);
        }
        if self.used <= NODE_CAPACITY {
            return Vec::new();
        }
        let cuts = cuts(&self.sizes());
        if self.level() == 0 {
            return self.cut_leaf(&cuts, cache);
        }
        let mut parts: Vec<Part> =
            cuts.into_iter().rev().map(|at| self.cut_branch(at, cache)).collect();
        parts.reverse();
        parts
    }

    fn cut_children(&mut self, cache: &Cache) {
        let mut cut = Vec::new();
        for index in 0..self.links.len() {
            let link = &self.links[index];
            if link.pointer.is_none() && link.peek().is_some_and(|child| child.may_be_cut()) {
                let parts = self.links[index].own().cut(cache);
                if !parts.is_empty() {
                    cut.push((index, parts));
                }
            }
        }
        if cut.is_empty() {
            return;
        }
        // All anew: to make room for each in turn would move all behind it each time.
        let (all, mut cut) = (self.disown_all(), cut.into_iter().peekable());
        self.adopt_all(all.into_iter().enumerate().flat_map(|(index, child)| {
            let parts = cut.next_if(|(of, _)| *of == index).into_iter().flat_map(|(_, it)| it);
            let parts = parts.map(|(key, part)| (key, Link::fresh(part)));
            std::iter::once(child).chain(parts)
        }));
    }

    const fn may_be_cut(&self) -> bool {
        self.level() > 0 || self.used > NODE_CAPACITY
    }

    /// Puts changed neighbours together, on every level below, where that makes them a third fewer.
    fn gather_low(&mut self) {
        let fresh = |link: &Link| link.pointer.is_none();
        if self.level() > 1 {
            self.links.fresh_mut().for_each(|link| link.own().gather_low());
        }
        let mut start = 0;
        while start < self.links.len() {
            let run = self.links.iter().skip(start).take_while(|link| fresh(link)).count();
            let used = |link: &Link| link.peek().map_or(0, |node| node.used);
            let bytes: usize = self.links.iter().skip(start).take(run).map(used).sum();
            if run > 1 && bytes.div_ceil(NODE_CAPACITY) * 3 <= run * 2 {
                self.gather(start, run);
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
        // The cell goes to the part that its middle lies in.
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
