//! Operations of the writer.

use super::{StoreHarness, describe};
use crate::check::compare::{CheckError, refusal, same, same_value};
use crate::check::definition::Violation;
use fastness::inspect::spilled_pages;
use fastness::{CommitId, Error, WriteTxn};
use fastness_models::domain::{KEY_BYTES_MAX, NAME_BYTES_MAX, VALUE_BYTES_MAX};
use fastness_models::store::{Store as Model, StoreOutcome, StoreState};
use fastness_models::{Op, OpKind};

impl StoreHarness<'_> {
    pub(in crate::check) fn write(&mut self) -> Result<&mut WriteTxn, Error> {
        if self.txn.is_none() {
            self.txn = Some(self.store().write()?);
            self.touched = false;
            self.model.begin();
        }
        Ok(self.txn.as_mut().expect("a transaction is open"))
    }

    /// Runs one operation that changes the transaction.
    pub(in crate::check) fn edit(&mut self, op: Op) -> Result<(), CheckError> {
        let outcome = match op.kind {
            OpKind::Insert => self.insert(op, 0),
            OpKind::Remove => self.remove(op, 0),
            OpKind::Clear => self.clear(op),
            OpKind::Fill => self.run(op, Self::insert),
            _ => self.run(op, Self::remove),
        };
        if self.has_spilled() {
            self.probe.mark("transaction spilled");
        }
        outcome
    }

    /// Returns whether the open transaction has written pages before its commit.
    pub(in crate::check) fn has_spilled(&self) -> bool {
        self.txn.as_ref().is_some_and(|txn| spilled_pages(txn) > 0)
    }

    pub(in crate::check) fn run(
        &mut self,
        op: Op,
        each: fn(&mut Self, Op, u8) -> Result<(), CheckError>,
    ) -> Result<(), CheckError> {
        let (step, domain) = (self.step, &self.world.domain);
        self.probe.line(|| format!("{step:4} {}", describe(domain, op)));
        (0..self.world.domain.run_len(op.c)).try_for_each(|index| each(self, op, index))
    }

    pub(in crate::check) fn insert(&mut self, op: Op, index: u8) -> Result<(), CheckError> {
        let world = self.world;
        let tree = world.domain.tree(op.a);
        let key = world.domain.run(op.b, index);
        let stamp = u32::try_from(self.step).unwrap_or(0) << 8 | u32::from(index);
        let value = world.value(op.c.wrapping_add(index), stamp);
        let was = self.write()?.tree(tree)?.insert(&key, &value)?;
        let outcome = StoreOutcome::Existed(was);
        same(&outcome, &self.model.insert(tree, &key, &value), "A1")?;
        self.touched = true;
        self.note(op, &outcome);
        Ok(())
    }

    pub(in crate::check) fn remove(&mut self, op: Op, index: u8) -> Result<(), CheckError> {
        let world = self.world;
        let tree = world.domain.tree(op.a);
        let key = world.domain.run(op.b, index);
        let was = self.write()?.tree(tree)?.remove(&key)?;
        let outcome = StoreOutcome::Existed(was);
        same(&outcome, &self.model.remove(tree, &key), "A1")?;
        self.touched |= was;
        self.note(op, &outcome);
        Ok(())
    }

    pub(in crate::check) fn clear(&mut self, op: Op) -> Result<(), CheckError> {
        let world = self.world;
        let tree = world.domain.tree(op.a);
        self.write()?.tree(tree)?.clear()?;
        self.touched |= self.model.visible().len(tree) > 0;
        let outcome = self.model.clear(tree);
        self.note(op, &outcome);
        Ok(())
    }

    pub(in crate::check) fn move_tree(&mut self, op: Op) -> Result<(), CheckError> {
        let world = self.world;
        let (source, target) = (world.domain.tree(op.a), world.domain.tree(op.b));
        self.write()?.move_tree(source, target)?;
        let [from, to] = [source, target].map(|tree| self.model.visible().len(tree));
        self.touched |= source != target && from + to > 0;
        let outcome = self.model.move_tree(source, target);
        self.note(op, &outcome);
        Ok(())
    }

    pub(in crate::check) fn commit(&mut self) -> Result<(), CheckError> {
        self.commit_by(WriteTxn::commit)
    }

    pub(in crate::check) fn commit_unsynced(&mut self) -> Result<(), CheckError> {
        self.commit_by(|txn| txn.commit_with(fastness::Durability::None))
    }

    fn commit_by(
        &mut self,
        how: impl FnOnce(WriteTxn) -> Result<CommitId, Error>,
    ) -> Result<(), CheckError> {
        let has_spilled = self.has_spilled();
        let Some(txn) = self.txn.take() else { return Ok(()) };
        let changed = self.model.has_changes();
        let outcome = how(txn);
        if has_spilled {
            self.probe.mark(match &outcome {
                Ok(_) => "committed a transaction that spilled",
                Err(_) => "commit of a transaction that spilled failed",
            });
        }
        self.check_books()?;
        let commit = match outcome {
            Ok(commit) => commit,
            Err(error) => {
                self.model.abort();
                return Err(error.into());
            }
        };
        self.model.commit();
        let fits = match (changed, self.touched) {
            (true, _) => commit > self.commit,
            (false, true) => commit >= self.commit,
            (false, false) => commit == self.commit,
        };
        if !fits || self.store().snapshot().commit() != commit {
            let text = format!("commit {commit} follows {}, changed {changed}", self.commit);
            return Err(Violation::new("A1", text).into());
        }
        self.commit = commit;
        self.note(Op::new(OpKind::Commit, [0; 3]), &StoreOutcome::Done);
        Ok(())
    }

    /// Hands over the transaction and its resulting state; the harness then has no transaction.
    pub(in crate::check) fn hand_over(&mut self) -> Option<(WriteTxn, StoreState)> {
        let txn = self.txn.take()?;
        let state = self.model.visible().clone();
        self.model.abort();
        Some((txn, state))
    }

    /// Adopts a state that other writers committed.
    pub(in crate::check) fn rebase_on(&mut self, state: StoreState) {
        self.model = Model::at(state);
        self.commit = self.store().snapshot().commit();
    }

    /// Drops the transaction.
    pub(in crate::check) fn abort(&mut self) {
        if self.has_spilled() {
            self.probe.mark("rolled back a transaction that spilled");
        }
        if let Some(txn) = self.txn.take() {
            txn.abort();
            self.model.abort();
            self.note(Op::new(OpKind::Abort, [0; 3]), &StoreOutcome::Done);
        }
    }

    /// Passes arguments just out of bounds, which must change nothing.
    pub(in crate::check) fn oversize(&mut self, op: Op) -> Result<(), CheckError> {
        let long_key = vec![op.b; KEY_BYTES_MAX + 1 + usize::from(op.c % 4)].into();
        let key = self.world.domain.key(op.b);
        let short = self.world.value(0, 0);
        let long_name = "n".repeat(NAME_BYTES_MAX + 1 + usize::from(op.c % 4));
        let tree = self.world.domain.tree(op.b);
        let (tree, key, value) = match op.a {
            0 => (tree, key, vec![0; VALUE_BYTES_MAX + 1].into()),
            // A value of the maximum length is accepted.
            255 => (tree, key, vec![op.c; VALUE_BYTES_MAX].into()),
            1..80 => (tree, long_key, short),
            80..160 => ("", key, short),
            _ => (&*long_name, key, short),
        };
        let outcome = match self.write()?.tree(tree).and_then(|mut tree| tree.insert(&key, &value))
        {
            Ok(was) => StoreOutcome::Existed(was),
            Err(error) => match refusal(&error) {
                Some(refusal) => StoreOutcome::Refused(refusal),
                None => return Err(error.into()),
            },
        };
        same(&outcome, &self.model.insert(tree, &key, &value), "A2")?;
        if value.len() == VALUE_BYTES_MAX {
            let found = self.write()?.tree(tree)?.get(&key)?;
            same_value(found.as_ref(), self.model.visible().get(tree, &key), "A1")?;
            self.abort();
            self.probe.mark("longest value");
        }
        self.note(op, &outcome);
        Ok(())
    }
}
