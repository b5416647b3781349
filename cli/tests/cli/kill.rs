//! A server process, killed while users register, log in, change passwords and log out: every
//! acknowledged change survives (H1), and revoked tokens stay revoked (H3).

use super::TestFolder;
use super::serve::{RunningServer, send};
use fastness_server::auth::{AuthServer, Credentials, Login, Request, Token, response};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const ROUNDS: usize = 3;
const THREADS: usize = 4;
/// Acknowledgements before the kill.
const ACKNOWLEDGED: usize = 30;

/// The known state of an account; `Some` marks a call without an answer.
#[derive(Default)]
struct AccountHistory {
    name: String,
    registered: bool,
    /// The last acknowledged password.
    password: String,
    changing_to: Option<String>,
    live: Vec<Token>,
    revoking: Option<Token>,
    revoked: Vec<Token>,
}

fn log_in(server: &AuthServer, (name, password): (&str, &str), create: bool) -> Request {
    let credentials = Credentials::username_password(name, Some(password.into()), create);
    match server.login(&credentials.unwrap()) {
        Login::Send(request) => request,
        Login::Complete(_) => unreachable!(),
    }
}

impl AccountHistory {
    /// Runs the calls of one user until the server ends.
    fn run_calls(&mut self, server: &AuthServer, acknowledged: &AtomicUsize) -> Option<()> {
        let ask = |request: &Request| {
            let (status, body) = send(request)?;
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
            acknowledged.fetch_add(1, Ordering::SeqCst);
            Some(body)
        };
        let token = |body: Vec<u8>| response::login(server.url(), 200, &body).unwrap().token;
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

    /// Compares a restarted server with the known state.
    fn check(&self, server: &AuthServer) {
        let name = &self.name;
        let status = |request: &Request| send(request).unwrap().0;
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
            assert_eq!(
                status(&server.access_token(token, "/~/x")),
                401,
                "{name}: a revoked token works"
            );
        }
    }
}

/// Runs users until enough calls are acknowledged, then kills the server.
fn run_and_kill(process: &RunningServer, round: usize) -> Vec<AccountHistory> {
    let server = AuthServer::new(process.url.as_str()).unwrap();
    let acknowledged = AtomicUsize::new(0);
    let run_users = |thread: usize| {
        let mut users = Vec::new();
        loop {
            let name = format!("user-{round}-{thread}-{}", users.len());
            let mut user = AccountHistory { name, ..AccountHistory::default() };
            let ended = user.run_calls(&server, &acknowledged).is_none();
            users.push(user);
            if ended {
                return users;
            }
        }
    };
    thread::scope(|scope| {
        let run_users = &run_users;
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || run_users(thread))).collect();
        while acknowledged.load(Ordering::SeqCst) < ACKNOWLEDGED {
            assert!(threads.iter().all(|thread| !thread.is_finished()), "the server ended early");
            thread::yield_now();
        }
        process.signal("-KILL");
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn a_killed_server_keeps_every_acknowledged_change() {
    let dir = TestFolder::new();
    let data = dir.path("accounts");
    let mut accounts = Vec::new();
    for round in 0..ROUNDS {
        let process = RunningServer::start(&data);
        accounts.extend(run_and_kill(&process, round));
        drop(process);
        let process = RunningServer::start(&data);
        let server = AuthServer::new(process.url.as_str()).unwrap();
        accounts.iter().for_each(|user| user.check(&server));
    }
    assert!(accounts.iter().filter(|user| user.registered).count() >= ROUNDS);
    assert!(accounts.iter().any(|user| !user.revoked.is_empty()), "no user finished");
}
