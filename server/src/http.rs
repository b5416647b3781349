//! One request: read within limits, handled by `fastness-auth`, and logged.
//!
//! - H11 A body that is too large or too slow gets a response; it is not buffered, and its rest is
//!   not awaited.

use crate::client_socket::ClientSocket;
use crate::clocks::ServerClocks;
use crate::config::HttpLimits;
use crate::fault;
use crate::hash_pool::HashPool;
use crate::health::Health;
use crate::metrics::{Gauges, Metrics, append};
use crate::proxy::{client_address, is_forwarded};
use crate::request_log::{AnsweredRequest, RequestLog};
use crate::sync::SyncHub;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Response as HttpResponse, StatusCode};
use axum::routing::get;
use fastness_auth::server::{
    Accounts, AddressEvent, ApiRequest, BODY_BYTES_MAX, CommitJob, Event, RateLimiter, RequestHead,
    Response, Step,
};
use fastness_auth::{ErrorCode, Secret, Time};
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::{task, time};
use zeroize::Zeroizing;

/// Longest body that is drained, so that the client reads the response.
const DRAINED_BYTES_MAX: usize = 1 << 20;

/// `Retry-After` of a response when the hash queue is full.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// State that all requests share.
pub(crate) struct AppState {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) hash_pool: HashPool,
    pub(crate) rate_limiter: Arc<Mutex<RateLimiter>>,
    pub(crate) limits: HttpLimits,
    pub(crate) clocks: ServerClocks,
    /// Start, by the clock that never steps.
    pub(crate) started: Time,
    pub(crate) log: Arc<RequestLog>,
    pub(crate) trusted_proxies: Vec<IpAddr>,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    /// Sync, if the server has it.
    pub(crate) sync: OnceLock<Arc<SyncHub>>,
}

/// Address of the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Client of a request: its address and its socket, as far as they are known.
struct RequestOrigin {
    peer: Option<IpAddr>,
    socket: Option<ClientSocket>,
}

/// Returns the router. The extensions of each request contain its [`Peer`].
pub(crate) fn router(app: Arc<AppState>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .fallback(call)
        .with_state(app)
}

/// Returns the router of a connection beyond the limit.
pub(crate) fn health_router(app: Arc<AppState>) -> Router {
    Router::new().route("/health", get(health)).fallback(busy).with_state(app)
}

async fn busy(State(app): State<Arc<AppState>>) -> HttpResponse<Body> {
    let answer = Response::later(ErrorCode::SERVICE_UNAVAILABLE, RETRY_AFTER);
    let mut response = response(app.log.number(), &answer);
    response.headers_mut().insert("connection", HeaderValue::from_static("close"));
    response
}

async fn health(State(app): State<Arc<AppState>>) -> HttpResponse<Body> {
    if !app.health.check(&app.accounts, app.clocks).await {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "the accounts cannot be written\n");
    }
    match app.of_sync(|hub| hub.is_healthy()).await {
        Some(false) => plain(StatusCode::SERVICE_UNAVAILABLE, "the databases do not answer\n"),
        Some(true) | None => plain(StatusCode::OK, "healthy\n"),
    }
}

/// Reports metrics to this machine and to administrators.
async fn metrics(State(app): State<Arc<AppState>>, request: Request) -> HttpResponse<Body> {
    let peer = app.client(&request);
    let is_local = peer.is_some_and(|peer| peer.is_loopback()) && !is_forwarded(request.headers());
    if !is_local && !app.is_admin(request.headers()) {
        return plain(StatusCode::NOT_FOUND, "metrics are for this machine and administrators\n");
    }
    let gauges = Gauges {
        passwords: app.hash_pool.waiting(),
        passwords_skipped: app.hash_pool.skipped(),
        lines_left_out: app.log.left_out(),
        uptime: (app.clocks.monotonic)().since(app.started),
    };
    let mut text = app.metrics.report(&gauges);
    for metric in app.of_sync(|hub| hub.metrics()).await.unwrap_or_default() {
        append(&mut text, &metric);
    }
    plain(StatusCode::OK, text)
}

