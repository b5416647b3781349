//! Calls of the program, and their expected immediate effects.

use super::parcel::Purpose;
use super::program::{Asked, Event};
use super::{Drill, NAMES, SESSIONS, Stop};
use fastness_auth::users::{Call, CallId, Failure, Input, Output, SessionId, Success, UserId};
use fastness_auth::{Credentials, Permission, Refusal, Token, User};
use fastness_models::Op;
use fastness_models::auth::{Grant, Refusal as ModelRefusal, Who};
use fastness_models::auth_server::Ask;

impl Drill<'_> {
    fn call(&mut self) -> CallId {
        self.calls += 1;
        CallId(self.calls)
    }

    /// Picks a user: mostly one who is logged in, else one with an account.
    fn somebody(&self, operand: u8) -> Who {
        let active = self.program.model.active();
        let index = usize::from(operand);
        if operand < 200 && !active.is_empty() {
            return active[index % active.len()].0.clone();
        }
        let server = index % 2;
        let identity = self.servers[server].model.identity(NAMES[index / 2 % 4]);
        Who { server, identity: identity.unwrap_or("nobody").to_owned() }
    }

    pub(super) fn log_in(&mut self, op: Op) -> Result<(), Stop> {
        let server = usize::from(op.a % 2);
        let name = NAMES[usize::from(op.a / 2) % NAMES.len()];
        let model = &self.servers[server].model;
        let (known, identity) = (model.password(name), model.identity(name));
        let (password, registers) = match op.b % 8 {
            0..=3 => (known.unwrap_or("p0").to_owned(), known.is_none()),
            4 => (format!("p{}", op.c % 3), true),
            5 => ("wrong".to_owned(), false),
            _ => {
                let identity = identity.filter(|_| op.c.is_multiple_of(2)).unwrap_or("nobody");
                let who = Who { server, identity: identity.to_owned() };
                return self.claim(who, op.b % 8 == 7);
            }
        };
        let call = self.call();
        let credentials =
            Credentials::username_password(name, Some((&*password).into()), registers);
        let Ok(credentials) = credentials else { return Ok(()) };
        let ask = match registers {
            true => Ask::Register(name.to_owned(), password),
            false => Ask::LogIn(name.to_owned(), password),
        };
        let url = self.servers[server].url.clone();
        let mut event = self.program.event(Input::Call(call, Call::LogIn(url, credentials)));
        event.call = Some(Asked { by: None, server, purpose: Purpose::LogIn(call), ask });
        self.tell(event)
    }

    /// Logs in with an access token that no server issued.
    fn claim(&mut self, who: Who, is_admin: bool) -> Result<(), Stop> {
        let call = self.call();
        let value = format!("claimed-{}", self.calls);
        let token = Token {
            value: (&*value).into(),
            identity: who.identity.clone(),
            path: String::new(),
            expires_seconds: i64::MAX,
            permissions: Permission::KNOWN.to_vec(),
            is_admin,
        };
        let url = self.servers[who.server].url.clone();
        let credentials = Credentials::access_token(&*value, &*who.identity, is_admin);
        let event = self.program.event(Input::Call(call, Call::LogIn(url.clone(), credentials)));
        let grant = Grant { token: value, expires: i64::MAX, is_admin };
        let event = self.logged_in(event, (call, User { url, token }), (who, grant));
        self.tell(event)
    }

    /// Sets the expected outputs of a login.
    pub(super) fn logged_in(
        &mut self,
        mut event: Event,
        (call, user): (CallId, User),
        (who, grant): (Who, Grant),
    ) -> Event {
        let was_out = event.next.grant(&who).is_none();
        event.begins = event.next.log_in(who, grant);
        if was_out && !event.begins.is_empty() {
            self.probe.mark("parked sessions taken up by a login");
        }
        event.told = vec![
            Output::LoggedIn(UserId::of(&user)),
            Output::Done(call, Ok(Success::LoggedIn(user))),
        ];
        self.release(event)
    }

    /// Expects a refusal for every blocked call whose user may no longer make it.
    fn release(&self, mut event: Event) -> Event {
        for (asked, who, needs_admin) in self.program.held_back() {
            if let (Err(refusal), Some(call)) =
                (event.next.may(who, needs_admin), asked.purpose.call())
            {
                event.told.push(refused(call, refusal));
            }
        }
        event
    }

    pub(super) fn log_out(&mut self, op: Op) -> Result<(), Stop> {
        let who = self.somebody(op.a);
        let id = self.program.id(&who);
        let mut event = self.program.event(Input::LogOut(id));
        if self.program.is_offline && event.next.grant(&who).is_some() {
            self.probe.mark("logged out without a network");
        }
        let parked = event.next.log_out(&who).into_iter();
        event.told = parked.map(|session| Output::Park(SessionId(session.into()))).collect();
        let event = self.release(event);
        self.tell(event)
    }

    pub(super) fn change_password(&mut self, op: Op) -> Result<(), Stop> {
        let who = self.somebody(op.a);
        let other = match op.b % 4 {
            0 | 1 => None,
            2 => self.servers[who.server].model.identity(NAMES[usize::from(op.b / 4) % 4]),
            _ => Some("nobody"),
        };
        let other = other.map(str::to_owned);
        let password = format!("p{}", op.c % 3);
        let (id, secret) = (self.program.id(&who), (&*password).into());
        let what = match &other {
            None => Call::ChangePassword(id, secret),
            Some(other) => Call::ChangePasswordOf(id, other.clone(), secret),
        };
        let other = other.filter(|other| *other != who.identity);
        let call = self.call();
        let ask = |token| Ask::ChangePassword(token, other.clone(), password.clone());
        let needs_admin = other.is_some();
        self.ask_as(&who, needs_admin, (what, Purpose::ChangePassword(call), &ask))
    }

    pub(super) fn look_up(&mut self, op: Op) -> Result<(), Stop> {
        let who = self.somebody(op.a);
        let name = NAMES[usize::from(op.b) % NAMES.len()];
        let what = Call::LookUp(self.program.id(&who), "password".to_owned(), name.to_owned());
        let call = self.call();
        let ask = |token| Ask::LookUp(token, name.to_owned());
        self.ask_as(&who, true, (what, Purpose::LookUp(call), &ask))
    }

    /// Makes a call as a user, with the current token, if the user may make it.
    fn ask_as(
        &mut self,
        who: &Who,
        needs_admin: bool,
        (what, purpose, ask): (Call, Purpose, &dyn Fn(String) -> Ask),
    ) -> Result<(), Stop> {
        let call = CallId(self.calls);
        let mut event = self.program.event(Input::Call(call, what));
        match event.next.may(who, needs_admin) {
            Ok(grant) => {
                let (by, server) = (Some((who.clone(), needs_admin)), who.server);
                let ask = ask(grant.token.clone());
                if self.program.exchanges(who) {
                    self.probe.mark("a call waits for an exchange");
                }
                event.call = Some(Asked { by, server, purpose, ask });
            }
            Err(refusal) => {
                self.probe.mark("call refused");
                event.told = vec![refused(call, refusal)];
            }
        }
        self.tell(event)
    }

    pub(super) fn cancel(&mut self, op: Op) -> Result<(), Stop> {
        let live = self.program.live.values().filter_map(|live| live.purpose.call());
        let waiting = self.program.held_back().filter_map(|(asked, ..)| asked.purpose.call());
        let calls = live.chain(waiting);
        let calls: Vec<CallId> = calls.collect();
        let Some(call) = calls.get(usize::from(op.a) % calls.len().max(1)) else { return Ok(()) };
        self.tell(self.program.event(Input::Cancel(*call)))
    }

    pub(super) fn open(&mut self, op: Op) -> Result<(), Stop> {
        let (session, who) = (op.a % SESSIONS, self.somebody(op.b));
        let folder = if op.c.is_multiple_of(8) { "shared" } else { "~" };
        let path = format!("/{folder}/file-{session}");
        let number = SessionId(session.into());
        let mut event = self.program.event(Input::Open(number, self.program.id(&who), path));
        event.next.open(session, who);
        event.begins.extend(event.next.running(session).map(|_| session));
        self.tell(event)
    }
}

fn refused(call: CallId, refusal: ModelRefusal) -> Output {
    let refusal = match refusal {
        ModelRefusal::NotLoggedIn => Refusal::NotLoggedIn,
        ModelRefusal::NotAdmin => Refusal::NotAdmin,
        ModelRefusal::SeveralUsers => Refusal::SeveralUsers,
    };
    Output::Done(call, Err(Failure::Refused(refusal)))
}
