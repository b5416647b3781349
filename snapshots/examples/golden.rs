//! Writes the golden files that are not there yet, and their lines in `DIGESTS`. Never changes one.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};
use xxhash_rust::xxh3::xxh3_128;

fn main() -> io::Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    fs::create_dir_all(&dir)?;
    let digests = dir.join("DIGESTS");
    let mut lines = fs::read_to_string(&digests).unwrap_or_default();
    for golden in fastness_snapshots::FILES {
        let path = dir.join(golden.name);
        if path.exists() {
            continue;
        }
        let bytes = fastness_snapshots::make(*golden).map_err(io::Error::other)?;
        writeln!(lines, "{:032x}  {}", xxh3_128(&bytes), golden.name).map_err(io::Error::other)?;
        fs::write(path, bytes)?;
    }
    fs::write(digests, lines)
}
