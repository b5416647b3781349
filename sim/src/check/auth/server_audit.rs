//! Compares the answers and the accounts of a server with its model.

use super::super::compare::CheckError;
use super::super::promises::{H2, H3, H4, H5, H6, H7, H8, H12, H18, H20, U6};
use super::server::{IssuedAccess, NAMES, PlainHasher, Server};
use crate::check::definition::Violation;
use crate::check::probe::Probe;
use fastness_auth::server::{ApiRequest, Response, Step, TokenProblem};
use fastness_auth::{AuthError, Secret, Time, Token, User, response};
use fastness_models::auth_server::{
    ACCESS_DENIED, Accounts as Model, EXPIRED_REFRESH_TOKEN, INVALID_PARAMETERS, RETRY_LATER,
    ServerCall, ServerReply, StartedCall, TokenState,
};
use std::time::Duration;

/// How far in the future a token may be issued, because clocks are corrected.
const SKEW: Duration = Duration::from_secs(60);

/// A call with its answer and the reply of the model.
struct AnsweredCall<'a> {
    answer: &'a Response,
    started: &'a StartedCall,
    expected: &'a ServerReply,
    /// The user that the answer logs in.
    user: Option<&'a User>,
}

fn malformed(error: AuthError) -> Violation {
    Violation::new(U6.id, format!("the answer parses as {error}"))
}

