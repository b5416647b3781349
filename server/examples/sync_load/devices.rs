//! Devices: apps with synced files, as processes of their own where they are killed or weighed.

use crate::host::{Host, PATIENCE, client};
use crate::{Outcome, resident_kib};
use fastness::config::{App, Configuration, User};
use fastness::instance::FileRegistry;
use fastness::schema::{Class, Module, Property, Scalar};
use fastness::{Durability, StoreOptions};
use fastness_auth::{Credentials, Secret};
use fastness_client::{SyncClient, SyncedFile};
use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Objects of a first sync.
const OBJECTS: u64 = 2_000_000;

/// Local writes of a device that is offline.
const WRITES: u64 = 1_000_000;

/// Objects of one entry of the writer of a first sync.
const OBJECTS_OF_ENTRY: u64 = 5_000;

fn scaled(count: u64) -> u64 {
    let scale = env::var("FASTNESS_LOAD_SCALE").ok().and_then(|scale| scale.parse().ok());
    count / scale.unwrap_or(1).max(1)
}

/// A device of the user `load`.
pub(crate) struct Device {
    pub(crate) file: SyncedFile,
    _sync: SyncClient,
}

impl Device {
    /// Opens the file of a device; the user is created, or logs in.
    pub(crate) fn open(url: &str, (name, create): (&str, bool), below: &Path) -> Outcome<Self> {
        let folder = below.join(name);
        fs::create_dir_all(&folder)?;
        let client = client(&folder.join("users"))?;
        let user = match client.current()? {
            Some(user) => user,
            None => {
                let password = Some(Secret::from("a password for a load"));
                let credentials = Credentials::username_password("load", password, create)?;
                client.log_in(url, credentials)?
            }
        };
        let item = Class::new("Item")?
            .with(Property::new("id", Scalar::Int)?.required().primary_key())
            .with(Property::new("text", Scalar::String)?);
        let app = App::new(&folder).default_module(Module::new("items", [item]));
        let registry = FileRegistry::open(&app, StoreOptions::new())?;
        let sync = SyncClient::open(&client, &registry);
        let user = User::new(user.user().identity(), user.user().url.as_str())?;
        let configuration = Configuration::sync_builder(&app, &user, "/~/items")?.build()?;
        let file = sync.open_file(&configuration)?;
        Ok(Self { file, _sync: sync })
    }

    pub(crate) fn write(&self, id: i64, text: &str) -> Outcome<()> {
        let written = self.file.database().transact(|txn| {
            let (item, _) = txn.get_or_create("Item", id)?;
            txn.set(&item, "text", text)
        });
        Ok(written?)
    }

    /// Writes objects of a range of ids in one transaction.
    fn fill(&self, ids: std::ops::Range<u64>) -> Outcome<()> {
        let filled = self.file.database().transact_with(Durability::None, |txn| {
            for id in ids {
                let item = txn.create_with_key("Item", i64::try_from(id).unwrap_or_default())?;
                txn.set(&item, "text", format!("the text of the item {id}"))?;
            }
            Ok(())
        });
        Ok(filled?)
    }

    fn len(&self) -> Outcome<u64> {
        let snapshot = self.file.database().snapshot()?;
        Ok(snapshot.objects("Item").map(|items| items.len()).unwrap_or_default())
    }
}

/// Runs a device as a process: `first URL NAME FOLDER` or `offline URL NAME FOLDER`.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let [role, url, name, folder] = arguments else { return Err("four arguments".into()) };
    let device = Device::open(url, (name, false), Path::new(folder))?;
    if role == "first" {
        println!("begun");
        device.file.download_all(PATIENCE)?;
        println!("has {} objects", device.len()?);
        return Ok(());
    }
    device.file.pause();
    let before = resident_kib(std::process::id());
    let begun = Instant::now();
    for id in 0..scaled(WRITES) {
        device.fill(id..id + 1)?;
    }
    device.file.database().store().sync()?;
    let (written, after) = (begun.elapsed(), resident_kib(std::process::id()));
    println!(
        "wrote {} in {:.1} s, resident {} MiB, {} MiB before",
        scaled(WRITES),
        written.as_secs_f64(),
        after >> 10,
        before >> 10
    );
    let begun = Instant::now();
    device.file.resume();
    device.file.upload_all(PATIENCE)?;
    let resident = resident_kib(std::process::id()) >> 10;
    println!("uploaded in {:.1} s, resident {resident} MiB", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Starts a device as a process.
fn start(host: &Host, role: &str, name: &str) -> Outcome<Child> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["device", role, &host.url, name]).arg(host.folder.path());
    Ok(command.stdout(Stdio::piped()).spawn()?)
}

/// Prints the lines of a device to its end; returns the time.
fn finish(mut device: Child, begun: Instant) -> Outcome<Duration> {
    let output = device.stdout.take().ok_or("no output")?;
    for line in BufReader::new(output).lines() {
        println!("  {}", line?);
    }
    if !device.wait()?.success() {
        return Err("the device has failed".into());
    }
    Ok(begun.elapsed())
}

pub(crate) fn measure_first(host: &Host) -> Outcome<()> {
    let writer = Device::open(&host.url, ("writer", true), host.folder.path())?;
    let objects = scaled(OBJECTS);
    for first in (0..objects).step_by(usize::try_from(OBJECTS_OF_ENTRY)?) {
        writer.fill(first..objects.min(first + OBJECTS_OF_ENTRY))?;
    }
    writer.file.upload_all(PATIENCE)?;
    drop(writer);
    let begun = Instant::now();
    let whole = finish(start(host, "first", "whole")?, begun)?;
    println!("first sync of {objects} objects over TLS: {:.1} s", whole.as_secs_f64());
    let begun = Instant::now();
    let mut killed = start(host, "first", "killed")?;
    thread::sleep(whole / 2);
    killed.kill()?;
    killed.wait()?;
    let resumed = finish(start(host, "first", "killed")?, begun)?;
    println!("killed half-way and started again: {:.1} s", resumed.as_secs_f64());
    Ok(())
}

pub(crate) fn measure_offline(host: &Host) -> Outcome<()> {
    drop(Device::open(&host.url, ("account", true), host.folder.path())?);
    println!("offline:");
    finish(start(host, "offline", "offline")?, Instant::now())?;
    println!("  the server has {} MiB resident then", host.resident_kib() >> 10);
    Ok(())
}
