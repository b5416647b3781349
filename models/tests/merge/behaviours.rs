//! Exhaustive enumeration: every behaviour of the small domain obeys the laws.

use crate::EFFORT;
use crate::laws::{self, Intentions, Mark};
use fastness_models::merge::Effect;
use fastness_models::merge::behaviours::letters::{INSERTS, LETTERS};
use fastness_models::merge::behaviours::{Behaviour, NOW, Space, order};
use fastness_models::merge::mutant::Mutant;
use std::collections::BTreeSet;

/// Runs the behaviour of an index: its marks, or none if an author cannot write its letter.
pub(crate) fn run(
    space: Space,
    index: u64,
    mutant: Option<Mutant>,
) -> Result<Option<BTreeSet<Mark>>, String> {
    let (behaviour, steps) = space.run(index, mutant);
    let Some(behaviour) = behaviour else { return Ok(None) };
    let marks = obeys(&behaviour, mutant).map_err(|error| format!("{error}\n{steps:?}"))?;
    Ok(Some(marks))
}

fn obeys(behaviour: &Behaviour, mutant: Option<Mutant>) -> Result<BTreeSet<Mark>, String> {
    let Behaviour { server, submitted, answers, written } = behaviour;
    let mut intentions = Intentions::default();
    for author in written {
        let [before, after] = &author.orders;
        intentions.note_runs(before, after, author.client);
        intentions.orders.extend([before.clone(), after.clone()]);
        intentions.orders.extend(author.intended.iter().cloned());
    }
    let marks = laws::statement(&server.history, 1, mutant)?;
    laws::moves(&server.history, mutant)?;
    laws::stamps(server, NOW)?;
    laws::duplicates(server, submitted, answers)?;
    laws::intentions(&server.history, &order(server.state()), &intentions)?;
    laws::purges(submitted, NOW, mutant)?;
    Ok(marks)
}

/// Runs every `stride`-th index; returns how many were behaviours, and their marks.
pub(crate) fn enumerate(space: Space, stride: u64) -> (u64, BTreeSet<Mark>) {
    let (mut count, mut marks) = (0, BTreeSet::new());
    let mut index = 0;
    while index < space.size() {
        match run(space, index, None) {
            Ok(Some(found)) => {
                count += 1;
                marks.extend(found);
            }
            Ok(None) => {}
            Err(error) => panic!("{error}\nindex {index} of {} steps", space.steps),
        }
        index += stride;
    }
    (count, marks)
}

/// The effects that a run must have seen: all that these rules can have on operations of authors
/// that see the objects they change.
const EXPECTED: &[Mark] = &[
    ("AddClass", Effect::Applied),
    ("AddProperty", Effect::Applied),
    ("AddProperty", Effect::Unchanged),
    ("Create", Effect::Applied),
    ("Create", Effect::Deleted),
    ("Create", Effect::Unchanged),
    ("Delete", Effect::Applied),
    ("Delete", Effect::Unchanged),
    ("Increment", Effect::Applied),
    ("Increment", Effect::Deleted),
    ("ListInsert", Effect::Applied),
    ("ListInsert", Effect::Deleted),
    ("ListMove", Effect::Absent),
    ("ListMove", Effect::Applied),
    ("ListMove", Effect::Deleted),
    ("ListMove", Effect::Overridden),
    ("ListRemove", Effect::Applied),
    ("ListRemove", Effect::Deleted),
    ("ListRemove", Effect::Unchanged),
    ("ListSet", Effect::Absent),
    ("ListSet", Effect::Applied),
    ("ListSet", Effect::Deleted),
    ("ListSet", Effect::Overridden),
    ("Set", Effect::Applied),
    ("Set", Effect::Deleted),
    ("Set", Effect::Overridden),
];

#[test]
fn every_behaviour_of_the_small_domain_obeys_the_laws() {
    let (mut sum, mut marks) = (0, BTreeSet::new());
    for (steps, letters, stride) in [(2, LETTERS, 5), (3, LETTERS, 4001), (4, INSERTS, 401)] {
        let space = Space { steps, letters };
        let (count, found) = enumerate(space, (stride / *EFFORT).max(1));
        println!("{count} behaviours of {steps} of {} transactions", letters.len());
        sum += count;
        marks.extend(found);
    }
    let expected: BTreeSet<Mark> = EXPECTED.iter().copied().collect();
    assert_eq!(marks, expected, "effects");
    assert!(sum > 5_000, "{sum}");
}
