//! The engine: worker threads that run plans, and a supervisor.
//!
//! - CA5 A plan that hangs is a finding (X3). The campaign abandons its worker and continues.
//! - CA6 A plan that panics is a finding (X1) and does not end the campaign.
//!
//! Workers share the scheduler, the statistics of each pair and the findings, each behind a lock
//! that is held briefly. The calling thread supervises and reports progress.

use crate::clock::{Elapsed, ThreadClock};
use crate::findings::{Finding, Findings, HANG, Origin, Signature};
use crate::limits::Limits;
use crate::plans::{Pair, Shard};
use crate::scheduler::{Batch, Scheduler};
use crate::worker_slot::{Activity, WorkerSlot, lock};
use fastness_sim::check::{NO_PANIC, Plan, Probe, Violation};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const WORKER_NAME: &str = "fastness-worker";
const TICK: Duration = Duration::from_millis(100);

/// The settings of an engine.
#[derive(Clone, Debug)]
pub struct Engine {
    /// The pairs to run, with equal shares of the time.
    pub pairs: Vec<Pair>,
    /// The seed of the campaign.
    pub seed: u64,
    /// Number of worker threads.
    pub jobs: usize,
    /// The shard of the plans to run.
    pub shard: Shard,
    /// The stop conditions.
    pub limits: Limits,
    /// Indexes of pairs whose marks were all hit before, by an earlier run (CA12).
    pub saturated: Vec<usize>,
}

/// Statistics of one pair.
#[derive(Clone, Debug, Default)]
pub struct PairStats {
    /// Plans that ran to completion.
    pub plans: u64,
    /// CPU time, without shrinking.
    pub busy: Duration,
    /// The merged probes of the plans.
    pub probe: Probe,
}

/// Progress that the engine reports while it runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// Sent ten times a second.
    Tick(&'a ProgressSnapshot),
    /// A shrunk finding. A finding whose shrinking was cut off is in the outcome only.
    Found(&'a Finding),
}

/// The progress of every pair, in the order of [`Engine::pairs`].
#[derive(Debug)]
pub struct ProgressSnapshot {
    /// Time since the start.
    pub elapsed: Duration,
    /// Statistics of each pair, and its number of findings.
    pub rows: Vec<(Pair, PairStats, usize)>,
}

/// The result of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Statistics of each pair.
    pub rows: Vec<(Pair, PairStats)>,
    /// The findings, in order of check, twin and invariant.
    pub findings: Vec<Finding>,
    /// Whether `stop` ended the run early.
    pub interrupted: bool,
    /// Total time.
    pub elapsed: Duration,
}

struct Shared {
    engine: Engine,
    start: Instant,
    stop: Arc<AtomicBool>,
    over: AtomicBool,
    scheduler: Mutex<Scheduler>,
    stats: Vec<Mutex<PairStats>>,
    findings: Mutex<Findings>,
}

impl Engine {
    /// Runs until the time is over, `stop` is set, or the first finding if the limits say so.
    pub fn run(self, stop: &Arc<AtomicBool>, on: &mut dyn FnMut(Event<'_>)) -> Outcome {
        let pair_count = self.pairs.len();
        let mut scheduler = Scheduler::new(self.shard, pair_count).with_plans(self.limits.plans);
        self.saturated.iter().for_each(|&index| scheduler.set_saturated(index));
        let shared = Arc::new(Shared {
            scheduler: Mutex::new(scheduler),
            stats: (0..pair_count).map(|_| Mutex::default()).collect(),
            findings: Mutex::default(),
            over: AtomicBool::new(false),
            stop: Arc::clone(stop),
            start: Instant::now(),
            engine: self,
        });
        let (sender, receiver) = channel();
        let slots: Vec<Arc<WorkerSlot>> =
            (0..shared.engine.jobs.max(1)).map(|_| spawn_worker(&shared, &sender)).collect();
        supervise(&Supervisor { shared: &shared, sender: &sender, receiver: &receiver }, slots, on);
        let interrupted = stop.load(Ordering::Relaxed) && shared.left() > Duration::ZERO;
        Outcome {
            rows: shared
                .snapshot()
                .rows
                .into_iter()
                .map(|(pair, stats, _)| (pair, stats))
                .collect(),
            findings: std::mem::take(&mut *lock(&shared.findings)).into_vec(),
            interrupted,
            elapsed: shared.start.elapsed(),
        }
    }
}

struct Supervisor<'a> {
    shared: &'a Arc<Shared>,
    sender: &'a Sender<Finding>,
    receiver: &'a Receiver<Finding>,
}

