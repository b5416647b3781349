//! A list that stands within its owner as long as it is short: who has waited for the owner to come
//! from memory need not wait for the list.

use crate::codec::u16_len;
use std::ops::{Deref, DerefMut};

/// A list of up to `N` elements in place, or of any number elsewhere.
// The length stands before the elements, in the cache line of the first of them.
#[repr(u8)]
#[derive(Debug)]
pub(super) enum Near<T, const N: usize> {
    Here(u16, [T; N]),
    Elsewhere(Vec<T>),
}

impl<T: Copy, const N: usize> Clone for Near<T, N> {
    // What copies a node writes its elements where they are to be, once.
    #[inline(always)]
    fn clone(&self) -> Self {
        match self {
            Self::Here(len, elements) => Self::Here(*len, *elements),
            Self::Elsewhere(elements) => {
                // Who copies adds something next.
                let mut copy = Vec::with_capacity(elements.len() + N / 8);
                copy.extend_from_slice(elements);
                Self::Elsewhere(copy)
            }
        }
    }
}

impl<T: Copy + Default, const N: usize> Default for Near<T, N> {
    fn default() -> Self {
        Self::Here(0, [T::default(); N])
    }
}

impl<T, const N: usize> Deref for Near<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Here(len, elements) => &elements[..usize::from(*len)],
            Self::Elsewhere(elements) => elements,
        }
    }
}

impl<T, const N: usize> DerefMut for Near<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Here(len, elements) => &mut elements[..usize::from(*len)],
            Self::Elsewhere(elements) => elements,
        }
    }
}

impl<T, const N: usize> Near<T, N> {
    /// Holds as many elements as have room in place.
    pub(super) fn full(elements: [T; N]) -> Self {
        Self::Here(u16_len(N), elements)
    }
}

impl<T: Copy + Default, const N: usize> Near<T, N> {
    /// Moves the elements to where there is room for more, which `add` adds.
    fn move_out(&mut self, more: usize, add: impl FnOnce(&mut Vec<T>)) {
        let mut elements = Vec::with_capacity(2 * (self.len() + more));
        elements.extend_from_slice(self);
        add(&mut elements);
        *self = Self::Elsewhere(elements);
    }

    pub(super) fn extend_from_slice(&mut self, new: &[T]) {
        self.extend_from_parts([new]);
    }

    /// Appends several slices at once.
    #[inline]
    pub(super) fn extend_from_parts<const P: usize>(&mut self, parts: [&[T]; P]) {
        let more: usize = parts.iter().map(|part| part.len()).sum();
        match self {
            Self::Here(len, elements) if usize::from(*len) + more <= N => {
                let mut rest = &mut elements[usize::from(*len)..][..more];
                for part in parts {
                    let (room, behind) = rest.split_at_mut(part.len());
                    room.copy_from_slice(part);
                    rest = behind;
                }
                *len += u16_len(more);
            }
            Self::Elsewhere(elements) => {
                parts.into_iter().for_each(|part| elements.extend_from_slice(part));
            }
            Self::Here(..) => self.move_out(more, |elements| {
                parts.into_iter().for_each(|part| elements.extend_from_slice(part));
            }),
        }
    }

    pub(super) fn insert(&mut self, index: usize, element: T) {
        match self {
            Self::Here(len, elements) if usize::from(*len) < N => {
                let end = usize::from(*len);
                // Keys often come in order.
                if index < end {
                    elements.copy_within(index..end, index + 1);
                }
                elements[..=end][index] = element;
                *len += 1;
            }
            Self::Elsewhere(elements) => elements.insert(index, element),
            Self::Here(..) => self.move_out(1, |elements| elements.insert(index, element)),
        }
    }

    pub(super) fn remove(&mut self, index: usize) -> T {
        let element = self[index];
        self.copy_within(index + 1.., index);
        self.truncate(self.len() - 1);
        element
    }

    /// Lets the elements from an index on go, and stands in place again if it can.
    pub(super) fn truncate(&mut self, count: usize) {
        match self {
            Self::Here(len, _) => *len = u16_len(count),
            Self::Elsewhere(elements) if count > N => elements.truncate(count),
            Self::Elsewhere(elements) => {
                let mut list = Self::default();
                list.extend_from_slice(&elements[..count]);
                *self = list;
            }
        }
    }
}

impl<T: Copy + Default, const N: usize> FromIterator<T> for Near<T, N> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut elements = elements.into_iter();
        let (mut near, mut len) = ([T::default(); N], 0);
        for (place, element) in near.iter_mut().zip(elements.by_ref()) {
            *place = element;
            len += 1;
        }
        let mut list = Self::Here(u16_len(len), near);
        elements.for_each(|element| list.extend_from_slice(&[element]));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_list_wherever_it_stands() {
        let mut near = Near::<u32, 8>::default();
        let mut list = Vec::new();
        for number in 0..20_u32 {
            let index = (number as usize * 7) % (list.len() + 1);
            near.insert(index, number);
            list.insert(index, number);
            assert_eq!((&*near, matches!(near, Near::Here(..))), (&*list, list.len() <= 8));
        }
        near[3] = 99;
        list[3] = 99;
        while list.len() > 1 {
            let index = list.len() * 7 % list.len();
            assert_eq!(near.remove(index), list.remove(index));
            assert_eq!((&*near, matches!(near, Near::Here(..))), (&*list, list.len() <= 8));
        }
        near.extend_from_slice(&[1; 7]);
        assert!(matches!(near, Near::Here(8, _)));
        near.extend_from_slice(&[2; 7]);
        assert_eq!(near[7..], [1, 2, 2, 2, 2, 2, 2, 2]);
        assert_eq!(*near, *near.iter().copied().collect::<Near<u32, 8>>());
        near.truncate(2);
        assert!(matches!(near, Near::Here(2, _)));
    }
}
