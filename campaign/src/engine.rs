//! The engine: worker threads that run plans, and a watch over them.
//!
//! - K5 A plan that does not end is a finding (X3), and the campaign goes on without its worker.
//! - K6 A plan that panics is a finding (X1), never the end of the campaign.
//!
//! Workers share nothing but the scheduler, one tally for each pair and the findings, each behind
//! its lock for the blink of an update. The calling thread watches and reports.

use crate::clock::{Moment, Passed};
use crate::findings::{Finding, Findings, HANG, Origin, Shape};
use crate::plans::{Pair, Shard};
use crate::scheduler::{Batch, Scheduler};
use crate::watch::{Doing, Seat};
use fastness_sim::check::{NO_PANIC, Plan, Probe, Violation};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const WORKER_NAME: &str = "fastness-worker";
const TICK: Duration = Duration::from_millis(100);

/// What to run, for how long.
#[derive(Clone, Debug)]
pub struct Engine {
    /// The pairs, which share the time fairly.
    pub pairs: Vec<Pair>,
    /// Seed of the campaign.
    pub seed: u64,
    /// Number of worker threads.
    pub jobs: usize,
    /// Which of the plans.
    pub shard: Shard,
    /// When to stop.
    pub limits: Limits,
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// No new plan is begun after this time.
    pub run: Duration,
    /// A plan that runs longer never ends.
    pub hang: Duration,
    /// Time given to making one finding small.
    pub shrink: Duration,
    /// Whether the first finding ends it.
    pub stop_at_first: bool,
}

impl Limits {
    /// The limits of a campaign of that length.
    #[must_use]
    pub fn seconds(seconds: u64) -> Self {
        Self {
            run: Duration::from_secs(seconds),
            hang: Duration::from_secs(60),
            shrink: Duration::from_secs(15),
            stop_at_first: false,
        }
    }
}

/// What one pair did.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Plans run to their end.
    pub plans: u64,
    /// Time on a core spent, shrinking left out.
    pub busy: Duration,
    /// What the plans did.
    pub probe: Probe,
}

