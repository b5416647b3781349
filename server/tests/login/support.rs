//! A server and clients in folders of their own.

use fastness::{Key, StoreOptions};
use fastness_auth::server::{AdminReply, AdminRequest, Rate, RateLimits};
use fastness_auth::{Credentials, Secret};
use fastness_client::{Client, ClientError, LoggedInUser, Proxy};
use fastness_server::{
    Config, HashCosts, Server, SyncReply, SyncRequest, TlsFiles, administer, operate, start,
};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A timeout that only a failing test reaches.
pub(crate) const FOREVER: Duration = Duration::from_secs(60);

/// A server that can be stopped.
pub(crate) struct HeldServer(Option<Server>);

impl std::ops::Deref for HeldServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        self.0.as_ref().unwrap()
    }
}

pub(crate) struct Host {
    pub(crate) server: HeldServer,
    pub(crate) folder: TempDir,
    config: Config,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), change)
    }

    fn in_folder(folder: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(folder.path().join("server"), ([127, 0, 0, 1], 0));
        config.hashing = HashCosts { memory_kib: 8, passes: 1 };
        let often = Rate { burst: 10_000, interval: Duration::from_millis(1) };
        config.limits = RateLimits { name: often, address: often, token: often, line: often };
        change(&mut config);
        Self { server: HeldServer(Some(start(config.clone()).unwrap())), folder, config }
    }

    /// Stops the server, and starts it again on the same files.
    pub(crate) fn restart(self) -> Self {
        self.stopped().started()
    }

    /// Stops the server.
    pub(crate) fn stopped(mut self) -> Self {
        drop(self.server.0.take());
        self
    }

    /// Starts the server again.
    pub(crate) fn started(mut self) -> Self {
        self.server = HeldServer(Some(start(self.config.clone()).unwrap()));
        self
    }

    /// Starts a server on a copy of the files as they are now.
    pub(crate) fn copied(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_files(&self.path("server"), &folder.path().join("server"));
        Self::in_folder(folder, |_| {})
    }

    /// Starts the server again with another configuration.
    pub(crate) fn started_with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self.started()
    }

    /// Returns the body of an answer.
    pub(crate) fn get(&self, target: &str) -> String {
        let mut stream = TcpStream::connect(self.server.address()).unwrap();
        stream.set_read_timeout(Some(FOREVER)).unwrap();
        stream.write_all(format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// Repeats an attempt until it succeeds.
    #[track_caller]
    pub(crate) fn retry<T>(&self, mut attempt: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(outcome) = attempt() {
                return outcome;
            }
            assert!(begun.elapsed() < FOREVER, "no success");
        }
    }

    /// Sends a request about sync to the server, or carries it out on its files.
    pub(crate) fn operate(&self, request: &SyncRequest) -> SyncReply {
        operate(&self.config, request).unwrap()
    }

    /// Returns a path in the folder, where `server` is the data folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Blocks an account, as the operator does.
    pub(crate) fn block(&self, name: &str) {
        let name = name.to_owned();
        self.administer(&AdminRequest::SetBlocked { name, is_blocked: true });
    }

    /// Carries out a request of the operator.
    #[track_caller]
    pub(crate) fn administer(&self, request: &AdminRequest) {
        assert_eq!(administer(&self.config, request).unwrap(), AdminReply::Done);
    }

    pub(crate) fn with_tls() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls");
        let file = |name: &str| {
            std::fs::copy(source.join(name), folder.path().join(name)).unwrap();
            folder.path().join(name)
        };
        let files = TlsFiles { certificate: file("server.pem"), key: file("server.key") };
        Self::in_folder(folder, |config| config.tls = Some(files))
    }

    /// Overwrites a TLS file of the server.
    pub(crate) fn replace_tls(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder.path().join(name), bytes).unwrap();
    }

    pub(crate) fn client(&self) -> Client {
        self.client_with(|_| {})
    }

    pub(crate) fn client_with(&self, change: impl FnOnce(&mut fastness_client::Config)) -> Client {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("users-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let options = StoreOptions::new().key(Key::new([7; 64]));
        let store = options.create(self.folder.path().join(name)).unwrap();
        let mut config = fastness_client::Config { proxy: Proxy::None, ..Default::default() };
        change(&mut config);
        Client::open(store, config).unwrap()
    }

    pub(crate) fn log_in(&self, client: &Client, name: &str, password: &str) -> LoggedInUser {
        client.log_in(&self.server.url(), credentials(name, password, false)).unwrap()
    }

    pub(crate) fn register(&self, client: &Client, name: &str) -> LoggedInUser {
        client.log_in(&self.server.url(), credentials(name, "password", true)).unwrap()
    }

    pub(crate) fn admin(&self, client: &Client) -> LoggedInUser {
        let secret = self.server.admin_secret().unwrap().clone();
        self.log_in(client, "realm-admin", secret.expose())
    }
}

/// Copies the files of a folder; others, as sockets, are no data.
fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    std::fs::set_permissions(to, std::fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy_files(&entry.path(), &target);
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(crate) fn credentials(name: &str, password: &str, create: bool) -> Credentials {
    Credentials::username_password(name, Some(Secret::from(password)), create).unwrap()
}

#[track_caller]
pub(crate) fn code(outcome: Result<impl std::fmt::Debug, ClientError>) -> i64 {
    outcome.unwrap_err().auth().unwrap().code().number()
}
