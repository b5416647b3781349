//! `fastness serve` runs a server; `fastness test-server` starts and kills one on request.
//!
//! - Y10 The address, and the administrator's initial password until its first use, go to stdout;
//!   logs go to stderr.

use crate::failure::Failure;
use crate::key::KeyArgs;
use fastness_server::auth::server::{AccountsError, Policy, Rate};
use fastness_server::{Config, ControlOptions, LogWriter, StartError, TlsFiles, start};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, process};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Variable that selects what is logged.
const LOG_VARIABLE: &str = "RUST_LOG";

/// Time for the last lines of the log when the server stops.
const LOG_PATIENCE: Duration = Duration::from_secs(1);

const EXIT_CODES: &str = "Exit codes: 0 stopped; 1 the accounts have a problem; 2 usage; 4 \
    environment (address in use, permissions, ..).";

/// Arguments of the server.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ServeArgs {
    /// Folder of the accounts; created if missing.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Address to listen on; port 0 selects a free port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9080")]
    listen: SocketAddr,
    /// Reverse proxy whose header X-Forwarded-For names the client; may be repeated.
    #[arg(long, value_name = "ADDRESS")]
    trusted_proxy: Vec<IpAddr>,
    /// TLS certificate in PEM; without it the server speaks plain HTTP. SIGHUP reads it again.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Serve no console, and no requests of administrators over HTTP.
    #[arg(long)]
    no_console: bool,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    sync: SyncArgs,
    #[command(flatten)]
    key: KeyArgs,
}

/// Databases.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Databases")]
struct SyncArgs {
    /// Folder of backups: clients keep acknowledged entries until a backup has them.
    #[arg(long, value_name = "DIR")]
    backup_to: Option<PathBuf>,
    /// Time between rounds of upkeep, which move horizons and make backups.
    #[arg(long, value_name = "SECONDS", default_value_t = 600,
        value_parser = clap::value_parser!(u32).range(1..))]
    upkeep_interval: u32,
    /// Time after its last contact for which the history is kept for a client.
    #[arg(long, value_name = "DAYS", default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..))]
    client_ttl: u32,
    /// Size of a history from which on clients expire earlier, but not within a day.
    #[arg(long, value_name = "MIB", default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(1..))]
    history_size: u32,
    /// Size of the databases of one user, from which on no more is uploaded to them.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    user_size: Option<u32>,
    /// Rate at which one user uploads; ten seconds of it at once.
    #[arg(long, value_name = "KIB", value_parser = clap::value_parser!(u32).range(64..))]
    upload_rate: Option<u32>,
}

/// Accounts and their tokens.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Accounts")]
struct PolicyArgs {
    /// Lifetime of access tokens.
    #[arg(long, value_name = "SECONDS", default_value_t = 600,
        value_parser = clap::value_parser!(u32).range(1..))]
    access_token_ttl: u32,
    /// Lifetime of refresh tokens [default: ten years].
    #[arg(long, value_name = "DAYS", default_value_t = 3650, hide_default_value = true,
        value_parser = clap::value_parser!(u32).range(1..))]
    refresh_token_ttl: u32,
    /// Logins of one account; a further one ends the oldest.
    #[arg(long, value_name = "N", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..))]
    logins: u32,
    /// Refuse registrations; `fastness server user create` still creates accounts.
    #[arg(long)]
    no_registration: bool,
    /// Minimum number of characters of new passwords.
    #[arg(long, value_name = "N", default_value_t = 8,
        value_parser = clap::value_parser!(u32).range(1..=256))]
    password_length: u32,
}

/// Limits of clients.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
struct LimitArgs {
    /// Burst of password attempts from one address; after it, one per --attempt-pause.
    #[arg(long, value_name = "N", default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..))]
    attempts: u32,
    /// Time until an address regains an attempt.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 500)]
    attempt_pause: u32,
    /// Burst of failed password attempts for one name; after it, one per --name-pause.
    #[arg(long, value_name = "N", default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..))]
    name_attempts: u32,
    /// Time until a name regains an attempt.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 6000)]
    name_pause: u32,
    /// Maximum number of connections from one address.
    #[arg(long, value_name = "N", default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Maximum number of connections.
    #[arg(long, value_name = "N", default_value_t = 4096,
        value_parser = clap::value_parser!(u32).range(1..))]
    connections_total: u32,
}

/// Arguments of the test server.
#[derive(Debug, clap::Args)]
pub(crate) struct TestServerArgs {
    /// Log file of the server.
    log: PathBuf,
    /// Address of the control port, for /start and /stop.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8888")]
    control: SocketAddr,
    /// Address of the server.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9080")]
    listen: SocketAddr,
    /// Lifetime of access tokens.
    #[arg(long, value_name = "SECONDS", default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..))]
    access_token_ttl: u32,
    /// Number of health checks, five per second, before a start counts as failed.
    #[arg(long, value_name = "N", default_value_t = 20)]
    health_attempts: u32,
}

