//! Limit of open files of the process, on which connections depend.
//!
//! - H17 The server raises the limit as far as the system permits, and accepts no more connections
//!   than files fit.

use crate::config::HttpLimits;
use crate::connections::RESERVED_CONNECTIONS;

/// Files beside connections and databases: the account file, its folder, the log, the runtime.
const OTHER_FILES: usize = 64;

/// Files of an open database.
const DATABASE_FILES: usize = 2;

/// Raises the limit of open files for these connections, and so many databases; returns limits that
/// fit it.
pub(crate) fn fit(limits: HttpLimits, databases: usize) -> HttpLimits {
    let others = RESERVED_CONNECTIONS + OTHER_FILES + databases.saturating_mul(DATABASE_FILES);
    let wanted = limits.connections_max.saturating_add(others);
    let granted = raise(wanted);
    if granted >= wanted {
        return limits;
    }
    let connections_max = granted.saturating_sub(others).max(1);
    tracing::warn!(
        open_files = granted,
        wanted,
        connections_max,
        "the system limits open files; raise the limit (ulimit -n, LimitNOFILE)"
    );
    HttpLimits { connections_max, ..limits }
}

/// Raises the limit to `wanted`, or to the most that the system permits; returns it.
#[cfg(unix)]
fn raise(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let count = |limit: Option<u64>| {
        limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
    };
    let limit = getrlimit(Resource::Nofile);
    let current = count(limit.current);
    if current >= wanted {
        return current;
    }
    let raised = u64::try_from(wanted.min(count(limit.maximum))).ok();
    let request = Rlimit { current: raised, maximum: limit.maximum };
    // Some systems refuse less than they say.
    match setrlimit(Resource::Nofile, request) {
        Ok(()) => count(raised),
        Err(_) => current,
    }
}

#[cfg(not(unix))]
fn raise(wanted: usize) -> usize {
    wanted
}