/// What the watcher is told while the engine runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// Ten times a second.
    Tick(&'a Board),
    /// A finding in its smallest form; one that is never told of here is in the outcome only.
    Found(&'a Finding),
}

/// The state of every pair, in the order of [`Engine::pairs`].
#[derive(Debug)]
pub struct Board {
    /// Time since the start.
    pub elapsed: Duration,
    /// What each pair did so far, and its findings.
    pub rows: Vec<(Pair, Tally, usize)>,
}

/// How it ended.
#[derive(Debug)]
pub struct Outcome {
    /// What each pair did.
    pub rows: Vec<(Pair, Tally)>,
    /// The findings, in order of check, twin and invariant.
    pub findings: Vec<Finding>,
    /// Whether it was stopped from outside before its time.
    pub interrupted: bool,
    /// Time from start to end.
    pub elapsed: Duration,
}

struct Shared {
    engine: Engine,
    start: Instant,
    stop: Arc<AtomicBool>,
    over: AtomicBool,
    scheduler: Mutex<Scheduler>,
    tallies: Vec<Mutex<Tally>>,
    findings: Mutex<Findings>,
}

impl Engine {
    /// Runs until the time is over, the first finding if so asked, or `stop` is set.
    pub fn run(self, stop: &Arc<AtomicBool>, on: &mut dyn FnMut(Event<'_>)) -> Outcome {
        let pair_count = self.pairs.len();
        let shared = Arc::new(Shared {
            scheduler: Mutex::new(Scheduler::new(self.shard, pair_count)),
            tallies: (0..pair_count).map(|_| Mutex::default()).collect(),
            findings: Mutex::default(),
            over: AtomicBool::new(false),
            stop: Arc::clone(stop),
            start: Instant::now(),
            engine: self,
        });
        let (sender, receiver) = channel();
        let seats: Vec<Arc<Seat>> =
            (0..shared.engine.jobs.max(1)).map(|_| hire(&shared, &sender)).collect();
        watch(&Watch { shared: &shared, sender: &sender, receiver: &receiver }, seats, on);
        let interrupted = stop.load(Ordering::Relaxed) && shared.left() > Duration::ZERO;
        Outcome {
            rows: shared.board().rows.into_iter().map(|(pair, tally, _)| (pair, tally)).collect(),
            findings: std::mem::take(&mut *lock(&shared.findings)).into_vec(),
            interrupted,
            elapsed: shared.start.elapsed(),
        }
    }
}

struct Watch<'a> {
    shared: &'a Arc<Shared>,
    sender: &'a Sender<Finding>,
    receiver: &'a Receiver<Finding>,
}

/// Watches until every worker has gone home or was given up.
fn watch(it: &Watch<'_>, mut seats: Vec<Arc<Seat>>, on: &mut dyn FnMut(Event<'_>)) {
    let mut tick = Instant::now();
    let mut replacements = seats.len();
    while !seats.is_empty() {
        match it.receiver.recv_timeout(TICK) {
            Ok(finding) => on(Event::Found(&finding)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        if tick.elapsed() >= TICK {
            tick = Instant::now();
            on(Event::Tick(&it.shared.board()));
        }
        let limits = it.shared.engine.limits;
        let (gone, here) = seats.into_iter().partition(|seat: &Arc<Seat>| seat.is_gone(limits));
        seats = here;
        for seat in gone {
            if it.shared.mourn(&seat, it.sender) && replacements > 0 && !it.shared.is_over() {
                replacements -= 1;
                seats.push(hire(it.shared, it.sender));
            }
        }
    }
    for finding in it.receiver.try_iter() {
        on(Event::Found(&finding));
    }
    on(Event::Tick(&it.shared.board()));
}

/// Puts a new worker on a seat. Without a thread the seat is left at once, and nothing is run.
fn hire(shared: &Arc<Shared>, sender: &Sender<Finding>) -> Arc<Seat> {
    let seat = Arc::new(Seat::default());
    let (own, shared, sender) = (Arc::clone(&seat), Arc::clone(shared), sender.clone());
    let work = move || {
        let _leaves = own.leave_on_drop();
        while let Some(batch) = shared.next_batch() {
            shared.work(&batch, &own, &sender);
            if own.is_given_up() {
                return;
            }
        }
    };
    if thread::Builder::new().name(WORKER_NAME.to_owned()).spawn(work).is_err() {
        drop(seat.leave_on_drop());
    }
    seat
}

impl Shared {
    fn left(&self) -> Duration {
        self.engine.limits.run.saturating_sub(self.start.elapsed())
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
            || self.stop.load(Ordering::Relaxed)
            || self.left() == Duration::ZERO
    }

    fn next_batch(&self) -> Option<Batch> {
        if self.is_over() { None } else { lock(&self.scheduler).take() }
    }

    fn work(&self, batch: &Batch, seat: &Seat, sender: &Sender<Finding>) {
        let pair = self.engine.pairs[batch.pair_index];
        let start = Moment::now();
        let mut elsewhere = Passed::default();
        let mut tally = Tally::default();
        for &number in &batch.numbers {
            if self.is_over() {
                break;
            }
            let plan_seed = pair.plan_seed(self.engine.seed, number);
            let origin = Origin { pair, number, plan_seed };
            seat.take(Doing::Plan(origin));
            let plan = pair.check.plan(plan_seed);
            let outcome = pair.check.run(&plan, pair.twin, &mut tally.probe);
            if seat.is_given_up() {
                return;
            }
            tally.plans += 1;
            if let Err(violation) = outcome {
                let pause = Moment::now();
                self.found(self.finding(origin, violation), seat, sender);
                elsewhere += pause.passed();
            }
        }
        seat.take(Doing::Nothing);
        let passed = start.passed() - elsewhere;
        tally.busy = passed.core;
        lock(&self.scheduler).put_back(batch, passed.wall);
        let mut total = lock(&self.tallies[batch.pair_index]);
        total.plans += tally.plans;
        total.busy += tally.busy;
        total.probe.merge(tally.probe);
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

    /// Keeps a finding if it is new, makes it small and tells of it.
    fn found(&self, mut finding: Finding, seat: &Seat, sender: &Sender<Finding>) {
        let shape = Shape::new(finding.origin.pair, &finding.plan, &finding.violation);
        if !lock(&self.findings).add(&shape, &finding) {
            return;
        }
        if self.engine.limits.stop_at_first {
            self.over.store(true, Ordering::Relaxed);
        }
        seat.take(Doing::Shrink);
        let deadline = Instant::now() + self.engine.limits.shrink;
        finding.shrink(deadline, &|| seat.is_given_up() || self.stop.load(Ordering::Relaxed));
        if !seat.is_given_up() && lock(&self.findings).settle(&shape, finding.clone()) {
            tell(sender, finding);
        }
    }

    /// Turns what a worker was doing when it was lost into a finding; returns whether it was lost.
    fn mourn(&self, seat: &Seat, sender: &Sender<Finding>) -> bool {
        let origin = match seat.doing() {
            Doing::Nothing => return false,
            Doing::Shrink => return true,
            Doing::Plan(origin) => origin,
        };
        let (invariant, text) = if seat.has_left() {
            (NO_PANIC.id, "the check itself panicked".to_owned())
        } else {
            let seconds = self.engine.limits.hang.as_secs_f64();
            (HANG.id, format!("the plan was still running after {seconds} s"))
        };
        let finding = self.finding(origin, Violation { invariant, text, step: None });
        let shape = Shape::new(origin.pair, &Plan::from_bytes(&[]), &finding.violation);
        if lock(&self.findings).add(&shape, &finding) {
            tell(sender, finding);
        }
        if self.engine.limits.stop_at_first {
            self.over.store(true, Ordering::Relaxed);
        }
        true
    }

    fn board(&self) -> Board {
        let findings = lock(&self.findings);
        let row = |(pair, tally): (&Pair, &Mutex<Tally>)| {
            (*pair, lock(tally).clone(), findings.count_of(*pair))
        };
        let rows = self.engine.pairs.iter().zip(&self.tallies).map(row).collect();
        Board { elapsed: self.start.elapsed(), rows }
    }
}

/// The watcher outlives the workers, except one that was given up: nobody listens to it.
fn tell(sender: &Sender<Finding>, finding: Finding) {
    if let Err(unheard) = sender.send(finding) {
        drop(unheard);
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a function the way plans are run: on a worker's thread, and not for ever.
///
/// Returns `None` if it did not end in time.
pub fn run_alone<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = channel();
    let send = move || {
        if let Err(unheard) = sender.send(work()) {
            drop(unheard);
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
        Engine { pairs, seed: 3, jobs, shard: Shard::WHOLE, limits }
    }

    #[test]
    fn one_bug_is_one_finding_for_each_twin_however_often_it_is_seen() {
        for jobs in [1, 3] {
            let mut told = 0;
            let mut on = |event: Event<'_>| told += usize::from(matches!(event, Event::Found(_)));
            let stop = Arc::default();
            let outcome = canary(jobs, Duration::from_millis(200)).run(&stop, &mut on);
            assert_eq!((outcome.findings.len(), told), (2, 2));
            for finding in outcome.findings {
                assert!(finding.shrunk && finding.seen > 1, "{finding:?}");
                assert!(finding.plan.ops.len() < finding.operations_before);
            }
        }
    }

    #[test]
    fn stop_ends_it_long_before_its_time() {
        let stop = Arc::new(AtomicBool::new(true));
        let outcome = canary(1, Duration::from_secs(600)).run(&stop, &mut |_| {});
        assert!(outcome.interrupted);
        assert!(outcome.elapsed < Duration::from_secs(60));
    }

    #[test]
    fn work_that_never_ends_is_given_up() {
        let (sender, receiver) = channel::<()>();
        let endless = move || receiver.recv().is_ok();
        assert_eq!(run_alone(Duration::from_millis(20), endless), None);
        drop(sender);
    }
}
