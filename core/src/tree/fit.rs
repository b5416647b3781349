//! Fitting: cutting the nodes that outgrew their page, once, when a transaction ends.
//!
//! Until then a node may grow to several pages. Cut evenly into as few as hold it, the pages of a
//! load in any order are fuller than if each had been split when it was full.

use super::edit::{BranchCell, Dirty, DirtyBranch, DirtyLeaf, LeafCell, Link, TreeEdit, separator};
use crate::page::{NODE_CAPACITY, branch_cell_bytes};

/// A node cut off, with the least key it may hold.
type Part = (Box<[u8]>, Dirty);

impl TreeEdit {
    /// Makes every changed node fit its page (T3).
    pub(crate) fn fit(&mut self) {
        while let Some(Link::Dirty(root)) = &mut self.root {
            let parts = root.fit();
            if parts.is_empty() {
                return;
            }
            let level = root.level() + 1;
            let Some(first) = self.root.take() else { return };
            let first = BranchCell { key: Box::default(), link: first };
            let cells = std::iter::once(first).chain(parts.into_iter().map(BranchCell::of_part));
            let branch = DirtyBranch::of_cells(level, cells.collect());
            self.root = Some(Link::Dirty(Box::new(Dirty::Branch(branch))));
        }
    }
}

impl BranchCell {
    fn of_part((key, node): Part) -> Self {
        Self { key, link: Link::Dirty(Box::new(node)) }
    }
}

impl Dirty {
    /// Cuts this node and those below; returns what was cut off to the right of this one.
    fn fit(&mut self) -> Vec<Part> {
        match self {
            Self::Leaf(leaf) => leaf.cut(),
            Self::Branch(branch) => {
                branch.fit_children();
                branch.cut()
            }
        }
    }
}

impl DirtyLeaf {
    fn cut(&mut self) -> Vec<Part> {
        let sizes: Vec<_> = self.cells.iter().map(LeafCell::bytes).collect();
        let mut parts = Vec::new();
        for at in cuts(&sizes).into_iter().rev() {
            let cells = self.cells.split_off(at);
            let bytes = cells.iter().map(LeafCell::bytes).sum();
            self.bytes -= bytes;
            let key = separator(&self.cells[at - 1].key, &cells[0].key);
            parts.push((key, Dirty::Leaf(Self { cells, bytes })));
        }
        parts.reverse();
        parts
    }
}

impl DirtyBranch {
    pub(super) fn of_cells(level: u8, cells: Vec<BranchCell>) -> Self {
        let bytes = cells.iter().map(|cell| branch_cell_bytes(cell.key.len())).sum();
        Self { level, cells, bytes }
    }

    fn fit_children(&mut self) {
        let cells = std::mem::take(&mut self.cells);
        for mut cell in cells {
            let parts = match &mut cell.link {
                Link::Dirty(child) => child.fit(),
                Link::Clean { .. } => Vec::new(),
            };
            self.cells.push(cell);
            for part in parts {
                self.bytes += branch_cell_bytes(part.0.len());
                self.cells.push(BranchCell::of_part(part));
            }
        }
    }

    fn cut(&mut self) -> Vec<Part> {
        let sizes: Vec<_> =
            self.cells.iter().map(|cell| branch_cell_bytes(cell.key.len())).collect();
        let mut parts = Vec::new();
        for at in cuts(&sizes).into_iter().rev() {
            let mut cells = self.cells.split_off(at);
            let key = std::mem::take(&mut cells[0].key);
            let part = Self::of_cells(self.level, cells);
            self.bytes -= part.bytes + key.len();
            parts.push((key, Dirty::Branch(part)));
        }
        parts.reverse();
        parts
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
