//! The trees of a commit, by name.
//!
//! Every commit has a map of its own, which begins as a copy of the one before. Few trees are in
//! one list. Many are in several lists, which the maps of several commits share until one of them
//! changes.
//!
//! - G4 A commit that changes few trees costs the same beside many.

use crate::conc::Arc;
use crate::fault::{self, Fault};
use crate::sorted::Sorted;
use crate::tree::TreeState;

/// Most trees in one list.
const CHUNK_TREES_MAX: usize = 64;

type TreeList = Sorted<Arc<str>, Arc<TreeState>>;

/// The trees of a commit, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trees {
    /// Empty if there are chunks.
    few: TreeList,
    /// In the order of their keys; none is empty.
    chunks: Vec<Arc<TreeList>>,
}

impl Trees {
    /// Returns the index of the chunk that may hold a name.
    fn chunk_of(&self, name: &str) -> usize {
        let begins_before =
            |chunk: &Arc<TreeList>| chunk.keys().next().is_some_and(|it| **it <= *name);
        self.chunks.partition_point(begins_before).saturating_sub(1)
    }

    /// Returns the list that may hold a name.
    fn list(&self, name: &str) -> &TreeList {
        self.chunks.get(self.chunk_of(name)).map_or(&self.few, |chunk| chunk)
    }

    /// Returns the list that may hold a name, to change it.
    fn list_mut(&mut self, name: &str) -> &mut TreeList {
        let index = self.chunk_of(name);
        if fault::on(Fault::Fs41) {
            for chunk in &mut self.chunks {
                Arc::make_mut(chunk);
            }
        }
        self.chunks.get_mut(index).map_or(&mut self.few, Arc::make_mut)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<TreeState>> {
        self.list(name).get(name)
    }

    /// Returns name and tree.
    pub(crate) fn entry(&self, name: &str) -> Option<&(Arc<str>, Arc<TreeState>)> {
        self.list(name).entry(name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Arc<TreeState>> {
        self.list_mut(name).get_mut(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<TreeState>)> {
        self.few.iter().chain(self.chunks.iter().flat_map(|chunk| chunk.iter()))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        self.iter().map(|(name, _)| name)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Arc<TreeState>> {
        self.iter().map(|(_, tree)| tree)
    }

    /// Sets the tree of a name and returns the one it had.
    pub(crate) fn insert(
        &mut self,
        name: Arc<str>,
        tree: Arc<TreeState>,
    ) -> Option<Arc<TreeState>> {
        let index = self.chunk_of(&name);
        let list = self.list_mut(&name);
        let before = list.insert(name, tree);
        if list.len() > CHUNK_TREES_MAX {
            let halves = halves(std::mem::take(list)).map(Arc::new);
            let split = index..self.chunks.len().min(index + 1);
            self.chunks.splice(split, halves);
        }
        before
    }

    /// Removes a tree and returns it.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Arc<TreeState>> {
        // A list that does not hold the name stays shared.
        self.get(name)?;
        let index = self.chunk_of(name);
        let list = self.list_mut(name);
        let removed = list.remove(name);
        if list.is_empty() && index < self.chunks.len() {
            self.chunks.remove(index);
        }
        removed
    }
}

/// Divides a list into two.
fn halves(list: TreeList) -> [TreeList; 2] {
    let count = list.len() / 2;
    let mut all = list.into_iter();
    let first = all.by_ref().take(count).collect();
    [first, all.collect()]
}

impl FromIterator<(Arc<str>, Arc<TreeState>)> for Trees {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Arc<TreeState>)>>(trees: I) -> Self {
        let mut all = Self::default();
        trees.into_iter().for_each(|(name, tree)| drop(all.insert(name, tree)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(trees: &Trees) -> Vec<String> {
        assert!(trees.chunks.iter().all(|chunk| (1..=CHUNK_TREES_MAX).contains(&chunk.len())));
        assert!(trees.chunks.is_empty() || trees.few.is_empty());
        trees.keys().map(|name| name.to_string()).collect()
    }

    #[test]
    fn it_is_a_map_and_a_copy_stays_as_it_was() {
        let (mut trees, mut expected) = (Trees::default(), Vec::<String>::new());
        for number in 0..400_u32 {
            let name = format!("{:03}", number * 37 % 400);
            let (copy, before) = (trees.clone(), expected.clone());
            assert!(trees.insert(Arc::from(&*name), Arc::default()).is_none());
            assert!(trees.insert(Arc::from(&*name), Arc::default()).is_some());
            expected.push(name);
            expected.sort_unstable();
            assert_eq!((names(&trees), names(&copy)), (expected.clone(), before));
        }
        assert!(trees.get("17").is_none() && trees.entry("400").is_none());
        assert!(trees.get_mut("").is_none() && trees.remove("x").is_none());
        for number in 0..400_u32 {
            let name = format!("{:03}", number * 53 % 400);
            let (copy, before) = (trees.clone(), expected.clone());
            assert_eq!(trees.entry(&name).map(|(found, _)| &**found), Some(&*name));
            assert!(trees.get_mut(&name).is_some() && trees.remove(&name).is_some());
            expected.retain(|other| *other != name);
            assert_eq!((names(&trees), names(&copy)), (expected.clone(), before));
        }
        let all = (0..1000_u32).map(|number| (Arc::from(&*number.to_string()), Arc::default()));
        assert_eq!(names(&all.collect()).len(), 1000);
    }

    #[test]
    fn a_change_copies_one_chunk() {
        let all = (100..900_u32).map(|number| (Arc::from(&*number.to_string()), Arc::default()));
        let trees: Trees = all.collect();
        let mut changed = trees.clone();
        changed.insert(Arc::from("500"), Arc::default());
        let pairs = trees.chunks.iter().zip(&changed.chunks);
        assert_eq!(pairs.filter(|(one, other)| !Arc::ptr_eq(one, other)).count(), 1);
    }
}
