//! Deferred commits: visible immediately, lost only from the end, durable with the next durable
//! commit.

use super::compare::CheckError;
use super::crash::check_outcome;
use super::definition::{Check, Distribution, Twin, Violation};
use super::plan::Plan;
use super::probe::Probe;
use super::promises::{A1, A3, A4, C6, C9, C14, D4, L3, S8, T5};
use super::store_harness::{StoreHarness, unexpected};
use super::world::World;
use crate::Rng;
use fastness::inspect::last_in_place;
use fastness_models::store::StoreState;
use fastness_models::{Op, OpKind};

pub(super) const CHECK: Check = Check {
    name: "unsynced",
    about: "deferred commits, across crashes, durable commits, syncs and closing",
    invariants: &[C14, L3, A1, A3, A4, C6, C9, D4, S8, T5],
    marks: &[
        "crash lost a deferred commit",
        "crash lost some deferred commits",
        "crash lost no deferred commit",
        "opened a file with a log",
        "commit updated the last one in place",
        "commit copied pages that a snapshot holds",
        "made durable by a durable commit",
        "made durable by an empty commit",
        "made durable by a sync",
        "made durable by a close",
        "made durable by a compaction",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Insert, 24),
            (OpKind::Remove, 5),
            (OpKind::Clear, 1),
            (OpKind::Move, 1),
            (OpKind::Fill, 6),
            (OpKind::Prune, 3),
            (OpKind::Get, 4),
            (OpKind::Commit, 16),
            (OpKind::TakeSnapshot, 1),
            (OpKind::ScanSnapshot, 1),
            (OpKind::DropSnapshot, 1),
            (OpKind::Verify, 1),
            (OpKind::ClearFault, 1),
            (OpKind::Reopen, 1),
            (OpKind::Compact, 1),
            (OpKind::Kill, 1),
            (OpKind::PowerLoss, 3),
        ],
        ops_min: 40,
        ops_max: 160,
    },
    body,
};

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    world.limit(512 << 10);
    let harness = StoreHarness::create(&world, probe).map_err(|error| unexpected(error, A1.id))?;
    let mut unsynced = UnsyncedStore { possible: vec![harness.model.committed().clone()], harness };
    for (step, op) in plan.ops.iter().enumerate() {
        unsynced.harness.step = step;
        unsynced.step(*op).map_err(|error| unexpected(error, A1.id).at(step))?;
    }
    Ok(())
}

/// A store with commits that may not be durable yet.
struct UnsyncedStore<'w> {
    /// The possible states after a crash: the last durable one and all later ones, in order.
    possible: Vec<StoreState>,
    harness: StoreHarness<'w>,
}

impl UnsyncedStore<'_> {
    fn step(&mut self, op: Op) -> Result<(), CheckError> {
        match op.kind {
            OpKind::Commit if !op.a.is_multiple_of(4) => {
                self.commit_unsynced()?;
                self.possible.push(self.harness.model.committed().clone());
            }
            OpKind::Commit => {
                // Without an open transaction it commits an empty one.
                let changed = self.harness.model.has_changes();
                self.harness.write()?;
                self.harness.act(op)?;
                self.mark_durable(match changed {
                    true => "made durable by a durable commit",
                    false => "made durable by an empty commit",
                });
            }
            // Another process would read the state after a crash.
            OpKind::RefusedOpen if self.possible.len() > 1 => {}
            OpKind::ClearFault => {
                self.harness.abort();
                let synced = self.harness.store().sync()?;
                if synced != self.harness.commit {
                    let text = format!("synced commit {synced}, expected {}", self.harness.commit);
                    return Err(Violation::new(C14.id, text).into());
                }
                self.mark_durable("made durable by a sync");
            }
            OpKind::Reopen => {
                self.harness.act(op)?;
                self.mark_durable("made durable by a close");
            }
            OpKind::Compact => {
                self.harness.act(op)?;
                self.mark_durable("made durable by a compaction");
            }
            OpKind::Kill | OpKind::PowerLoss => self.crash(op.kind)?,
            _ => self.harness.act(op)?,
        }
        Ok(())
    }

    fn commit_unsynced(&mut self) -> Result<(), CheckError> {
        let last = self.harness.commit;
        let held = self.harness.snapshots.iter().any(|(snapshot, _)| snapshot.commit() == last);
        self.harness.commit_unsynced()?;
        let now = self.harness.commit;
        if held {
            self.harness.scan_snapshots()?;
        }
        if last_in_place(self.harness.store())? == Some(now) {
            self.harness.probe.mark("commit updated the last one in place");
        } else if held && now != last {
            self.harness.probe.mark("commit copied pages that a snapshot holds");
        }
        Ok(())
    }

    /// A crash now leaves this state.
    fn mark_durable(&mut self, how: &'static str) {
        if self.possible.len() > 1 {
            self.harness.probe.mark(how);
        }
        self.possible = vec![self.harness.model.committed().clone()];
    }

    fn crash(&mut self, kind: OpKind) -> Result<(), CheckError> {
        let mut disk = self.harness.fs.disk();
        if kind == OpKind::PowerLoss {
            let mut rng = Rng::new(self.harness.world.rng(Rng::next));
            disk = disk.power_loss(&mut rng);
        }
        let last_commit = self.harness.commit;
        self.harness.crash_to(disk);
        self.harness.probe.crash("between calls");
        let landed = self.harness.open_among(&self.possible, C14.id)?;
        check_outcome(self.harness.store(), self.harness.commit == last_commit)?;
        if self.harness.store().info()?.log_pages > 0 {
            self.harness.probe.mark("opened a file with a log");
        }
        let last = self.possible.len() - 1;
        // Equal states are indistinguishable; the first one counts.
        if last > 0 && self.possible[landed] != self.possible[last] {
            self.harness.probe.mark(match landed {
                0 => "crash lost a deferred commit",
                _ => "crash lost some deferred commits",
            });
        } else if last > 0 && self.possible[0] != self.possible[last] {
            self.harness.probe.mark("crash lost no deferred commit");
        }
        self.possible = vec![self.harness.model.committed().clone()];
        Ok(())
    }
}
