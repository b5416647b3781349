//! Listener: accepts connections within limits and closes them when the server stops.
//!
//! - H11 Handshake, head and idle time of a connection are bounded.

#[cfg(unix)]
use crate::admin::AdminSocket;
use crate::admin::{AdminService, hub_of};
use crate::client_socket::ClientStream;
use crate::clocks::{monotonic, now};
use crate::config::{Config, HttpLimits};
use crate::connections::{Admission, ConnectionGate, ConnectionSlot};
use crate::control::{self, ControlOptions};
use crate::data::{self, OpenData};
use crate::error::StartError;
use crate::handler::{Environment, Handler, Origin};
use crate::hash_pool::Argon2id;
use crate::open_files;
use crate::signals::Signals;
use crate::sync::{BackupPolicy, SyncHub};
use crate::tls::Tls;
use crate::write_timeout::WriteTimeout;
use fastness::OsRandom;
use fastness_auth::Secret;
use fastness_auth::server::{Accounts, PasswordHasher};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time;

/// Delay after the system refused to accept a connection, for example without free descriptors.
const REFUSED: Duration = Duration::from_millis(50);

/// Threads for blocking commits.
const BLOCKING_THREADS: usize = 64;

/// Running server. Dropping it stops the server.
pub struct Server {
    /// `None` after the end of the server.
    runtime: Option<Runtime>,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    grace: Duration,
    stop: Option<oneshot::Sender<()>>,
    listening: Option<JoinHandle<()>>,
    admin_secret: Option<Secret>,
    sync: Option<Arc<SyncHub>>,
    #[cfg(unix)]
    admin_socket: Option<AdminSocket>,
}

/// Opens the accounts and starts the server.
///
/// # Errors
/// [`StartError`], whose message says what to do.
pub fn start(config: Config) -> Result<Server, StartError> {
    let tls = config.tls.clone().map(Tls::open).transpose()?.map(Arc::new);
    if exposes_passwords(&config) {
        tracing::warn!(
            listen = %config.listen,
            "plain HTTP beyond this machine exposes passwords; pass a certificate, or name the \
             proxy that terminates TLS"
        );
    }
    let limits = open_files::fit(config.http, config.sync.databases_max);
    let hasher = Argon2id::new(config.hashing)?;
    let OpenData { store, key } = data::open(&config)?;
    let accounts = Arc::new(Accounts::open(store, Arc::new(OsRandom), config.policy)?);
    let hasher: Arc<dyn PasswordHasher> = Arc::new(hasher);
    let admin_secret = accounts.ensure_admin(&*hasher)?;
    let environment = Environment {
        hasher: Arc::clone(&hasher),
        hashing_threads: thread::available_parallelism().map_or(1, usize::from),
        clock: now,
        monotonic,
        limits: config.limits,
        http: limits,
        trusted_proxies: config.trusted_proxies.clone(),
    };
    let handler = Handler::new(Arc::clone(&accounts), environment, &OsRandom);
    let backup = config.backup.clone().map_or(BackupPolicy::None, BackupPolicy::Folder);
    let hub = hub_of(&config, backup, (&accounts, &key))?;
    let handler = handler.map_err(StartError::System)?.with_sync(&hub);
    let service = AdminService { accounts, hasher, key, hub: Arc::clone(&hub) };
    let service = Arc::new(service);
    let handler = if config.console { handler.with_console(&service) } else { handler };
    let options = ListenOptions {
        address: config.listen,
        tls,
        limits,
        trusted_proxies: config.trusted_proxies,
    };
    let mut server = run(handler, options)?;
    server.admin_secret = admin_secret;
    server.sync = Some(hub);
    server.admit_operator(&config.data, service);
    Ok(server)
}

/// Tells whether passwords travel in plain beyond this machine.
fn exposes_passwords(config: &Config) -> bool {
    let has_tls = config.tls.is_some() || !config.trusted_proxies.is_empty();
    !has_tls && !config.listen.ip().is_loopback()
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
    let options =
        ListenOptions { address: listen.into(), tls: None, limits, trusted_proxies: Vec::new() };
    run(Handler::of(control::router(controlled), limits), options)
}

/// Options of a listener.
struct ListenOptions {
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    limits: HttpLimits,
    trusted_proxies: Vec<IpAddr>,
}

/// Listens and serves connections with `handler`.
fn run(handler: Handler, options: ListenOptions) -> Result<Server, StartError> {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("fastness-server")
        .build()
        .map_err(StartError::System)?;
    let ListenOptions { address, tls, limits, trusted_proxies } = options;
    let failed = |error| StartError::Listen(address, error);
    let listener = runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let gate = ConnectionGate::new(limits, &trusted_proxies);
    let acceptor = Acceptor { handler, tls: tls.clone(), limits, gate };
    let (stop, stopped) = oneshot::channel();
    let listening = runtime.spawn(listen(listener, acceptor, stopped));
    Ok(Server {
        runtime: Some(runtime),
        address,
        tls,
        grace: limits.shutdown_timeout,
        stop: Some(stop),
        listening: Some(listening),
        admin_secret: None,
        sync: None,
        #[cfg(unix)]
        admin_socket: None,
    })
}

impl Server {
    /// Opens the socket of the operator. A server without it runs, but its operator has to stop it.
    #[cfg(unix)]
    fn admit_operator(&mut self, folder: &Path, service: Arc<AdminService>) {
        let Some(runtime) = &self.runtime else { return };
        match AdminSocket::listen(runtime, folder, service) {
            Ok(socket) => self.admin_socket = Some(socket),
            Err(error) => {
                let remedy = "stop the server to change accounts";
                tracing::warn!(%error, "no socket for the operator; {remedy}");
            }
        }
    }

