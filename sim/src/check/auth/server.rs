//! A server: the accounts on a simulated machine, with their model.

use super::super::compare::Stop;
use super::super::promises::{H1, H2, H3, H4, H5, H6, H7, H8, H12, U6};
use super::super::world::{World, file};
use super::super::{Probe, Violation};
use super::parcel::{Carried, Exchange};
use super::program::Trouble;
use crate::entropy::SimEntropy;
use crate::fs::{Disk, SimFs};
use crate::rng::Rng;
use fastness::Bytes;
use fastness_auth::server::{
    ADMIN_NAME, Accounts, AccountsError, Answer, Call, Event, HashFailed, Head, PasswordHasher,
    Policy, Step, TokenProblem,
};
use fastness_auth::{AuthUrl, Request, Secret, Time, Token, answer};
use fastness_models::auth_server::{
    ACCESS_DENIED, Accounts as Model, Ask, Begun, EXPIRED_REFRESH_TOKEN, INVALID_CREDENTIALS,
    LATER, Lives, Reply, Standing,
};
use std::sync::Arc;
use std::time::Duration;

/// A call without an answer yet.
#[derive(Debug)]
pub(super) struct Work {
    step: Step,
    begun: Begun,
    /// The process of the server that runs it.
    pub(super) run: u32,
}

/// The result of one step of a call.
#[derive(Debug)]
pub(super) enum Progress {
    Waits(Work),
    Answers(Carried),
    /// The server crashed.
    Crashed,
}

/// A password hasher that takes no time.
struct Quick;

impl PasswordHasher for Quick {
    fn hash(&self, password: &Secret, salt: &[u8; 16]) -> Result<String, HashFailed> {
        Ok(format!("{:x}:{}", u128::from_le_bytes(*salt), password.expose()))
    }

    fn fits(&self, password: &Secret, hash: &str) -> bool {
        hash.split_once(':').is_some_and(|(_, hashed)| hashed == password.expose())
    }
}

/// A server and its model.
pub(super) struct Server<'w> {
    world: &'w World,
    fs: SimFs,
    policy: Policy,
    accounts: Option<Accounts>,
    pub(super) url: AuthUrl,
    pub(super) model: Model,
    pub(super) run: u32,
    /// The fault that its next commit, or a read before it, meets.
    pub(super) trouble: Option<Trouble>,
}

impl<'w> Server<'w> {
    pub(super) fn start(world: &'w World, url: AuthUrl, policy: Policy) -> Result<Self, Stop> {
        let fs = world.boot(Disk::default());
        let store = world.options(&fs).create(file())?;
        let accounts = open(world, store, policy)?;
        let password = accounts.appoint_admin(&Quick).map_err(failed)?;
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let lives = Lives {
            access_ttl: millis(policy.access_ttl),
            refresh_ttl: millis(policy.refresh_ttl),
            logins_max: policy.logins_max,
        };
        let password = password.unwrap_or_default();
        let model = Model::new(lives, (ADMIN_NAME, password.expose()));
        let accounts = Some(accounts);
        Ok(Self { world, fs, policy, accounts, url, model, run: 0, trouble: None })
    }

    fn accounts(&self) -> &Accounts {
        self.accounts.as_ref().expect("the check asks a server that runs")
    }

    /// Accepts a request.
    pub(super) fn begin(
        &mut self,
        now: Time,
        (exchange, request): (&Exchange, &Request),
        probe: &mut Probe,
    ) -> Result<Progress, Stop> {
        let target = request.target();
        let token = request.headers().find(|(name, _)| *name == "Authorization");
        let authorization = token.map_or(&b""[..], |(_, value)| value.as_bytes());
        let head = Head { method: request.method().word(), target: &target, authorization };
        let call = Call::read(&head, request.body()).map_err(|answer| {
            let text = format!("{target} for {:?} is answered {answer:?}", exchange.purpose);
            Violation::new(U6.id, text)
        })?;
        let asked = ask_of(&call);
        if asked != exchange.ask {
            let text = format!("the server reads {asked:?}, meant was {:?}", exchange.ask);
            return Err(Violation::new(U6.id, text).into());
        }
        self.begin_call(now, call, probe)
    }

    /// Accepts a call from any caller.
    pub(super) fn begin_call(
        &mut self,
        now: Time,
        call: Call,
        probe: &mut Probe,
    ) -> Result<Progress, Stop> {
        let begun = self.model.begin(now.0, ask_of(&call));
        if let Some(Trouble::Error(injection)) = self.trouble {
            self.fs.inject(injection);
        }
        let step = self.accounts().begin(now, call);
        self.fs.mend();
        if let Step::Answer(answer) = &step
            && let Event::Failed(_) = answer.event()
        {
            self.trouble = None;
            return Ok(Progress::Answers(Carried::Failed(answer.status(), answer.body().to_vec())));
        }
        if let (Ask::LogIn(..), false) = (begun.ask(), matches!(step, Step::Hash(_))) {
            return Err(Violation::new(H2.id, "an attempt costs no hash").into());
        }
        self.go_on(now, Work { step, begun, run: self.run }, probe)
    }

