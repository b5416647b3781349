//! Handler of connections, over sockets or in-memory streams.
//!
//! - H11 Size and time of a head are bounded, idle time included.
//!
//! Fuzz target: `http`. Snapshots of responses: `snapshots/tests/wire.rs`.

use crate::config::HttpLimits;
use crate::hash_pool::HashPool;
use crate::http::{AppState, Peer, router};
use crate::memory_stream::MemoryStream;
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
use hyper_util::server::graceful::GracefulConnection;
use hyper_util::service::TowerToHyperService;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Builder;
use tokio::time;

/// Longest head, in bytes: request line and headers.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Environment of a handler; tests substitute their own.
pub struct Environment {
    /// Password hash function.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Threads that hash passwords. With none, the thread of the request hashes.
    pub hashing_threads: usize,
    /// Wall clock.
    pub clock: fn() -> Time,
    /// Rates of password attempts.
    pub limits: RateLimits,
    /// Limits of connections and requests.
    pub http: HttpLimits,
}

/// Handler of connections. Clones share the accounts.
#[derive(Clone)]
pub struct Handler {
    router: Router,
    limits: HttpLimits,
}

impl Handler {
    /// Creates a handler for accounts.
    ///
    /// # Errors
    /// Errors of the random source and of thread creation.
    pub fn new(
        accounts: Accounts,
        environment: Environment,
        entropy: &dyn RandomSource,
    ) -> io::Result<Self> {
        let Environment { hasher, hashing_threads, clock, limits, http } = environment;
        let app = AppState {
            accounts: Arc::new(accounts),
            hash_pool: HashPool::new(hasher, hashing_threads, http.hash_queue_max)?,
            rate_limiter: Mutex::new(RateLimiter::new(limits, entropy)?),
            limits: http,
            clock,
            next: AtomicU64::new(1),
        };
        Ok(Self::of(router(Arc::new(app)), http))
    }

    pub(crate) const fn of(router: Router, limits: HttpLimits) -> Self {
        Self { router, limits }
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
        let connection = self.connection(stream, SocketAddr::from(([127, 0, 0, 1], 1)));
        let runtime = Builder::new_current_thread().enable_time().build()?;
        // A protocol error has been reported to the client.
        drop(runtime.block_on(async { time::timeout(patience, connection).await })?);
        Ok(std::mem::take(&mut *answered.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Creates the future that serves a connection and supports graceful shutdown.
    pub(crate) fn connection<S>(
        &self,
        stream: S,
        peer: SocketAddr,
    ) -> impl GracefulConnection<Error = hyper::Error> + use<S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let inner = TowerToHyperService::new(self.router.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            inner.call(request.map(Body::new))
        });
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_header_size(HEAD_BYTES_MAX)
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service)
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
