//! Callbacks call back: each calls every public function of the registry, of an instance, a
//! database, a store and a subscription, for the file that it belongs to and for others. Every call
//! returns, with a result or a refusal, and the file works afterwards (J5, N5).

use super::{TestApp, add_row, shows_row, string_only};
use fastness::config::{App, Callback, CompactionPolicy, Configuration};
use fastness::instance::{FileRegistry, SyncError};
use fastness::object::{Database, DatabaseOptions};
use fastness::schema::{Class, Property, Scalar, Schema};
use fastness::{Durability, Error, Result, StoreOptions, Time};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

/// A time that only a call that waits for itself needs.
const PATIENCE: Duration = Duration::from_secs(60);

const NOW: Time = Time::from_seconds(1_511_343_015);

/// The functions that a callback calls, and their arguments.
struct Caller {
    app: App,
    folder: PathBuf,
    registry: FileRegistry,
    /// The file of the callback, another one, and a synced one.
    own: Configuration,
    other: Configuration,
    synced: Configuration,
    /// The database of the callback, or another one.
    database: Database,
    /// The functions that were called.
    called: Mutex<BTreeSet<&'static str>>,
    /// The function that is being called; it names a call that does not return.
    current: Mutex<&'static str>,
    /// A callback that its own calls cause does nothing.
    is_inside: AtomicBool,
}

impl Caller {
    fn new(test_app: &TestApp, own: Configuration, database: Database) -> Self {
        let other = Configuration::builder(&test_app.app).name("other").unwrap().build().unwrap();
        Self {
            app: test_app.app.clone(),
            folder: test_app.dir.path().join("copies"),
            registry: test_app.instances.clone(),
            own,
            other,
            synced: test_app.synced(),
            database,
            called: Mutex::default(),
            current: Mutex::new("none"),
            is_inside: AtomicBool::new(false),
        }
    }

    /// Calls a function. The result depends on the callback; that there is one does not.
    fn call<T>(&self, name: &'static str, function: impl FnOnce() -> T) -> T {
        *self.current.lock().unwrap() = name;
        let outcome = function();
        self.called.lock().unwrap().insert(name);
        outcome
    }

    /// Calls everything.
    fn call_back(&self) {
        if self.is_inside.swap(true, Ordering::Relaxed) {
            return;
        }
        std::fs::create_dir_all(&self.folder).unwrap();
        for configuration in [&self.other, &self.own, &self.synced] {
            self.call_instance(configuration);
            self.call_registry(configuration);
        }
        self.call_database();
        self.call_store();
        self.call_options();
        self.is_inside.store(false, Ordering::Relaxed);
    }

    fn call_registry(&self, configuration: &Configuration) {
        let registry = &self.registry;
        let options = StoreOptions::new;
        drop(self.call("open", || FileRegistry::open(&self.app, options())));
        let threads = Arc::new(fastness::instance::OsThreads);
        drop(self.call("open_with", || FileRegistry::open_with(&self.app, options(), threads)));
        drop(self.call("open_dynamic", || registry.open_dynamic(configuration)));
        self.call("global_count", || registry.global_count(configuration));
        self.call("local_count", || registry.local_count(configuration));
        assert!(!self.call("is_locked", || registry.is_locked()), "J5");
        drop(self.call("migrate", || registry.migrate(configuration)));
        drop(self.call("compact", || registry.compact(configuration)));
        drop(self.call("delete", || registry.delete(configuration)));
        let guard = self.call("forbid_blocking", || registry.forbid_blocking());
        drop(registry.open_instance(configuration));
        drop(guard);
        drop(self.call("draw_backup", || registry.draw_backup(NOW)));
        drop(self.call("require_deletion", || registry.require_deletion(configuration)));
        drop(self.call("simulate_reset", || registry.simulate_reset(configuration, NOW)));
        self.call("pending_actions", || registry.pending_actions());
        self.call("executed_at_start", || registry.executed_at_start().len());
        if let Ok(reset) = self.call("require_reset", || registry.require_reset(configuration, NOW))
        {
            self.call("code", || reset.code());
            self.call("original_file", || reset.original_file().exists());
            self.call("backup_file", || reset.backup_file().exists());
            self.call("original_configuration", || reset.original_configuration().clone());
            self.call("backup_configuration", || reset.backup_configuration().clone());
            drop(reset.execute());
        }
        drop(self.call("execute", || registry.execute(configuration)));
    }

