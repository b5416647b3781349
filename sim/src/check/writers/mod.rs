//! Several writers: commits that share a sync, and deferred commits, on a disk that crashes and
//! fails.
//!
//! While one commit is written or synced, [`group`] starts others, which then share a record. So
//! several commits are in flight at once, and a crash may lose any suffix of them. [`state`] runs
//! single commits and compares the states after crashes.

mod group;
mod state;

use super::compare::CheckError;
use super::io_faults::{injection, next_write};
use super::promises::{A1, A3, A4, C2, C3, C5, C8, C9, C11, C12, C14, D4, L1, S8, T5};
use super::store_harness::{StoreHarness, unexpected};
use super::world::World;
use crate::Rng;
use crate::check::definition::{Check, Distribution, Twin, Violation};
use crate::check::plan::Plan;
use crate::check::probe::Probe;
use fastness_models::{Op, OpKind};
use state::Writers;

pub(super) const CHECK: Check = Check {
    name: "writers",
    about: "writers with shared syncs and deferred commits, with crashes and disk errors",
    invariants: &[C2, C3, C14, L1, C5, C8, C9, C11, C12, A1, A3, A4, D4, S8, T5],
    marks: &[
        "commits shared a sync",
        "exclusive sync waited for another sync",
        "waiter for an exclusive sync saw the other sync fail",
        "deferred commit while another commit waited",
        "crash with several commits in flight: all lost",
        "crash with several commits in flight: some lost",
        "crash with several commits in flight: none lost",
        "committed after a crash with several commits in flight",
        "shared sync failed",
        "commit failed while another waited",
        "disk error with deferred commits",
        "store poisoned with deferred commits",
        "disk error lost deferred commits",
        "disk error lost no deferred commit",
        "commit failed and the store stayed usable",
        "commit failed and the store was poisoned",
        "made durable by a sync",
        "commits arrived during the write of a record",
        "failed record that later commits depend on",
        "sync failed to write and the store stayed usable",
        "deferred commits written without a waiter",
        "compaction waited for a record or a sync",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Insert, 24),
            (OpKind::Remove, 5),
            (OpKind::Fill, 3),
            (OpKind::Prune, 2),
            (OpKind::Get, 3),
            (OpKind::Commit, 16),
            (OpKind::Verify, 1),
            (OpKind::ClearFault, 4),
            (OpKind::Inject, 7),
            (OpKind::Reopen, 1),
            (OpKind::Compact, 1),
            (OpKind::Kill, 1),
            (OpKind::PowerLoss, 2),
        ],
        ops_min: 30,
        ops_max: 100,
    },
    body,
};

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    world.limit(256 << 10);
    let mut harness =
        StoreHarness::create(&world, probe).map_err(|error| unexpected(error, A1.id))?;
    harness.records = true;
    harness.watch();
    let possible = vec![harness.model.committed().clone()];
    let mut writers = Writers { possible, harness, injected: None, poisoned: false };
    for (step, op) in plan.ops.iter().enumerate() {
        writers.harness.step = step;
        writers.step(*op).map_err(|error| unexpected(error, A1.id).at(step))?;
    }
    writers.recover_all().map_err(|error| unexpected(error, C2.id).at(plan.ops.len()))
}

impl Writers<'_> {
    fn step(&mut self, op: Op) -> Result<(), CheckError> {
        // Other checks cover crashes of single commits.
        drop(self.harness.fs.take_forks());
        match op.kind {
            OpKind::Commit => match op.a % 4 {
                0 => self.attempt(op, Self::commit_unsynced),
                1 => self.attempt(op, Self::commit),
                _ => group::commit(self, op),
            },
            OpKind::ClearFault if self.injected.is_some() => self.recover_all(),
            OpKind::ClearFault => {
                if op.b & 1 == 0 {
                    self.injected = Some(next_write(op));
                    self.harness.fs.inject(next_write(op));
                }
                self.attempt(op, Self::sync)
            }
            OpKind::Inject => {
                self.recover_all()?;
                self.injected = Some(injection(op));
                self.harness.fs.inject(injection(op));
                Ok(())
            }
            OpKind::Reopen
            | OpKind::RefusedOpen
            | OpKind::Compact
            | OpKind::Kill
            | OpKind::PowerLoss => {
                self.recover_all()?;
                self.check_whole(op)
            }
            // The failed slot is torn, and verification reports it.
            OpKind::Verify if self.poisoned => Ok(()),
            _ => self.attempt(op, |writers| writers.harness.act(op)),
        }
    }

    /// Runs an operation on the whole file that needs a good disk.
    fn check_whole(&mut self, op: Op) -> Result<(), CheckError> {
        match op.kind {
            OpKind::Kill | OpKind::PowerLoss => {
                let mut disk = self.harness.fs.disk();
                if op.kind == OpKind::PowerLoss {
                    let mut rng = Rng::new(self.harness.world.rng(Rng::next));
                    disk = disk.power_loss(&mut rng);
                }
                self.harness.crash_to(disk);
                self.harness.probe.crash("between calls");
                let landed = self.harness.open_among(&self.possible, C2.id)?;
                self.possible = vec![self.possible.swap_remove(landed)];
            }
            // Another process would read the state after a crash.
            OpKind::RefusedOpen if self.possible.len() > 1 => {}
            _ => {
                self.harness.act(op)?;
                self.durable();
            }
        }
        Ok(())
    }
}
