//! What a server is to do, as a value.

use fastness::Key;
use fastness_auth::server::{Limits, Policy};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where a server keeps its accounts, where it listens, and what it allows.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of the accounts; made if it is not there.
    pub data: PathBuf,
    /// The key of the accounts. Without one a key is made in the folder, at the first start.
    pub key: Option<Key>,
    /// Where to listen; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Certificate and key; without them the server speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// How long tokens live.
    pub policy: Policy,
    /// How often passwords may be tried.
    pub limits: Limits,
    /// What a hash of a password costs.
    pub hashing: HashCosts,
    /// What a connection may do.
    pub http: HttpLimits,
}

/// Two files in PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// The certificate, and those between it and the root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The costs of argon2id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashCosts {
    /// Memory, in KiB: 19,456.
    pub memory_kib: u32,
    /// Passes over it: 2.
    pub passes: u32,
}

/// Bounds on connections and requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HttpLimits {
    /// How long the head of a request may take, also the first after a pause: 10 s.
    pub head: Duration,
    /// How long its body may take: 10 s.
    pub body: Duration,
    /// How long a client may take none of an answer: 10 s.
    pub write: Duration,
    /// How long the handshake of TLS may take: 10 s.
    pub handshake: Duration,
    /// How many connections there may be: 4,096.
    pub connections: usize,
    /// How many from one address: 256.
    pub connections_per_address: usize,
    /// How many passwords may wait for being hashed: 1,024.
    pub hashes_waiting: usize,
    /// How long requests may take to end when the server is stopped: 5 s.
    pub grace: Duration,
}

impl Config {
    /// Starts with what fits most servers.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>, listen: impl Into<SocketAddr>) -> Self {
        Self {
            data: data.into(),
            key: None,
            listen: listen.into(),
            tls: None,
            policy: Policy::default(),
            limits: Limits::default(),
            hashing: HashCosts::default(),
            http: HttpLimits::default(),
        }
    }
}

/// What OWASP recommends for argon2id with least memory.
impl Default for HashCosts {
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2 }
    }
}

impl Default for HttpLimits {
    fn default() -> Self {
        let patience = Duration::from_secs(10);
        Self {
            head: patience,
            body: patience,
            write: patience,
            handshake: patience,
            connections: 4096,
            connections_per_address: 256,
            hashes_waiting: 1024,
            grace: Duration::from_secs(5),
        }
    }
}
