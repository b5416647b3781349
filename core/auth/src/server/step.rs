//! What is left to be done before a call has its answer: a slow hash, then a durable commit.
//!
//! - H2 An unknown name costs the same hash as a wrong password.
//!
//! Neither is done here by itself, so that a server can choose the thread, and a check what
//! happens in between.

use super::answer::Answer;
use super::call::Call;
use super::record::AccountsError;
use crate::error_code::ErrorCode;
use crate::secret::Secret;
use std::fmt;

/// Makes and checks hashes of passwords. Servers use argon2id; checks, which want millions of
/// logins, something quick.
pub trait PasswordHasher: Send + Sync {
    /// Hashes a password; the text says how, so that it can be checked after the costs changed.
    ///
    /// # Errors
    /// [`HashFailed`], for example for want of memory.
    fn hash(&self, password: &Secret, salt: &[u8; 16]) -> Result<String, HashFailed>;

    /// Tells whether a password is the one that was hashed, in a time that does not depend on it.
    fn fits(&self, password: &Secret, hash: &str) -> bool;
}

/// A password could not be hashed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashFailed;

/// What to do next about a call.
#[derive(Debug)]
pub enum Step {
    /// Send this.
    Answer(Answer),
    /// Hash a password: some ten milliseconds of a processor, and the memory that was chosen.
    Hash(HashJob),
    /// Commit: waits for the disk.
    Write(WriteJob),
}

/// A password to hash.
pub struct HashJob {
    pub(super) password: Secret,
    pub(super) task: HashTask,
}

pub(super) enum HashTask {
    /// Checks the password of an account; without one it fails, after the same work.
    Check {
        account: Option<(String, String)>,
        salt: [u8; 16],
    },
    Make {
        salt: [u8; 16],
        then: Make,
    },
}

pub(super) enum Make {
    Account { name: Secret },
    Password { refresh: Secret, identity: Option<String> },
}

/// Changes to commit, if what they rest on still holds.
pub struct WriteJob(pub(super) Write);

pub(super) enum Write {
    Register {
        name: Secret,
        hash: String,
    },
    /// With the hash that the password was found to fit.
    LogIn {
        identity: String,
        hash: String,
    },
    ChangePassword {
        refresh: Secret,
        identity: Option<String>,
        hash: String,
    },
    Revoke {
        refresh: Secret,
    },
    /// A call with a token whose presenting changes something.
    Present(Call),
}

impl HashJob {
    /// Does the work.
    #[must_use]
    pub fn run(self, hasher: &dyn PasswordHasher) -> Step {
        let Self { password, task } = self;
        match task {
            HashTask::Check { account: Some((identity, hash)), .. } => {
                match hasher.fits(&password, &hash) {
                    true => Step::Write(WriteJob(Write::LogIn { identity, hash })),
                    false => Step::Answer(Answer::refused(ErrorCode::INVALID_CREDENTIALS)),
                }
            }
            HashTask::Check { account: None, salt } => match hasher.hash(&password, &salt) {
                Ok(_) => Step::Answer(Answer::refused(ErrorCode::INVALID_CREDENTIALS)),
                Err(HashFailed) => Step::Answer(Answer::failed(AccountsError::Hash)),
            },
            HashTask::Make { salt, then } => match (hasher.hash(&password, &salt), then) {
                (Ok(hash), Make::Account { name }) => {
                    Step::Write(WriteJob(Write::Register { name, hash }))
                }
                (Ok(hash), Make::Password { refresh, identity }) => {
                    Step::Write(WriteJob(Write::ChangePassword { refresh, identity, hash }))
                }
                (Err(HashFailed), _) => Step::Answer(Answer::failed(AccountsError::Hash)),
            },
        }
    }
}

impl fmt::Debug for HashJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashJob(..)")
    }
}

impl fmt::Debug for WriteJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriteJob(..)")
    }
}
