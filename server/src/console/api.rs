//! Requests of the operator over HTTP, for administrators.
//!
//! - H34 A request is carried out only with the current refresh token of an administrator, which is
//!   checked each time. It has the effect and the reply of the same request of the operator, but
//!   names no file of the server.
//! - H11 Requests in work are few; others wait for a bounded time.

use crate::admin::AdminService;
use crate::http::{AppState, response};
use crate::request_log::AnsweredRequest;
use crate::sync::{SyncReply, SyncRequest};
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, Response as HttpResponse, StatusCode};
use fastness_auth::ErrorCode;
use fastness_auth::server::{AddressEvent, AdminReply, AdminRequest, Response};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::{task, time};

/// Requests in work. Some hash a password, and some wait for the threads of databases.
const PLACES: usize = 4;

/// Time for a place, and `Retry-After` without one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Name of the call in logs and metrics.
const NAME: &str = "administer";

/// State of the requests.
pub(super) struct AdminApi {
    app: Arc<AppState>,
    service: Arc<AdminService>,
    places: Arc<Semaphore>,
}

/// A request of an administrator.
enum Command {
    Accounts(AdminRequest),
    Sync(SyncRequest),
}

/// A reply of the service.
struct Reply {
    is_refused: bool,
    body: Bytes,
}

/// Carries out a request.
pub(super) async fn call(State(api): State<Arc<AdminApi>>, request: Request) -> HttpResponse<Body> {
    let begun = Instant::now();
    let id = api.app.log.number();
    let peer = api.app.client(&request);
    let answer = api.answer(peer, request).await;
    let duration = begun.elapsed();
    let response = match answer {
        Ok(reply) => reply.response(id),
        Err(refused) => {
            api.app.log.record(&AnsweredRequest { id, peer, call: NAME, duration }, &refused);
            response(id, &refused)
        }
    };
    api.app.metrics.count(NAME, response.status().as_u16(), duration);
    response
}

impl AdminApi {
    pub(super) fn new(app: Arc<AppState>, service: Arc<AdminService>) -> Self {
        Self { app, service, places: Arc::new(Semaphore::new(PLACES)) }
    }

    async fn answer(&self, peer: Option<IpAddr>, request: Request) -> Result<Reply, Box<Response>> {
        let refused = |code| Box::new(Response::refused(code));
        let later = |code, pause| Box::new(Response::later(code, pause));
        let limited = self.app.pass_event(peer, AddressEvent::Token);
        limited.map_err(|pause| later(ErrorCode::TOO_MANY_REQUESTS, pause))?;
        let (parts, body) = request.into_parts();
        let body = self.app.read(body).await.map_err(refused)?;
        let by = self.app.administrator(&parts.headers)?;
        let command = Command::decode(&body);
        let command = command.ok_or_else(|| refused(ErrorCode::INVALID_PARAMETERS))?;
        let busy = || later(ErrorCode::SERVICE_UNAVAILABLE, PATIENCE);
        let place = time::timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.map_err(|_| busy())?.map_err(|_| busy())?;
        let service = Arc::clone(&self.service);
        // The work does not end with a client that no longer waits, and neither does its place.
        let work = move || {
            let reply = command.execute(&service, &by);
            drop(place);
            reply
        };
        let reply = task::spawn_blocking(work).await;
        reply.map_err(|_| refused(ErrorCode::INTERNAL_SERVER_ERROR))
    }
}

impl Command {
    fn decode(body: &[u8]) -> Option<Self> {
        let accounts = AdminRequest::decode(body).map(Self::Accounts);
        accounts.or_else(|| SyncRequest::decode(body).map(Self::Sync))
    }

    fn execute(self, service: &AdminService, by: &str) -> Reply {
        match self {
            Self::Accounts(AdminRequest::Backup { .. }) => {
                Reply::of(&AdminReply::Refused("only the operator names files".to_owned()))
            }
            Self::Accounts(request) => Reply::of(&service.execute(&request, by)),
            Self::Sync(request) => {
                let reply = service.execute_sync(&request, by);
                let is_refused = matches!(reply, SyncReply::Refused(_));
                Reply { is_refused, body: reply.encode().into() }
            }
        }
    }
}

impl Reply {
    fn of(reply: &AdminReply) -> Self {
        let is_refused = matches!(reply, AdminReply::Refused(_));
        let body = Bytes::copy_from_slice(reply.encode().expose().as_bytes());
        Self { is_refused, body }
    }

    fn response(self, id: u64) -> HttpResponse<Body> {
        let mut response = HttpResponse::new(Body::from(self.body));
        if self.is_refused {
            *response.status_mut() = StatusCode::CONFLICT;
        }
        let headers = response.headers_mut();
        for (name, value) in [
            (CONTENT_TYPE, "application/json; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(HeaderName::from_static("x-request-id"), HeaderValue::from(id));
        response
    }
}
