//! Deferred commits: visible immediately, lost only from the end, durable with the next durable
//! commit.

use super::compare::Stop;
use super::promises::{A1, C6, C9, C14, D4};
use super::rig::{Rig, unexpected};
use super::world::World;
use super::{Check, Plan, Probe, Recipe, Twin, Violation};
use crate::rng::Rng;
use fastness::inspect::last_in_place;
use fastness_models::store::State;
use fastness_models::{Kind, Op};

pub(super) const CHECK: Check = Check {
    name: "unsynced",
    about: "commits that need not be durable, across crashes, durable commits, syncs and closing",
    invariants: &[C14, A1, C6, C9, D4],
    marks: &[
        "crash lost an unsynced commit",
        "crash lost a part of them",
        "crash lost none of them",
        "opened with a log",
        "a commit changed the last where it was",
        "a commit left the last as a snapshot holds it",
        "made durable by a commit",
        "made durable by a commit that changed nothing",
        "made durable by a sync",
        "made durable by closing",
        "made durable by compacting",
    ],
    recipe: Recipe {
        mix: &[
            (Kind::Insert, 24),
            (Kind::Remove, 5),
            (Kind::Clear, 1),
            (Kind::Fill, 6),
            (Kind::Prune, 3),
            (Kind::Get, 4),
            (Kind::Commit, 16),
            (Kind::TakeSnapshot, 1),
            (Kind::ScanSnapshot, 1),
            (Kind::DropSnapshot, 1),
            (Kind::Verify, 1),
            (Kind::Heal, 1),
            (Kind::Reopen, 1),
            (Kind::Compact, 1),
            (Kind::Kill, 1),
            (Kind::PowerLoss, 3),
        ],
        ops_min: 40,
        ops_max: 160,
    },
    body,
};

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    world.limit(512 << 10);
    let rig = Rig::create(&world, probe).map_err(|stop| unexpected(stop, A1.id))?;
    let mut tail = Tail { possible: vec![rig.model.committed().clone()], rig };
    for (step, op) in plan.ops.iter().enumerate() {
        tail.rig.step = step;
        tail.step(*op).map_err(|stop| unexpected(stop, A1.id).at(step))?;
    }
    Ok(())
}

/// A store with commits that may not be durable yet.
struct Tail<'w> {
    /// The possible states after a crash: the last durable one and all later ones, in order.
    possible: Vec<State>,
    rig: Rig<'w>,
}

impl Tail<'_> {
    fn step(&mut self, op: Op) -> Result<(), Stop> {
        match op.kind {
            Kind::Commit if !op.a.is_multiple_of(4) => {
                self.commit_unsynced()?;
                self.possible.push(self.rig.model.committed().clone());
            }
            Kind::Commit => {
                // Without an open transaction it commits an empty one.
                let changed = self.rig.model.changed();
                self.rig.write()?;
                self.rig.act(op)?;
                self.durable(match changed {
                    true => "made durable by a commit",
                    false => "made durable by a commit that changed nothing",
                });
            }
            // Another process would read the state after a crash.
            Kind::Misopen if self.possible.len() > 1 => {}
            Kind::Heal => {
                self.rig.abort();
                let synced = self.rig.store().sync()?;
                if synced != self.rig.commit {
                    let text = format!("synced commit {synced}, the last is {}", self.rig.commit);
                    return Err(Violation::new(C14.id, text).into());
                }
                self.durable("made durable by a sync");
            }
            Kind::Reopen => {
                self.rig.act(op)?;
                self.durable("made durable by closing");
            }
            Kind::Compact => {
                self.rig.act(op)?;
                self.durable("made durable by compacting");
            }
            Kind::Kill | Kind::PowerLoss => self.crash(op.kind)?,
            _ => self.rig.act(op)?,
        }
        Ok(())
    }

    fn commit_unsynced(&mut self) -> Result<(), Stop> {
        let last = self.rig.commit;
        let held = self.rig.snapshots.iter().any(|(snapshot, _)| snapshot.commit() == last);
        self.rig.commit_unsynced()?;
        let now = self.rig.commit;
        if held {
            self.rig.scan_snapshots()?;
        }
        if last_in_place(self.rig.store())? == Some(now) {
            self.rig.probe.mark("a commit changed the last where it was");
        } else if held && now != last {
            self.rig.probe.mark("a commit left the last as a snapshot holds it");
        }
        Ok(())
    }

    /// A crash now leaves this state.
    fn durable(&mut self, how: &'static str) {
        if self.possible.len() > 1 {
            self.rig.probe.mark(how);
        }
        self.possible = vec![self.rig.model.committed().clone()];
    }

    fn crash(&mut self, kind: Kind) -> Result<(), Stop> {
        let mut disk = self.rig.fs.disk();
        if kind == Kind::PowerLoss {
            let mut rng = Rng::new(self.rig.world.rng(Rng::next));
            disk = disk.power_loss(&mut rng);
        }
        self.rig.crash_to(disk);
        self.rig.probe.crash("between calls");
        let landed = self.rig.open_among(&self.possible, C14.id)?;
        if self.rig.store().info()?.log_pages > 0 {
            self.rig.probe.mark("opened with a log");
        }
        let last = self.possible.len() - 1;
        // Equal states are indistinguishable; the first one counts.
        if last > 0 && self.possible[landed] != self.possible[last] {
            self.rig.probe.mark(match landed {
                0 => "crash lost an unsynced commit",
                _ => "crash lost a part of them",
            });
        } else if last > 0 && self.possible[0] != self.possible[last] {
            self.rig.probe.mark("crash lost none of them");
        }
        self.possible = vec![self.rig.model.committed().clone()];
        Ok(())
    }
}
