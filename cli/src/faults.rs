//! `fastness faults`: plants one fault after the other and says who caught it.

use crate::campaign::{INTERRUPTED, cores, stop_on_interrupt};
use crate::failure::{BAD, Failure};
use fastness::fault::Fault;
use fastness_campaign::faults::{FaultCampaign, FaultRow, FaultSummary, all, by_id, outputs};
use std::io::{self, Write};
use std::path::PathBuf;

const EXIT_CODES: &str = "Exit codes: 0 every fault was caught and the clean build raised no \
    alarm, 1 not so, 2 usage, 4 the surroundings do not allow it, 130 interrupted.";

/// What `fastness faults` is given.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct FaultArgs {
    /// How long each fault, and the clean build before them, is attacked at most.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Only these faults, separated by commas.
    #[arg(long, value_name = "ID,..", value_delimiter = ',', value_parser = fault)]
    only: Vec<Fault>,
    /// Decides every plan.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often each fault is planted, each time with the next seed.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Worker threads; one for each core if not given.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// The folder for faults.json and faults.md.
    #[arg(long, value_name = "DIR", default_value = "target/faults")]
    out: PathBuf,
    /// Answer in JSON, for programs.
    #[arg(long)]
    json: bool,
}

fn fault(id: &str) -> Result<Fault, String> {
    by_id(id).ok_or_else(|| {
        let ids: Vec<&str> = all().iter().map(|fault| fault.id()).collect();
        format!("no such fault; there are {}", ids.join(", "))
    })
}

pub(crate) fn run(args: FaultArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let campaign = FaultCampaign {
        seconds: args.seconds,
        faults: if args.only.is_empty() { all() } else { args.only },
        seed: args.seed,
        rounds: args.rounds,
        jobs: args.jobs.map_or_else(cores, usize::from),
        out: args.out,
    };
    let stop = stop_on_interrupt()?;
    let mut told = Ok(());
    let summary = campaign.run(&stop, &mut |row| {
        if !args.json && told.is_ok() {
            told = tell(row, out);
        }
    })?;
    told?;
    if args.json {
        let text = serde_json::to_string_pretty(&summary).map_err(io::Error::from)?;
        writeln!(out, "{text}")?;
    } else {
        conclude(&summary, &campaign, out)?;
    }
    Ok(match (summary.interrupted, summary.is_good()) {
        (true, _) => INTERRUPTED,
        (false, true) => 0,
        (false, false) => BAD,
    })
}

fn tell(row: &FaultRow, out: &mut dyn Write) -> io::Result<()> {
    match row.slowest().filter(|_| row.is_caught()) {
        Some(catch) => writeln!(
            out,
            "{:<6} caught by {:<21} {:<4} in {:>7.2} s, {:>7} plans; minimal {:>3} operations; {}",
            row.id,
            format!("{}/{}", catch.check, catch.twin),
            catch.invariant,
            catch.seconds,
            catch.plans,
            catch.operations_min,
            row.about
        ),
        None => writeln!(out, "{:<6} MISSED, reached {} times: {}", row.id, row.reached, row.about),
    }?;
    out.flush()
}

fn conclude(
    summary: &FaultSummary,
    campaign: &FaultCampaign,
    out: &mut dyn Write,
) -> io::Result<()> {
    for alarm in &summary.clean_findings {
        writeln!(out, "FALSE ALARM in the clean build: {alarm}")?;
    }
    let (caught, faults) = (summary.caught, summary.faults.len());
    writeln!(out, "\n{caught} of {faults} faults caught, {} of them reached", summary.reached)?;
    let (alarms, plans) = (summary.clean_findings.len(), summary.clean_plans);
    writeln!(out, "{alarms} false alarms in {plans} plans of the clean build")?;
    for path in outputs(&campaign.out) {
        writeln!(out, "{}", path.display())?;
    }
    Ok(())
}
