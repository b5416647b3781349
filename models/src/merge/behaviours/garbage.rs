//! Entries that no author would write: any operations over a small domain, with targets, anchors
//! and definitions that do not exist.

use super::{Behaviour, NOW, Random};
use crate::merge::mutant::Mutant;
use crate::merge::server::Server;
use crate::merge::{
    Anchor, Element, Kind, ListOperation, ObjectRef, Operation, PENDING, SyncEntry, SyncValue,
};
use std::collections::BTreeMap;

fn object(random: &mut Random) -> ObjectRef {
    ObjectRef { class: u8::from(random.below(12) == 0), key: u8::from(random.below(4) == 0) }
}

/// One of the first elements.
fn element(random: &mut Random) -> Element {
    Element { author: 1, number: random.below(4) + 1 }
}

fn value(random: &mut Random) -> SyncValue {
    match random.below(4) {
        0 => SyncValue::Null,
        1 => SyncValue::Link(object(random)),
        _ => SyncValue::Int(i64::try_from(random.below(100)).unwrap_or_default()),
    }
}

fn anchor(random: &mut Random) -> Anchor {
    match random.below(4) {
        0 => Anchor::Head,
        1 => Anchor::Before(element(random)),
        _ => Anchor::After(element(random)),
    }
}

/// Draws an operation; `elements` is the last number of an element.
pub fn operation(random: &mut Random, elements: &mut u64) -> Operation {
    let object = object(random);
    let property = u8::try_from(random.below(5)).unwrap_or_default();
    match random.below(18) {
        0 => Operation::AddClass(object.class, u8::from(random.below(6) == 0)),
        1 => {
            let kind = match (property, random.below(8)) {
                (_, 0) | (0, _) => Kind::Int,
                (1, _) => Kind::Link,
                (2, _) => Kind::Counter,
                _ => Kind::List,
            };
            Operation::AddProperty(object.class, property, kind)
        }
        2..5 => Operation::Create(object),
        5 => Operation::Delete(object),
        6 | 7 => Operation::Set(object, property % 2, value(random)),
        8 => Operation::Increment(object, 2, 1),
        9 => Operation::List(object, 3, ListOperation::Set(element(random), value(random))),
        10 | 11 => Operation::List(object, 3, ListOperation::Remove(element(random))),
        12 => Operation::List(object, 3, ListOperation::Move(element(random), anchor(random))),
        _ => {
            *elements += u64::from(random.below(8) > 0);
            let element = Element { author: 1, number: *elements };
            let insert = ListOperation::Insert(element, anchor(random), value(random));
            Operation::List(object, 3, insert)
        }
    }
}

/// Submits random entries by three clients.
#[must_use]
pub fn run(seed: u64, mutant: Option<Mutant>) -> Behaviour {
    let random = &mut Random::new(seed);
    let mut server = Server::new(mutant);
    let mut last: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    let (mut submitted, mut answers, mut elements) = (Vec::new(), Vec::new(), 0);
    for number in 0..10 {
        let client = u32::try_from(random.below(3)).unwrap_or_default() + 1;
        let (client_seq, base) = last.entry(client).or_default();
        *client_seq += 1;
        *base += random.below(server.head() - *base + 1);
        let mut operations: Vec<Operation> =
            (0..=random.below(3)).map(|_| operation(random, &mut elements)).collect();
        if number == 0 {
            let kinds = [Kind::Int, Kind::Link, Kind::Counter, Kind::List];
            let define = (0..).zip(kinds).map(|(at, kind)| Operation::AddProperty(0, at, kind));
            operations = [Operation::AddClass(0, 0)].into_iter().chain(define).collect();
        }
        let stamp = NOW + random.below(4);
        let (client_seq, base) = (*client_seq, *base);
        let entry = SyncEntry { seq: PENDING, client, client_seq, base, stamp, operations };
        answers.push(server.submit(&entry, NOW));
        submitted.push(entry);
    }
    Behaviour { server, submitted, answers, written: Vec::new() }
}
