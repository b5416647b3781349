//! Runs a model in all its interleavings, and counts them.

use crate::wait_graph::ThreadId;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How far a model is explored when the environment does not ask for more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) preemptions: usize,
    /// Fewer executions than this mean that something is not explored any more.
    pub(crate) executions_min: usize,
}

/// Explores `model` and fails unless it ran often enough.
#[track_caller]
#[expect(clippy::print_stdout, reason = "how much was explored is half of the result")]
pub(crate) fn explore(bound: Bound, model: impl Fn() + Send + Sync + 'static) {
    let Bound { preemptions, executions_min } = bound;
    let mut builder = loom::model::Builder::new();
    // The environment raises the bound, it does not lower it.
    let asked = builder.preemption_bound.unwrap_or_default();
    builder.preemption_bound = Some(preemptions.max(asked));
    builder.max_branches = 100_000;
    // A counter of the standard library: counting is no step of the model.
    let executions = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&executions);
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let executions = executions.load(Ordering::Relaxed);
    println!("{executions} interleavings");
    assert!(
        executions >= executions_min,
        "explored {executions} interleavings of at least {executions_min}"
    );
}

/// Returns a number of a thread that no other call returns; of the standard library, so no step of
/// a model.
pub(crate) fn new_thread() -> ThreadId {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    ThreadId(NEXT.fetch_add(1, Ordering::Relaxed))
}
