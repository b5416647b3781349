//! The workloads on objects, engine after engine within each.

use crate::bench::{Clock, thousands_per_second};
use crate::disk::bytes_on_disk;
use crate::engine::{Engine, Objects, Place, Result};
use crate::items::{Ask, Items};
use crate::samples::{Samples, quantile};
use crate::sum::Sum;
use crate::world::World;
use std::path::PathBuf;

/// Conditions that are asked in one figure: how old an object must be at least.
const AGES: [i64; 5] = [10, 30, 50, 70, 90];

/// How often a store of many classes is opened for one figure.
const OPENS: usize = 9;

/// An engine and its store of objects.
struct Store<'a> {
    engine: &'a dyn Engine,
    dir: PathBuf,
    objects: Box<dyn Objects>,
}

/// State of the loops over objects.
struct ObjectLoops<'a, 'w> {
    stores: Vec<Store<'a>>,
    world: &'w World<'a>,
    samples: &'w mut Samples,
}

/// Runs the workloads that were asked for.
///
/// # Errors
/// As the engines say, or if one reads other objects than the others.
pub(crate) fn run<'a>(
    world: &World<'a>,
    engines: &[&'a dyn Engine],
    samples: &mut Samples,
) -> Result<()> {
    let wants = |what: &str| world.selection.has(&format!("objects.{what}"));
    if ["load", "get", "filter", "look_up", "update", "size"].into_iter().any(wants) {
        let mut stores = Vec::new();
        for (index, engine) in engines.iter().enumerate() {
            let dir = world.dir.join(format!("objects{index}"));
            std::fs::create_dir_all(&dir)?;
            if let Some(objects) = engine.open_objects(&place(world, &dir))? {
                stores.push(Store { engine: *engine, dir, objects });
            }
        }
        let items = Items::new(world.sizes.rows, samples.round as u64);
        let mut loops = ObjectLoops { stores, world, samples };
        loops.load(&items)?;
        if wants("get") {
            loops.get(&items)?;
        }
        if wants("filter") {
            loops.filter(items.all.len())?;
        }
        if wants("look_up") {
            loops.look_up(&items)?;
        }
        if wants("update") {
            loops.update(&items)?;
        }
        loops.close()?;
    }
    if wants("open") {
        opens(world, engines, samples)?;
    }
    Ok(())
}

fn place<'p>(world: &World<'_>, dir: &'p std::path::Path) -> Place<'p> {
    Place { dir, cache_bytes: world.sizes.cache_bytes, synced: true }
}

impl ObjectLoops<'_, '_> {
    /// Runs a loop on every engine, twice if the first run is to warm it, and adds what `figure`
    /// makes of the time in thousands per second; what the engines saw must agree.
    fn each(
        &mut self,
        (metric, count, clock): (&str, usize, Clock),
        body: impl Fn(&mut dyn Objects) -> Result<Option<Sum>>,
    ) -> Result<()> {
        let mut first = None;
        for store in &mut self.stores {
            let name = store.engine.name();
            let begun = clock.now();
            let outcome = body(&mut *store.objects).map_err(|e| format!("{name}: {e}"))?;
            let elapsed = clock.since(begun);
            let Some(sum) = outcome else { continue };
            self.samples.add(name, metric, thousands_per_second(count, elapsed));
            let (other, expected) = *first.get_or_insert((name, sum));
            if sum != expected {
                Err(format!("{name} saw {sum:?} in {metric}, {other} {expected:?}"))?;
            }
        }
        Ok(())
    }

    /// Runs a loop on every engine so that the next one finds all it needs in memory.
    fn warm(&mut self, items: &Items) -> Result<()> {
        let keys = items.keys();
        self.stores.iter_mut().try_for_each(|store| store.objects.get(&keys).map(drop))
    }

    fn load(&mut self, items: &Items) -> Result<()> {
        let clock = self.world.clock;
        self.each(("objects.load", items.all.len(), clock), |objects| {
            objects.load(&items.all).map(|()| Some(Sum::default()))
        })
    }

    fn get(&mut self, items: &Items) -> Result<()> {
        self.warm(items)?;
        let keys = items.keys();
        let clock = self.world.clock;
        self.each(("objects.get", keys.len(), clock), |objects| objects.get(&keys).map(Some))
    }

    fn filter(&mut self, rows: usize) -> Result<()> {
        let all = |objects: &mut dyn Objects| {
            let mut all = Sum::default();
            for age in AGES {
                let sum = objects.filter(Ask { age })?;
                all.rows += sum.rows;
                all.bytes = all.bytes.wrapping_add(sum.bytes);
            }
            Ok(Some(all))
        };
        self.stores.iter_mut().try_for_each(|store| all(&mut *store.objects).map(drop))?;
        let clock = self.world.clock;
        self.each(("objects.filter", AGES.len() * rows, clock), all)
    }

    fn look_up(&mut self, items: &Items) -> Result<()> {
        self.warm(items)?;
        let names = items.names(items.all.len() / 10);
        let clock = self.world.clock;
        self.stores.iter_mut().try_for_each(|store| store.objects.look_up(&names).map(drop))?;
        self.each(("objects.look_up", names.len(), clock), |objects| objects.look_up(&names))
    }

    fn update(&mut self, items: &Items) -> Result<()> {
        let updates = items.updates(self.world.sizes.updates);
        self.warm(items)?;
        self.each(("objects.update", updates.len(), Clock::Wall), |objects| {
            updates.chunks(100).try_for_each(|hundred| objects.update(hundred))?;
            Ok(Some(Sum::default()))
        })?;
        // All have the same points now.
        let mut sums = Vec::new();
        for store in &mut self.stores {
            sums.push(store.objects.filter(Ask { age: 0 })?);
        }
        if sums.iter().any(|sum| *sum != sums[0]) {
            Err(format!("engines differ after updates: {sums:?}"))?;
        }
        Ok(())
    }

    fn close(self) -> Result<()> {
        for Store { engine, dir, objects } in self.stores {
            drop(objects);
            let megabytes = bytes_on_disk(&dir)? as f64 / 1e6;
            self.samples.add(engine.name(), "objects.size", megabytes);
            std::fs::remove_dir_all(dir)?;
        }
        Ok(())
    }
}

/// Opens stores of many classes, whose files the system has in memory.
fn opens(world: &World<'_>, engines: &[&dyn Engine], samples: &mut Samples) -> Result<()> {
    let mut first = None;
    for (index, engine) in engines.iter().enumerate() {
        let dir = world.dir.join(format!("classes{index}"));
        std::fs::create_dir_all(&dir)?;
        let place = place(world, &dir);
        let name = engine.name();
        let mut times = Vec::new();
        for turn in 0..=OPENS {
            let begun = world.clock.now();
            let opened = engine.open_classes(&place).map_err(|e| format!("{name}: {e}"))?;
            let elapsed = world.clock.since(begun);
            let Some((sum, held)) = opened else { continue };
            drop(held);
            let (other, expected) = *first.get_or_insert((name, sum));
            if sum != expected {
                Err(format!("{name} read {sum:?} of many classes, {other} {expected:?}"))?;
            }
            // The first makes the store.
            if turn > 0 {
                times.push(elapsed.as_secs_f64() * 1e3);
            }
        }
        times.sort_by(f64::total_cmp);
        if !times.is_empty() {
            samples.add(name, "objects.open", quantile(&times, 0.5));
        }
        std::fs::remove_dir_all(dir)?;
    }
    Ok(())
}
