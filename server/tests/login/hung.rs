//! A server that accepts connections and never answers: other servers are served (Z3), and calls
//! can be cancelled (Z4).

use crate::login::support::{FOREVER, Host, credentials};
use fastness_auth::Credentials;
use fastness_client::{Cancellation, Client, ClientError};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

/// Less than the time-out of a request.
const SOON: Duration = Duration::from_secs(10);

/// Opens sessions of a user at the server that does not answer.
fn occupy(client: &Client, url: &str, count: usize) -> Vec<fastness_client::Session> {
    let user = client.log_in(url, Credentials::access_token("token", "me", false)).unwrap().id();
    (0..count).map(|number| client.session(&user, &format!("/~/file-{number}"))).collect()
}

#[test]
fn a_server_that_does_not_answer_delays_no_other() {
    let host = Host::new();
    let client = host.client();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let _sessions = occupy(&client, &format!("http://{}", silent.local_addr().unwrap()), 16);
    let begun = Instant::now();
    let user = host.register(&client, "alice");
    let session = client.session(&user.id(), "/~/x");
    assert!(session.recv_timeout(FOREVER).is_some());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn a_cancelled_call_returns_at_once_and_later_ones_do_not_begin() {
    let host = Host::new();
    let client = host.client();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let cancellation = Cancellation::new();
    let cancelled = client.with_cancellation(&cancellation);
    let begun = Instant::now();
    thread::scope(|scope| {
        let call = scope.spawn(|| cancelled.log_in(&url, credentials("alice", "x", false)));
        // The call is under way when the server has its connection.
        let _stream = silent.accept().unwrap();
        cancellation.cancel();
        assert_eq!(call.join().unwrap(), Err(ClientError::Cancelled));
    });
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let again = cancelled.log_in(&host.server.url(), credentials("alice", "x", true));
    assert_eq!(again, Err(ClientError::Cancelled));
    assert!(client.users().unwrap().is_empty());
    host.register(&client, "alice");
}
