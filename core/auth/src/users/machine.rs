//! The machine: what happened goes in, what is to be done comes out.
//!
//! - U9 At most one token request of a session is in flight; an answer to any other changes
//!   nothing, as nobody knows its number any more.
//! - U13 Logging out waits for nothing.
//! - U14 What is sent to revoke a token comes from the revocation, not from the user.
//! - U15 Whoever closes or parks a session forgets its request.
//! - U16 A login starts the sessions of its user.
//! - U18 While a token is exchanged, whoever else needs it waits.
//!
//! Specified in docs/auth.md#users-over-time.

use super::event::{Answer, Call, CallId, Failure, Input, Output, SessionId, Success, UserId};
use super::exchange::{Exchanges, Waiting};
use super::kept::Kept;
use crate::address::AuthUrl;
use crate::answer;
use crate::backoff::{Backoff, Retry};
use crate::error::Refusal;
use crate::refresh::{self, Refresher, RequestId};
use crate::request::{AuthServer, Login, Request};
use crate::user::User;
use fastness::Time;
use fastness::fault::{self, Fault};
use std::collections::BTreeMap;
use std::time::Duration;

/// Users over time; see the module.
#[derive(Clone, Debug)]
pub struct Users {
    pub(super) kept: Kept,
    app_id: Option<String>,
    backoff: Backoff,
    is_offline: bool,
    requests: u64,
    pub(super) in_flight: BTreeMap<RequestId, Purpose>,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    /// When to try to deliver each revocation.
    retries: BTreeMap<u64, Retry>,
    pub(super) exchanges: Exchanges,
}

/// What a request in flight is for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    LogIn(CallId, AuthUrl),
    ChangePassword(CallId, UserId),
    LookUp(CallId, UserId),
    /// A token for a session: the number that its own machine gave.
    Token(SessionId, RequestId),
    /// The same, and another refresh token for its user.
    Exchange(SessionId, RequestId),
    Revocation(u64),
}

/// A file that is open; parked while its user is not logged in.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) user: UserId,
    pub(super) path: String,
    refresher: Refresher,
}

impl Default for Users {
    fn default() -> Self {
        Self::new(Kept::default(), Time::default())
    }
}

impl Users {
    /// Begins with what an earlier process kept. Its revocations are due now.
    #[must_use]
    pub fn new(kept: Kept, now: Time) -> Self {
        let backoff = Backoff::new();
        let retry = Retry::new(now, backoff.clone());
        let retries = kept.revocations.keys().map(|number| (*number, retry.clone())).collect();
        Self {
            kept,
            app_id: Some("unknown".to_owned()),
            backoff,
            is_offline: false,
            requests: 0,
            in_flight: BTreeMap::new(),
            sessions: BTreeMap::new(),
            retries,
            exchanges: Exchanges::default(),
        }
    }

    /// Gives the app a name, `unknown` unless told otherwise; `None` leaves it out.
    #[must_use]
    pub fn app_id(mut self, app_id: Option<&str>) -> Self {
        self.app_id = app_id.map(str::to_owned);
        self
    }

    /// Says how long to wait between attempts; what is under way goes on as before.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Exchanges refresh tokens that have been in use for so long, with the token for a file that
    /// is asked for next; after a start of the program with the first. Without this they are used
    /// for as long as they live, as the original client does.
    #[must_use]
    pub fn exchange_after(mut self, age: Duration) -> Self {
        self.exchanges = Exchanges::every(age);
        self
    }

    /// Returns what must survive the process.
    #[must_use]
    pub const fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Returns the only user who is logged in, if the token has not expired.
    ///
    /// # Errors
    /// [`Refusal::SeveralUsers`] if there are more, expired or not.
    pub fn current(&self, now: Time) -> Result<Option<&User>, Refusal> {
        self.kept.current(now)
    }

    /// Returns whoever is logged in with a token that has not expired, by first login.
    pub fn valid(&self, now: Time) -> impl Iterator<Item = &User> {
        self.kept.users().filter(move |user| user.is_valid(now))
    }

