//! A program: its engines, round by round, and the rounds that are refused.

use crate::args::Args;
use crate::bench::hold;
use crate::counting;
use crate::data::Data;
use crate::disk::Floor;
use crate::engine::{Engine, Place, Result};
use crate::noise::{Cpu, FLOOR_US_MAX, FOREIGN_MAX};
use crate::round::run;
use crate::samples::{Samples, quantile};
use crate::world::World;
use serde::{Deserialize, Serialize};
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// Refused rounds for each that must count, before we give up.
const REFUSED_MAX: usize = 4;

/// The program that conducts the others.
pub const MAIN: &str = "peers";

/// Floors written to see how the disk is.
const PROBES: usize = 50;

/// Measurements of one program.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) samples: Samples,
    pub(crate) refused: usize,
    pub(crate) noisy: usize,
}

/// Says on the terminal how far we are; nothing if there is none.
pub(crate) fn say(text: &str) -> Result<()> {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        write!(stderr, "\r\x1b[K{text}")?;
        stderr.flush()?;
    }
    Ok(())
}

/// Waits to be killed, with an open store.
pub(crate) fn be_held(args: &Args, engines: &[&dyn Engine], name: &str) -> Result<()> {
    let engine = engines.iter().find(|engine| engine.name() == name);
    let engine = engine.ok_or_else(|| format!("no engine {name}"))?;
    let sizes = args.sizes();
    let dir = args.dir.as_deref().ok_or("--hold needs --dir")?;
    let place = Place { dir, cache_bytes: sizes.cache_bytes, synced: true };
    hold(*engine, &place, &Data::new(sizes.rows, args.round))
}

/// Runs the rounds of a program.
pub(crate) fn measure(args: &Args, engines: &[&dyn Engine], program: &str) -> Result<Measured> {
    let dir = match &args.dir {
        Some(dir) => tempfile::Builder::new().prefix("peers").tempdir_in(dir)?,
        None => tempfile::Builder::new().prefix("peers").tempdir_in(disk_dir()?)?,
    };
    let selection = args.selection();
    let mut floor = Floor::new(dir.path())?;
    let mut measured = Measured::default();
    measured.samples.program = program.to_owned();
    if selection.has("count.") && program == MAIN {
        counting::count(dir.path(), &Data::new(args.counted_rows(), 0), &mut measured.samples)?;
    }
    if !selection.beside(&["count", "build"]) {
        return Ok(measured);
    }
    let world = World {
        engines,
        sizes: args.sizes(),
        selection: &selection,
        dir: dir.path(),
        clock: args.clock(),
    };
    let mut round = 0;
    while round < args.rounds() {
        let (of, refused) = (args.rounds(), measured.refused);
        say(&format!("{program}: round {} of {of}, {refused} refused", round + 1))?;
        let mut samples = Samples { program: program.to_owned(), round, ..Samples::default() };
        let cpu = Cpu::now()?;
        run(&world, &mut floor, &mut samples)?;
        let foreign = cpu.foreign_since()?;
        let floor_us = probe(&mut floor)?;
        let quiet = foreign <= FOREIGN_MAX && floor_us <= FLOOR_US_MAX;
        if quiet || args.force {
            measured.noisy += usize::from(!quiet);
            measured.samples.append(samples);
            round += 1;
            continue;
        }
        measured.refused += 1;
        if measured.refused > REFUSED_MAX * args.rounds() {
            let percent = foreign * 100.0;
            Err(format!(
                "{program}: {} rounds refused; in the last, others used {percent:.0} % of the \
                 machine and one write with one sync took {floor_us:.0} µs; --force counts such \
                 rounds all the same",
                measured.refused
            ))?;
        }
        sleep(Duration::from_secs(1));
    }
    say("")?;
    Ok(measured)
}

fn probe(floor: &mut Floor) -> Result<f64> {
    let mut micros = Vec::new();
    for _ in 0..PROBES {
        micros.push(floor.write(1)?.as_secs_f64() * 1e6);
    }
    micros.sort_by(f64::total_cmp);
    Ok(quantile(&micros, 0.5))
}

/// Returns a directory on a disk: beside the program, since /tmp may be in memory.
fn disk_dir() -> Result<std::path::PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.parent().map_or_else(std::env::temp_dir, Path::to_path_buf))
}
