//! Queries, row by row as docs/objects.md has them. That every query agrees with its model,
//! whichever way objects are found, is checked in `sim`.

use fastness::object::{
    Database, DatabaseOptions, Filter, Objects, Order, Query, Snapshot, Timestamp, Value,
};
use fastness::schema::{Class, PropertyType, Scalar, Schema};
use fastness::{ErrorKind, StoreOptions};
use fastness_testkit::property;

/// Five dogs; the key is a letter.
fn dogs() -> Snapshot {
    let dog = Class::new("Dog")
        .unwrap()
        .with(property("id", Scalar::String).required().primary_key())
        .with(property("name", Scalar::String).indexed())
        .with(property("age", Scalar::Int).nullable().indexed())
        .with(property("weight", Scalar::Double))
        .with(property("born", Scalar::Timestamp))
        .with(property("good", Scalar::Bool))
        .with(property("tag", Scalar::Binary))
        .with(property("walks", PropertyType::Counter))
        .with(property("friend", PropertyType::Object("Dog".into())))
        .with(property("pack", PropertyType::ObjectList("Dog".into())))
        .with(property("tricks", PropertyType::List { of: Scalar::String, nullable: true }));
    let wanted = DatabaseOptions::schema(Schema::new([dog]).unwrap(), 0);
    let database = Database::in_memory(&StoreOptions::new(), &wanted).unwrap();
    let rows: [(&str, Value<'_>, Value<'_>, f64); 5] = [
        ("a", "Rex".into(), 3.into(), 0.0),
        ("b", "rexina".into(), Value::Null, -0.0),
        ("c", Value::Null, 3.into(), f64::NAN),
        ("d", "ΟΔΟΣ".into(), 9.into(), -1.5),
        ("e", "".into(), (-1).into(), 7.25),
    ];
    let filled = database.transact(|txn| {
        for (id, name, age, weight) in rows {
            let dog = txn.create_with_key("Dog", id)?;
            txn.set(&dog, "name", name)?;
            txn.set(&dog, "age", age)?;
            txn.set(&dog, "weight", weight)?;
        }
        let mut ids = ["a", "b", "c", "d", "e"].map(|id| txn.get_or_create("Dog", id));
        let [a, b, c, d, e] = ids.each_mut().map(|id| id.as_ref().unwrap().0.clone());
        // a is the friend of b, b of c; d and e have none.
        txn.set(&b, "friend", &a)?;
        txn.set(&c, "friend", &b)?;
        for member in [&a, &d] {
            txn.list(&e, "pack")?.push(member)?;
        }
        txn.list(&a, "tricks")?.push("sit")?;
        txn.list(&a, "tricks")?.push(Value::Null)?;
        txn.set(&a, "born", Timestamp::new(-1, 999_999_999))?;
        txn.set(&b, "born", Timestamp::new(0, 1))?;
        txn.set(&d, "good", true)?;
        txn.set(&d, "tag", vec![0_u8, 255])?;
        txn.add(&d, "walks", 2)?;
        txn.add(&e, "walks", i64::MAX).map(drop)
    });
    filled.unwrap();
    database.snapshot().unwrap()
}

fn keys(query: &Query<'_>) -> String {
    let found = query.find().unwrap();
    assert_eq!(query.count().unwrap(), found.len() as u64);
    assert_eq!(query.first().unwrap(), found.first().cloned());
    assert_eq!(query.clone().without_index().find().unwrap(), found);
    found.iter().map(|id| id.key.to_string().replace('"', "")).collect()
}

/// A condition, the keys of the dogs that meet it, and how these are found. `!`: it is refused.
type Row = (Filter, &'static str, &'static str);

const ALL: &str = "looks at all objects";
const BY_KEY: &str = "by the primary key `id`";
const BY_AGE: &str = "by the index of `age`";
const BY_NAME: &str = "by the index of `name`";
const BY_FRIEND: &str = "by the links in `friend`";

#[track_caller]
fn check(dogs: &Objects<'_>, rows: impl IntoIterator<Item = Row>) {
    for (filter, expected, way) in rows {
        let query = dogs.filter(filter.clone());
        if expected == "!" {
            let kinds = [query.find().unwrap_err().kind(), query.explain().unwrap_err().kind()];
            assert_eq!(kinds, [ErrorKind::InvalidArgument; 2], "{filter:?}");
        } else {
            assert_eq!(keys(&query), expected, "{filter:?}");
            assert_eq!(query.explain().unwrap().to_string(), way, "{filter:?}");
        }
    }
}

