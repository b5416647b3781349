//! Requests of the operator about databases, clients and connections.
//!
//! - H29 The operator ends connections of users at once.

use super::database_files::file_of;
use super::hub::SyncHub;
use super::job::OpenReport;
use crate::clocks::millis;
use fastness_auth::server::DatabasePath;
use fastness_sync::frame::Code;
use fastness_sync::server::{ClientReport, ServerError};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;

/// Clients and dead letters of one report; one that leaves some out says so.
pub(super) const ROWS_MAX: usize = 10_000;

/// A request of the operator about sync.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SyncRequest {
    /// Connections, and the numbers of the server.
    Status,
    /// All databases.
    Databases,
    /// Clients of a database.
    Clients {
        /// Path of the database.
        path: String,
    },
    /// Refused entries of a database: the newest, and those whose clients have not confirmed the
    /// refusal.
    DeadLetters {
        /// Path of the database.
        path: String,
    },
    /// Submit a refused entry again.
    Retry {
        /// Path of the database.
        path: String,
        /// Number of the refused entry.
        number: u64,
    },
    /// Drop a refused entry.
    Discard {
        /// Path of the database.
        path: String,
        /// Number of the refused entry.
        number: u64,
    },
    /// End the connections of a user, or one connection.
    Kick {
        /// Identity of the user, or number of the connection.
        who: String,
    },
    /// Keep no more history for a client.
    Expire {
        /// Path of the database.
        path: String,
        /// Number of the client.
        client: u32,
    },
    /// Move horizons and make backups now.
    Upkeep,
}

/// Reply to a [`SyncRequest`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SyncReply {
    /// The result, as a JSON object.
    Report(String),
    /// The request was refused, for this reason.
    Refused(String),
}

impl SyncRequest {
    /// Returns the name of the request, for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Status => "sync-status",
            Self::Databases => "sync-databases",
            Self::Clients { .. } => "sync-clients",
            Self::DeadLetters { .. } => "sync-dead-letters",
            Self::Retry { .. } => "sync-retry",
            Self::Discard { .. } => "sync-discard",
            Self::Kick { .. } => "sync-kick",
            Self::Expire { .. } => "sync-expire",
            Self::Upkeep => "sync-upkeep",
        }
    }

    /// Returns whether the request changes nothing.
    pub(crate) const fn is_report(&self) -> bool {
        match self {
            Self::Status | Self::Databases | Self::Clients { .. } | Self::DeadLetters { .. } => {
                true
            }
            Self::Retry { .. }
            | Self::Discard { .. }
            | Self::Kick { .. }
            | Self::Expire { .. }
            | Self::Upkeep => false,
        }
    }

    /// Encodes the request as JSON.
    #[must_use]
    pub fn encode(&self) -> String {
        let request = self.name();
        let value = match self {
            Self::Status | Self::Databases | Self::Upkeep => json!({ "request": request }),
            Self::Clients { path } | Self::DeadLetters { path } => {
                json!({ "request": request, "path": path })
            }
            Self::Retry { path, number } | Self::Discard { path, number } => {
                json!({ "request": request, "path": path, "number": number })
            }
            Self::Kick { who } => json!({ "request": request, "who": who }),
            Self::Expire { path, client } => {
                json!({ "request": request, "path": path, "client": client })
            }
        };
        value.to_string()
    }

    /// Decodes a request.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let object: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
        let text = |name: &str| object.get(name)?.as_str().map(str::to_owned);
        let number = || object.get("number")?.as_u64();
        Some(match text("request")?.as_str() {
            "sync-status" => Self::Status,
            "sync-databases" => Self::Databases,
            "sync-clients" => Self::Clients { path: text("path")? },
            "sync-dead-letters" => Self::DeadLetters { path: text("path")? },
            "sync-retry" => Self::Retry { path: text("path")?, number: number()? },
            "sync-discard" => Self::Discard { path: text("path")?, number: number()? },
            "sync-kick" => Self::Kick { who: text("who")? },
            "sync-expire" => {
                let client = u32::try_from(object.get("client")?.as_u64()?).ok()?;
                Self::Expire { path: text("path")?, client }
            }
            "sync-upkeep" => Self::Upkeep,
            _ => return None,
        })
    }
}

impl SyncReply {
    /// Encodes the reply as JSON.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Report(report) => report.clone(),
            Self::Refused(reason) => json!({ "refused": reason }).to_string(),
        }
    }

    /// Decodes a reply.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let object: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
        Some(match object.get("refused") {
            Some(reason) => Self::Refused(reason.as_str()?.to_owned()),
            None => Self::Report(Value::Object(object).to_string()),
        })
    }
}

/// Shortens a report to its rows. Tells whether some are left out.
pub(super) fn cut<T>(rows: &mut Vec<T>) -> bool {
    let is_cut = rows.len() > ROWS_MAX;
    rows.truncate(ROWS_MAX);
    is_cut
}

/// Reason for which a request is refused.
pub(super) type Reason = String;

