//! Turns panics of the core or of a check into values, without output, on any number of threads.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static CATCHES: Cell<bool> = const { Cell::new(false) };
    static MESSAGE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `body`; returns the message and location of a panic.
pub(super) fn catch_panic<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous_hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if CATCHES.get() {
                MESSAGE.set(Some(info.to_string()));
            } else {
                previous_hook(info);
            }
        }));
    });
    let was_catching = CATCHES.replace(true);
    // State that the body leaves inconsistent is dropped with it.
    let outcome = panic::catch_unwind(AssertUnwindSafe(body));
    CATCHES.set(was_catching);
    outcome.map_err(|_| MESSAGE.take().unwrap_or_else(|| "a panic without a message".to_owned()))
}