impl ServeArgs {
    fn config(&self) -> Result<Config, Failure> {
        let mut config = Config::new(&self.data, self.listen);
        config.key = self.key.key()?;
        config.trusted_proxies.clone_from(&self.trusted_proxy);
        config.tls = self
            .tls_cert
            .clone()
            .zip(self.tls_key.clone())
            .map(|(certificate, key)| TlsFiles { certificate, key });
        config.policy = self.policy.policy();
        config.console = !self.no_console;
        self.limits.apply(&mut config);
        self.sync.apply(&mut config);
        Ok(config)
    }
}

impl SyncArgs {
    fn apply(&self, config: &mut Config) {
        config.backup.clone_from(&self.backup_to);
        config.sync.upkeep_interval = Duration::from_secs(self.upkeep_interval.into());
        config.sync.expiry = Duration::from_secs(86_400 * u64::from(self.client_ttl));
        config.sync.history_bytes = u64::from(self.history_size) << 20;
        config.sync.user_bytes_max = self.user_size.map(|size| u64::from(size) << 20);
        config.sync.upload_rate = self.upload_rate.map(|rate| u64::from(rate) << 10);
    }
}

impl PolicyArgs {
    fn policy(&self) -> Policy {
        Policy {
            access_ttl: Duration::from_secs(self.access_token_ttl.into()),
            refresh_ttl: Duration::from_secs(86_400 * u64::from(self.refresh_token_ttl)),
            logins_max: count(self.logins),
            registration: !self.no_registration,
            password_chars_min: count(self.password_length),
        }
    }
}

impl LimitArgs {
    fn apply(&self, config: &mut Config) {
        let millis = |millis: u32| Duration::from_millis(millis.into());
        config.limits.address = Rate { burst: self.attempts, interval: millis(self.attempt_pause) };
        config.limits.name = Rate { burst: self.name_attempts, interval: millis(self.name_pause) };
        config.http.connections_per_address_max = count(self.connections);
        config.http.connections_max =
            count(self.connections_total).max(config.http.connections_per_address_max);
    }
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Serves until Ctrl-C or SIGTERM.
pub(crate) fn run(args: &ServeArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let log = log_to_stderr()?;
    let server = start(args.config()?).map_err(failure)?;
    server.run_until_stopped(|server| -> Result<(), Failure> {
        if let Some(secret) = server.admin_secret() {
            writeln!(out, "realm-admin may log in with {}", secret.expose())?;
        }
        writeln!(out, "listening on {}", server.url())?;
        Ok(out.flush()?)
    })?;
    server.stop();
    log.flush_within(LOG_PATIENCE);
    Ok(0)
}

/// Sends the log to stderr, without ever waiting for its reader. `RUST_LOG` selects what is logged.
fn log_to_stderr() -> Result<LogWriter, Failure> {
    let refused =
        |error| Failure::environment(format!("cannot start a thread for the log: {error}"));
    let log = LogWriter::spawn(io::stderr()).map_err(refused)?;
    let filter = match env::var(LOG_VARIABLE) {
        Ok(text) => text.parse::<Targets>().map_err(|error| {
            Failure::usage(format!("{LOG_VARIABLE} selects no logs, such as info or warn: {error}"))
        })?,
        Err(_) => Targets::new().with_default(LevelFilter::INFO),
    };
    let writer = log.clone();
    let lines = layer().with_writer(move || writer.clone()).with_ansi(false).with_target(false);
    registry().with(lines.with_filter(filter)).init();
    Ok(log)
}

/// Controls a server until Ctrl-C or SIGTERM, then kills it.
pub(crate) fn run_control(args: TestServerArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let stopped = stop_on_interrupt()?;
    let program = env::current_exe()
        .map_err(|error| Failure::environment(format!("cannot find this program: {error}")))?;
    let (listen, seconds) = (args.listen.to_string(), args.access_token_ttl.to_string());
    let command = move |data: &Path| {
        let mut command = process::Command::new(&program);
        command.arg("serve").arg("--data").arg(data).arg("--listen").arg(&listen);
        command.args(["--access-token-ttl", &seconds, "--attempts", "1000000"]);
        // Test suites choose their own passwords.
        command.args(["--password-length", "1"]);
        command
    };
    let (log, attempts) = (args.log, args.health_attempts);
    let controlled = ControlOptions { command: Box::new(command), log, attempts };
    let control = fastness_server::control(args.control, controlled).map_err(failure)?;
    writeln!(out, "{0}/start starts a server, {0}/stop stops it", control.url())?;
    out.flush()?;
    stopped.recv().unwrap_or_default();
    control.stop();
    Ok(0)
}

/// Returns a channel that receives Ctrl-C and SIGTERM.
fn stop_on_interrupt() -> Result<mpsc::Receiver<()>, Failure> {
    let (stop, stopped) = mpsc::channel();
    // A second Ctrl-C finds no receiver.
    ctrlc::set_handler(move || stop.send(()).unwrap_or_default())
        .map_err(|error| Failure::environment(format!("cannot listen to Ctrl-C: {error}")))?;
    Ok(stopped)
}

pub(crate) fn failure(error: StartError) -> Failure {
    if let StartError::Accounts(error) = error {
        let problem = Failure::problem(error.to_string());
        return if let AccountsError::Store(error) = error { error.into() } else { problem };
    }
    Failure::environment(error.to_string())
}
