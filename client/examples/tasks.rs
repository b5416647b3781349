//! A shared list in an async app: opens a file, waits for its download with a time-out, adds a
//! line, and shows the progress of the upload.
//!
//! ```sh
//! cargo run --package fastness-client --features async --example tasks -- URL NAME PASSWORD FOLDER
//! ```

use fastness::StoreOptions;
use fastness::config::{App, Configuration, User};
use fastness::instance::FileRegistry;
use fastness::schema::{Class, Module, Property, Scalar};
use fastness_client::auth::{Credentials, Secret};
use fastness_client::{
    Client, Config, ProgressDirection, ProgressMode, SyncClient, SyncOptions, SyncedFile,
    open_or_create_key,
};
use futures_util::StreamExt as _;
use std::env;
use std::error::Error;
use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

type Outcome<T> = Result<T, Box<dyn Error>>;

const PATIENCE: Duration = Duration::from_secs(30);

/// Returns a sync client, and the configuration of the list.
fn configure(
    url: &str,
    credentials: Credentials,
    folder: &Path,
) -> Outcome<(SyncClient, Configuration)> {
    std::fs::create_dir_all(folder)?;
    let key = open_or_create_key(folder.join("users.key"))?;
    let users = StoreOptions::new().key(key).open_or_create(folder.join("users.fastness"))?;
    let client = Client::open(users, Config::default())?;
    let user = client.log_in(url, credentials)?;
    let line = Class::new("Line")?.with(Property::new("text", Scalar::String)?);
    let app = App::new(folder).default_module(Module::new("lines", [line]));
    let registry = FileRegistry::open(&app, StoreOptions::new())?;
    let user = User::new(user.user().identity(), user.user().url.as_str())?;
    let configuration = Configuration::sync_builder(&app, &user, "/~/lines")?.build()?;
    Ok((SyncClient::open(&client, &registry), configuration))
}

/// Adds a line, and shows the upload.
async fn add(file: &SyncedFile, text: &str) -> Outcome<()> {
    file.database().transact(|txn| {
        let line = txn.create("Line")?;
        txn.set(&line, "text", text)
    })?;
    let mut progress = file.progress((ProgressDirection::Upload, ProgressMode::CurrentChanges));
    while let Some(progress) = timeout(PATIENCE, progress.next()).await? {
        writeln!(stdout(), "{:.0} % uploaded", 100.0 * progress.fraction())?;
    }
    Ok(timeout(PATIENCE, file.uploaded()).await??)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, name, password, folder] = arguments.as_slice() else {
        return Err("usage: tasks URL NAME PASSWORD FOLDER".into());
    };
    let password = Some(Secret::from(password.as_str()));
    let credentials = Credentials::username_password(name.as_str(), password, false)?;
    // A login waits for the server, so it is on a thread for that.
    let (url, folder) = (url.clone(), PathBuf::from(folder));
    let configured =
        move || configure(&url, credentials, &folder).map_err(|error| error.to_string());
    let (sync, configuration) = tokio::task::spawn_blocking(configured).await??;
    let file = sync.opening(&configuration, SyncOptions::new()).await?;
    timeout(PATIENCE, file.downloaded()).await??;
    add(&file, "from a task").await?;
    let snapshot = file.database().snapshot()?;
    writeln!(stdout(), "{} lines", snapshot.view().objects("Line")?.iter()?.count())?;
    Ok(())
}
