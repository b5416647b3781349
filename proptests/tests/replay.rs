//! Replays the fuzz corpora through the bodies of the fuzz targets.

use crate::tidy::WorkTree;
use fastness_proptests::bodies::{
    BODIES, file_bytes, file_key, file_seeds, mutate_file, object_file_seeds, page_seeds,
};
use std::cell::Cell;
use std::collections::BTreeSet;

#[test]
fn every_corpus_is_replayed_without_a_finding() {
    let tree = WorkTree::here();
    for body in BODIES {
        let mut inputs = 0;
        for path in tree.under(&format!("fuzz/corpus/{}/", body.name)) {
            // Printed if the body panics.
            println!("{path}");
            (body.run)(&tree.bytes(path));
            inputs += 1;
        }
        assert!(inputs > 0, "fuzz/corpus/{} is empty; run `cargo fuzz cmin`", body.name);
    }
}

#[test]
fn every_target_has_a_body_and_every_body_a_target() {
    let tree = WorkTree::here();
    let targets: BTreeSet<&str> = tree
        .under("fuzz/fuzz_targets/")
        .map(|path| path.trim_start_matches("fuzz/fuzz_targets/").trim_end_matches(".rs"))
        .collect();
    let bodies: BTreeSet<&str> = BODIES.iter().map(|body| body.name).collect();
    assert_eq!(targets, bodies);
    let manifest = tree.text("fuzz/Cargo.toml").unwrap();
    for name in targets {
        let named = manifest.contains(&format!("name = \"{name}\""));
        assert!(named, "{name} is not in fuzz/Cargo.toml");
    }
}

#[test]
fn no_corpus_is_without_a_target() {
    let tree = WorkTree::here();
    for path in tree.under("fuzz/corpus/") {
        let name = path.split('/').nth(2).unwrap();
        assert!(BODIES.iter().any(|body| body.name == name), "{path} belongs to no target");
    }
}

#[test]
fn seeds_are_accepted_and_survive_any_mutation() {
    let of_files = [
        ("file", file_seeds as fn() -> Vec<Vec<u8>>),
        ("object_file", object_file_seeds),
        ("page", page_seeds),
    ];
    for (name, seeds) in of_files {
        let (seeds, body) = (seeds(), BODIES.iter().find(|body| body.name == name).unwrap());
        assert!(seeds.len() > 5, "only {} seeds", seeds.len());
        seeds.iter().for_each(|seed| (body.run)(seed));
    }
    for (name, seeds) in &of_files[..2] {
        let body = BODIES.iter().find(|body| body.name == *name).unwrap();
        for (seed, number) in seeds().iter().flat_map(|seed| (0..60).map(move |n| (seed, n))) {
            let mut bytes = [&seed[..], &[0; 500]].concat();
            RANDOM.set(u64::from(number) << 32 | 1);
            let mutate = if number % 3 == 0 { flip } else { scramble };
            let size = mutate_file(&mut bytes, seed.len(), number, mutate);
            (body.run)(&bytes[..size]);
        }
    }
}

/// A simple replacement for libFuzzer's mutator.
fn flip(bytes: &mut [u8], size: usize, _size_max: usize) -> usize {
    let sum = bytes[..size].iter().map(|byte| usize::from(*byte)).sum::<usize>();
    if size > 0 {
        bytes[sum % size] ^= 1 << (sum % 8);
    }
    size
}

thread_local! {
    /// State of the generator of [`scramble`].
    static RANDOM: Cell<u64> = const { Cell::new(1) };
}

fn below(end: usize) -> usize {
    let mut word = RANDOM.get();
    word ^= word << 13;
    word ^= word >> 7;
    word ^= word << 17;
    RANDOM.set(word);
    usize::try_from(word >> 33).unwrap() % end.max(1)
}

/// Changes a few places: bits, extreme bytes and numbers, copies of other bytes.
fn scramble(bytes: &mut [u8], size: usize, _size_max: usize) -> usize {
    for _ in 0..=below(3) {
        let at = below(size);
        let Some(rest) = bytes[..size].get_mut(at..).filter(|rest| !rest.is_empty()) else { break };
        let (four, eight) = (rest.len().min(4), rest.len().min(8));
        match below(6) {
            0 => rest[0] ^= 1 << below(8),
            1 => rest[0] = [0, 1, 127, 128, 255][below(5)],
            2 => rest[..four].fill([0, 127, 255][below(3)]),
            3 => rest[..eight].fill([0, 255][below(2)]),
            4 => {
                // A number beside a power of two, where limits are.
                let power = 1_u64 << [8, 15, 16, 31, 32, 46, 47, 48][below(8)];
                let near = power.wrapping_add(2).wrapping_sub(u64::try_from(below(5)).unwrap());
                rest[..eight].copy_from_slice(&near.to_le_bytes()[..eight]);
            }
            _ => {
                let (from, count) = (below(size), 1 + below(12));
                let count = count.min(size - at).min(size - from);
                bytes.copy_within(from..from + count, at);
            }
        }
    }
    size
}

/// Most outputs of the mutator must open, which shows that it works behind the seals.
#[test]
fn mutation_keeps_seals_in_order() {
    use fastness::vfs::{Access, MemoryVfs, Vfs as _};
    let mut opened = 0;
    let mut tried = 0;
    for seed in file_seeds() {
        for number in 0..50 {
            let mut bytes = [&seed[..], &[0; 500]].concat();
            let size = mutate_file(&mut bytes, seed.len(), number, flip);
            let (bytes, encrypted) = file_bytes(&bytes[..size]);
            let vfs = MemoryVfs::default();
            let file = vfs.open("file".as_ref(), Access::CreateNew).unwrap();
            file.write_at(&bytes, 0).unwrap();
            drop(file);
            let mut options = fastness::StoreOptions::new().vfs(std::sync::Arc::new(vfs));
            if encrypted {
                options = options.key(file_key());
            }
            opened += usize::from(options.open_read_only("file").is_ok());
            tried += 1;
        }
    }
    println!("{opened} of {tried} open");
    assert!(opened * 2 > tried, "only {opened} of {tried} mutated files open");
}
