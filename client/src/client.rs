//! Public interface of the client: blocking calls, and events to callbacks.
//!
//! - Z2 Callbacks run on their own thread.

use crate::cancellation::Cancellation;
use crate::config::Config;
use crate::driver::{Driver, now};
use crate::error::ClientError;
use crate::event::Event;
use crate::message::{EventSink, Message};
use crate::network::Network;
use crate::session::{Session, TokenRenewal};
use fastness::{OsRandom, RandomSource as _, Store};
use fastness_auth::users::{Call, CallId, CallSuccess, Input, UserId, UserStore};
use fastness_auth::{AuthUrl, Backoff, Credentials, RequestError, Secret, User, UserInfo};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use ureq::Agent;

type Listener = Box<dyn Fn(&Client, &Event) + Send + Sync>;

/// Client of auth servers. Clones share the users. The client closes when the last clone is
/// dropped; the clones that callbacks get do not count.
#[derive(Clone)]
pub struct Client {
    driver: Sender<Message>,
    listeners: Arc<Mutex<Vec<Arc<Listener>>>>,
    /// Number of the last call.
    calls: Arc<AtomicU64>,
    cancellation: Option<Cancellation>,
    config: Arc<Config>,
    /// `None` in the clones that callbacks get.
    _driver_handle: Option<Arc<DriverHandle>>,
}

/// Stops the driver when the last client is dropped.
struct DriverHandle {
    driver: Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Logged-in user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoggedInUser(User);

impl Client {
    /// Opens a client over a dedicated store and starts to deliver pending revocations.
    ///
    /// # Errors
    /// If the store is unreadable or contains other data, the configuration is invalid, or the
    /// system refuses threads.
    pub fn open(store: Store, config: Config) -> Result<Self, ClientError> {
        let agent = Agent::new_with_config(config.http()?);
        let mut seed = [0; 8];
        OsRandom.fill(&mut seed).map_err(|_| ClientError::Closed)?;
        let file = UserStore::open(store, now())?
            .app_id(Some(&config.app_id))
            .backoff(Backoff::jittered(u64::from_le_bytes(seed)));
        let file = config.rotate_after.into_iter().fold(file, UserStore::rotate_after);
        let (driver, messages) = channel();
        let (events, heard) = channel();
        let network = Network::new(agent, driver.clone(), config.network_threads);
        let network = Box::new(move |id, request| network.send(id, request));
        let waiting = BTreeMap::new();
        let sessions = BTreeMap::new();
        let work = Driver { file, messages, network, events, waiting, sessions, next: 0 };
        let thread = Mutex::new(Some(spawn("fastness-users", move || work.run())?));
        let _driver_handle = Some(Arc::new(DriverHandle { driver: driver.clone(), thread }));
        let (listeners, calls) = (Arc::default(), Arc::default());
        let config = Arc::new(config);
        let client = Self { driver, listeners, calls, cancellation: None, config, _driver_handle };
        let teller = Self { _driver_handle: None, ..client.clone() };
        spawn("fastness-listeners", move || heard.iter().for_each(|notice| teller.tell(&notice)))?;
        Ok(client)
    }

    /// Registers a callback for events. It runs on its own thread and gets a client that it may
    /// use.
    pub fn on_event(&self, listener: impl Fn(&Self, &Event) + Send + Sync + 'static) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.push(Arc::new(Box::new(listener)));
    }

    fn tell(&self, notice: &Event) {
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for listener in listeners {
            listener(self, notice);
        }
    }

    /// Logs in at an address; an empty path becomes `/auth`.
    ///
    /// # Errors
    /// [`ClientError`]. There is no retry, because the server may have executed the first attempt.
    pub fn log_in(&self, url: &str, credentials: Credentials) -> Result<LoggedInUser, ClientError> {
        let url = AuthUrl::for_login(url)?;
        match self.call(Call::LogIn(url, credentials))? {
            CallSuccess::LoggedIn(user) => Ok(LoggedInUser(user)),
            CallSuccess::PasswordChanged | CallSuccess::Found(_) => Err(ClientError::Closed),
        }
    }

    /// Logs a user out. The logout is local and immediate; the revocation at the server follows,
    /// and [`Event::LoggedOut`] reports it.
    ///
    /// # Errors
    /// If the user store fails; the user then stays logged in.
    pub fn log_out(&self, user: &UserId) -> Result<(), ClientError> {
        self.ask(|reply| Message::LogOut(user.clone(), reply))?
    }

    /// Logs a user out, without a wait for the user store, whose failure its event reports.
    pub(crate) fn begin_log_out(&self, user: &UserId) {
        let (reply, _) = channel();
        self.driver.send(Message::LogOut(user.clone(), reply)).unwrap_or_default();
    }

