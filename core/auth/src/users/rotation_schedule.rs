//! Schedule of refresh token rotations, and the requests that wait for one.
//!
//! Specified in docs/auth.md#refresh-token-rotation.

use super::event::{Call, CallId, SessionId, UserId};
use crate::backoff::BACKOFF_MAX;
use crate::refresh::RequestId;
use fastness::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// Request that waits for a rotation.
#[derive(Clone, Debug)]
pub(super) enum Deferred {
    Token(SessionId, RequestId),
    Call(CallId, Call),
}

/// Schedule of rotations.
#[derive(Clone, Default, Debug)]
pub(super) struct Rotations {
    every: Option<Duration>,
    /// Earliest next rotation of each user; a missing user is due.
    due: BTreeMap<UserId, Time>,
    /// Waiting requests in order of arrival.
    pub(super) deferred: Vec<Deferred>,
}

impl Rotations {
    pub(super) fn after(age: Duration) -> Self {
        Self { every: Some(age), ..Self::default() }
    }

    pub(super) fn is_due(&self, now: Time, user: &UserId) -> bool {
        let Some(every) = self.every else { return false };
        // After a clock step backwards a token still does not outlive its interval.
        let latest = now.plus(every.max(BACKOFF_MAX));
        self.due.get(user).is_none_or(|due| *due <= now || *due > latest)
    }

    /// Schedules the next rotation after a new token.
    pub(super) fn succeeded(&mut self, now: Time, user: UserId) {
        if let Some(every) = self.every {
            self.due.insert(user, now.plus(every));
        }
    }

    /// Schedules the next rotation after a failure.
    pub(super) fn failed(&mut self, now: Time, user: UserId) {
        self.due.insert(user, now.plus(BACKOFF_MAX));
    }
}

impl Deferred {
    pub(super) const fn call(&self) -> Option<CallId> {
        match self {
            Self::Token(..) => None,
            Self::Call(call, _) => Some(*call),
        }
    }
}