#[test]
fn comparisons() {
    let snapshot = dogs();
    let dogs = snapshot.objects("Dog").unwrap();
    check(
        &dogs,
        [
            // Null is equal to null only, and in no order with anything.
            (Filter::eq("age", 3), "ac", BY_AGE),
            (Filter::ne("age", 3), "bde", ALL),
            (Filter::lt("age", 3), "e", BY_AGE),
            (Filter::le("age", 3), "ace", BY_AGE),
            (Filter::gt("age", 3), "d", BY_AGE),
            (Filter::ge("age", Value::Null), "", ALL),
            (Filter::is_null("age"), "b", BY_AGE),
            (Filter::is_null("age").not(), "acde", ALL),
            (Filter::lt("age", 3).not(), "abcd", ALL),
            // NaN is not even equal to itself; -0.0 is 0.0.
            (Filter::eq("weight", 0.0), "ab", ALL),
            (Filter::eq("weight", f64::NAN), "", ALL),
            (Filter::ne("weight", f64::NAN), "abcde", ALL),
            (Filter::lt("weight", 1.0), "abd", ALL),
            // The other types.
            (Filter::lt("born", Timestamp::new(0, 0)), "a", ALL),
            (Filter::ge("born", Timestamp::new(0, 0)), "b", ALL),
            (Filter::gt("good", false), "d", ALL),
            (Filter::eq("tag", vec![0_u8, 255]), "d", ALL),
            (Filter::gt("tag", vec![0_u8]), "d", ALL),
            (Filter::gt("walks", 1), "de", ALL),
            (Filter::eq("id", "c"), "c", BY_KEY),
            (Filter::gt("id", "c"), "de", BY_KEY),
            // Conjunctions and disjunctions.
            (Filter::eq("age", 3).and(Filter::begins_with("name", "R")), "a", BY_AGE),
            (Filter::ge("age", 3).and(Filter::eq("name", "Rex")), "a", BY_NAME),
            (Filter::eq("age", 3).or(Filter::eq("age", 9)), "acd", BY_AGE),
            (Filter::And(Vec::new()), "abcde", ALL),
            (Filter::Or(Vec::new()), "", ALL),
            // Incomparable values, and unknown properties.
            (Filter::eq("age", 3.0), "!", ""),
            (Filter::contains("age", "3"), "!", ""),
            (Filter::eq("height", 3), "!", ""),
            (Filter::eq("", 3), "!", ""),
        ],
    );
}

#[test]
fn texts() {
    let snapshot = dogs();
    check(
        &snapshot.objects("Dog").unwrap(),
        [
            // Null is no text, and the empty one begins all others.
            (Filter::is("name", "Rex"), "a", BY_NAME),
            (Filter::begins_with("name", "R"), "a", BY_NAME),
            (Filter::begins_with("name", ""), "abde", BY_NAME),
            (Filter::begins_with("name", "REX").case_insensitive(), "ab", ALL),
            (Filter::ends_with("name", "X").case_insensitive(), "a", ALL),
            (Filter::contains("name", "xi"), "b", ALL),
            (Filter::contains("name", "XI"), "", ALL),
            // A final sigma equals any other.
            (Filter::ends_with("name", "Σ").case_insensitive(), "d", ALL),
            (Filter::contains("name", "οσ").case_insensitive(), "d", ALL),
            (Filter::begins_with("name", "οδοσ").case_insensitive(), "d", ALL),
            (Filter::is("name", "οδος").case_insensitive(), "d", ALL),
        ],
    );
}

/// A null link on the way counts as null; of a list, one element is enough.
#[test]
fn paths() {
    let snapshot = dogs();
    let dogs = snapshot.objects("Dog").unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|id| dogs.get(id).unwrap().unwrap().id());
    check(
        &dogs,
        [
            (Filter::eq("friend", &b), "c", BY_FRIEND),
            (Filter::is_null("friend"), "ade", ALL),
            (Filter::eq("friend.name", "Rex"), "b", ALL),
            (Filter::eq("friend.friend.name", "Rex"), "c", ALL),
            (Filter::is_null("friend.age"), "acde", ALL),
            (Filter::eq("pack.age", 9), "e", ALL),
            (Filter::eq("pack.age", 9).not(), "abcd", ALL),
            (Filter::eq("pack", &c), "", "by the links in `pack`"),
            (Filter::eq("pack", &a), "e", "by the links in `pack`"),
            (Filter::ne("friend", &b), "abde", ALL),
            (Filter::eq("friend", &b).and(Filter::eq("age", 3)), "c", BY_FRIEND),
            (Filter::eq("friend", &b).and(Filter::eq("id", "d")), "", BY_KEY),
            (Filter::eq("friend.friend", &a), "c", ALL),
            (Filter::is_null("tricks"), "a", ALL),
            (Filter::contains("tricks", "i"), "a", ALL),
            (Filter::gt("friend", &b), "!", ""),
            (Filter::eq("name.length", 3), "!", ""),
            (Filter::eq("friend.height", 3), "!", ""),
        ],
    );
}

