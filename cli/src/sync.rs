//! `fastness server`: databases, clients and connections of sync, on a running server too.
//!
//! - Y10 Results go to stdout; `--json` prints the report of the server as it is.

use crate::failure::Failure;
use crate::operator::DataArgs;
use clap::Subcommand;
use fastness_server::SyncRequest;
use serde_json::Value;
use std::io::Write;

#[derive(Debug, Subcommand)]
pub(crate) enum SyncCommand {
    /// Show the connections and the numbers of the server.
    Status(ReportArgs),
    /// List the databases.
    Databases(ReportArgs),
    /// List the clients of a database, and how far behind they are.
    Clients(PathArgs),
    /// List the refused entries of a database.
    DeadLetters(PathArgs),
    /// Submit a refused entry again, in the name of its user and with the right to write.
    Retry(LetterArgs),
    /// Drop a refused entry; its client keeps its copy.
    Discard(LetterArgs),
    /// End the connections of a user, or one connection; its client may connect again.
    Kick(KickArgs),
    /// Keep no more history for a client; if it returns, it may have to perform a client reset.
    Expire(ExpireArgs),
    /// Move horizons and make backups now.
    Upkeep(ReportArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PathArgs {
    /// Path of the database, /IDENTITY/NAME.
    path: String,
    #[command(flatten)]
    report: ReportArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct KickArgs {
    /// Identity of the user, or number of the connection.
    who: String,
    #[command(flatten)]
    report: ReportArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExpireArgs {
    #[command(flatten)]
    path: PathArgs,
    /// Number of the client.
    #[arg(long, value_name = "N")]
    client: u32,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LetterArgs {
    #[command(flatten)]
    path: PathArgs,
    /// Number of the refused entry.
    #[arg(long, value_name = "N")]
    number: u64,
}

/// Columns of a list: heading and field.
type Columns = [(&'static str, &'static str)];

const CONNECTIONS: &Columns = &[
    ("connection", "connection"),
    ("user", "user"),
    ("seconds", "seconds"),
    ("bytes waiting", "bytes_waiting"),
];
const DATABASES: &Columns = &[
    ("path", "path"),
    ("bytes", "bytes"),
    ("sessions", "sessions"),
    ("head", "head"),
    ("horizon", "horizon"),
    ("backed up", "durable_seq"),
];
const CLIENTS: &Columns = &[
    ("client", "client"),
    ("state", "state"),
    ("user", "user"),
    ("entries", "last_client_seq"),
    ("behind", "behind"),
    ("seconds since contact", "seconds_since_contact"),
];
const DEAD_LETTERS: &Columns = &[
    ("number", "number"),
    ("client", "client"),
    ("entry", "client_seq"),
    ("operation", "operation"),
    ("reason", "reason"),
    ("seconds", "seconds"),
];

/// Carries out a command about sync.
pub(crate) fn run(command: SyncCommand, out: &mut dyn Write) -> Result<u8, Failure> {
    let (request, args) = match command {
        SyncCommand::Status(args) => (SyncRequest::Status, args),
        SyncCommand::Databases(args) => (SyncRequest::Databases, args),
        SyncCommand::Clients(PathArgs { path, report }) => (SyncRequest::Clients { path }, report),
        SyncCommand::DeadLetters(PathArgs { path, report }) => {
            (SyncRequest::DeadLetters { path }, report)
        }
        SyncCommand::Retry(LetterArgs { path: PathArgs { path, report }, number }) => {
            (SyncRequest::Retry { path, number }, report)
        }
        SyncCommand::Discard(LetterArgs { path: PathArgs { path, report }, number }) => {
            (SyncRequest::Discard { path, number }, report)
        }
        SyncCommand::Kick(KickArgs { who, report }) => (SyncRequest::Kick { who }, report),
        SyncCommand::Expire(ExpireArgs { path: PathArgs { path, report }, client }) => {
            (SyncRequest::Expire { path, client }, report)
        }
        SyncCommand::Upkeep(args) => (SyncRequest::Upkeep, args),
    };
    let text = args.data.operate(&request)?;
    let report: Value = serde_json::from_str(&text)
        .map_err(|_| Failure::problem("the report of the server is of another version"))?;
    if let Some(failures @ 1..) = report["failures"].as_u64() {
        let reason = "the log of the server says why";
        return Err(Failure::problem(format!("failures of the upkeep: {failures}; {reason}")));
    }
    if args.json {
        writeln!(out, "{text}")?;
        return Ok(0);
    }
    show(&request, &report, out)?;
    if report["is_cut"] == true {
        writeln!(out, "more follow, which this list leaves out")?;
    }
    Ok(0)
}

fn show(request: &SyncRequest, report: &Value, out: &mut dyn Write) -> Result<(), Failure> {
    match request {
        SyncRequest::Status => show_status(report, out)?,
        SyncRequest::Databases => list(DATABASES, &report["databases"], out)?,
        SyncRequest::Clients { .. } => list(CLIENTS, &report["clients"], out)?,
        SyncRequest::DeadLetters { .. } => show_dead_letters(&report["dead_letters"], out)?,
        SyncRequest::Retry { .. } => writeln!(out, "entry {} of the history", report["seq"])?,
        SyncRequest::Discard { number, .. } => writeln!(out, "refused entry {number} is dropped")?,
        SyncRequest::Kick { .. } => writeln!(out, "connections ended: {}", report["ended"])?,
        SyncRequest::Expire { client, .. } => writeln!(out, "client {client} is expired")?,
        SyncRequest::Upkeep => writeln!(out, "the upkeep has run")?,
    }
    Ok(())
}

fn show_status(report: &Value, out: &mut dyn Write) -> Result<(), Failure> {
    let number = |name: &str| report["numbers"][name].as_u64().unwrap_or_default();
    writeln!(
        out,
        "connections {}, sessions {}, open databases {}",
        number("sync_connections"),
        number("sync_sessions"),
        number("sync_databases")
    )?;
    writeln!(
        out,
        "entries {}, refused {}, failures {}, of the upkeep {}",
        number("sync_entries_total"),
        number("sync_refused_entries_total"),
        number("sync_failures_total"),
        number("sync_upkeep_failures_total")
    )?;
    list(CONNECTIONS, &report["connections"], out)
}

/// Prints the refused entries, and then the operations of each.
fn show_dead_letters(letters: &Value, out: &mut dyn Write) -> Result<(), Failure> {
    list(DEAD_LETTERS, letters, out)?;
    for letter in letters.as_array().into_iter().flatten() {
        for (index, operation) in letter["operations"].as_array().into_iter().flatten().enumerate()
        {
            let text = operation.as_str().unwrap_or_default();
            writeln!(out, "{} operation {index}: {text}", letter["number"])?;
        }
    }
    Ok(())
}

/// Prints a list; columns are as wide as their longest text.
fn list(columns: &Columns, rows: &Value, out: &mut dyn Write) -> Result<(), Failure> {
    let heading: Vec<String> = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    let mut lines = vec![heading];
    for row in rows.as_array().into_iter().flatten() {
        lines.push(columns.iter().map(|(_, field)| text(&row[*field])).collect());
    }
    let width = |at: usize| lines.iter().map(|line| line[at].len()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
