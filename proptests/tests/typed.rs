//! Property tests of typed objects: values written as a struct are read as an object and vice versa
//! (B9), and a refused write changes nothing (B3), plain and encrypted.
//!
//! The model is a map of structs, with a second, handwritten mapping of fields to properties.

#![expect(clippy::wildcard_enum_match_arm, reason = "one list is followed, and nothing else")]

use fastness::object::{
    Database, DatabaseOptions, Element, ElementId, Filter, ObjectId, ObjectKey, Operation,
    PropertyValue, Snapshot, Timestamp, Transaction, Value,
};
use fastness::schema::Schema;
use fastness::typed::{Counter, Link, Object};
use fastness::vfs::MemoryVfs;
use fastness::{Key, StoreOptions};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

const CASES: u32 = 200;
const STEPS_MAX: usize = 24;
/// Few keys, so that steps collide.
const KEYS: u64 = 5;

/// A field of each type.
#[derive(Object, Clone, Debug)]
struct Thing {
    #[object(primary_key)]
    id: i64,
    #[object(indexed)]
    int: i64,
    maybe_int: Option<i64>,
    flag: bool,
    #[object(indexed)]
    maybe_flag: Option<bool>,
    #[object(indexed, property = "name")]
    text: String,
    maybe_text: Option<String>,
    bytes: Vec<u8>,
    maybe_bytes: Option<Vec<u8>>,
    time: Timestamp,
    maybe_time: Option<Timestamp>,
    float: f32,
    maybe_float: Option<f32>,
    double: f64,
    maybe_double: Option<f64>,
    count: Counter,
    friend: Option<Link<Thing>>,
    friends: Vec<Link<Thing>>,
    ints: Vec<i64>,
    maybe_ints: Vec<Option<i64>>,
    flags: Vec<bool>,
    texts: Vec<String>,
    binaries: Vec<Vec<u8>>,
    times: Vec<Timestamp>,
    floats: Vec<f32>,
    maybe_doubles: Vec<Option<f64>>,
    #[object(backlinks = "friends")]
    fans: Vec<Link<Thing>>,
    #[object(ignored)]
    ignored: u8,
}

/// A step: kind, key, and a seed for the values.
type TypedStep = (u8, u8, u64);

/// A seeded generator.
struct ValueRng(u64);

impl ValueRng {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn int(&mut self) -> i64 {
        [0, 1, -1, 7, i64::MIN, i64::MAX][usize::try_from(self.below(6)).unwrap()]
    }

    fn text(&mut self) -> String {
        let long = 600 * usize::try_from(self.below(4)).unwrap();
        let text = ["", "a", "b", "ß"][usize::try_from(self.below(4)).unwrap()];
        text.repeat(1 + if self.below(8) == 0 { long } else { 0 })
    }

    fn double(&mut self) -> f64 {
        let all = [0.0, -0.0, 1.5, f64::NAN, f64::INFINITY];
        all[usize::try_from(self.below(5)).unwrap()]
    }

    fn float(&mut self) -> f32 {
        [0.0, -0.0, 1.5, f32::NAN][usize::try_from(self.below(4)).unwrap()]
    }

    fn time(&mut self) -> Timestamp {
        Timestamp::new(self.int(), u32::try_from(self.below(3)).unwrap())
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 0
    }

    fn maybe<T>(&mut self, make: fn(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| make(self))
    }

    fn some<T>(&mut self, make: fn(&mut Self) -> T) -> Vec<T> {
        (0..self.below(5)).map(|_| make(self)).collect()
    }

    /// Returns a thing; one in four has links, which may have no target.
    fn thing(&mut self, id: i64, link: &dyn Fn(i64) -> Link<Thing>) -> Thing {
        let linked = self.below(4) == 0;
        let to = |numbers: &mut Self| link(i64::try_from(numbers.below(KEYS)).unwrap());
        let friend = (linked && self.flag()).then(|| to(self));
        let friends = if linked { self.below(3) } else { 0 };
        Thing {
            id,
            friend,
            friends: (0..friends).map(|_| to(self)).collect(),
            int: self.int(),
            maybe_int: self.maybe(Self::int),
            flag: self.flag(),
            maybe_flag: self.maybe(Self::flag),
            text: self.text(),
            maybe_text: self.maybe(Self::text),
            bytes: self.text().into_bytes(),
            maybe_bytes: self.maybe(|numbers| numbers.text().into_bytes()),
            time: self.time(),
            maybe_time: self.maybe(Self::time),
            float: self.float(),
            maybe_float: self.maybe(Self::float),
            double: self.double(),
            maybe_double: self.maybe(Self::double),
            count: Counter(self.int()),
            ints: self.some(Self::int),
            maybe_ints: self.some(|numbers| numbers.maybe(Self::int)),
            flags: self.some(Self::flag),
            texts: self.some(Self::text),
            binaries: self.some(|numbers| numbers.text().into_bytes()),
            times: self.some(Self::time),
            floats: self.some(Self::float),
            maybe_doubles: self.some(|numbers| numbers.maybe(Self::double)),
            fans: Vec::new(),
            ignored: 7,
        }
    }
}

