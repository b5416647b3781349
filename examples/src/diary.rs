//! A diary of birds: structs in an encrypted file, a subscription, a client reset, and the backup
//! that it leaves. docs/guide.md walks through it; a test holds the two together.
//!
//! No server takes part. [`FileRegistry::simulate_reset`] stands for one that was restored from an
//! old copy and has lost the history of this file.

#![expect(clippy::print_stdout, reason = "it tells what it does")]

use fastness::config::{App, Callback, Configuration, User};
use fastness::instance::{ClientReset, FileRegistry, Instance, SyncError};
use fastness::object::{Order, Subscription, Timestamp};
use fastness::schema::Module;
use fastness::typed::{Counter, Link, Object};
use fastness::{OsRandom, RandomSource as _, StoreOptions, Time};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[derive(Object, Default)]
struct Bird {
    #[object(primary_key)]
    name: String,
    seen: Counter,
    #[object(backlinks = "bird")]
    sightings: Vec<Link<Sighting>>,
}

#[derive(Object)]
struct Sighting {
    bird: Option<Link<Bird>>,
    #[object(indexed)]
    at: Timestamp,
    note: String,
}

fn main() -> Outcome<()> {
    let directory = tempfile::tempdir()?;
    let mut key = [0; 64];
    OsRandom.fill(&mut key)?; // once; then keep it where your platform keeps secrets

    let module = Module::new("diary", [Bird::class()?, Sighting::class()?]);
    let app = App::new(directory.path()).default_module(module);
    let asked = Arc::new(Mutex::new(None));
    let diary = configuration(&app, &key, &asked)?;
    let instances = FileRegistry::open(&app, StoreOptions::new())?;

    keep(&instances, &diary)?;
    tell_secrecy(diary.path())?;
    let reset = reset(&instances, &diary, &asked)?;
    recover(&instances, &reset)?;
    open_by_path(&app, &key, reset.backup_file())
}

/// The file of a user, who logged in somewhere else, and what to do when it must be reset.
fn configuration(
    app: &App,
    key: &[u8],
    asked: &Arc<Mutex<Option<ClientReset>>>,
) -> fastness::Result<Configuration> {
    let ann = User::new("ann", "https://birds.example/auth")?;
    let asked = Arc::clone(asked);
    let handler = Callback::error_handler("keep the reset", move |error| {
        if let SyncError::ClientReset(reset) = error
            && let Ok(mut asked) = asked.lock()
        {
            *asked = Some(reset.clone());
        }
    });
    Configuration::sync_builder(app, &ann, "realms://birds.example/~/diary")?
        .encryption_key(key)?
        .error_handler(handler)
        .build()
}

/// Writes sightings down and prints the changes that a subscription receives.
fn keep(instances: &FileRegistry, diary: &Configuration) -> fastness::Result<()> {
    let diary = instances.open_instance(diary)?;
    println!("Opened an encrypted diary.");
    let (_, subscription) = diary.subscribe()?;

    let robin = diary.transact(|txn| {
        let robin = Bird { name: "robin".into(), ..Bird::default() }.create(txn)?;
        let wren = Bird { name: "wren".into(), ..Bird::default() }.create(txn)?;
        for (day, bird, note) in [(1, &robin, "sang at dawn"), (2, &wren, "built a nest")] {
            let at = Timestamp::new(day * 86_400, 0);
            Sighting { bird: Some(bird.clone()), at, note: note.into() }.create(txn)?;
            bird.update(txn, |bird| bird.seen += 1)?;
        }
        Ok(robin)
    })?;
    println!("Wrote down two birds.");
    print_changes(&subscription);

    diary.transact(|txn| {
        let at = Timestamp::new(3 * 86_400, 0);
        Sighting { bird: Some(robin.clone()), at, note: "ate a worm".into() }.create(txn)?;
        robin.update(txn, |robin| robin.seen += 1)
    })?;
    println!("Saw the robin again.");
    print_changes(&subscription);

    let snapshot = diary.snapshot()?;
    if let Some(robin) = robin.get(&snapshot)? {
        let Bird { name, seen, sightings } = robin;
        println!("The {name} was seen {} times, in {} entries.", seen.0, sightings.len());
    }
    Ok(())
}

/// Prints what each commit changed, in order and exactly once.
fn print_changes(subscription: &Subscription) {
    while let Some(changes) = subscription.try_recv() {
        for (class, changes) in &changes.classes {
            let (new, other) = (changes.inserted.len(), changes.modified.len());
            println!("  observed: {class}: {new} new, {other} changed");
        }
    }
}

fn tell_secrecy(path: &Path) -> Outcome<()> {
    let bytes = std::fs::read(path)?;
    let found = bytes.windows(5).any(|bytes| bytes == b"robin");
    println!("Is the word `robin` in the file? {}.", if found { "Yes" } else { "No" });
    Ok(())
}

/// The server has lost the history: the file moves to the backups, whole.
fn reset(
    instances: &FileRegistry,
    diary: &Configuration,
    asked: &Mutex<Option<ClientReset>>,
) -> Outcome<ClientReset> {
    let open = instances.open_instance(diary)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    instances.simulate_reset(diary, Time::from_seconds(now.try_into()?))?;
    let reset = asked.lock().ok().and_then(|mut asked| asked.take()).ok_or("nobody asked")?;
    println!("The server asks for a reset. The diary is open, so nothing has happened to it yet.");
    open.close()?;
    reset.execute()?; // or at the next start
    let [diary, backup] = [reset.original_file(), reset.backup_file()].map(Path::exists);
    println!("Reset: diary there? {diary}. Backup there? {backup}.");
    Ok(reset)
}

/// Takes over into a new diary what the backup has.
fn recover(instances: &FileRegistry, reset: &ClientReset) -> fastness::Result<()> {
    let diary = instances.open_instance(reset.original_configuration())?;
    let backup = instances.open_instance(reset.backup_configuration())?;
    println!("The new diary has {} entries, the backup {}.", entries(&diary)?, entries(&backup)?);

    let backup = backup.snapshot()?;
    let sightings = Sighting::objects(&backup)?.query().sort("at", Order::Ascending).find()?;
    diary.transact(|txn| {
        for sighting in sightings {
            let Some(bird) = &sighting.bird else { continue };
            let Some(bird) = bird.get(&backup)? else { continue };
            let (bird, _) = bird.upsert(txn)?;
            let sighting = sighting.into_inner();
            println!("  taken over: {}", sighting.note);
            Sighting { bird: Some(bird), ..sighting }.create(txn)?;
        }
        Ok(())
    })?;
    println!("The new diary has {} entries.", entries(&diary)?);
    Ok(())
}

fn entries(diary: &Instance) -> fastness::Result<u64> {
    Ok(Sighting::objects(&diary.snapshot()?)?.len())
}

/// Years later, all that is left of the app's knowledge is a path and a key.
fn open_by_path(app: &App, key: &[u8], backup: &Path) -> Outcome<()> {
    let instances = FileRegistry::open(app, StoreOptions::new())?;
    let with = |key| Configuration::for_recovery_with(app, backup, Some(key), &[]);
    let opened = instances.open_instance(&with(key)?)?;
    println!("By path and key, the backup opens: {} entries.", entries(&opened)?);
    opened.close()?;
    if let Err(error) = instances.open_instance(&with(&[0; 64])?) {
        println!("With another key it does not: {:?}.", error.kind());
    }
    Ok(())
}
