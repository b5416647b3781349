//! Rare events that a model must have met, or it is blind.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Counts events over all executions of a model; of the standard library, so no step of it.
#[derive(Clone, Default)]
pub(crate) struct Marks(Arc<Mutex<BTreeMap<&'static str, usize>>>);

impl Marks {
    pub(crate) fn hit(&self, name: &'static str) {
        *self.0.lock().unwrap().entry(name).or_default() += 1;
    }

    #[track_caller]
    pub(crate) fn assert_hit(&self, names: &[&'static str]) {
        if std::env::var_os("LOOM_CHECKPOINT_FILE").is_some() {
            // A part of an exploration need not meet all.
            return;
        }
        let counts = self.0.lock().unwrap();
        for name in names {
            assert!(counts.contains_key(name), "the model never met \"{name}\", only {counts:?}");
        }
    }
}
