//! Requests of the operator: over a socket in the data folder, or on the files of a server that
//! does not run.
//!
//! - H22 Only the owner of the data folder, and the superuser, reach the socket. A request that
//!   does not arrive whole changes nothing.
//!
//! Specified in docs/operating.md.

use crate::clocks::{ServerClocks, monotonic, now};
use crate::config::Config;
use crate::data::{self, OpenData};
use crate::error::StartError;
use crate::hash_pool::Argon2id;
use crate::sync::{self, BackupPolicy, HubOptions, SyncHub, SyncReply, SyncRequest};
use fastness::{Key, OsRandom};
#[cfg(unix)]
use fastness_auth::Secret;
use fastness_auth::server::{Accounts, AdminReply, AdminRequest, PasswordHasher};
use std::io;
#[cfg(not(unix))]
use std::path::Path;
use std::sync::Arc;
#[cfg(not(unix))]
use zeroize::Zeroizing;

/// Name of the socket in the data folder.
pub const ADMIN_SOCKET: &str = "admin.socket";

/// Refusal of an upkeep without a server, which alone knows its limits and the folder of backups.
const NO_UPKEEP: &str = "no server runs; start it, and it does the upkeep with its own options";

/// Name of the operator in logs, who has no account.
const OPERATOR: &str = "operator";

/// Accounts of the requests of the operator.
pub(crate) struct AdminService {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) hasher: Arc<dyn PasswordHasher>,
    /// Key of the account file, for backups.
    pub(crate) key: Key,
    pub(crate) hub: Arc<SyncHub>,
}

impl AdminService {
    /// Carries out a request of the operator, or of the administrator with an identity: hashes, and
    /// waits for the disk.
    pub(crate) fn execute(&self, request: &AdminRequest, by: &str) -> AdminReply {
        let reply = if let AdminRequest::Backup { target } = request {
            match self.accounts.copy(target, &self.key) {
                Ok(()) => AdminReply::Done,
                Err(error) => AdminReply::Refused(error.to_string()),
            }
        } else {
            self.accounts.administer(now(), request, &*self.hasher)
        };
        let outcome = if let AdminReply::Refused(_) = reply { "refused" } else { "done" };
        // The console asks for the accounts every few seconds.
        if !matches!(request, AdminRequest::ListUsers) {
            tracing::info!(request = request.name(), by, "operator: {outcome}");
            // Connections of accounts that were blocked or deleted end with them.
            self.hub.end_revoked();
        }
        reply
    }

    /// Carries out a request about sync.
    pub(crate) fn execute_sync(&self, request: &SyncRequest, by: &str) -> SyncReply {
        let reply = self.hub.operate(request);
        let outcome = if let SyncReply::Refused(_) = reply { "refused" } else { "done" };
        if !request.is_report() {
            tracing::info!(request = request.name(), by, "operator: {outcome}");
        }
        reply
    }

    /// Carries out a request of any bytes.
    #[cfg(unix)]
    fn answer(&self, bytes: &[u8]) -> Secret {
        if let Some(request) = AdminRequest::decode(bytes) {
            self.execute(&request, OPERATOR).encode()
        } else if let Some(request) = SyncRequest::decode(bytes) {
            Secret::new(self.execute_sync(&request, OPERATOR).encode())
        } else {
            AdminReply::Refused("the request is none of this version".to_owned()).encode()
        }
    }
}

/// Sends a request to the server that uses the data folder of `config`. Without one, carries it out
/// on the account file itself, which must exist.
///
/// # Errors
/// [`StartError`], whose message says what to do.
pub fn administer(config: &Config, request: &AdminRequest) -> Result<AdminReply, StartError> {
    match ask(config, request.encode().expose().as_bytes(), AdminReply::decode)? {
        Some(reply) => Ok(reply),
        None => offline(config, |service| service.execute(request, OPERATOR)),
    }
}

/// Sends a request about sync to the server that uses the data folder of `config`. Without one,
/// carries it out on the files themselves, which must exist; an upkeep needs the server.
///
/// # Errors
/// [`StartError`], whose message says what to do.
pub fn operate(config: &Config, request: &SyncRequest) -> Result<SyncReply, StartError> {
    match ask(config, request.encode().as_bytes(), SyncReply::decode)? {
        Some(reply) => Ok(reply),
        None if *request == SyncRequest::Upkeep => Ok(SyncReply::Refused(NO_UPKEEP.to_owned())),
        None => offline(config, |service| service.execute_sync(request, OPERATOR)),
    }
}

