//! The sync client: opens synced files, and has the connections that serve them.

use super::address::Address;
use super::connection::NewConnection;
use super::error::SyncCallError;
use super::file::{OpenFile, SyncedFile};
use super::hooks::{FileHook, HookTable};
use super::local;
use super::login::Login;
use super::message::{ConnectionHandle, ConnectionMessage, FileId};
use super::reset::SyncOptions;
use super::status::{SessionState, SharedStatus, Uploads};
use super::table::{FileShared, FileTable};
use super::transport::Target;
use super::worker::{FileWorker, WorkerParts};
use crate::client::Client;
use crate::config::RootCertificates;
use crate::error::ConfigError;
use fastness::config::{Configuration, SyncPart};
use fastness::instance::{FileRegistry, Instance};
use fastness::object::Snapshot;
use fastness::{InstanceError, OsRandom, RandomSource as _};
use fastness_auth::AuthUrl;
use fastness_auth::users::UserId;
use fastness_sync::client::ClientReplica;
use fastness_sync::session::SESSIONS_MAX;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Synchronizes the files of an app. Clones share it; when the last one is dropped, all sessions
/// end, and files and pending entries remain.
///
/// One exists for each [`FileRegistry`], and is opened before any synced file.
///
/// ```no_run
/// # use fastness::config::{App, Configuration, User};
/// # use fastness::instance::{FileRegistry, Instance};
/// # use fastness_client::{Client, LoggedInUser, SyncClient};
/// # use std::time::Duration;
/// # fn open(
/// #     app: App,
/// #     client: Client,
/// #     user: LoggedInUser,
/// #     registry: FileRegistry,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// let sync = SyncClient::open(&client, &registry);
/// let user = User::new(user.user().identity(), user.user().url.as_str())?;
/// let todo = Configuration::sync_builder(&app, &user, "/~/todo")?.build()?;
/// let todo = sync.open_file(&todo)?;
///
/// todo.database().transact(|txn| txn.create("Task").map(drop))?;
/// todo.upload_all(Duration::from_secs(30))?; // or never: it is uploaded anyway
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SyncClient(Arc<SyncState>);

struct SyncState {
    client: Client,
    registry: FileRegistry,
    hooks: Arc<HookTable>,
    table: Arc<FileTable>,
    connections: Mutex<Vec<Connection>>,
    files: AtomicU64,
}

/// A connection, and the files that share it.
struct Connection {
    key: ConnectionKey,
    handle: ConnectionHandle,
    thread: JoinHandle<()>,
    /// Each file has a clone.
    share: Arc<()>,
}

/// The common part of the files of a connection.
#[derive(Clone, PartialEq, Eq)]
struct ConnectionKey {
    address: Address,
    user: UserId,
    roots: RootCertificates,
}

impl SyncClient {
    /// Opens a sync client over the logins of a client and the files of a registry.
    #[must_use]
    pub fn open(client: &Client, registry: &FileRegistry) -> Self {
        Self(Arc::new(SyncState {
            client: client.clone(),
            registry: registry.clone(),
            hooks: HookTable::install(registry),
            table: Arc::default(),
            connections: Mutex::default(),
            files: AtomicU64::new(0),
        }))
    }

    /// Opens a synced file with the default options.
    ///
    /// # Errors
    /// As [`SyncClient::open_file_with`].
    pub fn open_file(&self, configuration: &Configuration) -> Result<SyncedFile, SyncCallError> {
        self.open_file_with(configuration, SyncOptions::new())
    }

