//! Guards of what lists and queries cost in long lists and large classes: pages, not times.

use super::guards::Counting;
use fastness::object::{
    Database, DatabaseOptions, Filter, ListMut, ObjectId, ObjectKey, Order, Position,
    PropertyValue, Query,
};
use fastness::schema::{Class, Property, PropertyType, Scalar, Schema};
use fastness::{Result, StoreOptions};

fn wanted() -> DatabaseOptions<'static> {
    let numbers = PropertyType::List { of: Scalar::Int, nullable: false };
    let item = Class::new("Item")
        .unwrap()
        .with(Property::new("id", Scalar::Int).unwrap().required().primary_key())
        .with(Property::new("age", Scalar::Int).unwrap().indexed())
        .with(Property::new("note", Scalar::String).unwrap());
    let bag = Class::new("Bag")
        .unwrap()
        .with(Property::new("numbers", numbers).unwrap())
        .with(Property::new("items", PropertyType::ObjectList("Item".into())).unwrap());
    DatabaseOptions::schema(Schema::new([item, bag]).unwrap(), 0)
}

fn open(vfs: &Counting) -> Database {
    Database::open(&vfs.options(), "store", &wanted()).unwrap()
}

/// Makes a bag of so many numbers and items.
fn bag(database: &Database, count: i64) -> ObjectId {
    let make = database.transact(|txn| {
        let mut items = Vec::new();
        for number in 0..count {
            items.push(txn.create_with_key("Item", number)?);
        }
        let (numbers, items) = (PropertyValue::list(0..count), PropertyValue::list(&items));
        txn.create_with("Bag", &[("numbers", numbers), ("items", items)])
    });
    make.unwrap()
}

