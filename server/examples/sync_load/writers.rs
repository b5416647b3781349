//! Many clients at once: writers that wait for each answer, and clients that do nothing.

use crate::Outcome;
use crate::host::Host;
use crate::percentile;
use crate::wire::Wire;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

/// Writers.
const WRITERS: usize = 100;

/// Connections of one administrator; a user has 64 at most.
const OF_ONE_USER: usize = 50;

/// Time of a measurement.
const SECONDS: u64 = 10;

/// Length of a text, in bytes.
const TEXT_BYTES: usize = 100;

/// Idle clients.
const IDLE: usize = 1000;

/// A way to write.
struct Load {
    name: &'static str,
    databases: usize,
}

pub(crate) fn measure(host: &Host) -> Outcome<()> {
    let tokens = tokens(host, WRITERS)?;
    for load in [
        // Each client also gets the entries of the 99 others.
        Load { name: "one database", databases: 1 },
        Load { name: "100 databases", databases: WRITERS },
    ] {
        measure_load(host, &tokens, &load)?;
    }
    Ok(())
}

fn tokens(host: &Host, connections: usize) -> Outcome<Vec<String>> {
    (0..connections.div_ceil(OF_ONE_USER)).map(|number| host.admin_token(number)).collect()
}

fn measure_load(host: &Host, tokens: &[String], load: &Load) -> Outcome<()> {
    let barrier = Arc::new(Barrier::new(WRITERS + 1));
    let is_over = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    for number in 0..WRITERS {
        let path = format!("/{}/{}", load.name.replace(' ', "-"), number % load.databases);
        let mut wire = Wire::connect(host.address()?, &tokens[number / OF_ONE_USER], &path)?;
        let (barrier, is_over) = (Arc::clone(&barrier), Arc::clone(&is_over));
        threads.push(thread::spawn(move || -> Outcome<Vec<u64>> {
            let text = "x".repeat(TEXT_BYTES);
            barrier.wait();
            let mut micros = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                wire.write(&text)?;
                micros.push(u64::try_from(begun.elapsed().as_micros())?);
            }
            Ok(micros)
        }));
    }
    barrier.wait();
    let begun = Instant::now();
    thread::sleep(Duration::from_secs(SECONDS));
    is_over.store(true, Ordering::Relaxed);
    let mut micros = Vec::new();
    for thread in threads {
        micros.append(&mut thread.join().map_err(|_| "a writer panicked")??);
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = micros.len() as f64 / begun.elapsed().as_secs_f64();
    let (p50, p99) = (percentile(&mut micros, 0.5), percentile(&mut micros, 0.99));
    println!("writers, {}: {rate:.0} entries/s, p50 {p50} us, p99 {p99} us", load.name);
    Ok(())
}

pub(crate) fn measure_idle(host: &Host) -> Outcome<()> {
    let tokens = tokens(host, IDLE)?;
    let before = host.resident_kib();
    let mut wires = Vec::new();
    for number in 0..IDLE {
        let path = format!("/idle/{}", number % WRITERS);
        wires.push(Wire::connect(host.address()?, &tokens[number / OF_ONE_USER], &path)?);
    }
    thread::sleep(Duration::from_secs(3));
    let after = host.resident_kib();
    println!(
        "idle: {IDLE} clients of {WRITERS} databases, resident {} MiB, {} MiB before",
        after >> 10,
        before >> 10
    );
    Ok(())
}
