//! `fastness serve` runs a server; `fastness test-server` starts and kills one on request.
//!
//! - Y10 The address, and the administrator's initial password until its first use, go to stdout;
//!   logs go to stderr.

use crate::failure::Failure;
use crate::key::KeyArgs;
use fastness_server::auth::server::AccountsError;
use fastness_server::{Config, ControlOptions, StartError, TlsFiles, start};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, process};

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
    /// Lifetime of access tokens.
    #[arg(long, value_name = "SECONDS", default_value_t = 600,
        value_parser = clap::value_parser!(u32).range(1..))]
    access_token_ttl: u32,
    /// TLS certificate in PEM; without it the server speaks plain HTTP.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Burst of password attempts from one address; after it, one per --attempt-pause.
    #[arg(long, value_name = "N", default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..))]
    attempts: u32,
    /// Time until an address regains an attempt.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 500)]
    attempt_pause: u32,
    /// Maximum number of connections from one address.
    #[arg(long, value_name = "N", default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    #[command(flatten)]
    key: KeyArgs,
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
        config.policy.access_ttl = Duration::from_secs(self.access_token_ttl.into());
        config.tls = self
            .tls_cert
            .clone()
            .zip(self.tls_key.clone())
            .map(|(certificate, key)| TlsFiles { certificate, key });
        config.limits.address.burst = self.attempts;
        config.limits.address.interval = Duration::from_millis(self.attempt_pause.into());
        config.http.connections_per_address_max =
            usize::try_from(self.connections).unwrap_or(usize::MAX);
        config.http.connections_max =
            config.http.connections_max.max(config.http.connections_per_address_max);
        Ok(config)
    }
}

/// Serves until Ctrl-C or SIGTERM.
pub(crate) fn run(args: &ServeArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).with_target(false).init();
    let stopped = stop_on_interrupt()?;
    let server = start(args.config()?).map_err(failure)?;
    if let Some(secret) = server.admin_secret() {
        writeln!(out, "realm-admin may log in with {}", secret.expose())?;
    }
    writeln!(out, "listening on {}", server.url())?;
    out.flush()?;
    stopped.recv().unwrap_or_default();
    server.stop();
    Ok(0)
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

fn failure(error: StartError) -> Failure {
    if let StartError::Accounts(error) = error {
        let problem = Failure::problem(error.to_string());
        return if let AccountsError::Store(error) = error { error.into() } else { problem };
    }
    Failure::environment(error.to_string())
}
