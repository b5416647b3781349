//! A device: a client of logins, a registry of files, and a sync client.

use crate::login::support::{Host, credentials};
use fastness::config::{App, Callback, Configuration, SyncBuilder, User};
use fastness::instance::{ClientReset, FileRegistry, SyncError};
use fastness::object::{Database, Value, View};
use fastness::schema::{Class, Module, Property, Scalar};
use fastness::{StoreOptions, Time};
use fastness_client::{Client, Config, LoggedInUser, RootCertificates, SyncClient, SyncedFile};
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use tempfile::TempDir;

const ROOT: &[u8] = include_bytes!("../tls/root.pem");

/// The time of simulated resets.
pub(crate) const NOW: Time = Time::from_seconds(1_511_343_015);

/// A device of one user.
pub(crate) struct Device {
    pub(crate) sync: SyncClient,
    pub(crate) registry: FileRegistry,
    pub(crate) app: App,
    pub(crate) client: Client,
    pub(crate) user: LoggedInUser,
    pub(crate) folder: TempDir,
}

impl Device {
    /// Registers a user.
    pub(crate) fn register(host: &Host, name: &str) -> Self {
        Self::at(&host.server.url(), host, (name, true))
    }

    /// Logs in to an account.
    pub(crate) fn log_in(host: &Host, name: &str) -> Self {
        Self::at(&host.server.url(), host, (name, false))
    }

    /// Logs in at an address, or registers.
    pub(crate) fn at(url: &str, host: &Host, login: (&str, bool)) -> Self {
        Self::with(url, Self::client_of(host, |_| {}), login)
    }

    /// Returns a client that trusts the root of the server, with other settings.
    pub(crate) fn client_of(host: &Host, change: impl FnOnce(&mut Config)) -> Client {
        host.client_with(|config| {
            config.root_certificates = RootCertificates::Pem(ROOT.to_vec());
            change(config);
        })
    }

    /// As [`Device::at`], with a client.
    pub(crate) fn with(url: &str, client: Client, (name, create): (&str, bool)) -> Self {
        let user = client.log_in(url, credentials(name, "password", create)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let app = App::new(folder.path()).default_module(string_only()).assets(|name| {
            std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name))
        });
        let registry = FileRegistry::open(&app, StoreOptions::new()).unwrap();
        let sync = SyncClient::open(&client, &registry);
        Self { sync, registry, app, client, user, folder }
    }

    /// Begins a configuration of the user's database.
    pub(crate) fn builder(&self) -> SyncBuilder {
        let user = self.user.user();
        let user = User::new(user.identity(), user.url.as_str()).unwrap();
        Configuration::sync_builder(&self.app, &user, "/~/default").unwrap()
    }

    pub(crate) fn configuration(&self) -> Configuration {
        self.builder().build().unwrap()
    }

    pub(crate) fn open(&self) -> SyncedFile {
        self.sync.open_file(&self.configuration()).unwrap()
    }
}

/// The class of the original's tests.
pub(crate) fn string_only() -> Module {
    let class = Class::new("StringOnly").unwrap();
    Module::new("strings", [class.with(Property::new("chars", Scalar::String).unwrap())])
}

/// Adds a row.
pub(crate) fn add(file: &SyncedFile, chars: &str) {
    let added = file.database().transact(|txn| {
        let row = txn.create("StringOnly")?;
        txn.set(&row, "chars", chars)
    });
    added.unwrap();
}

/// Returns the rows in alphabetic order.
pub(crate) fn rows(view: View<'_>) -> Vec<String> {
    let Ok(objects) = view.objects("StringOnly") else { return Vec::new() };
    let mut rows: Vec<String> = objects
        .iter()
        .unwrap()
        .map(|row| {
            let row = row.unwrap();
            let chars = row.get("chars").unwrap();
            let Value::String(chars) = chars else { panic!("{chars:?}") };
            chars.to_string()
        })
        .collect();
    rows.sort();
    rows
}

pub(crate) fn rows_of(database: &Database) -> Vec<String> {
    rows(database.snapshot().unwrap().view())
}

/// An error handler that passes resets on, and fails the test for any other error.
pub(crate) fn reset_handler() -> (Callback, Receiver<ClientReset>) {
    let (sender, resets) = channel();
    let sender = Mutex::new(sender);
    let handler = Callback::error_handler("resets", move |error| {
        let SyncError::ClientReset(reset) = error else { panic!("{error:?}") };
        sender.lock().unwrap().send(reset.clone()).unwrap();
    });
    (handler, resets)
}
