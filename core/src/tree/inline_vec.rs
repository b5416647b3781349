//! Small-vector storage: a short list is inline in its owner, which saves a cache miss.

use crate::codec::u16_len;
use std::ops::{Deref, DerefMut};

/// A list of up to `N` elements inline, or of any number on the heap.
// The length comes before the elements, in the cache line of the first of them.
#[repr(u8)]
#[derive(Debug)]
pub(super) enum InlineVec<T, const N: usize> {
    Inline(u16, [T; N]),
    Heap(Vec<T>),
}

/// Returns the capacity of a copy, which is made to be changed: it has room for more.
const fn copy_capacity<const N: usize>(len: usize) -> usize {
    len + N / 8
}

impl<T: Copy, const N: usize> Clone for InlineVec<T, N> {
    // Inlined, so that the copy of a node writes the elements to their final address once.
    #[inline(always)]
    fn clone(&self) -> Self {
        match self {
            Self::Inline(len, elements) => Self::Inline(*len, *elements),
            Self::Heap(elements) => {
                let mut copy = Vec::with_capacity(copy_capacity::<N>(elements.len()));
                copy.extend_from_slice(elements);
                Self::Heap(copy)
            }
        }
    }
}

impl<T: Copy + Default, const N: usize> Default for InlineVec<T, N> {
    fn default() -> Self {
        Self::Inline(0, [T::default(); N])
    }
}

impl<T, const N: usize> Deref for InlineVec<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Inline(len, elements) => &elements[..usize::from(*len)],
            Self::Heap(elements) => elements,
        }
    }
}

impl<T, const N: usize> DerefMut for InlineVec<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Inline(len, elements) => &mut elements[..usize::from(*len)],
            Self::Heap(elements) => elements,
        }
    }
}

impl<T, const N: usize> InlineVec<T, N> {
    /// Returns the bytes of memory that it takes beside its owner.
    pub(super) const fn heap_bytes(&self) -> usize {
        match self {
            Self::Inline(..) => 0,
            Self::Heap(elements) => elements.capacity() * size_of::<T>(),
        }
    }

    /// Returns the bytes of memory that a copy of it takes beside its owner.
    pub(super) const fn copy_heap_bytes(&self) -> usize {
        match self {
            Self::Inline(..) => 0,
            Self::Heap(elements) => copy_capacity::<N>(elements.len()) * size_of::<T>(),
        }
    }

    /// Holds as many elements as fit inline.
    pub(super) fn full(elements: [T; N]) -> Self {
        Self::Inline(u16_len(N), elements)
    }
}

impl<T: Copy + Default, const N: usize> InlineVec<T, N> {
    /// Moves the elements to the heap, where there is room for `more`, which `add` adds.
    fn spill(&mut self, more: usize, add: impl FnOnce(&mut Vec<T>)) {
        let mut elements = Vec::with_capacity(2 * (self.len() + more));
        elements.extend_from_slice(self);
        add(&mut elements);
        *self = Self::Heap(elements);
    }

    pub(super) fn extend_from_slice(&mut self, new: &[T]) {
        self.extend_from_parts([new]);
    }

    /// Appends several slices at once.
    #[inline]
    pub(super) fn extend_from_parts<const P: usize>(&mut self, parts: [&[T]; P]) {
        let more: usize = parts.iter().map(|part| part.len()).sum();
        match self {
            Self::Inline(len, elements) if usize::from(*len) + more <= N => {
                let mut rest = &mut elements[usize::from(*len)..][..more];
                for part in parts {
                    let (room, behind) = rest.split_at_mut(part.len());
                    room.copy_from_slice(part);
                    rest = behind;
                }
                *len += u16_len(more);
            }
            Self::Heap(elements) => {
                parts.into_iter().for_each(|part| elements.extend_from_slice(part));
            }
            Self::Inline(..) => self.spill(more, |elements| {
                parts.into_iter().for_each(|part| elements.extend_from_slice(part));
            }),
        }
    }

    pub(super) fn insert(&mut self, index: usize, element: T) {
        match self {
            Self::Inline(len, elements) if usize::from(*len) < N => {
                let end = usize::from(*len);
                // Keys often come in order.
                if index < end {
                    elements.copy_within(index..end, index + 1);
                }
                elements[..=end][index] = element;
                *len += 1;
            }
            Self::Heap(elements) => elements.insert(index, element),
            Self::Inline(..) => self.spill(1, |elements| elements.insert(index, element)),
        }
    }

    pub(super) fn remove(&mut self, index: usize) -> T {
        let element = self[index];
        self.copy_within(index + 1.., index);
        self.truncate(self.len() - 1);
        element
    }

    /// Drops the elements from an index on; the rest moves back inline if it fits.
    pub(super) fn truncate(&mut self, count: usize) {
        match self {
            Self::Inline(len, _) => {
                assert!(count <= usize::from(*len), "T3: {len} elements are cut to {count}");
                *len = u16_len(count);
            }
            Self::Heap(elements) if count > N => elements.truncate(count),
            Self::Heap(elements) => {
                let mut list = Self::default();
                list.extend_from_slice(&elements[..count]);
                *self = list;
            }
        }
    }
}

impl<T: Copy + Default, const N: usize> FromIterator<T> for InlineVec<T, N> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut elements = elements.into_iter();
        let (mut inline, mut len) = ([T::default(); N], 0);
        for (slot, element) in inline.iter_mut().zip(elements.by_ref()) {
            *slot = element;
            len += 1;
        }
        let mut list = Self::Inline(u16_len(len), inline);
        elements.for_each(|element| list.extend_from_slice(&[element]));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_list_inline_and_in_the_heap() {
        let mut short = InlineVec::<u32, 8>::default();
        let mut list = Vec::new();
        for number in 0..20_u32 {
            let index = (number as usize * 7) % (list.len() + 1);
            short.insert(index, number);
            list.insert(index, number);
            assert_eq!(
                (&*short, matches!(short, InlineVec::Inline(..))),
                (&*list, list.len() <= 8)
            );
        }
        short[3] = 99;
        list[3] = 99;
        while list.len() > 1 {
            let index = list.len() * 7 % list.len();
            assert_eq!(short.remove(index), list.remove(index));
            assert_eq!(
                (&*short, matches!(short, InlineVec::Inline(..))),
                (&*list, list.len() <= 8)
            );
        }
        short.extend_from_slice(&[1; 7]);
        assert!(matches!(short, InlineVec::Inline(8, _)));
        short.extend_from_slice(&[2; 7]);
        assert_eq!(short[7..], [1, 2, 2, 2, 2, 2, 2, 2]);
        assert_eq!(*short, *short.iter().copied().collect::<InlineVec<u32, 8>>());
        short.truncate(2);
        assert!(matches!(short, InlineVec::Inline(2, _)));
    }
}
