//! Calls of the program, and their expected immediate effects.

use super::message::Purpose;
use super::program::{Event, ExpectedRequest};
use super::server::NAMES;
use super::{AuthHarness, CheckError, SESSIONS};
use fastness_auth::users::{
    Call, CallError, CallId, CallSuccess, Input, Output, SessionId, UserId,
};
use fastness_auth::{Credentials, Permission, RequestError, Token, User};
use fastness_models::Op;
use fastness_models::auth::{CallRefusal, Grant, UserKey};
use fastness_models::auth_server::ServerCall;

/// A login that a server granted, or an access token that counts as one.
pub(super) struct GrantedLogin {
    pub(super) call: CallId,
    pub(super) user: User,
    pub(super) user_key: UserKey,
    pub(super) grant: Grant,
}

/// A call that a user makes.
struct UserCall<'a> {
    user_key: &'a UserKey,
    needs_admin: bool,
    call: Call,
    purpose: Purpose,
    /// The call that the server receives with a token.
    server_call: &'a dyn Fn(String) -> ServerCall,
}

impl AuthHarness<'_> {
    fn call(&mut self) -> CallId {
        self.calls += 1;
        CallId(self.calls)
    }

    /// Picks a user: mostly one who is logged in, else one with an account.
    fn pick_user(&self, operand: u8) -> UserKey {
        let active = self.program.model.active();
        let index = usize::from(operand);
        if operand < 200 && !active.is_empty() {
            return active[index % active.len()].0.clone();
        }
        let server = index % 2;
        let identity = self.servers[server].model.identity(NAMES[index / 2 % 4]);
        UserKey { server, identity: identity.unwrap_or("nobody").to_owned() }
    }

    pub(super) fn log_in(&mut self, op: Op) -> Result<(), CheckError> {
        let server = usize::from(op.a % 2);
        let name = NAMES[usize::from(op.a / 2) % NAMES.len()];
        let model = &self.servers[server].model;
        let (known, identity) = (model.password(name), model.identity(name));
        let (password, registers) = match op.b % 8 {
            0..=3 => (known.unwrap_or("p0").to_owned(), known.is_none()),
            4 => (new_password(op.c), true),
            5 => ("wrong".to_owned(), false),
            _ => {
                let identity = identity.filter(|_| op.c.is_multiple_of(2)).unwrap_or("nobody");
                let user_key = UserKey { server, identity: identity.to_owned() };
                return self.log_in_with_access_token(user_key, op.b % 8 == 7);
            }
        };
        let call = self.call();
        let spelling = spelling(name, op.b / 8);
        let credentials =
            Credentials::username_password(&*spelling, Some((&*password).into()), registers);
        let Ok(credentials) = credentials else { return Ok(()) };
        let server_call = match registers {
            true => ServerCall::Register(name.to_owned(), password),
            false => ServerCall::LogIn(name.to_owned(), password),
        };
        let url = self.servers[server].url.clone();
        let mut event = self.program.event(Input::Call(call, Call::LogIn(url, credentials)));
        event.call =
            Some(ExpectedRequest { by: None, server, purpose: Purpose::LogIn(call), server_call });
        self.handle(event)
    }

    /// Logs in with an access token that no server issued.
    fn log_in_with_access_token(
        &mut self,
        user_key: UserKey,
        is_admin: bool,
    ) -> Result<(), CheckError> {
        let call = self.call();
        let value = format!("claimed-{}", self.calls);
        let token = Token {
            value: (&*value).into(),
            identity: user_key.identity.clone(),
            path: String::new(),
            expires_seconds: i64::MAX,
            permissions: Permission::KNOWN.to_vec(),
            is_admin,
        };
        let url = self.servers[user_key.server].url.clone();
        let credentials = Credentials::access_token(&*value, &*user_key.identity, is_admin);
        let event = self.program.event(Input::Call(call, Call::LogIn(url.clone(), credentials)));
        let grant = Grant { token: value, expires: i64::MAX, is_admin };
        let event = self
            .logged_in(event, GrantedLogin { call, user: User { url, token }, user_key, grant });
        self.handle(event)
    }

    /// Sets the expected outputs of a login.
    pub(super) fn logged_in(&mut self, mut event: Event, login: GrantedLogin) -> Event {
        let GrantedLogin { call, user, user_key, grant } = login;
        let was_out = event.next.grant(&user_key).is_none();
        event.starting_sessions = event.next.log_in(user_key, grant);
        if was_out && !event.starting_sessions.is_empty() {
            self.probe.mark("login resumed parked sessions");
        }
        event.outcome = vec![
            Output::LoggedIn(UserId::of(&user)),
            Output::CallDone(call, Ok(CallSuccess::LoggedIn(user))),
        ];
        self.refuse_blocked_calls(event)
    }

    /// Expects a refusal for every blocked call whose user may no longer make it.
    fn refuse_blocked_calls(&self, mut event: Event) -> Event {
        for (expected_request, user_key, needs_admin) in self.program.blocked_calls() {
            if let (Err(refusal), Some(call)) =
                (event.next.authorize(user_key, needs_admin), expected_request.purpose.call())
            {
                event.outcome.push(refused(call, refusal));
            }
        }
        event
    }

    pub(super) fn log_out(&mut self, op: Op) -> Result<(), CheckError> {
        let user_key = self.pick_user(op.a);
        let id = self.program.id(&user_key);
        let mut event = self.program.event(Input::LogOut(id));
        if self.program.is_offline && event.next.grant(&user_key).is_some() {
            self.probe.mark("logged out while offline");
        }
        let parked = event.next.log_out(&user_key).into_iter();
        event.outcome = parked.map(|session| Output::Park(SessionId(session.into()))).collect();
        let event = self.refuse_blocked_calls(event);
        self.handle(event)
    }

    pub(super) fn change_password(&mut self, op: Op) -> Result<(), CheckError> {
        let user_key = self.pick_user(op.a);
        let other = match op.b % 4 {
            0 | 1 => None,
            2 => self.servers[user_key.server].model.identity(NAMES[usize::from(op.b / 4) % 4]),
            _ => Some("nobody"),
        };
        let other = other.map(str::to_owned);
        let password = new_password(op.c);
        let (id, secret) = (self.program.id(&user_key), (&*password).into());
        let what = match &other {
            None => Call::ChangePassword(id, secret),
            Some(other) => Call::ChangePasswordOf(id, other.clone(), secret),
        };
        let other = other.filter(|other| *other != user_key.identity);
        let call = self.call();
        let server_call =
            |token| ServerCall::ChangePassword(token, other.clone(), password.clone());
        let needs_admin = other.is_some();
        self.call_as(UserCall {
            user_key: &user_key,
            needs_admin,
            call: what,
            purpose: Purpose::ChangePassword(call),
            server_call: &server_call,
        })
    }

    pub(super) fn look_up(&mut self, op: Op) -> Result<(), CheckError> {
        let user_key = self.pick_user(op.a);
        let name = NAMES[usize::from(op.b) % NAMES.len()];
        let what = Call::LookUp(self.program.id(&user_key), "password".to_owned(), name.to_owned());
        let call = self.call();
        let server_call = |token| ServerCall::LookUp(token, name.to_owned());
        self.call_as(UserCall {
            user_key: &user_key,
            needs_admin: true,
            call: what,
            purpose: Purpose::LookUp(call),
            server_call: &server_call,
        })
    }

    /// Makes a call as a user, with the current token, if the user may make it.
    fn call_as(&mut self, user_call: UserCall<'_>) -> Result<(), CheckError> {
        let UserCall { user_key, needs_admin, call: what, purpose, server_call } = user_call;
        let call = CallId(self.calls);
        let mut event = self.program.event(Input::Call(call, what));
        match event.next.authorize(user_key, needs_admin) {
            Ok(grant) => {
                let (by, server) = (Some((user_key.clone(), needs_admin)), user_key.server);
                let server_call = server_call(grant.token.clone());
                if self.program.exchanges(user_key) {
                    self.probe.mark("a call waits for an exchange");
                }
                event.call = Some(ExpectedRequest { by, server, purpose, server_call });
            }
            Err(refusal) => {
                self.probe.mark("call refused");
                event.outcome = vec![refused(call, refusal)];
            }
        }
        self.handle(event)
    }

    pub(super) fn cancel(&mut self, op: Op) -> Result<(), CheckError> {
        let in_flight =
            self.program.in_flight.values().filter_map(|in_flight| in_flight.purpose.call());
        let waiting = self
            .program
            .blocked_calls()
            .filter_map(|(expected_request, ..)| expected_request.purpose.call());
        let calls = in_flight.chain(waiting);
        let calls: Vec<CallId> = calls.collect();
        let Some(call) = calls.get(usize::from(op.a) % calls.len().max(1)) else { return Ok(()) };
        self.handle(self.program.event(Input::Cancel(*call)))
    }

    pub(super) fn open(&mut self, op: Op) -> Result<(), CheckError> {
        let (session, user_key) = (op.a % SESSIONS, self.pick_user(op.b));
        let folder = if op.c.is_multiple_of(8) { "shared" } else { "~" };
        let path = format!("/{folder}/file-{session}");
        let number = SessionId(session.into());
        let mut event = self.program.event(Input::Open(number, self.program.id(&user_key), path));
        event.next.open(session, user_key);
        event.starting_sessions.extend(event.next.running(session).map(|_| session));
        self.handle(event)
    }
}

/// Returns one of the spellings of a name.
fn spelling(name: &str, operand: u8) -> String {
    let wide = |letter: char| match letter {
        'a'..='z' => char::from_u32(u32::from(letter) + 0xfee0).unwrap_or(letter),
        _ => letter,
    };
    match operand {
        0 => format!(" {name}\t"),
        1 => name.replace('\u{eb}', "e\u{308}"),
        2 => name.chars().map(wide).collect(),
        _ => name.to_owned(),
    }
}

/// Returns a new password; one in sixteen is short.
fn new_password(operand: u8) -> String {
    if operand >= 240 { "p".to_owned() } else { format!("p{}", operand % 3) }
}

fn refused(call: CallId, refusal: CallRefusal) -> Output {
    let refusal = match refusal {
        CallRefusal::NotLoggedIn => RequestError::NotLoggedIn,
        CallRefusal::NotAdmin => RequestError::NotAdmin,
        CallRefusal::SeveralUsers => RequestError::MultipleUsers,
    };
    Output::CallDone(call, Err(CallError::Refused(refusal)))
}