fn one<'a>(value: impl Into<Value<'a>>) -> PropertyValue<'a> {
    PropertyValue::Value(value.into())
}

fn all<'a, T: Into<Value<'a>>>(values: impl IntoIterator<Item = T>) -> PropertyValue<'a> {
    PropertyValue::List(values.into_iter().map(Into::into).collect())
}

/// Returns the values of a thing's properties.
fn contents(thing: &Thing) -> Vec<(&'static str, PropertyValue<'_>)> {
    vec![
        ("int", one(thing.int)),
        ("maybe_int", one(thing.maybe_int)),
        ("flag", one(thing.flag)),
        ("maybe_flag", one(thing.maybe_flag)),
        ("name", one(&thing.text)),
        ("maybe_text", one(thing.maybe_text.as_ref())),
        ("bytes", one(&thing.bytes[..])),
        ("maybe_bytes", one(thing.maybe_bytes.as_deref())),
        ("time", one(thing.time)),
        ("maybe_time", one(thing.maybe_time)),
        ("float", one(thing.float)),
        ("maybe_float", one(thing.maybe_float)),
        ("double", one(thing.double)),
        ("maybe_double", one(thing.maybe_double)),
        ("count", one(thing.count.0)),
        ("friend", one(thing.friend.as_ref().map(Link::id))),
        ("friends", all(thing.friends.iter().map(Link::id))),
        ("ints", all(thing.ints.iter().copied())),
        ("maybe_ints", all(thing.maybe_ints.iter().copied())),
        ("flags", all(thing.flags.iter().copied())),
        ("texts", all(&thing.texts)),
        ("binaries", all(thing.binaries.iter().map(Vec::as_slice))),
        ("times", all(thing.times.iter().copied())),
        ("floats", all(thing.floats.iter().copied())),
        ("maybe_doubles", all(thing.maybe_doubles.iter().copied())),
    ]
}

/// Returns whether two values have equal bits.
fn same(one: &PropertyValue<'_>, two: &PropertyValue<'_>) -> bool {
    match (one, two) {
        (PropertyValue::Value(one), PropertyValue::Value(two)) => one.bitwise_eq(two),
        (PropertyValue::List(one), PropertyValue::List(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.bitwise_eq(two))
        }
        _ => false,
    }
}

#[track_caller]
fn assert_alike(found: &Thing, expected: &Thing) {
    assert_eq!((found.id, found.ignored), (expected.id, 0), "B9: key, or a field to ignore");
    for ((name, found), (_, expected)) in contents(found).iter().zip(contents(expected)) {
        assert!(same(found, &expected), "B9: {name}: {found:?}, expected {expected:?}");
    }
}

/// The list `texts` of every object, replayed from the operations that the commit hook receives.
type Lists = Arc<Mutex<BTreeMap<ObjectKey, Vec<Element>>>>;

fn follow(lists: &Lists, operations: &[Operation]) {
    let mut lists = lists.lock().unwrap();
    let place =
        |list: &[Element], id: ElementId| list.iter().position(|held| held.id == id).unwrap();
    let behind = |list: &[Element], after: &Option<ElementId>| {
        after.map_or(0, |after| place(list, after) + 1)
    };
    for operation in operations {
        match operation {
            Operation::Delete(target) => drop(lists.remove(&target.key)),
            Operation::ListInsert { target, property, element, after } if property == "texts" => {
                let list = lists.entry(target.key.clone()).or_default();
                list.insert(behind(list, after), element.clone());
            }
            Operation::ListRemove { target, property, element } if property == "texts" => {
                let list = lists.entry(target.key.clone()).or_default();
                list.remove(place(list, *element));
            }
            Operation::ListMove { target, property, element, after } if property == "texts" => {
                let list = lists.entry(target.key.clone()).or_default();
                let moved = list.remove(place(list, *element));
                list.insert(behind(list, after), moved);
            }
            _ => {}
        }
    }
}

