//! Every planted mutant is found by a law, not by a crash.

use crate::{behaviours, garbage, replicas};
use fastness_models::merge::behaviours::Space;
use fastness_models::merge::behaviours::letters::{INSERTS, LETTERS, MOVES};
use fastness_models::merge::mutant::Mutant;

/// The first law that a mutant breaks, and where.
fn find(mutant: Option<Mutant>) -> Option<String> {
    let law = |error: String| error.split(':').next().unwrap_or_default().to_owned();
    for (steps, letters, stride) in [(2, LETTERS, 23), (2, MOVES, 5), (3, INSERTS, 37)] {
        let space = Space { steps, letters };
        let mut count = 0;
        for index in (0..space.size()).step_by(stride) {
            count += 1;
            if let Err(error) = behaviours::run(space, index, mutant) {
                return Some(format!("{} in behaviour {count} of {steps} steps", law(error)));
            }
        }
    }
    for seed in 1..130 {
        if let Err(error) = garbage::run(seed, mutant) {
            return Some(format!("{} with the garbage of seed {seed}", law(error)));
        }
        if let Err(error) = replicas::run(seed, mutant) {
            return Some(format!("{} in the random history of seed {seed}", law(error)));
        }
    }
    None
}

#[test]
fn every_mutant_is_found() {
    assert_eq!(find(None), None, "the rules as they are");
    let mut missed = Vec::new();
    for mutant in Mutant::ALL {
        match find(Some(*mutant)) {
            Some(law) => println!("{mutant:?}: {law}"),
            None => missed.push(mutant),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
