//! Fuzzing of the decoders: any bytes as a page, a log page, a header slot and a prelude, without
//! seals.
//!
//! - P1 Decoding any bytes ends without a panic, and accesses nothing outside them.

use super::sparse::Image;
use fastness::{PAGE_BYTES, inspect};

/// Decodes the bytes as every kind of page.
pub fn page(bytes: &[u8]) {
    // Long inputs are several pages; short ones are padded, so that small inputs count.
    for chunk in bytes.chunks(PAGE_BYTES).take(4) {
        let mut page = [0; PAGE_BYTES];
        page[..chunk.len()].copy_from_slice(chunk);
        std::hint::black_box(inspect::decode_page(&page).is_ok());
        std::hint::black_box(inspect::decode_slot(&page[..512]).is_ok());
        std::hint::black_box(inspect::decode_log(&page).is_ok());
        std::hint::black_box(inspect::decode_prelude(&page[..]).is_ok());
    }
    // The unpadded input: a decoder must refuse short input.
    std::hint::black_box(inspect::decode_page(bytes).is_ok());
}

/// Returns the seed corpus: the pages of the seeds of [`super::file`].
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

/// Returns the page without trailing zeros, which the body pads.
fn trimmed(page: &[u8]) -> Vec<u8> {
    let len = page.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    page[..len].to_vec()
}
