//! Accounts of a server, sans-IO: authentication and authorization over a store. Time, random
//! bytes and password hashes are inputs.
//!
//! The input is an [`ApiRequest`] and the time. The output is a [`Step`]: a [`Response`], or first
//! a password to hash or a transaction to commit. Only [`Accounts::commit`] blocks and only
//! [`HashJob::run`] is slow, so the caller chooses threads and a check chooses interleavings.
//!
//! - H1 Acknowledged changes survive every crash; other changes are complete or absent.
//! - H2 A login succeeds only with the password that the account has at that moment.
//! - H3 Every request refuses a revoked token, forever.
//! - H4 A refresh token is valid until it expires or is revoked.
//! - H5 Revoking ends one login, and no other.
//! - H6 A rotated token is valid until a successor is presented; a minute later it ends the login.
//! - H7 An accepted access token carries the signature of this server and has not expired.
//! - H8 Only an administrator reaches the account or the files of another user.
//! - H9 Decoding a request is total.
//! - H10 Passwords and tokens are stored as hashes, and never printed.
//! - H12 A name leads to one account.
//! - H13 Guessing is rate-limited, in bounded memory.
//!
//! Specified in docs/server.md.
//!
//! ```
//! use fastness_auth::server::{
//!     Accounts, ApiRequest, HashError, PasswordHasher, Policy, RequestHead, Step,
//! };
//! use fastness_auth::{Secret, Time};
//! use fastness::{OsRandom, StoreOptions};
//! use std::sync::Arc;
//!
//! struct Clear; // for this example only: a server uses argon2id
//! impl PasswordHasher for Clear {
//!     fn hash(&self, password: &Secret, _: &[u8; 16]) -> Result<String, HashError> {
//!         Ok(password.expose().to_owned())
//!     }
//!     fn verify(&self, password: &Secret, hash: &str) -> bool {
//!         password.expose() == hash
//!     }
//! }
//!
//! let store = StoreOptions::new().in_memory()?;
//! let accounts = Accounts::open(store, Arc::new(OsRandom), Policy::default())?;
//! let body = br#"{"provider": "password", "data": "alice",
//!     "user_info": {"register": true, "password": "s3cret"}}"#;
//! let head = RequestHead { method: "POST", target: "/auth", authorization: b"" };
//! let request = ApiRequest::decode(&head, body).unwrap();
//! let mut step = accounts.start(Time(0), request);
//! let response = loop {
//!     step = match step {
//!         Step::Respond(response) => break response,
//!         Step::Hash(job) => job.run(&Clear),
//!         Step::Commit(job) => Step::Respond(accounts.commit(Time(0), job)),
//!     };
//! };
//! assert_eq!(response.status(), 200); // the account is durable
//! # Ok::<(), fastness_auth::server::AccountsError>(())
//! ```

mod access_token;
mod accounts;
mod admin;
mod api_request;
mod commit;
mod database_access;
mod file_path;
mod name;
mod rate_limiter;
mod record;
mod refresh_token;
mod response;
mod server_keys;
mod source_network;
mod step;
#[cfg(test)]
mod tests;

pub(crate) use refresh_token::LoginId;

pub use access_token::{Claims, Signer, TokenProblem};
pub use accounts::{Accounts, Policy};
pub use admin::{AdminReply, AdminRequest, UserSummary};
pub use api_request::{ApiRequest, BODY_BYTES_MAX, InvalidRequest, LookUpForm, RequestHead};
pub use database_access::{DatabasePath, DatabaseRight};
pub use name::ADMIN_NAME;
pub use rate_limiter::{AddressEvent, Rate, RateLimiter, RateLimits};
pub use record::AccountsError;
pub use response::{Event, Response};
pub use source_network::SourceNetwork;
pub use step::{CommitJob, HashError, HashJob, PasswordHasher, Step};
