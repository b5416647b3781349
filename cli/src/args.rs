//! The command line.

use crate::export::ExportArgs;
use crate::recover::RecoverArgs;
use crate::tools::{CopyArgs, DumpArgs, FileArgs};
use clap::{Parser, Subcommand};
use fastness_campaign::plans::{Shard, twin_by_name};
use fastness_sim::check::{Check, Twin, by_name};
use std::path::PathBuf;

/// Tools for Fastness files, a server, and the campaign that attacks the store.
#[derive(Debug, Parser)]
#[command(name = "fastness", version, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what a file is and holds.
    #[command(after_help = EXIT_CODES)]
    Info(FileArgs),
    /// Check every page of a file: seals, order, reachable or free.
    #[command(after_help = EXIT_CODES)]
    Verify(FileArgs),
    /// Show the pages of a file as text.
    #[command(after_help = EXIT_CODES)]
    Dump(DumpArgs),
    /// Make a file as small as it gets, atomically.
    #[command(after_help = EXIT_CODES)]
    Compact(FileArgs),
    /// Copy a file under the same key, under a new one, or under none.
    #[command(after_help = EXIT_CODES)]
    Copy(CopyArgs),
    /// Take the objects out of a file, as JSON or as an SQLite database.
    #[command(after_help = EXIT_CODES)]
    Export(ExportArgs),
    /// Explain a backup: what opens it, what is in it, and how to take that out.
    #[command(after_help = EXIT_CODES)]
    Recover(RecoverArgs),
    /// Run a server with accounts, until it is stopped (Ctrl-C, or SIGTERM).
    #[cfg(feature = "serve")]
    Serve(crate::serve::ServeArgs),
    /// Start and stop a server for tests, as HTTP requests ask: GET /start, GET /stop.
    #[cfg(feature = "serve")]
    TestServer(crate::serve::TestServerArgs),
    /// Spend a minute trying to make the store lose, corrupt or leak data.
    Campaign(CampaignArgs),
    /// Plant one real bug after the other, and see which promise catches it.
    #[cfg(feature = "faults")]
    Faults(crate::faults::FaultArgs),
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 the file has a problem (damaged, not found, \
    another key, ..), 2 usage, 4 the surroundings do not allow it (rights, space, in use, ..).";

const CAMPAIGN_EXIT_CODES: &str = "Exit codes: 0 all promises held, 1 a promise is broken, \
    2 usage, 3 blind (a mark was never hit or the canary was missed), 4 the surroundings do not \
    allow it, 130 interrupted with nothing found until then.";

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_help = CAMPAIGN_EXIT_CODES)]
pub(crate) struct CampaignArgs {
    #[command(subcommand)]
    pub(crate) command: Option<CampaignCommand>,
    /// How long plans are run.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,
    /// Decides every plan; random, and printed, if not given.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Worker threads; one for each core if not given.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// Only these checks, separated by commas.
    #[arg(long, value_name = "CHECK,..", value_delimiter = ',', value_parser = check)]
    pub(crate) only: Vec<&'static Check>,
    /// The folder for summary.json, events.jsonl, report.html and findings.
    #[arg(long, value_name = "DIR", default_value = "target/campaign")]
    pub(crate) out: PathBuf,
    /// Run only the plans whose number is i modulo n.
    #[arg(long, value_name = "i/n", default_value_t = Shard::WHOLE)]
    pub(crate) shard: Shard,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CampaignCommand {
    /// Show the checks, the invariants they guard and the marks they must hit.
    List {
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Run one plan and print it operation by operation, the same bytes every time.
    Replay {
        /// A .plan file, a folder of them, or a check and the seed of a plan, like `crash:17`.
        #[arg(value_name = "FILE|FOLDER|CHECK:SEED")]
        plan: String,
        /// Which twin; by default the one of the file, or plain.
        #[arg(long, value_name = "plain|encrypted", value_parser = twin)]
        twin: Option<Twin>,
        /// Read FILE as the raw bytes of a plan for this check, as fuzzers leave them.
        #[arg(long, value_parser = check)]
        check: Option<&'static Check>,
    },
    /// Make one summary and one report of several shards.
    Merge {
        /// The folders of the shards.
        #[arg(required = true, value_name = "DIR")]
        shards: Vec<PathBuf>,
        /// The folder for the outputs.
        #[arg(long, value_name = "DIR", default_value = "target/campaign")]
        out: PathBuf,
    },
    /// Turn a finding into a regression test.
    Promote {
        /// A .plan file of a campaign, or CHECK:SEED.
        finding: String,
        /// The folder of regression tests; by default the one of the workspace around.
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Which twin, for CHECK:SEED.
        #[arg(long, value_name = "plain|encrypted", value_parser = twin)]
        twin: Option<Twin>,
    },
}

fn check(name: &str) -> Result<&'static Check, String> {
    by_name(name).ok_or_else(|| "no such check; see `fastness campaign list`".to_owned())
}

fn twin(name: &str) -> Result<Twin, String> {
    twin_by_name(name).ok_or_else(|| "a twin is `plain` or `encrypted`".to_owned())
}
