//! Connections through an HTTP proxy, by CONNECT.

use super::socket::Socket;
use crate::config::Proxy;
use crate::error::ConfigError;
use base64ct::{Base64, Encoding as _};
use std::io::{self, Read as _, Write as _};
use std::time::Duration;
use ureq::http::Uri;

/// Longest accepted answer of a proxy, in bytes.
const ANSWER_BYTES_MAX: usize = 8192;

/// Where a connection goes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint<'e> {
    /// Host without brackets.
    pub(super) host: &'e str,
    pub(super) port: u16,
    /// Host with brackets, and port.
    pub(super) authority: &'e str,
    pub(super) url: &'e str,
}

/// Returns the proxy of a configuration.
pub(super) fn of(proxy: &Proxy) -> Result<Option<ureq::Proxy>, ConfigError> {
    match proxy {
        Proxy::FromEnvironment => Ok(ureq::Proxy::try_from_env()),
        Proxy::None => Ok(None),
        Proxy::Url(url) => ureq::Proxy::new(url).map(Some).map_err(|_| ConfigError::Proxy),
    }
}

/// Connects to an endpoint, through the proxy unless the endpoint is excepted.
pub(super) fn connect(
    proxy: Option<&ureq::Proxy>,
    endpoint: &Endpoint<'_>,
    within: Duration,
) -> io::Result<Socket> {
    let uri: Option<Uri> = endpoint.url.parse().ok();
    let excepted = |proxy: &&ureq::Proxy| uri.as_ref().is_some_and(|uri| proxy.is_no_proxy(uri));
    let Some(proxy) = proxy.filter(|proxy| !excepted(proxy)) else {
        return Socket::connect(endpoint.host, endpoint.port, within);
    };
    if proxy.protocol() != ureq::ProxyProtocol::Http {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let host = proxy.host().trim_start_matches('[').trim_end_matches(']');
    let mut socket = Socket::connect(host, proxy.port(), within)?;
    socket.write_all(request(proxy, endpoint.authority).as_bytes())?;
    read_answer(&mut socket)?;
    Ok(socket)
}

fn request(proxy: &ureq::Proxy, authority: &str) -> String {
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some(name) = proxy.username() {
        let user = format!("{name}:{}", proxy.password().unwrap_or_default());
        let user = Base64::encode_string(user.as_bytes());
        request += &format!("Proxy-Authorization: Basic {user}\r\n");
    }
    request + "\r\n"
}

fn read_answer(socket: &mut Socket) -> io::Result<()> {
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= ANSWER_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        socket.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    let status = answer.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    if status == b"200" {
        return Ok(());
    }
    let status = String::from_utf8_lossy(status).escape_debug().take(8).collect::<String>();
    let text = format!("the proxy refuses the connection (status {status}): look at its settings");
    Err(io::Error::new(io::ErrorKind::ConnectionRefused, text))
}
