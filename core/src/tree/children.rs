//! The children of a branch, in order.
//!
//! A transaction copies the branches above its changes. The copy of a child reference counts a
//! reference in memory that is rarely in the cache, so the copies of a branch share chunks of
//! references until one of them changes.

use super::child_ref::ChildRef;
use crate::conc::Arc;
use std::ops::{Index, IndexMut};

/// References in a chunk; every chunk but the last is full.
const CHUNK_CHILDREN: usize = 8;

/// The children of a branch, in order: flat, as they were read or made, or in shared chunks, as
/// they were copied.
#[derive(Debug)]
pub(super) struct Children<N> {
    /// Empty if there are chunks.
    flat: Vec<ChildRef<N>>,
    chunks: Vec<Arc<[ChildRef<N>]>>,
}

impl<N> Default for Children<N> {
    fn default() -> Self {
        Self { flat: Vec::new(), chunks: Vec::new() }
    }
}

impl<N> Clone for Children<N> {
    fn clone(&self) -> Self {
        let chunks = match &*self.flat {
            [] => self.chunks.clone(),
            flat => flat.chunks(CHUNK_CHILDREN).map(Arc::from).collect(),
        };
        Self { flat: Vec::new(), chunks }
    }
}

impl<N> FromIterator<ChildRef<N>> for Children<N> {
    fn from_iter<I: IntoIterator<Item = ChildRef<N>>>(children: I) -> Self {
        Self { flat: children.into_iter().collect(), chunks: Vec::new() }
    }
}

impl<N> Index<usize> for Children<N> {
    type Output = ChildRef<N>;

    fn index(&self, index: usize) -> &ChildRef<N> {
        match self.flat.get(index) {
            Some(child) => child,
            None => &self.chunks[index / CHUNK_CHILDREN][index % CHUNK_CHILDREN],
        }
    }
}

impl<N> IndexMut<usize> for Children<N> {
    fn index_mut(&mut self, index: usize) -> &mut ChildRef<N> {
        let (chunk, at) = (index / CHUNK_CHILDREN, index % CHUNK_CHILDREN);
        match self.flat.get_mut(index) {
            Some(child) => child,
            None => &mut Arc::make_mut(&mut self.chunks[chunk])[at],
        }
    }
}

impl<N> Children<N> {
    pub(super) fn len(&self) -> usize {
        self.flat.len() + self.chunks.iter().map(|chunk| chunk.len()).sum::<usize>()
    }

    pub(super) fn get(&self, index: usize) -> Option<&ChildRef<N>> {
        let in_chunk = || self.chunks.get(index / CHUNK_CHILDREN)?.get(index % CHUNK_CHILDREN);
        self.flat.get(index).or_else(in_chunk)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &ChildRef<N>> {
        self.flat.iter().chain(self.chunks.iter().flat_map(|chunk| chunk.iter()))
    }

    /// Returns the children with some of them replaced, whose indices ascend.
    pub(super) fn with(&self, changes: Vec<(usize, ChildRef<N>)>) -> Self {
        let mut children = Vec::with_capacity(self.len());
        for (index, child) in changes {
            self.copy_to(index, &mut children);
            children.push(child);
        }
        self.copy_to(self.len(), &mut children);
        assert!(children.len() == self.len(), "T4: a child is lost or doubled");
        Self { flat: children, chunks: Vec::new() }
    }

    /// Continues a copy of the children until it has `count`.
    fn copy_to(&self, count: usize, copy: &mut Vec<ChildRef<N>>) {
        if self.chunks.is_empty() {
            return copy.extend_from_slice(&self.flat[copy.len()..count]);
        }
        while copy.len() < count {
            let (at, first) = (copy.len() / CHUNK_CHILDREN, copy.len() % CHUNK_CHILDREN);
            let chunk = &self.chunks[at];
            let last = chunk.len().min(first + count - copy.len());
            copy.extend_from_slice(&chunk[first..last]);
        }
    }

    /// Returns the references to nodes that are not written.
    pub(super) fn unwritten_mut(&mut self) -> impl Iterator<Item = &mut ChildRef<N>> {
        let chunks = self.chunks.iter_mut();
        let chunks = chunks.filter(|chunk| chunk.iter().any(ChildRef::is_unwritten));
        let children = self.flat.iter_mut().chain(chunks.flat_map(Arc::make_mut));
        children.filter(|child| child.is_unwritten())
    }

    pub(super) fn insert(&mut self, index: usize, child: ChildRef<N>) {
        self.flat_mut().insert(index, child);
    }

    pub(super) fn remove(&mut self, index: usize) -> ChildRef<N> {
        self.flat_mut().remove(index)
    }

    /// Removes the children from an index on and returns them.
    pub(super) fn split_off(&mut self, at: usize) -> Vec<ChildRef<N>> {
        self.flat_mut().split_off(at)
    }

    fn flat_mut(&mut self) -> &mut Vec<ChildRef<N>> {
        let chunks = self.chunks.iter_mut().flat_map(Arc::make_mut);
        self.flat.extend(chunks.map(std::mem::take));
        self.chunks.clear();
        &mut self.flat
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Seal;
    use crate::page::Pointer;
    use crate::unit::{CommitId, PageId};

    fn child(number: u64) -> ChildRef<()> {
        ChildRef::stored(Pointer { page: PageId(number), birth: CommitId(1), seal: Seal([0; 16]) })
    }

    fn pages(children: &Children<()>) -> Vec<u64> {
        let pages: Vec<u64> = children.iter().map(|child| child.pointer.unwrap().page.0).collect();
        let at = |index: usize| children[index].pointer.unwrap().page.0;
        assert_eq!((0..children.len()).map(at).collect::<Vec<_>>(), pages);
        assert!(children.get(children.len()).is_none());
        pages
    }

    #[test]
    fn it_is_a_list_and_a_copy_stays_as_it_was() {
        let mut children = Children::<()>::default();
        let mut list = Vec::new();
        for number in 0..100_u64 {
            let index = usize::try_from(number * 37 % (number + 1)).unwrap();
            let (copy, before) = (children.clone(), list.clone());
            children.insert(index, child(number));
            list.insert(index, number);
            assert_eq!((pages(&children), pages(&copy)), (list.clone(), before));
        }
        for at in [100, 99, 72, 65, 64, 63, 8, 7, 1, 0] {
            let mut left = children.clone();
            let right: Children<()> = left.split_off(at).into_iter().collect();
            assert_eq!((pages(&left), pages(&right)), (list[..at].to_vec(), list[at..].to_vec()));
        }
        for mut changed in [children.clone(), children.iter().cloned().collect()] {
            let places = [0, 7, 8, 9, 40, 99];
            let other = changed.with(places.map(|place| (place, child(2000))).into());
            assert_eq!(pages(&changed), list);
            places.into_iter().for_each(|place| changed[place] = child(2000));
            assert_eq!(pages(&other), pages(&changed));
        }
        children[50] = child(1000);
        list[50] = 1000;
        while !list.is_empty() {
            let index = list.len() * 37 % list.len().max(1);
            let copy = children.clone();
            assert_eq!(children.remove(index).pointer.unwrap().page.0, list.remove(index));
            assert_eq!((pages(&children), copy.len()), (list.clone(), list.len() + 1));
        }
    }
}
