//! The server's half: who may do what, when, with which token; over a store of ours, with time,
//! entropy and password hashes coming in from outside.
//!
//! In: a [`Call`], read from any bytes of a request, and the time. Out: a [`Step`], which is an
//! [`Answer`], or a password to hash first, or a commit to make first. So nothing here blocks but
//! [`Accounts::write`], nothing is slow but [`HashJob::run`], and what is interleaved with what is
//! for the caller to decide.
//!
//! - H1 What was acknowledged survives every crash; the rest is there whole or not at all.
//! - H2 Who logs in has the password that the account has at that moment.
//! - H3 A revoked token is refused by every call, for ever.
//! - H4 A refresh token is good any number of times until it expires or is revoked.
//! - H5 Revoking ends one login, and no other.
//! - H6 An exchanged token is good until a successor is presented; a minute later it ends the
//!   login.
//! - H7 An access token says what this server signed, and has not expired.
//! - H8 Only an administrator reaches the account or the files of somebody else.
//! - H9 Reading a request is total.
//! - H10 Passwords and tokens are stored as hashes, and never printed.
//! - H12 A name leads to one account.
//! - H13 Guessing is limited, in memory that does not grow.
//!
//! Specified in docs/server.md.
//!
//! ```
//! use fastness_auth::server::{Accounts, Call, HashFailed, Head, PasswordHasher, Policy, Step};
//! use fastness_auth::{Secret, Time};
//! use fastness::{StoreOptions, OsRandom};
//! use std::sync::Arc;
//!
//! struct Clear; // for this example only: a server uses argon2id
//! impl PasswordHasher for Clear {
//!     fn hash(&self, password: &Secret, _: &[u8; 16]) -> Result<String, HashFailed> {
//!         Ok(password.expose().to_owned())
//!     }
//!     fn fits(&self, password: &Secret, hash: &str) -> bool {
//!         password.expose() == hash
//!     }
//! }
//!
//! let store = StoreOptions::new().in_memory()?;
//! let accounts = Accounts::open(store, Arc::new(OsRandom), Policy::default())?;
//! let body = br#"{"provider": "password", "data": "alice",
//!     "user_info": {"register": true, "password": "s3cret"}}"#;
//! let head = Head { method: "POST", target: "/auth", authorization: b"" };
//! let call = Call::read(&head, body).unwrap();
//! let mut step = accounts.begin(Time(0), call);
//! let answer = loop {
//!     step = match step {
//!         Step::Answer(answer) => break answer,
//!         Step::Hash(job) => job.run(&Clear),
//!         Step::Write(job) => Step::Answer(accounts.write(Time(0), job)),
//!     };
//! };
//! assert_eq!(answer.status(), 200); // and it will still be there after a crash
//! # Ok::<(), fastness_auth::server::AccountsError>(())
//! ```

mod accounts;
mod answer;
mod call;
mod file_path;
mod limits;
mod record;
mod signed;
mod step;
#[cfg(test)]
mod tests;
mod token_keys;
mod write;

pub use accounts::{ADMIN_NAME, Accounts, Policy};
pub use answer::{Answer, Event};
pub use call::{BODY_BYTES_MAX, Call, Head, NotCall};
pub use limits::{Gate, Limits, Rate};
pub use record::AccountsError;
pub use signed::{Claims, Signer, TokenProblem};
pub use step::{HashFailed, HashJob, PasswordHasher, Step, WriteJob};
