//! A set of pages, in memory proportional to its members and not to the file.

use crate::unit::PageId;
use std::collections::HashMap;

/// Bits of a word.
const WORD_PAGES: u64 = 64;

/// A set of pages. A file may be sparse, and long, so the set has no bit for an absent page.
#[derive(Debug, Default)]
pub(crate) struct PageSet {
    words: HashMap<u64, u64>,
    len: u64,
}

fn split(page: PageId) -> (u64, u64) {
    (page.0 / WORD_PAGES, 1 << (page.0 % WORD_PAGES))
}

impl PageSet {
    /// Adds a page and tells whether it was absent.
    pub(crate) fn insert(&mut self, page: PageId) -> bool {
        let (word, bit) = split(page);
        let word = self.words.entry(word).or_default();
        let is_new = *word & bit == 0;
        *word |= bit;
        self.len += u64::from(is_new);
        is_new
    }

    pub(crate) fn contains(&self, page: PageId) -> bool {
        let (word, bit) = split(page);
        self.words.get(&word).is_some_and(|word| word & bit != 0)
    }

    pub(crate) const fn len(&self) -> u64 {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_added_once() {
        let mut set = PageSet::default();
        for page in [0, 63, 64, u64::MAX] {
            assert!(!set.contains(PageId(page)));
            assert!(set.insert(PageId(page)));
            assert!(set.contains(PageId(page)));
            assert!(!set.insert(PageId(page)));
        }
        assert_eq!(set.len(), 4);
    }
}
