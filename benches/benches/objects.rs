//! Objects: writing many, reading by key, filters, look-ups by an index, updates, and opening many
//! classes; in memory, encrypted.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fastness::object::{
    Database, DatabaseOptions, Filter, ObjectId, ObjectKey, Timestamp, Transaction,
};
use fastness::schema::{Class, Property, Scalar, Schema};
use fastness::vfs::MemoryVfs;
use fastness::{Key, StoreOptions};
use std::hint::black_box;
use std::sync::Arc;

const ROWS: i64 = 20_000;

fn class(name: &str) -> Class {
    let required = |name, of| Property::new(name, of).expect("a good name").required();
    let class = Class::new(name).expect("a good name");
    class
        .with(required("id", Scalar::Int).primary_key())
        .with(required("name", Scalar::String).indexed())
        .with(required("city", Scalar::String))
        .with(required("age", Scalar::Int))
        .with(required("points", Scalar::Int))
        .with(required("score", Scalar::Double))
        .with(required("active", Scalar::Bool))
        .with(required("joined", Scalar::Timestamp))
        .with(required("token", Scalar::Binary))
}

fn wanted(classes: impl IntoIterator<Item = Class>) -> DatabaseOptions<'static> {
    DatabaseOptions::schema(Schema::new(classes).expect("good classes"), 0)
}

fn options() -> StoreOptions {
    StoreOptions::new().key(Key::new([7; 64]))
}

/// Numbers that do not arrive in order, all different.
fn id(number: i64) -> i64 {
    number.wrapping_mul(0x1e37_79b9_7f4a_7c15)
}

/// A way to write all objects, with its name.
type Way = (&'static str, fn(&mut Transaction) -> fastness::Result<()>);

/// Writes all objects, each whole.
fn load_whole(txn: &mut Transaction) -> fastness::Result<()> {
    for number in 0..ROWS {
        let values = [
            ("id", id(number).into()),
            ("name", format!("name of {:08}", number / 10).into()),
            ("city", format!("city {:02} of a hundred", number % 100).into()),
            ("age", (number % 89).into()),
            ("points", number.into()),
            ("score", 0.5.into()),
            ("active", (number % 2 == 0).into()),
            ("joined", Timestamp::new(number, 0).into()),
            ("token", (&[7_u8; 16][..]).into()),
        ];
        txn.create_with("Item", &values)?;
    }
    Ok(())
}

/// Writes the same objects property by property.
fn load_singly(txn: &mut Transaction) -> fastness::Result<()> {
    for number in 0..ROWS {
        let item = txn.create_with_key("Item", id(number))?;
        txn.set(&item, "name", format!("name of {:08}", number / 10))?;
        txn.set(&item, "city", format!("city {:02} of a hundred", number % 100))?;
        txn.set(&item, "age", number % 89)?;
        txn.set(&item, "points", number)?;
        txn.set(&item, "score", 0.5)?;
        txn.set(&item, "active", number % 2 == 0)?;
        txn.set(&item, "joined", Timestamp::new(number, 0))?;
        txn.set(&item, "token", &[7_u8; 16][..])?;
    }
    Ok(())
}

fn empty() -> Database {
    Database::in_memory(&options(), &wanted([class("Item")])).expect("room")
}

fn filled() -> Database {
    let database = empty();
    database.transact(load_whole).expect("good objects");
    database
}

fn load(c: &mut Criterion) {
    let mut group = c.benchmark_group("object/load");
    group.throughput(Throughput::Elements(ROWS.unsigned_abs())).sample_size(10);
    let ways: [Way; 2] = [("whole", load_whole), ("singly", load_singly)];
    for (name, way) in ways {
        group.bench_function(name, |b| {
            b.iter_batched(
                empty,
                |database| database.transact(way).expect("good objects"),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn read(c: &mut Criterion) {
    let database = filled();
    let snapshot = database.snapshot().expect("a good catalog");
    let items = snapshot.objects("Item").expect("the class exists");
    let mut number = 0;
    let mut group = c.benchmark_group("object");
    group.throughput(Throughput::Elements(1));
    group.bench_function("get", |b| {
        b.iter(|| {
            number = (number + 7_919) % ROWS;
            let item = items.get(id(number)).expect("whole pages").expect("the object exists");
            for field in ["name", "city", "age", "points", "score", "active", "joined", "token"] {
                black_box(item.get(field).expect("a good record"));
            }
        });
    });
    group.bench_function("look_up", |b| {
        b.iter(|| {
            number = (number + 7_919) % ROWS;
            let name = Filter::eq("name", format!("name of {:08}", number / 10));
            black_box(items.filter(name).sum("points").expect("good records"))
        });
    });
    group.throughput(Throughput::Elements(ROWS.unsigned_abs()));
    group.bench_function("filter", |b| {
        let filter = Filter::ge("age", 50).and(Filter::eq("active", true));
        b.iter(|| items.filter(filter.clone()).sum("points").expect("good records"));
    });
    group.finish();
}

fn update(c: &mut Criterion) {
    let database = filled();
    let class = database.snapshot().expect("a good catalog").objects("Item").expect("it").class();
    let mut group = c.benchmark_group("object");
    group.throughput(Throughput::Elements(100));
    let mut number = 0;
    group.bench_function("update", |b| {
        b.iter_batched(
            || database.write().expect("no other writer"),
            |mut txn| {
                for _ in 0..100 {
                    number = (number + 7_919) % ROWS;
                    let key = ObjectKey::Int(id(number));
                    txn.set(&ObjectId { class, key }, "points", -number).expect("a good value");
                }
                txn.abort();
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn open(c: &mut Criterion) {
    let vfs = Arc::new(MemoryVfs::default());
    let options = options().vfs(vfs);
    let classes = || (0..200).map(|number| class(&format!("Class{number}")));
    let open = || Database::open(&options, "many", &wanted(classes())).expect("it opens");
    drop(open());
    // Closing is measured too: a file is open once.
    c.bench_function("object/open/200", |b| b.iter(|| drop(open())));
}

criterion_group!(objects, load, read, update, open);
criterion_main!(objects);
