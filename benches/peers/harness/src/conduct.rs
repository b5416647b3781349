//! The program that conducts: runs its own rounds, then the other programs', and reports.

use crate::args::Args;
use crate::engine::{Engine, Result};
use crate::fast::OURS;
use crate::html;
use crate::judge::judge;
use crate::program::{Measured, be_held, measure, say};
use crate::report::{Report, machine};
use crate::samples::Samples;
use clap::Parser as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Runs a program.
///
/// # Errors
/// Errors of an engine or of the system.
pub fn run(program: &str, engines: &[&dyn Engine], others: &[&str]) -> Result<()> {
    let args = Args::parse();
    if let Some(name) = &args.hold {
        return be_held(&args, engines, name);
    }
    let chosen = |name: &str| {
        args.engines.is_empty() || name == OURS || args.engines.iter().any(|e| e == name)
    };
    let engines: Vec<&dyn Engine> =
        engines.iter().copied().filter(|engine| chosen(engine.name())).collect();
    let mut measured = measure(&args, &engines, program)?;
    if let Some(file) = &args.samples {
        fs::write(file, serde_json::to_vec(&measured)?)?;
        return Ok(());
    }
    let mut missing = Vec::new();
    if !args.plain_only {
        for other in others {
            match run_other(&args, other) {
                Ok(theirs) => measured.merge(theirs),
                Err(error) => missing.push(format!("{other} ({error})")),
            }
        }
    }
    if args.selection().asks("build") && !(args.quick && args.only.is_empty()) {
        builds(&mut measured.samples)?;
    }
    report(&args, measured, missing)
}

fn report(args: &Args, measured: Measured, missing: Vec<String>) -> Result<()> {
    say("")?;
    let report = Report {
        machine: machine(),
        run: args.run(),
        rounds: args.rounds(),
        refused: measured.refused,
        noisy: measured.noisy,
        missing,
        failures: measured.samples.failures.clone(),
        rows: judge(&measured.samples, &args.selection())?,
    };
    if let Some(file) = &args.json {
        fs::write(file, serde_json::to_vec_pretty(&report)?)?;
    }
    if let Some(file) = &args.html {
        fs::write(file, html::page(&report)?)?;
    }
    std::io::stdout().write_all(report.table()?.as_bytes())?;
    Ok(())
}

impl Measured {
    fn merge(&mut self, other: Self) {
        self.samples.append(other.samples);
        self.refused += other.refused;
        self.noisy += other.noisy;
    }
}

/// The workspace of these programs, as it was when they were built.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn cargo() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--quiet"]).stdout(Stdio::null());
    // `cargo run` sets variables about this program. Build scripts that read them would run again
    // for each program.
    let is_ours =
        |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_ours) {
            command.env_remove(name);
        }
    }
    command
}

/// Builds another program, each on its own: one build has room for one library of a name.
fn run_other(args: &Args, program: &str) -> Result<Measured> {
    say(&format!("building {program}; the first time this takes minutes"))?;
    let manifest = workspace().join("Cargo.toml");
    let built =
        cargo().arg("--manifest-path").arg(manifest).args(["--package", program]).status()?;
    if !built.success() {
        return Err("does not build".into());
    }
    let own = std::env::current_exe()?;
    let file = tempfile::NamedTempFile::new()?;
    let mut command = Command::new(own.with_file_name(program));
    command.arg("--samples").arg(file.path());
    // A quick answer has one round of the others.
    let rounds = if args.quick { args.rounds.unwrap_or(1) } else { args.rounds() }.to_string();
    let rows = args.sizes().rows.to_string();
    command.args(["--rounds", &rounds, "--rows", &rows]);
    let flags = [("--quick", args.quick), ("--force", args.force), ("--core-time", args.core_time)];
    for (flag, is_set) in flags {
        if is_set {
            command.arg(flag);
        }
    }
    if !args.only.is_empty() {
        command.args(["--only", &args.only.join(",")]);
    }
    if let Some(dir) = &args.dir {
        command.arg("--dir").arg(dir);
    }
    let ran = command.status()?;
    if !ran.success() {
        return Err("failed; what it said is above".into());
    }
    Ok(serde_json::from_slice(&fs::read(file.path())?)?)
}

/// How often ours is built: the first build after other work also waits for memory.
const BUILDS: usize = 3;

/// The packages that peers are built from. That of SQLite would be built with SQLCipher's features.
const PACKAGES: [(&str, &str); 3] = [("LMDB", "heed"), ("redb", "redb"), ("fjall", "fjall")];

/// Builds ours, and each peer once, with nothing built before.
fn builds(samples: &mut Samples) -> Result<()> {
    let (ours, theirs) =
        (workspace().join("../../core/Cargo.toml"), workspace().join("plain/Cargo.toml"));
    for round in 0..BUILDS {
        samples.round = round;
        samples.add(OURS, "build", build_seconds(&ours, "fastness")?);
    }
    samples.round = 0;
    for (engine, package) in PACKAGES {
        samples.add(engine, "build", build_seconds(&theirs, package)?);
    }
    Ok(())
}

/// Builds a package with nothing built before, and returns how long that took.
fn build_seconds(manifest: &Path, package: &str) -> Result<f64> {
    say(&format!("building {package}, cold"))?;
    let target = tempfile::tempdir()?;
    let begun = Instant::now();
    let status = cargo()
        .arg("--manifest-path")
        .arg(manifest)
        .args(["--package", package, "--target-dir"])
        .arg(target.path())
        .status()?;
    if !status.success() {
        return Err(format!("the crate {package} does not build").into());
    }
    Ok(begun.elapsed().as_secs_f64())
}
