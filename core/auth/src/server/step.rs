//! Steps of a request: a slow hash, then a durable commit, then the response.
//!
//! - H2 An unknown name costs the same hash as a wrong password.
//!
//! The caller executes each step, so a server chooses the thread and a check the interleaving.

use super::api_request::ApiRequest;
use super::record::AccountsError;
use super::response::{Event, Response};
use crate::error_code::ErrorCode;
use crate::secret::Secret;
use std::fmt;

/// Password hash function. Servers use argon2id; checks use a fast one.
pub trait PasswordHasher: Send + Sync {
    /// Hashes a password. The text contains the parameters, so it verifies after the costs change.
    ///
    /// # Errors
    /// [`HashError`], for example if memory is exhausted.
    fn hash(&self, password: &Secret, salt: &[u8; 16]) -> Result<String, HashError>;

    /// Returns whether a password matches a hash, in constant time.
    fn verify(&self, password: &Secret, hash: &str) -> bool;
}

/// A password could not be hashed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashError;

/// Next step of a request.
#[derive(Debug)]
pub enum Step {
    /// Send this response.
    Respond(Response),
    /// Hash a password: tens of milliseconds of one core, and the configured memory.
    Hash(HashJob),
    /// Commit a transaction: waits for the disk.
    Commit(CommitJob),
}

/// Password to hash.
pub struct HashJob {
    pub(super) password: Secret,
    pub(super) task: HashTask,
}

pub(super) enum HashTask {
    /// Verifies the password of an account; without an account it fails after the same work.
    Verify {
        account: Option<(String, String)>,
        salt: [u8; 16],
    },
    Create {
        salt: [u8; 16],
        then: NewHash,
    },
}

pub(super) enum NewHash {
    Account { name: Secret },
    Password { refresh: Secret, identity: Option<String> },
}

/// Change to commit. The transaction repeats the checks that precede it.
pub struct CommitJob(pub(super) Change);

pub(super) enum Change {
    Register {
        name: Secret,
        hash: String,
    },
    /// With the hash that matched the password.
    LogIn {
        identity: String,
        hash: String,
    },
    SetPassword {
        refresh: Secret,
        identity: Option<String>,
        hash: String,
    },
    Revoke {
        refresh: Secret,
    },
    /// A request whose token changes its state when it is presented.
    Present(ApiRequest),
}

impl HashJob {
    /// Executes the hash.
    #[must_use]
    pub fn run(self, hasher: &dyn PasswordHasher) -> Step {
        let Self { password, task } = self;
        match task {
            HashTask::Verify { account: Some((identity, hash)), .. } => {
                match hasher.verify(&password, &hash) {
                    true => Step::Commit(CommitJob(Change::LogIn { identity, hash })),
                    false => Step::Respond(wrong_password(identity)),
                }
            }
            HashTask::Verify { account: None, salt } => match hasher.hash(&password, &salt) {
                Ok(_) => Step::Respond(Response::refused(ErrorCode::INVALID_CREDENTIALS)),
                Err(HashError) => Step::Respond(Response::failed(AccountsError::Hash)),
            },
            HashTask::Create { salt, then } => match (hasher.hash(&password, &salt), then) {
                (Ok(hash), NewHash::Account { name }) => {
                    Step::Commit(CommitJob(Change::Register { name, hash }))
                }
                (Ok(hash), NewHash::Password { refresh, identity }) => {
                    Step::Commit(CommitJob(Change::SetPassword { refresh, identity, hash }))
                }
                (Err(HashError), _) => Step::Respond(Response::failed(AccountsError::Hash)),
            },
        }
    }
}

/// Refuses a login to this account.
pub(super) fn wrong_password(identity: String) -> Response {
    let refused = Response::refused(ErrorCode::INVALID_CREDENTIALS);
    refused.with_event(Event::WrongPassword(identity))
}

impl fmt::Debug for HashJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashJob(..)")
    }
}

impl fmt::Debug for CommitJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommitJob(..)")
    }
}
