//! Live results: queries, objects and lists that follow the commits. That every report leads to the
//! answer of the query is checked in `sim`.

use fastness::object::{
    Database, DatabaseOptions, Filter, LivePlan, LiveQuery, ObjectId, ObjectKey, Order,
};
use fastness::schema::{Class, PropertyType, Scalar, Schema};
use fastness::{Error, ErrorKind, Key, Result, StoreOptions};
use fastness_testkit::property;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Longer than any test waits.
const LONG: Duration = Duration::from_secs(60);

fn database(options: &StoreOptions) -> Database {
    let dog = Class::new("Dog")
        .unwrap()
        .with(property("id", Scalar::Int).required().primary_key())
        .with(property("age", Scalar::Int).required())
        .with(property("tricks", PropertyType::List { of: Scalar::String, nullable: false }))
        .with(property("owner", PropertyType::Object("Person".into())));
    let person = Class::new("Person").unwrap().with(property("name", Scalar::String).required());
    let schema = Schema::new([dog, person]).unwrap();
    Database::in_memory(options, &DatabaseOptions::schema(schema, 0)).unwrap()
}

fn dogs(database: &Database, ages: impl IntoIterator<Item = i64>) -> Vec<ObjectId> {
    let create = |txn: &mut fastness::object::Transaction| {
        let dogs = ages.into_iter().enumerate().map(|(id, age)| {
            let dog = txn.create_with_key("Dog", i64::try_from(id).unwrap())?;
            txn.set(&dog, "age", age)?;
            Ok(dog)
        });
        dogs.collect::<Result<Vec<_>>>()
    };
    database.transact(create).unwrap()
}

fn eldest(database: &Database) -> LiveQuery {
    let snapshot = database.snapshot().unwrap();
    let all = snapshot.objects("Dog").unwrap().query().sort("age", Order::Descending);
    all.subscribe(database).unwrap().1
}

fn numbers(live: &LiveQuery) -> Vec<i64> {
    let number = |id: ObjectId| {
        let ObjectKey::Int(number) = id.key else { panic!("{}", id.key) };
        number
    };
    live.ids().into_iter().map(number).collect()
}

#[test]
fn a_result_is_reported_as_positions() {
    for options in [StoreOptions::new(), StoreOptions::new().key(Key::new([7; 64]))] {
        let database = database(&options);
        let ids = dogs(&database, [1, 2, 3, 4]);
        let mut live = eldest(&database);
        assert_eq!((numbers(&live), live.len()), (vec![3, 2, 1, 0], 4));
        assert!(live.try_recv().unwrap().is_none());
        database
            .transact(|txn| {
                txn.set(&ids[0], "age", 9)?;
                txn.delete(&ids[2])?;
                // It stays where it is.
                txn.list(&ids[1], "tricks")?.push("sit")?;
                let new = txn.create_with_key("Dog", 4)?;
                txn.set(&new, "age", 3)
            })
            .unwrap();
        let (snapshot, changes) = live.try_recv().unwrap().unwrap();
        assert_eq!((numbers(&live), changes.is_collapsed), (vec![0, 3, 4, 1], false));
        assert_eq!(changes.commit, snapshot.commit());
        assert_eq!(changes.deleted, [(1, ids[2].clone())]);
        assert_eq!(changes.inserted.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [2]);
        assert_eq!(changes.moved, [(3, 0, ids[0].clone())]);
        assert_eq!(changes.modified, [(0, ids[0].clone()), (3, ids[1].clone())]);
        assert!(live.try_recv().unwrap().is_none());
        // A rolled-back transaction, and an object of another class, are no news.
        drop(database.transact(|txn| txn.delete(&ids[0]).and(Err::<(), _>(Error::RandomSource))));
        database.transact(|txn| txn.create("Person")).unwrap();
        assert!(live.try_recv().unwrap().is_none());
    }
}

#[test]
fn a_late_subscriber_gets_one_report() {
    let database = database(&StoreOptions::new());
    let ids = dogs(&database, [1, 2, 3]);
    let mut live = eldest(&database);
    for age in 0..500 {
        database.transact(|txn| txn.set(&ids[0], "age", age)).unwrap();
    }
    let again = database.transact(|txn| {
        txn.delete(&ids[1])?;
        let new = txn.create_with_key("Dog", 9)?;
        txn.delete(&new)
    });
    again.unwrap();
    let (_, changes) = live.try_recv().unwrap().unwrap();
    assert_eq!(
        (changes.deleted.len(), changes.inserted.len(), changes.is_collapsed),
        (1, 0, false)
    );
    assert_eq!((changes.moved.len(), changes.modified.len()), (1, 1));
    assert_eq!(numbers(&live), [0, 2]);
    assert!(live.try_recv().unwrap().is_none());
}

