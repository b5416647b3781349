//! Messages in flight: delivery, loss, answers, and the expected effect of an answer.

use super::calls::GrantedLogin;
use super::message::Progress;
use super::message::{
    AnswerClass, Delivery, FOREIGN_PROCESS, Message, PAGE, Purpose, RoundTrip, Stage,
};
use super::program::Event;
use super::server::NAMES;
use super::{AuthHarness, CheckError, U6, U18, Violation};
use fastness_auth::server::{ApiRequest, LookUpForm};
use fastness_auth::users::{CallError, CallId, CallSuccess, Input, Output, SessionId};
use fastness_auth::{AuthError, RequestId, Secret, User, response};
use fastness_models::Op;
use fastness_models::auth::{Grant, UserKey};
use fastness_models::auth_server::{EXPIRED_REFRESH_TOKEN, ServerCall, TokenState};
use std::rc::Rc;

impl AuthHarness<'_> {
    /// Delivers one message.
    pub(super) fn deliver_message(&mut self, operand: u8) -> Result<(), CheckError> {
        self.tick();
        let Some(Message { round_trip, stage }) = self.net.take(operand) else { return Ok(()) };
        let server = &mut self.servers[round_trip.server];
        let now = server.time(&self.clock);
        let progress = match stage {
            Stage::ToServer(request) => {
                self.check_login_token(&round_trip)?;
                if !self.arrived.insert((round_trip.process, round_trip.id)) {
                    self.probe.mark("request arrived twice");
                }
                self.mark_revocation(&round_trip);
                let server = &mut self.servers[round_trip.server];
                server.begin(now, (&round_trip, &request), self.probe)?
            }
            Stage::AtServer(call) if call.process != server.process => Progress::Crashed,
            Stage::AtServer(call) => server.advance(now, call, self.probe)?,
            Stage::ToProgram(delivery) => return self.deliver_answer(&round_trip, &delivery),
        };
        self.send_progress(round_trip, progress);
        Ok(())
    }

    /// Sends the result of a step of the server.
    fn send_progress(&mut self, round_trip: Rc<RoundTrip>, progress: Progress) {
        let stage = match progress {
            Progress::Waiting(call) => Stage::AtServer(call),
            Progress::Answered(delivery) => Stage::ToProgram(delivery),
            Progress::Crashed => Stage::ToProgram(Delivery::lost(1)),
        };
        self.net.send(Message { round_trip, stage });
    }

    /// Checks that a request in flight carries a valid token, unless the login is shared or ended.
    fn check_login_token(&self, round_trip: &RoundTrip) -> Result<(), Violation> {
        let is_live = self.program.waits_for(round_trip);
        let Some(token) = round_trip.token().filter(|_| is_live) else { return Ok(()) };
        let server = &self.servers[round_trip.server];
        let model = &server.model;
        let token_state = model.token_state(server.time(&self.clock).0, token);
        if matches!(token_state, TokenState::Superseded | TokenState::Old)
            && model.is_ones_own(token)
        {
            let text =
                format!("{:?} uses a token in state {token_state:?}", round_trip.server_call);
            return Err(Violation::new(U18.id, text));
        }
        Ok(())
    }

    /// A stranger calls a server, with a stolen token or to exchange their own.
    pub(super) fn foreign_call(&mut self, op: Op) -> Result<(), CheckError> {
        let index = usize::from(op.a % 2);
        let server = &mut self.servers[index];
        let now = server.time(&self.clock);
        let tokens: Vec<String> = server.model.tokens(now.0).map(|(t, _)| t.to_owned()).collect();
        // Mostly one of the tokens issued last.
        let back = usize::from(op.b % 32) * tokens.len() / 64;
        let Some(token) = tokens.iter().rev().nth(back) else { return Ok(()) };
        server.model.share(token);
        let refresh = Secret::from(&**token);
        let other = server.model.identity(NAMES[usize::from(op.c / 8) % NAMES.len()]);
        let other = other.unwrap_or("nobody").to_owned();
        let (own, password) = ("/~/mine".to_owned(), Secret::from("p2"));
        let call = match op.c % 9 {
            0..=2 => ApiRequest::AccessToken { refresh, path: own, rotate: true },
            3 => ApiRequest::AccessToken { refresh, path: own, rotate: false },
            4 => ApiRequest::AccessToken { refresh, path: format!("/{other}/x"), rotate: true },
            5 => ApiRequest::ChangePassword { refresh, identity: Some(other), password },
            6 => ApiRequest::Revoke { refresh },
            7 => {
                // A guess: one letter of the token changed.
                let (at, mut guess) = (usize::from(op.b) % token.len().max(1), token.clone());
                let letter = if guess[at..].starts_with('A') { "B" } else { "A" };
                guess.replace_range(at..=at, letter);
                ApiRequest::AccessToken { refresh: Secret::new(guess), path: own, rotate: false }
            }
            _ => {
                let name = Secret::from(NAMES[usize::from(op.c / 8) % NAMES.len()]);
                let form = LookUpForm::TwoSlashes;
                ApiRequest::LookUp { refresh, provider: "password".to_owned(), name, form }
            }
        };
        let progress = server.begin_call(now, call, self.probe)?;
        // The answer has no receiver.
        let server_call = ServerCall::Revoke(String::new());
        let (process, purpose) = (FOREIGN_PROCESS, Purpose::ForeignCall);
        let round_trip =
            RoundTrip { process, id: RequestId::default(), server: index, purpose, server_call };
        self.send_progress(Rc::new(round_trip), progress);
        Ok(())
    }

    fn mark_revocation(&mut self, round_trip: &RoundTrip) {
        let (Purpose::Revoke(user_key), ServerCall::Revoke(token)) =
            (&round_trip.purpose, &round_trip.server_call)
        else {
            return;
        };
        if self.program.model.grant(user_key).is_some_and(|grant| grant.token != *token) {
            self.probe.mark("revocation arrived after a newer login");
        }
        if round_trip.process != self.program.process {
            self.probe.mark("revocation of an earlier process arrived");
        }
    }

    pub(super) fn lose_message(&mut self, op: Op) -> Result<(), CheckError> {
        let is_inside = |message: &Message| matches!(message.stage, Stage::AtServer(_));
        if self.net.peek(op.a).is_none_or(is_inside) {
            return Ok(());
        }
        let Some(message) = self.net.take(op.a) else { return Ok(()) };
        // The program sees the loss as a timeout, unless a duplicate arrives.
        let waits = self.program.in_flight.contains_key(&message.round_trip.id);
        if waits && message.round_trip.process == self.program.process {
            // A sixth of the losses is a proxy or a server that answers nonsense.
            let delivery = match op.c % 6 {
                0 => Delivery::hostile(&message.round_trip.purpose, op.b),
                _ => Delivery::lost(op.b),
            };
            if let Delivery::Hostile(_) = &delivery {
                self.probe.mark(match delivery.class() {
                    AnswerClass::Granted => "hostile answer: a token",
                    AnswerClass::Retryable => "hostile answer: retried",
                    AnswerClass::Foreign | AnswerClass::Refused(_) => "hostile answer: refused",
                });
            }
            return self.deliver_answer(&message.round_trip, &delivery);
        }
        Ok(())
    }

    /// Delivers the result of a request to the program.
    fn deliver_answer(
        &mut self,
        round_trip: &RoundTrip,
        delivery: &Delivery,
    ) -> Result<(), CheckError> {
        if round_trip.process != self.program.process {
            return Ok(());
        }
        self.probe.line(|| format!("     {:?}: {:?}", round_trip.purpose, delivery.class()));
        if round_trip.exchanges() && self.program.waits_for(round_trip) {
            self.probe.mark(match delivery.class() {
                AnswerClass::Granted => "token exchanged",
                _ => "an exchange failed",
            });
        }
        let input = Input::Response(round_trip.id, delivery.answer());
        let event = self.program.event(input);
        if self.program.in_flight.remove(&round_trip.id).is_none() {
            if matches!(round_trip.purpose, Purpose::Token(..))
                && delivery.class() == AnswerClass::Granted
            {
                self.probe.mark("token arrived after its session was closed or parked");
            }
            return self.handle(event);
        }
        let event = self.expect(event, round_trip, delivery)?;
        self.handle(event)
    }

    /// Sets the expected effect of an answer.
    fn expect(
        &mut self,
        mut event: Event,
        round_trip: &RoundTrip,
        delivery: &Delivery,
    ) -> Result<Event, Violation> {
        let url = &self.servers[round_trip.server].url;
        match &round_trip.purpose {
            Purpose::LogIn(call) => {
                match read(delivery, |status, body| response::login(url, status, body))? {
                    Ok(user) => {
                        event =
                            self.logged_in(event, granted_login(*call, round_trip.server, user));
                    }
                    Err(error) => event.outcome = vec![Output::CallDone(*call, Err(error.into()))],
                }
            }
            Purpose::ChangePassword(call) => {
                let outcome = read(delivery, response::change_password)?;
                let outcome =
                    outcome.map(|()| CallSuccess::PasswordChanged).map_err(CallError::from);
                event.outcome = vec![Output::CallDone(*call, outcome)];
            }
            Purpose::LookUp(call) => {
                let found = read(delivery, response::look_up)?.ok();
                event.outcome = vec![Output::CallDone(*call, Ok(CallSuccess::Found(found)))];
            }
            Purpose::Token(session, _) => {
                let number = SessionId((*session).into());
                let read = match round_trip.exchanges() {
                    true => read(delivery, response::rotation)?,
                    false => read(delivery, response::access_token)?.map(|token| (token, None)),
                };
                event.outcome = match (read, delivery.class()) {
                    (Ok((token, refresh)), _) => {
                        if let Some((refresh, user_key)) = refresh.zip(self.program.user(*session))
                        {
                            let value = refresh.value.expose().to_owned();
                            let (expires, is_admin) = (refresh.expires().0, refresh.is_admin);
                            let grant = Grant { token: value, expires, is_admin };
                            event.next.exchange(&user_key, grant);
                        }
                        if self.program.expires.contains_key(session) {
                            self.probe.mark("token renewed");
                        }
                        vec![Output::DeliverToken(number, token)]
                    }
                    (Err(error), AnswerClass::Retryable) => {
                        vec![Output::SessionWaiting(number, error)]
                    }
                    (Err(error), _) => vec![Output::SessionFailed(number, error)],
                };
            }
            Purpose::ForeignCall => {}
            Purpose::Revoke(user_key) => {
                let id = self.program.id(user_key);
                let ServerCall::Revoke(token) = &round_trip.server_call else { return Ok(event) };
                let mut pending = event.next.pending().iter().filter(|(_, g)| g.token == *token);
                let shown = self.clock.local_time().0;
                let is_expired = pending.next().is_none_or(|(_, grant)| grant.expires <= shown);
                let output = match (read(delivery, response::revoke)?, delivery.class()) {
                    (_, AnswerClass::Granted | AnswerClass::Refused(EXPIRED_REFRESH_TOKEN)) => {
                        Output::LoggedOut(id)
                    }
                    (Err(error), AnswerClass::Refused(_)) => Output::RevocationRefused(id, error),
                    (Err(error), AnswerClass::Foreign) if is_expired => {
                        self.probe.mark("revocation abandoned");
                        Output::RevocationRefused(id, error)
                    }
                    _ => return Ok(event),
                };
                event.next.settle_revocation(token);
                event.outcome = vec![output];
            }
        }
        Ok(event)
    }
}

