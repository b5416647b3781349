//! Planted faults: real bugs of comparable systems, to measure the verification suite with.
//!
//! Without the feature `faults` every switch is a constant `false` and costs nothing. With it, one
//! fault at a time is planted for the whole process. The catalogue, what each plant stands for and
//! which of them this design makes impossible: docs/verification.md#faults.

/// A bug that can be planted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Fault {
    /// Recovery seals the slot of a commit that it could not verify.
    Cr01 = 1,
    /// Compaction replaces the file before the new one is durable.
    Cr03,
    /// A commit is acknowledged while its slot is still in flight: the sync comes first.
    Cr05,
    /// The directory is not synced after a rename.
    Cr07,
    /// A failed write of the header leaves the store writable, and closing stamps it.
    Cr11,
    /// A new file is given its name before it is durable.
    Cr13,
    /// Opening insists on a file length that it could derive.
    Fp05,
    /// The nonce depends on the page number only.
    En01,
    /// A key that does not fit makes opening start a new file.
    En07,
    /// Offsets overflow a narrow integer.
    En09,
    /// The cache serves the node of an older commit.
    En11,
    /// An inverted range acts like an open one.
    Bt01,
    /// Merging branches loses the key between them.
    Bt03,
    /// Keys are compared as signed bytes.
    Bt07,
    /// Pages are reused while a snapshot still needs them.
    Mv01,
    /// Recovery trusts what a failed sync left in the system's cache.
    Fs01,
    /// The first commit after opening leaves the directory unsynced.
    Fs02,
    /// Compaction leaves a part of the file in its other slot.
    Fs03,
    /// What is left of a record that is not whole stays where the next one is written.
    Fs04,
    /// A second checkpoint of one commit is not told from the first.
    Fs05,
    /// A checkpoint writes over the log it is to replace.
    Fs06,
    /// Opening takes records of the log as durable that a failed sync left in the cache.
    Fs07,
    /// A revocation names the token that its user has when it is sent.
    Au01,
    /// An action follows one more slash when the address ends with one.
    Au03,
    /// A token that comes after the logout logs the user back in.
    Au05,
    /// A token under way keeps the session that was closed alive.
    Au07,
    /// A login leaves the parked sessions of its user parked.
    Au09,
    /// A login goes by the password that was the account's before the hash.
    Sv01,
    /// A token that was exchanged is refused, and its login goes on.
    Sv02,
    /// An answer leaves before its commit is durable.
    Sv03,
    /// Revoking a token ends the newest login of its account.
    Sv04,
    /// A change of the password leaves the other logins.
    Sv05,
    /// Whether a name is taken is asked before the hash only.
    Sv06,
    /// Another exchange forgets the successor that was made before.
    Sv07,
    /// A request that comes late counts as reuse.
    Sv08,
    /// A login goes on when it has expired.
    Sv09,
    /// An unknown name costs no hash.
    Sv10,
    /// The tags of refresh tokens are not looked at.
    Sv11,
    /// The signatures of access tokens are not looked at.
    Sv12,
    /// Whoever is logged in may look others up.
    Sv13,
    /// A login that was ended keeps its token.
    Sv14,
    /// An account holds any number of logins.
    Sv15,
    /// What follows from a change is done before that is durable.
    Cl01,
    /// Nobody waits while a token is exchanged.
    Cl02,
    /// The successor of a token is not kept.
    Cl03,
    /// Revocations are kept in memory only.
    Cl04,
    /// A token is exchanged while others use it.
    Cl05,
    /// Renewal ends with the first failure, in silence.
    Cl06,
    /// Configurations of one hash are taken for one.
    Cf01,
    /// What could not be removed counts as removed.
    Rs05,
}

