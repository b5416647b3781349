//! Pages as text: each field with its name and value.

use crate::codec::Reader;
use crate::error::{Damage, Result};
use crate::page::{
    LogRecord, NodePage, OverflowPage, PRELUDE_BYTES, Pointer, Prelude, ValueSpan, log_pages,
};
use crate::pager::Pager;
use crate::sorted::sort_by;
use crate::space::decode_chunk;
use crate::table::trees::{Holds, trees};
use crate::txn::{
    CommitState, Op, SLOT_PAGES, StoreSnapshot, prelude_places, read_slot, scan_log, section,
};
use crate::unit::{HEADER_PAGES, PageBytes, PageId};
use crate::verify::{OWNER_SPACE, VisitedPage, Walk};
use crate::vfs::read_whole;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

/// Length of a key or value up to which it is printed in full.
const SHOWN_BYTES: usize = 24;

/// Most consecutive free pages that get a line each.
const FREE_LINES_MAX: u64 = 1000;

/// Returns one line for every page of a commit: its content and its owner.
///
/// # Errors
/// If a page cannot be read. A damaged one is reported in its line.
pub fn dump_file(snapshot: &StoreSnapshot) -> Result<String> {
    let state = snapshot.state();
    let mut met = Vec::new();
    let mut visit = |page: &VisitedPage<'_>| met.push((page.pointer, page.owner.to_owned()));
    let mut walk = Walk::visiting(state, &mut visit);
    walk.state(state)?;
    drop(walk);
    sort_by(&mut met, |(one, _), (two, _)| one.page.cmp(&two.page));
    let owners = Owners::of(snapshot);
    let mut text = String::new();
    for (page, what) in ["prelude", "slot", "slot"].iter().enumerate() {
        line(&mut text, &format!("page {page}: {what}"));
    }
    let mut next = HEADER_PAGES;
    for (pointer, owner) in met {
        let page = pointer.page;
        free_lines(&mut text, next..page.0);
        let (what, owner) = (summary(&state.pager, &pointer), owners.describe(&owner));
        line(&mut text, &format!("page {page}: {what} of {owner}, born {}", pointer.birth));
        next = page.0 + 1;
    }
    free_lines(&mut text, next..state.slot.page_count);
    for (start, record) in log_records(state)? {
        let pages = log_pages(record.changes.len()) as u64;
        for page in (start.0..start.0 + pages).map(PageId) {
            let part = format!("{} of {pages}", page.0 - start.0 + 1);
            line(&mut text, &format!("page {page}: log, {part} of {}", commits(&record)));
        }
    }
    Ok(text)
}

/// Writes a line for each of the free pages, or one for all if they are many: a file may be sparse.
fn free_lines(text: &mut String, pages: Range<u64>) {
    if pages.end.saturating_sub(pages.start) > FREE_LINES_MAX {
        return line(text, &format!("pages {} to {}: free", pages.start, pages.end - 1));
    }
    for page in pages {
        line(text, &format!("page {page}: free"));
    }
}

/// The classes that trees belong to; empty if the catalog of the file is unreadable.
struct Owners(BTreeMap<String, Holds>);

impl Owners {
    fn of(snapshot: &StoreSnapshot) -> Self {
        Self(trees(snapshot).unwrap_or_default())
    }

    /// Returns the name of a tree with its content and class.
    fn describe(&self, tree: &str) -> String {
        self.0.get(tree).map_or_else(|| tree.to_owned(), |holds| format!("{tree} ({holds})"))
    }
}

fn commits(record: &LogRecord) -> String {
    match record.first == record.last {
        true => format!("commit {}", record.last),
        false => format!("commits {} to {}", record.first, record.last),
    }
}

/// Returns the records of the log up to a commit.
fn log_records(state: &CommitState) -> Result<Vec<(PageId, LogRecord)>> {
    if state.commit == state.slot.commit {
        return Ok(Vec::new());
    }
    let mut found = scan_log(&state.pager, state.slot.page_count, state.slot.commit)?;
    found.records.retain(|(_, record)| record.first <= state.commit);
    Ok(found.records)
}

