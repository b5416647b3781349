//! Injected errors at the k-th call.

use std::io;

macro_rules! calls {
    ($($(#[$doc:meta])* $call:ident = $name:literal,)*) => {
        /// A call of the store to its file system.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Call { $($(#[$doc])* $call,)* }

        impl Call {
            /// Returns the name for reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$call => $name,)* }
            }
        }
    };
}

calls! {
    /// Opening an existing file.
    Open = "open",
    /// Creating a file.
    Create = "create",
    /// Reading.
    Read = "read",
    /// Writing.
    Write = "write",
    /// Reading the length.
    Len = "len",
    /// Truncating or extending.
    SetLen = "set_len",
    /// Syncing a file.
    Sync = "sync",
    /// Renaming.
    Rename = "rename",
    /// Removing.
    Remove = "remove",
    /// Syncing a directory.
    SyncDir = "sync_dir",
    /// Looking up a name.
    Exists = "exists",
    /// Locking.
    Lock = "lock",
    /// Setting owner and permissions.
    SetMode = "set_mode",
}

/// How a call fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Disk full: calls that allocate space fail.
    NoSpace,
    /// Device error: every call fails.
    Io,
    /// Device error on sync only.
    SyncIo,
    /// Short reads and writes, which are no errors.
    Short,
}

/// A fault and its call.
#[derive(Clone, Copy, Debug)]
pub struct Injection {
    /// The fault.
    pub fault: Fault,
    /// Number of affected calls that succeed first.
    pub after: u32,
    /// Whether all later calls fail as well.
    pub lasting: bool,
}

impl Fault {
    /// All faults.
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
            // EIO.
            Self::Io | Self::SyncIo | Self::Short => io::Error::from_raw_os_error(5),
        }
    }
}

/// A call that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The call that failed.
    pub call: Call,
    /// Offset in the file, for reads and writes.
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

    pub(super) fn clear_fault(&mut self) {
        self.injection = None;
    }

    pub(super) fn take_failure(&mut self) -> Option<Failure> {
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
