//! HTTP: sends one request and returns its outcome.

use fastness_auth::users::HttpOutcome;
use fastness_auth::{Method, NetworkError, Request};
use std::io;
use ureq::Agent;
use ureq::http::Response;
use ureq::{Body, Error};

/// Longest accepted response, in bytes.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Sends a request and waits for the response, within the time-outs of the agent.
pub(crate) fn send(agent: &Agent, request: &Request) -> HttpOutcome {
    match exchange(agent, request) {
        Ok((status, body)) => HttpOutcome::new(status, body),
        Err(error) => HttpOutcome::failed(fault(&error)),
    }
}

fn exchange(agent: &Agent, request: &Request) -> Result<(u16, Vec<u8>), Error> {
    let mut response = match request.method() {
        Method::Get => {
            let builder =
                request.headers().fold(agent.get(request.url()), |builder, (name, value)| {
                    builder.header(name, value)
                });
            builder.call()
        }
        Method::Post => with_body(agent.post(request.url()), request),
        Method::Put => with_body(agent.put(request.url()), request),
    }?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
    Ok((status, body))
}

fn with_body(
    builder: ureq::RequestBuilder<ureq::typestate::WithBody>,
    request: &Request,
) -> Result<Response<Body>, Error> {
    let headers = request.headers();
    headers.fold(builder, |builder, (name, value)| builder.header(name, value)).send(request.body())
}

/// Classifies an error of the library.
fn fault(error: &Error) -> NetworkError {
    if let Error::Io(error) = error {
        return of_io(error);
    }
    if matches!(error, Error::Timeout(_) | Error::BodyStalled) {
        NetworkError::TimedOut
    } else if matches!(error, Error::HostNotFound) {
        NetworkError::HostNotFound
    } else if matches!(error, Error::ConnectionFailed | Error::ConnectProxyFailed(_)) {
        NetworkError::Refused
    } else if matches!(error, Error::Tls(_) | Error::Pem(_) | Error::Rustls(_) | Error::TlsRequired)
    {
        NetworkError::Tls
    } else if matches!(error, Error::Protocol(_) | Error::Http(_)) {
        NetworkError::Lost
    } else {
        NetworkError::Other
    }
}

fn of_io(error: &io::Error) -> NetworkError {
    use io::ErrorKind::{
        AddrNotAvailable, BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset,
        HostUnreachable, InvalidData, NetworkDown, NetworkUnreachable, NotConnected, TimedOut,
        UnexpectedEof, WouldBlock,
    };
    let is = |kinds: &[io::ErrorKind]| kinds.contains(&error.kind());
    if is(&[ConnectionRefused, HostUnreachable, NetworkUnreachable, NetworkDown, AddrNotAvailable])
    {
        NetworkError::Refused
    } else if is(&[ConnectionReset, ConnectionAborted, BrokenPipe, NotConnected, UnexpectedEof]) {
        NetworkError::Lost
    } else if is(&[TimedOut, WouldBlock]) {
        NetworkError::TimedOut
    } else if is(&[InvalidData]) {
        // The TLS library reports an untrusted certificate like this.
        NetworkError::Tls
    } else {
        NetworkError::Other
    }
}