    /// Runs the next step of a call.
    pub(super) fn advance(
        &mut self,
        now: Time,
        work: Work,
        probe: &mut Probe,
    ) -> Result<Progress, Stop> {
        let Work { step, begun, run } = work;
        match step {
            Step::Hash(job) => self.go_on(now, Work { step: job.run(&Quick), begun, run }, probe),
            Step::Write(job) => {
                let before = self.trouble.map(|_| self.fs.disk());
                match self.trouble {
                    Some(Trouble::Cut) => self.fs.record(),
                    Some(Trouble::Error(injection)) => self.fs.inject(injection),
                    None => {}
                }
                let answer = self.accounts().write(now, job);
                self.fs.mend();
                let (forks, trouble) = (self.fs.take_forks(), self.trouble.take());
                let Some(before) = before else {
                    return self.go_on(now, Work { step: Step::Answer(answer), begun, run }, probe);
                };
                if matches!(trouble, Some(Trouble::Cut)) && !forks.is_empty() {
                    let fork = self.world.rng(|rng| rng.pick(&forks).clone());
                    let disk = self.world.rng(|rng| fork.disk.power_loss(rng));
                    let reply = self.land(now, (before, disk), &begun)?;
                    probe.crash(fork.at.name());
                    if !matches!(reply, Reply::Refused(_)) {
                        probe.mark("server: crash inside a commit");
                    }
                    return Ok(Progress::Crashed);
                }
                if let Event::Failed(_) = answer.event() {
                    return self.failed(now, (before, &begun, &answer), probe);
                }
                self.go_on(now, Work { step: Step::Answer(answer), begun, run }, probe)
            }
            Step::Answer(_) => self.go_on(now, Work { step, begun, run }, probe),
        }
    }

    /// Handles a failed disk: the call had no effect, or the server restarts with the call applied
    /// or not.
    fn failed(
        &mut self,
        now: Time,
        (before, begun, answer): (Disk, &Begun, &Answer),
        probe: &mut Probe,
    ) -> Result<Progress, Stop> {
        if self.accounts().check_health().is_ok() {
            let model = self.model.clone();
            self.audit(now, &model).map_err(|broken| {
                Violation::new(H1.id, format!("after an error of the disk: {broken}"))
            })?;
            probe.mark("server: an error of the disk, and nothing is done");
        } else {
            let mut disk = self.fs.disk();
            if self.world.rng(|rng| rng.below(2) == 0) {
                disk = self.world.rng(|rng| disk.power_loss(rng));
            }
            self.land(now, (before, disk), begun)?;
            probe.mark("server: started again after an error of the disk");
        }
        Ok(Progress::Answers(Carried::Failed(answer.status(), answer.body().to_vec())))
    }

    /// Restarts the server on a disk that may hold the call; returns the reply that it would have
    /// had.
    fn land(
        &mut self,
        now: Time,
        (before, disk): (Disk, Disk),
        begun: &Begun,
    ) -> Result<Reply, Stop> {
        let mut after = self.model.clone();
        let reply = after.end(now.0, begun, None);
        // Tokens of an unsent answer are unknown, so the contents of the files are compared.
        let is_undone = self.contents(before)? == self.contents(disk.clone())?;
        self.recover(now, disk, if is_undone { self.model.clone() } else { after })?;
        Ok(reply)
    }

    fn go_on(&mut self, now: Time, work: Work, probe: &mut Probe) -> Result<Progress, Stop> {
        let Step::Answer(answer) = &work.step else { return Ok(Progress::Waits(work)) };
        if let Ask::Token(token, _) | Ask::Exchange(token, _) | Ask::ChangePassword(token, ..) =
            work.begun.ask()
        {
            match self.model.standing(now.0, token) {
                Standing::Next => probe.mark("server: a successor was presented"),
                Standing::Old => probe.mark("server: an exchanged token was presented again"),
                Standing::Late => probe.mark("server: a token that was exchanged came late"),
                Standing::Current | Standing::Gone => {}
            }
        }
        let reply = self.compare(now, answer, &work.begun)?;
        if reply == Reply::Refused(ACCESS_DENIED) {
            probe.mark("server: refused to who is no administrator");
        }
        let is_held_back = matches!(work.begun.ask(), Ask::LogIn(..))
            && reply == Reply::Refused(INVALID_CREDENTIALS)
            && work.begun.refused().is_none();
        if is_held_back {
            probe.mark("server: password changed while a login was checked");
        }
        Ok(Progress::Answers(Carried::Reply(answer.status(), answer.body().to_vec(), reply)))
    }

