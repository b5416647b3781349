//! Users in a file: one of our own stores, with a key like any other.
//!
//! - U12 What changed is committed before an output leaves; if that fails, nothing has happened.
//!
//! Two trees, `users` and `revocations`: eight bytes of number, big-endian, and a user as JSON.
//! Specified in docs/auth.md#the-user-store. Check: `sim::check::auth_users`.

use super::event::{Input, Output, UserId};
use super::kept::Kept;
use super::machine::Users;
use crate::backoff::Backoff;
use crate::user::User;
use fastness::fault::{self, Fault};
use fastness::{Error, FileErrorCause, Result, Store, Time, TreeMut};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

const USERS: &str = "users";
const REVOCATIONS: &str = "revocations";

/// The users of a program, and the store that keeps them.
#[derive(Debug)]
pub struct UserFile {
    store: Store,
    users: Users,
}

impl UserFile {
    /// Reads the users of a store, which is used for nothing else. Revocations that were not
    /// delivered are due at once: see [`UserFile::deadline`].
    ///
    /// The key of the store is all that protects the tokens in it: see the document.
    ///
    /// # Errors
    /// [`FileErrorCause::OtherContent`] if the store holds something else, and whatever reading
    /// does.
    pub fn open(store: Store, now: Time) -> Result<Self> {
        let users = Users::new(read(&store)?, now);
        Ok(Self { store, users })
    }

    /// Gives the app a name: see [`Users::app_id`].
    #[must_use]
    pub fn app_id(mut self, app_id: Option<&str>) -> Self {
        self.users = self.users.app_id(app_id);
        self
    }

    /// Says how long to wait between attempts: see [`Users::backoff`].
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.users = self.users.backoff(backoff);
        self
    }

    /// Exchanges refresh tokens of this age: see [`Users::exchange_after`].
    #[must_use]
    pub fn exchange_after(mut self, age: Duration) -> Self {
        self.users = self.users.exchange_after(age);
        self
    }

    /// Returns the users as they are.
    #[must_use]
    pub const fn users(&self) -> &Users {
        &self.users
    }

    /// Returns when to call with [`Input::Wake`]: see [`Users::deadline`].
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.users.deadline()
    }

    /// Takes what happened, makes durable what must be, and then appends what is to be done.
    ///
    /// # Errors
    /// Whatever committing does. Then nothing has happened, and the same may be handed in again;
    /// but with [`Error::Poisoned`], or if the file has to be reopened for another reason, only
    /// opening tells whether it has.
    pub fn handle(&mut self, now: Time, input: Input, outputs: &mut Vec<Output>) -> Result<()> {
        let mut next = self.users.clone();
        let mut todo = Vec::new();
        next.handle(now, input, &mut todo);
        if fault::on(Fault::Cl01) {
            outputs.append(&mut todo);
        }
        write(&self.store, self.users.kept(), next.kept())?;
        self.users = next;
        outputs.append(&mut todo);
        Ok(())
    }
}

fn read(store: &Store) -> Result<Kept> {
    let snapshot = store.snapshot();
    let mut kept = Kept::default();
    for (name, map) in [(USERS, &mut kept.users), (REVOCATIONS, &mut kept.revocations)] {
        for entry in snapshot.tree(name).range(..)? {
            let (key, json) = entry?;
            let number = <[u8; 8]>::try_from(&*key).ok().map(u64::from_be_bytes);
            // There must be greater numbers left.
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

/// Writes what differs, in one durable commit.
fn write(store: &Store, old: &Kept, new: &Kept) -> Result<()> {
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

/// The numbers whose users differ, tokens included.
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
