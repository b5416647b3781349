//! Measures the throughput of the checks: `cargo run --release -p fastness-sim --example speed --
//! [CHECK [SECONDS]]`.
#![expect(clippy::print_stdout, reason = "a measuring program")]

use fastness_sim::check::{CHECKS, Check, Probe, Twin};
use std::time::{Duration, Instant};

fn main() {
    let mut args = std::env::args().skip(1);
    let only = args.next().unwrap_or_default();
    let seconds = args.next().and_then(|word| word.parse().ok()).unwrap_or(3);
    let chosen = CHECKS.iter().filter(|check| ["", "all", check.name].contains(&&*only));
    for check in chosen {
        for twin in Twin::ALL {
            measure(check, twin, Duration::from_secs(seconds));
        }
    }
}

fn measure(check: &Check, twin: Twin, limit: Duration) {
    let (begin, mut probe, mut plans) = (Instant::now(), Probe::default(), 0_u64);
    let mut slowest = (Duration::ZERO, 0);
    let cpu = cpu_seconds();
    while begin.elapsed() < limit {
        let plan = check.plan(plans);
        let started = Instant::now();
        if let Err(violation) = check.run(&plan, twin, &mut probe) {
            println!("{} {} seed {plans}: {violation}", check.name, twin.name());
            let small = check.shrink(&plan, twin, &violation, 2000);
            let again = check.run(&small, twin, &mut Probe::default());
            println!("{small}{:02x?}\n{again:?}", small.to_bytes());
            return;
        }
        slowest = slowest.max((started.elapsed(), plans));
        plans += 1;
    }
    let seconds = cpu_seconds() - cpu;
    let operations = probe.operations;
    println!(
        "{} {}: {plans} plans, {operations} operations, {:.0} a CPU second, {} crash points, \
         slowest {:?}",
        check.name,
        twin.name(),
        f64::from(u32::try_from(operations).unwrap_or(u32::MAX)) / seconds,
        probe.crash_points,
        slowest,
    );
    println!("    {:?}", probe.crash_points_by);
    println!("    {:?}", probe.mix);
    println!("    {:?}", probe.marks);
    for mark in check.marks.iter().filter(|mark| !probe.marks.contains_key(*mark)) {
        println!("    never: {mark}");
    }
}

/// CPU time, because other programs share the machine.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|word| word.parse::<f64>().ok());
    nanos.unwrap_or(0.0) / 1e9
}
