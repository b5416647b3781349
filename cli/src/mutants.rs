//! `fastness campaign mutants`: small changes of the core, one at a time, under the checks.

use crate::failure::{Failure, PROBLEM};
use crate::long_run::{INTERRUPTED, core_count, current_folder, stop_on_interrupt};
use fastness_campaign::mutants::Mutants;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `fastness campaign mutants`.
#[derive(Debug, clap::Args)]
pub(crate) struct MutantArgs {
    /// Number of mutants, drawn by the seed [default: all].
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Mutate only files whose path begins so, like core/src/tree.
    #[arg(long, value_name = "PATH", default_value = "")]
    module: String,
    /// The package to mutate: fastness or fastness-sync.
    #[arg(long, default_value = "fastness")]
    package: String,
    /// Time limit for all checks on one mutant, in seconds; before, the checks that own its file
    /// get a third of it.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Run the tests that own its file against a mutant that no check noticed.
    #[arg(long)]
    tests: bool,
    /// Seed of the sample and of the plans.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of mutants at a time [default: one per core].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Folder for mutants.json, mutants.md and the build.
    #[arg(long, value_name = "DIR", default_value = "target/mutants")]
    out: PathBuf,
}

pub(crate) fn run(args: MutantArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let mutants = Mutants {
        package: args.package,
        module: args.module,
        sample: args.sample,
        seed: args.seed,
        seconds: args.seconds,
        tests: args.tests,
        jobs: args.jobs.map_or_else(core_count, usize::from),
        out: args.out,
        here: current_folder()?,
    };
    let stop = stop_on_interrupt()?;
    let mut written = Ok(());
    let summary = mutants.run(&stop, &mut |line| {
        if written.is_ok() {
            written = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    })?;
    written?;
    writeln!(out, "\n{}", summary.markdown())?;
    for name in ["mutants.json", "mutants.md"] {
        writeln!(out, "{}", mutants.out.join(name).display())?;
    }
    Ok(match (summary.interrupted, summary.survivors().next()) {
        (true, _) => INTERRUPTED,
        (false, Some(_)) => PROBLEM,
        (false, None) => 0,
    })
}
