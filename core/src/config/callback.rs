//! Callbacks of an app: functions and objects inside a configuration, with an identity.
//!
//! A configuration holds and compares them; the layers that open files run them.

use super::hash;
use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::ptr;
use std::sync::Arc;

/// Something of an app's that a configuration carries: a function, an object.
///
/// Two hooks of one name and type are equal. Without a name, a hook equals its clones only: give it
/// a name if configurations with it are built more than once.
#[derive(Clone)]
pub struct Callback {
    name: Option<Arc<str>>,
    body: Arc<dyn Any + Send + Sync>,
    type_id: TypeId,
    type_name: &'static str,
}

impl Callback {
    /// Wraps a body without a name, which equals its clones only.
    #[must_use]
    pub fn new<T: Any + Send + Sync>(body: T) -> Self {
        Self {
            name: None,
            body: Arc::new(body),
            type_id: TypeId::of::<T>(),
            type_name: type_name::<T>(),
        }
    }

    /// Wraps what equals everything of the same name and type.
    #[must_use]
    pub fn named<T: Any + Send + Sync>(name: &str, body: T) -> Self {
        Self { name: Some(name.into()), ..Self::new(body) }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns what was wrapped, if it is of this type.
    #[must_use]
    pub fn body<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.body.downcast_ref()
    }

    /// Returns whether both wrap the same type; if they differ all the same, a name is missing.
    #[must_use]
    pub fn is_of_type_of(&self, other: &Self) -> bool {
        self.type_id == other.type_id
    }

    pub(super) fn hash(&self) -> i32 {
        self.name.as_deref().map_or(0, hash::text)
    }
}

impl PartialEq for Callback {
    fn eq(&self, other: &Self) -> bool {
        match (&self.name, &other.name) {
            (Some(one), Some(two)) => one == two && self.type_id == other.type_id,
            (None, None) => ptr::addr_eq(Arc::as_ptr(&self.body), Arc::as_ptr(&other.body)),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

impl Eq for Callback {}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or(self.type_name))
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Callback({self})")
    }
}

/// How much of a file is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStats {
    /// Size of the file, in bytes.
    pub total_bytes: u64,
    /// Bytes of it that hold data.
    pub used_bytes: u64,
}

type Decide = Box<dyn Fn(FileStats) -> bool + Send + Sync>;

/// When a file is compacted as it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompactionPolicy {
    /// Above 50 MiB, when less than half is in use.
    Default,
    /// As the app says; see [`CompactionPolicy::custom`].
    Custom(Callback),
}

impl CompactionPolicy {
    /// Creates a policy of the app. Policies of one name are equal.
    #[must_use]
    pub fn custom(name: &str, rule: impl Fn(FileStats) -> bool + Send + Sync + 'static) -> Self {
        let rule: Decide = Box::new(rule);
        Self::Custom(Callback::named(name, rule))
    }

    /// Returns whether a file should be compacted. A custom hook that is no rule never says so.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the original divides in floating point")]
    pub fn should_compact(&self, file: FileStats) -> bool {
        match self {
            Self::Default => {
                let used = file.used_bytes as f64 / file.total_bytes as f64;
                file.total_bytes > 50 << 20 && used < 0.5
            }
            Self::Custom(hook) => hook.body::<Decide>().is_some_and(|rule| rule(file)),
        }
    }

    pub(super) fn hash(&self) -> i32 {
        match self {
            Self::Default => 1,
            Self::Custom(hook) => hook.hash(),
        }
    }
}

impl fmt::Display for CompactionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Custom(hook) => hook.fmt(f),
        }
    }
}