    /// Opens a synced file, which works without the server too. The options of the first opening
    /// count while the session exists.
    ///
    /// A configuration that waits for initial data makes the first opening wait for what the server
    /// has, while the server can be reached: see [`SyncOptions::initial_data_timeout`]. A file with
    /// a read-only configuration gets what the server has, and refuses the commits of the app.
    ///
    /// # Errors
    /// [`SyncCallError::File`] as [`FileRegistry::open_instance`], for a configuration that is not
    /// synced, and for a read-only one whose classes the server does not have;
    /// [`SyncCallError::OpenedBefore`]; [`SyncCallError::Config`]; [`SyncCallError::Closed`]; as
    /// [`SyncedFile::download_all`] if the first opening waits.
    pub fn open_file_with(
        &self,
        configuration: &Configuration,
        options: SyncOptions,
    ) -> Result<SyncedFile, SyncCallError> {
        let state = &self.0;
        let path = configuration.path();
        if configuration.sync().is_none() {
            let error = InstanceError::NotSynced { path: path.to_path_buf() };
            return Err(fastness::Error::from(error).into());
        }
        let instance = state.open_instance(configuration)?;
        let Some(hook) = state.hooks.get(path) else {
            return Err(SyncCallError::OpenedBefore { path: path.to_path_buf() });
        };
        let replica = ClientReplica::new(instance.database()?, hook.clock.clone())?;
        let is_new = replica.meta()?.cursor == 0;
        let (policy, timeout) = (options.policy, options.initial_data_timeout);
        let entry = state.table.open(path, || {
            let file = NewFile { replica: &replica, hook: &hook, options };
            state.start(configuration, file)
        })?;
        let file = SyncedFile::new(OpenFile {
            configuration: configuration.clone(),
            registry: state.registry.clone(),
            replica,
            entry,
            table: Arc::clone(&state.table),
            policy,
            instance: Mutex::new(Some(Box::new(instance))),
        });
        let waits = configuration.sync().is_some_and(SyncPart::waits_for_initial_data);
        if is_new && waits {
            wait_for_initial_data(&file, timeout)?;
        }
        if configuration.is_read_only() {
            file.hold(state.registry.open_instance(configuration)?);
        }
        Ok(file)
    }

    /// Makes the file of a synced configuration from the objects of a local database, which goes
    /// online so: opened, the synced file is uploaded. After an error or a crash it does not exist.
    /// The local database stays as it is. Objects with primary keys merge with those of other
    /// devices; the others are new objects.
    ///
    /// # Errors
    /// [`SyncCallError::File`] if the synced file exists, for a configuration that is not synced,
    /// if a value is longer than an entry may be, and as reading and writing;
    /// [`SyncCallError::Closed`] for a property of a later version.
    pub fn go_online(
        &self,
        local: &Snapshot,
        configuration: &Configuration,
    ) -> Result<(), SyncCallError> {
        local::make_synced(local, configuration)
    }

    /// Reports that the network is up, or has changed: connections that wait connect at once, and
    /// sessions that wait after an error begin at once.
    pub fn reconnect(&self) {
        self.0.client.online();
        let connections = self.0.connections.lock().unwrap_or_else(PoisonError::into_inner);
        for connection in &*connections {
            connection.handle.send(ConnectionMessage::Reconnect);
        }
    }
}

/// A file whose session is being started.
struct NewFile<'f> {
    replica: &'f ClientReplica,
    hook: &'f Arc<FileHook>,
    options: SyncOptions,
}

impl SyncState {
    /// Opens an instance of a file. The classes of one that is only read come with its first
    /// download.
    fn open_instance(&self, configuration: &Configuration) -> fastness::Result<Instance> {
        match configuration.is_read_only() {
            true => self.registry.open_dynamic(configuration),
            false => self.registry.open_instance(configuration),
        }
    }

    /// Starts the thread of a file.
    fn start(
        &self,
        configuration: &Configuration,
        file: NewFile<'_>,
    ) -> Result<(FileShared, JoinHandle<()>), SyncCallError> {
        let (connection, share) = self.connection(configuration)?;
        let id = FileId(self.files.fetch_add(1, Ordering::Relaxed) + 1);
        let uploads = uploads(file.replica)?;
        let status = SharedStatus::new(SessionState::WaitingForAccessToken, uploads);
        let (sender, inbox) = channel();
        let entry = FileShared {
            status: Arc::new(status),
            inbox: sender.clone(),
            listeners: Arc::default(),
        };
        let worker = FileWorker::new(WorkerParts {
            id,
            configuration: configuration.clone(),
            options: file.options,
            registry: self.registry.clone(),
            replica: file.replica.clone(),
            hook: Arc::clone(file.hook),
            entry: entry.clone(),
            connection: connection.clone(),
            table: Arc::clone(&self.table),
            inbox,
            seed: seed()?,
            _share: share,
        });
        let thread = Builder::new().name("fastness-file".to_owned()).spawn(move || worker.run());
        let thread = thread.map_err(SyncCallError::closed)?;
        file.hook.attach(sender.clone());
        connection.send(ConnectionMessage::Attach(id, sender));
        Ok((entry, thread))
    }

