//! Exact guards of what an operation costs: calls, bytes, pages, allocations. Counts, not times.

use fastness::object::{
    Database, DatabaseOptions, Filter, ListMut, ObjectId, ObjectKey, PropertyValue, Transaction,
    Value,
};
use fastness::schema::{Class, Property, PropertyType, Scalar, Schema};
use fastness::{Result, Store};
pub(crate) use fastness_testkit::Counting;

/// Keys in an order that looks random and is the same for ever.
fn key(number: u64) -> [u8; 16] {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (u128::from(mixed) << 64 | u128::from(mixed.rotate_left(32))).to_be_bytes()
}

fn load(store: &Store, entries: u64) {
    let mut txn = store.write().unwrap();
    let mut tree = txn.tree("t").unwrap();
    for number in 0..entries {
        tree.insert(&key(number), &[7; 100]).unwrap();
    }
    txn.commit().unwrap();
}

fn update(store: &Store, numbers: impl Iterator<Item = u64>) {
    let mut txn = store.write().unwrap();
    for number in numbers {
        txn.tree("t").unwrap().insert(&key(number), &[9; 100]).unwrap();
    }
    txn.commit().unwrap();
}

#[test]
fn a_single_row_commit_is_one_sync_one_write_and_one_page() {
    let vfs = Counting::default();
    let store = vfs.options().create("store").unwrap();
    load(&store, 60_000);
    let mut others = 0;
    for round in 0..1000 {
        let [_, writes, bytes, syncs] = vfs.of(|| update(&store, std::iter::once(round * 997)));
        assert_eq!(syncs, 1, "round {round}");
        // The first of a log also says so in the header; now and then the log is made longer, and
        // when it is full the trees are written.
        others += usize::from((writes, bytes) != (1, 4096));
        assert!(writes <= 4 && bytes < 3 << 20, "round {round}: {writes} calls, {bytes} bytes");
    }
    assert!(others <= 16, "{others} of a thousand write more than a page");
}

#[test]
fn a_hundred_updates_of_an_aged_file_are_one_sync_and_one_write() {
    let vfs = Counting::default();
    let store = vfs.options().create("store").unwrap();
    load(&store, 60_000);
    let numbers = |round: u64| (0..100).map(move |n| (round * 7919 + n * 613) % 60_000);
    (0..300).for_each(|round| update(&store, numbers(round)));
    let mut most = Vec::new();
    for round in 300..500 {
        let [_, writes, bytes, syncs] = vfs.of(|| update(&store, numbers(round)));
        most.push((writes, bytes, syncs));
    }
    most.sort_unstable();
    let [usual, often] = [100, 190].map(|index| most[index]);
    assert_eq!(usual, (1, 4 * 4096, 1));
    assert_eq!(often.0, 1, "more than one in twenty writes otherwise: {often:?}");
}

#[test]
fn commits_that_need_not_be_durable_write_and_sync_nothing() {
    let vfs = Counting::default();
    let store = vfs.options().create("store").unwrap();
    load(&store, 1000);
    let kept = || {
        for number in 0..100 {
            let mut txn = store.write().unwrap();
            txn.tree("t").unwrap().insert(&key(number), &[5; 100]).unwrap();
            txn.commit_with(fastness::Durability::None).unwrap();
        }
    };
    assert_eq!(vfs.of(kept), [0; 4]);
    let [_, _, _, syncs] = vfs.of(|| assert_eq!(store.sync().unwrap(), store.snapshot().commit()));
    assert_eq!(syncs, 1);
    let again = || assert_eq!(store.sync().unwrap(), store.snapshot().commit());
    assert_eq!(vfs.of(again), [0; 4]);
}

#[test]
fn a_commit_without_durability_copies_no_node_without_readers() {
    let store = Counting::default().options().create("store").unwrap();
    load(&store, 20_000);
    let bytes = || {
        let measured = allocation_counter::measure(|| {
            let mut txn = store.write().unwrap();
            txn.tree("t").unwrap().insert(&key(7), &[5; 100]).unwrap();
            txn.commit_with(fastness::Durability::None).unwrap();
        });
        measured.bytes_total
    };
    bytes();
    let alone = bytes();
    let snapshot = store.snapshot();
    let held = bytes();
    assert!(snapshot.commit() < store.snapshot().commit());
    // The branches have been copied; the snapshot holds what they were before.
    let after = bytes();
    assert!(alone.max(after) < 2048 && held > 3 * 4096, "{alone}, {held}, {after}");
}

