//! Commits whose record cannot be written, without dependents: they leave no trace for readers,
//! observers or the file.

use fastness::object::{Database, DatabaseOptions, ObjectKey, Transaction, Value};
use fastness::schema::{Class, Property, PropertyType, Scalar, Schema};
use fastness::table::ObjectRef;
use fastness::{Error, Key, PAGE_BYTES, Store, StoreOptions};
use fastness_sim::fs::{Call, Disk, Fault, Injection, SimFs};
use fastness_sync::client::{
    ClientError, ClientReplica, Download, DownloadItem, Merged, ReplicaClock,
};
use fastness_sync::server::{
    Access, ClientIdentity, DownloadRequest, HistoryItem, HistoryPart, Opening, ServerReplica,
    ServerStatus, Submission,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const FULL: Injection = Injection { fault: Fault::NoSpace, after: 0, lasting: false };

/// Plain and encrypted options.
fn twins(fs: &SimFs) -> [StoreOptions; 2] {
    let options = StoreOptions::new().vfs(Arc::new(fs.clone()));
    [options.clone(), options.key(Key::new([7; 64]))]
}

fn set(store: &Store, key: &[u8]) -> Result<(), Error> {
    let mut txn = store.write()?;
    txn.tree("t")?.insert(key, b"value")?;
    txn.commit().map(drop)
}

/// C11, N3: a log whose first record failed leaves no trace after a close.
#[test]
fn a_log_whose_first_record_failed_leaves_no_trace() {
    for twin in 0..2 {
        let fs = SimFs::boot(Disk::default(), 1);
        let options = twins(&fs)[twin].clone();
        drop(options.create("store").unwrap());
        let store = options.open("store").unwrap();
        let before = store.snapshot().commit();
        // The slot that announces the log, its zeros, then the record.
        fs.inject(Injection { after: 2, ..FULL });
        set(&store, b"lost").unwrap_err();
        let failure = fs.take_failure().unwrap();
        let log = 3 * PAGE_BYTES as u64;
        assert!(failure.call == Call::Write && failure.offset >= log, "{failure:?}");
        assert_eq!(store.snapshot().commit(), before);
        drop(store);
        let store = options.open("store").unwrap();
        assert_eq!((store.recovery(), store.snapshot().commit()), (None, before));
        set(&store, b"kept").unwrap();
        assert_eq!(store.snapshot().tree("t").len(), 1);
    }
}

/// W2, C11: observers receive nothing of a commit that was rolled back, and receive the commit that
/// reuses its number.
#[test]
fn a_rolled_back_commit_is_not_reported() {
    let key = Property::new("name", Scalar::String).unwrap().required().primary_key();
    let schema = Schema::new([Class::new("Dog").unwrap().with(key)]).unwrap();
    for twin in 0..2 {
        let fs = SimFs::boot(Disk::default(), 1);
        let wanted = DatabaseOptions::schema(schema.clone(), 0);
        let database = Database::open(&twins(&fs)[twin], Path::new("store"), &wanted).unwrap();
        let add = |name: &str| {
            let mut txn = database.write()?;
            txn.create_with_key("Dog", name)?;
            txn.commit()
        };
        add("first").unwrap();
        let (dogs, observer) = database.subscribe().unwrap();
        fs.inject(FULL);
        add("lost").unwrap_err();
        assert_eq!(fs.take_failure().unwrap().call, Call::Write);
        let kept = add("kept").unwrap();
        assert_eq!(kept.0, dogs.commit().0 + 1, "the number is used again");
        let changes = observer.try_recv().unwrap();
        assert_eq!(changes.classes["Dog"].inserted, [ObjectKey::String("kept".to_owned())]);
        assert!(changes.commit == kept && observer.try_recv().is_none());
    }
}

const NOW: u64 = 1_700_000_000_000;

/// A client of a server, and its local time.
struct Device {
    replica: ClientReplica,
    client: u32,
    ahead: Arc<AtomicU64>,
}

impl Device {
    fn new(options: &StoreOptions, path: &str, server: &ServerReplica) -> Self {
        let ahead = Arc::new(AtomicU64::new(0));
        let local = Arc::clone(&ahead);
        let clock =
            ReplicaClock::new(Box::new(move || NOW + local.fetch_add(1, Ordering::Relaxed)));
        let node = Class::new("Node")
            .unwrap()
            .with(Property::new("id", Scalar::Int).unwrap().required().primary_key())
            .with(Property::new("next", PropertyType::Object("Node".into())).unwrap());
        let wanted = DatabaseOptions::schema(Schema::new([node]).unwrap(), 1).synced();
        let wanted = wanted.replica_hook(clock.hook());
        let database = Database::open(options, Path::new(path), &wanted).unwrap();
        let replica = ClientReplica::new(database, clock).unwrap();
        let ClientIdentity { client, salt } = server.identify("u", 7, NOW).unwrap();
        replica.identify(client, salt).unwrap();
        Self { replica, client, ahead }
    }

    fn write(&self, body: impl FnOnce(&mut Transaction) -> fastness::Result<()>) {
        let mut txn = self.replica.database().write().unwrap();
        body(&mut txn).unwrap();
        txn.commit().unwrap();
    }

    fn upload(&self, server: &ServerReplica) {
        let upload = self.replica.upload_after(0, usize::MAX).unwrap();
        let entries: Vec<&[u8]> = upload.entries.iter().map(|(_, entry)| &entry[..]).collect();
        let (client, access, oldest_base) = (self.client, Access::Write, upload.oldest_base);
        let submission = Submission { client, access, entries: &entries, oldest_base };
        server.submit(&submission, NOW).unwrap();
    }

    fn download(&self, server: &ServerReplica) -> Result<Merged, ClientError> {
        let (client, from) = (self.client, self.replica.meta().unwrap().cursor);
        #[expect(clippy::reversed_empty_ranges, reason = "no own entry is sent in full")]
        let request = DownloadRequest { client, from, full: 1..=0, bytes_max: usize::MAX };
        let HistoryPart { server, salt, items, .. } = server.download(&request).unwrap().unwrap();
        let items: Vec<DownloadItem<'_>> = items
            .iter()
            .map(|item| match item {
                HistoryItem::Entry { client, entry } => {
                    DownloadItem::Entry { client: *client, entry }
                }
                HistoryItem::Own { client_seq, stamp } => {
                    DownloadItem::Own { client_seq: *client_seq, stamp: *stamp }
                }
            })
            .collect();
        let ServerStatus { epoch, horizon, durable_seq, .. } = server;
        let download = Download { epoch, from, salt, horizon, durable_seq, items: &items };
        self.replica.download(&download)
    }

    /// Returns the link of the first object in the canonical state.
    fn link(&self) -> Option<Value<'static>> {
        let first = ObjectRef { class: "Node".into(), key: ObjectKey::Int(1) };
        self.replica.canonical(|tables| Ok(tables.value(&first, "next")?)).unwrap()
    }
}

