//! File contents: the current ones, the durable ones, and the pending changes.

use crate::rng::Rng;
use std::sync::Arc;

/// Bytes that a disk writes atomically.
pub const SECTOR_BYTES: usize = 512;
/// Bytes of a page of the simulation, a unit of its memory.
pub const PAGE_BYTES: usize = 4096;
const SECTORS: usize = PAGE_BYTES / SECTOR_BYTES;

/// A page of a file; a missing page is all zeros.
pub type Page = Arc<[u8; PAGE_BYTES]>;

/// The content of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pages: Arc<Vec<Option<Page>>>,
    pub(super) len: u64,
}

/// A pending change: a page after the write, or a length.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Page(usize, Option<Page>),
    Len(u64),
}

/// A change with the number of its call.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) call: u32,
    pub(super) change: Change,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) now: Content,
    pub(super) durable: Content,
    pub(super) pending: Vec<Pending>,
}

/// Which pending changes survive a power loss.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    NoCall,
    EveryCall,
    CallsBefore(u32),
    AllButCall(u32),
    OnlyCall(u32),
    PagesAtRandom,
    SectorsAtRandom,
}

impl Fate {
    pub(super) fn draw(rng: &mut Rng, calls: &[u32]) -> Self {
        let call = if calls.is_empty() { 0 } else { *rng.pick(calls) };
        match rng.below(8) {
            0 => Self::NoCall,
            1 => Self::EveryCall,
            2 => Self::CallsBefore(call),
            3 => Self::AllButCall(call),
            4 => Self::OnlyCall(call),
            5 => Self::PagesAtRandom,
            _ => Self::SectorsAtRandom,
        }
    }

    fn keeps(self, rng: &mut Rng, call: u32) -> bool {
        match self {
            Self::NoCall => false,
            Self::EveryCall => true,
            Self::CallsBefore(limit) => call < limit,
            Self::AllButCall(lost) => call != lost,
            Self::OnlyCall(kept) => call == kept,
            Self::PagesAtRandom | Self::SectorsAtRandom => rng.one_in(2),
        }
    }
}

impl Content {
    pub(super) fn page(&self, index: usize) -> Option<&Page> {
        self.pages.get(index)?.as_ref()
    }

    pub(super) fn put(&mut self, index: usize, page: Option<Page>) {
        let pages = Arc::make_mut(&mut self.pages);
        if pages.len() <= index {
            pages.resize(index + 1, None);
        }
        pages[index] = page;
    }

    pub(super) fn cut(&mut self, len: u64) {
        self.len = len;
        let held = index_of(len + PAGE_BYTES as u64 - 1);
        if self.pages.len() > held {
            Arc::make_mut(&mut self.pages).truncate(held);
        }
    }

    pub(super) fn read(&self, bytes: &mut [u8], offset: u64) -> usize {
        let count = self.len.saturating_sub(offset).min(bytes.len() as u64);
        let count = usize::try_from(count).unwrap_or(0);
        let mut done = 0;
        while done < count {
            let at = offset + done as u64;
            let (index, from) = (index_of(at), offset_in(at));
            let part = (PAGE_BYTES - from).min(count - done);
            let target = &mut bytes[done..done + part];
            match self.page(index) {
                Some(page) => target.copy_from_slice(&page[from..from + part]),
                None => target.fill(0),
            }
            done += part;
        }
        count
    }
}

impl Inode {
    pub(super) fn read(&self, bytes: &mut [u8], offset: u64) -> usize {
        self.now.read(bytes, offset)
    }

    pub(super) fn len(&self) -> u64 {
        self.now.len
    }

    fn change_page(&mut self, call: u32, index: usize, page: Option<Page>) {
        self.now.put(index, page.clone());
        self.pending.push(Pending { call, change: Change::Page(index, page) });
    }

    fn change_len(&mut self, call: u32, len: u64) {
        self.now.len = len;
        self.pending.push(Pending { call, change: Change::Len(len) });
    }

