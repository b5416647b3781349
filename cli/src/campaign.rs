//! `fastness campaign`: runs, lists, replays, promotes.

use crate::args::{CampaignArgs, CampaignCommand};
use crate::failure::{BAD, Failure};
use fastness_campaign::progress::Progress;
use fastness_campaign::replay::{self, Choice};
use fastness_campaign::summary::{CheckSummary, thousands};
use fastness_campaign::{Campaign, Ended, list, merge, plans, promote};
use fastness_sim::check::Twin;
use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// What a shell says of a command that was interrupted.
pub(crate) const INTERRUPTED: u8 = 130;

pub(crate) fn run(args: CampaignArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    match args.command {
        None => attack(args, out),
        Some(CampaignCommand::List { json: false }) => {
            list::print(out)?;
            Ok(0)
        }
        Some(CampaignCommand::List { json: true }) => {
            writeln!(out, "{:#}", list::json())?;
            Ok(0)
        }
        Some(CampaignCommand::Replay { plan, twin, check }) => {
            replay(&plan, Choice { twin, check }, out)
        }
        Some(CampaignCommand::Merge { shards, out: folder }) => {
            let ended = merge::merge(&shards, &folder)?;
            conclude(&ended, out)?;
            Ok(ended.summary.exit_code)
        }
        Some(CampaignCommand::Promote { finding, to, twin }) => {
            promote(&finding, &Target { to, twin }, out)
        }
    }
}

fn replay(plan: &str, choice: Choice, out: &mut dyn Write) -> Result<u8, Failure> {
    let folder = Path::new(plan);
    let broken = if folder.is_dir() {
        replay::run_folder(folder, choice, out).map_err(Failure::usage)? > 0
    } else {
        let file = replay::find(plan, choice).map_err(Failure::usage)?;
        replay::run(&file, out)?.is_some()
    };
    Ok(if broken { BAD } else { 0 })
}

fn attack(args: CampaignArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let campaign = Campaign {
        seconds: args.seconds,
        seed: args.seed.unwrap_or_else(plans::random_seed),
        jobs: args.jobs.map_or_else(cores, usize::from),
        only: args.only,
        out: args.out,
        shard: args.shard,
    };
    let Campaign { seed, seconds, jobs, .. } = campaign;
    writeln!(out, "campaign of {seconds} s, seed {seed}, jobs {jobs}")?;
    out.flush()?;
    let ended = campaign.run(&stop_on_interrupt()?, Progress::new(seconds))?;
    conclude(&ended, out)?;
    Ok(ended.summary.exit_code)
}

pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// The first Ctrl-C ends a campaign with its report, the second one at once.
pub(crate) fn stop_on_interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            process::exit(i32::from(INTERRUPTED));
        }
    })
    .map_err(|error| Failure::environment(format!("cannot listen to Ctrl-C: {error}")))?;
    Ok(stop)
}

fn conclude(ended: &Ended, out: &mut dyn Write) -> io::Result<()> {
    let summary = &ended.summary;
    writeln!(out)?;
    for check in &summary.checks {
        table_row(check, out)?;
    }
    for finding in summary.checks.iter().flat_map(|check| &check.findings) {
        writeln!(out, "\n{}: {}", finding.invariant, finding.promise)?;
        writeln!(out, "  {}", finding.text)?;
        writeln!(out, "  {}", finding.replay)?;
        writeln!(out, "  cargo campaign promote {}", finding.file)?;
    }
    writeln!(out, "\n{}: {}", summary.verdict.word().to_uppercase(), summary.sentence)?;
    writeln!(out, "again:  {}", summary.rerun)?;
    writeln!(out, "report: {}", ended.report.display())
}

fn table_row(check: &CheckSummary, out: &mut dyn Write) -> io::Result<()> {
    let missed = check.marks_missed().count();
    writeln!(
        out,
        "{:<12} {:<9} {:>9} plans {:>12} operations {:>9} a second and core  marks {}/{}",
        check.name,
        check.twin,
        thousands(check.plans),
        thousands(check.operations),
        thousands(check.speed()),
        check.marks.len() - missed,
        check.marks.len(),
    )
}

struct Target {
    to: Option<PathBuf>,
    twin: Option<Twin>,
}

fn promote(finding: &str, target: &Target, out: &mut dyn Write) -> Result<u8, Failure> {
    let choice = Choice { twin: target.twin, check: None };
    let file = replay::find(finding, choice).map_err(Failure::usage)?;
    let around = || env::current_dir().ok().and_then(|here| promote::folder(&here));
    let folder = target.to.clone().or_else(around).ok_or_else(|| {
        Failure::usage(format!(
            "{} lies in no workspace with a folder `proptests`; name the folder with --to",
            env::current_dir().unwrap_or_default().display()
        ))
    })?;
    let promoted = promote::promote(&file, &folder)?;
    let path = promoted.path.display();
    if promoted.new {
        writeln!(out, "wrote {path}")?;
        writeln!(out, "`cargo test` replays it from now on, as {}", file.pair)?;
    } else {
        writeln!(out, "{path} is there already: nothing to do")?;
    }
    let broken = replay::run(&file, &mut io::sink())?;
    match broken {
        Some(violation) => writeln!(out, "it still breaks {violation}")?,
        None => writeln!(out, "it breaks nothing now: a test that the cure lasts")?,
    }
    Ok(0)
}
