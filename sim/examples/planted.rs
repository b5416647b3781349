//! Measures which check catches which planted fault, and how fast: `cargo run --release -p
//! fastness-sim --features faults --example planted -- [SECONDS [WORD...]]`. A word is the name of
//! a check or a prefix of fault ids; without words all run.
#![expect(clippy::print_stdout, reason = "a measuring program")]

use fastness::fault::{Fault, plant, reached};
use fastness_sim::check::{CHECKS, Check, Probe, Twin, by_name};
use std::time::{Duration, Instant};

fn main() {
    let mut words = std::env::args().skip(1);
    let seconds = words.next().and_then(|word| word.parse().ok()).unwrap_or(2);
    let (names, ids): (Vec<_>, Vec<_>) = words.partition(|word| by_name(word).is_some());
    let is_asked = |check: &&Check| names.is_empty() || names.iter().any(|it| it == check.name);
    let checks = || CHECKS.iter().filter(is_asked);
    let is_wanted = |fault: &&Fault| {
        ids.is_empty() || ids.iter().any(|beginning| fault.id().starts_with(beginning))
    };
    for check in checks() {
        let mut seen = Probe::default();
        let caught = attack(check, Duration::from_secs(seconds), &mut seen);
        let missed = check.marks.iter().filter(|mark| !seen.marks.contains_key(*mark));
        println!("none: {:<12} {caught}; not met: {:?}", check.name, missed.collect::<Vec<_>>());
    }
    for fault in Fault::ALL.iter().filter(is_wanted) {
        println!("{}: {}", fault.id(), fault.about());
        for check in checks() {
            plant(Some(*fault));
            let caught = attack(check, Duration::from_secs(seconds), &mut Probe::default());
            let reached = reached();
            plant(None);
            println!("    {:<12} reached {reached:>9}  {caught}", check.name);
        }
    }
}

fn attack(check: &Check, limit: Duration, seen: &mut Probe) -> String {
    let begin = Instant::now();
    let mut plans = 0;
    while begin.elapsed() < limit {
        for twin in Twin::ALL {
            let mut probe = Probe::default();
            let outcome = check.run(&check.plan(plans), twin, &mut probe);
            seen.merge(probe);
            if let Err(violation) = outcome {
                let (twin, id) = (twin.name(), violation.invariant);
                return format!("{id} in {:.2?}, plan {plans} {twin}", begin.elapsed());
            }
        }
        plans += 1;
    }
    "-".to_owned()
}
