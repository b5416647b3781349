//! A device: commits until it is killed, or gets an order.
//!
//! Every commit creates a note of its own number, counts in a counter that all share, and sets one
//! of a few texts that all share.

use super::Draw;
use super::roles::{FOREVER, credentials, say};
use fastness::config::{App, Configuration, User};
use fastness::instance::FileRegistry;
use fastness::object::{Database, Value};
use fastness::schema::{Class, Module, Property, PropertyType, Scalar};
use fastness::{Key, StoreOptions};
use fastness_client::sync_core::entry::{
    Change, Key as EntryKey, Operation, Value as EntryValue, decode,
};
use fastness_client::sync_core::outcome::Outcome;
use fastness_client::{
    Client, LoggedInUser, Proxy, SyncClient, SyncEvent, SyncOptions, SyncedFile,
};
use std::io::BufRead as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Texts that all devices share.
const TEXTS: i64 = 3;
/// Commits of a phase in which no process is killed.
const LAST_COMMITS: i64 = 6;
/// Numbers of the notes of a device.
pub(crate) const NUMBERS: i64 = 1_000_000_000;

/// A device, its next number and its folder.
struct Committer {
    index: i64,
    next: i64,
    sync: SyncClient,
    file: SyncedFile,
    orders: Receiver<String>,
}

/// Runs a device: `INDEX NEXT URL FOLDER`.
pub(crate) fn run(arguments: &str) {
    let arguments: Vec<&str> = arguments.splitn(4, ' ').collect();
    let [index, next, url, folder] = arguments[..] else { panic!("{arguments:?}") };
    let (sender, orders) = channel();
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            sender.send(line).unwrap_or_default();
        }
        // The run has ended.
        std::process::exit(0);
    });
    let (sync, file) = open(url, Path::new(folder));
    say("open");
    let (index, next) = (index.parse().unwrap(), next.parse().unwrap());
    Committer { index, next, sync, file, orders }.serve();
}

fn open(url: &str, folder: &Path) -> (SyncClient, SyncedFile) {
    let users = StoreOptions::new().key(Key::new([7; 64]));
    let users = users.open_or_create(folder.join("users")).unwrap();
    let config = fastness_client::Config { proxy: Proxy::None, ..Default::default() };
    let client = Client::open(users, config).unwrap();
    let user = log_in(&client, url);
    let app = App::new(folder).default_module(module());
    let registry = FileRegistry::open(&app, StoreOptions::new()).unwrap();
    let sync = SyncClient::open(&client, &registry);
    let user = User::new(user.user().identity(), user.user().url.as_str()).unwrap();
    let configuration = Configuration::sync_builder(&app, &user, "/~/list").unwrap();
    let options = SyncOptions::new().after_reset(|_, reset| {
        say(&format!("reset {:?}", reset.report.counts()));
    });
    let file = sync.open_file_with(&configuration.build().unwrap(), options).unwrap();
    file.on_event(report);
    (sync, file)
}

/// Logs in, unless an earlier process has.
fn log_in(client: &Client, url: &str) -> LoggedInUser {
    let begun = Instant::now();
    loop {
        if let Some(user) = client.current().unwrap() {
            return user;
        }
        let outcome = client.log_in(url, credentials("killer", "password", false));
        // The network is as bad as it gets.
        assert!(outcome.is_ok() || begun.elapsed() < FOREVER, "{outcome:?}");
    }
}

fn module() -> Module {
    let note = Class::new("Note")
        .unwrap()
        .with(Property::new("id", Scalar::Int).unwrap().required().primary_key())
        .with(Property::new("text", Scalar::String).unwrap())
        .with(Property::new("hits", PropertyType::Counter).unwrap());
    Module::new("notes", [note])
}

