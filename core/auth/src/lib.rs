//! Users and authentication without input or output: intents become requests, answers become
//! values, and what is to be done over time is a machine that is told the time: [`users`].
//!
//! In: credentials, tokens, the status and bytes of an answer, the time. Out: [`Request`]s for any
//! HTTP library to send, tokens, [`User`]s, [`AuthError`]s, and when to call again.
//!
//! - U1 Passwords, tokens, bodies and authorization headers are never printed, and their memory
//!   is zeroed when they are dropped.
//! - U2 Reading an answer is total: any status, any bytes.
//! - U3 An error's code is `code`, else `status`, else UNKNOWN; unlisted numbers are kept.
//! - U4 A token and a user read back as they were written, permissions too.
//! - U5 Arithmetic on times saturates.
//! - U6 A request is what the original client sends.
//! - U7 What no server could answer is refused by name, before there is a request.
//! - U8 Only what a repetition can help is repeated, with pauses that grow to five minutes.
//! - U9 At most one token request is in flight; an answer to any other changes nothing.
//! - U10 A token is renewed before it expires; a late one at once, then ever more slowly.
//! - U11 Renewal is never over in silence.
//! - U12 to U18: see [`users`].
//!
//! Specified in docs/auth.md. Vectors of the original: `core/auth/tests/vectors.rs`. Texts:
//! `snapshots/tests/auth.rs`. Any bytes: the fuzz target `auth`.
//!
//! ```
//! use fastness_auth::{AuthServer, Credentials, Login, answer};
//!
//! let server = AuthServer::new("http://localhost:9080")?;
//! let credentials = Credentials::username_password("alice", Some("s3cret".into()), true)?;
//! let Login::Ask(request) = server.login(&credentials) else { unreachable!() };
//! assert_eq!(request.url(), "http://localhost:9080/auth");
//!
//! // Send it with any HTTP library; then:
//! let (status, body) = (401, br#"{"title": "Who are you?", "code": 611}"#);
//! let error = answer::login(server.url(), status, body).unwrap_err();
//! assert_eq!(error.to_string(), "INVALID_CREDENTIALS(611): Who are you?");
//! # Ok::<(), fastness_auth::Refusal>(())
//! ```

mod address;
pub mod answer;
mod backoff;
mod credentials;
mod error;
mod error_code;
mod json;
pub mod refresh;
mod request;
mod secret;
pub mod server;
mod token;
mod user;
pub mod users;

pub use address::AuthUrl;
pub use answer::{Authenticated, UserInfo};
pub use backoff::{Backoff, PAUSE_MAX, Retry};
pub use credentials::{Credentials, Info, provider};
pub use error::{AddressProblem, AuthError, NetworkFault, Refusal};
pub use error_code::{Category, ErrorCode};
pub use fastness::Time;
pub use refresh::{RENEWAL_MARGIN, Refresher, RequestId};
pub use request::{AuthServer, Login, Method, Request};
pub use secret::Secret;
pub use token::{Permission, Token, UnknownPermission};
pub use user::User;
