//! The face of a client: calls that wait, a logout that does not, and notices to listeners.
//!
//! - Z2 Listeners are called on a thread of their own.

use crate::config::Config;
use crate::driver::{Driver, Message, now};
use crate::error::ClientError;
use crate::http::send;
use crate::session::Session;
use fastness::{Error, OsRandom, RandomSource as _, Store};
use fastness_auth::users::{Answer, Call, Input, Success, UserFile, UserId};
use fastness_auth::{
    AuthError, AuthUrl, Backoff, Credentials, NetworkFault, Refusal, Request, RequestId, Secret,
    User, UserInfo,
};
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use ureq::Agent;

/// What listeners are told.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// A user has logged in.
    LoggedIn(UserId),
    /// A user who logged out has been revoked by the server, too.
    LoggedOut(UserId),
    /// The server refused to revoke a user who logged out.
    NotRevoked(UserId, AuthError),
    /// The file of the users failed.
    StoreFailed(Error),
}

type Listener = Box<dyn Fn(&Client, &Notice) + Send + Sync>;

/// The users of an app, and their way to the servers. Clones share it; it is closed when the last
/// one is dropped, listeners not counted.
#[derive(Clone)]
pub struct Client {
    driver: Sender<Message>,
    listeners: Arc<Mutex<Vec<Arc<Listener>>>>,
    /// There for those that the program holds.
    _closer: Option<Arc<Closer>>,
}

/// Ends the driver when the last client is dropped.
struct Closer {
    driver: Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A user who is logged in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoggedIn(User);

impl Client {
    /// Reads the users of a store, which is used for nothing else, and starts to deliver what an
    /// earlier process left to be revoked.
    ///
    /// # Errors
    /// If the store cannot be read or holds something else, the configuration cannot be used, or
    /// the system gives no threads.
    pub fn open(store: Store, config: Config) -> Result<Self, ClientError> {
        let agent = Agent::new_with_config(config.http()?);
        let mut seed = [0; 8];
        OsRandom.fill(&mut seed).map_err(|_| ClientError::Closed)?;
        let file = UserFile::open(store, now())?
            .app_id(Some(&config.app_id))
            .backoff(Backoff::jittered(u64::from_le_bytes(seed)));
        let file = config.exchange_after.into_iter().fold(file, UserFile::exchange_after);
        let (driver, messages) = channel();
        let (network, requests) = channel();
        let (notices, heard) = channel();
        let requests = Arc::new(Mutex::new(requests));
        for _ in 0..config.threads.max(1) {
            let (agent, requests) = (agent.clone(), Arc::clone(&requests));
            let answers = driver.clone();
            spawn("fastness-network", move || exchange(&agent, &requests, &answers))?;
        }
        let waiting = BTreeMap::new();
        let sessions = BTreeMap::new();
        let work = Driver { file, messages, network, notices, waiting, sessions, next: 0 };
        let thread = Mutex::new(Some(spawn("fastness-users", move || work.run())?));
        let _closer = Some(Arc::new(Closer { driver: driver.clone(), thread }));
        let client = Self { driver, listeners: Arc::default(), _closer };
        let teller = Self { _closer: None, ..client.clone() };
        spawn("fastness-listeners", move || heard.iter().for_each(|notice| teller.tell(&notice)))?;
        Ok(client)
    }

    /// Calls a listener with every notice from now on, on a thread of its own, with a client that
    /// it may use.
    pub fn listen(&self, listener: impl Fn(&Self, &Notice) + Send + Sync + 'static) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.push(Arc::new(Box::new(listener)));
    }

    fn tell(&self, notice: &Notice) {
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for listener in listeners {
            listener(self, notice);
        }
    }

    /// Logs in at an address; where its path is empty it becomes `/auth`.
    ///
    /// # Errors
    /// [`ClientError`]; nothing is repeated, since a first attempt may have worked.
    pub fn log_in(&self, url: &str, credentials: Credentials) -> Result<LoggedIn, ClientError> {
        let url = AuthUrl::for_login(url)?;
        match self.call(Call::LogIn(url, credentials))? {
            Success::LoggedIn(user) => Ok(LoggedIn(user)),
            Success::PasswordChanged | Success::Found(_) => Err(ClientError::Closed),
        }
    }

    /// Logs a user out: at once, and for good, whatever network and server do. The server is told
    /// when it can be; [`Notice::LoggedOut`] says when it was.
    ///
    /// # Errors
    /// If the file of the users fails; the user is then logged in as before.
    pub fn log_out(&self, user: &UserId) -> Result<(), ClientError> {
        self.ask(|reply| Message::LogOut(user.clone(), reply))?
    }

