//! Page map: the pages of a file, drawn as a picture, at the end of a plan.
//!
//! The files are those of the machine that the plan booted last. One letter stands for a page. A
//! file that does not open, or that another key protects, is drawn by its bytes alone.

use super::booted;
use super::definition::{Check, Twin};
use super::plan::Plan;
use super::probe::Probe;
use super::world::{SHARED_KEY, other_key};
use crate::fs::{Disk, SimFs};
use fastness::inspect::dump_file;
use fastness::{Key, PAGE_BYTES, StoreOptions};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

/// Pages in a row of the picture.
const ROW_PAGES: usize = 64;
/// Rows of a picture; a longer file is cut.
const ROWS_MAX: usize = 256;
const LEGEND: &str = "H header  B branch  L leaf  V long value  w log  . free  ! damaged  \
    # bytes  0 zeros\n";

impl Check {
    /// Runs a plan and draws the files that it leaves; a plan without files gives an empty text.
    #[must_use]
    pub fn page_map(&self, plan: &Plan, twin: Twin) -> String {
        drop(booted::take());
        // Its violation is known.
        drop(self.run(plan, twin, &mut Probe::default()));
        let Some(fs) = booted::take() else { return String::new() };
        let disk = fs.disk();
        let mut paths: Vec<&Path> = disk.names().collect();
        paths.sort_unstable();
        let mut text = LEGEND.to_owned();
        for path in paths {
            let bytes = disk.len(path).unwrap_or(0);
            writeln!(text, "\n{}: {bytes} bytes", path.display()).unwrap_or_default();
            text += &picture(&letters(&disk, path));
        }
        text
    }
}

/// Returns a letter for each page of a file.
fn letters(disk: &Disk, path: &Path) -> Vec<u8> {
    let keys = [None, Some(Key::new(SHARED_KEY)), Some(other_key())];
    let dump = keys.into_iter().find_map(|key| {
        let fs = SimFs::boot(disk.clone(), 1);
        let options = StoreOptions::new().vfs(Arc::new(fs));
        let options = key.map_or(options.clone(), |key| options.key(key));
        dump_file(&options.open(path).ok()?.snapshot()).ok()
    });
    dump.map_or_else(|| by_bytes(disk, path), |dump| by_dump(&dump))
}

/// Reads lines like `page 7: leaf of ..` and `pages 7 to 90: free`.
fn by_dump(dump: &str) -> Vec<u8> {
    let mut letters = Vec::new();
    for line in dump.lines() {
        let Some((pages, about)) = line.split_once(": ") else { continue };
        let mut numbers = pages.split(' ').filter_map(|word| word.parse::<usize>().ok());
        let first = numbers.clone().next().unwrap_or(0);
        let last = numbers.next_back().unwrap_or(first);
        let word = about.split([' ', ',']).next().unwrap_or_default();
        let letter = match word {
            "prelude" | "slot" => b'H',
            "branch" => b'B',
            "leaf" => b'L',
            "overflow" => b'V',
            "log" => b'w',
            "free" => b'.',
            _ => b'!',
        };
        let count = (last - first + 1).min(ROWS_MAX * ROW_PAGES);
        letters.extend(std::iter::repeat_n(letter, count));
    }
    letters
}

fn by_bytes(disk: &Disk, path: &Path) -> Vec<u8> {
    let bytes = usize::try_from(disk.len(path).unwrap_or(0)).unwrap_or(usize::MAX);
    let pages = bytes.div_ceil(PAGE_BYTES).min(ROWS_MAX * ROW_PAGES);
    let is_empty = |page: usize| disk.page(path, page).is_none_or(|page| *page == [0; PAGE_BYTES]);
    (0..pages).map(|page| if is_empty(page) { b'0' } else { b'#' }).collect()
}

fn picture(letters: &[u8]) -> String {
    let mut text = String::new();
    for (row, letters) in letters.chunks(ROW_PAGES).take(ROWS_MAX).enumerate() {
        let letters = String::from_utf8_lossy(letters);
        writeln!(text, "{:>8} {letters}", row * ROW_PAGES).unwrap_or_default();
    }
    if letters.len() > ROWS_MAX * ROW_PAGES {
        text += "         ..\n";
    }
    text
}
