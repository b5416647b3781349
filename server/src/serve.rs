//! Listener: accepts connections within limits and closes them when the server stops.
//!
//! - H11 Connections are bounded, in total and per address; handshake, head and idle time are
//!   bounded too.

use crate::config::{Config, HttpLimits};
use crate::control::{self, ControlOptions};
use crate::data;
use crate::error::StartError;
use crate::handler::{Environment, Handler};
use crate::hash_pool::Argon2id;
use crate::tls;
use crate::write_timeout::WriteTimeout;
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

/// Delay after the system refused to accept a connection, for example without free descriptors.
const REFUSED: Duration = Duration::from_millis(50);

/// Threads for blocking commits.
const BLOCKING_THREADS: usize = 64;

/// Running server. Dropping it stops the server.
pub struct Server {
    /// `None` after the end of the server.
    runtime: Option<Runtime>,
    address: SocketAddr,
    has_tls: bool,
    grace: Duration,
    stop: Option<oneshot::Sender<()>>,
    listening: Option<JoinHandle<()>>,
    admin_secret: Option<Secret>,
}

/// Opens the accounts and starts the server.
///
/// # Errors
/// [`StartError`], whose message says what to do.
pub fn start(config: Config) -> Result<Server, StartError> {
    let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
    let hasher = Argon2id::new(config.hashing)?;
    let accounts = Accounts::open(data::open(&config)?, Arc::new(OsRandom), config.policy)?;
    let admin_secret = accounts.ensure_admin(&hasher)?;
    let environment = Environment {
        hasher: Arc::new(hasher),
        hashing_threads: thread::available_parallelism().map_or(1, usize::from),
        clock: now,
        limits: config.limits,
        http: config.http,
    };
    let handler = Handler::new(accounts, environment, &OsRandom).map_err(StartError::System)?;
    let options = ListenOptions { address: config.listen, tls, limits: config.http };
    let mut server = run(handler, options)?;
    server.admin_secret = admin_secret;
    Ok(server)
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(0).plus(since)
}

/// Starts a test server: `/start` and `/stop` start and stop another process.
///
/// # Errors
/// [`StartError::Listen`] and [`StartError::System`].
pub fn control(
    listen: impl Into<SocketAddr>,
    controlled: ControlOptions,
) -> Result<Server, StartError> {
    let limits = HttpLimits::default();
    let options = ListenOptions { address: listen.into(), tls: None, limits };
    run(Handler::of(control::router(controlled), limits), options)
}

/// Options of a listener.
struct ListenOptions {
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    limits: HttpLimits,
}

/// Listens and serves connections with `handler`.
fn run(handler: Handler, options: ListenOptions) -> Result<Server, StartError> {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("fastness-server")
        .build()
        .map_err(StartError::System)?;
    let ListenOptions { address, tls, limits } = options;
    let failed = |error| StartError::Listen(address, error);
    let listener = runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let has_tls = tls.is_some();
    let permits = Arc::new(Semaphore::new(limits.connections_max.min(Semaphore::MAX_PERMITS)));
    let acceptor = Acceptor { handler, tls, limits, permits, by_network: Arc::default() };
    let (stop, stopped) = oneshot::channel();
    let listening = runtime.spawn(listen(listener, acceptor, stopped));
    Ok(Server {
        runtime: Some(runtime),
        address,
        has_tls,
        grace: limits.shutdown_timeout,
        stop: Some(stop),
        listening: Some(listening),
        admin_secret: None,
    })
}

impl Server {
    /// Returns the address of the listener.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of the server for clients on this machine.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.has_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Returns the password of the administrator until the first login.
    #[must_use]
    pub const fn admin_secret(&self) -> Option<&Secret> {
        self.admin_secret.as_ref()
    }

    /// Stops gracefully: refuses new connections and completes requests in flight, within the
    /// shutdown time-out. Dropping does the same.
    pub fn stop(self) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        // This fails if the listener has ended.
        self.stop.take().map(|stop| stop.send(())).transpose().unwrap_or_default();
        if let Some(listening) = self.listening.take() {
            // The runtime aborts the rest.
            drop(runtime.block_on(async { time::timeout(self.grace, listening).await }));
        }
        runtime.shutdown_timeout(self.grace);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Acceptor of connections.
#[derive(Clone)]
struct Acceptor {
    handler: Handler,
    tls: Option<TlsAcceptor>,
    limits: HttpLimits,
    permits: Arc<Semaphore>,
    by_network: ConnectionCounts,
}

/// Open connections of each network.
type ConnectionCounts = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// Permit of a connection, returned on drop.
struct ConnectionPermit {
    by_network: ConnectionCounts,
    network: IpAddr,
    _permit: OwnedSemaphorePermit,
}

async fn listen(listener: TcpListener, acceptor: Acceptor, mut stopped: oneshot::Receiver<()>) {
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Without a permit the connection is closed at once.
                if let Some(permit) = acceptor.permit(peer.ip()) {
                    let (acceptor, watcher) = (acceptor.clone(), graceful.watcher());
                    tokio::spawn(async move {
                        acceptor.accept(stream, peer, watcher).await;
                        drop(permit);
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

impl Acceptor {
    /// Acquires a permit; `None` if the limit of connections is reached.
    fn permit(&self, address: IpAddr) -> Option<ConnectionPermit> {
        let network = network(address);
        let _permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        let mut by_network = self.by_network.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_network.entry(network).or_default();
        if *count >= self.limits.connections_per_address_max {
            return None;
        }
        *count += 1;
        Some(ConnectionPermit { by_network: Arc::clone(&self.by_network), network, _permit })
    }

    async fn accept(self, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        // Responses are small, so Nagle's algorithm only adds latency.
        drop(stream.set_nodelay(true));
        let stream = WriteTimeout::new(stream, self.limits.write_timeout);
        match &self.tls {
            None => self.serve(stream, peer, watcher).await,
            Some(tls) => {
                let handshake =
                    time::timeout(self.limits.handshake_timeout, tls.accept(stream)).await;
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

/// Returns the network that counts as one address: an IPv6 client owns a whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut by_network = self.by_network.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_network.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                by_network.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::network;

    #[test]
    fn connections_are_counted_by_network() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:0:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
