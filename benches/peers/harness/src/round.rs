//! One round: every workload on every engine, one engine after another within each workload.
//!
//! - PE1 All engines are in the same state at the same point, and read the same rows; a peer that
//!   does not, or fails, has no part in the rest of the round, and the output says so.
//! - PE2 The order of the engines changes from round to round.

use crate::bench::{Bench, Clock, micros, thousands_per_second};
use crate::data::Data;
use crate::disk::{Floor, bytes_on_disk};
use crate::engine::{Ability, Engine, Result, Snapshots};
use crate::fast::is_ours;
use crate::samples::Samples;
use crate::sum::Sum;
use crate::world::{Sizes, World};
use crate::{lists, objects};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A round that runs.
struct Round<'a> {
    benches: Vec<Bench<'a>>,
    loops: RowLoops<'a>,
}

/// State of the loops over rows.
struct RowLoops<'a> {
    world: &'a World<'a>,
    data: Data,
    floor: &'a mut Floor,
    samples: &'a mut Samples,
    /// Before the keys of rows: whether the file has aged.
    prefix: &'static str,
    /// The first sum of each loop, and the engine that read it.
    sums: BTreeMap<String, (&'static str, Sum)>,
}

impl RowLoops<'_> {
    fn add(&mut self, bench: &Bench<'_>, metric: &str, value: f64) {
        self.samples.add(bench.engine.name(), &format!("{}{metric}", self.prefix), value);
    }

    /// Holds PE1: fails if an engine did not read all `rows`, or others than ours.
    fn agree(&mut self, bench: &Bench<'_>, metric: &str, (rows, sum): (usize, Sum)) -> Result<()> {
        let engine = bench.engine.name();
        let key = format!("{}{metric}", self.prefix);
        if sum.rows != rows as u64 {
            return Err(format!("read {} rows of {rows} in {key}", sum.rows).into());
        }
        let (first, expected) = self.sums.entry(key.clone()).or_insert((engine, sum));
        if sum == *expected {
            return Ok(());
        }
        if !is_ours(engine) || is_ours(first) {
            return Err(format!("read other rows than {first} in {key}").into());
        }
        let text = format!("{first} read other rows than {engine} in {key}");
        (*first, *expected) = (engine, sum);
        self.tell(text);
        Ok(())
    }

    /// Says something about a peer in the output, once.
    fn tell(&mut self, text: String) {
        if !self.samples.failures.contains(&text) {
            self.samples.failures.push(text);
        }
    }

    /// Decides what becomes of an engine that failed: a peer has no part in the rest of the round,
    /// which the output says; with ours the round ends.
    fn lose(&mut self, bench: &mut Bench<'_>, error: &dyn std::fmt::Display) -> Result<()> {
        let name = bench.engine.name();
        if is_ours(name) {
            return Err(format!("{name}: {error}").into());
        }
        self.tell(format!("{name} is out of the rest of a round: {error}"));
        bench.remove()
    }

    fn wants(&self, workload: &str) -> bool {
        self.world.selection.has(&format!("{}{workload}", self.prefix))
    }
}

/// Runs a round and adds its figures.
///
/// # Errors
/// As ours says, or if it does not read every row.
pub(crate) fn run(world: &World<'_>, floor: &mut Floor, samples: &mut Samples) -> Result<()> {
    let round = samples.round;
    let data = Data::new(world.sizes.rows, round as u64);
    let mut engines = world.engines.to_vec();
    engines.rotate_left(round % world.engines.len());
    objects::run(world, &engines, samples)?;
    lists::run(world, &engines, samples)?;
    if !world.selection.beside(&["objects", "lists"]) {
        return Ok(());
    }
    let loops = RowLoops { world, data, floor, samples, prefix: "", sums: BTreeMap::new() };
    let mut round = Round { benches: Vec::new(), loops };
    if ["load.sorted", "unsynced", "aged.unsynced"].iter().any(|key| round.loops.wants(key)) {
        round.sorted(&engines)?;
    }
    if round.loops.wants("small.write.") {
        round.small_cache_writes(&engines)?;
    }
    round.load(&engines)?;
    round.workloads()?;
    let selection = world.selection;
    if ["aged.", "size.", "delete", "compact"].iter().any(|key| selection.has(key)) {
        round.age()?;
        round.loops.prefix = "aged.";
        round.workloads()?;
        round.loops.prefix = "";
        round.shrink()?;
    }
    round.benches.iter_mut().try_for_each(Bench::remove)
}

