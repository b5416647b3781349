//! `campaign merge`: combines the shards of a campaign into one summary and one report.
//!
//! Counts add up. A mark is hit if any shard hit it, and the campaign fails if any shard failed.

use crate::campaign::{CampaignResult, publish};
use crate::files::{self, EnvironmentError};
use crate::summary::{Canary, CheckSummary, FindingSummary, Summary, Totals, Verdict, judge};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Merges the shards in `folders` into `out`.
///
/// # Errors
/// If a summary cannot be read, the shards belong to different campaigns, or `out` cannot be
/// written.
pub fn merge(folders: &[PathBuf], out: &Path) -> Result<CampaignResult, EnvironmentError> {
    let mut shards = Vec::new();
    for folder in folders {
        let path = folder.join("summary.json");
        let shard = Summary::read(&path)?;
        let first: &Summary = shards.first().unwrap_or(&shard);
        let identity = |it: &Summary| (it.seed, it.only.clone(), it.plans);
        if identity(&shard) != identity(first) {
            let problem = "it belongs to another campaign: seed, checks or limit of plans differ";
            let other = io::Error::other(problem);
            return Err(files::error(&path, "merge the shard")(other));
        }
        shards.push(shard);
    }
    let [first, ..] = &shards[..] else {
        return Err(files::error(out, "merge")(io::Error::other("no shards were given")));
    };
    let merged = merged(first, &shards, out);
    copy_findings(&merged, folders, out)?;
    publish(merged, out)
}

fn merged(first: &Summary, shards: &[Summary], out: &Path) -> Summary {
    let mut checks: BTreeMap<(usize, String), CheckSummary> = BTreeMap::new();
    for shard in shards {
        for (index, check) in shard.checks.iter().enumerate() {
            let key = (index, format!("{}/{}", check.name, check.twin));
            match checks.get_mut(&key) {
                Some(sum) => add_check(sum, check),
                None => drop(checks.insert(key, check.clone())),
            }
        }
    }
    let mut checks: Vec<CheckSummary> = checks.into_values().collect();
    for finding in checks.iter_mut().flat_map(|check| &mut check.findings) {
        rename(finding, out);
    }
    let canary = Canary {
        caught: shards.iter().all(|shard| shard.canary.caught),
        twins: shards.iter().flat_map(|shard| shard.canary.twins.clone()).collect(),
    };
    let interrupted = shards.iter().any(|shard| shard.verdict == Verdict::Interrupted);
    let (verdict, sentence) = judge(&checks, &canary, interrupted);
    Summary {
        verdict,
        sentence,
        exit_code: verdict.exit_code(),
        elapsed_seconds: shards.iter().map(|shard| shard.elapsed_seconds).fold(0.0, f64::max),
        jobs: shards.iter().map(|shard| shard.jobs).sum(),
        shard: shards.iter().map(|shard| shard.shard.clone()).collect::<Vec<_>>().join(" + "),
        rerun: shards.iter().map(|shard| shard.rerun.clone()).collect::<Vec<_>>().join("\n"),
        canary,
        totals: Totals::of(&checks),
        checks,
        ..first.clone()
    }
}

/// Adds the counts of another run of the same check and twin.
pub(crate) fn add_check(sum: &mut CheckSummary, other: &CheckSummary) {
    sum.plans += other.plans;
    sum.core_seconds += other.core_seconds;
    sum.operations += other.operations;
    sum.crash_points += other.crash_points;
    for (ours, theirs) in [
        (&mut sum.crash_points_by, &other.crash_points_by),
        (&mut sum.mix, &other.mix),
        (&mut sum.marks, &other.marks),
    ] {
        for (name, count) in theirs {
            *ours.entry(name.clone()).or_default() += count;
        }
    }
    for finding in &other.findings {
        match sum.findings.iter_mut().find(|known| known.is_same(finding)) {
            Some(known) if known.operations.len() <= finding.operations.len() => {
                known.seen += finding.seen;
            }
            Some(known) => {
                let seen = known.seen + finding.seen;
                *known = FindingSummary { seen, ..finding.clone() };
            }
            None => sum.findings.push(finding.clone()),
        }
    }
    sum.measure();
}

fn rename(finding: &mut FindingSummary, out: &Path) {
    let path = out.join("findings").join(&finding.name).with_extension("plan");
    finding.file = path.display().to_string();
    finding.replay = format!("cargo campaign replay {}", finding.file);
}

fn copy_findings(
    merged: &Summary,
    folders: &[PathBuf],
    out: &Path,
) -> Result<(), EnvironmentError> {
    for finding in merged.checks.iter().flat_map(|check| &check.findings) {
        let plan = Path::new("findings").join(&finding.name).with_extension("plan");
        let Some(folder) = folders.iter().find(|folder| folder.join(&plan).is_file()) else {
            continue;
        };
        for name in [plan.with_extension("txt"), plan] {
            files::write(&out.join(&name), &files::read(&folder.join(&name))?)?;
        }
    }
    Ok(())
}
