//! `fastness campaign corpus`: the inputs that fuzz targets have found.

use crate::failure::Failure;
use crate::long_run::{current_folder, stop_on_interrupt};
use clap::Subcommand;
use fastness_campaign::night::{Corpora, CorpusRow, CorpusSize};
use std::io::{self, Write};
use std::path::PathBuf;

/// Arguments of `fastness campaign corpus`.
#[derive(Debug, clap::Args)]
pub(crate) struct CorpusArgs {
    #[command(subcommand)]
    command: CorpusCommand,
    /// Folder of the nights.
    #[arg(long, value_name = "DIR", default_value = "nights", global = true)]
    dir: PathBuf,
    /// Only these fuzz targets, separated by commas.
    #[arg(long, value_name = "TARGET,..", value_delimiter = ',', global = true)]
    target: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum CorpusCommand {
    /// Count the inputs of each target, in the checkout and in the nights.
    Stats {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Add the inputs of another machine to those of the nights: a folder for each target.
    Import {
        /// The folder, such as `corpus` of a night or `fuzz/corpus` of a checkout.
        from: PathBuf,
    },
    /// Reduce the inputs of the nights to those that cover more than the others.
    Minimise {
        /// Inputs to keep for each target at most, the shortest.
        #[arg(long, value_name = "N", default_value_t = 2000)]
        inputs: usize,
    },
    /// Add inputs of the nights to `fuzz/corpus` of the checkout, if they cover more than it does.
    Export {
        /// Inputs to add for each target at most, the shortest.
        #[arg(long, value_name = "N", default_value_t = 50)]
        inputs: usize,
    },
}

pub(crate) fn run(args: CorpusArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let corpora = Corpora::open(&args.dir, &current_folder()?, args.target)?;
    match args.command {
        CorpusCommand::Stats { json } => print_stats(&corpora.stats()?, json, out)?,
        CorpusCommand::Import { from } => {
            for (target, added) in corpora.import(&from)? {
                writeln!(out, "{target:<16} {added:>6} new")?;
            }
        }
        CorpusCommand::Minimise { inputs } => minimise(&corpora, inputs, out)?,
        CorpusCommand::Export { inputs } => export(&corpora, inputs, out)?,
    }
    Ok(0)
}

fn print_stats(rows: &[CorpusRow], json: bool, out: &mut dyn Write) -> io::Result<()> {
    if json {
        return writeln!(out, "{}", serde_json::to_string_pretty(rows)?);
    }
    writeln!(out, "{:<16} {:>18} {:>18}", "target", "checkout", "nights")?;
    for CorpusRow { target, committed, nights } in rows {
        writeln!(out, "{target:<16} {:>18} {:>18}", text(*committed), text(*nights))?;
    }
    Ok(())
}

fn text(size: CorpusSize) -> String {
    format!("{} in {} KiB", size.inputs, size.bytes.div_ceil(1024))
}

fn minimise(corpora: &Corpora, inputs: usize, out: &mut dyn Write) -> Result<(), Failure> {
    let stop = stop_on_interrupt()?;
    writeln!(out, "building the fuzz targets")?;
    corpora.build(&stop)?;
    for target in &corpora.targets {
        let (before, after) = corpora.minimise(target, inputs, &stop)?;
        writeln!(out, "{target:<16} {:>18} -> {}", text(before), text(after))?;
        out.flush()?;
    }
    Ok(())
}

fn export(corpora: &Corpora, inputs: usize, out: &mut dyn Write) -> Result<(), Failure> {
    let stop = stop_on_interrupt()?;
    writeln!(out, "building the fuzz targets")?;
    corpora.build(&stop)?;
    for target in &corpora.targets {
        let added = corpora.export(target, inputs, &stop)?;
        writeln!(out, "{target:<16} {added:>6} added to fuzz/corpus/{target}")?;
        out.flush()?;
    }
    Ok(())
}
