//! Opening, counting, closing, and what is done to files as a whole.

use super::{TestApp, assert_kind};
use fastness::config::{Builder, Callback, CompactionPolicy, Configuration};
use fastness::instance::{FileRegistry, Instance, InstanceKind};
use fastness::object::Transaction;
use fastness::schema::{Class, Module, Property, Scalar};
use fastness::{
    ConfigurationDifference, Error, ErrorKind, FileErrorCause, FileErrorKind, InstanceError,
    StoreOptions,
};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

fn notes() -> Module {
    let key = Property::new("key", Scalar::String).unwrap().required().primary_key();
    Module::new("notes", [Class::new("Note").unwrap().with(key)])
}

impl TestApp {
    fn builder(&self) -> Builder {
        Configuration::builder(&self.app)
    }

    fn plain(&self) -> Configuration {
        self.builder().build().unwrap()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }
}

fn put(instance: &Instance, key: &str) {
    instance.transact(|txn| txn.get_or_create("Note", key).map(drop)).unwrap();
}

fn has(instance: &Instance, key: &str) -> bool {
    instance.snapshot().unwrap().objects("Note").unwrap().get(key).unwrap().is_some()
}

#[test]
fn the_global_count_is_of_threads_and_kinds_the_local_count_of_handles() {
    let test_app = TestApp::new(notes());
    let (instances, plain) = (&test_app.instances, test_app.plain());
    let counts = || (instances.global_count(&plain), instances.local_count(&plain));
    assert_eq!(counts(), (0, 0));
    let typed = instances.open_instance(&plain).unwrap();
    assert_eq!(counts(), (1, 1));
    let again = instances.open_instance(&plain).unwrap();
    assert_eq!(counts(), (1, 2));
    assert!(typed.is_same(&again));
    let dynamic = instances.open_dynamic(&plain).unwrap();
    assert_eq!(counts(), (2, 3));
    assert!(!typed.is_same(&dynamic) && dynamic.kind() == InstanceKind::Dynamic);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let there = instances.open_instance(&plain).unwrap();
            assert_eq!(counts(), (3, 1));
            assert!(there.close().unwrap());
            assert_eq!(counts(), (2, 0));
        });
    });
    for (instance, left) in [(typed, (2, 2)), (again, (1, 1)), (dynamic, (0, 0))] {
        assert!(instance.close().unwrap());
        assert_eq!(counts(), left);
        assert!(!instance.close().unwrap(), "it was closed");
        assert_eq!(counts(), left);
    }
}

#[test]
fn a_commit_is_visible_to_all_instances_and_after_closing() {
    let test_app = TestApp::new(notes());
    let plain = test_app.plain();
    let one = test_app.instances.open_instance(&plain).unwrap();
    put(&one, "a");
    let two = test_app.instances.open_dynamic(&plain).unwrap();
    assert!(has(&two, "a"));
    drop((one, two));
    assert!(has(&test_app.instances.open_instance(&plain).unwrap(), "a"));
}

#[test]
fn another_configuration_is_refused_with_the_reason_while_the_file_is_open() {
    let test_app = TestApp::new(notes());
    let migration = |version| test_app.builder().migration(Callback::new(version)).build().unwrap();
    let keyed = || test_app.builder().encryption_key(&[7; 64]).unwrap();
    let open = migration(1_u8);
    let held = test_app.instances.open_instance(&open).unwrap();
    for (other, expected) in [
        (keyed().schema_version(3).unwrap().build().unwrap(), ConfigurationDifference::Key),
        (migration(2), ConfigurationDifference::UnnamedMigration),
        (test_app.plain(), ConfigurationDifference::Field("the migration")),
        (
            test_app.builder().schema_version(3).unwrap().build().unwrap(),
            ConfigurationDifference::Field("the schema version"),
        ),
    ] {
        for outcome in
            [test_app.instances.open_instance(&other), test_app.instances.open_dynamic(&other)]
        {
            let error = assert_kind(outcome, ErrorKind::InvalidArgument);
            let path = open.path().to_path_buf();
            let expected = InstanceError::OtherConfiguration { path, difference: expected };
            assert_eq!(error, Error::Instance(expected));
        }
        assert_eq!(test_app.instances.global_count(&other), 1);
    }
    held.close().unwrap();
    drop(test_app.instances.open_instance(&test_app.plain()).unwrap());
}

