//! Runs the body of a fuzz target on files: `run_body TARGET FILE..`, without libFuzzer.

use std::{env, fs, io};

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let body = fastness_proptests::BODIES.iter().find(|body| body.name == name);
    let body = body.ok_or_else(|| io::Error::other(format!("no target `{name}`")))?;
    for path in arguments {
        (body.run)(&fs::read(path)?);
    }
    Ok(())
}
