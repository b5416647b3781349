//! Commands that run long: their limits, their threads, and Ctrl-C.

use crate::failure::Failure;
use std::env;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Default time limits of a campaign, in seconds.
pub(crate) const MINUTE: u64 = 60;
pub(crate) const DAY: u64 = 24 * 3600;

/// The exit code that shells use for an interrupted command.
pub(crate) const INTERRUPTED: u8 = 130;

/// Returns the number of cores.
pub(crate) fn core_count() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Returns the current folder.
pub(crate) fn current_folder() -> Result<PathBuf, Failure> {
    env::current_dir()
        .map_err(|error| Failure::environment(format!("cannot tell the folder: {error}")))
}

/// The first Ctrl-C ends a campaign with its report, the second one immediately.
pub(crate) fn stop_on_interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            process::exit(i32::from(INTERRUPTED));
        }
    })
    .map_err(|error| Failure::environment(format!("cannot listen to Ctrl-C: {error}")))?;
    Ok(stop)
}
