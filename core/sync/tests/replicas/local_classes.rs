//! Local classes of synced files.
//!
//! - SY22 Objects of a local class are in no entry; only the app changes them.

use super::histories::{Client, Server};
use super::sessions::{START, SyncedPeer, SyncedWorld};
use fastness::StoreOptions;
use fastness::object::{Database, DatabaseOptions, Transaction};
use fastness::schema::{Class, Property, PropertyType, Scalar, Schema, SchemaError, SchemaMode};
use fastness::{Error, Key, ObjectError};
use fastness_sync::client::{ClientError, ClientReplica, ReplicaClock, ResetMode};
use fastness_sync::entry::{self, Entry, Header, Operation};
use fastness_sync::server::Access;

fn draft() -> Class {
    Class::new("Draft")
        .unwrap()
        .local()
        .with(Property::new("id", Scalar::Int).unwrap().required().primary_key())
        .with(Property::new("text", Scalar::String).unwrap().indexed())
        .with(Property::new("next", PropertyType::Object("Draft".into())).unwrap())
        .with(
            Property::new("lines", PropertyType::List { of: Scalar::String, nullable: false })
                .unwrap(),
        )
}

fn note() -> Class {
    Class::new("Node")
        .unwrap()
        .with(Property::new("id", Scalar::Int).unwrap().required().primary_key())
        .with(Property::new("name", Scalar::String).unwrap())
}

/// Opens a client whose app has a local class.
fn client(options: StoreOptions) -> ClientReplica {
    let clock = ReplicaClock::new(Box::new(|| START));
    let schema = Schema::new([note(), draft()]).unwrap();
    let wanted = DatabaseOptions::schema(schema, 1).mode(SchemaMode::Additive);
    let wanted = wanted.synced().replica_hook(clock.hook());
    let database = Database::from_store(options.in_memory().unwrap(), &wanted).unwrap();
    ClientReplica::new(database, clock).unwrap()
}

fn write(replica: &ClientReplica, edit: impl FnOnce(&mut Transaction)) {
    let mut txn = replica.database().write().unwrap();
    edit(&mut txn);
    txn.commit().unwrap();
}

fn put_draft(txn: &mut Transaction, id: i64, text: &str) {
    let (draft, _) = txn.get_or_create("Draft", id).unwrap();
    txn.set(&draft, "text", text).unwrap();
    txn.set(&draft, "next", draft.clone()).unwrap();
    txn.list(&draft, "lines").unwrap().push(text).unwrap();
}

fn put_node(txn: &mut Transaction, id: i64, name: &str) {
    let (node, _) = txn.get_or_create("Node", id).unwrap();
    txn.set(&node, "name", name).unwrap();
}

/// The texts of the drafts, found by the index too, and their links and lists.
fn drafts(replica: &ClientReplica) -> Vec<String> {
    let snapshot = replica.database().snapshot().unwrap();
    let drafts = snapshot.objects("Draft").unwrap();
    let mut found = Vec::new();
    for draft in drafts.iter().unwrap() {
        let draft = draft.unwrap();
        let (text, next) = (draft.get("text").unwrap(), draft.get("next").unwrap());
        found.push(format!("{text:?} {next:?} {:?}", draft.list("lines").unwrap()));
    }
    let verified = replica.database().store().snapshot().verify().unwrap();
    assert_eq!((verified.problems, verified.objects), (vec![], vec![]), "B13");
    found
}

fn pending(replica: &ClientReplica) -> Vec<Vec<u8>> {
    let upload = replica.upload_after(0, usize::MAX).unwrap();
    upload.entries.into_iter().map(|(_, entry)| entry).collect()
}

#[test]
fn entries_have_no_local_class() {
    for options in [StoreOptions::new(), StoreOptions::new().key(Key::new([4; 64]))] {
        let replica = client(options);
        write(&replica, |txn| put_draft(txn, 1, "alone"));
        let before = pending(&replica).len();
        write(&replica, |txn| put_draft(txn, 2, "alone too"));
        assert_eq!(pending(&replica).len(), before, "SY22: a local transaction has no entry");
        write(&replica, |txn| {
            put_draft(txn, 3, "beside");
            put_node(txn, 1, "beside");
        });
        let entries = pending(&replica);
        assert_eq!(entries.len(), before + 1);
        for bytes in &entries {
            let text = format!("{:?}", entry::decode(bytes).unwrap());
            assert!(!text.contains("Draft"), "SY22: {text}");
        }
        assert_eq!(drafts(&replica).len(), 3);
    }
}

/// A download undoes pending entries whose transactions wrote local objects too.
#[test]
fn undo_leaves_local_objects() {
    let replica = client(StoreOptions::new());
    replica.identify(1, 7).unwrap();
    write(&replica, |txn| {
        put_node(txn, 1, "mine");
        put_draft(txn, 1, "first");
    });
    // The rules apply a transaction again that deletes.
    write(&replica, |txn| {
        let (node, _) = txn.get_or_create("Node", 1).unwrap();
        txn.delete(&node).unwrap();
        put_draft(txn, 1, "second");
        put_draft(txn, 2, "second");
    });
    let before = drafts(&replica);
    let canonical = replica.canonical(|tables| Ok(tables.object_keys("Draft", None)?.len()));
    assert_eq!(canonical, Ok(2), "SY22: undo");
    replica.clock().use_slow_path();
    replica.compact().unwrap();
    write(&replica, |txn| put_node(txn, 2, "after"));
    assert_eq!(drafts(&replica), before, "SY22: undo and redo");
}