/// SY11, C11: a download that a full disk refuses leaves nothing in memory. A pending Create shows
/// a hidden link, so its pre-images are of the object that has the link. The download removes the
/// link, after which the Create touches its own object only.
#[test]
fn a_download_that_was_rolled_back_is_forgotten() {
    let node = |txn: &mut Transaction, key: i64| txn.get_or_create("Node", key).map(|it| it.0);
    for twin in 0..2 {
        let fs = SimFs::boot(Disk::default(), 1);
        let options = twins(&fs)[twin].clone();
        let store = StoreOptions::new().in_memory().unwrap();
        let opening = Opening { database: [1; 16], epoch: 2 };
        let server = ServerReplica::open(store, &opening).unwrap();
        let [own, one, two] =
            ["own", "one", "two"].map(|path| Device::new(&options, path, &server));
        own.write(|txn| node(txn, 1).and(node(txn, 2)).map(drop));
        own.upload(&server);
        [&own, &one, &two].iter().for_each(|device| drop(device.download(&server).unwrap()));
        one.write(|txn| {
            let (from, to) = (node(txn, 1)?, node(txn, 2)?);
            txn.set(&from, "next", to)
        });
        two.write(|txn| {
            let to = node(txn, 2)?;
            txn.delete(&to)
        });
        [&one, &two].iter().for_each(|device| device.upload(&server));
        [&own, &one].iter().for_each(|device| drop(device.download(&server).unwrap()));
        one.write(|txn| {
            let first = node(txn, 1)?;
            txn.set(&first, "next", first.clone())
        });
        one.upload(&server);
        own.ahead.store(60_000, Ordering::Relaxed);
        own.write(|txn| node(txn, 2).map(drop));
        assert_eq!(own.link(), Some(Value::Null), "the link is hidden");
        fs.inject(FULL);
        assert!(matches!(own.download(&server), Err(ClientError::File(Error::File { .. }))));
        assert_eq!(fs.take_failure().unwrap().call, Call::Write);
        own.download(&server).unwrap();
        let Some(Value::Link(to)) = own.link() else { panic!("SY11: {:?}", own.link()) };
        assert_eq!(to.key, ObjectKey::Int(1), "SY11: the canonical state");
    }
}
