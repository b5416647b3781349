//! The alphabet: what every plan, property test, fuzz target and campaign speaks.
//!
//! An operation is a kind and three operands of a byte. Operands are wrapping indices into small
//! domains, so every operation is legal at any time and any four bytes are one.

use std::fmt;

/// Bytes of an operation in a plan.
pub const OP_BYTES: usize = 4;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// What an operation does. The three operands are called a, b and c.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// Every kind, in the order of their numbers in a plan.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Returns the name a report shows.
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
    /// Reads tree a from key b to key c; the high bits of a say how bounds and ends are meant.
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
    /// Reads every tree both ways.
    Scan = "scan",
    /// Checks the whole file.
    Verify = "verify",
    /// Reads the summary of the file.
    Info = "info",
    /// Offers an argument out of bounds: a says which.
    Oversize = "oversize",
    /// Closes the file and opens it again.
    Reopen = "reopen",
    /// Tries an opening that must be refused: a says which.
    Misopen = "misopen",
    /// Kills the process and opens the file again.
    Kill = "kill",
    /// Cuts the power: what was not synced is lost, torn or reordered. Opens the file again.
    PowerLoss = "power-loss",
    /// Compacts the file.
    Compact = "compact",
    /// Copies the file: a says under which key.
    Copy = "copy",
    /// Makes call b from now on fail: a says how, c says whether for ever.
    Inject = "inject",
    /// Ends the failing.
    Heal = "heal",
    /// Damages the file: a says how, b and c where.
    Damage = "damage",
    /// Keeps a copy of the file as it is.
    Keep = "keep",
    /// Logs user a in: b says how.
    LogIn = "log-in",
    /// Logs user a out.
    LogOut = "log-out",
    /// Changes the password of user a: b says by whom.
    ChangePassword = "change-password",
    /// Looks up user b for user a.
    LookUp = "look-up",
    /// Gives up a call that is under way.
    Cancel = "cancel",
    /// Opens session a for user b: c says which file.
    OpenSession = "open-session",
    /// Closes session a.
    CloseSession = "close-session",
    /// Says that the token of session a is no longer accepted.
    Expire = "expire",
    /// Lets message a arrive, as it is under way: b says how many more do.
    Carry = "carry",
    /// Loses message a: b says what is heard of that.
    Lose = "lose",
    /// Sends message a a second time.
    Repeat = "repeat",
    /// Lets time pass: a says how much, or until when.
    Pass = "pass",
    /// Sets the clock of the program: a and b say how wrong it is.
    SetClock = "set-clock",
    /// Tells the program whether there is a network: a says what.
    Network = "network",
    /// Creates an object of class a, with key b; c says whether as a struct, and what it holds.
    Create = "create",
    /// The same, or changes the object that is there.
    Upsert = "upsert",
    /// Sets a property b of an object a to value c.
    Set = "set",
    /// Adds c to a counter of an object a.
    Add = "add",
    /// Deletes an object a.
    Delete = "delete",
    /// Inserts value c into list b of an object a.
    ListInsert = "list-insert",
    /// Changes list b of an object a: c says how and where.
    ListEdit = "list-edit",
    /// Reads everything about an object a.
    Look = "look",
    /// Reads all objects.
    LookAll = "look-all",
    /// Changes a class a: b says how, c to what.
    Alter = "alter",
    /// Opens the file with other classes and a migration of c changes; a says how it ends.
    Migrate = "migrate",
    /// Asks a query, drawn from a, b and c.
    Query = "query",
    /// Somebody else calls server a with token b: c says what for.
    Stranger = "stranger",
    /// Opens file c by configuration b: a says on which thread, and as what.
    OpenInstance = "open-instance",
    /// Closes handle a: b says how, and on which thread.
    CloseInstance = "close-instance",
    /// Uses handle a: b says how, and on which thread; c is a note.
    UseInstance = "use-instance",
    /// Deletes file b, on thread a.
    DeleteFile = "delete-file",
    /// Records an action for file a: b says which.
    Require = "require",
    /// Carries out the action for file a.
    Execute = "execute",
    /// Puts something where the backup of file a is to go: b says what.
    Obstruct = "obstruct",
    /// Begins to observe, gives an observer up, or asks it: a says which.
    Observe = "observe",
    /// Changes an object b of class a as a struct: c says how.
    Update = "update",
}

/// One operation of a plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Op {
    /// What is done.
    pub kind: Kind,
    /// First operand.
    pub a: u8,
    /// Second operand.
    pub b: u8,
    /// Third operand.
    pub c: u8,
}

impl Op {
    /// Makes an operation of a kind and its operands.
    #[must_use]
    pub const fn new(kind: Kind, [a, b, c]: [u8; 3]) -> Self {
        Self { kind, a, b, c }
    }

    /// Decodes any four bytes.
    #[must_use]
    pub fn from_bytes([kind, a, b, c]: [u8; OP_BYTES]) -> Self {
        Self { kind: Kind::ALL[usize::from(kind) % Kind::ALL.len()], a, b, c }
    }

    /// Encodes, so that [`Op::from_bytes`] gives the same operation.
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
        for kind in Kind::ALL {
            let op = Op::new(*kind, [7, 255, 0]);
            assert_eq!(Op::from_bytes(op.to_bytes()), op);
        }
    }
}
