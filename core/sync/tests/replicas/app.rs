//! The app of the tests: its classes, and random transactions.

use fastness::object::{Transaction, View};
use fastness::schema::{Class, Property, PropertyType, Scalar, Schema};
use fastness::table::ObjectId;

/// A random number below a bound.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }

    pub(crate) fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }
}

pub(crate) fn schema() -> Schema {
    let list = |of| PropertyType::List { of, nullable: false };
    let node = Class::new("Node")
        .unwrap()
        .with(Property::new("id", Scalar::Int).unwrap().required().primary_key())
        .with(Property::new("name", Scalar::String).unwrap().indexed())
        .with(Property::new("hits", PropertyType::Counter).unwrap())
        .with(Property::new("next", PropertyType::Object("Node".into())).unwrap())
        .with(Property::new("text", list(Scalar::String)).unwrap())
        .with(Property::new("notes", PropertyType::ObjectList("Note".into())).unwrap())
        .with(Property::new("nodes", PropertyType::ObjectList("Node".into())).unwrap());
    let note = Class::new("Note")
        .unwrap()
        .with(Property::new("body", Scalar::String).unwrap().nullable())
        .with(Property::new("of", PropertyType::Object("Node".into())).unwrap());
    Schema::new([node, note]).unwrap()
}

/// Lists that an app adds to its first class later.
const ADDED: [&str; 2] = ["more", "most"];

/// Everything that an app sees.
pub(crate) fn dump(view: View<'_>) -> String {
    let mut out = String::new();
    for class in ["Node", "Note"] {
        let Ok(objects) = view.objects(class) else { continue };
        for object in objects.iter().unwrap() {
            let object = object.unwrap();
            out += &format!("{class} {:?}", object.id().key);
            let names: &[&str] = match class {
                "Node" => &["name", "hits", "next"],
                _ => &["body", "of"],
            };
            for name in names {
                out += &format!(" {name}={:?}", object.get(name).unwrap());
            }
            let lists: &[&str] = if class == "Node" { &["text", "notes", "nodes"] } else { &[] };
            for name in lists {
                out += &format!(" {name}={:?}", object.list(name).unwrap());
            }
            for name in ADDED {
                if let Ok(elements) = object.list(name) {
                    out += &format!(" {name}={elements:?}");
                }
            }
            out.push('\n');
        }
    }
    out
}

fn any(random: &mut Random, view: View<'_>, class: &str) -> Option<ObjectId> {
    let ids: Vec<ObjectId> =
        view.objects(class).ok()?.iter().unwrap().map(|object| object.unwrap().id()).collect();
    ids.get(random.index(ids.len())).cloned()
}

/// Does something in a transaction.
pub(crate) fn step(random: &mut Random, txn: &mut Transaction) {
    let key = i64::try_from(random.below(4)).unwrap();
    let node = any(random, txn.view(), "Node");
    let Some(node) = node.filter(|_| random.below(8) > 0) else {
        txn.get_or_create("Node", key).unwrap();
        return;
    };
    match random.below(18) {
        16 | 17 => {
            let name = ADDED[random.index(2)];
            if random.below(3) == 0 && txn.list(&node, name).is_err() {
                let strings = PropertyType::List { of: Scalar::String, nullable: false };
                txn.add_property("Node", &Property::new(name, strings).unwrap()).unwrap();
            }
            if let Ok(mut list) = txn.list(&node, name) {
                let len = list.len().unwrap();
                list.insert(random.index(len + 1), "added").unwrap();
            }
        }
        0 => txn.delete(&node).unwrap(),
        1 | 2 => txn.set(&node, "name", format!("name {}", random.below(100)).as_str()).unwrap(),
        3 => drop(txn.add(&node, "hits", 1 + i64::try_from(random.below(5)).unwrap()).unwrap()),
        4 => {
            let to = any(random, txn.view(), "Node").unwrap();
            txn.set(&node, "next", to).unwrap();
        }
        5 => {
            let note = txn.create("Note").unwrap();
            txn.set(&note, "of", node.clone()).unwrap();
            txn.list(&node, "notes").unwrap().push(note).unwrap();
        }
        6 => {
            if let Some(note) = any(random, txn.view(), "Note") {
                txn.delete(&note).unwrap();
            }
        }
        7 => {
            let to = any(random, txn.view(), "Node").unwrap();
            let mut list = txn.list(&node, "nodes").unwrap();
            let at = random.index(list.len().unwrap() + 1);
            list.insert(at, to).unwrap();
        }
        _ => edit(random, txn, &node),
    }
}

/// Edits a list.
fn edit(random: &mut Random, txn: &mut Transaction, node: &ObjectId) {
    let name = ["text", "text", "nodes", "notes"][random.index(4)];
    let mut list = txn.list(node, name).unwrap();
    let len = list.len().unwrap();
    match random.below(5) {
        0 if len > 0 => drop(list.remove(random.index(len)).unwrap()),
        1 if len > 1 => list.move_to(random.index(len), random.index(len)).unwrap(),
        2 if len > 0 && name == "text" => list.set(random.index(len), "set").unwrap(),
        3 if random.below(6) == 0 => list.clear().unwrap(),
        _ if name == "text" => {
            let mut at = random.index(len + 1);
            for _ in 0..=random.below(3) {
                let text = format!("t{}", random.below(1000));
                list.insert(at, text.as_str()).unwrap();
                at += usize::from(random.below(3) > 0);
            }
        }
        _ => {}
    }
}

/// Factor of the number of runs: `FASTNESS_MERGE`, or 1.
pub(crate) fn effort() -> u64 {
    let effort = std::env::var("FASTNESS_MERGE").ok().and_then(|effort| effort.parse().ok());
    effort.unwrap_or(1).max(1)
}