    fn call_instance(&self, configuration: &Configuration) {
        let registry = &self.registry;
        let Ok(instance) = self.call("open_instance", || registry.open_instance(configuration))
        else {
            return;
        };
        self.call("configuration", || instance.configuration().clone());
        self.call("kind", || instance.kind());
        self.call("is_same", || instance.is_same(&instance));
        drop(self.call("snapshot", || instance.snapshot()));
        drop(self.call("transact", || instance.transact(|_| Ok(()))));
        drop(self.call("try_transact", || instance.try_transact(|_| Ok::<_, Error>(()))));
        drop(self.call("subscribe", || instance.subscribe()));
        drop(self.call("write_copy", || instance.write_copy(self.unused("plain"))));
        let encrypted = self.unused("encrypted");
        drop(
            self.call("write_encrypted_copy", || {
                instance.write_encrypted_copy(encrypted, &[7; 64])
            }),
        );
        drop(self.call("close", || instance.close()));
    }

    fn call_database(&self) {
        let database = &self.database;
        drop(self.call("snapshot", || database.snapshot()));
        drop(self.call("write", || database.write()));
        drop(self.call("transact", || database.transact(|_| Ok(()))));
        drop(self.call("transact_with", || {
            database.transact_with(Durability::None, |txn| txn.create("Note").map(drop))
        }));
        drop(self.call("try_transact", || database.try_transact(|_| Ok::<_, Error>(()))));
        drop(self.call("try_transact_with", || {
            database.try_transact_with(Durability::None, |_| Ok::<_, Error>(()))
        }));
        self.call("store", || database.store().clone());
        self.call_live();
        let Ok((_, subscription)) = self.call("subscribe", || database.subscribe()) else { return };
        drop(self.call("try_recv", || subscription.try_recv()));
        drop(self.call("recv", || subscription.recv(Duration::ZERO)));
        let mut context = Context::from_waker(Waker::noop());
        self.call("poll_recv", || subscription.poll_recv(&mut context).is_ready());
        self.call("on_commit", || subscription.on_commit(|| {}));
    }

    fn call_live(&self) {
        let database = &self.database;
        let Ok(snapshot) = database.snapshot() else { return };
        let Ok(notes) = snapshot.objects("Note") else { return };
        self.call("explain_live", || notes.query().explain_live().is_ok());
        let query = notes.query().limit(2);
        let Ok((_, mut live)) = self.call("subscribe", || query.subscribe(database)) else {
            return;
        };
        self.call("ids", || live.ids());
        self.call("len", || live.len());
        self.call("is_empty", || live.is_empty());
        drop(self.call("try_recv", || live.try_recv()));
        drop(self.call("recv", || live.recv(Duration::ZERO)));
        let mut context = Context::from_waker(Waker::noop());
        self.call("poll_recv", || live.poll_recv(&mut context).is_ready());
        self.call("on_commit", || live.on_commit(|| {}));
        let Some(id) = live.ids().pop() else { return };
        drop(self.call("subscribe_object", || database.subscribe_object(&id)));
    }

    fn call_store(&self) {
        let store = self.database.store();
        drop(self.call("snapshot", || store.snapshot()));
        drop(self.call("write", || store.write()));
        drop(self.call("sync", || store.sync()));
        drop(self.call("compact", || store.compact()));
        drop(self.call("copy", || store.copy(self.unused("store"), None)));
        self.call("recovery", || store.recovery());
        self.call("path", || store.path().to_path_buf());
        drop(self.call("info", || store.info()));
        let clone = store.clone();
        assert!(self.call("close", || clone.close()).is_err(), "it is open");
    }

    fn call_options(&self) {
        let (options, path) = (StoreOptions::new(), self.unused("created"));
        drop(self.call("create", || options.create(&path)));
        drop(self.call("open", || options.open(&path)));
        drop(self.call("open_or_create", || options.open_or_create(&path)));
        drop(self.call("open_read_only", || options.open_read_only(&path)));
        drop(self.call("in_memory", || options.in_memory()));
    }