/// Supervises the workers until each has exited or was abandoned.
fn supervise(
    supervisor: &Supervisor<'_>,
    mut slots: Vec<Arc<WorkerSlot>>,
    on: &mut dyn FnMut(Event<'_>),
) {
    let mut tick = Instant::now();
    let mut replacements = slots.len();
    while !slots.is_empty() {
        match supervisor.receiver.recv_timeout(TICK) {
            Ok(finding) => on(Event::Found(&finding)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        if tick.elapsed() >= TICK {
            tick = Instant::now();
            on(Event::Tick(&supervisor.shared.snapshot()));
        }
        let limits = supervisor.shared.engine.limits;
        let (finished, running) =
            slots.into_iter().partition(|slot: &Arc<WorkerSlot>| slot.is_finished(limits));
        slots = running;
        for slot in finished {
            if supervisor.shared.reap(&slot, supervisor.sender)
                && replacements > 0
                && !supervisor.shared.is_over()
            {
                replacements -= 1;
                slots.push(spawn_worker(supervisor.shared, supervisor.sender));
            }
        }
    }
    for finding in supervisor.receiver.try_iter() {
        on(Event::Found(&finding));
    }
    on(Event::Tick(&supervisor.shared.snapshot()));
}

/// Spawns a worker. If the thread cannot be spawned, the slot counts as exited.
fn spawn_worker(shared: &Arc<Shared>, sender: &Sender<Finding>) -> Arc<WorkerSlot> {
    let slot = Arc::new(WorkerSlot::default());
    let (own, shared, sender) = (Arc::clone(&slot), Arc::clone(shared), sender.clone());
    let work = move || {
        let _guard = own.exit_guard();
        while let Some(batch) = shared.next_batch() {
            shared.work(&batch, &own, &sender);
            if own.is_abandoned() {
                return;
            }
        }
    };
    if thread::Builder::new().name(WORKER_NAME.to_owned()).spawn(work).is_err() {
        drop(slot.exit_guard());
    }
    slot
}

impl Shared {
    fn left(&self) -> Duration {
        self.engine.limits.run.saturating_sub(self.start.elapsed())
    }

    fn is_over(&self) -> bool {
        let is_ended = self.over.load(Ordering::Relaxed) || self.stop.load(Ordering::Relaxed);
        is_ended || (self.left() == Duration::ZERO && !self.is_in_grace())
    }

    /// Whether the time is over and marks are still missing.
    fn is_in_grace(&self) -> bool {
        let Limits { run, grace, .. } = self.engine.limits;
        self.start.elapsed() < run + grace && lock(&self.scheduler).has_unsaturated()
    }

    fn next_batch(&self) -> Option<Batch> {
        match (self.is_over(), self.left() == Duration::ZERO) {
            (true, _) => None,
            (false, true) => lock(&self.scheduler).take_unsaturated(),
            (false, false) => lock(&self.scheduler).take(),
        }
    }

    fn work(&self, batch: &Batch, slot: &WorkerSlot, sender: &Sender<Finding>) {
        let pair = self.engine.pairs[batch.pair_index];
        let start = ThreadClock::now();
        let mut shrinking = Elapsed::default();
        let mut stats = PairStats::default();
        for &number in &batch.numbers {
            if self.is_over() {
                break;
            }
            let plan_seed = pair.plan_seed(self.engine.seed, number);
            let origin = Origin { pair, number, plan_seed };
            slot.set_activity(Activity::Plan(origin));
            let plan = pair.check.plan(plan_seed);
            let outcome = pair.check.run(&plan, pair.twin, &mut stats.probe);
            if slot.is_abandoned() {
                return;
            }
            stats.plans += 1;
            if let Err(violation) = outcome {
                let pause = ThreadClock::now();
                self.found(self.finding(origin, violation), slot, sender);
                shrinking += pause.elapsed();
            }
        }
        slot.set_activity(Activity::Idle);
        let elapsed = start.elapsed() - shrinking;
        stats.busy = elapsed.core;
        lock(&self.scheduler).finish(batch, elapsed.wall);
        let mut total = lock(&self.stats[batch.pair_index]);
        total.plans += stats.plans;
        total.busy += stats.busy;
        total.probe.merge(stats.probe);
        let is_saturated = pair.check.marks.iter().all(|mark| total.probe.marks.contains_key(mark));
        drop(total);
        if is_saturated {
            lock(&self.scheduler).set_saturated(batch.pair_index);
        }
    }

    fn finding(&self, origin: Origin, violation: Violation) -> Finding {
        let plan = origin.pair.check.plan(origin.plan_seed);
        Finding {
            operations_before: plan.ops.len(),
            origin,
            violation,
            plan,
            shrunk: false,
            seen: 1,
            after: self.start.elapsed(),
        }
    }

    /// Records a finding if it is new, shrinks it and reports it.
    fn found(&self, mut finding: Finding, slot: &WorkerSlot, sender: &Sender<Finding>) {
        let signature = Signature::new(finding.origin.pair, &finding.plan, &finding.violation);
        if !lock(&self.findings).add(&signature, &finding) {
            return;
        }
        if self.engine.limits.stop_at_first {
            self.over.store(true, Ordering::Relaxed);
        }
        slot.set_activity(Activity::Shrink);
        let deadline = Instant::now() + self.engine.limits.shrink;
        finding.shrink(deadline, &|| slot.is_abandoned() || self.stop.load(Ordering::Relaxed));
        if !slot.is_abandoned() && lock(&self.findings).settle(&signature, finding.clone()) {
            send_finding(sender, finding);
        }
    }

    /// Turns the activity of a lost worker into a finding; returns whether a worker was lost.
    fn reap(&self, slot: &WorkerSlot, sender: &Sender<Finding>) -> bool {
        let origin = match slot.activity() {
            Activity::Idle => return false,
            Activity::Shrink => return true,
            Activity::Plan(origin) => origin,
        };
        let (invariant, text) = if slot.has_exited() {
            (NO_PANIC.id, "the check itself panicked".to_owned())
        } else {
            let seconds = self.engine.limits.hang.as_secs_f64();
            (HANG.id, format!("the plan was still running after {seconds} s"))
        };
        let finding = self.finding(origin, Violation { invariant, text, step: None });
        let signature = Signature::new(origin.pair, &Plan::from_bytes(&[]), &finding.violation);
        if lock(&self.findings).add(&signature, &finding) {
            send_finding(sender, finding);
        }
        if self.engine.limits.stop_at_first {
            self.over.store(true, Ordering::Relaxed);
        }
        true
    }

    fn snapshot(&self) -> ProgressSnapshot {
        let findings = lock(&self.findings);
        let row = |(pair, stats): (&Pair, &Mutex<PairStats>)| {
            (*pair, lock(stats).clone(), findings.count_of(*pair))
        };
        let rows = self.engine.pairs.iter().zip(&self.stats).map(row).collect();
        ProgressSnapshot { elapsed: self.start.elapsed(), rows }
    }
}

/// A send fails only for an abandoned worker, which may outlive the supervisor.
fn send_finding(sender: &Sender<Finding>, finding: Finding) {
    if let Err(unsent) = sender.send(finding) {
        drop(unsent);
    }
}

/// Runs a function as plans run: on a worker thread, with a time limit.
///
/// Returns `None` on timeout.
pub fn run_with_timeout<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = channel();
    let send = move || {
        if let Err(unsent) = sender.send(work()) {
            drop(unsent);
        }
    };
    let spawned = thread::Builder::new().name(WORKER_NAME.to_owned()).spawn(send);
    spawned.ok().and_then(|_| receiver.recv_timeout(limit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastness_sim::check::{CANARY, Twin};

    fn canary(jobs: usize, run: Duration) -> Engine {
        let pairs = Twin::ALL.iter().map(|&twin| Pair { check: &CANARY, twin }).collect();
        let limits = Limits { run, ..Limits::seconds(0) };
        Engine { pairs, seed: 3, jobs, shard: Shard::WHOLE, limits, saturated: Vec::new() }
    }

    #[test]
    fn one_bug_is_one_finding_for_each_twin_however_often_it_is_seen() {
        for jobs in [1, 3] {
            let mut reported = 0;
            let mut on =
                |event: Event<'_>| reported += usize::from(matches!(event, Event::Found(_)));
            let stop = Arc::default();
            let outcome = canary(jobs, Duration::from_millis(200)).run(&stop, &mut on);
            assert_eq!((outcome.findings.len(), reported), (2, 2));
            for finding in outcome.findings {
                assert!(finding.shrunk && finding.seen > 1, "{finding:?}");
                assert!(finding.plan.ops.len() < finding.operations_before);
            }
        }
    }

    #[test]
    fn stop_ends_the_run_early() {
        let stop = Arc::new(AtomicBool::new(true));
        let outcome = canary(1, Duration::from_secs(600)).run(&stop, &mut |_| {});
        assert!(outcome.interrupted);
        assert!(outcome.elapsed < Duration::from_secs(60));
    }

    #[test]
    fn work_that_hangs_is_abandoned() {
        let (sender, receiver) = channel::<()>();
        let hanging = move || receiver.recv().is_ok();
        assert_eq!(run_with_timeout(Duration::from_millis(20), hanging), None);
        drop(sender);
    }
}
