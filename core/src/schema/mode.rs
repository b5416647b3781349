//! Schema modes: how an opening treats a file whose schema differs.

/// How an opening treats a file whose schema differs. The numbers are those of the object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SchemaMode {
    /// All changes are applied, and the migration fills in. For local files only.
    Automatic = 0,
    /// Nothing is written, and the version must be equal.
    Immutable = 1,
    /// Nothing is written, at any version.
    ReadOnly = 2,
    /// A file that would need a migration is emptied.
    ResetFile = 3,
    /// Only additions; removed properties stay in the file, hidden.
    Additive = 4,
    /// The migration makes all changes.
    Manual = 5,
}

/// Settings of a configuration that choose the mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModeChoice {
    /// The file is only read.
    pub read_only: bool,
    /// A file that would need a migration is deleted instead.
    pub delete_if_migration_needed: bool,
    /// The file is synchronised.
    pub synced: bool,
}

impl SchemaMode {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Automatic,
        Self::Immutable,
        Self::ReadOnly,
        Self::ResetFile,
        Self::Additive,
        Self::Manual,
    ];

    /// Chooses the mode; the first of the traits decides.
    #[must_use]
    pub const fn choose(choice: ModeChoice) -> Self {
        if choice.read_only {
            Self::Immutable
        } else if choice.delete_if_migration_needed {
            Self::ResetFile
        } else if choice.synced {
            Self::Additive
        } else {
            Self::Manual
        }
    }

    /// Returns whether this mode never writes.
    #[must_use]
    pub const fn only_reads(self) -> bool {
        matches!(self, Self::Immutable | Self::ReadOnly)
    }
}
