//! Property tests of deep trees: long, similar keys give branches with few children.
//!
//! Plans of checks are short and use small values. Splits and merges of branches need thousands of
//! entries, or keys as long as these. The model is a map.
//!
//! - T1 Keys ascend strictly within a tree, and between their parent's separators.
//! - S1 Every page is reachable from the commit or free in it, never both, never neither.

use fastness::vfs::MemoryVfs;
use fastness::{KEY_BYTES_MAX, Key, Store, StoreOptions, Tree};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Number of keys: enough for four levels.
const KEYS: u16 = 160;

#[derive(Clone, Debug)]
enum TreeOp {
    /// Inserts `count` keys from `from` on, with stride `step`.
    Fill {
        from: u16,
        count: u16,
        step: u16,
        value_bytes: usize,
    },
    /// Removes keys in the same way.
    Thin {
        from: u16,
        count: u16,
        step: u16,
    },
    Clear,
    Commit,
    Abort,
    Reopen,
    Compact,
}

fn tree_ops() -> impl Strategy<Value = Vec<TreeOp>> {
    let run = || (0..KEYS, 1..KEYS, 1..7_u16);
    let values = prop_oneof![Just(0_usize), Just(40), Just(700), Just(5_000)];
    let step = prop_oneof![
        6 => (run(), values).prop_map(|((from, count, step), value_bytes)| {
            TreeOp::Fill { from, count, step, value_bytes }
        }),
        6 => run().prop_map(|(from, count, step)| TreeOp::Thin { from, count, step }),
        4 => Just(TreeOp::Commit),
        1 => Just(TreeOp::Abort),
        1 => Just(TreeOp::Clear),
        2 => Just(TreeOp::Reopen),
        1 => Just(TreeOp::Compact),
    ];
    prop::collection::vec(step, 4..24)
}

/// Keys differ in their last bytes, so that separators are as long as keys; one in eight keys is
/// short.
fn key(number: u16) -> Vec<u8> {
    let number = number % KEYS;
    let len = if number.is_multiple_of(8) { 2 } else { KEY_BYTES_MAX };
    let mut key = vec![b'k'; len];
    key[len - 2..].copy_from_slice(&number.to_be_bytes());
    key
}

type TreeModel = BTreeMap<Vec<u8>, Vec<u8>>;

struct World {
    options: StoreOptions,
    store: Option<Store>,
    committed: TreeModel,
}

impl World {
    fn new(encrypted: bool, spills: bool) -> Self {
        let (cache, spill) = if spills { (16 << 10, 4 << 10) } else { (64 << 10, usize::MAX) };
        let options = StoreOptions::new().vfs(Arc::new(MemoryVfs::default()));
        let mut options = options.cache_bytes(cache).spill_bytes(spill);
        if encrypted {
            options = options.key(Key::new([0x44; 64]));
        }
        let store = Some(options.create("deep").unwrap());
        Self { options, store, committed: TreeModel::new() }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn check(&self) {
        let snapshot = self.store().snapshot();
        compare(&snapshot.tree("deep"), &self.committed);
        assert_eq!(snapshot.verify().unwrap().problems, []);
    }

    /// Runs one transaction; returns the remaining steps.
    fn transaction<'s>(&mut self, tree_ops: &'s [TreeOp]) -> &'s [TreeOp] {
        let mut txn = self.store().write().unwrap();
        let mut working = self.committed.clone();
        for (index, step) in tree_ops.iter().enumerate() {
            let mut tree = txn.tree("deep").unwrap();
            match *step {
                TreeOp::Fill { from, count, step, value_bytes } => {
                    for number in (from..).step_by(usize::from(step)).take(usize::from(count)) {
                        let value = vec![number.to_le_bytes()[0]; value_bytes];
                        let existed = working.insert(key(number), value.clone()).is_some();
                        assert_eq!(tree.insert(&key(number), &value).unwrap(), existed);
                    }
                }
                TreeOp::Thin { from, count, step } => {
                    for number in (from..).step_by(usize::from(step)).take(usize::from(count)) {
                        let existed = working.remove(&key(number)).is_some();
                        assert_eq!(tree.remove(&key(number)).unwrap(), existed);
                    }
                }
                TreeOp::Clear => {
                    tree.clear().unwrap();
                    working.clear();
                }
                TreeOp::Commit => {
                    assert_eq!(tree.len(), working.len() as u64);
                    txn.commit().unwrap();
                    self.committed = working;
                    return &tree_ops[index + 1..];
                }
                TreeOp::Abort => {
                    txn.abort();
                    return &tree_ops[index + 1..];
                }
                TreeOp::Reopen | TreeOp::Compact => {
                    drop(txn);
                    self.between(step);
                    return &tree_ops[index + 1..];
                }
            }
        }
        &[]
    }

    fn between(&mut self, step: &TreeOp) {
        if matches!(step, TreeOp::Reopen) {
            self.store = None;
            self.store = Some(self.options.open("deep").unwrap());
        } else {
            self.store().compact().unwrap();
        }
    }
}

fn compare(tree: &Tree<'_>, model: &TreeModel) {
    assert_eq!(tree.len(), model.len() as u64);
    let entries = |range: fastness::Range<'_>| -> Vec<(Vec<u8>, Vec<u8>)> {
        range.map(Result::unwrap).map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
    };
    let expect: Vec<_> = model.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    assert!(entries(tree.range(..).unwrap()) == expect, "T1: a range differs");
    for (key, value) in model {
        assert_eq!(tree.get(key).unwrap().unwrap(), value[..]);
        let from = entries(tree.range(&key[..]..).unwrap()).len();
        assert_eq!(from, model.range(key.clone()..).count());
    }
}

fn run(tree_ops: &[TreeOp], encrypted: bool) {
    for spills in [false, true] {
        run_with(tree_ops, World::new(encrypted, spills));
    }
}

fn run_with(tree_ops: &[TreeOp], mut world: World) {
    let mut rest = tree_ops;
    while !rest.is_empty() {
        rest = world.transaction(rest);
        world.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn deep_trees_agree_with_a_map(tree_ops in tree_ops()) {
        run(&tree_ops, false);
    }

    #[test]
    fn deep_encrypted_trees_agree_with_a_map(tree_ops in tree_ops()) {
        run(&tree_ops, true);
    }
}
