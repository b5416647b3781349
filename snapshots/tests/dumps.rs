//! Reviewed dumps of the pages of golden files.

use crate::golden::bytes;
use fastness::PageId;
use fastness::inspect::{dump_file, dump_page};
use fastness_snapshots::{FILES, Golden, NEWEST, options};
use fastness_testkit::in_memory_file;
use std::fmt::Write as _;

const PLACE: &str = "golden.fastness";

/// The page table of every golden file; twins have equal tables.
#[test]
fn pages_of_golden_files() {
    let mut text = String::new();
    for golden in FILES {
        let vfs = in_memory_file(PLACE, &bytes(*golden));
        let store = options(golden.encrypted, &vfs).open_read_only(PLACE).unwrap();
        writeln!(text, "== {}", golden.name).unwrap();
        text.push_str(&dump_file(&store.snapshot()).unwrap());
    }
    insta::assert_snapshot!("pages", text);
}

/// All parts of the header and of one page of each kind.
#[test]
fn parts_of_pages() {
    let newest = |golden: &&Golden| golden.name.starts_with(NEWEST) && !golden.encrypted;
    let mut text = String::new();
    let mut seen: Vec<String> = Vec::new();
    for golden in FILES.iter().filter(newest) {
        let vfs = in_memory_file(PLACE, &bytes(*golden));
        let store = options(golden.encrypted, &vfs).open_read_only(PLACE).unwrap();
        let snapshot = store.snapshot();
        for (number, line) in (0_u64..).zip(dump_file(&snapshot).unwrap().lines()) {
            // `page 7: leaf, 12 cells of ..`: the first word says what the page is.
            let kind = line.split([' ', ',']).nth(2).unwrap();
            if number < 3 || !seen.iter().any(|seen| seen == kind) {
                seen.push(kind.to_owned());
                let page = dump_page(&snapshot, PageId(number)).unwrap();
                writeln!(text, "== {}: {line}\n{page}", golden.name).unwrap();
            }
        }
    }
    insta::assert_snapshot!("parts", text);
}

#[test]
fn a_page_that_is_not_there_is_an_error() {
    let golden = FILES[0];
    let vfs = in_memory_file(PLACE, &bytes(golden));
    let store = options(golden.encrypted, &vfs).open_read_only(PLACE).unwrap();
    let error = dump_page(&store.snapshot(), PageId(1 << 40)).unwrap_err();
    insta::assert_snapshot!("no_such_page", error.to_string());
}
