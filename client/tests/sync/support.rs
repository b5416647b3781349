//! A server in memory for logins and sync, and apps with their files.

use super::peer::{Peer, Tamper, now};
use fastness::config::{App, Configuration, SyncBuilder, User};
use fastness::instance::FileRegistry;
use fastness::object::Database;
use fastness::schema::{Class, Module, Property, PropertyType, Scalar};
use fastness::{Key, Store, StoreOptions};
use fastness_client::auth::Credentials;
use fastness_client::{Client, Config, LoggedInUser, Proxy, SyncClient, SyncedFile};
use fastness_sync::server::{Opening, ServerReplica, SnapshotPool};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// A time-out that only a failing test reaches.
pub(crate) const FOREVER: Duration = Duration::from_secs(60);

/// The state that the connections of a server share.
pub(crate) struct ServerState {
    replica: Mutex<(Store, ServerReplica)>,
    pub(crate) snapshots: Mutex<SnapshotPool>,
    /// A connection of an earlier generation ends.
    pub(crate) generation: AtomicU64,
    is_stopped: AtomicBool,
    is_refusing: AtomicBool,
    /// Lifetime of tokens.
    pub(crate) token_ms: AtomicU64,
    /// Number of the last token; those below `refused` are refused.
    tokens: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) connections: AtomicU64,
    /// Connections wait for the end of this.
    pub(crate) is_holding: AtomicBool,
    pub(crate) ping_ms: AtomicU64,
    /// The frame that the server sends in another way, and how.
    pub(crate) tamper: Mutex<Option<(u8, Tamper)>>,
}

impl ServerState {
    pub(crate) fn replica(&self) -> ServerReplica {
        self.replica.lock().unwrap().1.clone()
    }

    pub(crate) fn is_valid(&self, token: &str) -> bool {
        let number: u64 = token.strip_prefix("token-").unwrap().parse().unwrap();
        number >= self.refused.load(Ordering::SeqCst)
    }
}

/// A server in memory for one database and one user.
pub(crate) struct TestServer {
    pub(crate) state: Arc<ServerState>,
    pub(crate) port: u16,
    folder: TempDir,
}

impl TestServer {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, replica) = open(&folder.path().join("database"), 5);
        let state = Arc::new(ServerState {
            replica: Mutex::new((store, replica)),
            snapshots: Mutex::new(SnapshotPool::new(2)),
            generation: AtomicU64::new(0),
            is_stopped: AtomicBool::new(false),
            is_refusing: AtomicBool::new(false),
            token_ms: AtomicU64::new(600_000),
            tokens: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            is_holding: AtomicBool::new(false),
            ping_ms: AtomicU64::new(30_000),
            tamper: Mutex::new(None),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.is_stopped.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(shared, stream.unwrap()));
            }
        });
        Self { state, port, folder }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends each connection from now on at once.
    pub(crate) fn refuse(&self) {
        self.state.is_refusing.store(true, Ordering::SeqCst);
        self.cut();
    }

    /// Serves connections again.
    pub(crate) fn accept(&self) {
        self.state.is_refusing.store(false, Ordering::SeqCst);
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        self.state.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Copies the database, and says how far the copy reaches.
    pub(crate) fn back_up(&self) {
        let target = self.folder.path().join("backup");
        let replica = self.state.replica();
        replica.set_backups(true).unwrap();
        let saved = replica.back_up(&StoreOptions::new(), &target, None).unwrap();
        replica.note_backup(saved).unwrap();
    }

    /// Replaces the database by the copy.
    pub(crate) fn restore(&self) {
        let mut replica = self.state.replica.lock().unwrap();
        *replica = open(&self.folder.path().join("backup"), 6);
        replica.1.set_backups(true).unwrap();
        self.state.snapshots.lock().unwrap().clear();
        drop(replica);
        self.cut();
    }

    /// Returns the number of entries that the server has.
    pub(crate) fn head(&self) -> u64 {
        self.state.replica().status().unwrap().head
    }

    /// Returns the objects of the server as an app would see them.
    pub(crate) fn texts(&self) -> Vec<String> {
        let store = self.state.replica.lock().unwrap().0.clone();
        let wanted = fastness::object::DatabaseOptions::dynamic();
        texts(&Database::from_store(store, &wanted).unwrap())
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.state.is_stopped.store(true, Ordering::SeqCst);
        self.cut();
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn open(path: &Path, epoch: u64) -> (Store, ServerReplica) {
    let store = StoreOptions::new().open_or_create(path).unwrap();
    let replica = ServerReplica::open(store.clone(), &Opening { database: [1; 16], epoch });
    (store, replica.unwrap())
}

/// Serves a connection: a token, or a WebSocket.
fn serve(state: Arc<ServerState>, mut stream: TcpStream) {
    let mut head = [0; 9];
    stream.set_read_timeout(Some(FOREVER)).unwrap();
    if stream.peek(&mut head).unwrap_or_default() < head.len() {
        return;
    }
    if state.is_refusing.load(Ordering::SeqCst) {
        return;
    }
    if head.starts_with(b"GET /sync") {
        state.connections.fetch_add(1, Ordering::SeqCst);
        while state.is_holding.load(Ordering::SeqCst) && !state.is_stopped.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        let accept = |_: &_, mut response: tungstenite::handshake::server::Response| {
            let name = "Sec-WebSocket-Protocol";
            response.headers_mut().insert(name, "fastness.1".parse().unwrap());
            Ok(response)
        };
        let Ok(socket) = tungstenite::accept_hdr(stream, accept) else { return };
        socket.get_ref().set_nodelay(true).unwrap();
        socket.get_ref().set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        return Peer::new(state, socket).serve();
    }
    answer(&state, &mut stream);
}

/// Answers a request with a token.
fn answer(state: &ServerState, stream: &mut TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or_default() == 0 {
            return;
        }
        head.push(byte[0].to_ascii_lowercase());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    let number = state.tokens.fetch_add(1, Ordering::SeqCst) + 1;
    let expires = now() / 1000 + 600;
    let body = format!(
        r#"{{"access_token": {{"token": "token-{number}", "token_data": {{"identity": "me",
        "path": "/me/sync", "expires": {expires}, "access": ["upload", "download"]}}}}}}"#
    );
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all((head + &body).as_bytes()).unwrap();
}