#[test]
fn an_equal_configuration_that_was_built_again_opens_the_same_instance() {
    let test_app = TestApp::new(notes());
    let build = || {
        let migration = Callback::named("to 3", 1_u8);
        test_app.builder().migration(migration).schema_version(3).unwrap().build().unwrap()
    };
    let one = test_app.instances.open_instance(&build()).unwrap();
    assert!(one.is_same(&test_app.instances.open_instance(&build()).unwrap()));
}

#[test]
fn an_opening_that_fails_leaves_counts_unchanged() {
    let test_app = TestApp::new(notes());
    let keyed = test_app.builder().encryption_key(&[7; 64]).unwrap().build().unwrap();
    drop(test_app.instances.open_instance(&keyed).unwrap());
    let wrong = test_app.builder().encryption_key(&[8; 64]).unwrap().build().unwrap();
    let access = ErrorKind::File(FileErrorKind::AccessError);
    for wrong in [wrong, test_app.plain()] {
        assert_kind(test_app.instances.open_instance(&wrong), access);
        assert_eq!(test_app.instances.global_count(&wrong), 0);
        assert_eq!(test_app.instances.local_count(&wrong), 0);
    }
    drop(test_app.instances.open_instance(&keyed).unwrap());
    assert!(test_app.instances.delete(&keyed).unwrap());
}

#[test]
fn an_opening_that_panics_leaves_counts_and_path() {
    let test_app = TestApp::new(notes());
    let rule = CompactionPolicy::custom("panics", |_| panic!("a rule of the app's"));
    let panics = test_app.builder().compact_on_launch(rule).build().unwrap();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        drop(test_app.instances.open_instance(&panics));
    }));
    assert!(outcome.is_err());
    assert_eq!(test_app.instances.global_count(&panics), 0);
    drop(test_app.instances.open_instance(&test_app.plain()).unwrap());
}

#[test]
fn a_closed_instance_is_of_no_use() {
    let test_app = TestApp::new(notes());
    let instance = test_app.instances.open_instance(&test_app.plain()).unwrap();
    instance.close().unwrap();
    assert_kind(instance.snapshot(), ErrorKind::IllegalState);
    assert_kind(instance.transact(|_| Ok(())), ErrorKind::IllegalState);
    let error = assert_kind(instance.write_copy(test_app.path("copy")), ErrorKind::IllegalState);
    assert!(matches!(error, Error::Instance(InstanceError::Closed { .. })), "{error}");
}

#[test]
fn another_thread_may_drop_an_instance_and_nothing_else() {
    let test_app = TestApp::new(notes());
    let plain = test_app.plain();
    let instance = test_app.instances.open_instance(&plain).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for error in [
                assert_kind(instance.close(), ErrorKind::IllegalState),
                assert_kind(instance.snapshot(), ErrorKind::IllegalState),
            ] {
                assert!(matches!(error, Error::Instance(InstanceError::OtherThread { .. })));
            }
        });
    });
    assert_eq!(test_app.instances.global_count(&plain), 0);
    assert_eq!(test_app.instances.local_count(&plain), 0);
}

#[test]
fn an_instance_dropped_while_unwinding_is_uncounted() {
    let test_app = TestApp::new(notes());
    let plain = test_app.plain();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let instance = test_app.instances.open_instance(&plain).unwrap();
        instance.transact(|_| -> Result<(), Error> { panic!("in the middle") })
    }));
    assert!(outcome.is_err());
    assert_eq!(test_app.instances.global_count(&plain), 0);
    let instance = test_app.instances.open_instance(&plain).unwrap();
    put(&instance, "it goes on");
}

#[test]
fn a_transaction_within_a_transaction_is_refused_and_so_is_closing() {
    let test_app = TestApp::new(notes());
    let plain = test_app.plain();
    let one = test_app.instances.open_instance(&plain).unwrap();
    let two = test_app.instances.open_dynamic(&plain).unwrap();
    one.transact(|_| {
        let nested = assert_kind(two.transact(|_| Ok(())), ErrorKind::IllegalState);
        let closing = assert_kind(one.close(), ErrorKind::IllegalState);
        for error in [nested, closing] {
            assert!(matches!(error, Error::Instance(InstanceError::InTransaction { .. })));
        }
        Ok(())
    })
    .unwrap();
    assert!(one.close().unwrap());
}

