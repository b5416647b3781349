//! The binary `fastness`: file tools, the server and the verification campaign.
//!
//! - Y10 Results go to stdout, everything else to stderr; `--json` changes stdout only.
//! - Y2 Keys come from a file or from `FASTNESS_KEY`, never from an argument, and are never shown.
//! - Y3 Exit codes: 0 success, 1 a problem of the file or a violated promise, 2 usage, 3 an
//!   inconclusive campaign, 4 environment, 130 an interrupted campaign.

mod args;
mod campaign;
mod contents;
mod corpus;
mod export;
mod failure;
#[cfg(feature = "faults")]
mod faults;
mod foreign;
mod help;
mod import;
mod key;
mod long_run;
mod mutants;
#[cfg(feature = "serve")]
mod operator;
mod recover;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "serve")]
mod server;
mod shell;
#[cfg(feature = "serve")]
mod sync;
mod tools;

use crate::args::{Args, Command};
use crate::failure::Failure;
use clap::{CommandFactory as _, Parser as _};
use std::io::{self, Write as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    // A reader that has seen enough, as `head`, is no failure of a command that only shows.
    let only_shows = args.command.only_shows();
    let outcome = run(args, &mut io::stdout().lock());
    outcome.unwrap_or_else(|failure| {
        if only_shows && failure.is_closed_pipe() {
            return ExitCode::SUCCESS;
        }
        if let Some(text) = failure.text() {
            // A failed write to stderr cannot be reported.
            writeln!(io::stderr(), "fastness: {text}").unwrap_or_default();
        }
        failure.exit_code()
    })
}

fn run(args: Args, out: &mut dyn io::Write) -> Result<ExitCode, Failure> {
    let code = match args.command {
        Command::Info(args) => tools::info(&args, out),
        Command::Verify(args) => tools::verify(&args, out),
        Command::Dump(args) => tools::dump(&args, out),
        Command::Compact(args) => tools::compact(&args, out),
        Command::Copy(args) => tools::copy(&args, out),
        Command::Export(args) => export::export(&args, out),
        Command::Import(args) => import::import(&args, out),
        Command::Shell(args) => shell::shell(&args, out),
        Command::Keygen(args) => key::generate(&args, out),
        Command::Completions(args) => help::completions(&args, Args::command(), out),
        Command::Man(args) => help::man(&args, Args::command(), out),
        Command::Recover(args) => recover::recover(&args, out),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(&args, out),
        #[cfg(feature = "serve")]
        Command::Server(args) => server::run(args, out),
        #[cfg(feature = "serve")]
        Command::TestServer(args) => serve::run_control(args, out),
        Command::Campaign(args) => campaign::run(args, out),
        #[cfg(feature = "faults")]
        Command::Faults(args) => faults::run(args, out),
    }?;
    out.flush()?;
    Ok(ExitCode::from(code))
}
