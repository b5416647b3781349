//! The handshake of WebSocket.
//!
//! - H25 A connection has a place of those that the server permits, or is refused.

use super::connection::{self, Permits};
use super::hub::SyncHub;
use super::metered::Metered;
use crate::connections::ConnectionSlot;
use crate::http::plain;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::routing::get;
use fastness_sync::frame::FRAME_BYTES_MAX;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// Address of the endpoint.
const ADDRESS: &str = "/sync";

/// Version of the protocol, as a subprotocol of WebSocket.
const SUBPROTOCOL: &str = "fastness.1";

/// Bytes that one call reads from a connection.
const READ_BYTES: usize = 8 << 10;

/// Returns the router of the endpoint.
pub(crate) fn router(hub: Arc<SyncHub>) -> Router {
    Router::new().route(ADDRESS, get(upgrade)).with_state(hub)
}

async fn upgrade(State(hub): State<Arc<SyncHub>>, mut request: Request) -> Response<Body> {
    let Ok(mut response) = create_response_with_body(&request, Body::empty) else {
        return plain(StatusCode::BAD_REQUEST, "this address is for WebSocket\n");
    };
    if !offers_protocol(request.headers()) {
        return plain(StatusCode::BAD_REQUEST, "the subprotocol has to be fastness.1\n");
    }
    let extensions = request.extensions_mut();
    let slot = extensions.remove::<ConnectionSlot>();
    let Some(upgraded) = extensions.remove::<OnUpgrade>() else {
        return plain(StatusCode::BAD_REQUEST, "this connection cannot be upgraded\n");
    };
    let Some(permit) = hub.admit() else { return busy() };
    let permits = Permits { _slot: slot, _permit: permit };
    tokio::spawn(async move {
        match upgraded.await {
            Ok(upgraded) => {
                let stream = Metered::new(TokioIo::new(upgraded));
                let stream =
                    WebSocketStream::from_raw_socket(stream, Role::Server, Some(config())).await;
                connection::serve(stream, hub, permits).await;
            }
            Err(error) => tracing::debug!(%error, "sync: no WebSocket"),
        }
    });
    let protocol = HeaderValue::from_static(SUBPROTOCOL);
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    response
}

fn busy() -> Response<Body> {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, "too many connections\n");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// Tells whether the client offers the protocol.
fn offers_protocol(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    offers
        .filter_map(|offer| offer.to_str().ok())
        .flat_map(|offer| offer.split(','))
        .any(|offer| offer.trim() == SUBPROTOCOL)
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * FRAME_BYTES_MAX)
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX))
}