fn granted_login(call: CallId, server: usize, user: User) -> GrantedLogin {
    let user_key = UserKey { server, identity: user.identity().to_owned() };
    let token = user.token.value.expose().to_owned();
    let grant = Grant { token, expires: user.token.expires().0, is_admin: user.is_admin() };
    GrantedLogin { call, user, user_key, grant }
}

/// Parses an answer, and compares the outcome with the class of the answer.
fn read<T>(
    delivery: &Delivery,
    read: impl FnOnce(u16, &[u8]) -> Result<T, AuthError>,
) -> Result<Result<T, AuthError>, Violation> {
    let outcome = match delivery {
        Delivery::Reply(status, body, _) | Delivery::Failed(status, body) => read(*status, body),
        Delivery::Page(status) => read(*status, PAGE),
        Delivery::Hostile(answer) => read(answer.status, answer.body.as_bytes()),
        Delivery::Fault(fault) => Err(AuthError::from_network(*fault)),
    };
    let is_right = match (&outcome, delivery.class()) {
        (Ok(_), class) => {
            matches!(class, AnswerClass::Granted | AnswerClass::Refused(EXPIRED_REFRESH_TOKEN))
        }
        (Err(error), AnswerClass::Refused(code)) => error.code().number() == code,
        (Err(error), AnswerClass::Retryable) => error.is_retryable(),
        (Err(error), AnswerClass::Foreign) => !error.is_retryable() && !error.is_from_server(),
        (Err(_), AnswerClass::Granted) => false,
    };
    if is_right {
        return Ok(outcome);
    }
    let text =
        format!("an answer of class {:?} parses as {:?}", delivery.class(), outcome.map(drop));
    Err(Violation::new(U6.id, text))
}
