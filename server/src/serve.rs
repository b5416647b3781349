//! Listening: connections come in within bounds, and end when the server is stopped.
//!
//! - H11 There are only so many connections, in all and from one address; a handshake, a head and a
//!   pause between requests last only so long.

use crate::config::{Config, HttpLimits};
use crate::control::{self, Controlled};
use crate::data;
use crate::error::StartError;
use crate::handler::{Handler, Surroundings};
use crate::hashing::Argon2id;
use crate::patient::Patient;
use crate::tls;
use fastness::OsRandom;
use fastness_auth::server::Accounts;
use fastness_auth::{Secret, Time};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time;
use tokio_rustls::TlsAcceptor;

/// How long to wait after the system refused a connection, for want of files for example.
const REFUSED: Duration = Duration::from_millis(50);

/// Threads that wait for the disk or hash.
const BLOCKING_THREADS: usize = 64;

/// A server that runs until it is stopped or dropped.
pub struct Running {
    /// There until the server ends.
    runtime: Option<Runtime>,
    address: SocketAddr,
    has_tls: bool,
    grace: Duration,
    stop: Option<oneshot::Sender<()>>,
    listening: Option<JoinHandle<()>>,
    admin_secret: Option<Secret>,
}

/// Opens the accounts and starts to listen.
///
/// # Errors
/// [`StartError`] says what to do.
pub fn start(config: Config) -> Result<Running, StartError> {
    let acceptor = config.tls.as_ref().map(tls::acceptor).transpose()?;
    let hasher = Argon2id::new(config.hashing)?;
    let accounts = Accounts::open(data::open(&config)?, Arc::new(OsRandom), config.policy)?;
    let admin_secret = accounts.appoint_admin(&hasher)?;
    let surroundings = Surroundings {
        hasher: Arc::new(hasher),
        hashing_threads: thread::available_parallelism().map_or(1, usize::from),
        clock: now,
        limits: config.limits,
        http: config.http,
    };
    let handler = Handler::new(accounts, surroundings, &OsRandom).map_err(StartError::System)?;
    let mut running = run(handler, (config.listen, acceptor, config.http))?;
    running.admin_secret = admin_secret;
    Ok(running)
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(0).plus(since)
}

/// Starts to listen for `/start` and `/stop`, which start and stop another process.
///
/// # Errors
/// [`StartError::Listen`] and [`StartError::System`].
pub fn control(
    listen: impl Into<SocketAddr>,
    controlled: Controlled,
) -> Result<Running, StartError> {
    let limits = HttpLimits::default();
    run(Handler::of(control::router(controlled), limits), (listen.into(), None, limits))
}

/// Listens, and lets `handler` answer.
fn run(
    handler: Handler,
    (listen_at, acceptor, limits): (SocketAddr, Option<TlsAcceptor>, HttpLimits),
) -> Result<Running, StartError> {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("fastness-server")
        .build()
        .map_err(StartError::System)?;
    let failed = |error| StartError::Listen(listen_at, error);
    let listener = runtime.block_on(TcpListener::bind(listen_at)).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let has_tls = acceptor.is_some();
    let places = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
    let door = Door { handler, acceptor, limits, places, guests: Arc::default() };
    let (stop, stopped) = oneshot::channel();
    let listening = runtime.spawn(listen(listener, door, stopped));
    Ok(Running {
        runtime: Some(runtime),
        address,
        has_tls,
        grace: limits.grace,
        stop: Some(stop),
        listening: Some(listening),
        admin_secret: None,
    })
}

impl Running {
    /// Returns where the server listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of the server, as clients on this machine may give it.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.has_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Returns the password of the administrator, as long as nobody has logged in with it.
    #[must_use]
    pub const fn admin_secret(&self) -> Option<&Secret> {
        self.admin_secret.as_ref()
    }

    /// Stops: no more connections are taken, requests under way are answered, for as long as the
    /// grace lasts. Dropping does the same.
    pub fn stop(self) {}
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        // Whoever listens has ended, if this fails.
        self.stop.take().map(|stop| stop.send(())).transpose().unwrap_or_default();
        if let Some(listening) = self.listening.take() {
            // What is not over by then is cut off.
            drop(runtime.block_on(async { time::timeout(self.grace, listening).await }));
        }
        runtime.shutdown_timeout(self.grace);
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Who may come in.
#[derive(Clone)]
struct Door {
    handler: Handler,
    acceptor: Option<TlsAcceptor>,
    limits: HttpLimits,
    places: Arc<Semaphore>,
    guests: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A place for a connection, given back when dropped.
struct Place {
    guests: Arc<Mutex<HashMap<IpAddr, usize>>>,
    address: IpAddr,
    _place: OwnedSemaphorePermit,
}

async fn listen(listener: TcpListener, door: Door, mut stopped: oneshot::Receiver<()>) {
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Without a place the connection is closed, which says it soonest.
                if let Some(place) = door.place(peer.ip()) {
                    let (door, watcher) = (door.clone(), graceful.watcher());
                    tokio::spawn(async move {
                        door.welcome(stream, peer, watcher).await;
                        drop(place);
                    });
                } else {
                    tracing::warn!(peer = %peer.ip(), "too many connections");
                }
            }
            Err(error) => {
                tracing::error!(%error, "cannot accept");
                time::sleep(REFUSED).await;
            }
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

impl Door {
    fn place(&self, address: IpAddr) -> Option<Place> {
        let address = network(address);
        let _place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        let held = guests.entry(address).or_default();
        if *held >= self.limits.connections_per_address {
            return None;
        }
        *held += 1;
        Some(Place { guests: Arc::clone(&self.guests), address, _place })
    }

    async fn welcome(self, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        // Answers are small: each is to leave at once.
        drop(stream.set_nodelay(true));
        let stream = Patient::new(stream, self.limits.write);
        match &self.acceptor {
            None => self.serve(stream, peer, watcher).await,
            Some(acceptor) => {
                let handshake = time::timeout(self.limits.handshake, acceptor.accept(stream)).await;
                match handshake {
                    Ok(Ok(stream)) => self.serve(stream, peer, watcher).await,
                    Ok(Err(error)) => {
                        tracing::debug!(peer = %peer.ip(), %error, "no handshake");
                    }
                    Err(_) => tracing::debug!(peer = %peer.ip(), "no handshake in time"),
                }
            }
        }
    }

    async fn serve<S>(&self, stream: S, peer: SocketAddr, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connection = self.handler.connection(stream, peer);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(peer = %peer.ip(), %error, "connection ended");
        }
    }
}

/// Returns what counts as one address: whoever has one of the sixth version has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = guests.get_mut(&self.address) {
            *held -= 1;
            if *held == 0 {
                guests.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::network;

    #[test]
    fn places_are_counted_by_network() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:0:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
