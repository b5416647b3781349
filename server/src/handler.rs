//! Handler of connections, over sockets or in-memory streams.
//!
//! - H11 Size and time of a head are bounded, idle time included.
//!
//! Fuzz target: `http`. Snapshots of responses: `snapshots/tests/wire.rs`.

use crate::admin::AdminService;
use crate::client_socket::ClientSocket;
use crate::clocks::ServerClocks;
use crate::config::HttpLimits;
use crate::connections::ConnectionSlot;
use crate::console;
use crate::hash_pool::HashPool;
use crate::health::Health;
use crate::http::{AppState, Peer, health_router, router};
use crate::memory_stream::MemoryStream;
use crate::metrics::Metrics;
use crate::request_log::RequestLog;
use crate::sync::{self, SyncHub};
use axum::Router;
use axum::body::Body;
use fastness::RandomSource;
use fastness::Time;
use fastness_auth::server::{Accounts, PasswordHasher, RateLimiter, RateLimits};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::time;

/// Longest head, in bytes: request line and headers.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Time for the head of a request on a connection that is reserved for health checks.
const HEALTH_HEAD_TIMEOUT: Duration = Duration::from_secs(2);

/// Environment of a handler; tests substitute their own.
pub struct Environment {
    /// Password hash function.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Threads that hash passwords. With none, the thread of the request hashes.
    pub hashing_threads: usize,
    /// Wall clock, for the lifetimes of tokens.
    pub clock: fn() -> Time,
    /// Clock that never steps, for rates.
    pub monotonic: fn() -> Time,
    /// Rates of password attempts.
    pub limits: RateLimits,
    /// Limits of connections and requests.
    pub http: HttpLimits,
    /// Reverse proxies whose header `X-Forwarded-For` names the client.
    pub trusted_proxies: Vec<IpAddr>,
}

/// Peer of a connection, and its place.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) peer: SocketAddr,
    /// `None` in memory.
    pub(crate) slot: Option<ConnectionSlot>,
    /// `None` in memory.
    pub(crate) socket: Option<ClientSocket>,
}

/// Handler of connections. Clones share the accounts.
#[derive(Clone)]
pub struct Handler {
    router: Router,
    /// Router of health checks only; `None` for the control port of a test server.
    health: Option<Router>,
    limits: HttpLimits,
    /// `None` for the control port of a test server.
    app: Option<Arc<AppState>>,
}

impl Handler {
    /// Creates a handler for accounts.
    ///
    /// # Errors
    /// Errors of the random source and of thread creation.
    pub fn new(
        accounts: impl Into<Arc<Accounts>>,
        environment: Environment,
        entropy: &dyn RandomSource,
    ) -> io::Result<Self> {
        let Environment {
            hasher,
            hashing_threads,
            clock,
            monotonic,
            limits,
            http,
            trusted_proxies,
        } = environment;
        let clocks = ServerClocks { wall: clock, monotonic };
        let rate_limiter = Arc::new(Mutex::new(RateLimiter::new(limits, entropy)?));
        let log = Arc::new(RequestLog::new(Arc::clone(&rate_limiter), clocks));
        let app = AppState {
            accounts: accounts.into(),
            hash_pool: HashPool::new(hasher, hashing_threads, http.hash_queue_max)?,
            rate_limiter,
            limits: http,
            clocks,
            started: monotonic(),
            log,
            trusted_proxies: trusted_proxies.iter().map(IpAddr::to_canonical).collect(),
            health: Health::default(),
            metrics: Metrics::default(),
            sync: OnceLock::new(),
        };
        let app = Arc::new(app);
        let health = health_router(Arc::clone(&app));
        let router = router(Arc::clone(&app));
        Ok(Self { health: Some(health), app: Some(app), ..Self::of(router, http) })
    }

    pub(crate) const fn of(router: Router, limits: HttpLimits) -> Self {
        Self { router, health: None, limits, app: None }
    }

    /// Returns the handler of a connection beyond the limit, which serves health checks only.
    pub(crate) fn health_only(&self) -> Self {
        let head_timeout = self.limits.head_timeout.min(HEALTH_HEAD_TIMEOUT);
        Self {
            router: self.health.clone().unwrap_or_else(|| self.router.clone()),
            limits: HttpLimits { head_timeout, ..self.limits },
            ..self.clone()
        }
    }

    /// Serves sync, too.
    pub(crate) fn with_sync(self, hub: &Arc<SyncHub>) -> Self {
        if let Some(app) = &self.app {
            // It is set once, at the start.
            app.sync.set(Arc::clone(hub)).unwrap_or_default();
        }
        Self { router: self.router.clone().merge(sync::router(Arc::clone(hub))), ..self }
    }

    /// Serves the console and requests of administrators, too.
    pub(crate) fn with_console(self, service: &Arc<AdminService>) -> Self {
        let Some(app) = &self.app else { return self };
        let console = console::router(Arc::clone(app), Arc::clone(service));
        Self { router: self.router.clone().merge(console), ..self }
    }

    /// Logs that a connection was refused.
    pub(crate) fn refused(&self, peer: SocketAddr) {
        if let Some(app) = &self.app {
            app.log.record_refused(peer.ip());
        }
    }

    /// Serves one in-memory connection that receives these pieces, and returns all responses in the
    /// order of the requests.
    ///
    /// # Errors
    /// If the runtime cannot be created, or the connection does not end within `patience`.
    pub fn serve_bytes(
        &self,
        pieces: impl IntoIterator<Item = Vec<u8>>,
        patience: Duration,
    ) -> io::Result<Vec<u8>> {
        let (stream, answered) = MemoryStream::new(pieces);
        let origin =
            Origin { peer: SocketAddr::from(([127, 0, 0, 1], 1)), slot: None, socket: None };
        let (_running, stopping) = watch::channel(false);
        let connection = self.serve(stream, origin, stopping);
        let runtime = Builder::new_current_thread().enable_time().build()?;
        // A protocol error has been reported to the client.
        drop(runtime.block_on(async { time::timeout(patience, connection).await })?);
        Ok(std::mem::take(&mut *answered.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Serves a connection to its end, or until it becomes a WebSocket. Once `stopping` is true,
    /// the request in flight is the last one.
    pub(crate) async fn serve<S>(
        &self,
        stream: S,
        origin: Origin,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<(), hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let inner = TowerToHyperService::new(self.router.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            let extensions = request.extensions_mut();
            extensions.insert(Peer(origin.peer));
            origin.slot.clone().and_then(|slot| extensions.insert(slot));
            origin.socket.clone().and_then(|socket| extensions.insert(socket));
            inner.call(request.map(Body::new))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_header_size(HEAD_BYTES_MAX)
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        tokio::pin!(connection);
        tokio::select! {
            ended = &mut connection => return ended,
            _ = stopping.wait_for(|is_stopping| *is_stopping) => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Environment");
        debug.field("limits", &self.limits).field("http", &self.http).finish_non_exhaustive()
    }
}
