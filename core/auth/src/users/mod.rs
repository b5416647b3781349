//! State machine of the users of an app: logins, calls, sessions and pending revocations.
//!
//! Inputs are calls, responses and the time. Outputs are requests, results, notifications and a
//! deadline ([`Users::deadline`]). [`UserStore`] adds persistence.
//!
//! - U9 At most one token request of a session is in flight.
//! - U12 A login or logout is durable before any output that depends on it.
//! - U13 Logging out is local and immediate, whatever network and server do.
//! - U14 A revocation names the token of the moment of the logout, persists until the server
//!   responds, and never touches a newer token.
//! - U15 A closed or parked session gets no token, whatever response is in flight.
//! - U16 A login resumes the parked sessions of its user, and of no other user.
//! - U17 The logged-in users, the current user and the result of each call are as the model says.
//! - U18 Rotation of a refresh token never loses the login.
//!
//! Specified in docs/auth.md#users-over-time. Model: `models::auth`. Check:
//! `sim::check::auth_users`.
//!
//! ```
//! use fastness_auth::users::{Call, CallId, HttpOutcome, Input, Output, Users};
//! use fastness_auth::{AuthUrl, Credentials, Time};
//!
//! let mut users = Users::default();
//! let mut todo = Vec::new();
//! let credentials = Credentials::username_password("alice", Some("s3cret".into()), false)?;
//! let call = Call::LogIn(AuthUrl::for_login("http://localhost:9080")?, credentials);
//! users.handle(Time(0), Input::Call(CallId(1), call), &mut todo);
//!
//! // Send the request with any HTTP library, then pass in its outcome:
//! let Some(Output::Send(request, _)) = todo.pop() else { unreachable!() };
//! let outcome = HttpOutcome::new(200, br#"{"refresh_token": {"token": "t", "token_data":
//!     {"identity": "7", "expires": 86400, "access": ["refresh"]}}}"#.to_vec());
//! users.handle(Time(100), Input::Response(request, outcome), &mut todo);
//! assert_eq!(users.current(Time(100))?.unwrap().identity(), "7");
//! # Ok::<(), fastness_auth::RequestError>(())
//! ```

mod event;
mod persisted;
mod rotation;
mod rotation_schedule;
mod state_machine;
mod store;

pub use event::{
    Call, CallError, CallId, CallResult, CallSuccess, HttpOutcome, Input, Output, SessionId, UserId,
};
pub use persisted::PersistedUsers;
pub use state_machine::Users;
pub use store::UserStore;

#[cfg(test)]
mod tests;