/// An edit of a list.
type EditList = fn(&mut ListMut<'_>) -> Result<()>;

/// Returns the bytes that each edit of a list of so many elements writes, and the pages that the
/// deletion of an item reads in a file that was just opened.
fn costs(count: i64) -> ([u64; 3], u64) {
    let vfs = Counting::default();
    let id = bag(&open(&vfs), count);
    let edits: [EditList; 3] = [
        |list| list.push(-1).map(drop),
        |list| list.insert(list.len()? / 2, -2).map(drop),
        |list| list.remove(list.len()? / 3).map(drop),
    ];
    let database = open(&vfs);
    // The first commit begins the log.
    database.transact(|txn| txn.list(&id, "numbers")?.push(-3)).unwrap();
    let written = edits.map(|edit| {
        let [_, _, bytes, _] = vfs.of(|| {
            database.transact(|txn| edit(&mut txn.list(&id, "numbers")?)).unwrap();
        });
        bytes
    });
    drop(database);
    let database = open(&vfs);
    let read = vfs.pages_of(|| {
        let delete = |number| {
            let snapshot = database.snapshot().unwrap();
            let item = snapshot.objects("Item").unwrap().get(number).unwrap().unwrap().id();
            database.transact(|txn| txn.delete(&item)).unwrap();
        };
        delete(count / 2);
    });
    (written, read)
}

/// B14
#[test]
fn an_edit_of_a_long_list_costs_what_one_of_a_short_list_does() {
    let (short, long) = (costs(1000), costs(50_000));
    for (short, long) in short.0.into_iter().zip(long.0) {
        assert!(long <= short + 2 * 4096, "{long} bytes, {short} in a short list");
    }
    // Some levels of trees more.
    assert!(long.1 <= short.1 + 24, "{} pages, {} with a short list", long.1, short.1);
}

/// B14: what a subscription gets of a push is found without the rest of the list.
#[test]
fn a_push_beside_a_subscription_does_not_read_the_list() {
    let vfs = Counting::default();
    let id = bag(&open(&vfs), 50_000);
    let database = open(&vfs);
    let (_, subscription) = database.subscribe().unwrap();
    let push = || database.transact(|txn| txn.list(&id, "numbers")?.push(-1)).map(drop).unwrap();
    let read = vfs.pages_of(push);
    assert!(read <= 32, "{read} pages");
    let changes = subscription.try_recv().unwrap();
    let (_, changed) = &changes.classes["Bag"].modified[0];
    assert_eq!(changed[0].list.as_ref().unwrap().inserted[0].0, 50_000);
}

/// Returns the pages that a query reads in a file that was just opened.
fn pages(vfs: &Counting, ask: &dyn Fn(Query<'_>)) -> u64 {
    let database = open(vfs);
    let snapshot = database.snapshot().unwrap();
    let items = snapshot.objects("Item").unwrap();
    vfs.pages_of(|| ask(items.query()))
}

/// Q4
#[test]
fn an_index_makes_no_query_slower() {
    let vfs = Counting::default();
    let fill = open(&vfs).transact(|txn| {
        for number in 0..20_000 {
            let item = txn.create_with_key("Item", number)?;
            txn.set(&item, "age", number * 7919 % 1000)?;
            txn.set(&item, "note", "a note of some length, so that a page holds fewer objects")?;
        }
        Ok(())
    });
    fill.unwrap();
    let scan = pages(&vfs, &|query| assert_eq!(query.without_index().count().unwrap(), 20_000));
    assert!(scan > 300, "{scan} pages");
    type Ask = fn(Query<'_>);
    let few: [(&str, Ask); 6] = [
        ("first of a wide range", |query| {
            query.filter(Filter::ge("age", 0)).first().unwrap().unwrap();
        }),
        ("first by an index", |query| {
            query.sort("age", Order::Ascending).first().unwrap().unwrap();
        }),
        ("last by an index", |query| {
            query.sort("age", Order::Descending).limit(5).find().unwrap();
        }),
        ("greatest key", |query| assert_eq!(query.max("id").unwrap(), 19_999.into())),
        ("least age", |query| assert_eq!(query.min("age").unwrap(), 0.into())),
        ("one of three keys", |query| {
            let found = query.filter(Filter::one_of("id", [3, 17_000, 9, 30_000])).find();
            assert_eq!(found.unwrap().len(), 3);
        }),
    ];
    for (name, ask) in few {
        let read = pages(&vfs, &ask);
        assert!(read <= 40, "{name}: {read} pages");
    }
    let all: [(&str, Ask); 3] = [
        ("a wide range", |query| {
            assert_eq!(query.filter(Filter::ge("age", 0)).count().unwrap(), 20_000);
        }),
        ("an eighth", |query| {
            assert_eq!(query.filter(Filter::lt("age", 125)).count().unwrap(), 2500);
        }),
        ("nothing of a wide range", |query| {
            let none = Filter::ge("age", 0).and(Filter::eq("note", "none"));
            assert_eq!(query.filter(none).limit(3).find().unwrap(), []);
        }),
    ];
    for (name, ask) in all {
        let read = pages(&vfs, &ask);
        assert!(2 * read <= 3 * scan + 64, "{name}: {read} pages, {scan} of all objects");
    }
}

/// A page costs the same at any depth.
#[test]
fn a_page_behind_a_position_begins_there() {
    let vfs = Counting::default();
    let fill = open(&vfs).transact(|txn| {
        for number in 0..20_000 {
            let item = txn.create_with_key("Item", number)?;
            // Few ages, so that many objects of one age come before the position.
            txn.set(&item, "age", number % 3)?;
        }
        Ok(())
    });
    fill.unwrap();
    let at =
        |value: i64, key: i64| Position { values: vec![value.into()], key: ObjectKey::Int(key) };
    let keys = |query: &Query<'_>| -> Vec<ObjectKey> {
        query.find().unwrap().into_iter().map(|id| id.key).collect()
    };
    let pages_of = |order: Option<Order>, expected: [i64; 3]| {
        let read = pages(&vfs, &|query| {
            let query = match order {
                Some(order) => query.sort("age", order),
                None => query,
            };
            let query = query.after(at(1, 19_000)).limit(3);
            let plan = query.explain().unwrap().to_string();
            assert!(plan.contains("from a position on"), "{plan}");
            assert_eq!(keys(&query), expected.map(ObjectKey::Int));
        });
        assert!(read <= 40, "{order:?}: {read} pages");
    };
    pages_of(Some(Order::Ascending), [19_003, 19_006, 19_009]);
    pages_of(Some(Order::Descending), [19_003, 19_006, 19_009]);
    pages_of(None, [19_001, 19_002, 19_003]);
}

/// Many edits of one list in one transaction, and the deletion of everything in it.
#[test]
fn a_long_list_grows_and_shrinks_in_one_transaction() {
    let database = Database::in_memory(&StoreOptions::new(), &wanted()).unwrap();
    let id = bag(&database, 6000);
    let mut txn = database.write().unwrap();
    for number in 0..6000 {
        let mut list = txn.list(&id, "numbers").unwrap();
        list.push(number).unwrap();
        list.remove(0).unwrap();
    }
    assert_eq!(txn.delete_all("Item").unwrap(), 6000);
    txn.commit().unwrap();
    let snapshot = database.snapshot().unwrap();
    let bag = snapshot.object(&id).unwrap().unwrap();
    assert_eq!((bag.list("items").unwrap().len(), bag.list("numbers").unwrap().len()), (0, 6000));
    let found = snapshot.store().verify().unwrap();
    assert_eq!((found.problems, found.objects), (Vec::new(), Vec::new()));
}
