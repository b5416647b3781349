//! `fastness completions` and `fastness man`: files for shells and for `man`.

use crate::failure::Failure;
use clap::Command;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// The folder, as `/usr/local/share/man/man1`; it must exist.
    folder: PathBuf,
}

/// Prints the completions of a shell for a program.
pub(crate) fn completions(
    args: &CompletionsArgs,
    mut program: Command,
    out: &mut dyn Write,
) -> Result<u8, Failure> {
    // The generator panics if it cannot write.
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut program, "fastness", &mut text);
    out.write_all(&text)?;
    Ok(0)
}

/// Writes a page for each command of a program.
pub(crate) fn man(args: &ManArgs, program: Command, out: &mut dyn Write) -> Result<u8, Failure> {
    let folder = args.folder.display();
    clap_mangen::generate_to(program, &args.folder).map_err(|error| {
        Failure::environment(format!("{folder}: cannot write the pages: {}", error.kind()))
    })?;
    writeln!(out, "{folder}: fastness.1, and a page for each command")?;
    Ok(0)
}
