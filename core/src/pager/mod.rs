//! The pager: pages in and out of one file, through their seals, within a cache budget.
//!
//! In: a pointer, which proves its page. Out: the bytes of the page. The pager knows no nodes; the
//! B+tree above decodes the bytes, and registers what the [`Cache`] may evict.
//!
//! - G1 No byte of a page is used before its seal was opened.
//! - G2 The budget counts a node, with all memory it takes, for as long as the node is in memory.
//! - G3 An open store takes no more memory than the budget, an eighth of it, what the open
//!   transaction needs beside nodes, and a constant.
//!
//! Each file imports only from those before it: `page_set`, `evict`, `cache`, `io`, `page_writer`.

mod cache;
mod evict;
mod io;
mod page_set;
mod page_writer;

pub(crate) use cache::{Cache, Charge};
pub(crate) use evict::{Evict, Referenced, Sweep, TreeId};
pub(crate) use io::{Pager, PagerParts};
pub(crate) use page_set::PageSet;
pub(crate) use page_writer::PageWriter;
