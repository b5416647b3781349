//! Decisions, stamps, history and state of the replica are those of the model.
//!
//! - MR6, MR7, MR8, MR9 The replica decides as the model does.
//! - SY8 Duplicated submissions change nothing.
//! - SY9 A purge changes nothing visible, then or later.
//! - SY16 A forbidden entry is never sequenced.

use super::pair::{CLIENTS, Draw, ModelledReplica, NOW};
use crate::merge::EFFORT;
use fastness_models::merge::behaviours::letters::foundation;
use fastness_models::merge::behaviours::{Random, garbage};
use fastness_models::merge::{Kind, Operation, SyncEntry};
use std::collections::BTreeSet;

/// Draws the operations of an entry; `elements` is the last number of an element.
pub(super) fn operations(random: &mut Random, elements: &mut u64) -> Vec<Operation> {
    let mut operations: Vec<Operation> =
        (0..=random.below(4)).map(|_| garbage::operation(random, elements)).collect();
    if random.below(12) == 0 {
        // Two definitions of one class or property in an entry.
        let is_class = random.below(2) == 0;
        operations.extend(if is_class {
            [Operation::AddClass(2, 0), Operation::AddClass(2, 1)]
        } else {
            [Operation::AddProperty(1, 5, Kind::Int), Operation::AddProperty(1, 5, Kind::Counter)]
        });
    }
    operations
}

/// The first entry of a history, by client 1.
pub(super) fn founded(pair: &mut ModelledReplica) {
    let foundation = SyncEntry { client: 1, ..foundation(true) };
    pair.submit(1, &[foundation], NOW);
}

/// Runs one random history, and returns the marks.
fn run(seed: u64) -> BTreeSet<&'static str> {
    let random = &mut Random::new(seed);
    let mut pair = ModelledReplica::in_memory();
    let (mut now, mut elements) = (NOW, 10);
    founded(&mut pair);
    for _ in 0..40 {
        now += random.below(1000);
        match random.below(12) {
            0 => pair.advance(random.below(pair.model.head() + 1)),
            1 => {
                let _more = pair.replica.compact(usize::try_from(random.below(60)).unwrap());
            }
            2 => pair = pair.reopen(),
            3 => pair.compare(),
            _ => {
                let client = u32::try_from(random.below(CLIENTS.into())).unwrap() + 1;
                let mut entries = Vec::new();
                for earlier in 0..=random.below(3) {
                    entries.push(pair.draw(Draw { client, earlier }, random, &mut elements));
                }
                pair.submit(client, &entries, now);
            }
        }
    }
    pair.advance(pair.model.head());
    while pair.replica.compact(2).unwrap() {}
    pair.compare();
    pair = pair.reopen();
    pair.compare();
    pair.marks
}

#[test]
fn replica_and_model_agree_on_random_submissions() {
    let mut marks = BTreeSet::new();
    for seed in 1..=150 * *EFFORT {
        marks.extend(run(seed));
    }
    let all = ["base", "element", "expired", "gap", "repeated", "schema", "sequenced"];
    assert_eq!(marks, BTreeSet::from(all));
}
