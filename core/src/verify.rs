//! Whole-file verification: every page reachable or free, every seal, every order; then everything
//! that objects hold twice.
//!
//! - S1 Every page is reachable from the commit or free in it, never both, never neither.
//! - T1 Keys ascend strictly within a tree, and a child's keys are between its separators.
//! - G1 Every seal fits.
//!
//! Check: `sim::check::damage` (damage of a reachable page is noticed), `sim::check::pins`.

use crate::error::{Damage, Error, FileErrorCause, Result};
use crate::page::{CatalogAt, NodePage, Pointer, ValueSpan};
use crate::pager::{PageSet, Pager};
use crate::space::{CHUNK_PAGES, decode_chunk};
use crate::table::{self, ObjectProblem};
use crate::tree::read_node_page;
use crate::txn::{CommitState, StoreSnapshot, check_header, newest_base, scan_log};
use crate::unit::{CommitId, HEADER_PAGES, PageId};
use std::fmt;

/// Result of a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The commit that was verified.
    pub commit: CommitId,
    /// Pages of the file, the header included.
    pub page_count: u64,
    /// Pages that hold the commit, the header included.
    pub reachable: u64,
    /// Pages that hold nothing.
    pub free: u64,
    /// Problems of pages, at most a thousand.
    pub problems: Vec<Problem>,
    /// Problems of objects, at most a thousand. They are looked for if every page is sound.
    pub objects: Vec<ObjectProblem>,
}

/// Something wrong with a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The page.
    pub page: PageId,
    /// Owner of the page: a tree's name, or a part of the file in parentheses.
    pub owner: String,
    /// The problem.
    pub kind: ProblemKind,
}

/// Problems of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// It does not hold what was written to it.
    Damaged(Damage),
    /// Two places lead to it.
    ReachableTwice,
    /// It holds something and is recorded as free.
    ReachableAndFree,
    /// It holds nothing and is not recorded as free.
    NeitherReachableNorFree,
    /// Its keys are outside the bounds its parent sets.
    KeyOrder,
    /// The tree whose root it is has another number of entries than recorded.
    EntryCount,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page {} of {}: ", self.page, self.owner)?;
        match self.kind {
            ProblemKind::Damaged(damage) => write!(f, "damaged: {damage}"),
            ProblemKind::ReachableTwice => f.write_str("two places lead to it"),
            ProblemKind::ReachableAndFree => f.write_str("it is in use and recorded as free"),
            ProblemKind::NeitherReachableNorFree => {
                f.write_str("it is neither in use nor recorded as free")
            }
            ProblemKind::KeyOrder => f.write_str("its keys are outside its parent's bounds"),
            ProblemKind::EntryCount => f.write_str("its tree has another number of entries"),
        }
    }
}

const PROBLEMS_MAX: usize = 1000;
pub(crate) const OWNER_HEADER: &str = "(header)";
pub(crate) const OWNER_CATALOG: &str = "(catalog)";
const OWNER_LOG: &str = "(log)";
pub(crate) const OWNER_SPACE: &str = "(free pages)";

impl StoreSnapshot {
    /// Reads every page of the commit and checks it: each seal, each key's order, and that each
    /// page of the file is in use or free, never both, never neither. If all are sound, reads every
    /// object, and compares indexes, back-links and lists with it.
    ///
    /// # Errors
    /// If the system fails to read. Damage of the file is a problem of the result, not an error.
    pub fn verify(&self) -> Result<Verification> {
        let state = self.state();
        let mut walk = Walk::new(state);
        for page in check_header(&state.pager)? {
            walk.problem(page, OWNER_HEADER, ProblemKind::Damaged(Damage::Header));
        }
        walk.state(state)?;
        walk.free_pages(state)?;
        walk.log(state)?;
        let objects = if walk.problems.is_empty() { table::problems(self)? } else { Vec::new() };
        Ok(Verification {
            commit: self.commit(),
            page_count: walk.page_count,
            reachable: walk.reached.len(),
            free: walk.free.len(),
            problems: walk.problems,
            objects,
        })
    }
}