/// Describes the log record that a page belongs to.
fn log_page(snapshot: &StoreSnapshot, page: PageId) -> Result<String> {
    let (state, owners) = (snapshot.state(), Owners::of(snapshot));
    let records = log_records(state)?;
    let Some((start, record)) = records.into_iter().rfind(|(start, _)| *start <= page) else {
        return Err(state.pager.damaged(page, Damage::Missing));
    };
    let mut text = String::new();
    line(&mut text, &format!("page {page} of the log, in the record at page {start}"));
    line(&mut text, &format!("  holds           {}", commits(&record)));
    line(&mut text, &format!("  durable before  {}", record.durable));
    line(&mut text, &format!("  previous salt   {}", hex(&record.previous)));
    line(&mut text, &format!("  changes         {} bytes", record.changes.len()));
    let mut reader = Reader::new(&record.changes);
    while !reader.is_empty() {
        let Some(mut section) = section(&mut reader) else {
            line(&mut text, "  malformed: written by a faulty or hostile program");
            break;
        };
        let tree = owners.describe(section.name);
        line(&mut text, &format!("  tree {tree}: {} entries afterwards", section.len));
        while let Some(Some(op)) = section.next() {
            let text_of_op = match op {
                Op::Put { key, value } => format!("set {} -> {}", shown(key), shown(value)),
                Op::Remove { key } => format!("remove {}", shown(key)),
                Op::Clear => "clear".to_owned(),
            };
            line(&mut text, &format!("    {text_of_op}"));
        }
    }
    Ok(text)
}

/// Returns the content of a page of a commit, field by field.
///
/// # Errors
/// [`Damage::Missing`] if the file has no such page; otherwise if a page on the way to it cannot be
/// read or is damaged.
pub fn dump_page(snapshot: &StoreSnapshot, page: PageId) -> Result<String> {
    let state = snapshot.state();
    if page.0 >= state.slot.page_count {
        return match page < state.log.tail().written().1 {
            true => log_page(snapshot, page),
            false => Err(state.pager.damaged(page, Damage::Missing)),
        };
    }
    if page.0 < HEADER_PAGES {
        return header(snapshot, page);
    }
    let mut found = None;
    let mut visit = |met: &VisitedPage<'_>| {
        if met.pointer.page == page {
            found = Some((met.pointer, met.owner.to_owned()));
        }
    };
    let mut walk = Walk::visiting(state, &mut visit);
    walk.state(state)?;
    drop(walk);
    let Some((pointer, owner)) = found else {
        return Ok(format!("page {page}: free; its former contents are unknown\n"));
    };
    let bytes = state.pager.read(&pointer)?;
    let mut text = String::new();
    line(&mut text, &format!("page {page} of {}", Owners::of(snapshot).describe(&owner)));
    pointer_lines(&mut text, &pointer);
    body(&mut text, bytes, owner == OWNER_SPACE);
    Ok(text)
}

fn line(text: &mut String, content: &str) {
    text.push_str(content);
    text.push('\n');
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}

fn shown(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(SHOWN_BYTES)];
    let more = if bytes.len() > head.len() { "..." } else { "" };
    format!("\"{}\"{more} ({} bytes)", head.escape_ascii(), bytes.len())
}

fn pointer_text(pointer: &Pointer) -> String {
    format!("page {} born {} seal {}", pointer.page, pointer.birth, hex(&pointer.seal.0))
}

fn pointer_lines(text: &mut String, pointer: &Pointer) {
    line(text, &format!("  born in commit  {}", pointer.birth));
    line(text, &format!("  seal            {}", hex(&pointer.seal.0)));
}

fn summary(pager: &Pager, pointer: &Pointer) -> String {
    let Ok(bytes) = pager.read(pointer) else { return "damaged page".to_owned() };
    if let Some(page) = OverflowPage::decode(&bytes) {
        return format!("overflow, {} bytes", page.data.len());
    }
    match NodePage::decode(bytes) {
        Some(node) if node.level() == 0 => format!("leaf, {} entries", node.count()),
        Some(node) => format!("branch, level {}, {} children", node.level(), node.count()),
        None => "malformed page".to_owned(),
    }
}