#[test]
fn local_objects_survive_a_reset_in_every_mode() {
    for mode in [ResetMode::Recover, ResetMode::Discard] {
        let mut world = SyncedWorld::new(StoreOptions::new().in_memory().unwrap());
        let other = world.peers.swap_remove(0);
        world.peers = vec![other, SyncedPeer::with(client(StoreOptions::new()), 9)];
        world.peers[1].file.mode = mode;
        let replica = world.peers[1].file.replica().clone();
        write(&replica, |txn| {
            put_node(txn, 1, "mine");
            put_draft(txn, 1, "kept");
        });
        world.drain("before");
        write(&replica, |txn| {
            put_node(txn, 2, "pending");
            put_draft(txn, 2, "kept too");
        });
        let before = drafts(&replica);
        let now = world.now;
        world.peers.iter_mut().for_each(|peer| peer.cut(now));
        world.access = Access::Write;
        world.replica.begin_epoch(9).unwrap();
        world.drain("after");
        assert_eq!(world.peers[1].reports.len(), 1);
        assert_eq!(drafts(&replica), before, "SY22: {mode:?}");
        write(&replica, |txn| put_draft(txn, 3, "after"));
        assert_eq!(drafts(&replica).len(), 3);
    }
}

#[test]
fn a_class_of_the_history_with_the_name_of_a_local_one_is_an_error() {
    let replica = client(StoreOptions::new());
    replica.identify(1, 7).unwrap();
    write(&replica, |txn| put_draft(txn, 1, "mine"));
    let before = drafts(&replica);
    let operations = vec![Operation::AddClass { class: "Draft", primary_key: None }];
    let header = Header { client_seq: 1, base: 0, stamp: START };
    let mut server = Server::new();
    server.submit(2, &entry::encode(&Entry { header, operations }).unwrap());
    let peer = Client::of_replica(replica.clone());
    let refused =
        server.with_download(1, (&peer, 9), |download| replica.download(download).map(drop));
    assert_eq!(refused, Err(ClientError::LocalClass("Draft".into())), "SY22");
    assert_eq!(drafts(&replica), before);
    // The app gives its class another name, which makes no entry, and follows the history again.
    let (objects, entries) = (replica.database().snapshot().unwrap(), pending(&replica));
    write(&replica, |txn| txn.rename_class("Draft", "Mine").unwrap());
    assert_eq!(pending(&replica), entries, "SY22");
    let followed =
        server.with_download(1, (&peer, 9), |download| replica.download(download).map(drop));
    assert_eq!(followed, Ok(()), "SY22");
    let kept = replica.database().snapshot().unwrap().objects("Mine").unwrap().len();
    assert_eq!(kept, objects.objects("Draft").unwrap().len(), "SY22");
    write(&replica, |txn| txn.remove_class("Mine").unwrap());
    assert_eq!(pending(&replica), entries, "SY22");
    let canonical = replica.canonical(|tables| Ok(tables.class_id("Mine")));
    assert_eq!(canonical, Ok(None), "SY22: undo");
}

/// A synced class beside it is refused a renaming.
#[test]
fn only_local_classes_are_renamed() {
    let replica = client(StoreOptions::new());
    let mut txn = replica.database().write().unwrap();
    let refused = txn.rename_class("Node", "Other");
    assert!(matches!(refused, Err(Error::Object(ObjectError::SyncedChange { .. }))), "{refused:?}");
    txn.rename_property("Draft", "text", "words").unwrap();
    txn.remove_property("Draft", "lines").unwrap();
    txn.commit().unwrap();
    assert_eq!(replica.canonical(|tables| Ok(tables.properties("Draft").count())), Ok(3));
}

#[test]
fn a_class_does_not_become_local() {
    let store = StoreOptions::new().in_memory().unwrap();
    let open = |classes: Vec<Class>| {
        let schema = Schema::new(classes).unwrap();
        let wanted = DatabaseOptions::schema(schema, 1).mode(SchemaMode::Additive).synced();
        Database::from_store(store.clone(), &wanted)
    };
    drop(open(vec![note(), draft()]).unwrap());
    let refused = open(vec![note().local()]);
    assert!(matches!(refused, Err(Error::Schema(SchemaError::Mismatch { .. }))), "{refused:?}");
    let link = Property::new("draft", PropertyType::Object("Draft".into())).unwrap();
    let linked = Schema::new([note().with(link), draft()]);
    let text = linked.unwrap_err().to_string();
    assert!(text.contains("class `Draft` is local and this one is not"), "{text}");
    let link = Property::new("node", PropertyType::ObjectList("Node".into())).unwrap();
    let text = Schema::new([note(), draft().with(link)]).unwrap_err().to_string();
    assert!(text.contains("this class is local and `Node` is not"), "{text}");
}
