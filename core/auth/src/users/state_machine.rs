//! State machine of users: events in, actions out.
//!
//! - U9 At most one token request of a session is in flight; a response to an unknown request id
//!   changes nothing.
//! - U13 A logout takes effect before any request.
//! - U14 The request of a revocation is built from the revocation, not from the user.
//! - U15 Closing or parking a session cancels its request.
//! - U16 A login starts the sessions of its user.
//! - U18 During a rotation all other requests of the user wait.
//!
//! Specified in docs/auth.md#users-over-time.

use super::event::{
    Call, CallError, CallId, CallSuccess, HttpOutcome, Input, Output, SessionId, UserId,
};
use super::persisted::PersistedUsers;
use super::rotation_schedule::{Deferred, Rotations};
use crate::auth_url::AuthUrl;
use crate::backoff::{Backoff, Retry};
use crate::error::RequestError;
use crate::fault::{self, Fault};
use crate::refresh::{self, Refresher, RequestId};
use crate::request::{AuthServer, Login, Request};
use crate::response;
use crate::user::User;
use fastness::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// State machine of the users of an app; see the module.
#[derive(Clone, Debug)]
pub struct Users {
    pub(super) persisted: PersistedUsers,
    app_id: Option<String>,
    backoff: Backoff,
    is_offline: bool,
    requests: u64,
    pub(super) in_flight: BTreeMap<RequestId, Purpose>,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    /// Retry schedule of each pending revocation.
    retries: BTreeMap<u64, Retry>,
    pub(super) rotations: Rotations,
}

/// Purpose of a request in flight.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    LogIn(CallId, AuthUrl),
    ChangePassword(CallId, UserId),
    LookUp(CallId, UserId),
    /// Access token for a session, with the request id of its refresher.
    Token(SessionId, RequestId),
    /// The same, with a rotation of the refresh token.
    Rotation(SessionId, RequestId),
    Revocation(u64),
}

/// Time of an event, and the actions that it causes.
pub(super) struct Context<'a> {
    pub(super) now: Time,
    pub(super) outputs: &'a mut Vec<Output>,
}

/// Session of an open file; parked while its user is not logged in.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) user: UserId,
    pub(super) path: String,
    refresher: Refresher,
}

impl Default for Users {
    fn default() -> Self {
        Self::new(PersistedUsers::default(), Time::default())
    }
}

impl Users {
    /// Creates the machine from the state of an earlier process. Its revocations are due now.
    #[must_use]
    pub fn new(persisted: PersistedUsers, now: Time) -> Self {
        let backoff = Backoff::new();
        let retry = Retry::new(now, backoff.clone());
        let retries = persisted.revocations.keys().map(|number| (*number, retry.clone())).collect();
        Self {
            persisted,
            app_id: Some("unknown".to_owned()),
            backoff,
            is_offline: false,
            requests: 0,
            in_flight: BTreeMap::new(),
            sessions: BTreeMap::new(),
            retries,
            rotations: Rotations::default(),
        }
    }

    /// Sets the name of the app; the default is `unknown`, and `None` omits it.
    #[must_use]
    pub fn app_id(mut self, app_id: Option<&str>) -> Self {
        self.app_id = app_id.map(str::to_owned);
        self
    }

    /// Sets the back-off of new sessions and revocations.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Rotates refresh tokens of this age, with the next request for an access token. The first
    /// request of a process always rotates. Without this setting refresh tokens are never rotated,
    /// as in the original client.
    #[must_use]
    pub fn rotate_after(mut self, age: Duration) -> Self {
        self.rotations = Rotations::after(age);
        self
    }

    /// Returns the persistent part.
    #[must_use]
    pub const fn persisted(&self) -> &PersistedUsers {
        &self.persisted
    }

    /// Returns the only logged-in user, unless the token has expired.
    ///
    /// # Errors
    /// [`RequestError::MultipleUsers`] if several users are logged in, expired or not.
    pub fn current(&self, now: Time) -> Result<Option<&User>, RequestError> {
        self.persisted.current(now)
    }