impl<'a> Round<'a> {
    /// Runs something on every engine that has not failed in this round.
    fn each(
        &mut self,
        mut body: impl FnMut(&mut Bench<'a>, &mut RowLoops<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut outcome = Ok(());
        self.benches.retain_mut(|bench| {
            if outcome.is_err() {
                return true;
            }
            let Err(error) = body(bench, &mut self.loops) else { return true };
            outcome = self.loops.lose(bench, &error);
            false
        });
        outcome
    }

    /// Loads sorted rows into stores of their own, and tries commits without durability there,
    /// also when these have aged.
    fn sorted(&mut self, engines: &[&'a dyn Engine]) -> Result<()> {
        let Sizes { cache_bytes, ageing, .. } = self.loops.world.sizes;
        self.make(engines, "load.sorted", (true, cache_bytes))?;
        if self.loops.wants("unsynced") {
            self.each(|bench, loops| unsynced(bench, loops, "unsynced", cache_bytes))?;
        }
        if self.loops.wants("aged.unsynced") {
            self.each(|bench, loops| {
                bench.reopen(cache_bytes, true)?;
                bench.commit(&loops.data.updates(ageing, 13), 100)?;
                unsynced(bench, loops, "aged.unsynced", cache_bytes)
            })?;
        }
        self.benches.iter_mut().try_for_each(Bench::remove)
    }

    /// Everything that writes, on stores of their own with the small cache, of who can bound it.
    fn small_cache_writes(&mut self, engines: &[&'a dyn Engine]) -> Result<()> {
        let bounded = |engine: &&&dyn Engine| engine.can(Ability::BoundedCache);
        let engines: Vec<_> = engines.iter().filter(bounded).copied().collect();
        let Sizes { small_cache_bytes, commits, updates, .. } = self.loops.world.sizes;
        self.make(&engines, "small.write.load", (false, small_cache_bytes))?;
        self.each(|bench, loops| {
            let times = bench.commit(&loops.data.updates(commits, 10), 1)?;
            loops.add(bench, "small.write.commit", micros(&times, 0.5));
            let changes = loops.data.updates(updates, 14);
            let begun = Instant::now();
            bench.commit(&changes, 100)?;
            let rate = thousands_per_second(updates, begun.elapsed());
            loops.add(bench, "small.write.hundreds", rate);
            let removals = loops.data.removals();
            let begun = Instant::now();
            bench.commit(&removals, removals.len())?;
            let rate = thousands_per_second(removals.len(), begun.elapsed());
            loops.add(bench, "small.write.delete", rate);
            unsynced(bench, loops, "small.write.unsynced", small_cache_bytes)
        })?;
        self.benches.iter_mut().try_for_each(Bench::remove)
    }

    fn load(&mut self, engines: &[&'a dyn Engine]) -> Result<()> {
        self.make(engines, "load.random", (false, self.loops.world.sizes.cache_bytes))?;
        self.each(|bench, loops| {
            bench.close();
            loops.add(bench, "size.loaded", megabytes(bench)?);
            bench.reopen(loops.world.sizes.cache_bytes, true)
        })
    }

    /// Loads all rows into new stores.
    fn make(
        &mut self,
        engines: &[&'a dyn Engine],
        metric: &str,
        (sorted, cache_bytes): (bool, usize),
    ) -> Result<()> {
        self.benches.clear();
        for (index, engine) in engines.iter().enumerate() {
            let dir = self.loops.world.dir.join(format!("{metric}{index}"));
            self.benches.push(Bench::new(*engine, dir)?);
        }
        let rows = self.loops.data.load(sorted);
        self.each(|bench, loops| {
            bench.reopen(cache_bytes, true)?;
            let clock = loops.world.clock;
            let begun = clock.now();
            bench.commit(&rows, rows.len())?;
            let rate = thousands_per_second(rows.len(), clock.since(begun));
            loops.add(bench, metric, rate);
            Ok(())
        })
    }

    /// The workloads of the loaded file and of the aged one.
    fn workloads(&mut self) -> Result<()> {
        if self.loops.wants("commit.") {
            self.commits()?;
        }
        if !self.loops.prefix.is_empty() && self.loops.wants("latency.") {
            self.latencies()?;
        }
        if self.loops.wants("writers.") {
            self.writers()?;
        }
        if self.loops.wants("get.") {
            self.each(|bench, loops| gets(bench, loops, "get"))?;
        }
        if self.loops.wants("scan.") {
            self.each(scans)?;
        }
        if self.loops.wants("open.") {
            self.each(opens)?;
        }
        if self.loops.wants("hundreds") {
            self.each(hundreds)?;
        }
        if self.loops.wants("small.get.") || self.loops.wants("small.scan") {
            self.each(small_cache)?;
        }
        Ok(())
    }

    /// Durable single-row commits.
    fn commits(&mut self) -> Result<()> {
        let named = self.commit_times(self.loops.world.sizes.commits, self.purpose(10))?;
        let prefix = self.loops.prefix;
        for (name, times) in named {
            let mean = times.iter().sum::<Duration>().as_secs_f64() * 1e6 / times.len() as f64;
            let samples = &mut *self.loops.samples;
            samples.add(name, &format!("{prefix}commit.p50"), micros(&times, 0.5));
            samples.add(name, &format!("{prefix}commit.p99"), micros(&times, 0.99));
            samples.add(name, &format!("{prefix}commit.mean"), mean);
        }
        Ok(())
    }

    /// The slowest of many durable single-row commits.
    fn latencies(&mut self) -> Result<()> {
        let named = self.commit_times(self.loops.world.sizes.latencies, self.purpose(16))?;
        let prefix = self.loops.prefix;
        for (name, times) in named {
            for (metric, share) in [("p99", 0.99), ("p999", 0.999), ("max", 1.0)] {
                let metric = format!("{prefix}latency.{metric}");
                self.loops.samples.add(name, &metric, micros(&times, share));
            }
        }
        Ok(())
    }

    /// Times durable single-row commits, engines and floors in turns.
    fn commit_times(
        &mut self,
        commits: usize,
        purpose: u64,
    ) -> Result<Vec<(&'static str, Vec<Duration>)>> {
        let turns = self.loops.world.sizes.turns;
        let changes = self.loops.data.updates(commits, purpose);
        let (mut times, mut floors) = (BTreeMap::new(), [Vec::new(), Vec::new()]);
        for part in changes.chunks(commits.div_ceil(turns)) {
            for (syncs, times) in (1..).zip(&mut floors) {
                for _ in part {
                    times.push(self.loops.floor.write(syncs)?);
                }
            }
            self.each(|bench, _| {
                let name = bench.engine.name();
                times.entry(name).or_insert_with(Vec::new).append(&mut bench.commit(part, 1)?);
                Ok(())
            })?;
        }
        Ok(["floor", "two syncs"].into_iter().zip(floors).chain(times).collect())
    }

    fn purpose(&self, purpose: u64) -> u64 {
        purpose + if self.loops.prefix.is_empty() { 0 } else { 100 }
    }

    /// The same commits from one thread, then from four at once.
    fn writers(&mut self) -> Result<()> {
        let (one, four) = (self.purpose(11), self.purpose(12));
        let commits = self.loops.world.sizes.commits;
        for (metric, threads) in [("one", 1), ("four", 4)] {
            let name = format!("{}writers.{metric}", self.loops.prefix);
            for (floor, together) in [("floor", false), ("together", true)] {
                let elapsed = self.loops.floor.write_at_once(commits, threads, together)?;
                self.loops.samples.add(floor, &name, thousands_per_second(commits, elapsed));
            }
        }
        self.each(|bench, loops| {
            let commits = loops.world.sizes.commits;
            for (metric, threads, purpose) in [("one", 1, one), ("four", 4, four)] {
                let changes = loops.data.updates(commits, purpose);
                // Each row is changed once, so that the order of the threads does not matter.
                let distinct: BTreeMap<_, _> = changes.iter().map(|c| (c.key, *c)).collect();
                let changes: Vec<_> = distinct.into_values().collect();
                let elapsed = bench.commit_at_once(&changes, threads)?;
                let rate = thousands_per_second(changes.len(), elapsed);
                loops.add(bench, &format!("writers.{metric}"), rate);
            }
            Ok(())
        })
    }

    /// Updates random rows in durable transactions of a hundred.
    fn age(&mut self) -> Result<()> {
        self.each(|bench, loops| {
            bench.commit(&loops.data.updates(loops.world.sizes.ageing, 13), 100)?;
            bench.close();
            loops.add(bench, "size.aged", megabytes(bench)?);
            bench.reopen(loops.world.sizes.cache_bytes, true)
        })
    }

    /// Deletes a random half in one transaction, then compacts.
    fn shrink(&mut self) -> Result<()> {
        let removals = self.loops.data.removals();
        self.each(|bench, loops| {
            let begun = Instant::now();
            bench.commit(&removals, removals.len())?;
            loops.add(bench, "delete", thousands_per_second(removals.len(), begun.elapsed()));
            bench.close();
            loops.add(bench, "size.deleted", megabytes(bench)?);
            bench.reopen(loops.world.sizes.cache_bytes, true)?;
            if !bench.engine.can(Ability::Compaction) {
                return Ok(());
            }
            let elapsed = bench.compact()?;
            loops.add(bench, "compact", elapsed.as_secs_f64() * 1e3);
            loops.add(bench, "size.compacted", megabytes(bench)?);
            bench.reopen(loops.world.sizes.cache_bytes, true)?;
            let sum = bench.session()?.scan()?;
            let rows = loops.data.keys.len() - removals.len();
            loops.agree(bench, "compact", (rows, sum))
        })
    }
}

fn megabytes(bench: &Bench<'_>) -> Result<f64> {
    Ok(bytes_on_disk(&bench.dir)? as f64 / 1e6)
}

/// Commits without durability, each of a row.
fn unsynced(
    bench: &mut Bench<'_>,
    loops: &mut RowLoops<'_>,
    metric: &str,
    cache_bytes: usize,
) -> Result<()> {
    if !bench.engine.can(Ability::Unsynced) {
        return Ok(());
    }
    let count = loops.world.sizes.unsynced;
    bench.reopen(cache_bytes, false)?;
    let changes = loops.data.updates(count, 4);
    let begun = Instant::now();
    bench.commit(&changes, 1)?;
    loops.add(bench, metric, thousands_per_second(count, begun.elapsed()));
    Ok(())
}

fn gets(bench: &mut Bench<'_>, loops: &mut RowLoops<'_>, what: &str) -> Result<()> {
    let keys = [loops.data.reads(20), loops.data.reads(21)];
    bench.session()?.get(&keys[1], Snapshots::One)?;
    let rows = loops.data.keys.len();
    for (metric, snapshots, threads) in
        [("one", Snapshots::One, 1), ("each", Snapshots::Each, 1), ("two", Snapshots::One, 2)]
    {
        if threads == 2 && what != "get" {
            continue;
        }
        let (elapsed, sum) = bench.get_at_once(&keys[..threads], snapshots, loops.world.clock)?;
        loops.agree(bench, what, (rows, sum))?;
        let rate = thousands_per_second(threads * rows, elapsed);
        loops.add(bench, &format!("{what}.{metric}"), rate);
    }
    Ok(())
}

fn scans(bench: &mut Bench<'_>, loops: &mut RowLoops<'_>) -> Result<()> {
    let rows = loops.data.keys.len();
    for metric in ["warm", "evicted"] {
        if metric == "warm" {
            bench.session()?.scan()?;
        } else {
            bench.close_and_evict()?;
            bench.reopen(loops.world.sizes.cache_bytes, true)?;
        }
        let clock = if metric == "warm" { loops.world.clock } else { Clock::Wall };
        let mut session = bench.session()?;
        let begun = clock.now();
        let sum = session.scan()?;
        let rate = thousands_per_second(rows, clock.since(begun));
        drop(session);
        loops.agree(bench, "scan", (rows, sum))?;
        loops.add(bench, &format!("scan.{metric}"), rate);
    }
    Ok(())
}

/// How often a store is opened for one figure.
const OPENS: usize = 3;

fn opens(bench: &mut Bench<'_>, loops: &mut RowLoops<'_>) -> Result<()> {
    let cache_bytes = loops.world.sizes.cache_bytes;
    let key = loops.data.keys[loops.data.keys.len() / 3];
    let mut times = Vec::new();
    for _ in 0..OPENS {
        let (elapsed, sum) = bench.open_and_read(cache_bytes, key)?;
        loops.agree(bench, "open.closed", (1, sum))?;
        times.push(elapsed);
    }
    loops.add(bench, "open.closed", micros(&times, 0.5) / 1e3);
    times.clear();
    for _ in 0..OPENS {
        bench.be_killed((loops.data.keys.len(), loops.samples.round as u64))?;
        let (elapsed, sum) = bench.open_and_read(cache_bytes, key)?;
        loops.agree(bench, "open.killed", (1, sum))?;
        times.push(elapsed);
    }
    loops.add(bench, "open.killed", micros(&times, 0.5) / 1e3);
    Ok(())
}

fn hundreds(bench: &mut Bench<'_>, loops: &mut RowLoops<'_>) -> Result<()> {
    let updates = loops.world.sizes.updates;
    let purpose = if loops.prefix.is_empty() { 14 } else { 15 };
    let changes = loops.data.updates(updates, purpose);
    // As in a program that runs: what was evicted before is read again first.
    bench.session()?.scan()?;
    let begun = Instant::now();
    bench.commit(&changes, 100)?;
    loops.add(bench, "hundreds", thousands_per_second(updates, begun.elapsed()));
    Ok(())
}

fn small_cache(bench: &mut Bench<'_>, loops: &mut RowLoops<'_>) -> Result<()> {
    if !bench.engine.can(Ability::BoundedCache) {
        return Ok(());
    }
    let Sizes { small_cache_bytes, cache_bytes, .. } = loops.world.sizes;
    bench.reopen(small_cache_bytes, true)?;
    gets(bench, loops, "small.get")?;
    let clock = loops.world.clock;
    let begun = clock.now();
    let sum = bench.session()?.scan()?;
    let rows = loops.data.keys.len();
    let rate = thousands_per_second(rows, clock.since(begun));
    loops.agree(bench, "small.scan", (rows, sum))?;
    loops.add(bench, "small.scan", rate);
    bench.reopen(cache_bytes, true)
}
