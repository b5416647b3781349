//! Holds the tables of docs/format.md against what the code writes.

use crate::codec::Writer;
use crate::crypto::Seal;
use crate::page::{
    CatalogAt, HeaderSlot, INLINE_CATALOG_BYTES_MAX, LOG_BODY_BYTES, LogRecord, OVERFLOW_CAPACITY,
    POINTER_BYTES, PRELUDE_BYTES, PRELUDE_COPY_AT, Pointer, Prelude, TreeCatalog, TreeRecord,
    encode_branch, encode_leaf, encode_overflow, leaf_cell_head,
};
use crate::txn::{Journal, LogRoom, Op, put_section};
use crate::unit::{CommitId, PAGE_BYTES, PageId, SLOT_BYTES};

const DOC: &str = include_str!("../../docs/format.md");

/// Returns the rows of a table with its variables set: offset, size, field.
fn table(name: &str, variables: &[(&str, usize)]) -> Vec<(usize, usize, String)> {
    let start = format!("<!-- table: {name} -->\n");
    let rest = DOC.split_once(&start).unwrap_or_else(|| panic!("no table {name}")).1;
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').splitn(3, '|').map(str::trim).collect();
        (number(cells[0], variables), number(cells[1], variables), cells[2].to_owned())
    })
    .collect()
}

/// Evaluates `12`, `n`, `2n` or `29+n`.
fn number(text: &str, variables: &[(&str, usize)]) -> usize {
    let term = |term: &str| {
        let digits = term.trim_end_matches(char::is_alphabetic);
        let name = &term[digits.len()..];
        let factor = if digits.is_empty() { 1 } else { digits.parse().unwrap() };
        let value = |(_, value): &(&str, usize)| factor * value;
        if name.is_empty() {
            return factor;
        }
        variables.iter().find(|(known, _)| *known == name).map(value).unwrap()
    };
    text.split('+').map(term).sum()
}

/// Encoded bytes, and the offset of the first row.
struct Encoded<'a> {
    start: usize,
    bytes: &'a [u8],
}

fn encoded_at(start: usize, bytes: &[u8]) -> Encoded<'_> {
    Encoded { start, bytes }
}

/// Checks that the rows follow each other from `start` to `end`, and hold what is expected.
#[track_caller]
fn check(
    name: &str,
    variables: &[(&str, usize)],
    Encoded { start, bytes }: Encoded<'_>,
    expect: &[&[u8]],
) {
    let rows = table(name, variables);
    assert_eq!(rows.len(), expect.len(), "rows of {name}");
    let mut at = start;
    for ((offset, size, field), expect) in rows.iter().zip(expect) {
        assert_eq!(*offset, at, "{name}: offset of {field}");
        assert_eq!(*size, expect.len(), "{name}: size of {field}");
        assert_eq!(&bytes[at..at + size], *expect, "{name}: {field}");
        at += size;
    }
}

fn pointer(page: u64) -> Pointer {
    Pointer { page: PageId(page), birth: CommitId(0x77), seal: Seal(*b"0123456789abcdef") }
}

fn encoded(pointer: &Pointer) -> Vec<u8> {
    let mut writer = Writer::default();
    Pointer::encode(Some(pointer), &mut writer);
    writer.into_bytes()
}

#[test]
fn prelude() {
    let prelude = Prelude::new(true, [7; 32], [9; 16]);
    let bytes = prelude.encode();
    assert_eq!(bytes.len(), PRELUDE_BYTES);
    let sum = xxhash_rust::xxh3::xxh3_128(&bytes[..72]).to_le_bytes();
    let magic = b"Fastness\r\n\x1a\n";
    let [version, one, size] = [2_u32, 1, 4096].map(u32::to_le_bytes);
    check(
        "prelude",
        &[],
        encoded_at(0, &bytes),
        &[magic, &version, &one, &size, &[7; 32], &[9; 16], &sum],
    );
    assert!(DOC.contains(&format!("Pages 1 and 2 have a copy at offset {PRELUDE_COPY_AT}, so")));
    assert_eq!(prelude.identity(), bytes[..24]);
}

#[test]
fn pointers() {
    let bytes = encoded(&pointer(0x55));
    assert_eq!(bytes.len(), POINTER_BYTES);
    check(
        "pointer",
        &[],
        encoded_at(0, &bytes),
        &[&[0x55, 0, 0, 0, 0, 0], &[0x77, 0, 0, 0, 0, 0], b"0123456789abcdef"],
    );
}

#[test]
fn slot() {
    let catalog = vec![3; INLINE_CATALOG_BYTES_MAX];
    let slot = HeaderSlot {
        commit: CommitId(5),
        page_count: 6,
        settled: true,
        copy: true,
        logged: true,
        again: 2,
        space: TreeRecord { root: Some(pointer(8)), len: 9 },
        catalog: CatalogAt::Inline(catalog.clone()),
    };
    let bytes = slot.encode();
    assert_eq!(bytes.len(), SLOT_BYTES);
    let root = encoded(&pointer(8));
    let number = u64::to_le_bytes;
    let (flags, len) = (0x20f_u32.to_le_bytes(), 420_u32.to_le_bytes());
    check(
        "slot",
        &[],
        encoded_at(0, &bytes),
        &[&[0; 16], &number(5), &number(6), &flags, &len, &root, &number(9), &catalog, &[0; 16]],
    );
}

