//! One request, sent: a status and a body, or why there is none.

use fastness_auth::users::Answer;
use fastness_auth::{Method, NetworkFault, Request};
use std::io;
use ureq::Agent;
use ureq::http::Response;
use ureq::{Body, Error};

/// Longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Sends a request and waits, within the time-outs of the agent.
pub(crate) fn send(agent: &Agent, request: &Request) -> Answer {
    match exchange(agent, request) {
        Ok((status, body)) => Answer::new(status, body),
        Err(error) => Answer::none(fault(&error)),
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

/// Names what happened instead of an answer.
fn fault(error: &Error) -> NetworkFault {
    if let Error::Io(error) = error {
        return of_io(error);
    }
    if matches!(error, Error::Timeout(_) | Error::BodyStalled) {
        NetworkFault::TimedOut
    } else if matches!(error, Error::HostNotFound) {
        NetworkFault::HostNotFound
    } else if matches!(error, Error::ConnectionFailed | Error::ConnectProxyFailed(_)) {
        NetworkFault::Refused
    } else if matches!(error, Error::Tls(_) | Error::Pem(_) | Error::Rustls(_) | Error::TlsRequired)
    {
        NetworkFault::Tls
    } else if matches!(error, Error::Protocol(_) | Error::Http(_)) {
        NetworkFault::Lost
    } else {
        NetworkFault::Other
    }
}

fn of_io(error: &io::Error) -> NetworkFault {
    use io::ErrorKind::{
        AddrNotAvailable, BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset,
        HostUnreachable, InvalidData, NetworkDown, NetworkUnreachable, NotConnected, TimedOut,
        UnexpectedEof, WouldBlock,
    };
    let is = |kinds: &[io::ErrorKind]| kinds.contains(&error.kind());
    if is(&[ConnectionRefused, HostUnreachable, NetworkUnreachable, NetworkDown, AddrNotAvailable])
    {
        NetworkFault::Refused
    } else if is(&[ConnectionReset, ConnectionAborted, BrokenPipe, NotConnected, UnexpectedEof]) {
        NetworkFault::Lost
    } else if is(&[TimedOut, WouldBlock]) {
        NetworkFault::TimedOut
    } else if is(&[InvalidData]) {
        // So says the TLS library of what it does not trust.
        NetworkFault::Tls
    } else {
        NetworkFault::Other
    }
}
