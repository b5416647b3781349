//! Measures stores beside each other: the same rows and workloads, engines interleaved within each
//! round, disk floors in the same run, ratios taken within each round.
//!
//! Comes in: engines, and `goals.json` with what is demanded of ours. Goes out: a table, JSON, and
//! a page with charts. Method and limits: benches/README.md.

mod args;
mod bench;
mod conduct;
mod counting;
mod data;
mod disk;
mod engine;
mod fast;
mod fast_lists;
mod fast_objects;
mod html;
mod items;
mod judge;
mod lists;
mod noise;
mod objects;
mod program;
mod report;
mod round;
mod samples;
mod selection;
mod sum;
mod world;

pub use conduct::run;
pub use data::{Change, Key, Value};
pub use engine::{
    Ability, CLASSES, Db, Engine, Lists, Objects, Place, Result, Session, Snapshots, Spot,
};
pub use fast::Fastness;
pub use items::{Ask, Fields, Item, Points};
pub use program::MAIN;
pub use sum::Sum;