#[test]
fn orders() {
    let snapshot = dogs();
    let dogs = snapshot.objects("Dog").unwrap();
    let up = |path: &str| dogs.query().sort(path, Order::Ascending);
    let down = |path: &str| dogs.query().sort(path, Order::Descending);
    for (query, expected) in [
        // Null first, and last from the greatest; those that are alike stay in the order of keys.
        (up("age"), "beacd"),
        (down("age"), "daceb"),
        (up("age").sort("id", Order::Descending), "becad"),
        (up("weight"), "dbaec"),
        (down("weight"), "ceabd"),
        (up("friend.age"), "acdeb"),
        (up("good").sort("weight", Order::Ascending), "baecd"),
        // Distinct leaves the first of those that are alike; then comes the limit.
        (up("id").distinct(["age"]), "abde"),
        (down("id").distinct(["age"]), "edcb"),
        (dogs.query().distinct(["age", "weight"]), "abcde"),
        (dogs.query().distinct(["friend.name"]), "abc"),
        (up("age").distinct(["age"]).limit(2), "be"),
        (up("age").limit(0), ""),
        (dogs.query().limit(9), "abcde"),
    ] {
        assert_eq!(keys(&query), expected, "{query:?}");
    }
    for refused in [up("pack.age"), up("friend"), up("tricks"), dogs.query().distinct(["pack"])] {
        assert_eq!(refused.find().unwrap_err().kind(), ErrorKind::InvalidArgument);
        assert_eq!(refused.count().unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn sums() {
    let snapshot = dogs();
    let dogs: Objects<'_> = snapshot.objects("Dog").unwrap();
    let (all, none) = (dogs.query(), dogs.filter(Filter::eq("id", "?")));
    // Null counts as nothing.
    assert_eq!(all.sum("age").unwrap(), 14.into());
    assert_eq!(all.average("age").unwrap(), Some(3.5));
    assert_eq!([all.min("age").unwrap(), all.max("age").unwrap()], [(-1).into(), 9.into()]);
    // Whole numbers wrap around.
    assert_eq!(all.sum("walks").unwrap(), (i64::MIN + 1).into());
    // NaN is neither the least nor the greatest, but part of every sum.
    assert_eq!(
        [all.min("weight").unwrap(), all.max("weight").unwrap()],
        [(-1.5).into(), 7.25.into()]
    );
    assert!(matches!(all.sum("weight").unwrap(), Value::Double(sum) if sum.is_nan()));
    let numbers = dogs.filter(Filter::le("weight", 9.0));
    assert_eq!(numbers.sum("weight").unwrap(), 5.75.into());
    let [first, last] = [Timestamp::new(-1, 999_999_999), Timestamp::new(0, 1)];
    assert_eq!([all.min("born").unwrap(), all.max("born").unwrap()], [first.into(), last.into()]);
    // Aggregates run after sorting, distinct and the limit.
    let two = all.clone().sort("age", Order::Descending).distinct(["age"]).limit(2);
    assert_eq!(two.sum("age").unwrap(), 12.into());
    assert_eq!((none.sum("age").unwrap(), none.average("age").unwrap()), (0.into(), None));
    assert_eq!((none.sum("weight").unwrap(), none.min("age").unwrap()), (0.0.into(), Value::Null));
    for refused in [all.sum("name"), all.sum("born"), all.max("good"), all.min("tricks")] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}

/// A snapshot answers the same whatever is committed later, and a transaction sees what it did.
#[test]
fn answers_are_of_their_moment() {
    let class = Class::new("Dog").unwrap().with(property("age", Scalar::Int).indexed());
    let wanted = DatabaseOptions::schema(Schema::new([class]).unwrap(), 0);
    let database = Database::in_memory(&StoreOptions::new(), &wanted).unwrap();
    let before = database.snapshot().unwrap();
    let count = |dogs: Objects<'_>| dogs.filter(Filter::eq("age", 3)).count().unwrap();
    let mut txn = database.write().unwrap();
    let dog = txn.create("Dog").unwrap();
    txn.set(&dog, "age", 3).unwrap();
    assert_eq!(count(txn.objects("Dog").unwrap()), 1);
    txn.commit().unwrap();
    assert_eq!(count(before.objects("Dog").unwrap()), 0);
    assert_eq!(count(database.snapshot().unwrap().objects("Dog").unwrap()), 1);
}

/// A thread with the stack that threads have by default.
fn on_a_small_stack(body: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(2 << 20).spawn(body).unwrap().join().unwrap();
}

#[test]
fn conditions_of_any_length_and_depth_need_no_stack() {
    on_a_small_stack(|| {
        let snapshot = dogs();
        let dogs = snapshot.objects("Dog").unwrap();
        let all = dogs.query().find().unwrap();
        let wide = (0..100_000)
            .fold(Filter::eq("age", -1), |filter, age| filter.or(Filter::eq("age", age)));
        let found = dogs.filter(wide.clone()).find().unwrap();
        assert_eq!(found, dogs.filter(Filter::one_of("age", -1..100_000)).find().unwrap());
        assert!(!found.is_empty());
        let mut deep = Filter::eq("age", -1).or(Filter::ne("age", -1));
        for _ in 0..1_500 {
            deep = deep.and(Filter::ne("age", -7)).or(Filter::eq("age", -8)).not().not();
        }
        assert_eq!(dogs.filter(deep.case_insensitive()).find().unwrap(), all);
    });
}
