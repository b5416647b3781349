//! One campaign from start to end: the canary first, then every pair, then the verdict.
//!
//! - K8 The alarm is tried in every campaign, along the whole way a finding takes: found, made
//!   small, saved, read back, replayed. If that fails, the campaign ends blind.

use crate::engine::{Engine, Event, Limits, Outcome};
use crate::events::Events;
use crate::files::{self, Environment};
use crate::findings::Finding;
use crate::history::{self, Past};
use crate::planfile::PlanFile;
use crate::plans::{Pair, Shard, pairs};
use crate::progress::Progress;
use crate::report;
use crate::summary::{
    Canary, CanaryTwin, SUMMARY_VERSION, Summary, Totals, checks_of, judge, rounded,
};
use fastness_sim::check::{CANARY, Check, Probe, Twin};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const CANARY_TIME: Duration = Duration::from_secs(10);
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// What a campaign is asked to do.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// How long the plans are run.
    pub seconds: u64,
    /// Decides every plan.
    pub seed: u64,
    /// Worker threads.
    pub jobs: usize,
    /// The checks to run; empty for all.
    pub only: Vec<&'static Check>,
    /// The folder that takes summary, events, report and findings.
    pub out: PathBuf,
    /// Which of the plans.
    pub shard: Shard,
}

/// Everything about a campaign that has ended.
#[derive(Debug)]
pub struct Ended {
    /// What it found out.
    pub summary: Summary,
    /// The page a person reads.
    pub report: PathBuf,
}

impl Campaign {
    /// Runs it; `stop` ends it early and cleanly.
    ///
    /// # Errors
    /// When the folder for the outputs cannot be written.
    pub fn run(
        &self,
        stop: &Arc<AtomicBool>,
        mut progress: Progress,
    ) -> Result<Ended, Environment> {
        let start = Instant::now();
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        files::make_folder(&self.findings_folder())?;
        let mut events = Events::create(&self.out.join("events.jsonl"))?;
        events.add(
            "start",
            json!({
                "seed": self.seed, "seconds": self.seconds, "jobs": self.jobs,
                "shard": self.shard.to_string(), "only": self.only_names(),
            }),
        )?;
        let canary = self.canary(stop)?;
        events.add("canary", json!({ "caught": canary.caught, "twins": canary.twins }))?;
        let limits = Limits::seconds(if canary.caught { self.seconds } else { 0 });
        let outcome = self.attack(&Attack { stop, limits }, &mut progress, &mut events)?;
        progress.end();
        for finding in &outcome.findings {
            finding.save(&self.findings_folder())?;
        }
        let interrupted = outcome.interrupted || (!canary.caught && stop.load(Ordering::Relaxed));
        let checks = checks_of(&outcome, &self.findings_folder());
        let (verdict, sentence) = judge(&checks, &canary, interrupted);
        let summary = Summary {
            version: SUMMARY_VERSION,
            program: concat!("fastness ", env!("CARGO_PKG_VERSION")).to_owned(),
            verdict,
            sentence,
            exit_code: verdict.exit_code(),
            seed: self.seed,
            seconds: self.seconds,
            elapsed_seconds: rounded(start.elapsed().as_secs_f64()),
            jobs: self.jobs,
            shard: self.shard.to_string(),
            only: self.only_names(),
            started_unix: started.as_secs(),
            rerun: self.rerun(),
            canary,
            totals: Totals::of(&checks),
            checks,
        };
        events.add("end", json!({ "verdict": verdict, "sentence": summary.sentence }))?;
        publish(summary, &self.out)
    }

