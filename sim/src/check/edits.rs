//! Small transactions of other writers, drawn before they run.

use super::world::World;
use fastness::{Error, WriteTxn};
use fastness_models::domain::Bytes;
use fastness_models::store::{Store as Model, StoreOutcome, StoreState};

/// An entry of a tree; no value for a removal.
pub(super) type EntryEdit = (String, Bytes, Option<Bytes>);

/// Draws the edits of a transaction: one to three. The stamp makes their values unique.
pub(super) fn draw_edits(world: &World, stamp: u32) -> Vec<EntryEdit> {
    let edits = (0..1 + world.rng(|rng| rng.below(3))).zip(0..).map(|(_, index): (_, u32)| {
        let [tree, key, value] = world.rng(|rng| [(); 3].map(|()| rng.byte()));
        let value = (value >= 40).then(|| world.value(value, stamp | index));
        (world.domain.tree(tree).to_owned(), world.domain.key(key), value)
    });
    edits.collect()
}

/// Returns the state after the edits, and whether they create a commit.
pub(super) fn edited(state: &StoreState, edits: &[EntryEdit]) -> (StoreState, bool) {
    let mut model = Model::at(state.clone());
    let mut commits = false;
    for (tree, key, value) in edits {
        commits |= match value {
            Some(value) => {
                model.insert(tree, key, value);
                true
            }
            None => model.remove(tree, key) == StoreOutcome::Existed(true),
        };
    }
    (model.visible().clone(), commits)
}

/// Makes the edits in a transaction.
pub(super) fn apply_edits(txn: &mut WriteTxn, edits: &[EntryEdit]) -> Result<(), Error> {
    for (tree, key, value) in edits {
        let mut tree = txn.tree(tree)?;
        match value {
            Some(value) => tree.insert(key, value).map(drop)?,
            None => tree.remove(key).map(drop)?,
        }
    }
    Ok(())
}