#[test]
fn log() {
    let (first, last, durable) = (CommitId(7), CommitId(9), CommitId(5));
    let record = LogRecord { first, last, durable, previous: [8; 16], changes: b"abc".to_vec() };
    let pages = record.encode();
    let (number, rest) = (u64::to_le_bytes, vec![0; LOG_BODY_BYTES - 39]);
    let body = [&number(7)[..], &number(5), &[8; 16], &[3, 0, 0, 0], b"abc", &rest].concat();
    check(
        "log page",
        &[],
        encoded_at(0, &pages),
        &[&[0; 16], &number(9), &[0, 0], &[1, 0], &[0; 4], &body, &[0; 16]],
    );
    let parts: [&[u8]; 5] = [&number(7), &number(5), &[8; 16], &[3, 0, 0, 0], b"abc"];
    check("record", &[("n", 3)], encoded_at(0, &body[..39]), &parts);

    let mut writer = Writer::default();
    put_section("tree", 9, b"ops", &mut writer);
    let parts: [&[u8]; 5] = [&[4], b"tree", &number(9), &[3, 0, 0, 0], b"ops"];
    check("section", &[("n", 4), ("m", 3)], encoded_at(0, writer.bytes()), &parts);
    let (mut journal, mut ops) = (Journal::new(LogRoom { bytes: 99, ops: 9 }), Vec::new());
    journal.append(Op::Put { key: b"key", value: b"value" }, &mut ops);
    let parts: [&[u8]; 5] = [&[1], &[3, 0], &[5, 0, 0, 0], b"key", b"value"];
    check("set", &[("k", 3), ("v", 5)], encoded_at(0, &ops), &parts);
    ops.clear();
    journal.append(Op::Remove { key: b"key" }, &mut ops);
    check("remove", &[("k", 3)], encoded_at(0, &ops), &[&[2], &[3, 0], b"key"]);
    ops.clear();
    journal.append(Op::Clear, &mut ops);
    check("clear", &[], encoded_at(0, &ops), &[&[3]]);
}

#[test]
fn catalog() {
    let record = TreeRecord { root: Some(pointer(8)), len: 9 };
    let bytes = TreeCatalog([("name".into(), record)].into_iter().collect()).encode();
    let root = encoded(&pointer(8));
    check(
        "catalog",
        &[("n", 4)],
        encoded_at(0, &bytes),
        &[&[4], b"name", &root, &9_u64.to_le_bytes()],
    );
}

#[test]
fn nodes() {
    let mut page = [0; PAGE_BYTES];
    let stored = [&leaf_cell_head(4, 5000, true)[..], b"long", &pointer(8).to_bytes()].concat();
    let cells = [[&leaf_cell_head(3, 5, false)[..], b"key", b"value"].concat(), stored];
    encode_leaf(cells.iter().map(Vec::as_slice), &mut page);
    let directory = [28, 0, 42, 0];
    check("node", &[("n", 2)], encoded_at(16, &page), &[&[1], &[0], &[2, 0], &[0; 4], &directory]);
    let variables = [("k", 3), ("v", 5)];
    check(
        "leaf cell",
        &variables,
        encoded_at(0, &page[28..]),
        &[&[3, 0], &[5, 0, 0, 0], b"key", b"value"],
    );
    let tagged = (5000_u32 | 1 << 31).to_le_bytes();
    let variables = [("k", 4), ("v", 28)];
    let chain = encoded(&pointer(8));
    check(
        "leaf cell",
        &variables,
        encoded_at(0, &page[42..]),
        &[&[4, 0], &tagged, b"long", &chain],
    );

    let children = [(b"".as_slice(), pointer(8))];
    encode_branch(2, children.into_iter(), &mut page);
    check("node", &[("n", 1)], encoded_at(16, &page), &[&[2], &[2], &[1, 0], &[0; 4], &[26, 0]]);
    check("branch cell", &[("k", 0)], encoded_at(0, &page[26..]), &[&[0, 0], &chain, b""]);
}

#[test]
fn overflow() {
    let mut page = [0; PAGE_BYTES];
    let data = [7; OVERFLOW_CAPACITY];
    encode_overflow(&data, Some(&pointer(8)), &mut page);
    let next = encoded(&pointer(8));
    let len = 4044_u16.to_le_bytes();
    check("overflow", &[], encoded_at(16, &page), &[&[3], &[0], &len, &[0; 4], &next, &data]);
}

#[test]
fn limits() {
    use crate::page::{CELL_BYTES_MAX, LEVEL_MAX};
    assert!(DOC.contains(&format!("more than {CELL_BYTES_MAX} bytes, a third")));
    assert!(DOC.contains(&format!("at most {LEVEL_MAX}. The directory")));
    assert!(DOC.contains(&format!("at most {INLINE_CATALOG_BYTES_MAX} bytes is in the slot")));
    assert!(DOC.contains(&format!("full: {OVERFLOW_CAPACITY} bytes of data")));
}
