//! The bytes of files made today, with the meaning of each page.
//!
//! Golden files show that old files stay readable. These snapshots show what is written: a writer
//! and a reader that change together, or a writer that swaps two fields of equal length, change a
//! line here. How to review such a change: `docs/reviewing.md`.

use fastness::inspect::{dump_file, dump_page};
use fastness::{PageId, StoreSnapshot};
use fastness_snapshots::objects::{LIST_FILES, OBJECT_FILES, make as make_objects, make_lists};
use fastness_snapshots::{FILES, Golden, NEWEST, make, options};
use fastness_testkit::in_memory_file;
use std::fmt::Write as _;
use xxhash_rust::xxh3::xxh3_128;

const PLACE: &str = "written.fastness";
const PAGE: usize = 4096;
const ROW: usize = 16;
/// Rows of a page that are shown; a page of many equal cells is pinned by its digest, too.
const ROWS_SHOWN: usize = 24;

type Make = fn(Golden) -> fastness::Result<Vec<u8>>;

fn files() -> Vec<(Golden, Make)> {
    let trees = FILES.iter().map(|golden| (*golden, make as Make));
    let objects = OBJECT_FILES.iter().map(|golden| (*golden, make_objects as Make));
    let lists = LIST_FILES.iter().map(|golden| (*golden, make_lists as Make));
    let all = trees.chain(objects).chain(lists);
    all.filter(|(golden, _)| golden.name.starts_with(NEWEST)).collect()
}

/// Fields and bytes of the pages of plain files.
#[test]
fn pages_as_they_are_written_today() {
    let mut text = String::new();
    for (golden, make) in files().into_iter().filter(|(golden, _)| !golden.encrypted) {
        let bytes = make(golden).unwrap();
        let vfs = in_memory_file(PLACE, &bytes);
        let store = options(false, &vfs).open_read_only(PLACE).unwrap();
        writeln!(text, "== {}", golden.name).unwrap();
        pages(&store.snapshot(), &bytes, &mut text);
    }
    insta::assert_snapshot!("written_pages", text);
}

/// Digests of the pages of encrypted files: their keys, salts and nonces are those of a counter.
#[test]
fn encrypted_pages_as_they_are_written_today() {
    let mut text = String::new();
    for (golden, make) in files().into_iter().filter(|(golden, _)| golden.encrypted) {
        writeln!(text, "== {}", golden.name).unwrap();
        for (number, page) in make(golden).unwrap().chunks(PAGE).enumerate() {
            writeln!(text, "page {number}: {:032x}", xxh3_128(page)).unwrap();
        }
    }
    insta::assert_snapshot!("written_encrypted_pages", text);
}

fn pages(snapshot: &StoreSnapshot, bytes: &[u8], text: &mut String) {
    let table = dump_file(snapshot).unwrap();
    let lines = table.lines().map(Some).chain(std::iter::repeat(None));
    for ((number, page), line) in (0_u64..).zip(bytes.chunks(PAGE)).zip(lines) {
        match line {
            Some(line) => {
                writeln!(text, "-- {line}").unwrap();
                text.push_str(&dump_page(snapshot, PageId(number)).unwrap());
            }
            None => writeln!(text, "-- page {number}: behind the pages").unwrap(),
        }
        rows(page, text);
    }
}

/// Writes the rows that are not zero, and the digest of the page if some are left out.
fn rows(page: &[u8], text: &mut String) {
    let rows = page.chunks(ROW).enumerate().filter(|(_, row)| row.iter().any(|byte| *byte != 0));
    let rows: Vec<(usize, &[u8])> = rows.collect();
    let half = ROWS_SHOWN / 2;
    for (index, (row, bytes)) in rows.iter().enumerate() {
        if rows.len() > ROWS_SHOWN && (half..rows.len() - half).contains(&index) {
            if index == half {
                let hidden = rows.len() - ROWS_SHOWN;
                let digest = xxh3_128(page);
                writeln!(text, "  .... {hidden} more rows; page digest {digest:032x}").unwrap();
            }
            continue;
        }
        let hex: String = bytes.iter().map(|byte| format!(" {byte:02x}")).collect();
        writeln!(text, "  {:04x}{hex}", row * ROW).unwrap();
    }
}