    /// Ends a call in the model, and compares both replies.
    fn compare(&mut self, now: Time, answer: &Answer, begun: &Begun) -> Result<Reply, Stop> {
        let (status, body) = (answer.status(), answer.body());
        let user = match begun.ask() {
            Ask::Register(..) | Ask::LogIn(..) | Ask::Exchange(..) if status == 200 => {
                let read = answer::login(&self.url, status, body);
                Some(read.map_err(|e| Violation::new(U6.id, format!("a login reads as {e}")))?)
            }
            _ => None,
        };
        let fresh = user.as_ref().map(|user| (user.identity(), user.token.value.expose()));
        if let Some((identity, token)) = fresh {
            if self.model.knows(token) {
                return Err(Violation::new(H4.id, "a token was given out twice").into());
            }
            if matches!(begun.ask(), Ask::Register(..)) && self.model.has_identity(identity) {
                return Err(Violation::new(H12.id, "two accounts have one identity").into());
            }
        }
        let expected = self.model.end(now.0, begun, fresh);
        let found = match (&expected, begun.ask()) {
            _ if status != 200 => Reply::Refused(answer.code().number()),
            (Reply::LogIn { identity: known, .. }, _) if user.is_some() => {
                let user = user.as_ref().ok_or_else(|| Violation::new(H2.id, "no user"))?;
                let identity = known.as_ref().map(|_| user.identity().to_owned());
                let (expires, is_admin) = (user.token.expires_seconds, user.is_admin());
                Reply::LogIn { identity, expires, is_admin }
            }
            (_, Ask::Token(..) | Ask::Exchange(..)) => {
                let token = answer::access_token(status, body);
                let token = token.map_err(|e| Violation::new(U6.id, format!("reads as {e}")))?;
                self.verify(now, &token)?;
                let (identity, path, expires) = (token.identity, token.path, token.expires_seconds);
                match &user {
                    None => Reply::Token { identity, path, expires },
                    Some(user) => {
                        let login_expires = user.token.expires_seconds;
                        Reply::Exchange { identity, path, expires, login_expires }
                    }
                }
            }
            (expected, Ask::LookUp(..)) => {
                let info = answer::look_up(status, body);
                let info = info.map_err(|e| Violation::new(U6.id, format!("reads as {e}")))?;
                let is_known = matches!(expected, Reply::Found { identity: Some(_), .. });
                let identity = is_known.then_some(info.identity);
                Reply::Found { identity, is_admin: info.is_admin }
            }
            _ => Reply::Done,
        };
        let is_same = match expected {
            Reply::Expired => {
                matches!(found, Reply::Done | Reply::Refused(EXPIRED_REFRESH_TOKEN))
            }
            _ => found == expected,
        };
        if is_same {
            return Ok(if expected == Reply::Expired { Reply::Done } else { expected });
        }
        let text = format!("{:?}: found {found:?}, expected {expected:?}", begun.ask());
        Err(Violation::new(broken(begun.ask(), &expected), text).into())
    }