    /// Changes the password of a user who is logged in. Every other login of the user ends.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn change_password(&self, user: &UserId, password: Secret) -> Result<(), ClientError> {
        self.call(Call::ChangePassword(user.clone(), password)).map(drop)
    }

    /// Changes the password of somebody else, as an administrator.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn change_password_of(
        &self,
        admin: &UserId,
        identity: &str,
        password: Secret,
    ) -> Result<(), ClientError> {
        self.call(Call::ChangePasswordOf(admin.clone(), identity.to_owned(), password)).map(drop)
    }

    /// Looks up whom a provider knows under an id, as an administrator. After any error of the
    /// server there is nobody.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if the call makes no sense, and if the client is closed.
    pub fn look_up(
        &self,
        admin: &UserId,
        provider: &str,
        provider_id: &str,
    ) -> Result<Option<UserInfo>, ClientError> {
        let call = Call::LookUp(admin.clone(), provider.to_owned(), provider_id.to_owned());
        match self.call(call)? {
            Success::Found(info) => Ok(info),
            Success::LoggedIn(_) | Success::PasswordChanged => Err(ClientError::Closed),
        }
    }

    /// Returns whoever is logged in with a token that has not expired, by first login.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub fn users(&self) -> Result<Vec<LoggedIn>, ClientError> {
        Ok(self.ask(Message::Users)?.into_iter().map(LoggedIn).collect())
    }

    /// Returns the only user who is logged in.
    ///
    /// # Errors
    /// [`Refusal::SeveralUsers`] if there are more.
    pub fn current(&self) -> Result<Option<LoggedIn>, ClientError> {
        let mut users = self.users()?;
        if users.len() > 1 {
            return Err(Refusal::SeveralUsers.into());
        }
        Ok(users.pop())
    }

    /// Opens a session for a file of a user at a path of the server: tokens come, and are renewed
    /// before they expire, until it is dropped.
    #[must_use]
    pub fn session(&self, user: &UserId, path: &str) -> Session {
        let opened = self.ask(|reply| Message::Open(user.clone(), path.to_owned(), reply));
        let (id, events) = opened.unwrap_or_else(|_| (CLOSED, channel().1));
        Session { id, events, driver: self.driver.clone() }
    }

    /// Says that there is no network.
    pub fn offline(&self) {
        self.driver.send(Message::Input(Input::Offline)).unwrap_or_default();
    }

    /// Says that there is a network, or another one.
    pub fn online(&self) {
        self.driver.send(Message::Input(Input::Online)).unwrap_or_default();
    }

    fn call(&self, call: Call) -> Result<Success, ClientError> {
        self.ask(|reply| Message::Call(call, reply))?
    }

    /// Tells the driver something and waits for what it says.
    fn ask<T>(&self, message: impl FnOnce(Sender<T>) -> Message) -> Result<T, ClientError> {
        let (reply, answer) = channel();
        self.driver.send(message(reply)).map_err(|_| ClientError::Closed)?;
        answer.recv().map_err(|_| ClientError::Closed)
    }
}

/// The session of a client that is closed; none has this number.
const CLOSED: fastness_auth::users::SessionId = fastness_auth::users::SessionId(0);

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, ClientError> {
    Builder::new().name(name.to_owned()).spawn(body).map_err(|_| ClientError::Closed)
}

/// Sends requests as they come, one at a time, until the driver has gone.
fn exchange(
    agent: &Agent,
    requests: &Mutex<Receiver<(RequestId, Request)>>,
    answers: &Sender<Message>,
) {
    loop {
        let next = requests.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((id, request)) = next else { return };
        // The thread goes on, whatever an answer does to the library: nobody waits for ever.
        let answer = catch_unwind(AssertUnwindSafe(|| send(agent, &request)))
            .unwrap_or_else(|_| Answer::none(NetworkFault::Other));
        if answers.send(Message::Input(Input::Answer(id, answer))).is_err() {
            return;
        }
    }
}

impl LoggedIn {
    /// Returns who it is.
    #[must_use]
    pub fn id(&self) -> UserId {
        UserId::of(&self.0)
    }

    /// Returns the user, with the token of the login.
    #[must_use]
    pub const fn user(&self) -> &User {
        &self.0
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.driver.send(Message::Stop).unwrap_or_default();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The file is closed when this returns; a panic of the driver was told by its thread.
        if let Some(thread) = thread {
            thread.join().unwrap_or_default();
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client(..)")
    }
}