/// Beyond so many objects, their keys are no longer kept (W8).
#[test]
fn a_subscriber_that_missed_too_much_is_collapsed() {
    let database = database(&StoreOptions::new());
    let ids = dogs(&database, [5]);
    let mut live = eldest(&database);
    for from in [100, 50_000] {
        let create = |txn: &mut fastness::object::Transaction| {
            (from..from + 40_000_i64).try_for_each(|id| txn.create_with_key("Dog", id).map(drop))
        };
        database.transact(create).unwrap();
    }
    let (_, changes) = live.try_recv().unwrap().unwrap();
    assert_eq!((changes.is_collapsed, changes.inserted.len()), (true, 80_000));
    assert_eq!(changes.modified, [(0, ids[0].clone())]);
    database.transact(|txn| txn.set(&ids[0], "age", 6)).unwrap();
    let (_, changes) = live.try_recv().unwrap().unwrap();
    assert_eq!((changes.is_collapsed, changes.modified.len()), (false, 1));
}

#[test]
fn a_result_that_is_limited_distinct_or_linked_is_asked_again_when_it_must_be() {
    let database = database(&StoreOptions::new());
    let ids = dogs(&database, [5, 4, 4, 3, 2]);
    let snapshot = database.snapshot().unwrap();
    let all = snapshot.objects("Dog").unwrap().query().sort("age", Order::Descending);
    let named = all.clone().filter(Filter::eq("owner.name", "Ann"));
    let queries = [all.clone(), all.clone().limit(2), all.distinct(["age"]), named];
    let plans = queries.each_ref().map(|query| query.explain_live().unwrap());
    let classes = vec!["Person".to_owned()];
    let linked = LivePlan::Linked { classes };
    assert_eq!(plans, [LivePlan::Changed, LivePlan::First, LivePlan::Distinct, linked]);
    assert_eq!(plans[0].to_string(), "looks at the objects that a commit changed");
    let mut live = queries.map(|query| query.subscribe(&database).unwrap().1);
    let mut found = |change: &dyn Fn(&mut fastness::object::Transaction) -> Result<()>| {
        database.transact(change).unwrap();
        live.each_mut().map(|live| live.try_recv().unwrap().map(|_| numbers(live)))
    };
    // Behind the limit.
    let ages = found(&|txn| txn.set(&ids[3], "age", 1));
    assert_eq!(ages, [Some(vec![0, 1, 2, 4, 3]), None, Some(vec![0, 1, 4, 3]), None]);
    let ages = found(&|txn| txn.set(&ids[4], "age", 6));
    assert_eq!(ages[1..], [Some(vec![4, 0]), Some(vec![4, 0, 1, 3]), None]);
    let ages = found(&|txn| txn.delete(&ids[0]));
    assert_eq!(ages[1..], [Some(vec![4, 1]), Some(vec![4, 1, 3]), None]);
    let person = database.transact(|txn| txn.create("Person")).unwrap();
    found(&|txn| txn.set(&ids[2], "owner", &person));
    let ages = found(&|txn| txn.set(&person, "name", "Ann"));
    assert_eq!(ages, [None, None, None, Some(vec![2])]);
}

#[test]
fn threads_and_tasks_are_woken() {
    struct Counted(AtomicUsize);
    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let database = database(&StoreOptions::new());
    let ids = dogs(&database, [1, 2]);
    let mut live = eldest(&database);
    assert!(live.recv(Duration::ZERO).unwrap().is_none());
    let (_, changes) = std::thread::scope(|scope| {
        scope.spawn(|| database.transact(|txn| txn.set(&ids[0], "age", 9)).unwrap());
        live.recv(LONG).unwrap().unwrap()
    });
    assert_eq!(changes.moved.len(), 1);

    let counted = Arc::new(Counted(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&counted));
    let mut context = Context::from_waker(&waker);
    let called = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&called);
    live.on_commit(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    assert!(live.poll_recv(&mut context).is_pending());
    database.transact(|txn| txn.create("Person")).unwrap();
    assert_eq!((counted.0.load(Ordering::SeqCst), called.load(Ordering::SeqCst)), (0, 0));
    database.transact(|txn| txn.delete(&ids[0])).unwrap();
    assert_eq!((counted.0.load(Ordering::SeqCst), called.load(Ordering::SeqCst)), (1, 1));
    let Poll::Ready(Ok((_, changes))) = live.poll_recv(&mut context) else { panic!("no report") };
    assert_eq!(changes.deleted.len(), 1);
    assert!(live.poll_recv(&mut context).is_pending());
}

