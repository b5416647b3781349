//! Limits under a flood and under a clock that steps: places for health checks (H17), rates of a
//! monotonic clock (H13), and metrics for this machine only (H23).

use crate::sockets::support::{FOREVER, SocketHost, Wire, host, patient, request};
use fastness::{OsRandom, StoreOptions, Time};
use fastness_auth::Secret;
use fastness_auth::server::{Accounts, HashError, PasswordHasher, Policy, Rate, RateLimits};
use fastness_server::{Environment, Handler, HttpLimits};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

#[track_caller]
fn status(host: &SocketHost, method: &str, target: &str) -> u16 {
    let mut wire = Wire::to(host);
    wire.send(request(method, target, b""));
    wire.answer().0
}

#[test]
fn a_flood_of_idle_connections_leaves_places_for_health_checks() {
    let host = host(HttpLimits { connections_max: 4, ..patient() });
    let mut held: Vec<Wire> = (0..4).map(|_| Wire::to(&host)).collect();
    for wire in &mut held {
        wire.send(request("GET", "/health", b""));
        assert_eq!(wire.answer().0, 200);
    }
    for _ in 0..10 {
        let (wire, head) = place_in_reserve(&host, &request("GET", "/health", b""));
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        wire.half_close();
    }
    let (mut wire, head) = place_in_reserve(&host, &request("POST", "/auth", b"{}"));
    assert!(head.starts_with("http/1.1 503 ") && head.contains("retry-after: "), "{head}");
    assert_eq!(wire.rest(), b"", "the place is free again");
}

/// Opens a connection of the reserve and returns the head of the answer to `request`. One address
/// has few places in the reserve, and the server notices the end of an earlier connection when its
/// threads get to run, so a connection that it refuses is opened again.
fn place_in_reserve(host: &SocketHost, request: &[u8]) -> (Wire, String) {
    let begun = Instant::now();
    loop {
        let mut wire = Wire::to(host);
        wire.try_send(request);
        match wire.try_whole_answer() {
            Ok((head, _)) => return (wire, head),
            Err(error) => assert!(begun.elapsed() < FOREVER, "no place in the reserve: {error}"),
        }
    }
}

static WALL: AtomicI64 = AtomicI64::new(0);
static MONOTONIC: AtomicI64 = AtomicI64::new(0);

/// A hasher that no password fits.
struct Refusing;

impl PasswordHasher for Refusing {
    fn hash(&self, _: &Secret, _: &[u8; 16]) -> Result<String, HashError> {
        Ok(String::new())
    }

    fn verify(&self, _: &Secret, _: &str) -> bool {
        false
    }
}

#[test]
fn a_step_of_the_wall_clock_locks_nothing_out() {
    let store = StoreOptions::new().in_memory().unwrap();
    let accounts = Accounts::open(store, Arc::new(OsRandom), Policy::default()).unwrap();
    let rate = |burst| Rate { burst, interval: Duration::from_secs(6) };
    let environment = Environment {
        hasher: Arc::new(Refusing),
        hashing_threads: 0,
        clock: || Time(WALL.load(Ordering::Relaxed)),
        monotonic: || Time(MONOTONIC.load(Ordering::Relaxed)),
        limits: RateLimits { name: rate(3), address: rate(1000), ..RateLimits::default() },
        http: HttpLimits::default(),
        trusted_proxies: Vec::new(),
    };
    let handler = Handler::new(accounts, environment, &OsRandom).unwrap();
    let body = br#"{"provider": "password", "data": "alice", "user_info": {"password": "p"}}"#;
    let log_in = || {
        let sent = [request("POST", "/auth", body)];
        let answer = handler.serve_bytes(sent, Duration::from_secs(60)).unwrap();
        String::from_utf8_lossy(&answer[9..12]).into_owned()
    };
    let hour = 3_600_000;
    // The clock is an hour ahead while the name uses up its attempts, and then set right.
    WALL.store(1_700_000_000_000 + hour, Ordering::Relaxed);
    assert_eq!([log_in(), log_in(), log_in(), log_in()], ["401", "401", "401", "429"]);
    WALL.store(1_700_000_000_000, Ordering::Relaxed);
    assert_eq!(log_in(), "429", "the step gives no attempt back");
    MONOTONIC.fetch_add(6000, Ordering::Relaxed);
    assert_eq!(log_in(), "401", "the name has its attempt after six seconds");
    WALL.store(1_700_000_000_000 + 365 * 24 * hour, Ordering::Relaxed);
    assert_eq!(log_in(), "429", "the step gives no attempt back");
}

#[test]
fn metrics_are_for_this_machine_only() {
    let host = host(patient());
    assert_eq!(status(&host, "POST", "/auth"), 400);
    let mut wire = Wire::to(&host);
    wire.send(request("GET", "/metrics", b""));
    let (found, text) = wire.answer();
    assert_eq!(found, 200);
    assert!(text.contains("fastness_requests_total{call=\"none\",status=\"400\"} 1\n"), "{text}");
    let mut wire = Wire::to(&host);
    wire.send("GET /metrics HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
    let (found, text) = wire.answer();
    assert_eq!(found, 404, "a proxy on this machine speaks for another one: {text}");
    assert!(!text.contains("requests_total"), "{text}");
}
