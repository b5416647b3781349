//! Requests of a program, parsed into the call that a server must receive.

use super::super::promises::{U6, U9, U14, U15, U16, U17};
use super::message::{Purpose, RoundTrip};
use super::program::{ExpectedRequest, Program};
use crate::check::definition::Violation;
use fastness_auth::{AuthUrl, Request, RequestId};
use fastness_models::auth::{Grant, UserKey};
use fastness_models::auth_server::ServerCall;

impl Program<'_> {
    /// Parses a request of the program.
    pub(super) fn round_trip(
        &mut self,
        id: RequestId,
        request: &Request,
        call: &mut Option<ExpectedRequest>,
    ) -> Result<RoundTrip, Violation> {
        let url = request.url();
        let is_of = |base: &AuthUrl| url.starts_with(base.as_str());
        let server = self.urls.iter().position(is_of);
        let server = server.ok_or_else(|| {
            Violation::new(U6.id, format!("a request to the unknown server {url}"))
        })?;
        let body = String::from_utf8_lossy(request.body());
        let (server, purpose, server_call) = if url.ends_with("/revoke") {
            self.revocation(server, &field(&body, "token"))?
        } else if body.contains(r#""provider":"realm""#) {
            self.token_request(server, &body)?
        } else {
            let Some(expected_request) = call.take().or_else(|| self.next_unblocked_call()) else {
                return Err(Violation::new(U17.id, format!("unexpected request {request:?}")));
            };
            (expected_request.server, expected_request.purpose, expected_request.server_call)
        };
        Ok(RoundTrip { process: self.process, id, server, purpose, server_call })
    }

    fn revocation(
        &self,
        server: usize,
        token: &str,
    ) -> Result<(usize, Purpose, ServerCall), Violation> {
        let matches = |(user_key, grant): &&(UserKey, Grant)| {
            user_key.server == server && grant.token == token
        };
        let Some((user_key, _)) = self.model.pending().iter().find(matches) else {
            let is_newer = self.model.active().iter().any(|(_, grant)| grant.token == token);
            let text = format!("revoked a token that was not logged out; it is in use: {is_newer}");
            return Err(Violation::new(U14.id, text));
        };
        let server_call = ServerCall::Revoke(token.to_owned());
        if self.in_flight.values().any(|in_flight| in_flight.server_call == server_call) {
            return Err(Violation::new(U14.id, "two revocations of one token are in flight"));
        }
        Ok((server, Purpose::Revoke(user_key.clone()), server_call))
    }

    fn token_request(
        &self,
        server: usize,
        body: &str,
    ) -> Result<(usize, Purpose, ServerCall), Violation> {
        let (token, path) = (field(body, "data"), field(body, "path"));
        let session = path.bytes().last().map_or(0, |digit| digit.wrapping_sub(b'0'));
        let (Some(grant), Some(since)) =
            (self.model.running(session), self.model.changed_at(session))
        else {
            let text = format!("session {session} requests a token while closed or parked");
            return Err(Violation::new(U15.id, text));
        };
        if grant.token != token {
            let text = format!("session {session} uses the token of another login");
            return Err(Violation::new(U16.id, text));
        }
        if self.has_request(session) {
            let text = format!("session {session} has two requests in flight");
            return Err(Violation::new(U9.id, text));
        }
        let server_call = match body.contains(r#""rotate":true"#) {
            true if self.exchange_age.is_none() => {
                return Err(Violation::new(
                    U6.id,
                    "a token is exchanged although exchanges are off",
                ));
            }
            true => ServerCall::Exchange(token, path),
            false => ServerCall::Token(token, path),
        };
        Ok((server, Purpose::Token(session, since), server_call))
    }
}

/// Returns a string field of a JSON body that needs no unescaping.
fn field(body: &str, name: &str) -> String {
    let from = body.split_once(&format!("\"{name}\":\"")).map_or("", |(_, rest)| rest);
    from.split('"').next().unwrap_or_default().to_owned()
}
