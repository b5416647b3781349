//! The server: `fastness serve` in a folder of its own, with administrators whose tokens open every
//! database.

use crate::{Outcome, resident_kib};
use fastness::{Key, StoreOptions};
use fastness_auth::server::{AdminReply, AdminRequest};
use fastness_auth::{Credentials, Secret};
use fastness_client::{Client, Config, Proxy, RootCertificates, SessionEvent};
use fastness_server::{Config as ServerConfig, administer};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Root certificate of the tests.
pub(crate) const ROOT: &[u8] = include_bytes!("../../tests/tls/root.pem");

/// Time for everything that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

const PASSWORD: &str = "a password for a load";

/// A running server; killed when dropped.
pub(crate) struct Host {
    pub(crate) folder: TempDir,
    child: Child,
    pub(crate) url: String,
}

impl Host {
    pub(crate) fn start(command: &Path, has_tls: bool) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let mut serve = Command::new(command);
        serve.args(["serve", "--listen", "127.0.0.1:0", "--upkeep-interval", "36000"]);
        serve.args([
            "--attempts",
            "100000",
            "--connections",
            "4000",
            "--connections-total",
            "5000",
        ]);
        serve.arg("--data").arg(folder.path().join("server"));
        if has_tls {
            let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls");
            serve.arg("--tls-cert").arg(tls.join("server.pem"));
            serve.arg("--tls-key").arg(tls.join("server.key"));
        }
        let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let output = child.stdout.take().ok_or("no output")?;
        let mut url = None;
        for line in BufReader::new(output).lines() {
            url = line?.strip_prefix("listening on ").map(str::to_owned);
            if url.is_some() {
                break;
            }
        }
        Ok(Self { folder, child, url: url.ok_or("the server does not start")? })
    }

    pub(crate) fn resident_kib(&self) -> u64 {
        resident_kib(self.child.id())
    }

    pub(crate) fn address(&self) -> Outcome<SocketAddr> {
        Ok(self.url.split("://").nth(1).ok_or("no address")?.parse()?)
    }

    /// Creates an administrator, and returns an access token of it.
    pub(crate) fn admin_token(&self, number: usize) -> Outcome<String> {
        let (client, user) = self.log_in_admin(&format!("admin-{number}"))?;
        match client.session(&user, "/~/load").recv_timeout(PATIENCE) {
            Some(SessionEvent::Token(token)) => Ok(token.value.expose().to_owned()),
            other => Err(format!("no token: {other:?}").into()),
        }
    }

    fn log_in_admin(&self, name: &str) -> Outcome<(Client, fastness_auth::users::UserId)> {
        let config = ServerConfig::new(self.folder.path().join("server"), ([127, 0, 0, 1], 0));
        let create = AdminRequest::CreateUser {
            name: name.to_owned(),
            password: Some(Secret::from(PASSWORD)),
            is_admin: true,
        };
        if let AdminReply::Refused(reason) = administer(&config, &create)? {
            return Err(reason.into());
        }
        let client = client(&self.folder.path().join(name))?;
        let credentials =
            Credentials::username_password(name, Some(Secret::from(PASSWORD)), false)?;
        let user = client.log_in(&self.url, credentials)?.id();
        Ok((client, user))
    }
}

/// Opens a client of logins with a store of its own.
pub(crate) fn client(store: &Path) -> Outcome<Client> {
    let users = StoreOptions::new().key(Key::new([7; 64])).open_or_create(store)?;
    let root_certificates = RootCertificates::Pem(ROOT.to_vec());
    let config = Config { proxy: Proxy::None, root_certificates, ..Config::default() };
    Ok(Client::open(users, config)?)
}

impl Drop for Host {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}