/// An app of one user, with a folder of its own.
pub(crate) struct TestApp {
    pub(crate) sync: SyncClient,
    pub(crate) registry: FileRegistry,
    pub(crate) client: Client,
    pub(crate) user: LoggedInUser,
    pub(crate) app: App,
    pub(crate) folder: TempDir,
}

impl TestApp {
    pub(crate) fn new(server: &TestServer) -> Self {
        Self::in_folder(server, tempfile::tempdir().unwrap())
    }

    /// Starts the app again.
    pub(crate) fn restart(self, server: &TestServer) -> Self {
        let Self { sync, registry, client, folder, .. } = self;
        drop((sync, registry, client));
        Self::in_folder(server, folder)
    }

    /// Starts the app again without a server: the user is still logged in.
    pub(crate) fn restart_offline(self) -> Self {
        let Self { sync, registry, client, folder, .. } = self;
        drop((sync, registry, client));
        Self::with_login(folder, |client| client.current().unwrap().unwrap())
    }

    fn in_folder(server: &TestServer, folder: TempDir) -> Self {
        let login = Credentials::access_token("refresh", "me", false);
        Self::with_login(folder, |client| client.log_in(&server.url(), login).unwrap())
    }

    fn with_login(folder: TempDir, log_in: impl FnOnce(&Client) -> LoggedInUser) -> Self {
        let options = StoreOptions::new().key(Key::new([7; 64]));
        let users = options.open_or_create(folder.path().join("users")).unwrap();
        let config = Config { proxy: Proxy::None, ..Config::default() };
        let client = Client::open(users, config).unwrap();
        let user = log_in(&client);
        let app = App::new(folder.path()).default_module(module());
        let registry = FileRegistry::open(&app, StoreOptions::new()).unwrap();
        let sync = SyncClient::open(&client, &registry);
        Self { sync, registry, client, user, app, folder }
    }

    pub(crate) fn builder(&self) -> SyncBuilder {
        self.builder_at("/~/notes")
    }

    fn builder_at(&self, path: &str) -> SyncBuilder {
        let user = User::new("me", self.user.user().url.as_str()).unwrap();
        Configuration::sync_builder(&self.app, &user, path).unwrap()
    }

    pub(crate) fn open_at(&self, path: &str) -> SyncedFile {
        self.sync.open_file(&self.builder_at(path).build().unwrap()).unwrap()
    }

    pub(crate) fn open(&self) -> SyncedFile {
        self.sync.open_file(&self.builder().build().unwrap()).unwrap()
    }
}

fn module() -> Module {
    let note = Class::new("Note")
        .unwrap()
        .with(Property::new("id", Scalar::Int).unwrap().required().primary_key())
        .with(Property::new("text", Scalar::String).unwrap())
        .with(Property::new("hits", PropertyType::Counter).unwrap());
    Module::new("notes", [note])
}

/// Writes a note.
pub(crate) fn write(file: &SyncedFile, id: i64, text: &str) {
    let written = file.database().transact(|txn| {
        let (note, _) = txn.get_or_create("Note", id)?;
        txn.set(&note, "text", text)
    });
    written.unwrap();
}

/// Returns the texts of all notes in the order of their ids.
pub(crate) fn texts(database: &Database) -> Vec<String> {
    let snapshot = database.snapshot().unwrap();
    let Ok(notes) = snapshot.objects("Note") else { return Vec::new() };
    let text = |note: fastness::object::Object<'_>| match note.get("text").unwrap() {
        fastness::object::Value::String(text) => text.to_string(),
        other => format!("{other:?}"),
    };
    notes.iter().unwrap().map(|note| text(note.unwrap())).collect()
}
