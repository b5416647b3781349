//! Any bytes as a page, a page of the log, a header slot and a prelude, without their seals.
//!
//! - P1 Decoding any bytes ends, without a panic, and touches nothing outside them.

use super::sparse::Image;
use fastness::{PAGE_BYTES, inspect};

/// Decodes the bytes as everything that a page can be.
pub fn page(bytes: &[u8]) {
    // Longer inputs are several pages; shorter ones are filled up, so that small inputs count.
    for chunk in bytes.chunks(PAGE_BYTES).take(4) {
        let mut page = [0; PAGE_BYTES];
        page[..chunk.len()].copy_from_slice(chunk);
        std::hint::black_box(inspect::decode_page(&page).is_ok());
        std::hint::black_box(inspect::decode_slot(&page[..512]).is_ok());
        std::hint::black_box(inspect::decode_log(&page).is_ok());
        std::hint::black_box(inspect::decode_prelude(&page[..]).is_ok());
    }
    // As they are: what ends early must be refused, not indexed.
    std::hint::black_box(inspect::decode_page(bytes).is_ok());
}

/// Pages to begin with: those of the seeds of [`super::file`].
#[must_use]
pub fn page_seeds() -> Vec<Vec<u8>> {
    let mut pages: Vec<Vec<u8>> = super::file_seeds()
        .iter()
        .flat_map(|seed| {
            Image::read(seed).bytes.chunks(PAGE_BYTES).map(trimmed).collect::<Vec<_>>()
        })
        .collect();
    pages.sort();
    pages.dedup();
    pages
}

/// The page without the zeros at its end, which the body fills up.
fn trimmed(page: &[u8]) -> Vec<u8> {
    let len = page.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    page[..len].to_vec()
}
