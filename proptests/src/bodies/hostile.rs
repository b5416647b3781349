//! Seeds of hostile files: pages that many places lead to, values that share pages, and a file that
//! is sparse and claims to be long.

use super::sparse::Image;
use fastness::PAGE_BYTES;

/// Kinds of pages, at their place in a page.
const KIND_AT: usize = 16;
const KIND_LEAF: u8 = 1;
const KIND_BRANCH: u8 = 2;
const KIND_OVERFLOW: u8 = 3;
/// Places of the number of the commit in a slot, and of the last one in the head of a log page.
const HEAD_COMMIT_AT: usize = 8;
const COMMIT_AT: usize = 16;
/// Places of the numbers of commits in the first page of a record: the last, the first, and the
/// last durable one.
const RECORD_COMMITS_AT: [usize; 3] = [COMMIT_AT, 32, 40];
/// Place of the number of pages in a slot.
const PAGE_COUNT_AT: usize = 24;
const POINTER_BYTES: usize = 28;
/// Set in the length of a value that is out of line.
const STORED: u32 = 1 << 31;

/// Data of a full overflow page.
const OVERFLOW_BYTES: usize = 4044;

/// Levels of branches above the shared leaf, and children of each.
const LEVELS: u8 = 8;
const CHILDREN: u16 = 100;

/// Makes `leaf`, the root of a tree, the top of branches whose children are all one page: a scan
/// would visit the leaf 100 to the power of 8 times.
///
/// # Panics
/// If the image has too few overflow pages for the branches.
pub(super) fn share_pages(image: &mut Image, leaf: usize) {
    let spare: Vec<_> = pages_of(image, KIND_OVERFLOW).take(usize::from(LEVELS)).collect();
    assert_eq!(spare.len(), usize::from(LEVELS), "the image has long values");
    put(image, spare[0], &leaf_of_short_values());
    for level in 1..=LEVELS {
        let below = spare[usize::from(level) - 1];
        let page = spare.get(usize::from(level)).copied().unwrap_or(leaf);
        put(image, page, &branch(level, below));
    }
}

/// Makes a leaf whose values are all in one chain, of all overflow pages: together they are many
/// times longer than the file.
///
/// # Panics
/// If the image has no leaf or no overflow page.
pub(super) fn share_values(image: &mut Image) {
    let leaf = pages_of(image, KIND_LEAF).next().expect("a file with entries has a leaf");
    let chain: Vec<_> = pages_of(image, KIND_OVERFLOW).collect();
    for (index, page) in chain.iter().enumerate() {
        put(image, *page, &overflow(chain.get(index + 1).copied()));
    }
    let bytes = u32::try_from(chain.len() * OVERFLOW_BYTES).expect("a short file");
    put(image, leaf, &leaf_of_one_chain(chain[0], bytes));
}

/// Makes both slots claim that the file has so many pages.
pub(super) fn claim_pages(image: &mut Image, page_count: u64) {
    for slot in [1, 2] {
        let at = slot * PAGE_BYTES + PAGE_COUNT_AT;
        image.bytes[at..at + 8].copy_from_slice(&page_count.to_le_bytes());
    }
}

/// Makes the last commit of a file the one with this number, and moves the numbers of the records
/// in its log with it.
pub(super) fn claim_commit(image: &mut Image, last: u64, commits: u64) {
    let add = last - commits;
    let page_count = number_at(image, PAGE_BYTES + PAGE_COUNT_AT);
    for slot in [1, 2].map(|slot| slot * PAGE_BYTES) {
        // A plain slot has the number in its head as well, and an encrypted one a salt.
        add_at(image, slot + HEAD_COMMIT_AT, add);
        add_at(image, slot + COMMIT_AT, add);
    }
    let records =
        usize::try_from(page_count).expect("a short file")..image.bytes.len() / PAGE_BYTES;
    for page in records.map(|page| page * PAGE_BYTES) {
        if number_at(image, page + COMMIT_AT) > 0 {
            RECORD_COMMITS_AT.iter().for_each(|at| add_at(image, page + at, add));
        }
    }
}

fn number_at(image: &Image, at: usize) -> u64 {
    let bytes = image.bytes[at..].first_chunk().expect("a whole page");
    u64::from_le_bytes(*bytes)
}

fn add_at(image: &mut Image, at: usize, add: u64) {
    let sum = number_at(image, at).wrapping_add(add);
    image.bytes[at..at + 8].copy_from_slice(&sum.to_le_bytes());
}

fn pages_of(image: &Image, kind: u8) -> impl Iterator<Item = usize> {
    let pages = image.bytes.chunks_exact(PAGE_BYTES).enumerate().skip(3);
    pages.filter(move |(_, page)| page[KIND_AT] == kind).map(|(number, _)| number)
}

/// Replaces the content of a page behind its head.
fn put(image: &mut Image, page: usize, content: &[u8]) {
    let at = page * PAGE_BYTES;
    image.bytes[at + KIND_AT..at + PAGE_BYTES].fill(0);
    image.bytes[at + KIND_AT..at + KIND_AT + content.len()].copy_from_slice(content);
}

/// The content of a node: its kind and level, and its cells.
fn node(kind: u8, level: u8, cells: &[Vec<u8>]) -> Vec<u8> {
    let count = u16::try_from(cells.len()).expect("a node has few cells");
    let mut content = vec![kind, level];
    content.extend(count.to_le_bytes());
    content.extend([0; 4]);
    let mut at = u16::try_from(KIND_AT).expect("small") + 8 + 2 * count;
    for cell in cells {
        content.extend(at.to_le_bytes());
        at += u16::try_from(cell.len()).expect("a cell is short");
    }
    content.extend(cells.concat());
    content
}

/// A pointer to a page; sealing the file puts birth and seal right.
fn pointer(page: usize) -> Vec<u8> {
    let mut bytes = u64::try_from(page).expect("a short file").to_le_bytes()[..6].to_vec();
    bytes.extend([1, 0, 0, 0, 0, 0]);
    bytes.resize(POINTER_BYTES, 0);
    bytes
}

fn branch(level: u8, below: usize) -> Vec<u8> {
    let cells: Vec<_> = (0..CHILDREN)
        .map(|index| {
            let key = if index == 0 { Vec::new() } else { index.to_be_bytes().to_vec() };
            let len = u16::try_from(key.len()).expect("a short key");
            [&len.to_le_bytes()[..], &pointer(below), &key].concat()
        })
        .collect();
    node(KIND_BRANCH, level, &cells)
}

fn leaf_of_short_values() -> Vec<u8> {
    let cell = |key: u8| [&1_u16.to_le_bytes()[..], &3_u32.to_le_bytes(), &[key], b"abc"].concat();
    node(KIND_LEAF, 0, &[cell(1), cell(2)])
}

/// A full overflow page, and the next one of its chain.
fn overflow(next: Option<usize>) -> Vec<u8> {
    let len = u16::try_from(OVERFLOW_BYTES).expect("small").to_le_bytes();
    let next = next.map_or_else(|| vec![0; POINTER_BYTES], pointer);
    [&[KIND_OVERFLOW, 0], &len[..], &[0; 4], &next, &[b'v'; OVERFLOW_BYTES]].concat()
}

fn leaf_of_one_chain(first: usize, bytes: u32) -> Vec<u8> {
    let cells: Vec<_> = (0..CHILDREN)
        .map(|index| {
            let (key, tag) = (index.to_be_bytes(), bytes | STORED);
            [&2_u16.to_le_bytes()[..], &tag.to_le_bytes(), &key, &pointer(first)].concat()
        })
        .collect();
    node(KIND_LEAF, 0, &cells)
}
