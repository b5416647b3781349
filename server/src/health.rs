//! Health check: a durable commit within a bound.
//!
//! - H16 A check succeeds only after a commit that is not older than [`FRESH`], and ends within
//!   [`PATIENCE`]. Concurrent checks share one commit.

use crate::clocks::ServerClocks;
use fastness_auth::Time;
use fastness_auth::server::{Accounts, AccountsError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::{task, time};

/// Age up to which a result counts, so that checks cost one commit a second at most.
const FRESH: Duration = Duration::from_secs(1);

/// Time for the commit.
const PATIENCE: Duration = Duration::from_secs(5);

/// Health of the accounts.
#[derive(Default)]
pub(crate) struct Health(Mutex<LastCheck>);

#[derive(Default)]
struct LastCheck {
    /// Time and success of the last commit.
    result: Option<(Time, bool)>,
    /// Commit under way, even if its caller no longer waits.
    running: Option<JoinHandle<Result<(), AccountsError>>>,
}

impl Health {
    /// Returns whether the accounts can be written.
    pub(crate) async fn check(&self, accounts: &Arc<Accounts>, clocks: ServerClocks) -> bool {
        let checked = time::timeout(PATIENCE, self.commit(accounts, clocks)).await;
        checked.unwrap_or_else(|_| {
            tracing::error!(patience = ?PATIENCE, "unhealthy: no commit in time");
            false
        })
    }

    async fn commit(&self, accounts: &Arc<Accounts>, clocks: ServerClocks) -> bool {
        let mut last = self.0.lock().await;
        if let Some((at, is_healthy)) = last.result
            && (clocks.monotonic)().since(at) < FRESH
        {
            return is_healthy;
        }
        let accounts = Arc::clone(accounts);
        let commit = move || accounts.check_health((clocks.wall)());
        let outcome = last.running.get_or_insert_with(|| task::spawn_blocking(commit)).await;
        last.running = None;
        let is_healthy = match outcome {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(%error, "unhealthy");
                false
            }
            Err(error) => {
                tracing::error!(%error, "unhealthy: the check ended");
                false
            }
        };
        last.result = Some(((clocks.monotonic)(), is_healthy));
        is_healthy
    }
}