/// Returns a response of plain text.
pub(crate) fn plain(status: StatusCode, text: impl Into<Body>) -> HttpResponse<Body> {
    let mut response = HttpResponse::new(text.into());
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

async fn call(State(app): State<Arc<AppState>>, request: Request) -> HttpResponse<Body> {
    let begun = Instant::now();
    let id = app.log.number();
    let peer = app.client(&request);
    let (call, answer) = app.answer(peer, request).await;
    let duration = begun.elapsed();
    app.metrics.count(call, answer.status(), duration);
    app.log.record(&AnsweredRequest { id, peer, call, duration }, &answer);
    response(id, &answer)
}

/// Returns the response of an answer.
pub(crate) fn response(id: u64, answer: &Response) -> HttpResponse<Body> {
    let mut response = HttpResponse::new(Body::from(Bytes::copy_from_slice(answer.body())));
    *response.status_mut() =
        StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    headers.insert(CONTENT_TYPE, json);
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    headers.insert("x-request-id", HeaderValue::from(id));
    let header = answer.header().and_then(|(name, value)| {
        Some((name.to_ascii_lowercase(), HeaderValue::from_str(value).ok()?))
    });
    match header {
        Some((name, value)) if name == "allow" => headers.insert("allow", value),
        Some((_, value)) => headers.insert("retry-after", value),
        None => None,
    };
    response
}

impl AppState {
    /// Asks the threads of sync; `None` if the server has none.
    async fn of_sync<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&SyncHub) -> T + Send + 'static,
    ) -> Option<T> {
        let hub = Arc::clone(self.sync.get()?);
        task::spawn_blocking(move || ask(&hub)).await.ok()
    }

    /// Returns the address of the client.
    pub(crate) fn client(&self, request: &Request) -> Option<IpAddr> {
        let peer = request.extensions().get::<Peer>()?.0.ip();
        Some(client_address(peer, request.headers(), &self.trusted_proxies))
    }

    /// Returns whether the header has the token of an administrator.
    fn is_admin(&self, headers: &HeaderMap) -> bool {
        self.administrator(headers).is_ok()
    }

    /// Returns the identity of the administrator whose token the header has.
    pub(crate) fn administrator(&self, headers: &HeaderMap) -> Result<String, Box<Response>> {
        let token = headers.get(AUTHORIZATION).and_then(|token| token.to_str().ok());
        let token = token.map(|token| token.strip_prefix("Bearer ").unwrap_or(token));
        if fault::on("NS-14") && token.is_some() {
            return Ok(String::new());
        }
        let token = Secret::from(token.unwrap_or_default());
        self.accounts.administrator((self.clocks.wall)(), &token)
    }

    /// Handles a request; also returns its name.
    async fn answer(&self, peer: Option<IpAddr>, request: Request) -> (&'static str, Response) {
        let (mut parts, body) = request.into_parts();
        let client = RequestOrigin { peer, socket: parts.extensions.remove::<ClientSocket>() };
        let body = match self.read(body).await {
            Ok(body) => body,
            Err(code) => return ("unread", Response::refused(code)),
        };
        let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
        let authorization =
            parts.headers.get(AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
        let head = RequestHead { method: parts.method.as_str(), target, authorization };
        match ApiRequest::decode(&head, &body) {
            Ok(call) => (call.name(), self.decide(client, call).await),
            Err(refused) => ("none", refused.answer()),
        }
    }

    /// Reads a body within its time-out.
    pub(crate) async fn read(&self, body: Body) -> Result<Zeroizing<Vec<u8>>, ErrorCode> {
        if body.size_hint().lower() > DRAINED_BYTES_MAX as u64 {
            return Err(ErrorCode::PAYLOAD_TOO_LARGE);
        }
        let whole = time::timeout(self.limits.body_timeout, whole(body)).await;
        whole.unwrap_or(Err(ErrorCode::REQUEST_TIMEOUT))
    }

    async fn decide(&self, client: RequestOrigin, call: ApiRequest) -> Response {
        let RequestOrigin { peer, socket } = client;
        let name = call.attempted_name().cloned();
        if let Some(name) = &name
            && let Err(pause) = self.pass(peer, Some(name))
        {
            return Response::later(ErrorCode::TOO_MANY_REQUESTS, pause);
        }
        if call.changes_token()
            && let Err(pause) = self.pass_event(peer, AddressEvent::Token)
        {
            return Response::later(ErrorCode::TOO_MANY_REQUESTS, pause);
        }
        let mut step = self.accounts.start((self.clocks.wall)(), call);
        if let Step::Hash(job) = step {
            if name.is_none()
                && let Err(pause) = self.pass(peer, None)
            {
                return Response::later(ErrorCode::TOO_MANY_REQUESTS, pause);
            }
            match self.hash_pool.run(job, socket).await {
                Some(next) => step = next,
                None => return Response::later(ErrorCode::SERVICE_UNAVAILABLE, RETRY_AFTER),
            }
        }
        let answer = match step {
            Step::Respond(answer) => answer,
            Step::Commit(job) => self.write(job).await,
            Step::Hash(_) => Response::refused(ErrorCode::INTERNAL_SERVER_ERROR),
        };
        if let (Some(name), Event::LoggedIn(_)) = (&name, answer.event()) {
            self.rate_limiter.lock().unwrap_or_else(PoisonError::into_inner).refund(name);
        }
        answer
    }

    async fn write(&self, job: CommitJob) -> Response {
        let (accounts, clock) = (Arc::clone(&self.accounts), self.clocks.wall);
        let written = task::spawn_blocking(move || accounts.commit(clock(), job)).await;
        written.unwrap_or_else(|_| Response::refused(ErrorCode::INTERNAL_SERVER_ERROR))
    }

    /// Counts a password attempt.
    fn pass(&self, peer: Option<IpAddr>, name: Option<&Secret>) -> Result<(), Duration> {
        let Some(peer) = peer else { return Ok(()) };
        let now = (self.clocks.monotonic)();
        self.rate_limiter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .try_acquire(now, name, peer)
    }

    /// Counts another event of an address.
    pub(crate) fn pass_event(
        &self,
        peer: Option<IpAddr>,
        event: AddressEvent,
    ) -> Result<(), Duration> {
        let Some(peer) = peer else { return Ok(()) };
        let now = (self.clocks.monotonic)();
        let mut limiter = self.rate_limiter.lock().unwrap_or_else(PoisonError::into_inner);
        limiter.try_acquire_event(now, event, peer)
    }
}

/// Reads a body to its end. A body that is too long is drained.
async fn whole(mut body: Body) -> Result<Zeroizing<Vec<u8>>, ErrorCode> {
    let expected = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
    // The buffer never grows, which would leave copies of secrets behind.
    let room = expected.map_or(BODY_BYTES_MAX, |bytes| bytes.min(BODY_BYTES_MAX));
    let (mut kept, mut count) = (Zeroizing::new(Vec::with_capacity(room)), 0_usize);
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|_| ErrorCode::BAD_REQUEST)?;
        let Ok(bytes) = frame.into_data() else { continue };
        count = count.saturating_add(bytes.len());
        if count > DRAINED_BYTES_MAX {
            return Err(ErrorCode::PAYLOAD_TOO_LARGE);
        }
        if count <= BODY_BYTES_MAX {
            kept.extend_from_slice(&bytes);
        }
    }
    if count > BODY_BYTES_MAX { Err(ErrorCode::PAYLOAD_TOO_LARGE) } else { Ok(kept) }
}
