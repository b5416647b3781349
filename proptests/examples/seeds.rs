//! Writes what the fuzz targets begin with: `seeds DIR` makes `DIR/TARGET/` for every target. Plans
//! are those that the campaign would run first.

use fastness_proptests::BODIES;
use fastness_proptests::bodies::{
    auth_seeds, file_seeds, http_seeds, page_seeds, seal_seeds, server_seeds,
};
use fastness_sim::check;
use std::path::PathBuf;
use std::{env, fs, io};

const PLANS: u64 = 8;

/// Plans of a check, for both twins.
fn plans(target: &str) -> Vec<Vec<u8>> {
    let Some(check) = check::by_name(&target.replace('_', "-")) else { return Vec::new() };
    let plan = |seed: u64| {
        let twin = u8::from(seed % 2 == 1);
        [vec![twin], check.plan(seed / 2).to_bytes()].concat()
    };
    (0..PLANS).map(plan).collect()
}

fn main() -> io::Result<()> {
    let dir = PathBuf::from(env::args().nth(1).unwrap_or_else(|| "fuzz/corpus".to_owned()));
    for body in BODIES {
        let seeds = match body.name {
            "auth" => auth_seeds(),
            "file" => file_seeds(),
            "http" => http_seeds(),
            "page" => page_seeds(),
            "seal" => seal_seeds(),
            "server" => server_seeds(),
            "auth_users" => plans("auth"),
            check => plans(check),
        };
        fs::create_dir_all(dir.join(body.name))?;
        for (index, seed) in seeds.iter().enumerate() {
            fs::write(dir.join(body.name).join(format!("seed-{index:02}")), seed)?;
        }
    }
    Ok(())
}