impl Fault {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Cr01,
        Self::Cr03,
        Self::Cr05,
        Self::Cr07,
        Self::Cr11,
        Self::Cr13,
        Self::Fp05,
        Self::En01,
        Self::En07,
        Self::En09,
        Self::En11,
        Self::Bt01,
        Self::Bt03,
        Self::Bt07,
        Self::Mv01,
        Self::Fs01,
        Self::Fs02,
        Self::Fs03,
        Self::Fs04,
        Self::Fs05,
        Self::Fs06,
        Self::Fs07,
        Self::Cf01,
        Self::Rs05,
        Self::Au01,
        Self::Au03,
        Self::Au05,
        Self::Au07,
        Self::Au09,
        Self::Sv01,
        Self::Sv02,
        Self::Sv03,
        Self::Sv04,
        Self::Sv05,
        Self::Sv06,
        Self::Sv07,
        Self::Sv08,
        Self::Sv09,
        Self::Sv10,
        Self::Sv11,
        Self::Sv12,
        Self::Sv13,
        Self::Sv14,
        Self::Sv15,
        Self::Cl01,
        Self::Cl02,
        Self::Cl03,
        Self::Cl04,
        Self::Cl05,
        Self::Cl06,
    ];

    /// Returns its name in the catalogue.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Cr01 => "CR-01",
            Self::Cr03 => "CR-03",
            Self::Cr05 => "CR-05",
            Self::Cr07 => "CR-07",
            Self::Cr11 => "CR-11",
            Self::Cr13 => "CR-13",
            Self::Fp05 => "FP-05",
            Self::En01 => "EN-01",
            Self::En07 => "EN-07",
            Self::En09 => "EN-09",
            Self::En11 => "EN-11",
            Self::Bt01 => "BT-01",
            Self::Bt03 => "BT-03",
            Self::Bt07 => "BT-07",
            Self::Mv01 => "MV-01",
            Self::Fs01 => "FS-01",
            Self::Fs02 => "FS-02",
            Self::Fs03 => "FS-03",
            Self::Fs04 => "FS-04",
            Self::Fs05 => "FS-05",
            Self::Fs06 => "FS-06",
            Self::Fs07 => "FS-07",
            Self::Cf01 => "CF-01",
            Self::Rs05 => "RS-05",
            Self::Au01 => "AU-01",
            Self::Au03 => "AU-03",
            Self::Au05 => "AU-05",
            Self::Au07 => "AU-07",
            Self::Au09 => "AU-09",
            Self::Sv01 => "SV-01",
            Self::Sv02 => "SV-02",
            Self::Sv03 => "SV-03",
            Self::Sv04 => "SV-04",
            Self::Sv05 => "SV-05",
            Self::Sv06 => "SV-06",
            Self::Sv07 => "SV-07",
            Self::Sv08 => "SV-08",
            Self::Sv09 => "SV-09",
            Self::Sv10 => "SV-10",
            Self::Sv11 => "SV-11",
            Self::Sv12 => "SV-12",
            Self::Sv13 => "SV-13",
            Self::Sv14 => "SV-14",
            Self::Sv15 => "SV-15",
            Self::Cl01 => "CL-01",
            Self::Cl02 => "CL-02",
            Self::Cl03 => "CL-03",
            Self::Cl04 => "CL-04",
            Self::Cl05 => "CL-05",
            Self::Cl06 => "CL-06",
        }
    }

    /// Returns what is wrong when it is planted.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Cr01 => "recovery seals the slot of a commit it could not verify",
            Self::Cr03 => "compaction replaces the file before the new one is durable",
            Self::Cr05 => "a commit is acknowledged while its slot is in flight",
            Self::Cr07 => "the directory is not synced after a rename",
            Self::Cr11 => "a failed header write leaves the store writable",
            Self::Cr13 => "a new file gets its name before it is durable",
            Self::Fp05 => "opening insists on a file length it could derive",
            Self::En01 => "the nonce depends on the page number only",
            Self::En07 => "a key that does not fit starts a new file",
            Self::En09 => "offsets overflow a narrow integer",
            Self::En11 => "the cache serves the node of an older commit",
            Self::Bt01 => "an inverted range acts like an open one",
            Self::Bt03 => "merging branches loses the key between them",
            Self::Bt07 => "keys are compared as signed bytes",
            Self::Mv01 => "pages are reused while a snapshot needs them",
            Self::Fs01 => "recovery trusts what a failed sync left in the cache",
            Self::Fs02 => "the first commit after opening leaves the directory unsynced",
            Self::Fs03 => "compaction leaves a part of the file in its other slot",
            Self::Fs04 => "what is left of a torn record stays under the next one",
            Self::Fs05 => "two checkpoints of one commit are not told apart",
            Self::Fs06 => "a checkpoint writes over the log it is to replace",
            Self::Fs07 => "opening takes records of the log as durable that are not",
            Self::Cf01 => "configurations of one hash are taken for one",
            Self::Rs05 => "what could not be removed counts as removed",
            Self::Au01 => "a revocation names the token its user has when it is sent",
            Self::Au03 => "an action follows one more slash when the address ends with one",
            Self::Au05 => "a token that comes after the logout logs the user back in",
            Self::Au07 => "a token under way keeps a closed session alive",
            Self::Au09 => "a login leaves the parked sessions of its user parked",
            Self::Sv01 => "a login goes by the password of before the hash",
            Self::Sv02 => "an old token is refused, and its login goes on",
            Self::Sv03 => "an answer leaves before its commit is durable",
            Self::Sv04 => "revoking a token ends the newest login of its account",
            Self::Sv05 => "a change of the password leaves the other logins",
            Self::Sv06 => "whether a name is taken is asked before the hash only",
            Self::Sv07 => "another exchange forgets the successor before",
            Self::Sv08 => "a request that comes late counts as reuse",
            Self::Sv09 => "a login goes on when it has expired",
            Self::Sv10 => "an unknown name costs no hash",
            Self::Sv11 => "tags of refresh tokens are not looked at",
            Self::Sv12 => "signatures of access tokens are not looked at",
            Self::Sv13 => "whoever is logged in may look others up",
            Self::Sv14 => "a login that was ended keeps its token",
            Self::Sv15 => "an account holds any number of logins",
            Self::Cl01 => "what follows is done before it is durable",
            Self::Cl02 => "nobody waits while a token is exchanged",
            Self::Cl03 => "the successor of a token is not kept",
            Self::Cl04 => "revocations are kept in memory only",
            Self::Cl05 => "a token is exchanged while others use it",
            Self::Cl06 => "renewal ends with the first failure",
        }
    }
}

#[cfg(feature = "faults")]
mod switch {
    use super::Fault;
    use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

    static PLANTED: AtomicU8 = AtomicU8::new(0);
    static REACHED: AtomicU64 = AtomicU64::new(0);

    /// Plants a fault for the whole process, or none.
    pub fn plant(fault: Option<Fault>) {
        PLANTED.store(fault.map_or(0, |fault| fault as u8), Ordering::SeqCst);
        REACHED.store(0, Ordering::SeqCst);
    }

    /// Returns how often the planted fault's branch was taken.
    #[must_use]
    pub fn reached() -> u64 {
        REACHED.load(Ordering::SeqCst)
    }

    pub(crate) fn on(fault: Fault) -> bool {
        let on = PLANTED.load(Ordering::Relaxed) == fault as u8;
        if on {
            REACHED.fetch_add(1, Ordering::Relaxed);
        }
        on
    }
}

#[cfg(feature = "faults")]
pub(crate) use switch::on;
#[cfg(feature = "faults")]
pub use switch::{plant, reached};

#[cfg(not(feature = "faults"))]
pub(crate) const fn on(_fault: Fault) -> bool {
    false
}