#[test]
fn a_cold_read_is_one_page_for_each_level_and_a_warm_one_none() {
    let vfs = Counting::default();
    let store = vfs.options().create("store").unwrap();
    load(&store, 20_000);
    drop(store);
    let store = vfs.options().open("store").unwrap();
    let snapshot = store.snapshot();
    let read = || {
        let tree = snapshot.tree("t");
        assert!(tree.get(&key(7)).unwrap().is_some());
    };
    assert_eq!(vfs.of(read), [3, 0, 0, 0]);
    assert_eq!(vfs.of(read), [0, 0, 0, 0]);
}

#[test]
fn opening_and_a_first_read_cost_a_file_a_hundred_times_as_large_a_page_for_each_level_more() {
    let reads = |entries| {
        let vfs = Counting::default();
        let store = vfs.options().create("store").unwrap();
        load(&store, entries);
        drop(store);
        let [reads, ..] = vfs.of(|| {
            let store = vfs.options().open("store").unwrap();
            assert!(store.snapshot().tree("t").get(&key(7)).unwrap().is_some());
        });
        reads
    };
    assert_eq!([2_000, 200_000].map(reads), [6, 7]);
}

/// Reads of what is in use and of what is not, round by round; before each of them `between`.
/// Returns how many pages the latter and the former read, of 9000 and 18000 rows.
fn pages_read_with_a_small_cache(between: impl Fn(&Store, u64)) -> [u64; 2] {
    let vfs = Counting::default();
    let store = vfs.options().create("store").unwrap();
    load(&store, 60_000);
    drop(store);
    let store = vfs.options().cache_bytes(1 << 20).open("store").unwrap();
    let read = |numbers: &mut dyn Iterator<Item = u64>| {
        let snapshot = store.snapshot();
        let tree = snapshot.tree("t");
        let [pages, ..] = vfs.of(|| {
            numbers.for_each(|number| assert!(tree.get(&key(number % 60_000)).unwrap().is_some()));
        });
        pages
    };
    let mut pages = [0; 2];
    for round in 0..1000 {
        between(&store, round);
        let others = read(&mut (0..10).map(|at| round * 7919 + at * 6007));
        // Some of the first keys and some of the last.
        let in_use = read(&mut (0..20).map(|at| at * 3001));
        if round >= 100 {
            pages = [pages[0] + others, pages[1] + in_use];
        }
    }
    pages
}

#[test]
fn a_small_cache_keeps_what_is_in_use_and_reads_a_page_for_what_is_not() {
    let [others, in_use] = pages_read_with_a_small_cache(|_, _| {});
    assert_eq!(in_use, 0);
    // Nearly all branches are in use as well.
    assert!((8000..=9000).contains(&others), "{others} pages for 9000 rows");
}

#[test]
fn a_small_cache_keeps_what_is_in_use_while_versions_come_and_stay() {
    let held = std::cell::RefCell::new(Vec::new());
    let [others, in_use] = pages_read_with_a_small_cache(|store, _| {
        update(store, [30_000].into_iter());
        held.borrow_mut().insert(0, store.snapshot());
        held.borrow_mut().truncate(3);
    });
    assert_eq!(in_use, 0);
    assert!(others <= 9900, "{others} pages for 9000 rows");
}

