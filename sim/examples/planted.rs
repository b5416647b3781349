//! Which check catches which planted fault, and how fast:
//! `cargo run --release -p fastness-sim --features faults --example planted -- [SECONDS]`.
#![expect(clippy::print_stdout, reason = "a measuring program")]

use fastness::fault::{Fault, plant, reached};
use fastness_sim::check::{CHECKS, Check, Probe, Twin};
use std::time::{Duration, Instant};

fn main() {
    let seconds = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(2);
    for fault in Fault::ALL {
        println!("{}: {}", fault.id(), fault.about());
        for check in CHECKS {
            plant(Some(*fault));
            let caught = attack(check, Duration::from_secs(seconds));
            let reached = reached();
            plant(None);
            println!("    {:<12} reached {reached:>9}  {caught}", check.name);
        }
    }
}

fn attack(check: &Check, limit: Duration) -> String {
    let begin = Instant::now();
    let mut plans = 0;
    while begin.elapsed() < limit {
        for twin in Twin::ALL {
            let outcome = check.run(&check.plan(plans), twin, &mut Probe::default());
            if let Err(violation) = outcome {
                let (twin, id) = (twin.name(), violation.invariant);
                return format!("{id} in {:.2?}, plan {plans} {twin}", begin.elapsed());
            }
        }
        plans += 1;
    }
    "-".to_owned()
}
