//! Entries that no author would write: the fold stays total, and the laws that need no author hold.

use crate::EFFORT;
use crate::laws::{self, Mark};
use fastness_models::merge::Effect;
use fastness_models::merge::behaviours::{Behaviour, NOW, garbage};
use fastness_models::merge::mutant::Mutant;
use std::collections::BTreeSet;

/// Runs the entries of a seed; returns the marks.
pub(crate) fn run(seed: u64, mutant: Option<Mutant>) -> Result<BTreeSet<Mark>, String> {
    let Behaviour { server, submitted, answers, .. } = garbage::run(seed, mutant);
    let marks = laws::statement(&server.history, 0, mutant)?;
    laws::duplicates(&server, &submitted, &answers)?;
    laws::purges(&submitted, NOW, mutant)?;
    Ok(marks)
}

#[test]
fn any_accepted_entries_obey_the_laws_without_authors() {
    let mut marks = BTreeSet::new();
    for seed in 1..=1000 * *EFFORT {
        let found = run(seed, None).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        marks.extend(found);
    }
    // Beyond the effects that authors cause: everything may be absent.
    let absent = ["Create", "Set", "Increment", "ListInsert", "ListSet", "ListRemove", "ListMove"];
    for name in absent {
        assert!(marks.contains(&(name, Effect::Absent)), "{name} was never absent");
    }
}
