//! Lists: pushes to short and long ones, and the deletion of all objects that one list links to; in
//! memory, encrypted.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fastness::object::{Database, DatabaseOptions, ObjectId, PropertyValue};
use fastness::schema::{Class, Property, PropertyType, Scalar, Schema};
use fastness::{Key, StoreOptions};

/// Elements of a short and of a long list.
const LENS: [i64; 2] = [1000, 700_000];

/// Objects that are deleted.
const DELETED: i64 = 20_000;

fn database() -> Database {
    let numbers = PropertyType::List { of: Scalar::Int, nullable: false };
    let item = Class::new("Item").expect("a good name");
    let bag = Class::new("Bag")
        .expect("a good name")
        .with(Property::new("numbers", numbers).expect("a good name"))
        .with(Property::new("items", PropertyType::ObjectList("Item".into())).expect("a name"));
    let wanted = DatabaseOptions::schema(Schema::new([item, bag]).expect("good classes"), 0);
    let options = StoreOptions::new().key(Key::new([7; 64]));
    Database::in_memory(&options, &wanted).expect("room")
}

/// Pushes a hundred numbers in a transaction that is rolled back.
fn push(c: &mut Criterion) {
    let mut group = c.benchmark_group("list/push");
    group.throughput(Throughput::Elements(100));
    for len in LENS {
        let database = database();
        let values = [("numbers", PropertyValue::list(0..len))];
        let id = database.transact(|txn| txn.create_with("Bag", &values)).expect("a good list");
        group.bench_function(BenchmarkId::from_parameter(len), |b| {
            b.iter_batched(
                || database.write().expect("no other writer"),
                |mut txn| {
                    for number in 0..100 {
                        let mut list = txn.list(&id, "numbers").expect("the list exists");
                        list.push(number).expect("room");
                    }
                    txn.abort();
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn linked() -> Database {
    let database = database();
    let fill = database.transact(|txn| {
        let items: Vec<ObjectId> =
            (0..DELETED).map(|_| txn.create("Item")).collect::<Result<_, _>>()?;
        txn.create_with("Bag", &[("items", PropertyValue::list(&items))]).map(drop)
    });
    fill.expect("good objects");
    database
}

fn delete_linked(c: &mut Criterion) {
    let mut group = c.benchmark_group("list");
    group.throughput(Throughput::Elements(DELETED.unsigned_abs())).sample_size(10);
    group.bench_function("delete_linked", |b| {
        b.iter_batched(
            linked,
            |database| database.transact(|txn| txn.delete_all("Item")).expect("good objects"),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(lists, push, delete_linked);
criterion_main!(lists);