    pub(super) fn write(&mut self, call: u32, bytes: &[u8], offset: u64) {
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let (index, from) = (index_of(at), offset_in(at));
            let part = (PAGE_BYTES - from).min(bytes.len() - done);
            let source = &bytes[done..done + part];
            let page = match <&[u8; PAGE_BYTES]>::try_from(source) {
                Ok(whole) => Arc::new(*whole),
                Err(_) => {
                    let mut page = self.now.page(index).map_or([0; PAGE_BYTES], |page| **page);
                    page[from..from + part].copy_from_slice(source);
                    Arc::new(page)
                }
            };
            self.change_page(call, index, Some(page));
            done += part;
        }
        let end = offset + bytes.len() as u64;
        // A length that a failed sync lost becomes pending again when bytes beyond it are written.
        if end > self.now.len.min(self.durable.len) {
            self.change_len(call, end.max(self.now.len));
        }
    }

    pub(super) fn set_len(&mut self, call: u32, len: u64) {
        if len < self.now.len {
            let (index, from) = (index_of(len), offset_in(len));
            for dropped in index..self.now.pages.len() {
                let head = if dropped == index && from > 0 { self.now.page(dropped) } else { None };
                let page = head.map(|page| {
                    let mut cut = **page;
                    cut[from..].fill(0);
                    Arc::new(cut)
                });
                self.change_page(call, dropped, page);
            }
            self.now.cut(len);
        }
        self.change_len(call, len);
    }

    pub(super) fn sync(&mut self, until: u32) {
        let pending = std::mem::take(&mut self.pending);
        let (done, left) = pending.into_iter().partition(|pending| pending.call <= until);
        self.pending = left;
        let done: Vec<Pending> = done;
        for Pending { change, .. } in done {
            match change {
                Change::Page(index, page) => self.durable.put(index, page),
                Change::Len(len) => self.durable.len = len,
            }
        }
        let len = self.durable.len;
        self.durable.cut(len);
    }

    /// Returns the content after a power loss.
    pub(super) fn settle(&self, rng: &mut Rng, fate: Fate) -> Content {
        let mut left = self.durable.clone();
        let mut len = left.len;
        let mut versions: Vec<(usize, &Option<Page>)> = Vec::with_capacity(self.pending.len());
        let at_random = matches!(fate, Fate::PagesAtRandom | Fate::SectorsAtRandom);
        for Pending { call, change } in &self.pending {
            match change {
                Change::Page(index, page) if at_random => versions.push((*index, page)),
                Change::Page(index, page) if fate.keeps(rng, *call) => {
                    left.put(*index, page.clone())
                }
                Change::Len(after) if fate.keeps(rng, *call) => len = *after,
                Change::Page(..) | Change::Len(_) => {}
            }
        }
        versions.sort_by_key(|(index, _)| *index);
        for versions in versions.chunk_by(|one, two| one.0 == two.0) {
            let tear = matches!(fate, Fate::SectorsAtRandom) && rng.one_in(2);
            let index = versions[0].0;
            let before = self.durable.page(index).cloned();
            left.put(index, settle_page(rng, tear, (&before, versions)));
        }
        left.cut(len);
        clear_tail(&mut left);
        left
    }

    pub(super) fn settled(content: Content) -> Self {
        Self { now: content.clone(), durable: content, pending: Vec::new() }
    }
}

/// Returns one version of a page, or a mix of versions by sectors.
fn settle_page(
    rng: &mut Rng,
    tear: bool,
    (before, versions): (&Option<Page>, &[(usize, &Option<Page>)]),
) -> Option<Page> {
    let draw = |rng: &mut Rng| match rng.below(versions.len() + 1) {
        0 => before,
        chosen => versions[chosen - 1].1,
    };
    let mut page = draw(rng).clone();
    for sector in (0..SECTORS).filter(|_| tear) {
        let source = draw(rng);
        let same = match (&page, source) {
            (Some(page), Some(source)) => Arc::ptr_eq(page, source),
            (page, source) => page == source,
        };
        if !same {
            let bytes = Arc::make_mut(page.get_or_insert_with(|| Arc::new([0; PAGE_BYTES])));
            let sector = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
            match source {
                Some(source) => bytes[sector.clone()].copy_from_slice(&source[sector]),
                None => bytes[sector].fill(0),
            }
        }
    }
    page
}

/// Bytes beyond the length are zeros if the file grows again.
pub(super) fn clear_tail(content: &mut Content) {
    let (index, from) = (index_of(content.len), offset_in(content.len));
    if let Some(page) = content.page(index)
        && page[from..].iter().any(|byte| *byte != 0)
    {
        let mut cut = **page;
        cut[from..].fill(0);
        content.put(index, Some(Arc::new(cut)));
    }
}

pub(super) fn index_of(offset: u64) -> usize {
    usize::try_from(offset / PAGE_BYTES as u64).unwrap_or(usize::MAX)
}

fn offset_in(offset: u64) -> usize {
    usize::try_from(offset % PAGE_BYTES as u64).unwrap_or(0)
}
