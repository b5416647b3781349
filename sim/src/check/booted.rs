//! The machine that a plan booted last, for a map of its files.

use crate::fs::SimFs;
use std::cell::RefCell;

thread_local! {
    static BOOTED: RefCell<Option<SimFs>> = const { RefCell::new(None) };
}

/// Keeps a machine as the last one booted on this thread.
pub(super) fn keep(fs: &SimFs) {
    BOOTED.set(Some(fs.clone()));
}

/// Takes the machine that was booted last on this thread.
pub(super) fn take() -> Option<SimFs> {
    BOOTED.take()
}