#[test]
fn a_warm_read_allocates_nothing() {
    let store = Counting::default().options().create("store").unwrap();
    load(&store, 20_000);
    let snapshot = store.snapshot();
    let tree = snapshot.tree("t");
    assert!(tree.get(&key(7)).unwrap().is_some());
    let allocations = allocation_counter::measure(|| {
        assert!(tree.get(&key(7)).unwrap().is_some());
        assert!(snapshot.tree("t").get(&key(7)).unwrap().is_some());
        assert!(store.snapshot().tree("t").get(&key(7)).unwrap().is_some());
    });
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn a_commit_costs_the_same_beside_many_trees() {
    let bytes = |trees: u32| {
        let store = Counting::default().options().create("store").unwrap();
        let mut txn = store.write().unwrap();
        for tree in 0..trees {
            txn.tree(&format!("tree {tree}")).unwrap().insert(b"key", b"value").unwrap();
        }
        txn.commit().unwrap();
        let commit = || {
            let mut txn = store.write().unwrap();
            txn.tree("tree 7").unwrap().insert(b"key", b"other").unwrap();
            txn.commit_with(fastness::Durability::None).unwrap();
        };
        commit();
        let snapshot = store.snapshot();
        let measured = allocation_counter::measure(commit);
        drop(snapshot);
        measured.bytes_total
    };
    let (few, many) = (bytes(10), bytes(10_000));
    assert!(many < few + 10_000, "G4: {many} bytes beside many trees, {few} beside few");
}

#[test]
fn moving_a_tree_writes_none_of_its_pages() {
    let cost = |entries: u64| {
        let vfs = Counting::default();
        let store = vfs.options().create("store").unwrap();
        load(&store, entries);
        let before = vfs.bytes();
        let [_, writes, bytes, _] = vfs.of(|| {
            let mut txn = store.write().unwrap();
            txn.move_tree("t", "moved").unwrap();
            txn.commit().unwrap();
        });
        let snapshot = store.snapshot();
        assert_eq!((snapshot.tree("t").len(), snapshot.tree("moved").len()), (0, entries));
        assert_eq!(snapshot.tree("moved").get(&key(7)).unwrap().as_deref(), Some(&[7; 100][..]));
        assert!(vfs.bytes() <= before + (64 << 10), "T7: the file grows");
        (writes, bytes)
    };
    let (small, large) = (cost(10), cost(100_000));
    assert!(large.1 <= 32 << 10, "T7: {large:?} for a large tree, {small:?} for a small one");
}

#[test]
fn a_file_keeps_its_size_under_updates_and_compaction_fills_its_pages() {
    const ENTRIES: u64 = 20_000;
    let raw_bytes = ENTRIES * 116;
    let vfs = Counting::default();
    let store = vfs.options().create("store").unwrap();
    load(&store, ENTRIES);
    drop(store);
    let loaded = vfs.bytes();
    assert!(loaded * 100 <= raw_bytes * 125, "loaded: {loaded} bytes for {raw_bytes}");
    let store = vfs.options().open("store").unwrap();
    for round in 0..400 {
        update(&store, (0..25).map(|number| (round * 7919 + number * 613) % ENTRIES));
    }
    for round in 0..400 {
        update(&store, (0..25).map(|number| (round * 6007 + number * 509) % ENTRIES));
    }
    // Old and new trees and the log: three times as much while it is open.
    let open = vfs.bytes();
    assert!(open <= loaded * 3, "open: {open} bytes after {loaded}");
    for round in 0..800 {
        update(&store, (0..25).map(|number| (round * 5003 + number * 419) % ENTRIES));
    }
    assert!(vfs.bytes() * 100 <= open * 102, "still growing: {} after {open}", vfs.bytes());
    drop(store);
    let aged = vfs.bytes();
    assert!(aged * 100 <= loaded * 115, "aged: {aged} bytes after {loaded}");
    let store = vfs.options().open("store").unwrap();
    store.compact().unwrap();
    let compact = vfs.bytes();
    assert!(compact * 100 <= raw_bytes * 115, "compacted: {compact} bytes for {raw_bytes}");
}

#[test]
fn closing_cuts_a_file_of_which_far_more_is_free_than_it_moves() {
    const ENTRIES: u64 = 40_000;
    let vfs = Counting::default();
    let store = vfs.options().create("store").unwrap();
    let mut txn = store.write().unwrap();
    let mut tree = txn.tree("t").unwrap();
    for number in 0..ENTRIES {
        tree.insert(&key(number), &[3; 1000]).unwrap();
    }
    txn.commit().unwrap();
    // The remaining entries are spread over the file, and more than 32 MiB are free.
    let mut txn = store.write().unwrap();
    let mut tree = txn.tree("t").unwrap();
    for number in (0..ENTRIES).filter(|number| number % 16 > 0) {
        tree.remove(&key(number)).unwrap();
    }
    txn.commit().unwrap();
    let open = vfs.bytes();
    drop(store);
    let raw_bytes = ENTRIES / 16 * 1016;
    let closed = vfs.bytes();
    assert!(open > (32 << 20) + 2 * raw_bytes, "nothing to cut: {open} bytes");
    assert!(closed * 10 <= raw_bytes * 18, "closed: {closed} bytes for {raw_bytes}");
    let store = vfs.options().open("store").unwrap();
    assert_eq!(store.snapshot().verify().unwrap().problems, []);
}

/// A class with a number as key and a field of each type, one of them indexed.
fn class(name: &str) -> Class {
    let required = |name, of| Property::new(name, of).unwrap().required();
    Class::new(name)
        .unwrap()
        .with(required("id", Scalar::Int).primary_key())
        .with(required("name", Scalar::String).indexed())
        .with(required("age", Scalar::Int))
        .with(required("score", Scalar::Double))
        .with(required("weight", Scalar::Float))
        .with(required("active", Scalar::Bool))
        .with(Property::new("joined", Scalar::Timestamp).unwrap())
        .with(required("token", Scalar::Binary))
        .with(Property::new("nickname", Scalar::String).unwrap())
}

const FIELDS: [&str; 8] =
    ["name", "age", "score", "weight", "active", "joined", "token", "nickname"];

fn objects(vfs: &Counting, classes: u32) -> Database {
    let classes = (0..classes).map(|number| class(&format!("Class{number}")));
    let wanted = DatabaseOptions::schema(Schema::new(classes).unwrap(), 0);
    Database::open(&vfs.options(), "store", &wanted).unwrap()
}

/// Fills the first class; five objects share a name.
fn fill(database: &Database, count: i64) {
    let mut txn = database.write().unwrap();
    for number in 0..count {
        let id = txn.create_with_key("Class0", number * 7919 % count).unwrap();
        txn.set(&id, "name", format!("name {}", number / 5)).unwrap();
        txn.set(&id, "token", &[7; 16][..]).unwrap();
        txn.set(&id, "age", number % 100).unwrap();
    }
    txn.commit().unwrap();
}

#[test]
fn reading_an_object_with_all_its_fields_allocates_nothing() {
    let database = objects(&Counting::default(), 1);
    fill(&database, 5000);
    let snapshot = database.snapshot().unwrap();
    let read = || {
        let object = snapshot.objects("Class0").unwrap().get(77).unwrap().unwrap();
        assert!(FIELDS.iter().all(|field| object.get(field).is_ok()));
        assert_eq!(object.get("token").unwrap(), Value::from(&[7; 16][..]));
    };
    read();
    assert_eq!(allocation_counter::measure(read).count_total, 0);
}

#[test]
fn a_filter_allocates_as_often_for_many_objects_as_for_few() {
    let allocations = |count| {
        let database = objects(&Counting::default(), 1);
        fill(&database, count);
        let snapshot = database.snapshot().unwrap();
        let old = Filter::ge("age", 50).and(Filter::eq("active", false));
        let sum = || {
            let old = snapshot.objects("Class0").unwrap().filter(old.clone());
            assert_ne!(old.sum("age").unwrap(), Value::Int(0));
        };
        sum();
        allocation_counter::measure(sum).count_total
    };
    let (few, many) = (allocations(1000), allocations(4000));
    assert_eq!(few, many);
}

#[test]
fn a_look_up_by_an_index_reads_the_way_to_each_object() {
    let vfs = Counting::default();
    let database = objects(&vfs, 1);
    fill(&database, 20_000);
    drop(database);
    let database = objects(&vfs, 1);
    let snapshot = database.snapshot().unwrap();
    let five = snapshot.objects("Class0").unwrap().filter(Filter::eq("name", "name 123"));
    let look_up = || assert_eq!(five.count().unwrap(), 5);
    // Three levels of the index; the root of the objects, and a branch and a leaf for each.
    assert_eq!(vfs.of(look_up), [3 + 1 + 5 + 5, 0, 0, 0]);
    assert_eq!(vfs.of(look_up), [0; 4]);
}

#[test]
fn an_update_of_one_field_writes_a_page_and_of_a_hundred_few() {
    let vfs = Counting::default();
    let database = objects(&vfs, 1);
    fill(&database, 20_000);
    let class = database.snapshot().unwrap().objects("Class0").unwrap().class();
    let update = |numbers: std::ops::Range<i64>| {
        let mut txn = database.write().unwrap();
        for number in numbers {
            let id = ObjectId { class, key: ObjectKey::Int(number * 613 % 20_000) };
            txn.set(&id, "age", 1000 + number).unwrap();
        }
        txn.commit().unwrap();
    };
    (0..3).for_each(|number| update(number..number + 1));
    assert_eq!(vfs.of(|| update(10..11)), [0, 1, 4096, 1]);
    assert_eq!(vfs.of(|| update(100..200)), [0, 1, 3 * 4096, 1]);
}

/// A hundred records of 71 bytes and entries of the index of 22, with their keys, are four pages.
#[test]
fn objects_made_whole_are_recorded_once() {
    let vfs = Counting::default();
    let database = objects(&vfs, 1);
    fill(&database, 20_000);
    let create = |from: i64, names: [&str; 3]| {
        let mut txn = database.write().unwrap();
        for number in from..from + 100 {
            let name = format!("name {number}");
            let values = [("id", number.into()), (names[0], name.into())];
            let more = [(names[1], 7.into()), (names[2], 0.5.into())];
            txn.create_with("Class0", &[values, more].concat()).unwrap();
        }
        txn.commit().unwrap();
    };
    let names = ["name", "age", "score"];
    create(100_000, names);
    assert_eq!(vfs.of(|| create(200_000, names)), [0, 1, 4 * 4096, 1]);
}

/// Returns the most bytes that a change of 20 000 objects held, beside what is left in memory: the
/// pages that were changed.
fn held_beside(before: fn(&mut Transaction), change: fn(&mut Transaction)) -> i64 {
    let vfs = Counting::default();
    fill(&objects(&vfs, 1), 20_000);
    let database = objects(&vfs, 1);
    let mut txn = database.write().unwrap();
    before(&mut txn);
    let held = allocation_counter::measure(|| change(&mut txn));
    i64::try_from(held.bytes_max).unwrap() - held.bytes_current
}

/// Gives every object another age.
fn age(txn: &mut Transaction) {
    let class = txn.objects("Class0").unwrap().class();
    for number in 0..20_000 {
        let id = ObjectId { class, key: ObjectKey::Int(number) };
        txn.set(&id, "age", 1000 + number).unwrap();
    }
}

#[test]
fn a_rebuild_holds_few_objects_at_a_time() {
    let convert = |txn: &mut Transaction| txn.set_nullable("Class0", "age", true).unwrap();
    let index = |txn: &mut Transaction| txn.set_indexed("Class0", "age", true).unwrap();
    let unkey = |txn: &mut Transaction| txn.set_primary_key("Class0", None).unwrap();
    let rekey = |txn: &mut Transaction| txn.set_primary_key("Class0", Some("age")).unwrap();
    for change in [convert, index] {
        let held = held_beside(|_| (), change);
        assert!(held <= 256 << 10, "{held} bytes");
    }
    // The two keys of each object are noted.
    let ways: [[fn(&mut Transaction); 2]; 2] = [[|_| (), unkey], [age, rekey]];
    for [before, change] in ways {
        let held = held_beside(before, change);
        assert!(held <= 80 * 20_000, "{held} bytes");
    }
}

/// A chunk and a segment of a kilobyte at most, and a short entry: one page of the log.
#[test]
fn a_change_of_a_long_list_writes_a_page() {
    let vfs = Counting::default();
    let list = PropertyType::List { of: Scalar::Int, nullable: false };
    let class = Class::new("Class").unwrap().with(Property::new("list", list).unwrap());
    let wanted = DatabaseOptions::schema(Schema::new([class]).unwrap(), 0);
    let database = Database::open(&vfs.options(), "store", &wanted).unwrap();
    let values = [("list", PropertyValue::list(0..10_000))];
    let id = database.transact(|txn| txn.create_with("Class", &values)).unwrap();
    // The log begins empty, and everything is in memory.
    drop(database);
    let database = Database::open(&vfs.options(), "store", &wanted).unwrap();
    let snapshot = database.store().snapshot();
    for name in snapshot.tree_names() {
        assert!(snapshot.tree(name).range(..).unwrap().count() > 0);
    }
    drop(snapshot);
    let edit = |edit: fn(&mut ListMut<'_>) -> Result<()>| {
        let body = || {
            let mut txn = database.write().unwrap();
            edit(&mut txn.list(&id, "list").unwrap()).unwrap();
            txn.commit().unwrap();
        };
        vfs.of(body)
    };
    edit(|list| list.push(-1).map(drop));
    let edits: [fn(&mut ListMut<'_>) -> Result<()>; 4] = [
        |list| list.push(-2).map(drop),
        |list| list.insert(5000, -3).map(drop),
        |list| list.set(2500, -4),
        |list| list.remove(7500).map(drop),
    ];
    for (number, change) in edits.into_iter().enumerate() {
        assert_eq!(edit(change), [0, 1, 4096, 1], "{number}");
    }
    // Taken out, and put in.
    assert_eq!(edit(|list| list.move_to(10, 20)), [0, 1, 4096, 1]);
    assert_eq!(edit(|list| list.move_to(100, 9000)), [0, 1, 2 * 4096, 1]);
}

#[test]
fn opening_many_classes_reads_their_catalog_and_writes_nothing() {
    let vfs = Counting::default();
    drop(objects(&vfs, 200));
    let database = || drop(objects(&vfs, 200));
    let [reads, writes, _, syncs] = vfs.of(database);
    assert_eq!((writes, syncs), (0, 0));
    assert!(reads <= 24, "{reads} reads");
}
