//! Runs plans until one fails, and reduces that one.

use crate::driver::{Counts, Driver};
use crate::engine::Engine;
use crate::report::{Finding, Kind, ReducedPlan, Report};
use fastness_crashkit::minimise::minimise;
use fastness_sim::check::{Plan, by_name};
use std::cell::Cell;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::time::{Duration, Instant};

/// Runs of a plan that its reduction may take.
const TRIES_MAX: u32 = 400;
/// CPU time, in nanoseconds, first.
const SCHEDSTAT: &str = "/proc/thread-self/schedstat";

/// How long to attack, and with which plans.
#[derive(Clone, Debug)]
pub struct Attack {
    /// Seed of the first plan; each plan of each check has the next one.
    pub seed: u64,
    /// Limit of CPU time.
    pub cpu: Duration,
    /// Limit of plans.
    pub plans_max: u64,
    /// The checks whose plans are run, in turns.
    pub checks: Vec<String>,
    /// Kinds of findings that are counted and do not end the attack.
    pub ignore: Vec<Kind>,
}

/// Runs plans of all checks in turns until one fails or a limit is reached. `begin` is called with
/// the check and the seed of each plan.
pub fn attack(engine: &dyn Engine, attack: &Attack, begin: &mut dyn FnMut(&str, u64)) -> Report {
    silence_panics();
    let clock = Clock::start();
    let mut report = Report {
        store: engine.name(),
        seed: attack.seed,
        plans: 0,
        operations: 0,
        crashes: 0,
        ignored: 0,
        cpu_seconds: 0.0,
        finding: None,
        plan: None,
    };
    while report.plans < attack.plans_max && clock.elapsed() < attack.cpu {
        let (check, seed) = plan_of(attack, report.plans);
        begin(check, seed);
        let plan = draw(check, seed);
        let (counts, outcome) = run(engine, check, &plan);
        report.plans += 1;
        report.operations += counts.operations;
        report.crashes += counts.crashes;
        if let Err(finding) = outcome {
            if attack.ignore.contains(&finding.kind) {
                report.ignored += 1;
                continue;
            }
            report.cpu_seconds = clock.elapsed().as_secs_f64();
            let (finding, plan) = reduce(engine, (check, &plan), finding);
            report.finding = Some(finding);
            report.plan = Some(plan);
            return report;
        }
    }
    report.cpu_seconds = clock.elapsed().as_secs_f64();
    report
}

/// Runs one plan from its bytes.
///
/// # Errors
/// Its finding.
pub fn replay(engine: &dyn Engine, check: &str, bytes: &[u8]) -> Result<(), Finding> {
    silence_panics();
    run(engine, check, &Plan::from_bytes(bytes)).1
}

/// The checks take turns; each runs one plan of every seed.
fn plan_of(attack: &Attack, plans: u64) -> (&str, u64) {
    let count = attack.checks.len() as u64;
    let check = &attack.checks[usize::try_from(plans % count).unwrap_or(0)];
    (check, attack.seed.wrapping_add(plans / count))
}

fn draw(check: &str, seed: u64) -> Plan {
    by_name(check).expect("the checks of the alphabet exist").plan(seed)
}

fn run(engine: &dyn Engine, check: &str, plan: &Plan) -> (Counts, Result<(), Finding>) {
    let (counts, at) = (Cell::new(Counts::default()), Cell::new(0));
    let body = || {
        let mut driver = Driver::create(engine, check, plan)?;
        for (step, op) in plan.ops.iter().enumerate() {
            at.set(step);
            let outcome = driver.act(*op, step);
            counts.set(driver.counts());
            outcome?;
        }
        Ok(())
    };
    CATCHES.set(true);
    let caught = panic::catch_unwind(AssertUnwindSafe(body));
    CATCHES.set(false);
    let outcome = caught.unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Finding::new(Kind::Panicked, text.unwrap_or_else(|| "without a text".to_owned())))
    });
    (counts.get(), outcome.map_err(|finding| Finding { step: at.get(), ..finding }))
}

fn reduce(
    engine: &dyn Engine,
    (check, plan): (&str, &Plan),
    finding: Finding,
) -> (Finding, ReducedPlan) {
    let kind = finding.kind;
    let mut least = finding.clone();
    let reduced = minimise(plan, Some(finding.step), TRIES_MAX, |candidate| {
        match run(engine, check, candidate).1 {
            Err(found) if found.kind == kind => {
                least = found;
                true
            }
            _ => false,
        }
    });
    let bytes = reduced.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let steps = reduced.story();
    let steps_before = plan.ops.len();
    (least, ReducedPlan { check: check.to_owned(), bytes, steps, steps_before })
}

thread_local! {
    /// Whether a panic on this thread becomes a finding.
    static CATCHES: Cell<bool> = const { Cell::new(false) };
}

/// Prints no panic that becomes a finding, and all others.
fn silence_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous_hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !CATCHES.get() {
                previous_hook(info);
            }
        }));
    });
}

/// CPU time of this thread, so that a busy machine does not make a detection look slow; wall time
/// where the system does not tell.
struct Clock {
    core: Option<Duration>,
    wall: Instant,
}

impl Clock {
    fn start() -> Self {
        Self { core: core_time(), wall: Instant::now() }
    }

    fn elapsed(&self) -> Duration {
        let core = self.core.zip(core_time()).map(|(then, now)| now.saturating_sub(then));
        core.unwrap_or_else(|| self.wall.elapsed())
    }
}

fn core_time() -> Option<Duration> {
    let text = fs::read_to_string(SCHEDSTAT).ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}
