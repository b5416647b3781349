//! Errors at the k-th call.

use std::io;

macro_rules! calls {
    ($($(#[$doc:meta])* $call:ident = $name:literal,)*) => {
        /// A call of the store to its file system.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Call { $($(#[$doc])* $call,)* }

        impl Call {
            /// Returns the name a report shows.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$call => $name,)* }
            }
        }
    };
}

calls! {
    /// Opening a file that is there.
    Open = "open",
    /// Making a file.
    Create = "create",
    /// Reading.
    Read = "read",
    /// Writing.
    Write = "write",
    /// Asking for the length.
    Len = "len",
    /// Cutting or extending.
    SetLen = "set_len",
    /// Making a file durable.
    Sync = "sync",
    /// Renaming.
    Rename = "rename",
    /// Removing.
    Remove = "remove",
    /// Making names durable.
    SyncDir = "sync_dir",
    /// Asking for a name.
    Exists = "exists",
    /// Locking.
    Lock = "lock",
}

/// How a call fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The disk is full: what would take space fails.
    NoSpace,
    /// The device fails, whatever is asked of it.
    Io,
    /// The device fails when it is asked to make something durable.
    SyncIo,
    /// Reads and writes do less than was asked for, which is no error.
    Short,
}

/// Which call fails, and how.
#[derive(Clone, Copy, Debug)]
pub struct Injection {
    /// How.
    pub fault: Fault,
    /// How many calls that can fail this way go well before.
    pub after: u32,
    /// Whether all later ones fail as well.
    pub lasting: bool,
}

impl Fault {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::NoSpace, Self::Io, Self::SyncIo, Self::Short];

    fn hits(self, call: Call) -> bool {
        match self {
            Self::NoSpace => matches!(call, Call::Write | Call::SetLen | Call::Create),
            Self::Io => true,
            Self::SyncIo => matches!(call, Call::Sync | Call::SyncDir),
            Self::Short => matches!(call, Call::Read | Call::Write),
        }
    }

    pub(super) fn error(self) -> io::Error {
        match self {
            Self::NoSpace => io::ErrorKind::StorageFull.into(),
            // What the C library calls EIO.
            Self::Io | Self::SyncIo | Self::Short => io::Error::from_raw_os_error(5),
        }
    }
}

/// A call that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The call.
    pub call: Call,
    /// Where in the file, for reads and writes.
    pub offset: u64,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    injection: Option<Injection>,
    failed: Option<Failure>,
}

impl Faults {
    pub(super) fn inject(&mut self, injection: Injection) {
        *self = Self { injection: Some(injection), failed: None };
    }

    pub(super) const fn are_injected(&self) -> bool {
        self.injection.is_some()
    }

    pub(super) fn mend(&mut self) {
        self.injection = None;
    }

    pub(super) fn heal(&mut self) -> Option<Failure> {
        self.injection = None;
        self.failed.take()
    }

    pub(super) fn failed(&self) -> Option<Failure> {
        self.failed
    }

    pub(super) fn meet(&mut self, call: Call, offset: u64) -> Option<Fault> {
        let injection = self.injection.as_mut().filter(|injection| injection.fault.hits(call))?;
        if injection.after > 0 {
            injection.after -= 1;
            return None;
        }
        self.failed = Some(Failure { call, offset });
        let fault = injection.fault;
        if !injection.lasting {
            self.injection = None;
        }
        Some(fault)
    }
}