    /// Returns the users whose token has not expired, in order of their first login.
    pub fn valid(&self, now: Time) -> impl Iterator<Item = &User> {
        self.persisted.users().filter(move |user| user.is_valid(now))
    }

    /// Returns when to call with [`Input::Wake`] unless another event comes first. Call at least
    /// every [`crate::BACKOFF_MAX`], because the clock may step back.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let sessions = self.sessions.values().filter_map(|session| session.refresher.deadline());
        sessions.chain(self.retries.values().filter_map(Retry::deadline)).min()
    }

    /// Handles an event and appends the resulting actions.
    ///
    /// The caller must make [`Users::persisted`] durable before it performs them;
    /// [`super::UserStore`] does.
    pub fn handle(&mut self, now: Time, input: Input, outputs: &mut Vec<Output>) {
        let context = &mut Context { now, outputs };
        match input {
            Input::Call(call, what) => self.call(context, call, what),
            Input::Cancel(call) => {
                self.rotations.deferred.retain(|waiting| waiting.call() != Some(call));
                self.cancel_requests(context, |purpose| purpose.call() == Some(call));
            }
            Input::LogOut(user) => self.log_out(context, &user),
            Input::Open(id, user, path) => {
                let refresher = Refresher::new(self.backoff.clone());
                self.open(context, id, Session { user, path, refresher });
            }
            Input::Close(session) => self.close(context, session),
            Input::Expired(session) => {
                self.drive(context, session, refresh::RefreshInput::Expired);
            }
            Input::Response(request, answer) => self.on_response(context, request, &answer),
            Input::Offline => {
                self.is_offline = true;
                self.drive_all(context, &refresh::RefreshInput::Offline);
            }
            Input::Online => {
                self.is_offline = false;
                self.retries.values_mut().for_each(|retry| retry.online(context.now));
                self.drive_all(context, &refresh::RefreshInput::Online);
                self.revoke_due(context);
            }
            Input::Wake => {
                self.drive_all(context, &refresh::RefreshInput::Wake);
                self.revoke_due(context);
            }
        }
        self.resume_deferred(context);
    }

    pub(super) fn call(&mut self, context: &mut Context<'_>, call: CallId, what: Call) {
        match self.request(call, what.clone()) {
            Ok((Login::Send(_), purpose)) if self.must_wait(&purpose) => {
                self.rotations.deferred.push(Deferred::Call(call, what));
            }
            Ok((Login::Send(request), purpose)) => self.send(context, purpose, request),
            Ok((Login::Complete(user), _)) => self.on_login(context, call, user),
            Err(refusal) => context.outputs.push(Output::CallDone(call, Err(refusal.into()))),
        }
    }

    fn request(&self, call: CallId, what: Call) -> Result<(Login, Purpose), RequestError> {
        let (request, purpose) = match what {
            Call::LogIn(url, credentials) => {
                let login = self.server(url.clone()).login(&credentials);
                return Ok((login, Purpose::LogIn(call, url)));
            }
            Call::ChangePassword(id, password) => {
                let (server, user) = self.logged_in_user(&id)?;
                let request = server.change_password(&user.token, &password);
                (request, Purpose::ChangePassword(call, id))
            }
            Call::ChangePasswordOf(id, other, password) => {
                let (server, user) = self.logged_in_user(&id)?;
                let request = server.change_password_of(&user.token, &other, &password)?;
                (request, Purpose::ChangePassword(call, id))
            }
            Call::LookUp(id, provider, provider_id) => {
                let (server, user) = self.logged_in_user(&id)?;
                let request = server.look_up(&user.token, &provider, &provider_id)?;
                (request, Purpose::LookUp(call, id))
            }
        };
        Ok((Login::Send(request), purpose))
    }

    fn server(&self, url: AuthUrl) -> AuthServer {
        AuthServer::at(url).app_id(self.app_id.as_deref())
    }

    pub(super) fn logged_in_user(&self, id: &UserId) -> Result<(AuthServer, &User), RequestError> {
        let user = self.persisted.user(id).ok_or(RequestError::NotLoggedIn)?;
        Ok((self.server(user.url.clone()), user))
    }

    fn on_login(&mut self, context: &mut Context<'_>, call: CallId, user: User) {
        let id = UserId::of(&user);
        self.persisted.put(user.clone());
        self.rotations.succeeded(context.now, id.clone());
        context.outputs.push(Output::LoggedIn(id.clone()));
        context.outputs.push(Output::CallDone(call, Ok(CallSuccess::LoggedIn(user))));
        let parked = self.sessions_of(&id);
        if !parked.is_empty() && fault::on(Fault::Au09) {
            return;
        }
        for session in parked {
            self.drive(context, session, refresh::RefreshInput::Start);
        }
    }

    fn log_out(&mut self, context: &mut Context<'_>, id: &UserId) {
        let Some(revocation) = self.persisted.log_out(id) else { return };
        for session in self.sessions_of(id) {
            if !self.awaits_token(session) || !fault::on(Fault::Au05) {
                self.drive(context, session, refresh::RefreshInput::Stop);
            }
            context.outputs.push(Output::Park(session));
        }
        self.retries.insert(revocation, Retry::new(context.now, self.backoff.clone()));
        self.revoke_due(context);
    }

    fn open(&mut self, context: &mut Context<'_>, id: SessionId, session: Session) {
        self.close(context, id);
        let is_logged_in = self.persisted.user(&session.user).is_some();
        self.sessions.insert(id, session);
        if self.is_offline {
            self.drive(context, id, refresh::RefreshInput::Offline);
        }
        if is_logged_in {
            self.drive(context, id, refresh::RefreshInput::Start);
        }
    }

    fn close(&mut self, context: &mut Context<'_>, session: SessionId) {
        if self.awaits_token(session) && fault::on(Fault::Au07) {
            return;
        }
        self.sessions.remove(&session);
        self.cancel_token_requests(context, session, None);
    }

    fn on_response(&mut self, context: &mut Context<'_>, request: RequestId, answer: &HttpOutcome) {
        match self.in_flight.remove(&request) {
            None => {}
            Some(Purpose::LogIn(call, url)) => {
                match answer.read(|status, body| response::login(&url, status, body)) {
                    Ok(user) => self.on_login(context, call, user),
                    Err(error) => context.outputs.push(Output::CallDone(call, Err(error.into()))),
                }
            }
            Some(Purpose::ChangePassword(call, _)) => {
                let changed = answer.read(response::change_password);
                let outcome =
                    changed.map(|()| CallSuccess::PasswordChanged).map_err(CallError::Failed);
                context.outputs.push(Output::CallDone(call, outcome));
            }
            Some(Purpose::LookUp(call, _)) => {
                let found = answer.read(response::look_up).ok();
                context.outputs.push(Output::CallDone(call, Ok(CallSuccess::Found(found))));
            }
            Some(Purpose::Token(session, id)) => {
                let token = answer.read(response::access_token);
                let user = self.sessions.get(&session).map(|session| session.user.clone());
                fault::users::log_back_in(user.filter(|_| token.is_ok()), &mut self.persisted);
                self.drive(context, session, refresh::RefreshInput::Response(id, token));
            }
            Some(Purpose::Rotation(session, id)) => {
                let token = self.on_rotation(context.now, session, answer);
                self.drive(context, session, refresh::RefreshInput::Response(id, token));
            }
            Some(Purpose::Revocation(number)) => {
                self.on_revocation(context, number, answer);
            }
        }
    }

    fn on_revocation(&mut self, context: &mut Context<'_>, number: u64, answer: &HttpOutcome) {
        let user = self.persisted.revocations.get(&number);
        let (Some(user), Some(retry)) = (user, self.retries.get_mut(&number)) else { return };
        let id = UserId::of(user);
        let output = match answer.read(response::revoke) {
            Ok(()) => Output::LoggedOut(id),
            Err(error) if error.is_retryable() => {
                retry.failed(context.now, &error);
                return;
            }
            // The error came from the network: another one may deliver the revocation.
            Err(error) if !error.is_from_server() && user.is_valid(context.now) => {
                retry.postpone(context.now);
                return;
            }
            Err(error) => Output::RevocationRefused(id, error),
        };
        self.persisted.revocations.remove(&number);
        self.retries.remove(&number);
        context.outputs.push(output);
    }

    /// Sends the revocations that are due.
    fn revoke_due(&mut self, context: &mut Context<'_>) {
        let due = self.retries.iter_mut().filter_map(|(number, retry)| {
            let begins = retry.begin(context.now);
            begins.then_some(*number)
        });
        for number in due.collect::<Vec<_>>() {
            let Some(user) = self.persisted.revocations.get(&number) else { continue };
            let user = fault::users::revoked_user(user, &self.persisted);
            let request = self.server(user.url.clone()).revoke(&user.token);
            self.send(context, Purpose::Revocation(number), request);
        }
    }

    fn sessions_of(&self, id: &UserId) -> Vec<SessionId> {
        let sessions = self.sessions.iter().filter(|(_, session)| session.user == *id);
        sessions.map(|(session, _)| *session).collect()
    }

    /// Returns whether a token request of the session is in flight.
    fn awaits_token(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_some_and(|session| session.refresher.in_flight().is_some())
    }

    fn drive_all(&mut self, context: &mut Context<'_>, input: &refresh::RefreshInput) {
        for session in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.drive(context, session, input.clone());
        }
    }

    /// Passes an event to the refresher of a session and performs its actions.
    fn drive(
        &mut self,
        context: &mut Context<'_>,
        session: SessionId,
        input: refresh::RefreshInput,
    ) {
        let Some(Session { refresher, .. }) = self.sessions.get_mut(&session) else {
            return;
        };
        let mut todo = Vec::new();
        refresher.handle(context.now, input, &mut todo);
        let wanted = refresher.in_flight();
        self.cancel_token_requests(context, session, wanted);
        for what in todo {
            match what {
                refresh::RefreshOutput::RequestToken(id) => {
                    self.request_token(context, session, id)
                }
                refresh::RefreshOutput::Deliver(token) => {
                    context.outputs.push(Output::DeliverToken(session, token))
                }
                refresh::RefreshOutput::Waiting(error) => {
                    context.outputs.push(Output::SessionWaiting(session, error))
                }
                refresh::RefreshOutput::Failed(error) => {
                    context.outputs.push(Output::SessionFailed(session, error))
                }
            }
        }
    }

    pub(super) fn send(&mut self, context: &mut Context<'_>, purpose: Purpose, request: Request) {
        self.requests += 1;
        let id = RequestId::new(self.requests);
        self.in_flight.insert(id, purpose);
        context.outputs.push(Output::Send(id, request));
    }

    /// Cancels the token requests of a session except the current one.
    fn cancel_token_requests(
        &mut self,
        context: &mut Context<'_>,
        session: SessionId,
        wanted: Option<RequestId>,
    ) {
        let is_given_up =
            |other: &SessionId, id: &RequestId| *other == session && Some(*id) != wanted;
        self.rotations.deferred.retain(
            |waiting| !matches!(waiting, Deferred::Token(other, id) if is_given_up(other, id)),
        );
        self.cancel_requests(context, |purpose| {
            matches!(purpose, Purpose::Token(other, id) | Purpose::Rotation(other, id)
                if is_given_up(other, id))
        });
    }

    /// Cancels the selected requests.
    fn cancel_requests(&mut self, context: &mut Context<'_>, which: impl Fn(&Purpose) -> bool) {
        self.in_flight.retain(|id, purpose| {
            let forgets = which(purpose);
            if forgets {
                context.outputs.push(Output::CancelRequest(*id));
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
            Self::Token(..) | Self::Rotation(..) | Self::Revocation(_) => None,
        }
    }
}
