//! What answers connections, whoever brings them: the sockets of a server, or the pipe of a test.
//!
//! - H11 A head and a pause between requests last only so long, and a head is only so large.
//!
//! Any bytes: the fuzz target `http`. What is answered, byte by byte: `snapshots/tests/wire.rs`.

use crate::config::HttpLimits;
use crate::hashing::Turns;
use crate::http::{App, Peer, router};
use crate::pipe::Pipe;
use axum::Router;
use axum::body::Body;
use fastness::RandomSource;
use fastness::Time;
use fastness_auth::server::{Accounts, Gate, Limits, PasswordHasher};
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

/// Most bytes of a head: request line and headers.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// What a handler takes from outside, so that a test can bring its own.
pub struct Surroundings {
    /// Hashes passwords.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Threads that do; with none, whoever answers a request hashes.
    pub hashing_threads: usize,
    /// Tells the time.
    pub clock: fn() -> Time,
    /// How often passwords may be tried.
    pub limits: Limits,
    /// What a connection may do.
    pub http: HttpLimits,
}

/// Answers connections; clones answer for the same accounts.
#[derive(Clone)]
pub struct Handler {
    router: Router,
    limits: HttpLimits,
}

impl Handler {
    /// Takes accounts.
    ///
    /// # Errors
    /// If there are no random bytes or threads.
    pub fn new(
        accounts: Accounts,
        surroundings: Surroundings,
        entropy: &dyn RandomSource,
    ) -> io::Result<Self> {
        let Surroundings { hasher, hashing_threads, clock, limits, http } = surroundings;
        let app = App {
            accounts: Arc::new(accounts),
            turns: Turns::new(hasher, hashing_threads, http.hashes_waiting)?,
            gate: Mutex::new(Gate::new(limits, entropy)?),
            limits: http,
            clock,
            next: AtomicU64::new(1),
        };
        Ok(Self::of(router(Arc::new(app)), http))
    }

    pub(crate) const fn of(router: Router, limits: HttpLimits) -> Self {
        Self { router, limits }
    }

    /// Answers all that one connection sends, in these pieces, and returns everything that goes
    /// back, without a network. The answers leave in the order of the requests.
    ///
    /// # Errors
    /// If the system gives no runtime, or the connection is not over in `patience`.
    pub fn answer_all(
        &self,
        pieces: impl IntoIterator<Item = Vec<u8>>,
        patience: Duration,
    ) -> io::Result<Vec<u8>> {
        let (pipe, answered) = Pipe::new(pieces);
        let connection = self.connection(pipe, SocketAddr::from(([127, 0, 0, 1], 1)));
        let runtime = Builder::new_current_thread().enable_time().build()?;
        // What was wrong with the bytes has been told to whoever sent them.
        drop(runtime.block_on(async { time::timeout(patience, connection).await })?);
        Ok(std::mem::take(&mut *answered.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Makes what answers a connection, and can be asked to end.
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
            .header_read_timeout(self.limits.head)
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

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Surroundings");
        debug.field("limits", &self.limits).field("http", &self.http).finish_non_exhaustive()
    }
}
