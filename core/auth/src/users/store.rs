//! User store: the state machine of users over a store.
//!
//! - U12 Each change is committed before its outputs are returned; if the commit fails, the state
//!   is unchanged.
//!
//! The trees `users` and `revocations` map a big-endian 8-byte number to a user as JSON. Specified
//! in docs/auth.md#the-user-store. Check: `sim::check::auth_users`.

use super::event::{Input, Output, UserId};
use super::persisted::PersistedUsers;
use super::state_machine::Users;
use crate::backoff::Backoff;
use crate::fault::{self, Fault};
use crate::user::User;
use fastness::{Error, FileErrorCause, Result, Store, Time, TreeMut};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

const USERS: &str = "users";
const REVOCATIONS: &str = "revocations";

/// Persistent users of an app.
#[derive(Debug)]
pub struct UserStore {
    store: Store,
    users: Users,
}

impl UserStore {
    /// Reads the users of a dedicated store. Pending revocations are due at once: see
    /// [`UserStore::deadline`].
    ///
    /// Only the key of the store protects the tokens in it.
    ///
    /// # Errors
    /// [`FileErrorCause::OtherContent`] if the store contains other data, and errors of reading.
    pub fn open(store: Store, now: Time) -> Result<Self> {
        let users = Users::new(read(&store)?, now);
        Ok(Self { store, users })
    }

    /// Sets the name of the app: see [`Users::app_id`].
    #[must_use]
    pub fn app_id(mut self, app_id: Option<&str>) -> Self {
        self.users = self.users.app_id(app_id);
        self
    }

    /// Sets the back-off: see [`Users::backoff`].
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.users = self.users.backoff(backoff);
        self
    }

    /// Rotates refresh tokens of this age: see [`Users::rotate_after`].
    #[must_use]
    pub fn rotate_after(mut self, age: Duration) -> Self {
        self.users = self.users.rotate_after(age);
        self
    }

    /// Returns the state machine.
    #[must_use]
    pub const fn users(&self) -> &Users {
        &self.users
    }

    /// Returns when to call with [`Input::Wake`]: see [`Users::deadline`].
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.users.deadline()
    }

    /// Handles an event: commits the change, then appends the resulting actions.
    ///
    /// # Errors
    /// Errors of the commit. The state is unchanged, and the caller may pass the event again. After
    /// [`Error::Poisoned`] or another error that requires reopening, only opening shows whether the
    /// change was committed.
    pub fn handle(&mut self, now: Time, input: Input, outputs: &mut Vec<Output>) -> Result<()> {
        let mut next = self.users.clone();
        let mut todo = Vec::new();
        next.handle(now, input, &mut todo);
        if fault::on(Fault::Cl01) {
            outputs.append(&mut todo);
        }
        write(&self.store, self.users.persisted(), next.persisted())?;
        self.users = next;
        outputs.append(&mut todo);
        Ok(())
    }
}

fn read(store: &Store) -> Result<PersistedUsers> {
    let snapshot = store.snapshot();
    let mut kept = PersistedUsers::default();
    for (name, map) in [(USERS, &mut kept.users), (REVOCATIONS, &mut kept.revocations)] {
        for entry in snapshot.tree(name).range(..)? {
            let (key, json) = entry?;
            let number = <[u8; 8]>::try_from(&*key).ok().map(u64::from_be_bytes);
            // The sequence must not overflow.
            let number = number.filter(|number| *number < u64::MAX / 2);
            let user = User::from_json(&json).ok();
            let (Some(number), Some(user)) = (number, user) else {
                return Err(not_users(store.path()));
            };
            map.insert(number, user);
        }
    }
    let distinct: BTreeSet<_> = kept.users().map(UserId::of).collect();
    if distinct.len() < kept.users.len() {
        return Err(not_users(store.path()));
    }
    Ok(kept)
}

fn not_users(path: &Path) -> Error {
    Error::File {
        path: path.to_path_buf(),
        cause: FileErrorCause::OtherContent { expected: "users" },
    }
}

/// Writes the differences in one durable commit.
fn write(store: &Store, old: &PersistedUsers, new: &PersistedUsers) -> Result<()> {
    let later = if fault::on(Fault::Cl04) { &old.revocations } else { &new.revocations };
    let maps = [(USERS, &old.users, &new.users), (REVOCATIONS, &old.revocations, later)];
    if maps.iter().all(|(_, old, new)| differences(old, new).next().is_none()) {
        return Ok(());
    }
    let mut txn = store.write()?;
    for (name, old, new) in maps {
        let mut tree = txn.tree(name)?;
        for number in differences(old, new) {
            put(&mut tree, number, new.get(&number))?;
        }
    }
    txn.commit()?;
    Ok(())
}

fn put(tree: &mut TreeMut<'_>, number: u64, user: Option<&User>) -> Result<()> {
    let key = number.to_be_bytes();
    match user {
        Some(user) => tree.insert(&key, user.to_json().expose().as_bytes())?,
        None => tree.remove(&key)?,
    };
    Ok(())
}

/// Returns the numbers whose users differ, tokens included.
fn differences<'a>(
    old: &'a BTreeMap<u64, User>,
    new: &'a BTreeMap<u64, User>,
) -> impl Iterator<Item = u64> + 'a {
    let numbers: BTreeSet<u64> = old.keys().chain(new.keys()).copied().collect();
    numbers.into_iter().filter(|number| match (old.get(number), new.get(number)) {
        (Some(old), Some(new)) => old != new || old.token != new.token,
        (old, new) => old.is_some() != new.is_some(),
    })
}
