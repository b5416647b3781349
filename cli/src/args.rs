//! Command-line arguments.

use crate::campaign::CampaignArgs;
use crate::export::ExportArgs;
use crate::help::{CompletionsArgs, ManArgs};
use crate::import::ImportArgs;
use crate::key::KeygenArgs;
use crate::recover::RecoverArgs;
use crate::shell::ShellArgs;
use crate::tools::{CopyArgs, DumpArgs, FileArgs};
use clap::{Parser, Subcommand};

/// Tools for Fastness files, an account server, and the verification campaign.
#[derive(Debug, Parser)]
#[command(name = "fastness", version, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show a summary of a file and its contents.
    #[command(after_help = EXIT_CODES)]
    Info(FileArgs),
    /// Verify every page of a file: seals, key order, reachable or free.
    #[command(after_help = EXIT_CODES)]
    Verify(FileArgs),
    /// Show the pages of a file as text.
    #[command(after_help = EXIT_CODES)]
    Dump(DumpArgs),
    /// Compact a file atomically.
    #[command(after_help = EXIT_CODES)]
    Compact(FileArgs),
    /// Copy a file under the same key, a new key, or without encryption.
    #[command(after_help = EXIT_CODES)]
    Copy(CopyArgs),
    /// Export the objects of a file as JSON or SQLite.
    #[command(after_help = EXIT_CODES)]
    Export(ExportArgs),
    /// Make a file of a JSON export.
    #[command(after_help = EXIT_CODES)]
    Import(ImportArgs),
    /// Find and change objects by statements, one line each.
    #[command(after_help = EXIT_CODES)]
    Shell(ShellArgs),
    /// Make a key file of 64 random bytes, readable by its owner only.
    #[command(after_help = EXIT_CODES)]
    Keygen(KeygenArgs),
    /// Explain a backup: its contents, the configurations that open it, and the next command.
    #[command(after_help = EXIT_CODES)]
    Recover(RecoverArgs),
    /// Run an account server until Ctrl-C or SIGTERM.
    #[cfg(feature = "serve")]
    Serve(crate::serve::ServeArgs),
    /// Manage the accounts of a server, whether it runs or not.
    #[cfg(feature = "serve")]
    Server(crate::server::ServerArgs),
    /// Start and stop a server for tests over HTTP: GET /start, GET /stop.
    #[cfg(feature = "serve")]
    TestServer(crate::serve::TestServerArgs),
    /// Run every check with random plans, crashes and faults; report violated promises.
    Campaign(CampaignArgs),
    /// Print completions for a shell.
    Completions(CompletionsArgs),
    /// Write the manual pages into a folder.
    Man(ManArgs),
    /// Plant known bugs one at a time, and report which check catches each.
    #[cfg(feature = "faults")]
    Faults(crate::faults::FaultArgs),
}

impl Command {
    /// Returns whether the command only shows what is in a file, so that a reader may stop early.
    pub(crate) const fn only_shows(&self) -> bool {
        matches!(self, Self::Info(_) | Self::Dump(_) | Self::Export(_) | Self::Completions(_))
    }
}

const EXIT_CODES: &str = "Exit codes: 0 success; 1 the file has a problem (damaged, not found, \
    another key, ..); 2 usage; 4 environment (permissions, space, file in use, ..).";
