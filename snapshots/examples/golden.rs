//! Writes missing golden files and their lines in `DIGESTS`; never changes an existing one.

use fastness_snapshots::objects::{self, LIST_FILES, OBJECT_FILES};
use fastness_snapshots::{FILES, Golden, make};
use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};
use xxhash_rust::xxh3::xxh3_128;

type Make = fn(Golden) -> fastness::Result<Vec<u8>>;

fn main() -> io::Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    fs::create_dir_all(&dir)?;
    let digests = dir.join("DIGESTS");
    let mut lines = fs::read_to_string(&digests).unwrap_or_default();
    let trees = FILES.iter().map(|golden| (golden, make as Make));
    let objects = OBJECT_FILES.iter().map(|golden| (golden, objects::make as Make));
    let lists = LIST_FILES.iter().map(|golden| (golden, objects::make_lists as Make));
    for (golden, make) in trees.chain(objects).chain(lists) {
        let path = dir.join(golden.name);
        if path.exists() {
            continue;
        }
        let bytes = make(*golden).map_err(io::Error::other)?;
        writeln!(lines, "{:032x}  {}", xxh3_128(&bytes), golden.name).map_err(io::Error::other)?;
        fs::write(path, bytes)?;
    }
    fs::write(digests, lines)
}
