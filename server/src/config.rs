//! Configuration of a server.

use fastness::Key;
use fastness_auth::server::{Policy, RateLimits};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Configuration of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// Data folder; created if it does not exist.
    pub data: PathBuf,
    /// Key of the account file. Without one the first start generates a key in the data folder.
    pub key: Option<Key>,
    /// Address to listen on; port 0 takes a free port.
    pub listen: SocketAddr,
    /// Certificate and key; without them the server speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Reverse proxies whose header `X-Forwarded-For` names the client.
    pub trusted_proxies: Vec<IpAddr>,
    /// Lifetimes of tokens, and logins per account.
    pub policy: Policy,
    /// Rates of password attempts.
    pub limits: RateLimits,
    /// Costs of a password hash.
    pub hashing: HashCosts,
    /// Limits of connections and requests.
    pub http: HttpLimits,
    /// Limits of sync.
    pub sync: SyncLimits,
    /// Folder of the backups of databases and accounts; without it acknowledged is as durable as
    /// the disk of the server.
    pub backup: Option<PathBuf>,
    /// Whether administrators get the console, and requests over HTTP.
    pub console: bool,
}

/// PEM files for TLS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key of the certificate.
    pub key: PathBuf,
}

/// Costs of argon2id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashCosts {
    /// Memory, in KiB: 19,456.
    pub memory_kib: u32,
    /// Passes over the memory: 2.
    pub passes: u32,
}

/// Limits of connections and requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HttpLimits {
    /// Time for the head of a request, idle time of the connection included: 10 s.
    pub head_timeout: Duration,
    /// Time for the body of a request: 10 s.
    pub body_timeout: Duration,
    /// Time without progress of a response: 10 s.
    pub write_timeout: Duration,
    /// Time for the TLS handshake: 10 s.
    pub handshake_timeout: Duration,
    /// Connections: 4,096.
    pub connections_max: usize,
    /// Connections from one address: 256.
    pub connections_per_address_max: usize,
    /// Passwords that wait for a hash: 1,024.
    pub hash_queue_max: usize,
    /// Time for requests in flight when the server stops: 5 s.
    pub shutdown_timeout: Duration,
}

/// Limits of sync.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SyncLimits {
    /// WebSocket connections, which are connections of [`HttpLimits`], too: 4,096.
    pub connections_max: usize,
    /// Bytes of frames in work, and bytes of answers that wait for the peer, each, from which on a
    /// connection is not read: 4 MiB.
    pub connection_bytes: usize,
    /// Bytes of entries that a session may upload without an answer: 4 MiB.
    pub window_bytes: u64,
    /// Interval of the PINGs of clients; the server ends a connection that sends nothing for twice
    /// as long: 30 s.
    pub ping_interval: Duration,
    /// Connections of one user: 64.
    pub connections_per_user_max: usize,
    /// Bytes of the databases of one user, from which on no more is uploaded to them: unlimited.
    pub user_bytes_max: Option<u64>,
    /// Bytes that one user uploads in a second, in the mean of ten: unlimited.
    pub upload_rate: Option<u64>,
    /// Time after the last contact for which the history is kept for a client: 60 days.
    pub expiry: Duration,
    /// Bytes of a history from which on clients expire earlier, but not within a day: 256 MiB.
    pub history_bytes: u64,
    /// Interval of the upkeep, which moves horizons and makes backups: 10 minutes.
    pub upkeep_interval: Duration,
    /// Threads of databases: 4.
    pub workers: usize,
    /// Databases that are open: 256.
    pub databases_max: usize,
    /// Cache of each open database, in bytes: 4 MiB.
    pub cache_bytes: usize,
}

impl Config {
    /// Creates a configuration with default limits.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>, listen: impl Into<SocketAddr>) -> Self {
        Self {
            data: data.into(),
            key: None,
            listen: listen.into(),
            tls: None,
            trusted_proxies: Vec::new(),
            policy: Policy::default(),
            limits: RateLimits::default(),
            hashing: HashCosts::default(),
            http: HttpLimits::default(),
            sync: SyncLimits::default(),
            backup: None,
            console: true,
        }
    }
}

/// The costs that OWASP recommends for argon2id with the least memory.
impl Default for HashCosts {
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2 }
    }
}

impl Default for HttpLimits {
    fn default() -> Self {
        let patience = Duration::from_secs(10);
        Self {
            head_timeout: patience,
            body_timeout: patience,
            write_timeout: patience,
            handshake_timeout: patience,
            connections_max: 4096,
            connections_per_address_max: 256,
            hash_queue_max: 1024,
            shutdown_timeout: Duration::from_secs(5),
        }
    }
}

impl SyncLimits {
    /// Returns the expiry of clients in milliseconds.
    pub(crate) fn expiry_ms(&self) -> u64 {
        u64::try_from(self.expiry.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Default for SyncLimits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            connection_bytes: 4 << 20,
            window_bytes: 4 << 20,
            ping_interval: Duration::from_secs(30),
            connections_per_user_max: 64,
            user_bytes_max: None,
            upload_rate: None,
            expiry: Duration::from_secs(60 * 86_400),
            history_bytes: 256 << 20,
            upkeep_interval: Duration::from_secs(600),
            workers: 4,
            databases_max: 256,
            cache_bytes: 4 << 20,
        }
    }
}
