//! `fastness campaign foreign`: stores of others under our checks.

use crate::failure::{Failure, PROBLEM};
use crate::long_run::{INTERRUPTED, current_folder, stop_on_interrupt};
use fastness_campaign::foreign::{self, Foreign, ForeignError, ForeignStore};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// Arguments of `fastness campaign foreign`.
#[derive(Debug, clap::Args)]
pub(crate) struct ForeignArgs {
    /// The store: redb.
    #[arg(value_parser = parse_store)]
    store: &'static ForeignStore,
    /// Its version, complete, as cargo knows it.
    #[arg(long, value_name = "X.Y.Z")]
    version: String,
    /// Run the plans of these checks only, separated by commas: crash, unsynced, io-errors,
    /// compaction.
    #[arg(long, value_name = "CHECK,..", value_delimiter = ',')]
    check: Vec<String>,
    /// Count findings of these kinds and go on, separated by commas: lost, unusable, wrong,
    /// refused, damaged, panicked.
    #[arg(long, value_name = "KIND,..", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Limit of CPU time of each run, in seconds.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Number of runs, each with other plans: a time to detection needs several.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    runs: u64,
    /// Seed of the first run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for reports, logs and programs.
    #[arg(long, value_name = "DIR", default_value = "target/foreign")]
    out: PathBuf,
}

fn parse_store(name: &str) -> Result<&'static ForeignStore, String> {
    let names = || foreign::STORES.iter().map(|store| store.name).collect::<Vec<_>>().join(", ");
    foreign::by_name(name)
        .ok_or_else(|| format!("no adapter for {name}; there is one for {}", names()))
}

pub(crate) fn run(args: ForeignArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let ForeignArgs { store, version, check: checks, ignore, seconds, runs, seed, out: folder } =
        args;
    let here = current_folder()?;
    let attack = Foreign { store, version, checks, ignore, seconds, runs, seed, out: folder, here };
    let stop = stop_on_interrupt()?;
    let mut written = Ok(());
    let result = attack.run(&stop, &mut |line| {
        if written.is_ok() {
            written = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    });
    let result = result.map_err(|error| match error {
        ForeignError::Usage(text) => Failure::usage(text),
        ForeignError::Environment(error) => error.into(),
    })?;
    written?;
    if let Some(plan) = result.runs.iter().find_map(|run| run.plan.as_ref()) {
        writeln!(out, "\nsteps of {}:", plan.check)?;
        for step in &plan.steps {
            writeln!(out, "  {step}")?;
        }
    }
    writeln!(out, "report: {}", result.report.display())?;
    let is_found = result.runs.iter().any(|run| run.finding.is_some());
    Ok(match (is_found, stop.load(Ordering::Relaxed)) {
        (true, _) => PROBLEM,
        (false, true) => INTERRUPTED,
        (false, false) => 0,
    })
}
