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
    let connections_max = connections_within(granted, others, limits.connections_max);
    if connections_max < limits.connections_max {
        tracing::warn!(
            open_files = granted,
            wanted,
            connections_max,
            "the system limits open files; raise the limit (ulimit -n, LimitNOFILE)"
        );
    }
    HttpLimits { connections_max, ..limits }
}

/// Returns the connections that fit beside other files, at least one.
fn connections_within(granted: usize, others: usize, connections_max: usize) -> usize {
    connections_max.min(granted.saturating_sub(others).max(1))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_the_files_that_the_system_grants() {
        assert_eq!(connections_within(10_000, 600, 4096), 4096);
        assert_eq!(connections_within(1024, 600, 4096), 424, "H17");
        assert_eq!(connections_within(100, 600, 4096), 1, "H17");
        assert_eq!(connections_within(usize::MAX, 600, 4096), 4096);
    }

    #[cfg(unix)]
    #[test]
    fn the_limit_is_raised_for_connections_and_databases() {
        use rustix::process::{Resource, getrlimit};
        let limits = HttpLimits { connections_max: 300, ..HttpLimits::default() };
        let fitted = fit(limits, 50);
        let current = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let files = fitted.connections_max + 50 * DATABASE_FILES + OTHER_FILES;
        assert!(current >= u64::try_from(files).unwrap(), "H17: {current} files");
    }
}