    /// Changes the password of a logged-in user. Every other login of the user ends.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn change_password(&self, user: &UserId, password: Secret) -> Result<(), ClientError> {
        self.call(Call::ChangePassword(user.clone(), password)).map(drop)
    }

    /// Changes the password of another user, as an administrator.
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

    /// Looks up a user by provider and id, as an administrator. Any error of the server counts as
    /// no such user.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if the call is invalid, and [`ClientError::Closed`].
    pub fn look_up(
        &self,
        admin: &UserId,
        provider: &str,
        provider_id: &str,
    ) -> Result<Option<UserInfo>, ClientError> {
        let call = Call::LookUp(admin.clone(), provider.to_owned(), provider_id.to_owned());
        match self.call(call)? {
            CallSuccess::Found(info) => Ok(info),
            CallSuccess::LoggedIn(_) | CallSuccess::PasswordChanged => Err(ClientError::Closed),
        }
    }

    /// Returns the users whose token has not expired, in order of their first login.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub fn users(&self) -> Result<Vec<LoggedInUser>, ClientError> {
        Ok(self.ask(Message::Users)?.into_iter().map(LoggedInUser).collect())
    }

    /// Returns the only logged-in user.
    ///
    /// # Errors
    /// [`RequestError::MultipleUsers`] if several users are logged in.
    pub fn current(&self) -> Result<Option<LoggedInUser>, ClientError> {
        let mut users = self.users()?;
        if users.len() > 1 {
            return Err(RequestError::MultipleUsers.into());
        }
        Ok(users.pop())
    }

    /// Opens a session for a file of a user at a path of the server. The session delivers access
    /// tokens and renews them before they expire, until it is dropped.
    #[must_use]
    pub fn session(&self, user: &UserId, path: &str) -> Session {
        let (sender, events) = channel();
        // A session without a receiver is being closed.
        let sink = Box::new(move |event| sender.send(event).unwrap_or_default());
        Session { renewal: self.renewal((user, path), sink), events }
    }

    /// Opens a session whose events go to a callback, which must not block.
    pub(crate) fn renewal(&self, (user, path): (&UserId, &str), events: EventSink) -> TokenRenewal {
        let message = |reply| Message::Open(user.clone(), path.to_owned(), events, reply);
        let id = self.ask(message).unwrap_or(CLOSED);
        TokenRenewal { id, driver: self.driver.clone() }
    }

    /// Returns the configuration.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Reports that the network is down.
    pub fn offline(&self) {
        self.driver.send(Message::Input(Input::Offline)).unwrap_or_default();
    }

    /// Reports that the network is up, or has changed.
    pub fn online(&self) {
        self.driver.send(Message::Input(Input::Online)).unwrap_or_default();
    }

    /// Returns the same client whose calls `cancellation` cancels: logins, changes of passwords and
    /// look-ups then return [`ClientError::Cancelled`] at once.
    #[must_use]
    pub fn with_cancellation(&self, cancellation: &Cancellation) -> Self {
        Self { cancellation: Some(cancellation.clone()), ..self.clone() }
    }

    fn call(&self, call: Call) -> Result<CallSuccess, ClientError> {
        let id = CallId(self.calls.fetch_add(1, Ordering::Relaxed) + 1);
        let Some(cancellation) = &self.cancellation else {
            return self.ask(|reply| Message::Call(id, call, reply))?;
        };
        let (reply, answer) = channel();
        if !cancellation.begin(id, &self.driver, Message::Call(id, call, reply)) {
            let is_cancelled = cancellation.is_cancelled();
            return Err(if is_cancelled { ClientError::Cancelled } else { ClientError::Closed });
        }
        let outcome = answer.recv();
        cancellation.end(id);
        outcome.map_err(|_| ClientError::Closed)?
    }

    /// Sends a message to the driver and waits for its reply.
    fn ask<T>(&self, message: impl FnOnce(Sender<T>) -> Message) -> Result<T, ClientError> {
        let (reply, answer) = channel();
        self.driver.send(message(reply)).map_err(|_| ClientError::Closed)?;
        answer.recv().map_err(|_| ClientError::Closed)
    }
}

/// Id of a session of a closed client.
const CLOSED: fastness_auth::users::SessionId = fastness_auth::users::SessionId(0);

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, ClientError> {
    Builder::new().name(name.to_owned()).spawn(body).map_err(|_| ClientError::Closed)
}

impl LoggedInUser {
    /// Returns the id of the user.
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

impl Drop for DriverHandle {
    fn drop(&mut self) {
        self.driver.send(Message::Stop).unwrap_or_default();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The store is closed when this returns; the thread has reported its own panic.
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