    /// Returns the connection of a file, and starts one if there is none with room.
    fn connection(
        &self,
        configuration: &Configuration,
    ) -> Result<(ConnectionHandle, Arc<()>), SyncCallError> {
        let key = self.key(configuration)?;
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = |other: &&Connection| {
            other.key == key && Arc::strong_count(&other.share) <= SESSIONS_MAX
        };
        if let Some(found) = connections.iter().find(has_room) {
            return Ok((found.handle.clone(), Arc::clone(&found.share)));
        }
        let config = self.client.config();
        let within = config.connect_timeout;
        let target = Target::new(key.address.clone(), &key.roots, &config.proxy, within)?;
        let new = NewConnection::new().map_err(SyncCallError::closed)?;
        let handle = new.handle.clone();
        let login = Login::new(&self.client, &key.user, &handle);
        let thread = new.start(target, login, seed()?).map_err(SyncCallError::closed)?;
        let share = Arc::new(());
        let clones = (handle.clone(), Arc::clone(&share));
        connections.push(Connection { key, handle, thread, share });
        Ok(clones)
    }

    fn key(&self, configuration: &Configuration) -> Result<ConnectionKey, SyncCallError> {
        let invalid = || SyncCallError::Config(ConfigError::Address);
        let sync = configuration.sync().ok_or_else(invalid)?;
        let address = Address::of(sync).ok_or_else(invalid)?;
        let url = AuthUrl::parse(sync.user().authentication_url()).map_err(|_| invalid())?;
        let identity = sync.user().identity().unwrap_or_default().to_owned();
        if address.is_secure && !sync.checks_certificate() {
            return Err(ConfigError::CertificateCheck.into());
        }
        let roots = match sync.certificate_path() {
            None => self.client.config().root_certificates.clone(),
            Some(path) => {
                let pem = std::fs::read(path).map_err(|_| ConfigError::RootCertificates)?;
                RootCertificates::Pem(pem)
            }
        };
        Ok(ConnectionKey { address, user: UserId { url, identity }, roots })
    }
}

/// Waits for what the server has, while the server can be reached.
fn wait_for_initial_data(file: &SyncedFile, timeout: Duration) -> Result<(), SyncCallError> {
    loop {
        match file.download_all(timeout) {
            Err(SyncCallError::TimedOut) if file.is_connected() && !timeout.is_zero() => {}
            outcome => return outcome,
        }
    }
}

/// Returns the progress of the uploads of a file that is opened.
fn uploads(replica: &ClientReplica) -> Result<Uploads, SyncCallError> {
    let meta = replica.meta()?;
    let pending = replica.upload_after(0, 0)?.entries;
    let first = pending.first().map(|(first, _)| *first);
    let uploaded = first.map_or(meta.last_client_seq, |first| first.saturating_sub(1));
    Ok(Uploads { client: meta.client, uploaded })
}

fn seed() -> Result<u64, SyncCallError> {
    let mut seed = [0; 8];
    OsRandom.fill(&mut seed).map_err(SyncCallError::closed)?;
    Ok(u64::from_le_bytes(seed))
}

impl Drop for SyncState {
    fn drop(&mut self) {
        // Files first: the frames that end their sessions pass through the connections.
        self.table.stop();
        let connections = self.connections.get_mut().unwrap_or_else(PoisonError::into_inner);
        for Connection { handle, thread, .. } in connections.drain(..) {
            handle.send(ConnectionMessage::Stop);
            thread.join().unwrap_or_default();
        }
    }
}

impl fmt::Debug for SyncClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SyncClient(..)")
    }
}
