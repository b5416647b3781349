//! The catalogue of planted faults, and the switch that plants one of them.
//!
//! The catalogue with the bug that each fault stands for: docs/faults.md. This file
//! imports nothing, so that the loom models can include it.

macro_rules! faults {
    ($($name:ident = $id:literal, $about:literal;)*) => {
        /// A bug that can be planted.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u16)]
        pub enum Fault {
            $(#[doc = concat!($id, ": ", $about, ".")] $name,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns its name in the catalogue.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// Returns what is wrong when it is planted.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Self::$name => $about,)* }
            }
        }
    };
}

faults! {
    Cr01 = "CR-01", "recovery seals the slot of a commit it could not verify";
    Cr03 = "CR-03", "compaction replaces the file before the new one is durable";
    Cr05 = "CR-05", "a commit is acknowledged while its slot is in flight";
    Cr07 = "CR-07", "the directory is not synced after a rename";
    Cr11 = "CR-11", "a failed header write leaves the store writable";
    Cr13 = "CR-13", "a new file gets its name before it is durable";
    Fp05 = "FP-05", "opening insists on a file length it could derive";
    En01 = "EN-01", "the nonce depends on the page number only";
    En07 = "EN-07", "a key that does not fit starts a new file";
    En09 = "EN-09", "offsets overflow a narrow integer";
    En11 = "EN-11", "the cache serves the node of an older commit";
    Bt01 = "BT-01", "an inverted range acts like an open one";
    Bt03 = "BT-03", "merging branches loses the key between them";
    Bt05 = "BT-05", "null is looked for in an index where the empty text is";
    Bt07 = "BT-07", "keys are compared as signed bytes";
    Mv01 = "MV-01", "pages are reused while a snapshot needs them";
    Mv05 = "MV-05", "classes count as unchanged while there are as many";
    Mv07 = "MV-07", "an opening that is refused is counted all the same";
    Mv09 = "MV-09", "the last handle closes the file with the lock held";
    Mv11 = "MV-11", "commits made while an observer was behind count as delivered";
    Mv13 = "MV-13", "a transaction does not see its own buffered puts";
    Mv15 = "MV-15", "a snapshot keeps pages that were written after it";
    Cf01 = "CF-01", "configurations of one hash are taken for one";
    Cf03 = "CF-03", "the hash of a configuration asks for a directory that it does not need";
    Cf05 = "CF-05", "opening rewrites classes that match the schema";
    Sc01 = "SC-01", "objects that get one key are not noticed";
    Sc03 = "SC-03", "renaming a property forgets that it is the primary key";
    Sc05 = "SC-05", "an upgrade commits the version before its changes";
    Sc07 = "SC-07", "a primary key that gets another type is one no longer";
    Sy01 = "SY-01", "a Delete of an object that another one has deleted leaves no record";
    Sy03 = "SY-03", "an element that moves behind another one lands before it";
    Sy05 = "SY-05", "an entry leaves out what sets a property to null";
    Sy07 = "SY-07", "the first of two writes with one stamp wins";
    Sy09 = "SY-09", "a part of the history that arrives twice is applied twice";
    Sy11 = "SY-11", "parts of an older snapshot remain when another one begins";
    Sy13 = "SY-13", "the cursor of a download is committed after its entries";
    Sy15 = "SY-15", "the horizon passes what pending entries refer to";
    Rs01 = "RS-01", "a reset notes in a second transaction that it has ended";
    Rs03 = "RS-03", "a reset writes entries again that the server has";
    Rs05 = "RS-05", "a file that could not be removed counts as removed";
    Rs07 = "RS-07", "a reset that begins again goes on where the attempt before was";
    Rs09 = "RS-09", "a reset creates the target of a link again";
    Rs10 = "RS-10", "a snapshot leaves out the refused entries";
    Au01 = "AU-01", "a revocation names the token its user has when it is sent";
    Au03 = "AU-03", "an action follows one more slash when the address ends with one";
    Au05 = "AU-05", "a token that comes after the logout logs the user back in";
    Au07 = "AU-07", "a token under way keeps a closed session alive";
    Au09 = "AU-09", "a login leaves the parked sessions of its user parked";
    Sv01 = "SV-01", "a login goes by the password of before the hash";
    Sv02 = "SV-02", "an old token is refused, and its login goes on";
    Sv03 = "SV-03", "an answer leaves before its commit is durable";
    Sv04 = "SV-04", "revoking a token ends the newest login of its account";
    Sv05 = "SV-05", "a change of the password leaves the other logins";
    Sv06 = "SV-06", "whether a name is taken is asked before the hash only";
    Sv07 = "SV-07", "another exchange forgets the successor before";
    Sv08 = "SV-08", "a request that comes late counts as reuse";
    Sv09 = "SV-09", "a login goes on when it has expired";
    Sv10 = "SV-10", "an unknown name costs no hash";
    Sv11 = "SV-11", "tags of refresh tokens are not looked at";
    Sv12 = "SV-12", "signatures of access tokens are not looked at";
    Sv13 = "SV-13", "any user that is logged in may look up others";
    Sv14 = "SV-14", "a login that was ended keeps its token";
    Sv15 = "SV-15", "an account holds any number of logins";
    Sv16 = "SV-16", "an access token of a wrong clock lives as long as that clock said";
    Sv17 = "SV-17", "replacing the signing key ends the tokens that were issued before";
    Sv18 = "SV-18", "a closed registration still creates accounts";
    Sv19 = "SV-19", "a new password may be shorter than the policy says";
    Sv20 = "SV-20", "names are compared byte by byte";
    Sv21 = "SV-21", "a login of a clock that was ahead is valid before it begins";
    Cl01 = "CL-01", "the next step is taken before the user store is durable";
    Cl02 = "CL-02", "callers do not wait while a token is exchanged";
    Cl03 = "CL-03", "the successor of a token is not kept";
    Cl04 = "CL-04", "revocations are kept in memory only";
    Cl05 = "CL-05", "a token is exchanged while others use it";
    Cl06 = "CL-06", "renewal ends with the first failure";
    Fs01 = "FS-01", "recovery trusts what a failed sync left in the cache";
    Fs02 = "FS-02", "the first commit after opening leaves the directory unsynced";
    Fs03 = "FS-03", "compaction leaves a part of the file in its other slot";
    Fs04 = "FS-04", "the remains of a torn record stay under the next one";
    Fs05 = "FS-05", "two checkpoints of one commit are not distinguished";
    Fs06 = "FS-06", "a checkpoint writes over the log that it replaces";
    Fs07 = "FS-07", "opening counts records of the log as durable that are not";
    Fs08 = "FS-08", "an operation on objects that cannot read leaves its transaction good";
    Fs09 = "FS-09", "a salvage scan skips the rest of a leaf after its first damaged value";
    Fs10 = "FS-10", "a salvage scan skips the rest of a branch after its first damaged page";
    Fs11 = "FS-11", "a commit that waits for the sync of another is acknowledged when it fails";
    Fs12 = "FS-12", "opening replays records of the log behind one that is not whole";
    Fs13 = "FS-13", "opening does not check which record a record was written behind";
    Fs14 = "FS-14", "a sync counts for commits that were written while it ran";
    Fs15 = "FS-15", "a sync counts although a concurrent one failed";
    Fs16 = "FS-16", "a commit is rolled back that others build upon";
    Fs17 = "FS-17", "a commit in place keeps the pages that it frees";
    Fs18 = "FS-18", "closing moves pages to the end of the file";
    Fs19 = "FS-19", "a leaf is written in the order of its heap in memory";
    Fs20 = "FS-20", "a checkpoint asks for room in the cache as a reader does";
    Fs21 = "FS-21", "a new file is written into what its temporary name leads to";
    Fs22 = "FS-22", "the name of a file leaves no room for that of its temporary file";
    Fs23 = "FS-23", "compaction replaces a link by a file";
    Fs24 = "FS-24", "recovery erases only the first page of discarded records";
    Fs25 = "FS-25", "a checkpoint that was not finished counts as a lost commit";
    Fs26 = "FS-26", "a failed commit keeps the pages that it took";
    Fs27 = "FS-27", "states without readers stay in memory behind one with a reader";
    Fs28 = "FS-28", "opening takes a page of an unfinished checkpoint for a record of the log";
    Fs29 = "FS-29", "a file looks closed before the recovery of it is durable";
    Fs30 = "FS-30", "a transaction keeps its changed nodes in memory until it commits";
    Fs31 = "FS-31", "a transaction spills over the log";
    Fs32 = "FS-32", "a rollback keeps the pages that its transaction spilled";
    Fs33 = "FS-33", "spilled pages do not count as pages of their checkpoint";
    Fs34 = "FS-34", "a transaction spills to pages that are still needed";
    Fs35 = "FS-35", "spilled pages that change again stay taken";
    Fs36 = "FS-36", "a copy does not pin the commit that it reads";
    Fs37 = "FS-37", "an opening does not check that its name leads to the file that it locked";
    Fs38 = "FS-38", "a commit that moves a tree goes to the log, which has no such operation";
    Fs39 = "FS-39", "a writer that waits takes the lock out of its turn";
    Fs40 = "FS-40", "a thread that closes a circle of waits waits, too";
    Fs41 = "FS-41", "a commit copies the trees that it does not change";
    Fs42 = "FS-42", "a commit may have a number that no opening reads";
    Fs43 = "FS-43", "a relocation walks a page once for each place that leads to it";
    Ob01 = "OB-01", "a property of a synced file may be made nullable or required";
    Ob02 = "OB-02", "a synced file that is opened with classes lets these be changed";
    Ob03 = "OB-03", "an older version of an app takes the version of a synced file down";
    Ob04 = "OB-04", "an opening leaves out the indexes that it should add";
    Ob05 = "OB-05", "a struct is written over an object but for what is null in it";
    Ob06 = "OB-06", "the targets in the lists of a struct are not checked";
    Ob07 = "OB-07", "a list of a struct leaves only what is alike at its beginning";
    Ob08 = "OB-08", "an update of a struct does not look at its primary key";
    Ob09 = "OB-09", "a struct is refused when its object was created already";
    Ob10 = "OB-10", "a piece of a list that is cut keeps the count it had";
    Ob11 = "OB-11", "an observer receives commits before they are published";
    Ob12 = "OB-12", "the writes of a commit hook are committed after its commit";
    Ob13 = "OB-13", "a commit wakes only the oldest of the subscriptions";
    Ob14 = "OB-14", "a deleted object leaves its long values behind";
    Ob15 = "OB-15", "the bytes of removed elements still count for their list";
    Ob16 = "OB-16", "an index keeps the entry of a value that an object had";
    Ob17 = "OB-17", "a database has subscriptions of its own beside others over the store";
    Ob18 = "OB-18", "a query walks the whole range of an index before it looks at an object";
    Sn01 = "SN-01", "a Create revives an object that another client deletes at the same time";
    Sn02 = "SN-02", "a deletion record has the newest Delete only";
    Sn03 = "SN-03", "a Delete leaves the stamps of the object";
    Sn04 = "SN-04", "a write ignores a concurrent Delete if the object exists again";
    Sn05 = "SN-05", "the write with the later seq wins";
    Sn06 = "SN-06", "a link stays hidden when its target is created again";
    Sn07 = "SN-07", "an increment is stored in a byte";
    Sn08 = "SN-08", "an insert is dropped if its anchor was removed meanwhile";
    Sn09 = "SN-09", "the move with the later seq wins";
    Sn10 = "SN-10", "a removal loses against a concurrent write of the element";
    Sn11 = "SN-11", "hidden elements are reversed when their gap joins a longer one";
    Sn12 = "SN-12", "the server accepts a conflicting definition";
    Sn13 = "SN-13", "an effective stamp may be below those that its author knew";
    Sn14 = "SN-14", "a clock that is ahead gains all that it is ahead";
    Sn15 = "SN-15", "a client's stamps ignore those that it downloads";
    Sn16 = "SN-16", "own entries keep the stamps of their client";
    Sn17 = "SN-17", "the server sequences an entry twice";
    Sn18 = "SN-18", "the server accepts a gap between entries";
    Sn19 = "SN-19", "the server forgets which entries it refused";
    Sn20 = "SN-20", "a purge goes one seq too far";
    Sn21 = "SN-21", "the server accepts a base below the horizon";
    Sn22 = "SN-22", "the server says that all entries are backed up";
    Sn23 = "SN-23", "a client forgets acknowledged entries before they are backed up";
    Sn24 = "SN-24", "pending entries are applied again in the wrong order";
    Sn25 = "SN-25", "a refusal takes out the oldest pending entry";
    Sn26 = "SN-26", "a Delete right after the base counts as known";
    Sn27 = "SN-27", "an author anchors behind the left neighbour, always";
    Sn28 = "SN-28", "an entry claims to know one entry more than its author";
    Sn29 = "SN-29", "a purge forgets the links that are hidden";
    Sn30 = "SN-30", "a snapshot leaves out the window";
    Sn31 = "SN-31", "a reset does not report that it replaced an anchor";
    Sn32 = "SN-32", "a reset overrides values that the server changed";
    Sn33 = "SN-33", "a reset drops entries that were acknowledged";
    Sn34 = "SN-34", "the server acknowledges entries before they are durable";
    Sn35 = "SN-35", "an anchor that the list does not contain is a panic";
    Sn36 = "SN-36", "the server accepts the id of an element twice";
    Sn37 = "SN-37", "a refused entry never counts as answered";
    Sn38 = "SN-38", "an entry is sent before it is durable";
    Sn39 = "SN-39", "a restart adds all pending entries a second time";
    Sn40 = "SN-40", "the number of a refused entry is used again";
    Sn41 = "SN-41", "undo leaves out the window";
    Sn42 = "SN-42", "pending entries are undone oldest first";
    Sn43 = "SN-43", "a restored backup gives numbers to clients that others have";
    Sn44 = "SN-44", "the server lets a copied file resume";
    Sn45 = "SN-45", "a download leaves pending entries as they are that it meets";
    Sn46 = "SN-46", "a download that failed leaves its memory of the pending entries";
    Sn47 = "SN-47", "a reset writes an entry again beside its original";
    Sn50 = "SN-50", "an entry has operations of local classes";
    Sn51 = "SN-51", "no event names an entry that was refused before an ordered one";
    Sn52 = "SN-52", "undo takes local objects back";
    Sn53 = "SN-53", "a reset drops the objects of local classes";
    Sn54 = "SN-54", "a refusal leaves later entries as they are that it meets";
}

