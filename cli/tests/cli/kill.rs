//! A real server process, killed hard while users register, log in, change passwords and log out:
//! nothing that was acknowledged is lost (H1), and what was revoked stays revoked (H3).

use super::Bench;
use super::serve::{Served, sent};
use fastness_server::auth::{AuthServer, Credentials, Login, Request, Token, answer};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const ROUNDS: usize = 3;
const THREADS: usize = 4;
/// Acknowledgements before the server is killed.
const ACKNOWLEDGED: usize = 30;

/// What is known of an account; `Some` where an answer is missing.
#[derive(Default)]
struct Known {
    name: String,
    registered: bool,
    /// The last one acknowledged.
    password: String,
    changing_to: Option<String>,
    live: Vec<Token>,
    revoking: Option<Token>,
    revoked: Vec<Token>,
}

fn log_in(server: &AuthServer, (name, password): (&str, &str), create: bool) -> Request {
    let credentials = Credentials::username_password(name, Some(password.into()), create);
    match server.login(&credentials.unwrap()) {
        Login::Ask(request) => request,
        Login::Done(_) => unreachable!(),
    }
}

impl Known {
    /// Lives through a whole life, as far as the server does.
    fn live(&mut self, server: &AuthServer, acknowledged: &AtomicUsize) -> Option<()> {
        let ask = |request: &Request| {
            let (status, body) = sent(request)?;
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
            acknowledged.fetch_add(1, Ordering::SeqCst);
            Some(body)
        };
        let token = |body: Vec<u8>| answer::login(server.url(), 200, &body).unwrap().token;
        self.password = "first".to_owned();
        let first = token(ask(&log_in(server, (&self.name, "first"), true))?);
        self.registered = true;
        self.live.push(first.clone());

        self.changing_to = Some("second".to_owned());
        ask(&server.change_password(&first, &"second".into()))?;
        self.password = self.changing_to.take()?;

        let second = token(ask(&log_in(server, (&self.name, "second"), false))?);
        self.live.push(second);
        self.revoking = Some(self.live.remove(0));
        ask(&server.revoke(&first))?;
        self.revoked.extend(self.revoking.take());
        Some(())
    }

    /// Holds what a server says after it was started again against what one said before.
    fn check(&self, server: &AuthServer) {
        let name = &self.name;
        let status = |request: &Request| sent(request).unwrap().0;
        if !self.registered {
            return;
        }
        let works = |password: &str| match status(&log_in(server, (name, password), false)) {
            200 => true,
            401 => false,
            other => panic!("{name}: {other}"),
        };
        match &self.changing_to {
            None => assert!(works(&self.password), "{name}: the password is lost"),
            Some(other) => {
                assert!(works(&self.password) != works(other), "{name}: one of two passwords");
            }
        }
        for token in &self.live {
            assert_eq!(status(&server.access_token(token, "/~/x")), 200, "{name}: a login is lost");
        }
        for token in &self.revoked {
            assert_eq!(status(&server.access_token(token, "/~/x")), 401, "{name}: it is back");
        }
    }
}

/// Lets users live until enough was acknowledged, then kills the server.
fn attack(served: &Served, round: usize) -> Vec<Known> {
    let server = AuthServer::new(served.url.as_str()).unwrap();
    let acknowledged = AtomicUsize::new(0);
    let live = |thread: usize| {
        let mut users = Vec::new();
        loop {
            let name = format!("user-{round}-{thread}-{}", users.len());
            let mut user = Known { name, ..Known::default() };
            let ended = user.live(&server, &acknowledged).is_none();
            users.push(user);
            if ended {
                return users;
            }
        }
    };
    thread::scope(|scope| {
        let live = &live;
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || live(thread))).collect();
        while acknowledged.load(Ordering::SeqCst) < ACKNOWLEDGED {
            assert!(threads.iter().all(|thread| !thread.is_finished()), "the server ended early");
            thread::yield_now();
        }
        served.signal("-KILL");
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn a_server_that_is_killed_has_lost_nothing_it_acknowledged() {
    let bench = Bench::new();
    let data = bench.path("accounts");
    let mut known = Vec::new();
    for round in 0..ROUNDS {
        let served = Served::start(&data);
        known.extend(attack(&served, round));
        drop(served);
        let served = Served::start(&data);
        let server = AuthServer::new(served.url.as_str()).unwrap();
        known.iter().for_each(|user| user.check(&server));
    }
    assert!(known.iter().filter(|user| user.registered).count() >= ROUNDS);
    assert!(known.iter().any(|user| !user.revoked.is_empty()), "nobody got to the end");
}