    #[cfg(not(unix))]
    fn admit_operator(&mut self, _: &Path, _: Arc<AdminService>) {}

    /// Returns the address of the listener.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of the server for clients on this machine.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Returns the password of the administrator until the first login.
    #[must_use]
    pub const fn admin_secret(&self) -> Option<&Secret> {
        self.admin_secret.as_ref()
    }

    /// Reads the certificate and its key again, for new connections. After an error, which is
    /// logged, the old certificate stays.
    pub fn reload(&self) {
        match self.tls.as_deref().map(Tls::reload) {
            Some(Ok(())) => tracing::info!("the certificate was read again"),
            Some(Err(error)) => tracing::error!(%error, "the certificate stays as it was"),
            None => tracing::info!("plain HTTP: no certificate to read again"),
        }
    }

    /// Registers Ctrl-C, SIGTERM and SIGHUP, calls `started`, and waits until one of the first two
    /// arrives. SIGHUP reads the certificate again.
    ///
    /// # Errors
    /// If the system refuses the registration, and the error of `started`.
    pub fn run_until_stopped<E: From<io::Error>>(
        &self,
        started: impl FnOnce(&Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(runtime) = &self.runtime else { return Ok(()) };
        let mut signals = Signals::register(runtime)?;
        started(self)?;
        runtime.block_on(signals.stopped(|| self.reload()));
        Ok(())
    }

    /// Stops gracefully: refuses new connections and completes requests in flight, within the
    /// shutdown time-out. Dropping does the same.
    pub fn stop(self) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        #[cfg(unix)]
        drop(self.admin_socket.take());
        // This fails if the listener has ended.
        self.stop.take().map(|stop| stop.send(())).transpose().unwrap_or_default();
        let (listening, hub, grace) = (self.listening.take(), self.sync.take(), self.grace);
        // The runtime aborts what takes longer.
        runtime.block_on(async {
            let requests = async {
                if let Some(listening) = listening {
                    drop(time::timeout(grace, listening).await);
                }
            };
            let connections = async {
                if let Some(hub) = hub {
                    hub.stop(grace).await;
                }
            };
            tokio::join!(requests, connections);
        });
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
    tls: Option<Arc<Tls>>,
    limits: HttpLimits,
    gate: ConnectionGate,
}

async fn listen(listener: TcpListener, acceptor: Acceptor, mut stopped: oneshot::Receiver<()>) {
    // Each connection has a receiver, so the end of all of them is known.
    let stopping = watch::Sender::new(false);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Without a permit the connection is closed at once.
                if let Some(permit) = acceptor.gate.admit(peer.ip()) {
                    let acceptor = acceptor.of(permit.admission);
                    let slot = Some(ConnectionSlot::new(permit));
                    let origin = Origin { peer, slot, socket: None };
                    tokio::spawn(acceptor.accept(stream, origin, stopping.subscribe()));
                } else {
                    acceptor.handler.refused(peer);
                }
            }
            Err(error) => {
                tracing::error!(%error, "cannot accept");
                time::sleep(REFUSED).await;
            }
        }
    }
    drop(listener);
    stopping.send_replace(true);
    stopping.closed().await;
}

impl Acceptor {
    /// Returns the acceptor of a connection.
    fn of(&self, admission: Admission) -> Self {
        let handler = match admission {
            Admission::Regular => self.handler.clone(),
            Admission::HealthOnly => self.handler.health_only(),
        };
        Self { handler, ..self.clone() }
    }

    async fn accept(self, stream: TcpStream, origin: Origin, stopping: watch::Receiver<bool>) {
        let peer = origin.peer.ip();
        // Responses are small, so Nagle's algorithm only adds latency.
        drop(stream.set_nodelay(true));
        let stream = ClientStream::new(stream);
        let origin = Origin { socket: Some(stream.socket()), ..origin };
        let stream = WriteTimeout::new(stream, self.limits.write_timeout);
        match &self.tls {
            None => self.serve(stream, origin, stopping).await,
            Some(tls) => {
                let handshake =
                    time::timeout(self.limits.handshake_timeout, tls.acceptor().accept(stream))
                        .await;
                match handshake {
                    Ok(Ok(stream)) => self.serve(stream, origin, stopping).await,
                    Ok(Err(error)) => {
                        tracing::debug!(%peer, %error, "no handshake");
                    }
                    Err(_) => tracing::debug!(%peer, "no handshake in time"),
                }
            }
        }
    }

    async fn serve<S>(&self, stream: S, origin: Origin, stopping: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = origin.peer.ip();
        if let Err(error) = self.handler.serve(stream, origin, stopping).await {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TlsFiles;

    #[test]
    fn plain_http_beyond_this_machine_is_warned_about() {
        let config =
            |address: &str| Config::new("data", SocketAddr::new(address.parse().unwrap(), 9080));
        for (address, is_exposed) in
            [("127.0.0.1", false), ("::1", false), ("0.0.0.0", true), ("192.0.2.1", true)]
        {
            assert_eq!(exposes_passwords(&config(address)), is_exposed, "{address}");
        }
        let files = TlsFiles { certificate: "c".into(), key: "k".into() };
        assert!(!exposes_passwords(&Config { tls: Some(files), ..config("0.0.0.0") }));
        let proxies = vec![IpAddr::from([127, 0, 0, 1])];
        assert!(!exposes_passwords(&Config { trusted_proxies: proxies, ..config("0.0.0.0") }));
    }
}