    /// Returns when to call with [`Input::Wake`], if nothing else happens before. Do not sleep
    /// longer than [`crate::PAUSE_MAX`] without calling: clocks are put back.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let sessions = self.sessions.values().filter_map(|session| session.refresher.deadline());
        sessions.chain(self.retries.values().filter_map(Retry::deadline)).min()
    }

    /// Takes what happened; appends what is to be done.
    ///
    /// What [`Users::kept`] then returns has to be durable before anything of that is done;
    /// [`super::UserFile`] sees to it.
    pub fn handle(&mut self, now: Time, input: Input, outputs: &mut Vec<Output>) {
        match input {
            Input::Call(call, what) => self.call(now, (call, what), outputs),
            Input::Cancel(call) => {
                self.exchanges.waiting.retain(|waiting| waiting.call() != Some(call));
                self.forget(|purpose| purpose.call() == Some(call), outputs);
            }
            Input::LogOut(user) => self.log_out(now, &user, outputs),
            Input::Open(session, user, path) => self.open(now, (session, user, path), outputs),
            Input::Close(session) => self.close(session, outputs),
            Input::Expired(session) => {
                self.drive(now, (session, refresh::Input::Expired), outputs);
            }
            Input::Answer(request, answer) => self.answered(now, (request, &answer), outputs),
            Input::Offline => {
                self.is_offline = true;
                self.drive_all(now, &refresh::Input::Offline, outputs);
            }
            Input::Online => {
                self.is_offline = false;
                self.retries.values_mut().for_each(|retry| retry.online(now));
                self.drive_all(now, &refresh::Input::Online, outputs);
                self.revoke_due(now, outputs);
            }
            Input::Wake => {
                self.drive_all(now, &refresh::Input::Wake, outputs);
                self.revoke_due(now, outputs);
            }
        }
        self.release(now, outputs);
    }

    pub(super) fn call(
        &mut self,
        now: Time,
        (call, what): (CallId, Call),
        outputs: &mut Vec<Output>,
    ) {
        match self.request(call, what.clone()) {
            Ok((Login::Ask(_), purpose)) if self.has_to_wait(&purpose) => {
                self.exchanges.waiting.push(Waiting::Call(call, what));
            }
            Ok((Login::Ask(request), purpose)) => self.send(purpose, request, outputs),
            Ok((Login::Done(user), _)) => self.logged_in(now, (call, user), outputs),
            Err(refusal) => outputs.push(Output::Done(call, Err(refusal.into()))),
        }
    }

    fn request(&self, call: CallId, what: Call) -> Result<(Login, Purpose), Refusal> {
        let (request, purpose) = match what {
            Call::LogIn(url, credentials) => {
                let login = self.server(url.clone()).login(&credentials);
                return Ok((login, Purpose::LogIn(call, url)));
            }
            Call::ChangePassword(id, password) => {
                let (server, user) = self.known(&id)?;
                let request = server.change_password(&user.token, &password);
                (request, Purpose::ChangePassword(call, id))
            }
            Call::ChangePasswordOf(id, other, password) => {
                let (server, user) = self.known(&id)?;
                let request = server.change_password_of(&user.token, &other, &password)?;
                (request, Purpose::ChangePassword(call, id))
            }
            Call::LookUp(id, provider, provider_id) => {
                let (server, user) = self.known(&id)?;
                let request = server.look_up(&user.token, &provider, &provider_id)?;
                (request, Purpose::LookUp(call, id))
            }
        };
        Ok((Login::Ask(request), purpose))
    }

    fn server(&self, url: AuthUrl) -> AuthServer {
        AuthServer::at(url).app_id(self.app_id.as_deref())
    }

    pub(super) fn known(&self, id: &UserId) -> Result<(AuthServer, &User), Refusal> {
        let user = self.kept.user(id).ok_or(Refusal::NotLoggedIn)?;
        Ok((self.server(user.url.clone()), user))
    }

    fn logged_in(&mut self, now: Time, (call, user): (CallId, User), outputs: &mut Vec<Output>) {
        let id = UserId::of(&user);
        self.kept.put(user.clone());
        self.exchanges.worked(now, id.clone());
        outputs.push(Output::LoggedIn(id.clone()));
        outputs.push(Output::Done(call, Ok(Success::LoggedIn(user))));
        let parked = self.of_user(&id);
        if !parked.is_empty() && fault::on(Fault::Au09) {
            return;
        }
        for session in parked {
            self.drive(now, (session, refresh::Input::Start), outputs);
        }
    }

    fn log_out(&mut self, now: Time, id: &UserId, outputs: &mut Vec<Output>) {
        let Some(revocation) = self.kept.log_out(id) else { return };
        for session in self.of_user(id) {
            if !self.waits(session) || !fault::on(Fault::Au05) {
                self.drive(now, (session, refresh::Input::Stop), outputs);
            }
            outputs.push(Output::Park(session));
        }
        self.retries.insert(revocation, Retry::new(now, self.backoff.clone()));
        self.revoke_due(now, outputs);
    }

    fn open(
        &mut self,
        now: Time,
        (session, user, path): (SessionId, UserId, String),
        outputs: &mut Vec<Output>,
    ) {
        self.close(session, outputs);
        let is_logged_in = self.kept.user(&user).is_some();
        let refresher = Refresher::new(self.backoff.clone());
        self.sessions.insert(session, Session { user, path, refresher });
        if self.is_offline {
            self.drive(now, (session, refresh::Input::Offline), outputs);
        }
        if is_logged_in {
            self.drive(now, (session, refresh::Input::Start), outputs);
        }
    }

    fn close(&mut self, session: SessionId, outputs: &mut Vec<Output>) {
        if self.waits(session) && fault::on(Fault::Au07) {
            return;
        }
        self.sessions.remove(&session);
        self.forget_tokens(session, None, outputs);
    }

    fn answered(
        &mut self,
        now: Time,
        (request, answer): (RequestId, &Answer),
        outputs: &mut Vec<Output>,
    ) {
        match self.in_flight.remove(&request) {
            None => {}
            Some(Purpose::LogIn(call, url)) => {
                match answer.read(|status, body| answer::login(&url, status, body)) {
                    Ok(user) => self.logged_in(now, (call, user), outputs),
                    Err(error) => outputs.push(Output::Done(call, Err(error.into()))),
                }
            }
            Some(Purpose::ChangePassword(call, _)) => {
                let changed = answer.read(answer::change_password);
                let outcome = changed.map(|()| Success::PasswordChanged).map_err(Failure::Failed);
                outputs.push(Output::Done(call, outcome));
            }
            Some(Purpose::LookUp(call, _)) => {
                let found = answer.read(answer::look_up).ok();
                outputs.push(Output::Done(call, Ok(Success::Found(found))));
            }
            Some(Purpose::Token(session, id)) => {
                let token = answer.read(answer::access_token);
                let revives = self.sessions.get(&session).map(|session| session.user.clone());
                if let Some(user) = revives
                    && token.is_ok()
                    && self.kept.user(&user).is_none()
                    && fault::on(Fault::Au05)
                {
                    self.kept.revive(&user);
                }
                self.drive(now, (session, refresh::Input::Answer(id, token)), outputs);
            }
            Some(Purpose::Exchange(session, id)) => {
                let token = self.exchanged(now, session, answer);
                self.drive(now, (session, refresh::Input::Answer(id, token)), outputs);
            }
            Some(Purpose::Revocation(number)) => {
                self.revoked(now, (number, answer), outputs);
            }
        }
    }

    fn revoked(&mut self, now: Time, (number, answer): (u64, &Answer), outputs: &mut Vec<Output>) {
        let user = self.kept.revocations.get(&number);
        let (Some(user), Some(retry)) = (user, self.retries.get_mut(&number)) else { return };
        let id = UserId::of(user);
        let output = match answer.read(answer::revoke) {
            Ok(()) => Output::LoggedOut(id),
            Err(error) if error.retry_helps() => {
                retry.failed(now, &error);
                return;
            }
            // Not the server's word: there may be another network some day.
            Err(error) if !error.is_of_server() && user.is_valid(now) => {
                retry.postpone(now);
                return;
            }
            Err(error) => Output::NotRevoked(id, error),
        };
        self.kept.revocations.remove(&number);
        self.retries.remove(&number);
        outputs.push(output);
    }

    /// Sends the revocations that are due.
    fn revoke_due(&mut self, now: Time, outputs: &mut Vec<Output>) {
        let due = self.retries.iter_mut().filter_map(|(number, retry)| {
            let begins = retry.begin(now);
            begins.then_some(*number)
        });
        for number in due.collect::<Vec<_>>() {
            let Some(user) = self.kept.revocations.get(&number) else { continue };
            let newer = self.kept.user(&UserId::of(user));
            let user = match newer {
                Some(newer) if fault::on(Fault::Au01) => newer,
                _ => user,
            };
            let request = self.server(user.url.clone()).revoke(&user.token);
            self.send(Purpose::Revocation(number), request, outputs);
        }
    }

    fn of_user(&self, id: &UserId) -> Vec<SessionId> {
        let sessions = self.sessions.iter().filter(|(_, session)| session.user == *id);
        sessions.map(|(session, _)| *session).collect()
    }

    /// Whether a session waits for a token.
    fn waits(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_some_and(|session| session.refresher.in_flight().is_some())
    }

    fn drive_all(&mut self, now: Time, input: &refresh::Input, outputs: &mut Vec<Output>) {
        for session in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.drive(now, (session, input.clone()), outputs);
        }
    }

    /// Tells the machine of a session what happened and does what it says.
    fn drive(
        &mut self,
        now: Time,
        (session, input): (SessionId, refresh::Input),
        outputs: &mut Vec<Output>,
    ) {
        let Some(Session { refresher, .. }) = self.sessions.get_mut(&session) else {
            return;
        };
        let mut todo = Vec::new();
        refresher.handle(now, input, &mut todo);
        let wanted = refresher.in_flight();
        self.forget_tokens(session, wanted, outputs);
        for what in todo {
            match what {
                refresh::Output::Ask(id) => self.ask(now, (session, id), outputs),
                refresh::Output::HandOver(token) => outputs.push(Output::HandOver(session, token)),
                refresh::Output::Failed(error) => outputs.push(Output::Failed(session, error)),
            }
        }
    }

    pub(super) fn send(&mut self, purpose: Purpose, request: Request, outputs: &mut Vec<Output>) {
        self.requests += 1;
        let id = RequestId::new(self.requests);
        self.in_flight.insert(id, purpose);
        outputs.push(Output::Send(id, request));
    }

    /// Gives up what a session asked for, but for the one it waits for.
    fn forget_tokens(
        &mut self,
        session: SessionId,
        wanted: Option<RequestId>,
        outputs: &mut Vec<Output>,
    ) {
        let is_given_up =
            |other: &SessionId, id: &RequestId| *other == session && Some(*id) != wanted;
        self.exchanges.waiting.retain(
            |waiting| !matches!(waiting, Waiting::Token(other, id) if is_given_up(other, id)),
        );
        self.forget(
            |purpose| {
                matches!(purpose, Purpose::Token(other, id) | Purpose::Exchange(other, id)
                    if is_given_up(other, id))
            },
            outputs,
        );
    }

    /// Gives up requests.
    fn forget(&mut self, which: impl Fn(&Purpose) -> bool, outputs: &mut Vec<Output>) {
        self.in_flight.retain(|id, purpose| {
            let forgets = which(purpose);
            if forgets {
                outputs.push(Output::Forget(*id));
            }
            !forgets
        });
    }
}

impl Purpose {
    const fn call(&self) -> Option<CallId> {
        match self {
            Self::LogIn(call, _) | Self::ChangePassword(call, _) | Self::LookUp(call, _) => {
                Some(*call)
            }
            Self::Token(..) | Self::Exchange(..) | Self::Revocation(_) => None,
        }
    }
}
