//! Runs a model in all its interleavings, and counts them.

use crate::wait_graph::ThreadId;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// How far a model is explored when the environment does not ask for more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) preemptions: usize,
    /// Fewer executions than this mean that something is not explored any more.
    pub(crate) executions_min: usize,
}

/// Explores `model` and fails unless it ran often enough.
///
/// With `LOOM_CHECKPOINT_FILE`, an exploration continues where an earlier one stopped, so that its
/// count alone says nothing. Each exploration of a test has a file of its own, with its number
/// behind the name, and all of them share the time of `LOOM_MAX_DURATION`.
#[track_caller]
#[expect(clippy::print_stdout, reason = "how much was explored is half of the result")]
pub(crate) fn explore(bound: Bound, model: impl Fn() + Send + Sync + 'static) {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    static EXPLORATIONS: AtomicUsize = AtomicUsize::new(0);
    let Bound { preemptions, executions_min } = bound;
    let mut builder = loom::model::Builder::new();
    // The environment raises the bound, it does not lower it.
    let preemptions = preemptions.max(builder.preemption_bound.unwrap_or_default());
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 100_000;
    let used = BEGUN.get_or_init(Instant::now).elapsed();
    builder.max_duration = builder.max_duration.map(|limit| limit.saturating_sub(used));
    let number = EXPLORATIONS.fetch_add(1, Ordering::Relaxed);
    if let Some(file) = &mut builder.checkpoint_file {
        file.set_extension(format!("{number}.json"));
    }
    // A counter of the standard library: counting is no step of the model.
    let executions = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&executions);
    let start = Instant::now();
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let executions = executions.load(Ordering::Relaxed);
    let is_cut_off = builder.max_duration.is_some_and(|limit| start.elapsed() >= limit);
    let so_far = if is_cut_off { " so far" } else { "" };
    println!("{executions} interleavings at {preemptions} preemptions{so_far}");
    assert!(
        executions >= executions_min || builder.checkpoint_file.is_some(),
        "explored {executions} interleavings of at least {executions_min}"
    );
}

/// Returns a number of a thread that no other call returns; of the standard library, so no step of
/// a model.
pub(crate) fn new_thread() -> ThreadId {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    ThreadId(NEXT.fetch_add(1, Ordering::Relaxed))
}
