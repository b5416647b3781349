//! Which configuration opens which file: the tables of docs/instances.md are what happens.
//! `UPDATE_DOCS=1 cargo test -p fastness --test main outcomes` writes them there.

use super::{TestApp, class, string_only};
use fastness::config::{App, Builder, Configuration, User};
use fastness::instance::InstanceKind;
use fastness::schema::{Class, Module, Property, Scalar};
use fastness::{Error, FileErrorCause, StoreOptions};
use std::fmt::Write as _;
use std::path::Path;

const RIGHT: [u8; 64] = [7; 64];
const OTHER: [u8; 64] = [8; 64];

/// Description of a file, and the function that creates it in a directory: its bytes and number of
/// objects, or `None` without a file.
type File = (&'static str, fn(&Path) -> Option<(Vec<u8>, u64)>);

const FILES: &[File] = &[
    ("plain, the requested classes, version 0", |dir| store(dir, &[wanted()], 0, None)),
    ("the same, encrypted", |dir| store(dir, &[wanted()], 0, Some(RIGHT))),
    ("plain, version 3", |dir| store(dir, &[wanted()], 3, None)),
    ("plain, an extra class", |dir| store(dir, &[wanted(), class("Cat", Scalar::Int)], 0, None)),
    ("plain, an extra property", |dir| {
        let extra = Property::new("extra", Scalar::Int).unwrap();
        store(dir, &[wanted().with(extra)], 0, None)
    }),
    ("plain, a class missing", |dir| store(dir, &[class("Cat", Scalar::Int)], 0, None)),
    ("plain, a property missing", |dir| {
        let other = Property::new("n", Scalar::Int).unwrap();
        store(dir, &[Class::new("StringOnly").unwrap().with(other)], 0, None)
    }),
    ("plain, a property of another type", |dir| {
        store(dir, &[class("StringOnly", Scalar::Int)], 0, None)
    }),
    ("plain, without a schema", |dir| {
        let path = dir.join("fresh");
        drop(StoreOptions::new().create(&path).unwrap());
        Some((std::fs::read(path).unwrap(), 0))
    }),
    ("missing", |_| None),
    ("empty", |_| Some((Vec::new(), 0))),
    ("another format", |_| Some((vec![0x5a; 5000], 0))),
    ("the original's", |_| Some(([&[0; 16][..], b"T-DB", &[0; 4076]].concat(), 0))),
    ("truncated", |dir| {
        let (mut bytes, objects) = store(dir, &[wanted()], 0, None)?;
        bytes.truncate(bytes.len() / 2);
        Some((bytes, objects))
    }),
];

/// How a file is opened.
type Way = (&'static str, InstanceKind, fn(&App, &Path) -> Configuration);

const RECOVERY: &[Way] = &[
    ("typed", InstanceKind::Typed, |_, path| recovery(path, None)),
    ("dynamic", InstanceKind::Dynamic, |_, path| recovery(path, None)),
    ("typed, right key", InstanceKind::Typed, |_, path| recovery(path, Some(RIGHT))),
    ("typed, other key", InstanceKind::Typed, |_, path| recovery(path, Some(OTHER))),
];

const OTHERS: &[Way] = &[
    ("local", InstanceKind::Typed, |app, path| local(app, path, |builder| builder)),
    ("local, dynamic", InstanceKind::Dynamic, |app, path| local(app, path, |builder| builder)),
    ("local, right key", InstanceKind::Typed, |app, path| {
        local(app, path, |builder| builder.encryption_key(&RIGHT).unwrap())
    }),
    ("reset", InstanceKind::Typed, |app, path| {
        local(app, path, |builder| builder.delete_if_migration_needed().unwrap())
    }),
    ("read-only", InstanceKind::Typed, |app, path| {
        local(app, path, |builder| builder.asset_file("asset").unwrap().read_only())
    }),
    ("synced", InstanceKind::Typed, synced),
];

/// The class that all configurations want.
fn wanted() -> Class {
    class("StringOnly", Scalar::String)
}

/// Makes a store with these classes, and an object of the first.
fn store(
    dir: &Path,
    classes: &[Class],
    version: i64,
    key: Option<[u8; 64]>,
) -> Option<(Vec<u8>, u64)> {
    let test_app = TestApp::new(string_only());
    let builder =
        Configuration::builder(&test_app.app).directory(dir).unwrap().name("made").unwrap();
    let builder = builder.modules([Module::new("made", classes.to_vec())]);
    let builder = builder.schema_version(version).unwrap();
    let builder = match key {
        Some(key) => builder.encryption_key(&key).unwrap(),
        None => builder,
    };
    let instance = test_app.instances.open_instance(&builder.build().unwrap()).unwrap();
    instance.transact(|txn| txn.create(classes[0].name()).map(drop)).unwrap();
    assert!(instance.close().unwrap());
    Some((std::fs::read(dir.join("made")).unwrap(), 1))
}

fn recovery(path: &Path, key: Option<[u8; 64]>) -> Configuration {
    let key = key.as_ref().map(<[u8; 64]>::as_slice);
    let app = App::new("/").default_module(string_only());
    Configuration::for_recovery_with(&app, path, key, &[]).unwrap()
}

fn local(app: &App, path: &Path, change: fn(Builder) -> Builder) -> Configuration {
    let builder = Configuration::builder(app).name(path.to_str().unwrap()).unwrap();
    change(builder).build().unwrap()
}

fn synced(app: &App, path: &Path) -> Configuration {
    let user = User::new("user", "http://host/auth").unwrap();
    let builder = Configuration::sync_builder(app, &user, "realm://host/file").unwrap();
    let builder = builder.directory(path.parent().unwrap()).unwrap();
    builder.name(path.file_name().unwrap().to_str().unwrap()).unwrap().build().unwrap()
}

/// Opens such a file in a directory of its own, and returns the outcome. A refused file stays
/// unchanged, or is moved whole.
fn outcome(file: Option<&(Vec<u8>, u64)>, (_, kind, configure): &Way) -> String {
    let test_app = TestApp::new(string_only());
    let configuration = configure(&test_app.app, &test_app.dir.path().join("file"));
    let path = configuration.path();
    let bytes = file.map(|(bytes, _)| bytes);
    if let Some(bytes) = bytes {
        std::fs::write(path, bytes).unwrap();
    }
    let opened = match kind {
        InstanceKind::Typed => test_app.instances.open_instance(&configuration),
        InstanceKind::Dynamic => test_app.instances.open_dynamic(&configuration),
    };
    let now = std::fs::read(path).ok();
    let error = match opened {
        Err(error) => error,
        Ok(instance) => {
            assert!(!configuration.is_read_only() || now.as_ref() == bytes);
            let snapshot = instance.snapshot().unwrap();
            let schema = snapshot.view().schema().unwrap();
            let objects =
                schema.classes().iter().map(|class| snapshot.objects(class.name()).unwrap().len());
            let objects: u64 = objects.sum();
            return match file {
                None => "is created",
                Some((_, before)) if objects < *before => "starts empty",
                Some(_) => "opens",
            }
            .to_owned();
        }
    };
    assert_eq!(test_app.instances.global_count(&configuration), 0, "{error}");
    let kind = error.file_kind();
    let kind = kind.map_or_else(|| format!("{:?}", error.kind()), |kind| format!("{kind:?}"));
    if let Error::File { cause: FileErrorCause::IncompatibleSync { moved_to }, .. } = error {
        assert_eq!((std::fs::read(moved_to).ok().as_ref(), now), (bytes, None));
    } else {
        assert_eq!(now.as_ref(), bytes, "{error}");
    }
    kind
}

fn table(ways: &[Way]) -> String {
    let names: Vec<_> = ways.iter().map(|(name, ..)| *name).collect();
    let mut table =
        format!("| file | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(ways.len()));
    for (about, make) in FILES {
        let directory = tempfile::tempdir().unwrap();
        let file = make(directory.path());
        let outcomes: Vec<_> = ways.iter().map(|way| outcome(file.as_ref(), way)).collect();
        writeln!(table, "| {about} | {} |", outcomes.join(" | ")).unwrap();
    }
    table
}

#[test]
fn the_tables_of_outcomes_are_what_happens() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/instances.md");
    let mut document = std::fs::read_to_string(path).unwrap();
    for ways in [RECOVERY, OTHERS] {
        let table = table(ways);
        if document.contains(&table) {
            continue;
        }
        let header = &table[..table.find('\n').unwrap()];
        assert!(std::env::var_os("UPDATE_DOCS").is_some(), "not in docs/instances.md:\n\n{table}");
        let begin = document.find(header).expect("a table with this header to replace");
        let end = begin + document[begin..].find("\n\n").unwrap() + 1;
        document.replace_range(begin..end, &table);
        std::fs::write(path, &document).unwrap();
    }
}