impl Server<'_> {
    /// Ends a call in the model, and compares both replies.
    pub(super) fn compare(
        &mut self,
        now: Time,
        answer: &Response,
        started: &StartedCall,
    ) -> Result<ServerReply, CheckError> {
        let (status, body) = (answer.status(), answer.body());
        let user = match started.call() {
            ServerCall::Register(..) | ServerCall::LogIn(..) | ServerCall::Exchange(..)
                if status == 200 =>
            {
                Some(response::login(&self.url, status, body).map_err(malformed)?)
            }
            _ => None,
        };
        let issued = user.as_ref().map(|user| (user.identity(), user.token.value.expose()));
        if let Some((identity, token)) = issued {
            if self.model.knows(token) {
                return Err(Violation::new(H4.id, "a token was issued twice").into());
            }
            if matches!(started.call(), ServerCall::Register(..))
                && self.model.has_identity(identity)
            {
                return Err(Violation::new(H12.id, "two accounts have one identity").into());
            }
        }
        let is_early = started
            .call()
            .token()
            .is_some_and(|token| self.model.token_state(now.0, token) == TokenState::Early);
        let expected = self.model.end(now.0, started, issued);
        let answered = AnsweredCall { answer, started, expected: &expected, user: user.as_ref() };
        let found = self.found_reply(now, &answered)?;
        let is_same = match expected {
            ServerReply::Expired => {
                matches!(found, ServerReply::Done | ServerReply::Refused(EXPIRED_REFRESH_TOKEN))
            }
            _ => found == expected,
        };
        if is_same {
            return Ok(if expected == ServerReply::Expired { ServerReply::Done } else { expected });
        }
        let text = format!("{:?}: found {found:?}, expected {expected:?}", started.call());
        let id = if is_early { H4.id } else { violated_promise(started.call(), &expected) };
        Err(Violation::new(id, text).into())
    }

    /// Translates the answer to a call into a reply of the model.
    fn found_reply(
        &self,
        now: Time,
        answered: &AnsweredCall<'_>,
    ) -> Result<ServerReply, Violation> {
        let AnsweredCall { answer, started, expected, user } = *answered;
        let (status, body) = (answer.status(), answer.body());
        let reply = match (expected, started.call()) {
            _ if status != 200 => ServerReply::Refused(answer.code().number()),
            (ServerReply::LogIn { identity: known, .. }, _) if user.is_some() => {
                let user = user.ok_or_else(|| Violation::new(H2.id, "no user"))?;
                let identity = known.as_ref().map(|_| user.identity().to_owned());
                let (expires, is_admin) = (user.token.expires_seconds, user.is_admin());
                ServerReply::LogIn { identity, expires, is_admin }
            }
            (_, ServerCall::Token(..) | ServerCall::Exchange(..)) => {
                let token = response::access_token(status, body);
                let token = token.map_err(malformed)?;
                self.verify(now, &token)?;
                let (identity, path, expires) = (token.identity, token.path, token.expires_seconds);
                match user {
                    None => ServerReply::Token { identity, path, expires },
                    Some(user) => {
                        let login_expires = user.token.expires_seconds;
                        ServerReply::Exchange { identity, path, expires, login_expires }
                    }
                }
            }
            (expected, ServerCall::LookUp(..)) => {
                let info = response::look_up(status, body);
                let info = info.map_err(malformed)?;
                let is_known = matches!(expected, ServerReply::Found { identity: Some(_), .. });
                let identity = is_known.then_some(info.identity);
                ServerReply::Found { identity, is_admin: info.is_admin }
            }
            _ => ServerReply::Done,
        };
        Ok(reply)
    }

    /// Checks that an access token carries its claims under its signature, and that a changed one
    /// is refused.
    fn verify(&self, now: Time, token: &Token) -> Result<(), Violation> {
        let signer = self.accounts().signer();
        let text = token.value.expose();
        let is_same = signer.verify(text, now).is_ok_and(|claims| {
            let known = (claims.identity, claims.path, claims.expires_seconds, claims.is_admin);
            known
                == (
                    token.identity.clone(),
                    token.path.clone(),
                    token.expires_seconds,
                    token.is_admin,
                )
        });
        let at = self.world.rng(|rng| rng.below(text.len()));
        let letter = if text[at..].starts_with('A') { "B" } else { "A" };
        let mut changed = text.to_owned();
        changed.replace_range(at..=at, letter);
        let is_refused = signer.verify(&changed, now) == Err(TokenProblem::InvalidSignature);
        // A clock that is far ahead of this one, or behind it, may have signed the token.
        let far = Duration::from_secs(self.world.rng(|rng| 3600 + rng.next() % 400 * 86_400));
        let is_bounded = [now.minus(far), now.plus(far)]
            .iter()
            .all(|elsewhere| signer.verify(text, *elsewhere).is_err());
        if is_same && is_refused && is_bounded {
            return Ok(());
        }
        let text = format!(
            "the token verifies: {is_same}; a changed token is refused: {is_refused}; it is valid \
             around its signature only: {is_bounded}"
        );
        Err(Violation::new(H7.id, text))
    }

    /// Verifies the access token that was issued before this one, whose signing key may have been
    /// replaced since.
    pub(super) fn follow_access_token(
        &mut self,
        now: Time,
        answer: &Response,
        probe: &mut Probe,
    ) -> Result<(), Violation> {
        let token = response::access_token(answer.status(), answer.body()).map_err(malformed)?;
        let issued = IssuedAccess {
            text: token.value.expose().to_owned(),
            issued_seconds: now.0.div_euclid(1000),
            expires_seconds: token.expires_seconds,
            rotations: self.rotations(),
        };
        let Some(last) = self.last_access.replace(issued) else { return Ok(()) };
        let replaced = self.rotations() - last.rotations;
        let issued = Time::from_seconds(last.issued_seconds);
        let is_timely = Time::from_seconds(last.expires_seconds) > now && issued <= now.plus(SKEW);
        // A replaced key vouches for tokens from before only.
        let is_trusted = replaced == 0 || replaced == 1 && issued <= self.rotated_at();
        let expected = is_timely && is_trusted;
        let found = self.accounts().signer().verify(&last.text, now).is_ok();
        if expected && replaced == 1 {
            probe.mark("server: token of a replaced signing key");
        }
        if found == expected {
            return Ok(());
        }
        let text = format!("a token verifies: {found}, after {replaced} replacements of the key");
        Err(Violation::new(H18.id, text))
    }

    /// Compares all passwords and tokens with a model, without changing anything.
    pub(super) fn audit(&self, now: Time, model: &Model) -> Result<(), Violation> {
        let accounts = self.accounts();
        for (token, token_state) in model.tokens(now.0) {
            let refresh = Secret::from(token);
            let call =
                ApiRequest::AccessToken { refresh, path: "/~/audit".to_owned(), rotate: false };
            let code = match accounts.start(now, call) {
                Step::Respond(answer) => answer.code().number(),
                Step::Hash(_) | Step::Commit(_) => 0,
            };
            let (expected, invariant) = match token_state {
                TokenState::Current => (200, H4.id),
                // Presenting the token would change its state.
                TokenState::Next | TokenState::Old => (0, H6.id),
                TokenState::Superseded => (RETRY_LATER, H6.id),
                TokenState::Early => (RETRY_LATER, H4.id),
                TokenState::Gone => (EXPIRED_REFRESH_TOKEN, H3.id),
            };
            if code != expected {
                let text = format!("a token in state {token_state:?} gets code {code}");
                return Err(Violation::new(invariant, text));
            }
        }
        let fits = |name: &str, password: &str| {
            let (name, password) = (name.into(), password.into());
            match accounts.start(now, ApiRequest::LogIn { name, password }) {
                Step::Hash(job) => matches!(job.run(&PlainHasher), Step::Commit(_)),
                Step::Respond(_) | Step::Commit(_) => false,
            }
        };
        for name in model.names() {
            let password = model.password(name).unwrap_or_default();
            if !fits(name, password) || fits(name, &format!("{password}?")) {
                let text = format!("the password of {name} is not {password}");
                return Err(Violation::new(H2.id, text));
            }
        }
        for name in NAMES.into_iter().filter(|_| self.registration()) {
            let (known, password) = (Secret::from(name), Secret::from("a long password"));
            let started = accounts.start(now, ApiRequest::Register { name: known, password });
            let is_taken = matches!(started, Step::Respond(_));
            if is_taken != model.password(name).is_some() {
                let text = format!("{name} has an account: {is_taken}");
                return Err(Violation::new(H12.id, text));
            }
        }
        Ok(())
    }
}

/// Maps an unexpected answer to the promise it violates.
fn violated_promise(server_call: &ServerCall, expected: &ServerReply) -> &'static str {
    match (server_call, expected) {
        (_, ServerReply::Refused(EXPIRED_REFRESH_TOKEN)) => H3.id,
        (_, ServerReply::Refused(RETRY_LATER)) => H6.id,
        (_, ServerReply::Refused(INVALID_PARAMETERS)) => H20.id,
        (ServerCall::Register(..), ServerReply::Refused(ACCESS_DENIED)) => H20.id,
        (ServerCall::Register(..), _) => H12.id,
        (_, ServerReply::Refused(ACCESS_DENIED)) => H8.id,
        (ServerCall::LogIn(..), _) => H2.id,
        (ServerCall::Revoke(_), _) => H5.id,
        (ServerCall::Exchange(..), _) => H6.id,
        _ => H4.id,
    }
}
