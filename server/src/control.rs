//! Test server: starts and stops real server processes over HTTP, for test suites on other
//! machines, such as devices.
//!
//! - H14 Every request gets a response in bounded time, a failure 500 with the reason; a started
//!   server is killed when the test server ends.
//!
//! Specified in docs/server.md#the-test-server.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use fastness::{OsRandom, RandomSource as _};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{env, thread};
use tokio::task;

/// Time between health checks.
const HEALTH_INTERVAL: Duration = Duration::from_millis(200);

/// Time-out of a health check.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// Options of a test server.
pub struct ControlOptions {
    /// Creates the command of a server with this data folder, which prints a line
    /// `listening on URL`.
    pub command: Box<dyn Fn(&Path) -> Command + Send>,
    /// File to which the logs of the servers are appended.
    pub log: PathBuf,
    /// Number of health checks before a start fails.
    pub attempts: u32,
}

/// Running server process. Dropping it kills the process and removes its folder.
struct ServerProcess {
    child: Child,
    folder: PathBuf,
}

/// State of the test server.
struct TestServer {
    options: ControlOptions,
    started: Option<ServerProcess>,
}

/// Returns the router of `/start` and `/stop`.
pub(crate) fn router(options: ControlOptions) -> Router {
    let control = Arc::new(Mutex::new(TestServer { options, started: None }));
    Router::new().route("/start", get(start)).route("/stop", get(stop)).with_state(control)
}

type Shared = State<Arc<Mutex<TestServer>>>;

async fn start(State(control): Shared) -> (StatusCode, String) {
    execute(control, "Starting", TestServer::start).await
}

async fn stop(State(control): Shared) -> (StatusCode, String) {
    execute(control, "Stopping", TestServer::stop).await
}

async fn execute(
    control: Arc<Mutex<TestServer>>,
    what: &str,
    action: fn(&mut TestServer) -> io::Result<String>,
) -> (StatusCode, String) {
    let done = task::spawn_blocking(move || {
        action(&mut control.lock().unwrap_or_else(PoisonError::into_inner))
    });
    match done.await {
        Ok(Ok(text)) => (StatusCode::OK, text),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{what} failed: {error}\n")),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{what} failed: a panic\n")),
    }
}

impl TestServer {
    fn start(&mut self) -> io::Result<String> {
        if self.started.is_some() {
            return Err(io::Error::other("a server is running already; stop it first"));
        }
        let mut started = ServerProcess::spawn(&self.options)?;
        let output = started.wait_until_healthy(self.options.attempts)?;
        self.started = Some(started);
        Ok(format!("Server started\n{output}"))
    }

    fn stop(&mut self) -> io::Result<String> {
        let started = self.started.take();
        let mut started = started.ok_or_else(|| io::Error::other("no server is running"))?;
        started.child.kill()?;
        started.child.wait()?;
        Ok("Server stopped\n".to_owned())
    }
}

impl ServerProcess {
    fn spawn(options: &ControlOptions) -> io::Result<Self> {
        let mut bytes = [0; 8];
        OsRandom.fill(&mut bytes)?;
        let name = format!("fastness-test-server-{:016x}", u64::from_le_bytes(bytes));
        let folder = env::temp_dir().join(name);
        fs::create_dir(&folder)?;
        let log = File::options().create(true).append(true).open(&options.log);
        let outputs = log.and_then(|log| Ok((File::create(folder.join("output"))?, log)));
        let spawned = outputs.and_then(|(output, log)| {
            let mut command = (options.command)(&folder.join("accounts"));
            command.stdin(Stdio::null()).stdout(output).stderr(log).spawn()
        });
        match spawned {
            Ok(child) => Ok(Self { child, folder }),
            Err(error) => {
                // The cause matters more than a leftover folder.
                fs::remove_dir_all(&folder).unwrap_or_default();
                Err(error)
            }
        }
    }

    /// Waits for a successful health check; returns the output of the server.
    fn wait_until_healthy(&mut self, attempts: u32) -> io::Result<String> {
        let mut last = io::Error::other("no attempt was allowed");
        for _ in 0..attempts {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("the server ended: {status}; see its log")));
            }
            let output = fs::read_to_string(self.folder.join("output"))?;
            match health(&output) {
                Ok(()) => return Ok(output),
                Err(error) => last = error,
            }
            thread::sleep(HEALTH_INTERVAL);
        }
        Err(io::Error::other(format!("not healthy after {attempts} attempts: {last}")))
    }
}

/// Checks the health of the server with this output.
fn health(output: &str) -> io::Result<()> {
    let address = output.lines().find_map(|line| line.strip_prefix("listening on http://"));
    let address: SocketAddr = address
        .and_then(|address| address.parse().ok())
        .ok_or_else(|| io::Error::other("it does not listen yet"))?;
    let mut stream = TcpStream::connect_timeout(&address, HEALTH_TIMEOUT)?;
    stream.set_read_timeout(Some(HEALTH_TIMEOUT))?;
    stream.set_write_timeout(Some(HEALTH_TIMEOUT))?;
    stream.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    if status.ends_with(b" 200") { Ok(()) } else { Err(io::Error::other("it is not healthy")) }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // The process may have ended, and a file of the folder may be in use: neither has a remedy.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
        fs::remove_dir_all(&self.folder).unwrap_or_default();
    }
}