#[test]
fn a_transaction_that_fails_leaves_nothing() {
    let test_app = TestApp::new(notes());
    let instance = test_app.instances.open_instance(&test_app.plain()).unwrap();
    let outcome: Result<(), Error> = instance.transact(|txn| {
        txn.get_or_create("Note", "a")?;
        Err(Error::TransactionFailed)
    });
    assert_eq!(outcome, Err(Error::TransactionFailed));
    assert!(!has(&instance, "a"));
}

#[test]
fn delete_needs_every_instance_closed_and_tells_whether_there_was_a_file() {
    let test_app = TestApp::new(notes());
    let plain = test_app.plain();
    assert!(!test_app.instances.delete(&plain).unwrap());
    let (typed, dynamic) = (
        test_app.instances.open_instance(&plain).unwrap(),
        test_app.instances.open_dynamic(&plain).unwrap(),
    );
    put(&typed, "a");
    let error = assert_kind(test_app.instances.delete(&plain), ErrorKind::IllegalState);
    let path = plain.path().to_path_buf();
    assert_eq!(error, Error::Instance(InstanceError::StillOpen { path, count: 2 }));
    drop((typed, dynamic));
    assert!(test_app.instances.delete(&plain).unwrap());
    assert!(!plain.path().exists());
    assert!(!has(&test_app.instances.open_instance(&plain).unwrap(), "a"));
}

#[test]
fn delete_does_not_take_a_file_from_a_snapshot_or_from_another_registry() {
    let test_app = TestApp::new(notes());
    let plain = test_app.plain();
    let instance = test_app.instances.open_instance(&plain).unwrap();
    let snapshot = instance.snapshot().unwrap();
    drop(instance);
    let in_use = |outcome: Result<bool, Error>| match outcome {
        Err(Error::File { cause: FileErrorCause::OpenHere, .. }) => {}
        outcome => panic!("{outcome:?}"),
    };
    in_use(test_app.instances.delete(&plain));
    drop(snapshot);
    let other = FileRegistry::open(&test_app.app, StoreOptions::new()).unwrap();
    let held = other.open_instance(&plain).unwrap();
    in_use(test_app.instances.delete(&plain));
    drop(held);
    assert!(test_app.instances.delete(&plain).unwrap());
}

#[test]
fn delete_takes_what_an_interrupted_attempt_left_beside_the_file() {
    let test_app = TestApp::new(notes());
    let plain = test_app.plain();
    drop(test_app.instances.open_instance(&plain).unwrap());
    let beside = test_app.path("default.realm.fastness-tmp");
    std::fs::write(&beside, b"left over").unwrap();
    assert!(test_app.instances.delete(&plain).unwrap());
    assert!(!beside.exists());
    std::fs::write(&beside, b"left over").unwrap();
    assert!(!test_app.instances.delete(&plain).unwrap());
    assert!(!beside.exists());
}

#[test]
fn delete_leaves_a_backup_where_it_is() {
    let test_app = TestApp::new(notes());
    drop(test_app.instances.open_instance(&test_app.plain()).unwrap());
    let backup = Configuration::for_recovery(&test_app.app, test_app.plain().path()).unwrap();
    assert!(!test_app.instances.delete(&backup).unwrap());
    assert!(backup.path().exists());
}

/// Leaves pages two thirds full.
fn fill(txn: &mut Transaction) -> Result<(), Error> {
    let name = |number: u32| format!("a note with a rather long key, number {number:06}");
    for number in 0..6000 {
        txn.get_or_create("Note", name(number).as_str())?;
    }
    for number in (0..6000).step_by(3) {
        let (id, _) = txn.get_or_create("Note", name(number).as_str())?;
        txn.delete(&id)?;
    }
    Ok(())
}

#[test]
fn compact_requires_a_closed_file() {
    let test_app = TestApp::new(notes());
    let plain = test_app.plain();
    assert!(test_app.instances.compact(&plain).unwrap(), "it makes the file");
    assert!(plain.path().exists());
    let instance = test_app.instances.open_instance(&plain).unwrap();
    instance.transact(fill).unwrap();
    put(&instance, "left");
    let bytes = || plain.path().metadata().unwrap().len();
    assert!(!test_app.instances.compact(&plain).unwrap(), "it is open");
    instance.close().unwrap();
    let before = bytes();
    assert!(test_app.instances.compact(&plain).unwrap());
    assert!(bytes() < before, "{} of {before}", bytes());
    assert!(has(&test_app.instances.open_instance(&plain).unwrap(), "left"));
}