impl SyncHub {
    /// Carries out a request; waits for the disk.
    pub(crate) fn operate(&self, request: &SyncRequest) -> SyncReply {
        let report = match request {
            SyncRequest::Status => self.status(),
            SyncRequest::Databases => self.databases(),
            SyncRequest::Clients { path } => self.clients(path),
            SyncRequest::DeadLetters { path } => self.dead_letters(path),
            SyncRequest::Retry { path, number } => self.retry(path, *number),
            SyncRequest::Discard { path, number } => self.discard(path, *number),
            SyncRequest::Kick { who } => Ok(self.kick(who)),
            SyncRequest::Expire { path, client } => self.expire(path, *client),
            SyncRequest::Upkeep => self.upkeep(),
        };
        match report {
            Ok(report) => SyncReply::Report(report.to_string()),
            Err(reason) => SyncReply::Refused(reason),
        }
    }

    fn upkeep(&self) -> Result<Value, Reason> {
        let reason = "the upkeep did not end; the log of the server says why";
        let failures = self.keep().ok_or(reason)?;
        Ok(json!({ "failures": failures }))
    }

    fn status(&self) -> Result<Value, Reason> {
        let now = (self.clocks.wall)();
        let connections: Vec<Value> = (self.registry.all().into_iter())
            .map(|(number, entry)| {
                let seconds = now.since(entry.since).as_secs();
                let waiting = entry.link.answer_bytes();
                let user = entry.user.as_deref();
                json!({ "connection": number, "user": user, "seconds": seconds,
                    "bytes_waiting": waiting })
            })
            .collect();
        let numbers: Map<String, Value> = (self.metrics().into_iter())
            .map(|metric| (metric.name.to_owned(), metric.value.into()))
            .collect();
        let uptime = (self.clocks.monotonic)().since(self.started).as_secs();
        let version = env!("CARGO_PKG_VERSION");
        Ok(json!({ "connections": connections, "numbers": numbers, "uptime_seconds": uptime,
            "version": version }))
    }

    fn databases(&self) -> Result<Value, Reason> {
        let open = self.open_databases().ok_or("a thread of databases does not answer")?;
        let open: BTreeMap<DatabasePath, OpenReport> =
            open.into_iter().map(|report| (report.path.clone(), report)).collect();
        let paths = self.paths().map_err(|error| error.to_string())?;
        let databases = paths.iter().map(|path| {
            let file = file_of(&self.folder, path).and_then(|file| fs::metadata(file).ok());
            let bytes = file.map_or(0, |file| file.len());
            let report = open.get(path);
            let status = report.and_then(|report| report.status);
            json!({
                "path": path.as_str(),
                "bytes": bytes,
                "sessions": report.map_or(0, |report| report.sessions),
                "behind": report.map_or(0, |report| report.behind),
                "head": status.map(|status| status.head),
                "horizon": status.map(|status| status.horizon),
                "durable_seq": status.map(|status| status.durable_seq),
                "history_bytes": status.map(|status| status.history_bytes),
            })
        });
        Ok(json!({ "databases": databases.collect::<Vec<_>>() }))
    }

    fn clients(&self, path: &str) -> Result<Value, Reason> {
        let opened = self.open_replica(&operator_path(path)?).map_err(refusal)?;
        let head = opened.replica.status().map_err(failure)?.head;
        let now = millis((self.clocks.wall)());
        let mut clients = opened.replica.clients(ROWS_MAX + 1).map_err(failure)?;
        let is_cut = cut(&mut clients);
        let clients = clients.into_iter().map(|client| {
            let ClientReport { client: number, user, last_client_seq, needs, contact } = client;
            let state = match contact {
                0 => "earlier epoch",
                1 => "expired",
                _ if opened.online.contains(&number) => "online",
                _ => "offline",
            };
            let seconds = (contact > 1).then(|| now.saturating_sub(contact) / 1000);
            json!({
                "client": number,
                "user": user,
                "state": state,
                "last_client_seq": last_client_seq,
                "needs": needs,
                "behind": head.saturating_sub(needs),
                "seconds_since_contact": seconds,
            })
        });
        Ok(json!({ "head": head, "clients": clients.collect::<Vec<_>>(), "is_cut": is_cut }))
    }

    fn kick(&self, who: &str) -> Value {
        let number: Option<u64> = who.parse().ok();
        let ended = self.registry.end(|connection, entry| {
            let is_meant = entry.user.as_deref() == Some(who) || number == Some(connection);
            is_meant.then_some(Code::CONNECTION_CLOSED)
        });
        json!({ "ended": ended })
    }

    fn expire(&self, path: &str, client: u32) -> Result<Value, Reason> {
        let opened = self.open_replica(&operator_path(path)?).map_err(refusal)?;
        opened.replica.expire(client).map_err(failure)?;
        Ok(json!({}))
    }
}

/// Parses a path; an operator has no `~`.
pub(super) fn operator_path(path: &str) -> Result<DatabasePath, Reason> {
    let path = Some(path).filter(|path| !path.starts_with("/~"));
    let path = path.and_then(|path| DatabasePath::resolve(path, ""));
    path.ok_or_else(|| "a path of a database is /IDENTITY/NAME".to_owned())
}

pub(super) fn refusal(code: Code) -> Reason {
    if code == Code::NO_DATABASE {
        "there is no such database".to_owned()
    } else {
        "the database cannot be opened now; the log of the server says why".to_owned()
    }
}

pub(super) fn failure(error: ServerError) -> Reason {
    error.to_string()
}