/// Events that must occur in the run.
const MARKS: &[&str] = &[
    "created",
    "not created",
    "made anew",
    "made equal",
    "not made",
    "updated",
    "not updated",
    "written dynamically",
    "deleted",
    "moved",
    "inserted",
    "opened again",
];

/// Events that occurred.
type Marks = RefCell<BTreeSet<&'static str>>;

/// A database and its expected contents.
struct TypedHarness<'m> {
    marks: &'m Marks,
    options: StoreOptions,
    database: Database,
    model: BTreeMap<i64, Thing>,
    lists: Lists,
}

fn open(options: &StoreOptions, lists: &Lists) -> Database {
    let lists = Arc::clone(lists);
    let schema = Schema::new([Thing::class().unwrap()]).unwrap();
    let wanted = DatabaseOptions::schema(schema, 1).commit_hook(Arc::new(move |operations, _| {
        follow(&lists, operations);
        Ok(())
    }));
    Database::open(options, "things", &wanted).unwrap()
}

impl<'m> TypedHarness<'m> {
    fn new(options: StoreOptions, marks: &'m Marks) -> Self {
        let options = options.vfs(Arc::new(MemoryVfs::default()));
        let lists = Lists::default();
        let database = open(&options, &lists);
        Self { marks, options, database, model: BTreeMap::new(), lists }
    }

    fn mark(&self, what: &'static str) {
        self.marks.borrow_mut().insert(what);
    }

    fn link(&self) -> impl Fn(i64) -> Link<Thing> + use<> {
        let class = self.database.snapshot().unwrap().objects("Thing").unwrap().class();
        move |key| Link::new(ObjectId { class, key: ObjectKey::Int(key) })
    }

    /// Returns whether all link targets of a thing exist.
    fn is_possible(&self, thing: &Thing) -> bool {
        let mut links = thing.friend.iter().chain(&thing.friends);
        links.all(
            |link| matches!(link.id().key, ObjectKey::Int(key) if self.model.contains_key(&key)),
        )
    }

    fn step(&mut self, (what, key, seed): TypedStep) {
        let key = i64::try_from(u64::from(key) % KEYS).unwrap();
        let mut numbers = ValueRng(seed);
        let link = self.link();
        let thing = numbers.thing(key, &link);
        let exists = self.model.contains_key(&key);
        let possible = self.is_possible(&thing);
        let done = match what % 8 {
            0 | 1 => {
                let done = self.database.transact(|txn| thing.create(txn)).is_ok();
                assert_eq!(done, possible && !exists, "B9: creating");
                self.mark(if done { "created" } else { "not created" });
                done
            }
            2 => {
                let made = self.database.transact(|txn| thing.upsert(txn)).map(|(_, made)| made);
                assert_eq!(made.clone().ok(), possible.then_some(!exists), "B9: upserting");
                self.mark(match made {
                    Ok(true) => "made anew",
                    Ok(false) => "made equal",
                    Err(_) => "not made",
                });
                made.is_ok()
            }
            3 => self.update(&link(key), (&thing, possible && exists)),
            4 => {
                let possible = possible && exists;
                if possible {
                    self.mark("written dynamically");
                    self.database.transact(|txn| update(txn, &thing, link(key).id())).unwrap();
                }
                possible
            }
            5 => return self.delete(&link(key), exists),
            6 if exists => return self.edit(&link(key), &mut numbers),
            6 => return,
            _ => {
                let held = self.database.snapshot().unwrap().commit();
                let nothing =
                    Database::open(&self.options, "other", &DatabaseOptions::dynamic()).unwrap();
                self.database = nothing;
                self.database = open(&self.options, &self.lists);
                assert!(self.database.snapshot().unwrap().commit() >= held);
                self.mark("opened again");
                return;
            }
        };
        if done {
            self.model.insert(key, thing);
        }
    }

    /// Updates a thing in a transaction that continues after a refusal.
    fn update(&self, link: &Link<Thing>, (thing, possible): (&Thing, bool)) -> bool {
        let mut txn = self.database.write().unwrap();
        let outcome = link.update(&mut txn, |held| *held = thing.clone());
        assert_eq!(outcome.is_ok(), possible, "B9: updating: {outcome:?}");
        txn.commit().unwrap();
        self.mark(if possible { "updated" } else { "not updated" });
        possible
    }

    fn delete(&mut self, link: &Link<Thing>, exists: bool) {
        let deleted = self.database.transact(|txn| txn.delete(link));
        assert_eq!(deleted.is_ok(), exists);
        if exists {
            self.mark("deleted");
        }
        self.model.retain(|key, _| link.id().key != ObjectKey::Int(*key));
        for thing in self.model.values_mut() {
            thing.friend = thing.friend.take().filter(|to| to != link);
            thing.friends.retain(|to| to != link);
        }
    }

