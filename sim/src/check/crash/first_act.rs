//! The first durable act after a recovery: one of all acts that make something durable.

use super::CrashTester;
use crate::check::compare::{ALL, CheckError};
use crate::check::world::COPY;
use fastness::{Durability, Store};
use fastness_models::OpKind;
use fastness_models::store::{Store as Model, StoreState};

impl CrashTester<'_> {
    /// The first act after a recovery that makes something durable: one of all there are. Returns
    /// whether it is durable when it returns.
    pub(super) fn first_act(
        &mut self,
        store: &Store,
        model: &mut Model,
        lost: Option<&StoreState>,
    ) -> Result<bool, CheckError> {
        if let Some(lost) = lost.filter(|_| self.chance(2)) {
            self.probe.mark("lost commit repeated with a small change");
            self.commit_alike(store, model, lost)?;
            return Ok(true);
        }
        match self.world.rng(|rng| rng.below(12)) {
            0 => {
                store.compact()?;
                self.probe.mark("compacted right after a recovery");
            }
            1 => {
                store.write()?.commit()?;
                self.probe.mark("empty commit right after a recovery");
            }
            2 => {
                store.copy(COPY, None)?;
                self.probe.mark("copied right after a recovery");
            }
            3 => {
                self.commit_some(store, model, Durability::None)?;
                store.sync()?;
                self.probe.mark("synced a deferred commit right after a recovery");
            }
            4 => {
                self.commit_some(store, model, Durability::None)?;
                self.probe.mark("closed with a deferred commit right after a recovery");
                return Ok(false);
            }
            _ => self.commit_some(store, model, Durability::Immediate)?,
        }
        Ok(true)
    }

    /// Repeats the lost commit with one byte changed: the same pages are written, most with the
    /// same bytes.
    fn commit_alike(
        &mut self,
        store: &Store,
        model: &mut Model,
        lost: &StoreState,
    ) -> Result<(), CheckError> {
        let before = model.committed().clone();
        let mut txn = store.write()?;
        let mut other = self.world.rng(|rng| rng.below(4));
        for name in lost.names() {
            for (key, value) in lost.range(name, ALL) {
                if before.get(name, key) == Some(value) {
                    continue;
                }
                let mut value = value.to_vec();
                if other == 0 {
                    value.iter_mut().take(1).for_each(|byte| *byte ^= 0x80);
                }
                other = other.wrapping_sub(1);
                txn.tree(name)?.insert(key, &value)?;
                model.insert(name, &key.into(), &value.into());
                self.probe.count(OpKind::Insert.name(), 1);
            }
        }
        for name in before.names() {
            for (key, _) in before.range(name, ALL) {
                if lost.get(name, key).is_none() {
                    txn.tree(name)?.remove(key)?;
                    model.remove(name, key);
                    self.probe.count(OpKind::Remove.name(), 1);
                }
            }
        }
        txn.commit()?;
        model.commit();
        Ok(())
    }

    pub(super) fn commit_some(
        &mut self,
        store: &Store,
        model: &mut Model,
        durability: Durability,
    ) -> Result<(), CheckError> {
        let domain = &self.world.domain;
        let mut txn = store.write()?;
        for _ in 0..1 + self.world.rng(|rng| rng.below(6)) {
            let [tree, key, value, what] = self.world.rng(|rng| [(); 4].map(|()| rng.byte()));
            let (tree, key) = (domain.tree(tree), domain.key(key));
            if what < 80 {
                txn.tree(tree)?.remove(&key)?;
                model.remove(tree, &key);
            } else {
                let value = self.world.value(value, self.world.rng(|rng| u32::from(rng.byte())));
                txn.tree(tree)?.insert(&key, &value)?;
                model.insert(tree, &key, &value);
            }
            self.probe.count(OpKind::Insert.name(), 1);
        }
        txn.commit_with(durability)?;
        model.commit();
        Ok(())
    }
}
