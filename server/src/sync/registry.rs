//! The connections of a server, by number and by user.
//!
//! - H29 A user has a bounded number of connections, and the operator can end them.

use super::link::{Link, LinkEvent};
use fastness_auth::Time;
use fastness_sync::frame::Code;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections of a server.
#[derive(Default)]
pub(super) struct Registry(Mutex<BTreeMap<u64, ConnectionEntry>>);

/// A connection.
#[derive(Clone)]
pub(super) struct ConnectionEntry {
    pub(super) link: Arc<Link>,
    /// Identity of the user, once a token was accepted.
    pub(super) user: Option<Arc<str>>,
    pub(super) since: Time,
}

impl Registry {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<u64, ConnectionEntry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, number: u64, link: &Arc<Link>, since: Time) {
        let entry = ConnectionEntry { link: Arc::clone(link), user: None, since };
        self.entries().insert(number, entry);
    }

    pub(super) fn remove(&self, number: u64) {
        self.entries().remove(&number);
    }

    /// Notes the user of a connection; false if the user has as many others as permitted.
    pub(super) fn join(&self, number: u64, user: &Arc<str>, count_max: usize) -> bool {
        let mut entries = self.entries();
        let is_other = |(other, entry): &(&u64, &ConnectionEntry)| {
            **other != number && entry.user.as_deref() == Some(&**user)
        };
        if entries.iter().filter(is_other).count() >= count_max {
            return false;
        }
        if let Some(entry) = entries.get_mut(&number) {
            entry.user = Some(Arc::clone(user));
        }
        true
    }

    /// Returns all connections, in the order of their numbers.
    pub(super) fn all(&self) -> Vec<(u64, ConnectionEntry)> {
        self.entries().iter().map(|(number, entry)| (*number, entry.clone())).collect()
    }

    /// Returns the number of connections.
    pub(super) fn count(&self) -> usize {
        self.entries().len()
    }

    /// Ends the connections for which a function returns a reason; returns their number.
    pub(super) fn end(&self, reason: impl Fn(u64, &ConnectionEntry) -> Option<Code>) -> u64 {
        let mut count = 0;
        for (number, entry) in self.all() {
            if let Some(code) = reason(number, &entry) {
                entry.link.notify(LinkEvent::Close { code, retry_after_ms: 0 });
                count += 1;
            }
        }
        count
    }
}