#[test]
fn an_object_is_followed_by_its_address() {
    let database = database(&StoreOptions::new());
    let ids = dogs(&database, [1, 2]);
    let (_, mut live) = database.subscribe_object(&ids[0]).unwrap();
    database.transact(|txn| txn.set(&ids[1], "age", 7)).unwrap();
    assert!(live.try_recv().unwrap().is_none());
    database.transact(|txn| txn.set(&ids[0], "age", 7)).unwrap();
    database.transact(|txn| txn.list(&ids[0], "tricks")?.push("sit")).unwrap();
    let (snapshot, changes) = live.recv(LONG).unwrap().unwrap();
    assert_eq!((changes.exists, changes.is_replaced), (true, false));
    assert_eq!(changes.properties, ["age", "tricks"]);
    assert_eq!(snapshot.object(&ids[0]).unwrap().unwrap().get("age").unwrap(), 7.into());
    database.transact(|txn| txn.delete(&ids[0])).unwrap();
    let (_, changes) = live.try_recv().unwrap().unwrap();
    assert_eq!((changes.exists, changes.is_replaced), (false, true));
    database.transact(|txn| txn.create_with_key("Dog", 0)).unwrap();
    let (_, changes) = live.try_recv().unwrap().unwrap();
    assert_eq!((changes.exists, changes.is_replaced), (true, true));
}

#[test]
fn a_list_is_followed_element_by_element() {
    let database = database(&StoreOptions::new());
    let ids = dogs(&database, [1]);
    let (_, mut live) = database.subscribe_list(&ids[0], "tricks").unwrap();
    let tricks = ["sit", "roll", "beg"];
    let push = |txn: &mut fastness::object::Transaction| {
        let mut list = txn.list(&ids[0], "tricks")?;
        tricks.iter().try_for_each(|trick| list.push(*trick).map(drop))
    };
    database.transact(push).unwrap();
    let (_, changes) = live.recv(LONG).unwrap().unwrap();
    assert_eq!((changes.inserted.len(), live.elements().len()), (3, 3));
    database.transact(|txn| txn.set(&ids[0], "age", 3)).unwrap();
    assert!(live.try_recv().unwrap().is_none());
    database.transact(|txn| txn.list(&ids[0], "tricks")?.move_to(2, 0)).unwrap();
    let (_, changes) = live.try_recv().unwrap().unwrap();
    assert_eq!((changes.moved.len(), changes.inserted.len()), (1, 0));
    database.transact(|txn| txn.delete(&ids[0])).unwrap();
    let (_, changes) = live.try_recv().unwrap().unwrap();
    assert_eq!((changes.deleted.len(), live.elements().len()), (3, 0));
    let refused = database.subscribe_list(&ids[0], "age").map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_result_ends_with_its_class() {
    let database = database(&StoreOptions::new());
    dogs(&database, [1]);
    let mut live = eldest(&database);
    database.transact(|txn| txn.rename_property("Dog", "age", "years")).unwrap();
    let refused = live.try_recv().map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    // It goes on as soon as the property exists again.
    assert!(live.try_recv().is_err());
    database.transact(|txn| txn.rename_property("Dog", "years", "age")).unwrap();
    let (_, changes) = live.try_recv().unwrap().unwrap();
    assert!(changes.is_collapsed);
    assert_eq!((changes.modified.len(), numbers(&live)), (1, vec![0]));
}

/// A live result keeps no snapshot, and none of it is left when it is dropped.
#[test]
fn a_dropped_result_costs_writers_nothing() {
    let database = database(&StoreOptions::new());
    let ids = dogs(&database, [1, 2]);
    let live = (0..100).map(|_| eldest(&database)).collect::<Vec<_>>();
    let objects = database.subscribe_object(&ids[0]).unwrap().1;
    database.transact(|txn| txn.set(&ids[0], "age", 7)).unwrap();
    drop((live, objects));
    let mut left = eldest(&database);
    database.transact(|txn| txn.set(&ids[0], "age", 8)).unwrap();
    assert_eq!(left.try_recv().unwrap().unwrap().1.modified.len(), 1);
}

/// W6: no commit is visible before the feeds have it.
#[test]
fn a_report_is_the_answer_on_its_snapshot_while_another_thread_commits() {
    const COMMITS: i64 = 3000;
    for durability in [fastness::Durability::None, fastness::Durability::Immediate] {
        let database = database(&StoreOptions::new());
        let ids = dogs(&database, [1, 2, 3]);
        let mut live = eldest(&database);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for age in 0..COMMITS {
                    let mut txn = database.write().unwrap();
                    let at = usize::try_from(age % 3).unwrap();
                    txn.set(&ids[at], "age", 10 + age).unwrap();
                    txn.commit_with(durability).unwrap();
                }
            });
            let last = 10 + COMMITS - 1;
            loop {
                let (snapshot, _) = live.recv(LONG).unwrap().expect("W7: commits go on");
                let all = snapshot.objects("Dog").unwrap().query();
                let answer = all.sort("age", Order::Descending).find().unwrap();
                assert_eq!(live.ids(), answer, "W6: at commit {}", snapshot.commit());
                let first = snapshot.object(&answer[0]).unwrap().unwrap();
                if first.get("age").unwrap() == last.into() {
                    break;
                }
            }
        });
    }
}