#[test]
fn copies_are_plain_or_under_the_key_that_is_given() {
    let test_app = TestApp::new(notes());
    let keyed = test_app.builder().encryption_key(&[7; 64]).unwrap().build().unwrap();
    let instance = test_app.instances.open_instance(&keyed).unwrap();
    put(&instance, "a");
    instance.write_copy(test_app.path("plain")).unwrap();
    instance.write_encrypted_copy(test_app.path("keyed"), &[9; 64]).unwrap();
    let copy = |name: &str| test_app.builder().name(name).unwrap();
    for copy in [copy("plain"), copy("keyed").encryption_key(&[9; 64]).unwrap()] {
        assert!(has(&test_app.instances.open_instance(&copy.build().unwrap()).unwrap(), "a"));
    }
    for length in [0, 63, 65] {
        let key = vec![9; length];
        let outcome = instance.write_encrypted_copy(test_app.path("short"), &key);
        assert_kind(outcome, ErrorKind::InvalidArgument);
    }
    assert_kind(instance.write_copy(test_app.path("plain")), ErrorKind::InvalidArgument);
    let missing = instance.write_copy(test_app.path("missing/copy"));
    assert_kind(missing, ErrorKind::File(FileErrorKind::NotFound));
}

#[test]
fn a_file_in_memory_ends_with_the_last_instance_and_can_be_copied_to_the_disk() {
    let test_app = TestApp::new(notes());
    let memory = test_app.builder().name("memory").unwrap().in_memory().unwrap().build().unwrap();
    let one = test_app.instances.open_instance(&memory).unwrap();
    put(&one, "a");
    let two = test_app.instances.open_dynamic(&memory).unwrap();
    assert!(has(&two, "a"));
    two.write_copy(test_app.path("copy")).unwrap();
    drop((one, two));
    assert!(!memory.path().exists() && !test_app.instances.delete(&memory).unwrap());
    assert!(!has(&test_app.instances.open_instance(&memory).unwrap(), "a"));
    let copy = test_app.builder().name("copy").unwrap().build().unwrap();
    assert!(has(&test_app.instances.open_instance(&copy).unwrap(), "a"));
}