/// Sends a request; returns `None` if no server runs.
fn ask<R>(
    config: &Config,
    request: &[u8],
    decode: impl Fn(&[u8]) -> Option<R>,
) -> Result<Option<R>, StartError> {
    let socket = config.data.join(ADMIN_SOCKET);
    let answer = match send(&socket, request) {
        Ok(answer) => answer,
        // The socket does not exist, or its server has left it.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::Unsupported
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(StartError::Data(socket, error)),
    };
    let text = "the server ended before its reply; look at its state, then try again";
    let incomplete = io::Error::new(io::ErrorKind::UnexpectedEof, text);
    decode(&answer).map(Some).ok_or(StartError::Data(socket, incomplete))
}

/// Carries out a request on the files of a server that does not run.
fn offline<R>(config: &Config, run: impl FnOnce(&AdminService) -> R) -> Result<R, StartError> {
    let hasher = Argon2id::new(config.hashing)?;
    let OpenData { store, key } = data::open_existing(config)?;
    let accounts = Arc::new(Accounts::open(store, Arc::new(OsRandom), config.policy)?);
    let hub = hub_of(config, BackupPolicy::Unchanged, (&accounts, &key))?;
    let service = AdminService { accounts, hasher: Arc::new(hasher), key, hub };
    let reply = run(&service);
    service.hub.end();
    Ok(reply)
}

/// Starts the sync server of a data folder.
pub(crate) fn hub_of(
    config: &Config,
    backup: BackupPolicy,
    (accounts, key): (&Arc<Accounts>, &Key),
) -> Result<Arc<SyncHub>, StartError> {
    let hub = sync::start(HubOptions {
        data: config.data.clone(),
        key: key.clone(),
        limits: config.sync,
        backup,
        clocks: ServerClocks { wall: now, monotonic },
        accounts: Arc::clone(accounts),
    });
    hub.map_err(StartError::System)
}

#[cfg(unix)]
pub(crate) use socket::AdminSocket;
#[cfg(unix)]
use socket::send;

#[cfg(not(unix))]
fn send(_: &Path, _: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(unix)]
mod socket {
    use super::{ADMIN_SOCKET, AdminService};
    use std::fs;
    use std::io::{self, Read as _, Write as _};
    use std::net::Shutdown;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::os::unix::net::UnixStream as BlockingStream;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{UnixListener, UnixStream};
    use tokio::runtime::Runtime;
    use tokio::{task, time};
    use zeroize::Zeroizing;

    /// Longest request, in bytes.
    const REQUEST_BYTES_MAX: usize = 16 << 10;

    /// Time for a request to arrive, and for its reply to be taken.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// Delay after the system refused a connection.
    const REFUSED: Duration = Duration::from_millis(50);

    /// Socket of a running server. Dropping it removes the socket.
    pub(crate) struct AdminSocket {
        path: PathBuf,
    }

    impl AdminSocket {
        /// Listens in the data folder, which this server owns alone.
        pub(crate) fn listen(
            runtime: &Runtime,
            folder: &Path,
            service: Arc<AdminService>,
        ) -> io::Result<Self> {
            let path = folder.join(ADMIN_SOCKET);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let _entered = runtime.enter();
            let listener = UnixListener::bind(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            let owner = fs::metadata(&path)?.uid();
            runtime.spawn(accept(listener, owner, service));
            Ok(Self { path })
        }
    }

    impl Drop for AdminSocket {
        fn drop(&mut self) {
            // The next start removes it, too.
            fs::remove_file(&self.path).unwrap_or_default();
        }
    }

    async fn accept(listener: UnixListener, owner: u32, service: Arc<AdminService>) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let is_owner =
                        stream.peer_cred().is_ok_and(|peer| peer.uid() == owner || peer.uid() == 0);
                    if is_owner {
                        // One request at a time: their order is that of the log.
                        if let Err(error) = serve(stream, &service).await {
                            tracing::debug!(%error, "operator: connection ended");
                        }
                    } else {
                        tracing::warn!("operator: refused another user of this machine");
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "operator: cannot accept");
                    time::sleep(REFUSED).await;
                }
            }
        }
    }

    async fn serve(mut stream: UnixStream, service: &Arc<AdminService>) -> io::Result<()> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(REQUEST_BYTES_MAX));
        let limit = u64::try_from(REQUEST_BYTES_MAX).unwrap_or(u64::MAX);
        let mut request = (&mut stream).take(limit);
        time::timeout(PATIENCE, request.read_to_end(&mut bytes)).await??;
        // A longer request is cut, so it is none.
        let service = Arc::clone(service);
        let reply = task::spawn_blocking(move || service.answer(&bytes)).await?;
        time::timeout(PATIENCE, stream.write_all(reply.expose().as_bytes())).await??;
        stream.shutdown().await
    }

    /// Sends a request and waits for its reply.
    pub(super) fn send(path: &Path, request: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut stream = BlockingStream::connect(path)?;
        stream.write_all(request)?;
        stream.shutdown(Shutdown::Write)?;
        let mut bytes = Zeroizing::new(Vec::new());
        stream.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
