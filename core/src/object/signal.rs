//! Signals: waking the threads and tasks that wait for changes.
//!
//! - W4 After a commit that changed objects is visible, every subscription is woken: a thread in
//!   `recv`, the callback, and the task that polled last. No wake-up is lost between a look for
//!   changes and the wait for them, and no code of the app runs under a lock.
//!
//! A waiting thread looks for changes under the lock of its signal. A committing thread first makes
//! its commit visible and then takes the same lock, so the waiting thread either sees the commit or
//! is notified of it.
//!
//! Model: loom-tests, `signals`. Check: `sim::check::observers`.

use crate::conc::{Arc, Condvar, Mutex, Weak};
use crate::fault::{self, Fault};
use std::fmt;
use std::task::Waker;
use std::time::Duration;

/// Code of the app that runs after each commit that changed objects.
pub(super) type WakeFn = Arc<dyn Fn() + Send + Sync>;

/// The signals of all subscriptions.
#[derive(Debug, Default)]
pub(super) struct Signals {
    all: Mutex<Vec<Weak<Signal>>>,
}

/// The signal of one subscription.
#[derive(Debug, Default)]
pub(super) struct Signal {
    woken: Mutex<Woken>,
    changed: Condvar,
}

/// The callback and the task of a subscription, for the next wake-up.
#[derive(Default)]
struct Woken {
    callback: Option<WakeFn>,
    task: Option<Waker>,
}

impl fmt::Debug for Woken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (callback, task) = (self.callback.is_some(), self.task.is_some());
        f.debug_struct("Woken").field("callback", &callback).field("task", &task).finish()
    }
}

impl Signals {
    /// Adds a signal; dropping it removes it.
    pub(super) fn begin(&self) -> Arc<Signal> {
        let signal = Arc::new(Signal::default());
        let mut all = self.all.lock();
        all.retain(|signal| signal.strong_count() > 0);
        all.push(Arc::downgrade(&signal));
        signal
    }

    /// Wakes every subscription. The caller holds no lock, and its commit is visible.
    pub(super) fn wake(&self) {
        // The last reference to a signal must not be dropped under the lock.
        let signals: Vec<_> = self.all.lock().iter().filter_map(Weak::upgrade).collect();
        for signal in signals {
            signal.wake();
            if fault::on(Fault::Ob13) {
                break;
            }
        }
    }
}

impl Signal {
    /// Wakes the subscription. The caller holds no lock, and its commit is visible.
    pub(super) fn wake(&self) {
        let (callback, task) = {
            let mut woken = self.woken.lock();
            self.changed.notify_all();
            (woken.callback.clone(), woken.task.take())
        };
        if let Some(task) = task {
            task.wake();
        }
        if let Some(callback) = callback {
            callback();
        }
    }

    /// Waits until `poll` returns a value; none if the time is over before.
    pub(super) fn wait<T>(
        &self,
        timeout: Duration,
        mut poll: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let mut found = None;
        let guard = self.woken.lock();
        drop(self.changed.wait_while(guard, timeout, || {
            found = poll();
            found.is_none()
        }));
        found
    }

    /// Returns the value of `poll`, or registers the task to be woken by the next commit.
    pub(super) fn register<T>(&self, task: &Waker, poll: impl FnOnce() -> Option<T>) -> Option<T> {
        let mut woken = self.woken.lock();
        let found = poll();
        woken.task = found.is_none().then(|| task.clone());
        found
    }

    /// Sets the callback in place of the one before.
    pub(super) fn set_callback(&self, callback: Option<WakeFn>) {
        // Code of the app may run when the old one is dropped.
        let old = std::mem::replace(&mut self.woken.lock().callback, callback);
        drop(old);
    }
}
