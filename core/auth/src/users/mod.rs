//! Users over time: who is logged in, what was asked of servers for them, the tokens of their
//! sessions, and the revocations that logouts left to be delivered.
//!
//! In: what the program wants, what the network answered, and the time. Out: requests to send, and
//! what to tell whom; and by [`Users::deadline`] when to be called again. [`UserFile`] does the
//! same and keeps in a store what must survive the process.
//!
//! - U9 At most one token request of a session is in flight.
//! - U12 Who is logged in is durable before anything that follows from it is told or sent.
//! - U13 Logging out is local and at once, whatever network and server do.
//! - U14 A revocation names the token of the moment of the logout, is kept until the server has
//!   answered, and never touches a token that was given out later.
//! - U15 A session that was closed or parked gets no token, whatever answer is still under way.
//! - U16 A login takes up the parked sessions of its user, and of nobody else.
//! - U17 Who is logged in, who is current, and what a call leads to are as the model says.
//! - U18 Exchanging a refresh token costs nobody the login.
//!
//! Specified in docs/auth.md#users-over-time. Model: `models::auth`. Check:
//! `sim::check::auth_users`.
//!
//! ```
//! use fastness_auth::users::{Answer, Call, CallId, Input, Output, Users};
//! use fastness_auth::{AuthUrl, Credentials, Time};
//!
//! let mut users = Users::default();
//! let mut todo = Vec::new();
//! let credentials = Credentials::username_password("alice", Some("s3cret".into()), false)?;
//! let call = Call::LogIn(AuthUrl::for_login("http://localhost:9080")?, credentials);
//! users.handle(Time(0), Input::Call(CallId(1), call), &mut todo);
//!
//! // Send the request with any HTTP library, and hand in what came of it:
//! let Some(Output::Send(request, _)) = todo.pop() else { unreachable!() };
//! let answer = Answer::new(200, br#"{"refresh_token": {"token": "t", "token_data":
//!     {"identity": "7", "expires": 86400, "access": ["refresh"]}}}"#.to_vec());
//! users.handle(Time(100), Input::Answer(request, answer), &mut todo);
//! assert_eq!(users.current(Time(100))?.unwrap().identity(), "7");
//! # Ok::<(), fastness_auth::Refusal>(())
//! ```

mod event;
mod exchange;
mod file;
mod kept;
mod machine;

pub use event::{
    Answer, Call, CallId, Failure, Input, Outcome, Output, SessionId, Success, UserId,
};
pub use file::UserFile;
pub use kept::Kept;
pub use machine::Users;

#[cfg(test)]
mod tests;