    /// Checks that an access token carries its claims under its signature, and that a changed one
    /// is refused.
    fn verify(&self, now: Time, token: &Token) -> Result<(), Violation> {
        let signer = self.accounts().signer();
        let text = token.value.expose();
        let says_the_same = signer.verify(text, now).is_ok_and(|claims| {
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
        let is_refused = signer.verify(&changed, now) == Err(TokenProblem::NotSigned);
        if says_the_same && is_refused {
            return Ok(());
        }
        let text = format!("it reads as granted: {says_the_same}; changed, no: {is_refused}");
        Err(Violation::new(H7.id, text))
    }

    /// Crashes the server, optionally with a power loss.
    pub(super) fn crash(&mut self, now: Time, cuts_power: bool) -> Result<(), Stop> {
        let mut disk = self.fs.disk();
        if cuts_power {
            disk = self.world.rng(|rng| disk.power_loss(rng));
        }
        self.recover(now, disk, self.model.clone())
    }

    /// Returns all entries of the file on a disk.
    fn contents(&self, disk: Disk) -> Result<Vec<(String, Bytes, Bytes)>, Stop> {
        let fs = self.world.boot(disk);
        let snapshot = self.world.options(&fs).open(file())?.snapshot();
        let mut contents = Vec::new();
        for name in snapshot.tree_names() {
            for entry in snapshot.tree(name).range(..)? {
                let (key, value) = entry?;
                contents.push((name.to_owned(), key, value));
            }
        }
        Ok(contents)
    }

    /// Starts the server on a disk; its accounts must equal the model.
    fn recover(&mut self, now: Time, disk: Disk, model: Model) -> Result<(), Stop> {
        self.accounts = None;
        self.run += 1;
        self.fs.fall_silent();
        self.fs = self.world.boot(disk);
        let store = self.world.options(&self.fs).open(file())?;
        self.accounts = Some(open(self.world, store, self.policy)?);
        self.audit(now, &model)
            .map_err(|broken| Violation::new(H1.id, format!("after a crash: {broken}")))?;
        self.model = model;
        Ok(())
    }

    /// Compares all passwords and tokens with a model, without changing anything.
    pub(super) fn audit(&self, now: Time, model: &Model) -> Result<(), Violation> {
        let accounts = self.accounts();
        for (token, standing) in model.tokens(now.0) {
            let refresh = Secret::from(token);
            let call = Call::AccessToken { refresh, path: "/~/audit".to_owned(), rotate: false };
            let code = match accounts.begin(now, call) {
                Step::Answer(answer) => answer.code().number(),
                Step::Hash(_) | Step::Write(_) => 0,
            };
            let (expected, invariant) = match standing {
                Standing::Current => (200, H4.id),
                // Presenting the token would change its state.
                Standing::Next | Standing::Old => (0, H6.id),
                Standing::Late => (LATER, H6.id),
                Standing::Gone => (EXPIRED_REFRESH_TOKEN, H3.id),
            };
            if code != expected {
                let text = format!("a token that is {standing:?} is answered with {code}");
                return Err(Violation::new(invariant, text));
            }
        }
        let fits = |name: &str, password: &str| {
            let (name, password) = (name.into(), password.into());
            match accounts.begin(now, Call::LogIn { name, password }) {
                Step::Hash(job) => matches!(job.run(&Quick), Step::Write(_)),
                Step::Answer(_) | Step::Write(_) => false,
            }
        };
        for name in model.names() {
            let password = model.password(name).unwrap_or_default();
            if !fits(name, password) || fits(name, &format!("{password}?")) {
                let text = format!("the password of {name} is not {password}");
                return Err(Violation::new(H2.id, text));
            }
        }
        for name in super::NAMES {
            let (known, password) = (Secret::from(name), Secret::from("p"));
            let begun = accounts.begin(now, Call::Register { name: known, password });
            let is_taken = matches!(begun, Step::Answer(_));
            if is_taken != model.password(name).is_some() {
                let text = format!("{name} has an account: {is_taken}");
                return Err(Violation::new(H12.id, text));
            }
        }
        Ok(())
    }
}

fn open(world: &World, store: fastness::Store, policy: Policy) -> Result<Accounts, Stop> {
    let entropy = Arc::new(SimEntropy::new(world.rng(Rng::next)));
    Accounts::open(store, entropy, policy).map_err(failed)
}

fn failed(error: AccountsError) -> Stop {
    match error {
        AccountsError::Store(error) => error.into(),
        other => Violation::new(H1.id, format!("refused without a reason: {other:?}")).into(),
    }
}

/// Translates a call into that of the model.
fn ask_of(call: &Call) -> Ask {
    let text = |secret: &Secret| secret.expose().to_owned();
    match call {
        Call::Register { name, password } => Ask::Register(text(name), text(password)),
        Call::LogIn { name, password } => Ask::LogIn(text(name), text(password)),
        Call::AccessToken { refresh, path, rotate: false } => {
            Ask::Token(text(refresh), path.clone())
        }
        Call::AccessToken { refresh, path, rotate: true } => {
            Ask::Exchange(text(refresh), path.clone())
        }
        Call::Revoke { refresh } => Ask::Revoke(text(refresh)),
        Call::ChangePassword { refresh, identity, password } => {
            Ask::ChangePassword(text(refresh), identity.clone(), text(password))
        }
        Call::LookUp { refresh, name, .. } => Ask::LookUp(text(refresh), text(name)),
    }
}

/// Maps an unexpected answer to the promise it violates.
fn broken(ask: &Ask, expected: &Reply) -> &'static str {
    match (ask, expected) {
        (_, Reply::Refused(EXPIRED_REFRESH_TOKEN)) => H3.id,
        (_, Reply::Refused(LATER)) => H6.id,
        (_, Reply::Refused(ACCESS_DENIED)) => H8.id,
        (Ask::Register(..), _) => H12.id,
        (Ask::LogIn(..), _) => H2.id,
        (Ask::Revoke(_), _) => H5.id,
        (Ask::Exchange(..), _) => H6.id,
        _ => H4.id,
    }
}
