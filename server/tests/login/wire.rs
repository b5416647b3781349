//! The connection between client and server: TLS, proxies, servers that do not answer, secrets in
//! logs.

use crate::login::support::{Host, code, credentials};
use fastness_auth::{NetworkError, Request};
use fastness_client::{Client, Config, Proxy, RootCertificates};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

const OTHER_ROOT: &[u8] = include_bytes!("../tls/other-root.pem");
const OTHER_CERTIFICATE: &[u8] = include_bytes!("../tls/other.pem");
const OTHER_KEY: &[u8] = include_bytes!("../tls/other.key");
const ROOT: &[u8] = include_bytes!("../tls/root.pem");

/// Sends a request by hand and returns the status and all that came.
pub(crate) fn sent(request: &Request) -> (u16, String) {
    let host = request.url().split('/').nth(2).unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let mut head =
        format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", request.method(), request.target());
    for (name, value) in request.headers() {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let length = request.body().len();
    let head = format!("{head}Connection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), request.body()].concat()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer[9..12].parse().unwrap(), answer)
}

#[track_caller]
fn fault(client: &Client, url: &str) -> NetworkError {
    let error = client.log_in(url, credentials("alice", "hunter2", false)).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("hunter2"));
    error.auth().unwrap().network_error().unwrap()
}

#[test]
fn tls_is_taken_under_ones_own_root_and_no_other() {
    let host = Host::with_tls();
    assert!(host.server.url().starts_with("https://"));
    let own =
        host.client_with(|config| config.root_certificates = RootCertificates::Pem(ROOT.to_vec()));
    let user = host.register(&own, "alice");
    assert_eq!(user.user().url.as_str(), format!("{}/auth", host.server.url()));
    let public = host.client();
    assert_eq!(fault(&public, &host.server.url()), NetworkError::Tls);
    let plain = host.server.url().replace("https", "http");
    let error = own.log_in(&plain, credentials("alice", "x", false)).unwrap_err();
    assert!(error.auth().is_some(), "{error}");
}

#[test]
fn a_certificate_is_read_again_for_new_connections() {
    let host = Host::with_tls();
    let url = host.server.url();
    let trusting = |root: &[u8]| {
        host.client_with(|config| {
            config.root_certificates = RootCertificates::Pem(root.to_vec());
        })
    };
    let (old, new) = (trusting(ROOT), trusting(OTHER_ROOT));
    let registered = host.register(&old, "alice");
    assert_eq!(fault(&new, &url), NetworkError::Tls);
    host.replace_tls("server.pem", b"no certificate");
    host.server.reload();
    old.change_password(&registered.id(), "still-served".into()).unwrap();
    host.replace_tls("server.pem", OTHER_CERTIFICATE);
    host.replace_tls("server.key", OTHER_KEY);
    host.server.reload();
    host.log_in(&new, "alice", "still-served");
    assert_eq!(fault(&trusting(ROOT), &url), NetworkError::Tls);
}

#[test]
fn errors_distinguish_unreachable_servers() {
    let host = Host::new();
    let impatient = Duration::from_millis(200);
    let client = host.client_with(|config| {
        *config =
            Config { read_timeout: impatient, connect_timeout: impatient * 10, ..config.clone() };
    });
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    assert_eq!(fault(&client, &format!("http://{address}")), NetworkError::TimedOut);
    let rude = thread::spawn(move || {
        // The first one is of the client that has given up.
        for _ in 0..2 {
            drop(silent.accept().unwrap());
        }
    });
    assert_eq!(fault(&client, &format!("http://{address}")), NetworkError::Lost);
    rude.join().unwrap();
    assert_eq!(fault(&client, &format!("http://{address}")), NetworkError::Refused);
}

/// Takes one connection, connects it to whom it asks for, and returns what it asked.
fn tunnel(listener: &TcpListener) -> String {
    let (mut client, _) = listener.accept().unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap();
    let mut server = TcpStream::connect(target).unwrap();
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
    let (mut there, mut back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || std::io::copy(&mut there, &mut back));
    std::io::copy(&mut server, &mut client).unwrap_or_default();
    head
}

#[test]
fn a_proxy_is_asked_instead() {
    let host = Host::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = thread::spawn(move || tunnel(&listener));
    let client = host.client_with(|config| {
        config.proxy = Proxy::Url(format!("http://me:hunter3@{address}"));
    });
    host.register(&client, "alice");
    drop((client, host));
    let asked = proxy.join().unwrap();
    assert!(asked.starts_with("CONNECT 127.0.0.1:"), "{asked}");
    assert!(asked.to_lowercase().contains("proxy-authorization: basic "), "{asked}");
    assert!(!asked.contains("password"), "{asked}");
}

#[test]
fn a_server_that_ends_and_comes_back_finds_the_same_users() {
    let host = Host::new();
    let client = host.client();
    let user = host.register(&client, "alice");
    let Host { server, folder, .. } = host;
    let address = server.address();
    drop(server);
    assert_eq!(fault(&client, &format!("http://{address}")), NetworkError::Refused);
    let mut config = fastness_server::Config::new(folder.path().join("server"), address);
    config.hashing = fastness_server::HashCosts { memory_kib: 8, passes: 1 };
    let server = fastness_server::start(config).unwrap();
    client.change_password(&user.id(), "new".into()).unwrap();
    let outcome = client.log_in(&server.url(), credentials("alice", "password", false));
    assert_eq!(code(outcome), 611);
}

#[test]
fn a_closed_client_says_so_and_a_session_ends() {
    let host = Host::new();
    let client = host.client();
    let user = host.register(&client, "alice").id();
    let session = client.session(&user, "/~/x");
    assert!(session.recv().is_some());
    drop(client);
    assert_eq!(session.recv(), None);
}