#[test]
fn a_new_file_begins_as_its_asset_once() {
    let made = TestApp::new(notes());
    let instance = made.instances.open_instance(&made.plain()).unwrap();
    put(&instance, "from the asset");
    instance.close().unwrap();
    let bytes = std::fs::read(made.plain().path()).unwrap();
    let test_app = TestApp::with(notes(), |app| {
        app.assets(move |name| match name {
            "seed" => Ok(bytes.clone()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        })
    });
    let seeded = test_app.builder().asset_file("seed").unwrap().build().unwrap();
    let instance = test_app.instances.open_instance(&seeded).unwrap();
    assert!(has(&instance, "from the asset"));
    put(&instance, "a new row");
    instance.close().unwrap();
    assert!(
        has(&test_app.instances.open_instance(&seeded).unwrap(), "a new row"),
        "it is not replaced"
    );

    let name = |name: &str| test_app.builder().name(name).unwrap();
    let read = name("read").asset_file("seed").unwrap().read_only().build().unwrap();
    let instance = test_app.instances.open_instance(&read).unwrap();
    assert!(has(&instance, "from the asset"));
    let refused = instance.transact(|_| Ok(()));
    assert_eq!(refused, Err(Error::ReadOnly { path: read.path().to_path_buf() }));
    assert_kind(test_app.instances.compact(&read), ErrorKind::IllegalState);

    let compacted = name("compacted").asset_file("seed").unwrap().build().unwrap();
    assert!(test_app.instances.compact(&compacted).unwrap(), "the file is created from the asset");
    assert!(has(&test_app.instances.open_instance(&compacted).unwrap(), "from the asset"));

    let missing = name("missing").asset_file("none").unwrap().build().unwrap();
    let error = assert_kind(
        test_app.instances.open_instance(&missing),
        ErrorKind::File(FileErrorKind::AccessError),
    );
    let Error::File { path, .. } = &error else { panic!("{error}") };
    assert_eq!(path, Path::new("none"));
    assert!(!missing.path().exists());
}

#[test]
fn the_compaction_rule_is_asked_once_each_time_the_file_is_opened() {
    let test_app = TestApp::new(notes());
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let rule = CompactionPolicy::custom("counts", move |file| {
        counted.fetch_add(1, Ordering::Relaxed);
        assert!(file.used_bytes <= file.total_bytes && file.total_bytes > 0);
        true
    });
    let config = test_app.builder().compact_on_launch(rule).build().unwrap();
    let one = test_app.instances.open_instance(&config).unwrap();
    put(&one, "a");
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    let two = test_app.instances.open_dynamic(&config).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1, "another instance is open");
    drop((one, two));
    assert!(has(&test_app.instances.open_instance(&config).unwrap(), "a"));
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[test]
fn a_file_is_compacted_when_it_is_opened_if_the_rule_says_so() {
    let test_app = TestApp::new(notes());
    let plain = test_app.plain();
    let bytes = || plain.path().metadata().unwrap().len();
    let instance = test_app.instances.open_instance(&plain).unwrap();
    instance.transact(fill).unwrap();
    put(&instance, "left");
    drop(instance);
    let full = bytes();
    for should in [false, true] {
        let rule = CompactionPolicy::custom("says so", move |_| should);
        let ruled = test_app.builder().compact_on_launch(rule).build().unwrap();
        assert!(has(&test_app.instances.open_instance(&ruled).unwrap(), "left"));
        assert_eq!(bytes() < full, should, "{} of {full}", bytes());
    }
}

#[test]
fn code_that_an_opening_runs_can_open_others_and_not_the_same() {
    let test_app = TestApp::new(notes());
    let (instances, plain) = (test_app.instances.clone(), test_app.plain());
    let own = Arc::new(std::sync::OnceLock::<Configuration>::new());
    let same = Arc::clone(&own);
    let rule = CompactionPolicy::custom("opens", move |_| {
        drop(instances.open_instance(&plain).unwrap());
        let error =
            assert_kind(instances.open_instance(same.get().unwrap()), ErrorKind::IllegalState);
        assert!(matches!(error, Error::Instance(InstanceError::AtWork { .. })), "{error}");
        assert_kind(instances.delete(same.get().unwrap()), ErrorKind::IllegalState);
        false
    });
    let config = test_app.builder().name("outer").unwrap().compact_on_launch(rule).build().unwrap();
    own.set(config.clone()).unwrap();
    drop(test_app.instances.open_instance(&config).unwrap());
}

#[test]
fn waiting_throws_on_ui_thread() {
    let test_app = TestApp::new(notes());
    let (at_work, done) = (mpsc::channel(), mpsc::channel());
    let (tell, wait) = (Mutex::new(at_work.0), Mutex::new(done.1));
    let fill = Callback::initial_data("takes its time", move |_| {
        tell.lock().unwrap().send(()).unwrap();
        wait.lock().unwrap().recv().unwrap();
        Ok(())
    });
    let migration = Callback::migration("never runs", |_| Ok(()));
    let slow = test_app.builder().initial_data(fill).migration(migration).build().unwrap();
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| drop(test_app.instances.open_instance(&slow).unwrap()));
        // The closure owns it, so no thread waits for ever.
        let finish = done.0;
        at_work.1.recv().unwrap();
        let ui = test_app.instances.forbid_blocking();
        let outcomes = [
            test_app.instances.open_instance(&slow).map(drop),
            test_app.instances.open_dynamic(&slow).map(drop),
            test_app.instances.delete(&slow).map(drop),
            test_app.instances.compact(&slow).map(drop),
            test_app.instances.migrate(&slow),
            test_app.instances.execute(&slow).map(drop),
        ];
        for outcome in outcomes {
            let error = assert_kind(outcome, ErrorKind::IllegalState);
            assert!(
                matches!(error, Error::Instance(InstanceError::BlockingForbidden { .. })),
                "{error}"
            );
        }
        // Without work on the file, nothing blocks.
        let other = test_app.builder().name("other").unwrap().build().unwrap();
        drop(test_app.instances.open_instance(&other).unwrap());
        finish.send(()).unwrap();
        opening.join().unwrap();
        drop(ui);
        drop(test_app.instances.open_instance(&slow).unwrap());
    });
}