    fn attack(
        &self,
        attack: &Attack<'_>,
        progress: &mut Progress,
        events: &mut Events,
    ) -> Result<Outcome, Environment> {
        let engine = Engine {
            pairs: pairs(&self.only),
            seed: self.seed,
            jobs: self.jobs,
            shard: self.shard,
            limits: attack.limits,
        };
        let folder = self.findings_folder();
        let mut next = PROGRESS_EVERY;
        let mut noted = Ok(());
        let outcome = engine.run(attack.stop, &mut |event| {
            let note = match event {
                Event::Found(finding) => {
                    progress.finding(finding);
                    events.finding(finding).and_then(|()| finding.save(&folder))
                }
                Event::Tick(board) => {
                    progress.tick(board);
                    if board.elapsed < next {
                        return;
                    }
                    next = board.elapsed + PROGRESS_EVERY;
                    events.progress(board)
                }
            };
            if noted.is_ok() && note.is_err() {
                // A campaign that cannot say what it finds need not go on.
                attack.stop.store(true, Ordering::Relaxed);
                noted = note;
            }
        });
        noted.map(|()| outcome)
    }

    fn canary(&self, stop: &Arc<AtomicBool>) -> Result<Canary, Environment> {
        let mut twins = Vec::new();
        for twin in Twin::ALL {
            let pair = Pair { check: &CANARY, twin };
            let limits = Limits { run: CANARY_TIME, stop_at_first: true, ..Limits::seconds(0) };
            let engine =
                Engine { pairs: vec![pair], seed: self.seed, jobs: 1, shard: self.shard, limits };
            let outcome = engine.run(stop, &mut |_| {});
            let plans = outcome.rows.iter().map(|(_, tally)| tally.plans).sum();
            let proof = match outcome.findings.first() {
                Some(finding) => prove(finding, &self.out.join("canary"))?,
                None => Err("no plan caught it".to_owned()),
            };
            twins.push(CanaryTwin {
                twin: twin.name().to_owned(),
                caught: proof.is_ok(),
                plans,
                seconds: rounded(outcome.elapsed.as_secs_f64()),
                operations_min: outcome.findings.first().map_or(0, |it| it.plan.ops.len()),
                text: proof.unwrap_or_else(|error| error),
            });
        }
        Ok(Canary { caught: twins.iter().all(|twin| twin.caught), twins })
    }

    fn findings_folder(&self) -> PathBuf {
        self.out.join("findings")
    }

    fn only_names(&self) -> Vec<String> {
        self.only.iter().map(|check| check.name.to_owned()).collect()
    }

    fn rerun(&self) -> String {
        let mut text = format!("cargo campaign --seconds {} --seed {}", self.seconds, self.seed);
        if !self.only.is_empty() {
            text = format!("{text} --only {}", self.only_names().join(","));
        }
        if self.shard != Shard::WHOLE {
            text = format!("{text} --shard {}", self.shard);
        }
        text
    }
}

/// Writes summary and report, and remembers the campaign for later reports.
pub(crate) fn publish(summary: Summary, out: &Path) -> Result<Ended, Environment> {
    summary.write(&out.join("summary.json"))?;
    let past = history::append(out, &Past::of(&summary))?;
    let report = out.join("report.html");
    files::write(&report, &report::render(&summary, &past))?;
    Ok(Ended { summary, report })
}

struct Attack<'a> {
    stop: &'a Arc<AtomicBool>,
    limits: Limits,
}

/// Takes the canary's finding the whole way: saved, read back, replayed, broken again.
fn prove(finding: &Finding, folder: &Path) -> Result<Result<String, String>, Environment> {
    finding.save(folder)?;
    let path = folder.join(finding.file().name()).with_extension("plan");
    let read = match PlanFile::parse(&files::read(&path)?) {
        Ok(read) => read,
        Err(error) => return Ok(Err(format!("its saved plan cannot be read: {error}"))),
    };
    let again = read.pair.check.run(&read.plan, read.pair.twin, &mut Probe::default());
    Ok(match again {
        Err(violation) if violation.invariant == finding.violation.invariant => {
            Ok(violation.to_string())
        }
        Ok(()) | Err(_) => Err("its saved plan does not break it again".to_owned()),
    })
}
