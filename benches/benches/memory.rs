//! Most memory of a store beside a small cache: a load of many objects with an index, and one
//! transaction that is much larger than the cache. On a file, encrypted. Prints seconds and the
//! resident memory of the process; each part runs in a process of its own.
//!
//! `FASTNESS_OBJECTS` (5 000 000) and `FASTNESS_MIB` (1024) are their sizes.

use fastness::object::{Database, DatabaseOptions};
use fastness::schema::{Class, Property, Scalar, Schema};
use fastness::{Key, StoreOptions};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const CACHE_BYTES: usize = 64 << 20;

/// Objects of one transaction of the load.
const OBJECTS_AT_ONCE: u64 = 50_000;

fn options() -> StoreOptions {
    StoreOptions::new().key(Key::new([7; 64])).cache_bytes(CACHE_BYTES)
}

fn size(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Loads objects of five fields, one of them indexed, in the order of their random keys.
fn load(file: &Path) {
    let property = |name, of| Property::new(name, of).expect("a good name").required();
    let class = Class::new("Item")
        .expect("a good name")
        .with(property("id", Scalar::Int).primary_key())
        .with(property("name", Scalar::String).indexed())
        .with(property("age", Scalar::Int))
        .with(property("score", Scalar::Double))
        .with(property("active", Scalar::Bool));
    let wanted = DatabaseOptions::schema(Schema::new([class]).expect("a good class"), 0);
    let database = Database::open(&options(), file, &wanted).expect("a new file");
    let (count, mut number, mut random) = (size("FASTNESS_OBJECTS", 5_000_000), 0_u64, 1_u64);
    while number < count {
        let mut txn = database.write().expect("no other writer");
        for _ in 0..OBJECTS_AT_ONCE.min(count - number) {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let name = format!("name of {:08}", random >> 44);
            let values = [
                ("id", (random >> 1).cast_signed().into()),
                ("name", name.as_str().into()),
                ("age", (random >> 57).cast_signed().into()),
                ("score", (number as f64).into()),
                ("active", (number % 2 == 0).into()),
            ];
            txn.create_with("Item", &values).expect("a new key");
            number += 1;
        }
        txn.commit().expect("room on the disk");
    }
}

/// Writes values of 1 KiB under random keys in one transaction.
fn transaction(file: &Path) {
    let store = options().create(file).expect("a new file");
    let mut txn = store.write().expect("no other writer");
    let mut tree = txn.tree("values").expect("a good name");
    let mut random = 1_u64;
    for _ in 0..size("FASTNESS_MIB", 1024) << 10 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        tree.insert(&random.to_be_bytes(), &[7; 1016]).expect("room on the disk");
    }
    txn.commit().expect("room on the disk");
}

/// Returns the most memory that this process has had resident, in MiB.
fn most_resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap_or_default().trim().trim_end_matches(" kB").parse::<u64>();
    kib.unwrap_or_default() >> 10
}

#[expect(clippy::print_stdout, reason = "the result goes to the terminal")]
fn main() {
    let Ok(part) = std::env::var("FASTNESS_PART") else {
        for name in ["load", "transaction"] {
            let program = std::env::current_exe().expect("a running program");
            let status = Command::new(program).env("FASTNESS_PART", name).status();
            assert!(status.expect("a process").success(), "{name} failed");
        }
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (file, begin) = (folder.path().join("file"), Instant::now());
    match &*part {
        "load" => load(&file),
        _ => transaction(&file),
    }
    let seconds = begin.elapsed().as_secs_f64();
    let bytes = std::fs::metadata(&file).map(|data| data.len()).unwrap_or_default();
    println!(
        "{part}: {seconds:.1} s, {} MiB resident at most, file of {} MiB, cache of {} MiB",
        most_resident_mib(),
        bytes >> 20,
        CACHE_BYTES >> 20
    );
}
