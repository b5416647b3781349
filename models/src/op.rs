//! The alphabet of operations that plans, property tests, fuzz targets and campaigns share.
//!
//! An operation is a kind and three operands of one byte. Operands are wrapping indices into small
//! domains. So every operation is legal at any time, and any four bytes are an operation.

use std::fmt;

/// Encoded length of an operation.
pub const OP_BYTES: usize = 4;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// The kind of an operation. The three operands are a, b and c.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum OpKind { $($(#[$doc])* $kind,)* }

        impl OpKind {
            /// All kinds, in the order of their numbers in a plan.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Returns the name for reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

kinds! {
    /// Inserts key b with value c into tree a.
    Insert = "insert",
    /// Removes key b from tree a.
    Remove = "remove",
    /// Reads key b of tree a.
    Get = "get",
    /// Reads tree a from key b to key c; the high bits of a select bounds and direction.
    Range = "range",
    /// Reads the first and the last entry of tree a.
    Ends = "ends",
    /// Counts tree a.
    Len = "len",
    /// Removes every entry of tree a.
    Clear = "clear",
    /// Inserts a run of c keys from key b into tree a.
    Fill = "fill",
    /// Removes a run of c keys from key b from tree a.
    Prune = "prune",
    /// Commits the transaction.
    Commit = "commit",
    /// Drops the transaction.
    Abort = "abort",
    /// Takes a snapshot.
    TakeSnapshot = "take-snapshot",
    /// Reads key c of tree b in snapshot a.
    ReadSnapshot = "read-snapshot",
    /// Reads every tree of snapshot a.
    ScanSnapshot = "scan-snapshot",
    /// Drops snapshot a.
    DropSnapshot = "drop-snapshot",
    /// Clones snapshot a.
    CloneSnapshot = "clone-snapshot",
    /// Reads every tree in both directions.
    Scan = "scan",
    /// Verifies the file.
    Verify = "verify",
    /// Reads the summary of the file.
    Info = "info",
    /// Passes an argument out of bounds: a selects it.
    Oversize = "oversize",
    /// Closes and reopens the file.
    Reopen = "reopen",
    /// Tries an opening that must be refused: a selects it.
    RefusedOpen = "refused-open",
    /// Kills the process and reopens the file.
    Kill = "kill",
    /// Cuts the power: unsynced changes are lost, torn or reordered. Reopens the file.
    PowerLoss = "power-loss",
    /// Compacts the file.
    Compact = "compact",
    /// Copies the file: a selects the key.
    Copy = "copy",
    /// Injects a fault into a later call: a selects the fault, b the call, c whether it is
    /// permanent.
    Inject = "inject",
    /// Ends the fault.
    ClearFault = "clear-fault",
    /// Damages the file: a selects the damage, b and c the place.
    Damage = "damage",
    /// Keeps a copy of the file.
    KeepCopy = "keep-copy",
    /// Logs in user a: b selects the credentials.
    LogIn = "log-in",
    /// Logs out user a.
    LogOut = "log-out",
    /// Changes the password of user a: b selects the caller.
    ChangePassword = "change-password",
    /// Looks up user b for user a.
    LookUp = "look-up",
    /// Cancels a pending call.
    Cancel = "cancel",
    /// Opens session a for user b: c selects the file.
    OpenSession = "open-session",
    /// Closes session a.
    CloseSession = "close-session",
    /// Reports that the token of session a expired.
    ExpireToken = "expire-token",
    /// Delivers message a, and b more.
    Deliver = "deliver",
    /// Loses message a: b selects the error.
    LoseMessage = "lose-message",
    /// Duplicates message a.
    DuplicateMessage = "duplicate-message",
    /// Advances the clock: a selects the duration.
    AdvanceClock = "advance-clock",
    /// Sets the local clock of the program: a selects the skew.
    SetClock = "set-clock",
    /// Takes the program offline or online: a selects which.
    Network = "network",
    /// Creates an object of class a with key b; c selects whether as a struct, and its values.
    Create = "create",
    /// The same, or overwrites the existing object.
    Upsert = "upsert",
    /// Sets property b of object a to value c.
    Set = "set",
    /// Increments a counter of object a by c.
    Add = "add",
    /// Deletes object a.
    Delete = "delete",
    /// Inserts value c into list b of object a.
    ListInsert = "list-insert",
    /// Edits list b of object a: c selects the edit.
    ListEdit = "list-edit",
    /// Reads object a.
    ReadObject = "read-object",
    /// Reads all objects.
    ReadAllObjects = "read-all-objects",
    /// Changes class a: b selects the change, c its argument.
    ChangeSchema = "change-schema",
    /// Opens the file with other classes and a migration of c changes; a selects the outcome.
    Migrate = "migrate",
    /// Runs a query drawn from a, b and c.
    Query = "query",
    /// A stranger calls server a with token b: c selects the call.
    ForeignCall = "foreign-call",
    /// Opens file c with configuration b: a selects thread and kind.
    OpenInstance = "open-instance",
    /// Closes handle a: b selects how, and on which thread.
    CloseInstance = "close-instance",
    /// Uses handle a: b selects how, and on which thread; c is a note.
    UseInstance = "use-instance",
    /// Deletes file b, on thread a.
    DeleteFile = "delete-file",
    /// Records an action for file a: b selects it.
    RecordAction = "record-action",
    /// Executes the recorded action of file a.
    ExecuteAction = "execute-action",
    /// Creates an obstacle at the backup path of file a: b selects it.
    BlockBackup = "block-backup",
    /// Subscribes, drops an observer, or polls one: a selects which.
    Observe = "observe",
    /// Updates object b of class a as a struct: c selects the values.
    Update = "update",
    /// Commits many small changes: a selects how, b the first key, c the tree.
    Steady = "steady",
    /// Commits transactions larger than the cache to tree a: b selects the order of keys, c how.
    Load = "load",
    /// Restores the server's backup a: later entries are lost.
    RestoreBackup = "restore-backup",
    /// Lets all users write, or only read: a selects which.
    Permit = "permit",
    /// Moves tree a to the name of tree b.
    Move = "move",
}

/// One operation of a plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Op {
    /// The kind.
    pub kind: OpKind,
    /// First operand.
    pub a: u8,
    /// Second operand.
    pub b: u8,
    /// Third operand.
    pub c: u8,
}

impl Op {
    /// Creates an operation.
    #[must_use]
    pub const fn new(kind: OpKind, [a, b, c]: [u8; 3]) -> Self {
        Self { kind, a, b, c }
    }

    /// Decodes any four bytes.
    #[must_use]
    pub fn from_bytes([kind, a, b, c]: [u8; OP_BYTES]) -> Self {
        Self { kind: OpKind::ALL[usize::from(kind) % OpKind::ALL.len()], a, b, c }
    }

    /// Encodes the operation; [`Op::from_bytes`] is the inverse.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; OP_BYTES] {
        [self.kind as u8, self.a, self.b, self.c]
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.kind.name(), self.a, self.b, self.c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_survives_its_bytes() {
        for kind in OpKind::ALL {
            let op = Op::new(*kind, [7, 255, 0]);
            assert_eq!(Op::from_bytes(op.to_bytes()), op);
        }
    }
}
