//! The control of a test server: starts and stops a real server process over HTTP, for suites that
//! run elsewhere, on a device for example.
//!
//! - H14 Every request is answered in bounded time, a failure with 500 and the reason; whatever was
//!   started is killed with whoever started it.
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

/// How long to wait before asking for the health again.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a question for the health may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the control starts.
pub struct Controlled {
    /// Makes the command of a server that keeps its accounts in this folder, and prints a line
    /// `listening on URL`.
    pub command: Box<dyn Fn(&Path) -> Command + Send>,
    /// Where the server's logs go.
    pub log: PathBuf,
    /// How often to ask for its health.
    pub attempts: u32,
}

/// A server that was started; it is killed and its folder removed when dropped.
struct Started {
    child: Child,
    folder: PathBuf,
}

/// Starts and stops.
struct Control {
    controlled: Controlled,
    started: Option<Started>,
}

/// Returns what answers `/start` and `/stop`.
pub(crate) fn router(controlled: Controlled) -> Router {
    let control = Arc::new(Mutex::new(Control { controlled, started: None }));
    Router::new().route("/start", get(start)).route("/stop", get(stop)).with_state(control)
}

type Shared = State<Arc<Mutex<Control>>>;

async fn start(State(control): Shared) -> (StatusCode, String) {
    carry_out(control, "Starting", Control::start).await
}

async fn stop(State(control): Shared) -> (StatusCode, String) {
    carry_out(control, "Stopping", Control::stop).await
}

async fn carry_out(
    control: Arc<Mutex<Control>>,
    what: &str,
    action: fn(&mut Control) -> io::Result<String>,
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

impl Control {
    fn start(&mut self) -> io::Result<String> {
        if self.started.is_some() {
            return Err(io::Error::other("a server is running already; stop it first"));
        }
        let mut started = Started::spawn(&self.controlled)?;
        let said = started.wait_until_healthy(self.controlled.attempts)?;
        self.started = Some(started);
        Ok(format!("Server started\n{said}"))
    }

    fn stop(&mut self) -> io::Result<String> {
        let started = self.started.take();
        let mut started = started.ok_or_else(|| io::Error::other("no server is running"))?;
        started.child.kill()?;
        started.child.wait()?;
        Ok("Server stopped\n".to_owned())
    }
}

impl Started {
    fn spawn(controlled: &Controlled) -> io::Result<Self> {
        let mut bytes = [0; 8];
        OsRandom.fill(&mut bytes)?;
        let name = format!("fastness-test-server-{:016x}", u64::from_le_bytes(bytes));
        let folder = env::temp_dir().join(name);
        fs::create_dir(&folder)?;
        let log = File::options().create(true).append(true).open(&controlled.log);
        let outputs = log.and_then(|log| Ok((File::create(folder.join("said"))?, log)));
        let spawned = outputs.and_then(|(said, log)| {
            let mut command = (controlled.command)(&folder.join("accounts"));
            command.stdin(Stdio::null()).stdout(said).stderr(log).spawn()
        });
        match spawned {
            Ok(child) => Ok(Self { child, folder }),
            Err(error) => {
                // The folder is empty but for a file of ours; the cause matters more.
                fs::remove_dir_all(&folder).unwrap_or_default();
                Err(error)
            }
        }
    }

    /// Returns what the server printed.
    fn wait_until_healthy(&mut self, attempts: u32) -> io::Result<String> {
        let mut last = io::Error::other("no attempt was allowed");
        for _ in 0..attempts {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("the server ended: {status}; see its log")));
            }
            let said = fs::read_to_string(self.folder.join("said"))?;
            match health(&said) {
                Ok(()) => return Ok(said),
                Err(error) => last = error,
            }
            thread::sleep(PAUSE);
        }
        Err(io::Error::other(format!("not healthy after {attempts} attempts: {last}")))
    }
}

/// Asks the server that printed this for its health.
fn health(said: &str) -> io::Result<()> {
    let address = said.lines().find_map(|line| line.strip_prefix("listening on http://"));
    let address: SocketAddr = address
        .and_then(|address| address.parse().ok())
        .ok_or_else(|| io::Error::other("it does not listen yet"))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    if status.ends_with(b" 200") { Ok(()) } else { Err(io::Error::other("it is not healthy")) }
}

impl Drop for Started {
    fn drop(&mut self) {
        // What has ended cannot be killed; what is in use cannot be removed. Neither can be helped.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
        fs::remove_dir_all(&self.folder).unwrap_or_default();
    }
}