#[test]
fn an_unchanged_second_opening_writes_nothing() {
    let test_app = TestApp::new(notes());
    let plain = test_app.plain();
    drop(test_app.instances.open_instance(&plain).unwrap());
    let names = || {
        let entries = std::fs::read_dir(test_app.dir.path()).unwrap();
        let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        (names, std::fs::read(plain.path()).unwrap())
    };
    let before = names();
    drop(test_app.instances.open_instance(&plain).unwrap());
    assert_eq!(names(), before);
}

#[test]
fn initial_data_is_written_once_and_never_by_a_dynamic_opening() {
    let test_app = TestApp::new(notes());
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let fill = Callback::initial_data("fills", move |txn| {
        counted.fetch_add(1, Ordering::Relaxed);
        txn.get_or_create("Note", "initial").map(drop)
    });
    let config = test_app.builder().initial_data(fill).build().unwrap();
    let dynamic = test_app.instances.open_dynamic(&config).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    assert!(dynamic.snapshot().unwrap().objects("Note").is_err(), "it has no class yet");
    let typed = test_app.instances.open_instance(&config).unwrap();
    assert!(has(&typed, "initial") && has(&dynamic, "initial"));
    drop((typed, dynamic));
    drop(test_app.instances.open_instance(&config).unwrap());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn initial_data_that_fails_leaves_counts_and_is_tried_again() {
    let test_app = TestApp::new(notes());
    let fails = Arc::new(AtomicUsize::new(1));
    let left = Arc::clone(&fails);
    let fill = Callback::initial_data("fails once", move |txn| {
        txn.get_or_create("Note", "initial")?;
        if left.swap(0, Ordering::Relaxed) == 1 { Err(Error::TransactionFailed) } else { Ok(()) }
    });
    let config = test_app.builder().initial_data(fill).build().unwrap();
    let Err(error) = test_app.instances.open_instance(&config) else { panic!("it fails") };
    assert_eq!((error, test_app.instances.global_count(&config)), (Error::TransactionFailed, 0));
    assert!(has(&test_app.instances.open_instance(&config).unwrap(), "initial"));
}

fn migrating(test_app: &TestApp, calls: &Arc<AtomicUsize>) -> Configuration {
    let counted = Arc::clone(calls);
    let migration = Callback::migration("to 2", move |migration| {
        counted.fetch_add(1, Ordering::Relaxed);
        assert_eq!((migration.from(), migration.to()), (0, 2));
        let text = Property::new("text", Scalar::String)?;
        migration.new_txn().add_property("Note", &text)
    });
    let key = Property::new("key", Scalar::String).unwrap().required().primary_key();
    let text = Property::new("text", Scalar::String).unwrap();
    let note = Class::new("Note").unwrap().with(key).with(text);
    let builder = test_app.builder().schema_version(2).unwrap().modules([Module::new("2", [note])]);
    builder.migration(migration).build().unwrap()
}

#[test]
fn a_migration_runs_once_when_the_file_is_opened() {
    let test_app = TestApp::new(notes());
    let instance = test_app.instances.open_instance(&test_app.plain()).unwrap();
    put(&instance, "kept");
    instance.close().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let second = migrating(&test_app, &calls);
    // A dynamic opening does not need it.
    drop(test_app.instances.open_dynamic(&second).unwrap());
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    for _ in 0..2 {
        let instance = test_app.instances.open_instance(&second).unwrap();
        let snapshot = instance.snapshot().unwrap();
        let note = snapshot.objects("Note").unwrap().get("kept").unwrap().unwrap();
        assert!(note.get("text").is_ok());
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_kind(test_app.instances.open_instance(&test_app.plain()), ErrorKind::InvalidArgument);
    assert_eq!(test_app.instances.global_count(&test_app.plain()), 0);
}

#[test]
fn migrate_brings_a_closed_file_up_to_its_schema() {
    let test_app = TestApp::new(notes());
    let calls = Arc::new(AtomicUsize::new(0));
    let second = migrating(&test_app, &calls);
    let missing = ErrorKind::File(FileErrorKind::NotFound);
    assert_kind(test_app.instances.migrate(&second), missing);
    let plain = test_app.plain();
    let held = test_app.instances.open_instance(&plain).unwrap();
    assert_kind(test_app.instances.migrate(&second), ErrorKind::IllegalState);
    held.close().unwrap();
    assert_kind(test_app.instances.migrate(&plain), ErrorKind::MigrationNeeded);
    test_app.instances.migrate(&second).unwrap();
    drop(test_app.instances.open_instance(&second).unwrap());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn a_typed_opening_within_a_transaction_of_a_dynamic_one_is_refused() {
    let test_app = TestApp::new(notes());
    let plain = test_app.plain();
    let dynamic = test_app.instances.open_dynamic(&plain).unwrap();
    let within = dynamic.transact(|_| {
        let error = assert_kind(test_app.instances.open_instance(&plain), ErrorKind::IllegalState);
        assert!(matches!(error, Error::Instance(InstanceError::InTransaction { .. })), "{error}");
        Ok(test_app.instances.global_count(&plain))
    });
    assert_eq!(within, Ok(1));
    drop(test_app.instances.open_instance(&plain).unwrap());
}

#[test]
fn a_missing_migration_is_needed_and_deletion_takes_its_place() {
    let test_app = TestApp::new(notes());
    drop(test_app.instances.open_instance(&test_app.plain()).unwrap());
    let other = || {
        let note = Class::new("Note").unwrap().with(Property::new("n", Scalar::Int).unwrap());
        test_app.builder().modules([Module::new("other", [note])])
    };
    let needs = other().build().unwrap();
    assert_kind(test_app.instances.open_instance(&needs), ErrorKind::MigrationNeeded);
    let deletes = other().delete_if_migration_needed().unwrap().build().unwrap();
    let instance = test_app.instances.open_instance(&deletes).unwrap();
    assert_eq!(instance.snapshot().unwrap().objects("Note").unwrap().len(), 0);
}

/// 3.6 and 5: what a UI thread would wait for is refused, at once and while it lasts only.
#[test]
fn a_ui_thread_does_not_wait_for_a_transaction_of_another_thread() {
    let test_app = TestApp::new(notes());
    let (instances, plain) = (test_app.instances.clone(), test_app.plain());
    let here = instances.open_instance(&plain).unwrap();
    let mark = instances.forbid_blocking();
    let (begun, ended) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let there = instances.open_instance(&plain).unwrap();
            there
                .transact(|txn| {
                    begun.wait();
                    ended.wait();
                    txn.get_or_create("Note", "there").map(drop)
                })
                .unwrap();
        });
        begun.wait();
        for error in [
            assert_kind(here.transact(|_| Ok(())), ErrorKind::IllegalState),
            assert_kind(here.subscribe(), ErrorKind::IllegalState),
        ] {
            let path = plain.path().to_path_buf();
            assert_eq!(error, InstanceError::BlockingForbidden { path }.into());
        }
        assert!(!has(&here, "there"));
        ended.wait();
    });
    assert!(has(&here, "there"));
    put(&here, "here");
    here.subscribe().unwrap();
    drop(mark);
    put(&here, "also");
    assert!(has(&here, "here") && has(&here, "also"));
}

#[test]
fn a_ui_thread_does_not_wait_to_bring_the_schema_about() {
    let test_app = TestApp::new(notes());
    let (instances, plain) = (test_app.instances.clone(), test_app.plain());
    let here = instances.open_dynamic(&plain).unwrap();
    let mark = instances.forbid_blocking();
    let (begun, ended) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let there = instances.open_dynamic(&plain).unwrap();
            let waiting = |_: &mut Transaction| {
                begun.wait();
                ended.wait();
                Ok(())
            };
            there.transact(waiting).unwrap();
        });
        begun.wait();
        let refused = instances.open_instance(&plain).map(drop);
        ended.wait();
        let error = assert_kind(refused, ErrorKind::IllegalState);
        assert_eq!(
            error,
            InstanceError::BlockingForbidden { path: plain.path().to_path_buf() }.into()
        );
    });
    assert_eq!(instances.global_count(&plain), 1, "a refused opening is not counted");
    put(&instances.open_instance(&plain).unwrap(), "here");
    assert!(has(&here, "here"));
    drop(mark);
}
