//! The workloads on lists: the same number of elements in one long list and in many short ones.

use crate::bench::{Clock, thousands_per_second};
use crate::data::Random;
use crate::engine::{Engine, Lists, Place, Result, Spot};
use crate::samples::Samples;
use crate::sum::Sum;
use crate::world::World;
use std::path::PathBuf;

/// Elements of a short list.
const SHORT: usize = 1000;

/// Elements for each row of the data set.
const ELEMENTS: usize = 5;

/// An engine with its open lists.
struct OpenLists<'a> {
    engine: &'a dyn Engine,
    dir: PathBuf,
    lists: Box<dyn Lists>,
}

/// Runs the workloads that were asked for.
///
/// # Errors
/// As the engines say, or if one reads other elements than the others.
pub(crate) fn run(world: &World<'_>, engines: &[&dyn Engine], samples: &mut Samples) -> Result<()> {
    let elements = world.sizes.rows * ELEMENTS;
    for (prefix, length) in [("lists.", elements), ("lists.short.", SHORT)] {
        if world.selection.has(prefix) {
            let mut stores = open(world, engines)?;
            let spots = &spots(elements, length);
            Shape { prefix, spots }.run(world, &mut stores, samples)?;
            for OpenLists { dir, lists, .. } in stores {
                drop(lists);
                std::fs::remove_dir_all(dir)?;
            }
        }
    }
    Ok(())
}

fn open<'a>(world: &World<'a>, engines: &[&'a dyn Engine]) -> Result<Vec<OpenLists<'a>>> {
    let mut stores = Vec::new();
    for (index, engine) in engines.iter().enumerate() {
        let dir = world.dir.join(format!("lists{index}"));
        std::fs::create_dir_all(&dir)?;
        let place = Place { dir: &dir, cache_bytes: world.sizes.cache_bytes, synced: true };
        if let Some(lists) = engine.open_lists(&place)? {
            stores.push(OpenLists { engine: *engine, dir, lists });
        }
    }
    Ok(stores)
}

/// Returns every element, list after list.
fn spots(elements: usize, length: usize) -> Vec<Spot> {
    let spot = |number: usize| Spot {
        list: i64::try_from(number / length).unwrap_or(0),
        position: number % length,
        value: i64::try_from(number).unwrap_or(0),
    };
    (0..elements).map(spot).collect()
}

/// One shape of lists: the beginning of the keys of its rows, and every element.
struct Shape<'s> {
    prefix: &'s str,
    spots: &'s [Spot],
}

/// A loop over the lists of one engine.
type Body<'b> = &'b dyn Fn(&mut dyn Lists) -> Result<Sum>;

impl Shape<'_> {
    /// Pushes all elements, sets random ones, reads all and removes all from the end.
    fn run(
        &self,
        world: &World<'_>,
        stores: &mut [OpenLists<'_>],
        samples: &mut Samples,
    ) -> Result<()> {
        let spots = self.spots;
        let mut random = Random::new(0x0115_7500 + samples.round as u64);
        let set: Vec<_> = (0..world.sizes.updates)
            .map(|_| Spot { value: -1, ..spots[random.below(spots.len())] })
            .collect();
        let last_first: Vec<_> = spots.iter().rev().copied().collect();
        let written = |()| Sum::default();
        let mut each = |name: &str, count: usize, body: Body<'_>| {
            // Sets wait for the disk.
            let clock = if name == "set" { Clock::Wall } else { world.clock };
            let mut first = None;
            for store in &mut *stores {
                let engine = store.engine.name();
                let begun = clock.now();
                let sum = body(&mut *store.lists).map_err(|e| format!("{engine}: {e}"))?;
                let rate = thousands_per_second(count, clock.since(begun));
                samples.add(engine, &format!("{}{name}", self.prefix), rate);
                let (other, expected) = *first.get_or_insert((engine, sum));
                if sum != expected {
                    Err(format!("{engine} saw {sum:?} in {name}, {other} {expected:?}"))?;
                }
            }
            Result::Ok(())
        };
        each("push", spots.len(), &|lists| lists.push(spots).map(written))?;
        each("set", set.len(), &|lists| {
            set.chunks(100).try_for_each(|hundred| lists.set(hundred)).map(written)
        })?;
        each("scan", spots.len(), &|lists| lists.scan())?;
        each("remove", spots.len(), &|lists| {
            lists.remove(&last_first)?;
            lists.scan()
        })
    }
}
