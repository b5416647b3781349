//! One request: read within limits, handled by `fastness-auth`, and logged.
//!
//! - H10 A log line contains the name of the request, the identity of the account and the status,
//!   but no input of the client.
//! - H11 A body that is too large or too slow gets a response; it is not buffered, and its rest is
//!   not awaited.

use crate::config::HttpLimits;
use crate::hash_pool::HashPool;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderValue, Response as HttpResponse, StatusCode};
use axum::routing::get;
use fastness_auth::server::{
    Accounts, ApiRequest, BODY_BYTES_MAX, CommitJob, Event, RateLimiter, RequestHead, Response,
    Step,
};
use fastness_auth::{ErrorCode, Secret, Time};
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
    pub(crate) rate_limiter: Mutex<RateLimiter>,
    pub(crate) limits: HttpLimits,
    pub(crate) clock: fn() -> Time,
    /// Number of the next request.
    pub(crate) next: AtomicU64,
}

/// Address of the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Returns the router. The extensions of each request contain its [`Peer`].
pub(crate) fn router(app: Arc<AppState>) -> Router {
    Router::new().route("/health", get(health)).fallback(call).with_state(app)
}

async fn health(State(app): State<Arc<AppState>>) -> HttpResponse<Body> {
    let accounts = Arc::clone(&app.accounts);
    let healthy = task::spawn_blocking(move || accounts.check_health()).await;
    let (status, text) = match healthy {
        Ok(Ok(())) => (StatusCode::OK, "healthy\n"),
        Ok(Err(error)) => {
            tracing::error!(%error, "unhealthy");
            (StatusCode::SERVICE_UNAVAILABLE, "the accounts cannot be written\n")
        }
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the server is ending\n"),
    };
    let mut response = HttpResponse::new(Body::from(text));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

async fn call(State(app): State<Arc<AppState>>, request: Request) -> HttpResponse<Body> {
    let begun = Instant::now();
    let id = app.next.fetch_add(1, Ordering::Relaxed);
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let (word, answer) = app.answer(peer, request).await;
    let (event, status) = (answer.event(), answer.status());
    let (outcome, account) = (event.name(), event.account().unwrap_or("-"));
    let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    let peer = peer.map(|peer| peer.ip());
    let code = answer.code().number();
    if let Event::Failed(error) = event {
        tracing::error!(request = id, ?peer, call = word, status, micros, %error, "failed");
    } else if let Event::Reused(_) = event {
        tracing::warn!(request = id, ?peer, call = word, status, account, micros, "{outcome}");
    } else {
        tracing::info!(
            request = id,
            ?peer,
            call = word,
            status,
            code,
            account,
            micros,
            "{outcome}"
        );
    }
    response(id, &answer)
}

fn response(id: u64, answer: &Response) -> HttpResponse<Body> {
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
    /// Handles a request; also returns its name.
    async fn answer(&self, peer: Option<SocketAddr>, request: Request) -> (&'static str, Response) {
        let (parts, body) = request.into_parts();
        let body = match self.read(body).await {
            Ok(body) => body,
            Err(code) => return ("unread", Response::refused(code)),
        };
        let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
        let authorization =
            parts.headers.get(AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
        let head = RequestHead { method: parts.method.as_str(), target, authorization };
        match ApiRequest::decode(&head, &body) {
            Ok(call) => (call.name(), self.decide(peer.map(|peer| peer.ip()), call).await),
            Err(refused) => ("none", refused.answer()),
        }
    }

    /// Reads a body within its time-out.
    async fn read(&self, body: Body) -> Result<Zeroizing<Vec<u8>>, ErrorCode> {
        if body.size_hint().lower() > DRAINED_BYTES_MAX as u64 {
            return Err(ErrorCode::PAYLOAD_TOO_LARGE);
        }
        let whole = time::timeout(self.limits.body_timeout, whole(body)).await;
        whole.unwrap_or(Err(ErrorCode::REQUEST_TIMEOUT))
    }

    async fn decide(&self, peer: Option<IpAddr>, call: ApiRequest) -> Response {
        let name = call.attempted_name().cloned();
        if let Some(name) = &name
            && let Err(pause) = self.pass(peer, Some(name))
        {
            return Response::later(ErrorCode::TOO_MANY_REQUESTS, pause);
        }
        let mut step = self.accounts.start((self.clock)(), call);
        if let Step::Hash(job) = step {
            if name.is_none()
                && let Err(pause) = self.pass(peer, None)
            {
                return Response::later(ErrorCode::TOO_MANY_REQUESTS, pause);
            }
            match self.hash_pool.run(job).await {
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
        let (accounts, clock) = (Arc::clone(&self.accounts), self.clock);
        let written = task::spawn_blocking(move || accounts.commit(clock(), job)).await;
        written.unwrap_or_else(|_| Response::refused(ErrorCode::INTERNAL_SERVER_ERROR))
    }

    /// Counts a password attempt.
    fn pass(&self, peer: Option<IpAddr>, name: Option<&Secret>) -> Result<(), Duration> {
        let Some(peer) = peer else { return Ok(()) };
        self.rate_limiter.lock().unwrap_or_else(PoisonError::into_inner).try_acquire(
            (self.clock)(),
            name,
            peer,
        )
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