/// Reports an event to the run.
fn report(event: &SyncEvent) {
    if let SyncEvent::Refused { client_seq, refusal } = event {
        say(&format!("refused {client_seq} {refusal:?}"));
    }
    if let SyncEvent::State(state) = event {
        say(&format!("state {state:?}"));
    }
    if let SyncEvent::Failed(error) = event {
        say(&format!("failed {error:?}").replace('\n', " "));
    }
    if let SyncEvent::Ordered(ordered) = event {
        let entry = decode(&ordered.entry).unwrap();
        for (operation, outcome) in entry.operations.iter().zip(&ordered.outcomes) {
            if let Some((key, text)) = shared_text(operation) {
                let is_effective = matches!(outcome, Outcome::Applied | Outcome::Adjusted);
                let effect = if is_effective { "effective" } else { "overridden" };
                say(&format!("outcome {key} {text} {} {effect}", ordered.seq));
            }
        }
    }
}

/// Returns the key and the text of an operation that sets a text that all share.
fn shared_text<'a>(operation: &Operation<'a>) -> Option<(i64, &'a str)> {
    let Operation::Change { target, change: Change::Set(EntryValue::String(text)), .. } = operation
    else {
        return None;
    };
    let EntryKey::Int(key @ 1..=TEXTS) = target.key else { return None };
    Some((key, text))
}

impl Committer {
    /// Commits until an order ends that, and obeys.
    fn serve(mut self) {
        let mut draw = Draw::new(u64::from(std::process::id()));
        // The one without a number commits nothing.
        let mut is_running = self.index > 0;
        loop {
            let pause = if is_running { Duration::from_millis(draw.below(20)) } else { FOREVER };
            match self.orders.recv_timeout(pause).as_deref() {
                Ok("go") => {
                    is_running = true;
                    continue;
                }
                Ok("drain") => self.drain(),
                Ok("last") => {
                    (0..LAST_COMMITS).for_each(|_| self.commit());
                    self.drain();
                }
                Ok("dump") => {
                    self.drain();
                    dump(self.file.database());
                }
                Ok(other) => panic!("no such order: {other}"),
                Err(_) if is_running => {
                    self.commit();
                    continue;
                }
                Err(error) => panic!("no order: {error}"),
            }
            is_running = false;
            say("done");
        }
    }

    /// Commits once. The run knows the number before, and that the commit is durable after.
    fn commit(&mut self) {
        let number = self.next;
        self.next += 1;
        let text = format!("{}-{number}", self.index);
        say(&format!("begins {number}"));
        let committed = self.file.database().transact(|txn| {
            let (note, _) = txn.get_or_create("Note", self.index * NUMBERS + number)?;
            txn.set(&note, "text", &*text)?;
            let (counter, _) = txn.get_or_create("Note", 0_i64)?;
            txn.add(&counter, "hits", 1)?;
            let (shared, _) = txn.get_or_create("Note", 1 + number % TEXTS)?;
            txn.set(&shared, "text", &*text)
        });
        committed.unwrap();
        say(&format!("committed {number}"));
    }

    /// Waits until both sides have everything.
    fn drain(&self) {
        let (begun, patience) = (Instant::now(), Duration::from_secs(2));
        loop {
            self.sync.reconnect();
            let uploaded = self.file.upload_all(patience);
            match uploaded.and_then(|()| self.file.download_all(patience)) {
                Ok(()) => return,
                Err(error) => assert!(begun.elapsed() < FOREVER, "{error}"),
            }
        }
    }
}

/// Says the state: notes in ranges, the counter and the shared texts.
fn dump(database: &Database) {
    let snapshot = database.snapshot().unwrap();
    let notes = snapshot.objects("Note").unwrap();
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for note in notes.iter().unwrap() {
        let note = note.unwrap();
        let Value::Int(id) = note.get("id").unwrap() else { panic!("no number") };
        let mut text = String::new();
        if let Value::String(held) = note.get("text").unwrap() {
            text.push_str(&held);
        }
        match id {
            0 => {
                let Value::Int(hits) = note.get("hits").unwrap() else { panic!("no number") };
                say(&format!("hits {hits}"));
            }
            1..=TEXTS => say(&format!("text {id} {text}")),
            _ => {
                assert_eq!(text, format!("{}-{}", id / NUMBERS, id % NUMBERS));
                match ranges.last_mut().filter(|(_, last)| *last + 1 == id) {
                    Some((_, last)) => *last = id,
                    None => ranges.push((id, id)),
                }
            }
        }
    }
    for (first, last) in ranges {
        say(&format!("notes {first} {last}"));
    }
}
