//! `fastness campaign`: run, nightly, list, replay, merge, promote.

use crate::corpus::{self, CorpusArgs};
use crate::failure::{Failure, PROBLEM};
use crate::foreign::{self, ForeignArgs};
use crate::long_run::{DAY, MINUTE, core_count, current_folder, stop_on_interrupt};
use crate::mutants::{self, MutantArgs};
use clap::Subcommand;
use fastness_campaign::changed::{Changed, ChangedResult};
use fastness_campaign::night::{self, NightResult, Nightly, Part};
use fastness_campaign::plans::{Shard, twin_by_name};
use fastness_campaign::progress::{Goal, Progress};
use fastness_campaign::replay::{self, ReplayOptions};
use fastness_campaign::summary::{CheckSummary, thousands};
use fastness_campaign::{Campaign, CampaignResult, list, merge, plans, promote};
use fastness_sim::check::{CANARY, Check, Twin, by_name};
use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const EXIT_CODES: &str = "Exit codes: 0 passed; 1 failed: a promise is violated; 2 usage; \
    3 inconclusive: a mark was never hit, or the canary was missed; 4 environment (permissions, \
    space, ..); 130 interrupted without a finding.";

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
pub(crate) struct CampaignArgs {
    #[command(subcommand)]
    pub(crate) command: Option<CampaignCommand>,
    /// Time limit for plans, in seconds [default: 60, or a day with --plans].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: Option<u64>,
    /// Run this many plans of each check and twin: the same plans for any machine and any load.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) plans: Option<u64>,
    /// Seed of the plans [default: random, printed].
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Number of worker threads [default: one per core].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// Run only these checks, separated by commas.
    #[arg(long, value_name = "CHECK,..", value_delimiter = ',', value_parser = parse_check)]
    pub(crate) only: Vec<&'static Check>,
    /// Folder for summary.json, events.jsonl, report.html and findings.
    #[arg(long, value_name = "DIR", default_value = "target/campaign")]
    pub(crate) out: PathBuf,
    /// Run only shard i of n: the plans whose number is i modulo n.
    #[arg(long, value_name = "i/n", default_value_t = Shard::WHOLE)]
    pub(crate) shard: Shard,
    /// End at the first finding.
    #[arg(long)]
    pub(crate) fail_fast: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CampaignCommand {
    /// List the checks with their invariants and marks.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Run one plan and print its trace, deterministically.
    Replay {
        /// A .plan file, a folder of them, or a check and a plan seed, like `crash:17`.
        #[arg(value_name = "FILE|FOLDER|CHECK:SEED")]
        plan: String,
        /// The twin to run [default: that of the file, or plain].
        #[arg(long, value_name = "plain|encrypted", value_parser = parse_twin)]
        twin: Option<Twin>,
        /// Read FILE as a raw plan of this check, as a fuzzer writes it.
        #[arg(long, value_parser = parse_check)]
        check: Option<&'static Check>,
    },
    /// Attack a change first where it is: run the checks and tests that own its files.
    Changed(ChangedArgs),
    /// Run every kind of search for hours: checks, fuzz targets, loom models, planted faults.
    Nightly(NightlyArgs),
    /// Count, import, minimise and export the corpora of fuzz targets.
    Corpus(CorpusArgs),
    /// Attack a store of others in one of its versions, with our plans and our model.
    Foreign(ForeignArgs),
    /// Change the core a little, one change at a time, and see which changes the checks notice.
    Mutants(MutantArgs),
    /// Merge the shards of a campaign or of a night into one summary and one report.
    Merge {
        /// The output folders of the shards.
        #[arg(required = true, value_name = "DIR")]
        shards: Vec<PathBuf>,
        /// The output folder.
        #[arg(long, value_name = "DIR", default_value = "target/campaign")]
        out: PathBuf,
    },
    /// Promote a finding to a regression test.
    Promote {
        /// A .plan file of a campaign, or CHECK:SEED.
        finding: String,
        /// Folder of regression tests [default: that of the enclosing workspace].
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// The twin, for CHECK:SEED.
        #[arg(long, value_name = "plain|encrypted", value_parser = parse_twin)]
        twin: Option<Twin>,
    },
}

/// Arguments of `fastness campaign changed`.
#[derive(Debug, clap::Args)]
pub(crate) struct ChangedArgs {
    /// The commit since which files have changed; changes that are not committed count, too.
    #[arg(long, value_name = "COMMIT", default_value = "HEAD")]
    since: String,
    /// Time limit for all checks together, in seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Seed of the plans [default: random, printed].
    #[arg(long)]
    seed: Option<u64>,
    /// Run nothing: print what would run.
    #[arg(long)]
    list: bool,
}

/// Arguments of `fastness campaign nightly`.
#[derive(Debug, clap::Args)]
pub(crate) struct NightlyArgs {
    /// Time limit for all steps together, in hours.
    #[arg(long, default_value_t = 8.0, value_parser = parse_hours)]
    hours: f64,
    /// Folder of this night and of the earlier ones.
    #[arg(long, value_name = "DIR", default_value = "nights")]
    dir: PathBuf,
    /// Run only shard i of n.
    #[arg(long, value_name = "i/n", default_value_t = Shard::WHOLE)]
    shard: Shard,
    /// Continue the unfinished night of the folder, if it has one; else begin a night.
    #[arg(long)]
    resume: bool,
    /// Run only these parts, separated by commas: checks, fuzz, loom, faults.
    #[arg(long, value_name = "PART,..", value_delimiter = ',')]
    parts: Vec<Part>,
    /// Seed of all parts [default: random, printed]. Shards of one night need the same.
    #[arg(long)]
    seed: Option<u64>,
    /// Number of worker threads [default: one per core].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
}

fn parse_hours(text: &str) -> Result<f64, String> {
    let hours = text.parse().ok().filter(|hours: &f64| (0.0..=10_000.0).contains(hours));
    hours.filter(|hours| *hours > 0.0).ok_or_else(|| "write hours, like 8 or 0.5".to_owned())
}

fn changed(args: &ChangedArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let change = Changed::since(&args.since, &current_folder()?)?;
    let names: Vec<&str> = change.checks.iter().map(|check| check.name).collect();
    writeln!(out, "{} files changed since {}", change.files.len(), args.since)?;
    writeln!(out, "checks: {}", names.join(", "))?;
    for test in &change.tests {
        writeln!(out, "cargo test {test}")?;
    }
    if args.list {
        return Ok(0);
    }
    let seed = args.seed.unwrap_or_else(plans::random_seed);
    writeln!(out, "seed {seed}")?;
    out.flush()?;
    let mut written = Ok(());
    let result = change.run((args.seconds, seed), &stop_on_interrupt()?, &mut |line| {
        if written.is_ok() {
            written = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    })?;
    written?;
    Ok(if result == ChangedResult::default() { 0 } else { PROBLEM })
}

fn nightly(args: NightlyArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let here = current_folder()?;
    let night = Nightly {
        dir: args.dir,
        budget: Duration::from_secs_f64(args.hours * 3600.0),
        seed: args.seed.unwrap_or_else(plans::random_seed),
        jobs: args.jobs.map_or_else(core_count, usize::from),
        shard: args.shard,
        parts: if args.parts.is_empty() { Part::ALL.to_vec() } else { args.parts },
        resume: args.resume,
        here,
    };
    writeln!(out, "night in {}", night.dir.display())?;
    let mut written = Ok(());
    let result = night.run(&stop_on_interrupt()?, &mut |line| {
        if written.is_ok() {
            written = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    })?;
    written?;
    print_night(&result, out)
}

fn print_night(result: &NightResult, out: &mut dyn Write) -> Result<u8, Failure> {
    let summary = &result.summary;
    for finding in &summary.findings {
        writeln!(out, "\n{}: {}", finding.invariant, finding.promise)?;
        writeln!(out, "  {}", finding.text)?;
        writeln!(out, "  {}", finding.replay)?;
    }
    writeln!(out, "\n{}: {}", summary.verdict.word().to_uppercase(), summary.sentence)?;
    writeln!(out, "first:  {}", summary.advice)?;
    writeln!(out, "report: {}", result.page.display())?;
    Ok(summary.exit_code)
}

pub(crate) fn run(args: CampaignArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    match args.command {
        None => run_campaign(args, out),
        Some(CampaignCommand::List { json: false }) => {
            list::print(out)?;
            Ok(0)
        }
        Some(CampaignCommand::List { json: true }) => {
            writeln!(out, "{:#}", list::json())?;
            Ok(0)
        }
        Some(CampaignCommand::Replay { plan, twin, check }) => {
            replay(&plan, ReplayOptions { twin, check }, out)
        }
        Some(CampaignCommand::Changed(args)) => changed(&args, out),
        Some(CampaignCommand::Nightly(args)) => nightly(args, out),
        Some(CampaignCommand::Corpus(args)) => corpus::run(args, out),
        Some(CampaignCommand::Foreign(args)) => foreign::run(args, out),
        Some(CampaignCommand::Mutants(args)) => mutants::run(args, out),
        Some(CampaignCommand::Merge { shards, out: folder })
            if shards.iter().any(|shard| night::is_night(shard)) =>
        {
            let result = night::merge(&shards, &folder)?;
            print_night(&result, out)
        }
        Some(CampaignCommand::Merge { shards, out: folder }) => {
            let result = merge::merge(&shards, &folder)?;
            print_result(&result, out)?;
            Ok(result.summary.exit_code)
        }
        Some(CampaignCommand::Promote { finding, to, twin }) => {
            promote(&finding, &PromoteOptions { to, twin }, out)
        }
    }
}

fn replay(plan: &str, replay_options: ReplayOptions, out: &mut dyn Write) -> Result<u8, Failure> {
    let folder = Path::new(plan);
    let is_failed = if folder.is_dir() {
        replay::run_folder(folder, replay_options, out).map_err(Failure::usage)? > 0
    } else {
        let file = replay::load_plan(plan, replay_options).map_err(Failure::usage)?;
        replay::run(&file, out)?.is_some()
    };
    Ok(if is_failed { PROBLEM } else { 0 })
}

fn run_campaign(args: CampaignArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let campaign = Campaign {
        seconds: args.seconds.unwrap_or(if args.plans.is_some() { DAY } else { MINUTE }),
        plans: args.plans,
        seed: args.seed.unwrap_or_else(plans::random_seed),
        jobs: args.jobs.map_or_else(core_count, usize::from),
        only: args.only,
        out: args.out,
        shard: args.shard,
        fail_fast: args.fail_fast,
    };
    let Campaign { seed, seconds, jobs, .. } = campaign;
    let goal = campaign.goal();
    let limit = match goal {
        Goal::Seconds(_) => format!("{seconds} s"),
        Goal::Plans(plans) => format!("{plans} plans"),
    };
    writeln!(out, "campaign of {limit}, seed {seed}, jobs {jobs}")?;
    out.flush()?;
    let result = campaign.run(&stop_on_interrupt()?, Progress::new(goal))?;
    print_result(&result, out)?;
    Ok(result.summary.exit_code)
}

fn print_result(result: &CampaignResult, out: &mut dyn Write) -> io::Result<()> {
    let summary = &result.summary;
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
    writeln!(out, "rerun:  {}", summary.rerun)?;
    writeln!(out, "report: {}", result.report.display())
}

fn table_row(check: &CheckSummary, out: &mut dyn Write) -> io::Result<()> {
    let missed = check.marks_missed().count();
    writeln!(
        out,
        "{:<12} {:<9} {:>9} plans {:>12} operations {:>9} per CPU second  marks {}/{}",
        check.name,
        check.twin,
        thousands(check.plans),
        thousands(check.operations),
        thousands(check.speed()),
        check.marks.len() - missed,
        check.marks.len(),
    )
}

struct PromoteOptions {
    to: Option<PathBuf>,
    twin: Option<Twin>,
}

fn promote(finding: &str, options: &PromoteOptions, out: &mut dyn Write) -> Result<u8, Failure> {
    let replay_options = ReplayOptions { twin: options.twin, check: None };
    let file = replay::load_plan(finding, replay_options).map_err(Failure::usage)?;
    if options.to.is_none() && file.pair.check.name == CANARY.name {
        let refused = "a plan of the canary violates a false promise for ever, so it is no \
            regression test; --to DIR tries the command out";
        return Err(Failure::usage(refused.to_owned()));
    }
    let around = || env::current_dir().ok().and_then(|here| promote::regressions_folder(&here));
    let folder = options.to.clone().or_else(around).ok_or_else(|| {
        Failure::usage(format!(
            "{} is not in a workspace with a folder `proptests`; pass --to",
            env::current_dir().unwrap_or_default().display()
        ))
    })?;
    let promoted = promote::promote(&file, &folder)?;
    let path = promoted.path.display();
    if promoted.new {
        writeln!(out, "wrote {path}")?;
        writeln!(out, "`cargo test` replays it from now on as {}", file.pair)?;
    } else {
        writeln!(out, "{path} already exists: nothing to do")?;
    }
    let violation = replay::run(&file, &mut io::sink())?;
    match violation {
        Some(violation) => writeln!(out, "it still fails: {violation}")?,
        None => writeln!(out, "it passes now: the regression test keeps it fixed")?,
    }
    Ok(0)
}

pub(crate) fn parse_check(name: &str) -> Result<&'static Check, String> {
    by_name(name).ok_or_else(|| "no such check; see `fastness campaign list`".to_owned())
}

fn parse_twin(name: &str) -> Result<Twin, String> {
    twin_by_name(name).ok_or_else(|| "a twin is `plain` or `encrypted`".to_owned())
}