#[cfg(feature = "faults")]
mod switch {
    use super::Fault;
    use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

    /// `plant` was not called yet: the variable `FASTNESS_FAULT` decides.
    const UNDECIDED: u16 = u16::MAX;

    static PLANTED: AtomicU16 = AtomicU16::new(UNDECIDED);
    static REACHED: AtomicU64 = AtomicU64::new(0);

    /// None of them is 0.
    const fn number(fault: Fault) -> u16 {
        fault as u16 + 1
    }

    /// Returns the number of the fault of the environment; 0 for none.
    #[cold]
    fn of_environment() -> u16 {
        let id = std::env::var("FASTNESS_FAULT").unwrap_or_default();
        let planted = Fault::ALL.iter().find(|fault| fault.id() == id);
        let planted = planted.map_or(0, |fault| number(*fault));
        PLANTED.store(planted, Ordering::SeqCst);
        planted
    }

    /// Plants a fault for the whole process, or none.
    pub fn plant(fault: Option<Fault>) {
        PLANTED.store(fault.map_or(0, number), Ordering::SeqCst);
        REACHED.store(0, Ordering::SeqCst);
    }

    /// Returns how often the planted fault's branch was taken.
    #[must_use]
    pub fn reached() -> u64 {
        REACHED.load(Ordering::SeqCst)
    }

    /// Tells whether a fault is planted, and counts that its branch was reached.
    #[must_use]
    pub fn on(fault: Fault) -> bool {
        let planted = match PLANTED.load(Ordering::Relaxed) {
            UNDECIDED => of_environment(),
            planted => planted,
        };
        let on = planted == number(fault);
        if on {
            REACHED.fetch_add(1, Ordering::Relaxed);
        }
        on
    }
}

#[cfg(feature = "faults")]
pub use switch::{on, plant, reached};

/// Tells whether a fault is planted: never in a real build.
#[cfg(not(feature = "faults"))]
#[must_use]
pub const fn on(_fault: Fault) -> bool {
    false
}
