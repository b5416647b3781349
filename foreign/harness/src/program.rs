//! The command line of an adapter.
//!
//! It prints a JSON line for each plan that begins, so that its caller knows the plan of a hang or
//! an abort, and last the report.

use crate::driver::CHECKS;
use crate::engine::Engine;
use crate::report::Kind;
use crate::run::{Attack, attack, replay};
use clap::Parser;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Parser)]
struct Args {
    /// Seed of the first plan.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Limit of CPU time, in seconds.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Limit of plans.
    #[arg(long, default_value_t = u64::MAX)]
    plans: u64,
    /// Run the plans of these checks only, separated by commas.
    #[arg(long, value_name = "CHECK,..", value_delimiter = ',', value_parser = CHECKS)]
    check: Vec<String>,
    /// Count findings of these kinds, separated by commas, and go on: lost, unusable, wrong,
    /// refused, damaged, panicked.
    #[arg(long, value_name = "KIND,..", value_delimiter = ',', value_parser = parse_kind)]
    ignore: Vec<Kind>,
    /// Run this plan alone: the check, a colon, its bytes in hexadecimal.
    #[arg(long, value_name = "CHECK:HEX", value_parser = parse_plan)]
    plan: Option<(String, Bytes)>,
}

type Bytes = std::sync::Arc<[u8]>;

fn parse_kind(name: &str) -> Result<Kind, String> {
    let kind = serde_json::from_value(serde_json::Value::String(name.to_owned()));
    kind.map_err(|_| "write one of lost, unusable, wrong, refused, damaged, panicked".to_owned())
}

fn parse_plan(text: &str) -> Result<(String, Bytes), String> {
    let (check, hex) = text.split_once(':').ok_or("write CHECK:HEX, as the report has it")?;
    let digits = hex.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2);
        pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())
    });
    let bytes: Option<Vec<u8>> = digits.collect();
    let bytes = bytes.ok_or("the bytes of a plan are an even number of hexadecimal digits")?;
    Ok((check.to_owned(), bytes.into()))
}

/// The `main` of an adapter: attacks the store as its arguments say. The exit code is 1 with a
/// finding.
pub fn program(engine: &dyn Engine) -> ExitCode {
    let args = Args::parse();
    let found = match args.plan {
        Some((check, bytes)) => replayed(engine, &check, &bytes),
        None => {
            let cpu = Duration::from_secs(args.seconds);
            let checks = match args.check.is_empty() {
                true => CHECKS.map(str::to_owned).to_vec(),
                false => args.check,
            };
            let limits =
                Attack { seed: args.seed, cpu, plans_max: args.plans, checks, ignore: args.ignore };
            let mut begin = |check: &str, seed: u64| {
                line(&serde_json::json!({ "begin": format!("{check}:{seed}") }));
            };
            let report = attack(engine, &limits, &mut begin);
            line(&serde_json::json!({ "report": report }));
            report.finding.is_some()
        }
    };
    ExitCode::from(u8::from(found))
}

fn replayed(engine: &dyn Engine, check: &str, bytes: &[u8]) -> bool {
    let finding = replay(engine, check, bytes).err();
    let text = finding.as_ref().map(ToString::to_string);
    line(&serde_json::json!({ "finding": finding, "text": text }));
    finding.is_some()
}

/// Prints a line; a closed pipe is no error.
fn line(value: &serde_json::Value) {
    let mut out = io::stdout().lock();
    drop(writeln!(out, "{value}").and_then(|()| out.flush()));
}
