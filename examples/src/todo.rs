//! A to-do list in two terminals: each has a file of its own, and both show every change. README.md
//! walks through it; a test runs what it shows.
//!
//! Usage: `todo URL NAME PASSWORD FOLDER`. Each line of the input is a command: `add TEXT`,
//! `done TEXT`, `sync`; the end of the input ends the program.

#![expect(clippy::print_stdout, reason = "it tells what it does")]

use fastness::config::{App, Configuration, User};
use fastness::instance::FileRegistry;
use fastness::object::{Database, Snapshot};
use fastness::schema::Module;
use fastness::typed::Object;
use fastness::{Store, StoreOptions};
use fastness_client::auth::Credentials;
use fastness_client::{
    Client, CompletedReset, Config, LoggedInUser, SyncClient, SyncOptions, SyncedFile,
    open_or_create_key,
};
use std::io::BufRead as _;
use std::path::Path;
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Time for transfers at the end.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Object, Default)]
struct Task {
    #[object(primary_key)]
    text: String,
    is_done: bool,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, name, password, folder] = &arguments[..] else {
        return Err("usage: todo URL NAME PASSWORD FOLDER".into());
    };
    let folder = Path::new(folder);
    std::fs::create_dir_all(folder)?;
    let client = Client::open(users(folder)?, Config::default())?;
    let user = log_in(&client, url, (name, password))?;

    let app = App::new(folder).default_module(Module::new("todo", [Task::class()?]));
    let registry = FileRegistry::open(&app, StoreOptions::new())?;
    let sync = SyncClient::open(&client, &registry);
    let todo = open(&sync, &app, &user)?;
    show_changes(&todo)?;
    for line in std::io::stdin().lock().lines() {
        obey(&todo, &line?)?;
    }
    todo.upload_all(PATIENCE)?;
    Ok(())
}

/// Opens the store that remembers who is logged in.
fn users(folder: &Path) -> Result<Store> {
    let key = open_or_create_key(folder.join("users.key"))?;
    Ok(StoreOptions::new().key(key).open_or_create(folder.join("users.fastness"))?)
}

/// Logs in, or registers a new name.
fn log_in(client: &Client, url: &str, (name, password): (&str, &str)) -> Result<LoggedInUser> {
    let credentials = |create| Credentials::username_password(name, Some(password.into()), create);
    match client.log_in(url, credentials(false)?) {
        Ok(user) => Ok(user),
        Err(_) => Ok(client.log_in(url, credentials(true)?)?),
    }
}

/// Opens the list of the user. A server that has lost entries makes the file reset: the report has
/// the outcome of each operation of this device, and the backup file has the state before the
/// reset.
fn open(sync: &SyncClient, app: &App, user: &LoggedInUser) -> Result<SyncedFile> {
    let user = User::new(user.user().identity(), user.user().url.as_str())?;
    let todo = Configuration::sync_builder(app, &user, "/~/todo")?.build()?;
    let options = SyncOptions::new().after_reset(|tasks, reset| {
        print_reset(tasks, reset).unwrap_or_else(|error| println!("no report: {error}"));
    });
    Ok(sync.open_file_with(&todo, options)?)
}

fn print_reset(tasks: &Snapshot, reset: &CompletedReset) -> fastness::Result<()> {
    println!("The server had lost entries; they are written again:");
    for reported in reset.report.operations() {
        println!("  {reported}");
    }
    println!("The list after the reset: {}", list(tasks)?);
    if let Some(backup) = &reset.backup {
        // Any tool that has the file and its key can do this, also years later.
        let store = StoreOptions::new().open_read_only(backup.path())?;
        let before = Database::from_store(store, &Default::default())?.snapshot()?;
        println!("The list in the backup: {}", list(&before)?);
    }
    Ok(())
}

/// Shows the list now and after every change, of this terminal and of others.
fn show_changes(todo: &SyncedFile) -> Result<()> {
    let (tasks, changes) = todo.database().subscribe()?;
    println!("{}", list(&tasks)?);
    let database = todo.database().clone();
    std::thread::spawn(move || {
        while changes.recv(Duration::MAX).is_some() {
            let Ok(tasks) = database.snapshot() else { return };
            println!("{}", list(&tasks).unwrap_or_default());
        }
    });
    Ok(())
}

fn list(tasks: &Snapshot) -> fastness::Result<String> {
    let tasks = Task::objects(tasks)?.query().find()?;
    let boxes: Vec<String> = tasks
        .iter()
        .map(|task| format!("[{}] {}", if task.is_done { "x" } else { " " }, task.text))
        .collect();
    Ok(if boxes.is_empty() { "nothing to do".to_owned() } else { boxes.join("  ") })
}

fn obey(todo: &SyncedFile, line: &str) -> Result<()> {
    let (command, text) = line.split_once(' ').unwrap_or((line, ""));
    match command {
        "add" | "done" => {
            let task = Task { text: text.to_owned(), is_done: command == "done" };
            todo.database().transact(|txn| task.upsert(txn).map(drop))?;
        }
        "sync" => {
            todo.upload_all(PATIENCE)?;
            todo.download_all(PATIENCE)?;
            println!("in sync");
        }
        _ => println!("commands: add TEXT, done TEXT, sync"),
    }
    Ok(())
}
