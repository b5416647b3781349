//! Durable-prefix oracle: the states that a store may have after a crash.
//!
//! A program commits states one after another. A commit is durable once the store acknowledged it;
//! later ones may survive, in order. So the recovered state is that of the last durable commit or
//! of a later one.
//!
//! - KO1 A recovery to a state before the last durable commit, or to no committed state, is
//!   refused.
//! - KO2 A state that a reader saw after a crash is durable: no later crash may lose it.

use std::fmt;

/// The states that a crash may leave: the last durable one, then those committed since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix<S> {
    /// Never empty.
    states: Vec<S>,
}

/// A recovery to a state that no crash may leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAPrefix {
    /// For each permitted state, newest first, how the recovered one differs.
    pub differences: Vec<String>,
}

impl fmt::Display for NotAPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.differences.join("; or: "))
    }
}

impl std::error::Error for NotAPrefix {}

impl<S> Prefix<S> {
    /// Starts with a durable state.
    pub fn durable(state: S) -> Self {
        Self { states: vec![state] }
    }

    /// Adds a commit that is in flight or unsynced: it may survive a crash.
    pub fn begin(&mut self, state: S) {
        self.states.push(state);
    }

    /// Makes the newest commit durable, and with it all before.
    pub fn acknowledge(&mut self) {
        let last = self.states.len() - 1;
        self.states.drain(..last);
    }

    /// Drops the newest commit, which the store refused without effect.
    ///
    /// # Panics
    /// When only the durable state is left.
    pub fn withdraw(&mut self) {
        assert!(self.states.len() > 1, "a durable state cannot be withdrawn");
        self.states.pop();
    }

    /// Returns the newest state, which readers see.
    ///
    /// # Panics
    /// Never: one state is always left.
    #[must_use]
    pub fn newest(&self) -> &S {
        self.states.last().expect("a prefix has a state")
    }

    /// Returns the permitted states, oldest first.
    #[must_use]
    pub fn states(&self) -> &[S] {
        &self.states
    }

    /// Takes the recovered state as durable, and forgets the commits that the crash lost. Returns
    /// whether the newest commit survived.
    ///
    /// # Panics
    /// When `index` is no index of [`Prefix::states`].
    pub fn land(&mut self, index: usize) -> bool {
        let is_newest = index + 1 == self.states.len();
        self.states.truncate(index + 1);
        self.acknowledge();
        is_newest
    }
}

/// Returns the index of the newest permitted state that the recovered one equals. `compare` returns
/// a difference, if there is one.
///
/// # Errors
/// The error of `compare`; or the differences, as `Ok(Err(..))`.
pub fn landed<S, E>(
    states: &[S],
    mut compare: impl FnMut(&S) -> Result<Option<String>, E>,
) -> Result<Result<usize, NotAPrefix>, E> {
    let mut differences = Vec::new();
    for (index, state) in states.iter().enumerate().rev() {
        match compare(state)? {
            None => return Ok(Ok(index)),
            Some(difference) => differences.push(difference),
        }
    }
    Ok(Err(NotAPrefix { differences }))
}

#[cfg(test)]
mod tests {
    use super::{NotAPrefix, Prefix, landed};
    use std::convert::Infallible;

    fn land(prefix: &Prefix<u32>, recovered: u32) -> Result<usize, NotAPrefix> {
        let compare = |state: &u32| {
            Ok::<_, Infallible>((*state != recovered).then(|| format!("{recovered}, not {state}")))
        };
        let Ok(landed) = landed(prefix.states(), compare);
        landed
    }

    #[test]
    fn a_crash_keeps_the_durable_state_or_a_later_one() {
        let mut prefix = Prefix::durable(0);
        prefix.begin(1);
        prefix.begin(2);
        assert_eq!([0, 1, 2].map(|state| land(&prefix, state)), [Ok(0), Ok(1), Ok(2)]);
        prefix.acknowledge();
        prefix.begin(3);
        assert_eq!(land(&prefix, 3), Ok(1));
        let lost = land(&prefix, 1).unwrap_err();
        assert_eq!(lost.to_string(), "1, not 3; or: 1, not 2");
    }

    #[test]
    fn a_state_that_was_read_after_a_crash_is_durable() {
        let mut prefix = Prefix::durable(0);
        prefix.begin(1);
        prefix.begin(2);
        assert!(!prefix.land(1));
        assert_eq!(prefix.states(), [1]);
        prefix.begin(3);
        assert!(prefix.land(1));
        assert_eq!((prefix.states(), *prefix.newest()), (&[3][..], 3));
    }

    #[test]
    fn a_refused_commit_is_no_state() {
        let mut prefix = Prefix::durable(0);
        prefix.begin(1);
        prefix.withdraw();
        assert_eq!(prefix.states(), [0]);
    }

    #[test]
    #[should_panic(expected = "cannot be withdrawn")]
    fn the_durable_state_stays() {
        Prefix::durable(0).withdraw();
    }
}
