//! The threads on which the types of the public face may be used, pinned: removing one of these
//! breaks apps.

use fastness::config::{App, Configuration, User};
use fastness::instance::{FileRegistry, Instance};
use fastness::object::{
    Changes, Database, Filter, LiveList, LiveObject, LiveQuery, Object, ObjectId, Objects, Query,
    Snapshot, Subscription, Transaction, Value, View,
};
use fastness::schema::{Class, Schema};
use fastness::typed::{self, Counter, Link, Stored};
use fastness::{
    AppError, Error, Key, ObjectError, Store, StoreOptions, StoreSnapshot, Verification, WriteTxn,
};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

/// A type that any number of threads may use at once.
const fn shared<T: Send + Sync>() {}

/// A type that may also be used after a panic was caught.
const fn values<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}

const _: () = {
    // A panic rolls its transaction back, so nothing is left half done.
    values::<Database>();
    values::<Snapshot>();
    values::<Store>();
    values::<StoreSnapshot>();
    shared::<Subscription>();
    shared::<LiveQuery>();
    shared::<LiveObject>();
    shared::<LiveList>();
    shared::<typed::LiveQuery<*const u8>>();
    shared::<FileRegistry>();
    // These carry callbacks of the app.
    shared::<App>();
    shared::<Configuration>();
    shared::<StoreOptions>();
    // A thread other than its own may only drop it.
    shared::<Instance>();
    // A transaction ends on any thread.
    shared::<Transaction>();
    shared::<WriteTxn>();
    shared::<View<'static>>();
    shared::<Objects<'static>>();
    shared::<Object<'static>>();
    shared::<Query<'static>>();
    // The struct of the app stays where it is; the handles to it go anywhere.
    shared::<Link<*const u8>>();
    shared::<typed::Objects<'static, *const u8>>();
    shared::<typed::Query<'static, *const u8>>();
    shared::<Stored<u8>>();

    values::<Error>();
    values::<AppError>();
    values::<ObjectError>();
    values::<Key>();
    values::<Schema>();
    values::<Class>();
    values::<User>();
    values::<Filter>();
    values::<ObjectId>();
    values::<Value<'static>>();
    values::<Counter>();
    values::<Changes>();
    values::<Arc<Changes>>();
    values::<Verification>();
};

/// A transaction that is open on a thread refuses another one there, of both kinds, instead of
/// waiting for itself; so does everything else that takes the writer lock.
#[test]
fn a_nested_transaction_is_refused_at_once() {
    let schema = Schema::new([Class::new("Note").unwrap()]).unwrap();
    let options = fastness::object::DatabaseOptions::schema(schema, 0);
    let database = Database::in_memory(&StoreOptions::new(), &options).unwrap();
    let outer = database.write().unwrap();
    let nested = [
        database.write().map(drop),
        database.transact(|_| Ok(())),
        database.try_transact(|_| Ok::<_, Error>(())),
        database.subscribe().map(drop),
        database.clone().transact(|_| Ok(())),
        database.store().write().map(drop),
        database.store().sync().map(drop),
        database.store().compact().map(drop),
    ];
    for outcome in nested {
        let error = outcome.unwrap_err().to_string();
        assert_eq!(error, "memory: this thread is in a transaction on the file; end it first");
    }
    drop(outer);
    database.transact(|txn| txn.create("Note")).unwrap();
}