/// A page met on the walk, with what leads to it.
#[cfg_attr(not(any(test, feature = "inspect")), expect(dead_code, reason = "`inspect` asks"))]
pub(crate) struct VisitedPage<'a> {
    pub(crate) owner: &'a str,
    pub(crate) pointer: Pointer,
}

/// A walk over every page of a commit.
pub(crate) struct Walk<'a> {
    pager: &'a Pager,
    page_count: u64,
    /// Pages in use, the header's included.
    reached: PageSet,
    /// Pages recorded as free.
    free: PageSet,
    pub(crate) problems: Vec<Problem>,
    /// A page could not be read, so what it leads to is unknown.
    incomplete: bool,
    visit: Option<&'a mut dyn FnMut(&VisitedPage<'_>)>,
}

/// Where on the walk a node is.
#[derive(Clone, Copy)]
struct Spot<'a> {
    owner: &'a str,
    level: Option<u8>,
    low: &'a [u8],
    high: Option<&'a [u8]>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(state: &'a CommitState) -> Self {
        let mut reached = PageSet::default();
        for page in 0..HEADER_PAGES {
            reached.insert(PageId(page));
        }
        Self {
            pager: &state.pager,
            page_count: state.slot.page_count,
            reached,
            free: PageSet::default(),
            problems: Vec::new(),
            incomplete: false,
            visit: None,
        }
    }

    #[cfg(any(test, feature = "inspect"))]
    pub(crate) fn visiting(
        state: &'a CommitState,
        visit: &'a mut dyn FnMut(&VisitedPage<'_>),
    ) -> Self {
        Self { visit: Some(visit), ..Self::new(state) }
    }

    /// Tells whether the walk has met no use of a page, nor a record that it is free.
    pub(crate) fn is_unknown(&self, page: PageId) -> bool {
        !self.reached.contains(page) && !self.free.contains(page)
    }

    fn problem(&mut self, page: PageId, owner: &str, kind: ProblemKind) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { page, owner: owner.to_owned(), kind });
        }
    }

    /// Notes that a page is reachable and tells whether it was not before.
    fn reach(&mut self, owner: &str, pointer: &Pointer) -> bool {
        let kind = if pointer.page.0 >= self.page_count {
            ProblemKind::Damaged(Damage::Missing)
        } else if !self.reached.insert(pointer.page) {
            ProblemKind::ReachableTwice
        } else {
            if let Some(visit) = &mut self.visit {
                visit(&VisitedPage { owner, pointer: *pointer });
            }
            return true;
        };
        self.problem(pointer.page, owner, kind);
        false
    }

    /// Walks everything a commit reaches.
    pub(crate) fn state(&mut self, state: &CommitState) -> Result<()> {
        if let CatalogAt::Stored { bytes, first } = state.slot.catalog {
            self.chain(OWNER_CATALOG, bytes, first)?;
        }
        for (name, record) in state.recorded.0.iter() {
            self.tree(name, *record)?;
        }
        self.tree(OWNER_SPACE, state.slot.space)
    }

    fn tree(&mut self, owner: &str, record: crate::page::TreeRecord) -> Result<()> {
        let Some(root) = record.root else { return Ok(()) };
        let spot = Spot { owner, level: None, low: &[], high: None };
        let entries = self.node(&root, spot)?;
        if entries.is_some_and(|entries| entries != record.len) {
            self.problem(root.page, owner, ProblemKind::EntryCount);
        }
        Ok(())
    }

    /// Turns damage into a problem; other errors end the walk.
    fn report_damage<T>(&mut self, owner: &str, outcome: Result<T>) -> Result<Option<T>> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(Error::File { cause: FileErrorCause::Damaged { page, damage }, .. }) => {
                self.incomplete = true;
                self.problem(page, owner, ProblemKind::Damaged(damage));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Walks a node and what is below it; returns its entries if all could be read.
    fn node(&mut self, pointer: &Pointer, spot: Spot<'_>) -> Result<Option<u64>> {
        if !self.reach(spot.owner, pointer) {
            return Ok(None);
        }
        let read = read_node_page(self.pager, pointer, spot.level);
        let Some(page) = self.report_damage(spot.owner, read)? else { return Ok(None) };
        let last = page.key(page.count() - 1);
        let first = page.key(0);
        let first_fits = page.level() > 0 || first >= spot.low;
        if !first_fits || spot.high.is_some_and(|high| last >= high) {
            self.problem(pointer.page, spot.owner, ProblemKind::KeyOrder);
        }
        if page.level() == 0 { self.leaf(&page, spot) } else { self.branch(&page, spot) }
    }

    fn leaf(&mut self, page: &NodePage, spot: Spot<'_>) -> Result<Option<u64>> {
        for index in 0..page.count() {
            if let ValueSpan::Stored { bytes, first } = page.value(index) {
                self.chain(spot.owner, bytes, first)?;
            }
        }
        Ok(Some(page.count() as u64))
    }

    fn branch(&mut self, page: &NodePage, spot: Spot<'_>) -> Result<Option<u64>> {
        let mut entries = Some(0);
        for index in 0..page.count() {
            let low = if index == 0 { spot.low } else { page.key(index) };
            if low < spot.low {
                self.problem(page.child(index).page, spot.owner, ProblemKind::KeyOrder);
            }
            let more = index + 1 < page.count();
            let high = if more { Some(page.key(index + 1)) } else { spot.high };
            let level = Some(page.level() - 1);
            let below = self.node(&page.child(index), Spot { level, low, high, ..spot })?;
            entries = entries.zip(below).map(|(entries, below)| entries + below);
        }
        Ok(entries)
    }

    /// Walks a chain as far as no other place leads to its pages.
    fn chain(&mut self, owner: &str, bytes: u32, first: Pointer) -> Result<()> {
        let pager = self.pager;
        let mut visit = |pointer: &Pointer, _: &[u8]| self.reach(owner, pointer);
        let read = pager.walk_chain(bytes, first, &mut visit);
        self.report_damage(owner, read)?;
        Ok(())
    }

    /// Reads the log, unless a later checkpoint has taken its place already.
    fn log(&mut self, state: &CommitState) -> Result<()> {
        let (base, start) = (state.slot.commit, state.slot.page_count);
        // The last commits without durability may not be in the file.
        let last = state.commit.min(state.log.tail().written().0);
        if last == base || newest_base(&state.pager)? != Some(base) {
            return Ok(());
        }
        let found = scan_log(&state.pager, start, base);
        // Another one may have taken its place while it was read.
        if newest_base(&state.pager)? != Some(base) {
            return Ok(());
        }
        if let Some(found) = self.report_damage(OWNER_LOG, found)?
            && found.last().is_none_or(|found| found < last)
        {
            self.problem(found.next, OWNER_LOG, ProblemKind::Damaged(Damage::Seal));
        }
        Ok(())
    }

    /// Holds the record of free pages against what was reached.
    fn free_pages(&mut self, state: &CommitState) -> Result<()> {
        let entries = state.space_entries().and_then(Iterator::collect::<Result<Vec<_>>>);
        let Some(entries) = self.report_damage(OWNER_SPACE, entries)? else { return Ok(()) };
        for (key, value) in entries {
            let Some((chunk, bits)) = decode_chunk(&key, &value) else {
                self.problem(PageId(0), OWNER_SPACE, ProblemKind::Damaged(Damage::Content));
                continue;
            };
            for bit in bits.iter() {
                let page = PageId(chunk.saturating_mul(CHUNK_PAGES).saturating_add(bit));
                if page.0 >= self.page_count {
                    self.problem(page, OWNER_SPACE, ProblemKind::Damaged(Damage::Missing));
                } else if self.reached.contains(page) || !self.free.insert(page) {
                    self.problem(page, OWNER_SPACE, ProblemKind::ReachableAndFree);
                }
            }
        }
        // A sparse file may have many pages that are neither.
        let known = self.reached.len() + self.free.len();
        if !self.incomplete && known < self.page_count {
            let pages = (0..self.page_count).map(PageId).filter(|page| self.is_unknown(*page));
            for page in pages.take(PROBLEMS_MAX).collect::<Vec<_>>() {
                self.problem(page, OWNER_SPACE, ProblemKind::NeitherReachableNorFree);
            }
        }
        Ok(())
    }
}
