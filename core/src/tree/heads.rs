//! Key heads: the first bytes of a node's keys, dense, so that a search touches few cache lines.

use super::inline_vec::InlineVec;
use crate::fault::{self, Fault};

/// Keys whose heads and offsets are inline in the node.
pub(super) const INLINE_KEYS: usize = 48;

/// The common prefix of a node's keys, and the four bytes after it of each key.
// In the order in which a search needs them.
#[repr(C)]
#[derive(Clone, Debug, Default)]
pub(super) struct Heads {
    /// The first eight bytes of the prefix, and the mask of those bits.
    prefix_head: u64,
    prefix_mask: u64,
    prefix: InlineVec<u8, 28>,
    /// Big-endian and padded with zeros, so that their order never contradicts that of the keys.
    heads: InlineVec<u32, INLINE_KEYS>,
}

fn head(key: &[u8]) -> u32 {
    match key.first_chunk() {
        Some(bytes) => u32::from_be_bytes(*bytes),
        None => (0..4).fold(0, |head, i| head << 8 | u32::from(key.get(i).copied().unwrap_or(0))),
    }
}

fn long_head(key: &[u8]) -> u64 {
    u64::from(head(key)) << 32 | u64::from(head(key.get(4..).unwrap_or_default()))
}

impl Heads {
    /// Takes keys in order.
    pub(super) fn new<'k>(keys: impl DoubleEndedIterator<Item = &'k [u8]> + Clone) -> Self {
        let (low, high) = (keys.clone().next(), keys.clone().next_back());
        let (low, high) = (low.unwrap_or_default(), high.unwrap_or_default());
        // Keys ascend, so the common prefix of the first and the last is common to all.
        let common = low.iter().zip(high).take_while(|(a, b)| a == b).count();
        let heads = keys.map(|key| head(&key[common..])).collect();
        let mut prefix = InlineVec::default();
        prefix.extend_from_slice(&low[..common]);
        let bits = u32::try_from(8 * common.min(8)).unwrap_or(64);
        let prefix_mask = u64::MAX.checked_shl(64 - bits).unwrap_or(0);
        Self { prefix_head: long_head(&prefix), prefix_mask, prefix, heads }
    }

    /// Returns the key without the prefix, if the key begins with it.
    fn rest<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        // The common case fits into a register and takes no call.
        if self.prefix.len() <= 8 && key.len() >= 8 {
            let same = (long_head(key) ^ self.prefix_head) & self.prefix_mask == 0;
            return same.then(|| &key[self.prefix.len()..]);
        }
        key.strip_prefix(&*self.prefix)
    }

    /// Inserts the head of a key; `false` if the key does not share the common prefix, and the
    /// heads must be rebuilt.
    #[must_use]
    pub(super) fn insert(&mut self, index: usize, key: &[u8]) -> bool {
        let Some(rest) = self.rest(key) else { return false };
        self.heads.insert(index, head(rest));
        true
    }

    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    /// Returns the bytes of memory beside the node.
    pub(super) const fn heap_bytes(&self) -> usize {
        self.prefix.heap_bytes() + self.heads.heap_bytes()
    }

    /// Returns the bytes of memory beside a copy of the node.
    pub(super) const fn copy_heap_bytes(&self) -> usize {
        self.prefix.copy_heap_bytes() + self.heads.copy_heap_bytes()
    }

    /// Removes the head of a key.
    pub(super) fn remove(&mut self, index: usize) {
        self.heads.remove(index);
    }

    /// Tells, from its head alone, whether a key is greater than all.
    pub(super) fn ends_before(&self, key: &[u8]) -> bool {
        let (last, rest) = (self.heads.last(), self.rest(key));
        last.zip(rest).is_some_and(|(last, rest)| *last < head(rest)) && !fault::on(Fault::Bt07)
    }

    /// Returns the range of indices that a key can have: the keys before the range are less, and
    /// the keys behind it are greater.
    pub(super) fn candidates(&self, key: &[u8]) -> (usize, usize) {
        let count = self.heads.len();
        let Some(rest) = self.rest(key) else {
            return if *key < *self.prefix { (0, 0) } else { (count, count) };
        };
        let wanted = head(rest);
        if count > INLINE_KEYS {
            let low = self.heads.partition_point(|&head| head < wanted);
            let same = self.heads[low..].iter().take_while(|&&head| head == wanted).count();
            return (low, low + same);
        }
        // A linear scan of few heads takes no branches, and a processor vectorises it.
        let (mut low, mut high) = (0, 0);
        for head in &*self.heads {
            low += u32::from(*head < wanted);
            high += u32::from(*head <= wanted);
        }
        (low as usize, high as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_candidates_hold_the_key_or_its_place() {
        let sets: [&[&[u8]]; 7] = [
            &[b"", b"\0", b"\0\0", b"a", b"a\0", b"ab"],
            &[b"user:0001", b"user:0002", b"user:00020", b"user:9"],
            &[b"prefix-one-long-a", b"prefix-one-long-b", b"prefix-one-long-b\xff"],
            &[
                b"\x7f",
                b"\x80",
                b"\xff\xff\xff\xff\xff\xff\xff\xff",
                b"\xff\xff\xff\xff\xff\xff\xff\xff\0",
            ],
            &[b"only"],
            &[b"ninebytes", b"ninebytes\0more", b"ninebytes\x01"],
            &[b"eight000", b"eight0001", b"eight000\xff"],
        ];
        let probes = sets.concat();
        for keys in sets {
            for whole in 0..keys.len() {
                let mut heads = Heads::new(keys[..whole].iter().copied());
                for (index, key) in keys.iter().enumerate().skip(whole) {
                    if !heads.insert(index, key) {
                        heads = Heads::new(keys[..=index].iter().copied());
                    }
                }
                for probe in &probes {
                    let (low, high) = heads.candidates(probe);
                    let place = keys.partition_point(|key| key < probe);
                    assert!(low <= place && place <= high, "{probe:?} in {keys:?}");
                    let found = keys.get(place) == Some(probe);
                    assert!(!found || place < high, "{probe:?} in {keys:?}");
                }
            }
        }
    }

    #[test]
    fn a_key_is_found_among_many_as_among_few() {
        for count in [INLINE_KEYS, INLINE_KEYS + 1, 4 * INLINE_KEYS] {
            // Each head three times.
            let keys: Vec<[u8; 8]> = (0..count)
                .map(|number| {
                    let [a, b, ..] = (number / 3 * 5).to_le_bytes();
                    [b'k', b, a, 7, 7, 7, 7, u8::try_from(number % 3).unwrap()]
                })
                .collect();
            let heads = Heads::new(keys.iter().map(|key| &key[..]));
            for (index, key) in keys.iter().enumerate() {
                let (low, high) = heads.candidates(&key[..]);
                assert!((low..high).contains(&index), "{index} of {count}: {low} to {high}");
                let (low, high) = heads.candidates(&[&key[..], &[0]].concat());
                assert!((low..=high).contains(&(index + 1)), "{index} of {count}");
            }
        }
    }
}
