//! The kit, used as a stranger uses it.

mod explorer;
