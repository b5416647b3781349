//! The links of a branch to its children, in order.
//!
//! A transaction copies the branches above what it changes. To copy a link counts a reference, in
//! memory that is rarely near, so a copy is made of parts that its own copies share until one of
//! them changes.

use super::link::Link;
use crate::conc::Arc;
use std::ops::{Index, IndexMut};

/// Links in a part; every part but the last is full.
const PART_LINKS: usize = 8;

/// The links of a branch to its children, in order: whole, as they were read or made, or in parts,
/// as they were copied.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// Empty if there are parts.
    whole: Vec<Link>,
    parts: Vec<Arc<[Link]>>,
}

impl Clone for Links {
    fn clone(&self) -> Self {
        let parts = match &*self.whole {
            [] => self.parts.clone(),
            whole => whole.chunks(PART_LINKS).map(Arc::from).collect(),
        };
        Self { whole: Vec::new(), parts }
    }
}

impl FromIterator<Link> for Links {
    fn from_iter<I: IntoIterator<Item = Link>>(links: I) -> Self {
        Self { whole: links.into_iter().collect(), parts: Vec::new() }
    }
}

impl Index<usize> for Links {
    type Output = Link;

    fn index(&self, index: usize) -> &Link {
        match self.whole.get(index) {
            Some(link) => link,
            None => &self.parts[index / PART_LINKS][index % PART_LINKS],
        }
    }
}

impl IndexMut<usize> for Links {
    fn index_mut(&mut self, index: usize) -> &mut Link {
        match self.whole.get_mut(index) {
            Some(link) => link,
            None => &mut Arc::make_mut(&mut self.parts[index / PART_LINKS])[index % PART_LINKS],
        }
    }
}

impl Links {
    pub(super) fn len(&self) -> usize {
        self.whole.len() + self.parts.iter().map(|part| part.len()).sum::<usize>()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Link> {
        let in_part = || self.parts.get(index / PART_LINKS)?.get(index % PART_LINKS);
        self.whole.get(index).or_else(in_part)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Link> {
        self.whole.iter().chain(self.parts.iter().flat_map(|part| part.iter()))
    }

    /// Returns the links, but for some that are others now, which come in order.
    pub(super) fn with(&self, changes: Vec<(usize, Link)>) -> Self {
        let mut links = Vec::with_capacity(self.len());
        for (index, link) in changes {
            self.copy_to(index, &mut links);
            links.push(link);
        }
        self.copy_to(self.len(), &mut links);
        Self { whole: links, parts: Vec::new() }
    }

    /// Copies links to `copy`, which has those before, until it has `count`.
    fn copy_to(&self, count: usize, copy: &mut Vec<Link>) {
        if self.parts.is_empty() {
            return copy.extend_from_slice(&self.whole[copy.len()..count]);
        }
        while copy.len() < count {
            let (part, first) = (&self.parts[copy.len() / PART_LINKS], copy.len() % PART_LINKS);
            let last = part.len().min(first + count - copy.len());
            copy.extend_from_slice(&part[first..last]);
        }
    }

    /// Returns the links to nodes that are not written.
    pub(super) fn fresh_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        let fresh = |link: &Link| link.pointer.is_none();
        let parts = self.parts.iter_mut().filter(move |part| part.iter().any(fresh));
        let links = self.whole.iter_mut().chain(parts.flat_map(Arc::make_mut));
        links.filter(move |link| fresh(link))
    }

    pub(super) fn insert(&mut self, index: usize, link: Link) {
        self.whole().insert(index, link);
    }

    pub(super) fn remove(&mut self, index: usize) -> Link {
        self.whole().remove(index)
    }

    /// Takes out the links from an index on.
    pub(super) fn split_off(&mut self, at: usize) -> Vec<Link> {
        self.whole().split_off(at)
    }

    fn whole(&mut self) -> &mut Vec<Link> {
        let parts = self.parts.iter_mut().flat_map(Arc::make_mut);
        self.whole.extend(parts.map(std::mem::take));
        self.parts.clear();
        &mut self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Seal;
    use crate::page::Pointer;
    use crate::unit::{CommitId, PageId};

    fn link(number: u64) -> Link {
        Link::stored(Pointer { page: PageId(number), birth: CommitId(1), seal: Seal([0; 16]) })
    }

    fn pages(links: &Links) -> Vec<u64> {
        let pages: Vec<u64> = links.iter().map(|link| link.pointer.unwrap().page.0).collect();
        let at = |index: usize| links[index].pointer.unwrap().page.0;
        assert_eq!((0..links.len()).map(at).collect::<Vec<_>>(), pages);
        assert!(links.get(links.len()).is_none());
        pages
    }

    #[test]
    fn it_is_a_list_and_a_copy_stays_as_it_was() {
        let mut links = Links::default();
        let mut list = Vec::new();
        for number in 0..100_u64 {
            let index = usize::try_from(number * 37 % (number + 1)).unwrap();
            let (copy, before) = (links.clone(), list.clone());
            links.insert(index, link(number));
            list.insert(index, number);
            assert_eq!((pages(&links), pages(&copy)), (list.clone(), before));
        }
        for at in [100, 99, 72, 65, 64, 63, 8, 7, 1, 0] {
            let mut left = links.clone();
            let right: Links = left.split_off(at).into_iter().collect();
            assert_eq!((pages(&left), pages(&right)), (list[..at].to_vec(), list[at..].to_vec()));
        }
        for mut changed in [links.clone(), links.iter().cloned().collect()] {
            let places = [0, 7, 8, 9, 40, 99];
            let other = changed.with(places.map(|place| (place, link(2000))).into());
            assert_eq!(pages(&changed), list);
            places.into_iter().for_each(|place| changed[place] = link(2000));
            assert_eq!(pages(&other), pages(&changed));
        }
        links[50] = link(1000);
        list[50] = 1000;
        while !list.is_empty() {
            let index = list.len() * 37 % list.len().max(1);
            let copy = links.clone();
            assert_eq!(links.remove(index).pointer.unwrap().page.0, list.remove(index));
            assert_eq!((pages(&links), copy.len()), (list.clone(), list.len() + 1));
        }
    }
}