    /// Returns a path without a file.
    fn unused(&self, name: &str) -> PathBuf {
        let path = self.folder.join(name);
        if path.exists() {
            std::fs::remove_file(&path).unwrap();
        }
        path
    }
}

/// Runs a test of one callback on a thread of its own, and names the call that does not return.
fn before_deadline(body: impl FnOnce(&Arc<OnceLock<Caller>>) + Send + 'static) {
    let caller = Arc::new(OnceLock::new());
    let own = Arc::clone(&caller);
    let (done, ended) = mpsc::channel();
    let thread = thread::Builder::new().spawn(move || {
        body(&own);
        done.send(()).unwrap_or_default();
    });
    let thread = thread.unwrap();
    if ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
        let current = caller.get().map(|caller: &Caller| *caller.current.lock().unwrap());
        panic!("J5: {current:?} does not return in a callback");
    }
    thread.join().unwrap();
    let caller = caller.get().expect("the callback has a caller");
    let missing: Vec<_> = public_functions()
        .into_iter()
        .filter(|name| !caller.called.lock().unwrap().contains(&**name))
        .collect();
    assert_eq!(missing, Vec::<String>::new(), "functions that the callback did not call");
}

/// Returns the public functions that a callback must be able to call.
fn public_functions() -> BTreeSet<String> {
    let mut functions = BTreeSet::new();
    for file in [
        "instance/file_registry.rs",
        "instance/handle.rs",
        "instance/reset.rs",
        "object/database.rs",
        "object/live_query.rs",
        "object/subscribe.rs",
        "txn/store.rs",
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let name = line.strip_prefix("    pub fn ").or(line.strip_prefix("    pub const fn "));
            let end = |name: &str| name.find(['(', '<']).unwrap_or(name.len());
            functions.extend(name.map(|name| name[..end(name)].to_owned()));
        }
    }
    // Two belong to `Callback`: one creates a handler, the other one runs it. The third one is for
    // the crate of sync.
    for own in ["error_handler", "handle", "set_author"] {
        assert!(functions.remove(own));
    }
    assert!(functions.contains("open_instance") && functions.contains("write"));
    functions
}

fn other_database() -> Database {
    let note = Schema::new([Class::new("Note").unwrap()]).unwrap();
    Database::in_memory(&StoreOptions::new(), &DatabaseOptions::schema(note, 0)).unwrap()
}

/// Opens a file, one of whose callbacks calls back. It works afterwards.
fn opens_with(
    caller: &Arc<OnceLock<Caller>>,
    configure: impl FnOnce(&TestApp, Arc<dyn Fn() + Send + Sync>) -> Configuration,
) {
    let test_app = TestApp::new(string_only());
    let called = Arc::clone(caller);
    let call_back = Arc::new(move || called.get().expect("it is set before").call_back());
    let own = configure(&test_app, call_back);
    caller.set(Caller::new(&test_app, own.clone(), other_database())).ok().unwrap();
    let instance = test_app.instances.open_instance(&own).unwrap();
    assert_eq!(test_app.instances.global_count(&own), 1);
    instance.transact(add_row).unwrap();
    assert!(shows_row(&instance));
    instance.close().unwrap();
    assert!(shows_row(&test_app.instances.open_instance(&own).unwrap()));
}

#[test]
fn initial_data_calls_back() {
    before_deadline(|caller| {
        opens_with(caller, |test_app, call_back| {
            let fill = Callback::initial_data("calls back", move |_| {
                call_back();
                Ok(())
            });
            Configuration::builder(&test_app.app).initial_data(fill).build().unwrap()
        });
    });
}

#[test]
fn a_migration_calls_back() {
    before_deadline(|caller| {
        opens_with(caller, |test_app, call_back| {
            let first = Configuration::builder(&test_app.app).build().unwrap();
            test_app.instances.open_instance(&first).unwrap().close().unwrap();
            let migrate = Callback::migration("calls back", move |migration| {
                call_back();
                let more = Property::new("more", Scalar::String)?;
                migration.new_txn().add_property("StringOnly", &more)
            });
            let text = |name| Property::new(name, Scalar::String).unwrap();
            let class = Class::new("StringOnly").unwrap();
            let class = class.with(text("chars")).with(text("more"));
            let builder = Configuration::builder(&test_app.app).schema_version(1).unwrap();
            let module = fastness::schema::Module::new("second", [class]);
            builder.modules([module]).migration(migrate).build().unwrap()
        });
    });
}