fn body(text: &mut String, bytes: Box<PageBytes>, space: bool) {
    if let Some(page) = OverflowPage::decode(&bytes) {
        line(text, &format!("  kind            overflow, {} bytes of a value", page.data.len()));
        let next = page.next.as_ref().map_or("none, end of the value".to_owned(), pointer_text);
        line(text, &format!("  next            {next}"));
        line(text, &format!("  data            {}", shown(page.data)));
        return;
    }
    let Some(node) = NodePage::decode(bytes) else {
        return line(text, "  malformed: written by a faulty or hostile program");
    };
    let kind = if node.level() == 0 { "leaf" } else { "branch" };
    let (count, used) = (node.count(), node.used_bytes());
    line(text, &format!("  kind            {kind}, level {}", node.level()));
    line(text, &format!("  cells           {count}, in {used} bytes"));
    for index in 0..count {
        let key = node.key(index);
        let content = if node.level() > 0 {
            pointer_text(&node.child(index))
        } else {
            match node.value(index) {
                ValueSpan::Inline { at, len } if space => chunk(key, node.slice(at, len)),
                ValueSpan::Inline { at, len } => shown(node.slice(at, len)),
                ValueSpan::Stored { bytes, first } => {
                    format!("{bytes} bytes from {}", pointer_text(&first))
                }
            }
        };
        line(text, &format!("  {index:>4}  {} -> {content}", shown(key)));
    }
}

fn chunk(key: &[u8], value: &[u8]) -> String {
    match decode_chunk(key, value) {
        Some((chunk, bits)) => format!("chunk {chunk}, {} free pages", bits.count()),
        None => "malformed record of free pages".to_owned(),
    }
}

fn header(snapshot: &StoreSnapshot, page: PageId) -> Result<String> {
    let pager = &snapshot.state().pager;
    let mut text = String::new();
    line(&mut text, &format!("page {page}, header"));
    for (at_page, at) in prelude_places() {
        if at_page == page {
            let mut bytes = [0; PRELUDE_BYTES];
            read_whole(pager.file(), &mut bytes, at).map_err(|e| pager.io(&e))?;
            line(&mut text, &format!("  prelude at byte {}", at - page.offset()));
            prelude(&mut text, &bytes);
        }
    }
    if SLOT_PAGES.contains(&page) {
        slot(&mut text, snapshot, page)?;
    }
    Ok(text)
}

fn prelude(text: &mut String, bytes: &[u8; PRELUDE_BYTES]) {
    let Ok(prelude) = Prelude::decode(bytes) else { return line(text, "    damaged") };
    line(text, &format!("    format        {}", prelude.version));
    line(text, &format!("    encrypted     {}", if prelude.encrypted { "yes" } else { "no" }));
    line(text, &format!("    salt          {}", hex(&prelude.salt)));
    line(text, &format!("    key check     {}", hex(&prelude.check)));
    let sum = Reader::new(&bytes[72..]).array::<16>().unwrap_or_default();
    line(text, &format!("    checksum      {}", hex(&sum)));
}

fn slot(text: &mut String, snapshot: &StoreSnapshot, page: PageId) -> Result<()> {
    line(text, "  slot at byte 0");
    let (state, owners) = (snapshot.state(), Owners::of(snapshot));
    let Some(slot) = read_slot(&state.pager, page)?.map(|found| found.slot) else {
        line(text, "    its seal does not match");
        return Ok(());
    };
    let yes = |flag: bool| if flag { "yes" } else { "no" };
    line(text, &format!("    commit        {}", slot.commit));
    line(text, &format!("    pages         {}", slot.page_count));
    line(text, &format!("    settled       {}", yes(slot.settled)));
    line(text, &format!("    copy          {}", yes(slot.copy)));
    line(text, &format!("    log begun     {}", yes(slot.logged)));
    let space = slot.space.root.as_ref().map_or("none".to_owned(), pointer_text);
    line(text, &format!("    free pages    {space}, {} chunks", slot.space.len));
    match &slot.catalog {
        crate::page::CatalogAt::Inline(bytes) => {
            line(text, &format!("    catalog       inline, {} bytes", bytes.len()));
        }
        crate::page::CatalogAt::Stored { bytes, first } => {
            line(text, &format!("    catalog       {bytes} bytes from {}", pointer_text(first)));
        }
    }
    if slot.commit == state.slot.commit {
        for (name, record) in state.recorded.0.iter() {
            let root = record.root.as_ref().map_or("none".to_owned(), pointer_text);
            let tree = owners.describe(name);
            line(text, &format!("    tree {tree}: {} entries, root {root}", record.len));
        }
    }
    Ok(())
}
