//! Waits and progress of tasks against our server.

use super::support::{Device, add, rows_of};
use crate::login::support::{FOREVER, Host};
use fastness_client::{
    Progress, ProgressDirection, ProgressMode, SessionState, SyncCallError, SyncOptions,
};
use futures_util::{FutureExt as _, StreamExt as _};
use std::future::Future;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// Runs a future to its end, which only a failing test does not reach.
fn run<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(async { timeout(FOREVER, future).await.expect("CS8: no end") })
}

#[test]
fn a_task_opens_a_file_and_waits_for_transfers() {
    let host = Host::with_tls();
    let (device, other) = (Device::register(&host, "alice"), Device::log_in(&host, "alice"));
    run(async {
        let file = device.sync.opening(&device.configuration(), SyncOptions::new()).await.unwrap();
        file.reached(SessionState::Active).await.unwrap();
        add(&file, "one");
        file.uploaded().await.unwrap();
        let seen = other.sync.opening(&other.configuration(), SyncOptions::new()).await.unwrap();
        seen.downloaded().await.unwrap();
        assert_eq!(rows_of(seen.database()), ["one"], "CS8");
        // Many waits of one file end together.
        add(&file, "two");
        let waits: Vec<_> = (0..20).map(|_| file.uploaded()).collect();
        for outcome in futures_util::future::join_all(waits).await {
            outcome.unwrap();
        }
        seen.downloaded().await.unwrap();
        assert_eq!(rows_of(seen.database()), ["one", "two"], "CS8");
    });
}

#[test]
fn progress_is_a_stream_that_ends() {
    let host = Host::with_tls();
    let device = Device::register(&host, "alice");
    let file = device.open();
    file.pause();
    (0..10).for_each(|_| add(&file, &"x".repeat(1000)));
    let progress = file.progress((ProgressDirection::Upload, ProgressMode::CurrentChanges));
    file.resume();
    let all: Vec<Progress> = run(progress.collect());
    let last = all.last().unwrap();
    assert!(last.is_complete() && last.transferred > 10_000, "CS8: {all:?}");
}

#[test]
fn a_wait_ends_with_its_session_and_with_its_future() {
    let host = Host::with_tls();
    let device = Device::register(&host, "alice");
    let file = device.open();
    file.reached(SessionState::Active).now_or_never();
    file.pause();
    add(&file, "one");
    let wait = file.uploaded();
    let (dropped, mark) = (file.uploaded(), file.downloaded());
    run(async move {
        // A wait that was polled and then dropped takes nothing from another one.
        assert!(timeout(std::time::Duration::from_millis(1), dropped).await.is_err(), "CS8");
        drop(mark);
    });
    drop(device.sync);
    let outcome = run(wait);
    assert!(matches!(outcome, Err(SyncCallError::Stopped { .. })), "CS8: {outcome:?}");
}
