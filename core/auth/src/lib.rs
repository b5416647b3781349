//! Sans-IO authentication: requests and responses of the login protocol, a state machine of
//! [`users`], and the accounts of a [`server`].
//!
//! Inputs are credentials, the status and bytes of a response, and the time. Outputs are
//! [`Request`]s for any HTTP library, tokens, [`User`]s, [`AuthError`]s and deadlines. The crate
//! uses only the public interface of the store.
//!
//! - U1 Passwords, tokens, bodies and authorization headers are never printed, and are zeroed on
//!   drop.
//! - U2 Parsing a response is total: any status, any bytes.
//! - U3 The code of an error is `code`, else `status`, else UNKNOWN; unlisted numbers are
//!   preserved.
//! - U4 A token and a user read back as they were written, permissions included.
//! - U5 Arithmetic on times saturates.
//! - U6 A request equals the one of the original client.
//! - U7 Invalid input is refused with the reason, before a request is built.
//! - U8 Only retryable failures are retried, with exponential back-off up to five minutes.
//! - U9 At most one token request is in flight; a response to any other changes nothing.
//! - U10 A token is renewed before it expires; a late one at once, then with back-off.
//! - U11 Renewal never ends silently.
//! - U12 to U18: see [`users`].
//!
//! Specified in docs/auth.md. Vectors of the original: `core/auth/tests/vectors.rs`. Snapshots:
//! `snapshots/tests/auth.rs`. Fuzz target: `auth`.
//!
//! ```
//! use fastness_auth::{AuthServer, Credentials, Login, response};
//!
//! let server = AuthServer::new("http://localhost:9080")?;
//! let credentials = Credentials::username_password("alice", Some("s3cret".into()), true)?;
//! let Login::Send(request) = server.login(&credentials) else { unreachable!() };
//! assert_eq!(request.url(), "http://localhost:9080/auth");
//!
//! // Send the request with any HTTP library, then parse the response:
//! let (status, body) = (401, br#"{"title": "Who are you?", "code": 611}"#);
//! let error = response::login(server.url(), status, body).unwrap_err();
//! assert_eq!(error.to_string(), "INVALID_CREDENTIALS(611): Who are you?");
//! # Ok::<(), fastness_auth::RequestError>(())
//! ```

mod auth_url;
mod backoff;
mod credentials;
mod error;
mod error_code;
mod fault;
mod json;
pub mod refresh;
mod request;
pub mod response;
mod secret;
pub mod server;
mod token;
mod user;
pub mod users;

pub use auth_url::AuthUrl;
pub use backoff::{BACKOFF_MAX, Backoff, Retry};
pub use credentials::{Credentials, InfoValue, provider};
pub use error::{AuthError, AuthUrlProblem, NetworkError, RequestError};
pub use error_code::{Category, ErrorCode};
pub use fastness::Time;
pub use refresh::{RENEWAL_MARGIN, Refresher, RequestId};
pub use request::{AuthServer, Login, Method, Request};
pub use response::{TokenResponse, UserInfo};
pub use secret::Secret;
pub use token::{Permission, Token, UnknownPermission};
pub use user::User;
