//! One campaign from start to end: the canary, then every check, then the verdict.

use crate::canary::Drill;
use crate::engine::{Engine, Event, Outcome};
use crate::events::Events;
use crate::files::{self, EnvironmentError};
use crate::history::{self, HistoryEntry};
use crate::limits::Limits;
use crate::plans::{Shard, pairs};
use crate::progress::{Goal, Progress};
use crate::report;
use crate::summary::{SUMMARY_VERSION, Summary, Totals, checks_of, judge, rounded};
use fastness_sim::check::Check;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Time limit for the reduction of the only finding of a fast run.
const FAST_SHRINK: Duration = Duration::from_secs(1);

/// The settings of a campaign.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// How long plans run.
    pub seconds: u64,
    /// Plans of each check and twin, over all shards; `None` for no limit.
    pub plans: Option<u64>,
    /// The seed of every plan.
    pub seed: u64,
    /// Number of worker threads.
    pub jobs: usize,
    /// The checks to run; empty for all.
    pub only: Vec<&'static Check>,
    /// The folder for summary, events, report and findings.
    pub out: PathBuf,
    /// The shard of the plans to run.
    pub shard: Shard,
    /// Whether the first finding ends the run; it is not reduced for long.
    pub fail_fast: bool,
}

/// The result of a campaign.
#[derive(Debug)]
pub struct CampaignResult {
    /// The summary.
    pub summary: Summary,
    /// The path of the HTML report.
    pub report: PathBuf,
}

impl Campaign {
    /// Runs the campaign; `stop` ends it early and still writes the report.
    ///
    /// # Errors
    /// If the output folder cannot be written.
    pub fn run(
        &self,
        stop: &Arc<AtomicBool>,
        mut progress: Progress,
    ) -> Result<CampaignResult, EnvironmentError> {
        let start = Instant::now();
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        files::make_folder(&self.findings_folder())?;
        let mut events = Events::create(&self.out.join("events.jsonl"))?;
        events.add(
            "start",
            json!({
                "seed": self.seed, "seconds": self.seconds, "plans": self.plans, "jobs": self.jobs,
                "shard": self.shard.to_string(), "only": self.only_names(),
            }),
        )?;
        let drill = Drill { seed: self.seed, shard: self.shard, folder: &self.out.join("canary") };
        let canary = drill.run(stop)?;
        events.add("canary", json!({ "caught": canary.caught, "twins": canary.twins }))?;
        let seconds = if canary.caught { self.seconds } else { 0 };
        let mut limits = Limits { plans: self.plans, ..Limits::seconds(seconds) };
        match self.fail_fast {
            true => (limits.stop_at_first, limits.shrink) = (true, FAST_SHRINK),
            false => limits.grace = limits.run / 2,
        }
        let outcome =
            self.run_engine(&EngineControl { stop, limits }, &mut progress, &mut events)?;
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
            plans: self.plans,
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

    fn run_engine(
        &self,
        control: &EngineControl<'_>,
        progress: &mut Progress,
        events: &mut Events,
    ) -> Result<Outcome, EnvironmentError> {
        let engine = Engine {
            pairs: pairs(&self.only),
            seed: self.seed,
            jobs: self.jobs,
            shard: self.shard,
            limits: control.limits,
            saturated: Vec::new(),
        };
        let folder = self.findings_folder();
        let mut next = PROGRESS_EVERY;
        let mut log_outcome = Ok(());
        let outcome = engine.run(control.stop, &mut |event| {
            let logged = match event {
                Event::Found(finding) => {
                    progress.finding(finding);
                    events.finding(finding).and_then(|()| finding.save(&folder))
                }
                Event::Tick(snapshot) => {
                    progress.tick(snapshot);
                    if snapshot.elapsed < next {
                        return;
                    }
                    next = snapshot.elapsed + PROGRESS_EVERY;
                    events.progress(snapshot)
                }
            };
            if log_outcome.is_ok() && logged.is_err() {
                // A campaign that cannot write its findings stops.
                control.stop.store(true, Ordering::Relaxed);
                log_outcome = logged;
            }
        });
        log_outcome.map(|()| outcome)
    }

    /// Returns the end of the campaign, for a display of progress.
    #[must_use]
    pub fn goal(&self) -> Goal {
        let Some(limit) = self.plans else { return Goal::Seconds(self.seconds) };
        let of_shard = (0..).take_while(|nth| self.shard.number(*nth) < limit).count();
        Goal::Plans((of_shard * pairs(&self.only).len()) as u64)
    }

    fn findings_folder(&self) -> PathBuf {
        self.out.join("findings")
    }

    fn only_names(&self) -> Vec<String> {
        self.only.iter().map(|check| check.name.to_owned()).collect()
    }

    fn rerun(&self) -> String {
        let limit = match self.plans {
            Some(plans) => format!("--plans {plans}"),
            None => format!("--seconds {}", self.seconds),
        };
        let mut text = format!("cargo campaign {limit} --seed {}", self.seed);
        if !self.only.is_empty() {
            text = format!("{text} --only {}", self.only_names().join(","));
        }
        if self.shard != Shard::WHOLE {
            text = format!("{text} --shard {}", self.shard);
        }
        text
    }
}

/// Writes summary and report, and appends the campaign to the history.
pub(crate) fn publish(summary: Summary, out: &Path) -> Result<CampaignResult, EnvironmentError> {
    summary.write(&out.join("summary.json"))?;
    let past = history::append(out, &HistoryEntry::of(&summary))?;
    let report = out.join("report.html");
    files::write(&report, &report::render(&summary, &past))?;
    Ok(CampaignResult { summary, report })
}

struct EngineControl<'a> {
    stop: &'a Arc<AtomicBool>,
    limits: Limits,
}