    /// Edits single elements of a list.
    fn edit(&mut self, link: &Link<Thing>, numbers: &mut ValueRng) {
        let ObjectKey::Int(key) = link.id().key else { return };
        let Some(thing) = self.model.get_mut(&key) else { return };
        let (text, len) = (numbers.text(), thing.texts.len() as u64);
        let mut place = |end: u64| usize::try_from(numbers.below(end)).unwrap();
        self.marks.borrow_mut().insert(if len < 3 { "inserted" } else { "moved" });
        let mut txn = self.database.write().unwrap();
        let mut list = txn.list(link, "texts").unwrap();
        match len {
            3.. => {
                let (from, to) = (place(len), place(len));
                list.move_to(from, to).unwrap();
                let moved = thing.texts.remove(from);
                thing.texts.insert(to, moved);
            }
            _ => {
                let at = place(len + 1);
                list.insert(at, &text).unwrap();
                thing.texts.insert(at, text);
            }
        }
        txn.commit().unwrap();
    }

    fn assert_agrees(&self) {
        let snapshot = self.database.snapshot().unwrap();
        let things = Thing::objects(&snapshot).unwrap();
        assert_eq!(things.len(), self.model.len() as u64, "B9: other objects");
        for (key, expected) in &self.model {
            let found = things.get(*key).unwrap().expect("B9: an object is missing");
            assert_alike(&found, expected);
            let to = found.link();
            let fans = self.model.values().flat_map(|fan| {
                let links = fan.friends.iter().filter(|link| *link == to);
                links.map(|_| Link::new(ObjectId { class: to.class, key: ObjectKey::Int(fan.id) }))
            });
            assert_eq!(found.fans, fans.collect::<Vec<_>>(), "B9: computed links");
            self.assert_object(&snapshot, (to.id(), expected));
        }
        let ones = things.filter(Filter::eq("int", 1)).find().unwrap();
        let ones: Vec<i64> = ones.iter().map(|found| found.id).collect();
        let expected = self.model.values().filter(|thing| thing.int == 1).map(|thing| thing.id);
        assert_eq!(ones, expected.collect::<Vec<_>>(), "B9: found by an index");
    }

    /// Compares the stored object property by property.
    fn assert_object(&self, snapshot: &Snapshot, (id, expected): (&ObjectId, &Thing)) {
        let object = snapshot.object(id).unwrap().unwrap();
        for (name, expected) in contents(expected) {
            let found = match &expected {
                PropertyValue::Value(_) => PropertyValue::Value(object.get(name).unwrap()),
                PropertyValue::List(_) => {
                    all(object.list(name).unwrap().into_iter().map(|element| element.value))
                }
            };
            assert!(same(&found, &expected), "B9: {name}: {found:?}, expected {expected:?}");
        }
        let replayed = self.lists.lock().unwrap().get(&id.key).cloned().unwrap_or_default();
        assert_eq!(
            replayed,
            object.list("texts").unwrap(),
            "W3: a list differs from its operations"
        );
    }
}

/// Writes a thing property by property.
fn update(txn: &mut Transaction, thing: &Thing, id: &ObjectId) -> fastness::Result<()> {
    for (name, content) in contents(thing) {
        match content {
            PropertyValue::Value(value) => txn.set(id, name, value)?,
            PropertyValue::List(values) => {
                let mut list = txn.list(id, name)?;
                list.clear()?;
                for value in values {
                    list.push(value)?;
                }
            }
        }
    }
    Ok(())
}

fn agree(options: &StoreOptions) {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let marks = Marks::default();
    let steps = vec(any::<TypedStep>(), 1..STEPS_MAX);
    let outcome = TestRunner::new_with_rng(config, rng).run(&steps, |steps| {
        let mut harness = TypedHarness::new(options.clone(), &marks);
        for step in steps {
            harness.step(step);
            harness.assert_agrees();
        }
        Ok(())
    });
    if let Err(broken) = outcome {
        panic!("{broken}");
    }
    assert_eq!(marks.into_inner(), MARKS.iter().copied().collect(), "what happened");
}

#[test]
fn structs_and_objects_agree() {
    agree(&StoreOptions::new());
}

#[test]
fn structs_and_objects_agree_in_an_encrypted_file() {
    agree(&StoreOptions::new().key(Key::new([9; 64])));
}
