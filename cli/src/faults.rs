//! `fastness faults`: plants one fault after the other and reports which check caught it.

use crate::campaign::parse_check;
use crate::failure::{Failure, PROBLEM};
use crate::long_run::{DAY, INTERRUPTED, MINUTE, core_count, current_folder, stop_on_interrupt};
use fastness::fault::Fault;
use fastness_campaign::faults::{
    FaultCampaign, FaultRow, FaultSummary, all, by_id, outputs, update_page,
};
use fastness_sim::check::Check;
use std::env;
use std::io::{self, Write};
use std::path::PathBuf;

const EXIT_CODES: &str = "Exit codes: 0 every fault was caught, without false alarms; 1 a fault \
    was missed, or the clean build raised a false alarm; 2 usage; 4 environment (permissions, \
    space, ..); 130 interrupted.";

/// Arguments of `fastness faults`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct FaultArgs {
    /// Time limit for each fault, and for the clean build that runs first, in seconds [default: 60,
    /// or a day with --plans].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// Attack each fault, and the clean build, with this many plans of each check and twin.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    plans: Option<u64>,
    /// Attack with these checks only, separated by commas.
    #[arg(long, value_name = "CHECK,..", value_delimiter = ',', value_parser = parse_check)]
    check: Vec<&'static Check>,
    /// Plant only these faults, separated by commas.
    #[arg(long, value_name = "ID,..", value_delimiter = ',', value_parser = fault)]
    only: Vec<Fault>,
    /// Seed of the plans.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of rounds; each uses the next seed.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Number of worker threads [default: one per core].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Folder for faults.json and faults.md.
    #[arg(long, value_name = "DIR", default_value = "target/faults")]
    out: PathBuf,
    /// Do not attack the clean build first: it was attacked before.
    #[arg(long)]
    no_clean: bool,
    /// Attack each fault with the checks that own its file only.
    #[arg(long, conflicts_with = "check")]
    owners: bool,
    /// Attack in this process: a fault that ends its process ends the run.
    #[arg(long)]
    together: bool,
    /// Run nothing: print the ids of the faults, one a line.
    #[arg(long)]
    list: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Run nothing: update this page with the registry and the results in --out.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["only", "json"])]
    table: Option<PathBuf>,
}

fn fault(id: &str) -> Result<Fault, String> {
    by_id(id).ok_or_else(|| {
        let ids: Vec<&str> = all().iter().map(|fault| fault.id()).collect();
        format!("no such fault; known: {}", ids.join(", "))
    })
}

fn own_program() -> Result<PathBuf, Failure> {
    let problem = |error| Failure::environment(format!("cannot tell the own program: {error}"));
    env::current_exe().map_err(problem)
}

pub(crate) fn run(args: FaultArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    if args.list {
        for fault in all() {
            writeln!(out, "{}", fault.id())?;
        }
        return Ok(0);
    }
    if let Some(path) = args.table {
        update_page(&path, &args.out)?;
        writeln!(out, "{}", path.display())?;
        return Ok(0);
    }
    let here = current_folder()?;
    let campaign = FaultCampaign {
        seconds: args.seconds.unwrap_or(if args.plans.is_some() { DAY } else { MINUTE }),
        plans: args.plans,
        checks: args.check,
        faults: if args.only.is_empty() { all() } else { args.only },
        seed: args.seed,
        rounds: args.rounds,
        jobs: args.jobs.map_or_else(core_count, usize::from),
        owners: args.owners,
        clean: !args.no_clean,
        out: args.out,
        here,
        program: if args.together { None } else { Some(own_program()?) },
    };
    let stop = stop_on_interrupt()?;
    let mut written = Ok(());
    let summary = campaign.run(&stop, &mut |row| {
        if !args.json && written.is_ok() {
            written = print_row(row, out);
        }
    })?;
    written?;
    if args.json {
        let text = serde_json::to_string_pretty(&summary).map_err(io::Error::from)?;
        writeln!(out, "{text}")?;
    } else {
        print_summary(&summary, &campaign, out)?;
    }
    Ok(match (summary.interrupted, summary.is_good()) {
        (true, _) => INTERRUPTED,
        (false, true) => 0,
        (false, false) => PROBLEM,
    })
}

fn print_row(row: &FaultRow, out: &mut dyn Write) -> io::Result<()> {
    match row.slowest().filter(|_| row.is_caught()) {
        Some(catch) => writeln!(
            out,
            "{:<6} caught by {:<21} {:<4} in {:>7.2} s, {:>7} plans; {:>3} operations; {}",
            row.id,
            format!("{}/{}", catch.check, catch.twin),
            catch.invariant,
            catch.seconds,
            catch.plans,
            catch.operations_min,
            row.about
        ),
        None => writeln!(
            out,
            "{:<6} MISSED; the faulty code ran {} times: {}",
            row.id, row.reached, row.about
        ),
    }?;
    out.flush()
}

fn print_summary(
    summary: &FaultSummary,
    campaign: &FaultCampaign,
    out: &mut dyn Write,
) -> io::Result<()> {
    for alarm in &summary.clean_findings {
        writeln!(out, "FALSE ALARM in the clean build: {alarm}")?;
    }
    let (caught, faults) = (summary.caught, summary.faults.len());
    writeln!(out, "\n{caught} of {faults} faults caught; the code of {} ran", summary.reached)?;
    let (alarms, plans) = (summary.clean_findings.len(), summary.clean_plans);
    writeln!(out, "{alarms} false alarms in {plans} plans of the clean build")?;
    for path in outputs(&campaign.out) {
        writeln!(out, "{}", path.display())?;
    }
    Ok(())
}