#[test]
fn a_compaction_policy_calls_back() {
    before_deadline(|caller| {
        opens_with(caller, |test_app, call_back| {
            let policy = CompactionPolicy::custom("calls back", move |_| {
                call_back();
                true
            });
            Configuration::builder(&test_app.app).compact_on_launch(policy).build().unwrap()
        });
    });
}

#[test]
fn an_error_handler_calls_back() {
    before_deadline(|caller| {
        let test_app = TestApp::new(string_only());
        let called = Arc::clone(caller);
        let handler = Callback::error_handler("calls back", move |error| {
            assert!(matches!(error, SyncError::ClientReset(_)));
            called.get().unwrap().call_back();
        });
        let own = test_app.synced_builder().error_handler(handler).build().unwrap();
        caller.set(Caller::new(&test_app, own.clone(), other_database())).ok().unwrap();
        let instance = test_app.instances.open_instance(&own).unwrap();
        instance.transact(add_row).unwrap();
        test_app.instances.simulate_reset(&own, NOW).unwrap();
        assert!(shows_row(&instance), "the file is open, so nothing was executed");
        instance.close().unwrap();
        assert!(test_app.instances.execute(&own).unwrap());
    });
}

/// Returns a database whose commit hook calls back.
fn hooked(caller: &Arc<OnceLock<Caller>>) -> Result<Database> {
    let called = Arc::clone(caller);
    let note = Schema::new([Class::new("Note")?])?;
    let options = DatabaseOptions::schema(note, 0).commit_hook(Arc::new(move |_, _| {
        if let Some(caller) = called.get() {
            caller.call_back();
        }
        Ok(())
    }));
    Database::in_memory(&StoreOptions::new(), &options)
}

#[test]
fn a_commit_hook_calls_back() {
    before_deadline(|caller| {
        let database = hooked(caller).unwrap();
        let test_app = TestApp::new(string_only());
        let own = Configuration::builder(&test_app.app).build().unwrap();
        caller.set(Caller::new(&test_app, own, other_database())).ok().unwrap();
        database.transact(|txn| txn.create("Note").map(drop)).unwrap();
        // The calls go to the database of the hook itself.
        let caller = caller.get().unwrap();
        let own = database.clone();
        let note = Schema::new([Class::new("Note").unwrap()]).unwrap();
        let hook = Arc::new(move |_: &[_], _: &mut _| {
            for outcome in
                [own.write().map(drop), own.transact(|_| Ok(())), own.store().sync().map(drop)]
            {
                assert!(outcome.is_err(), "N5");
            }
            assert!(own.subscribe().is_err() && own.store().compact().is_err(), "N5");
            own.snapshot().map(drop)
        });
        let options = DatabaseOptions::schema(note, 0).commit_hook(hook);
        let second = Database::from_store(database.store().clone(), &options).unwrap();
        second.transact(|txn| txn.create("Note").map(drop)).unwrap();
        assert_eq!(database.snapshot().unwrap().objects("Note").unwrap().len(), 2);
        assert!(caller.called.lock().unwrap().contains("subscribe"));
    });
}

#[test]
fn the_callback_of_a_subscription_calls_back() {
    before_deadline(|caller| {
        let test_app = TestApp::new(string_only());
        let own = Configuration::builder(&test_app.app).build().unwrap();
        let database = other_database();
        caller.set(Caller::new(&test_app, own, database.clone())).ok().unwrap();
        let (_, subscription) = database.subscribe().unwrap();
        let called = Arc::clone(caller);
        subscription.on_commit(move || called.get().unwrap().call_back());
        database.transact(|txn| txn.create("Note").map(drop)).unwrap();
        let mut count = 0;
        while subscription.try_recv().is_some() {
            count += 1;
        }
        assert_eq!(count, 2, "the commit and that of the callback");
    });
}
