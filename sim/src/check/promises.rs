//! The promises that the checks guard: those of docs/promises.md that a plan can break.
//!
//! The test below holds ids and sentences against the document.

use super::definition::Invariant;

const fn promise(id: &'static str, promise: &'static str) -> Invariant {
    Invariant { id, promise }
}

pub(super) const A1: Invariant = promise("A1", "Every operation answers as the model does.");
pub(super) const A2: Invariant =
    promise("A2", "An argument out of bounds is refused by name and changes nothing.");
pub(super) const A3: Invariant = promise(
    "A3",
    "A transaction sees its own writes; no other reader sees them before it commits.",
);
pub(super) const A4: Invariant =
    promise("A4", "A scan that returned an error returns nothing more; a salvage scan goes on.");
pub(super) const B1: Invariant =
    promise("B1", "Every operation on objects answers as the model does.");
pub(super) const B2: Invariant = promise("B2", "A link leads to an existing object, or is null.");
pub(super) const B3: Invariant = promise("B3", "A refused operation changes nothing.");
pub(super) const B4: Invariant =
    promise("B4", "The back-links of an object are exactly the links that lead to it.");
pub(super) const B5: Invariant = promise(
    "B5",
    "A list element keeps its id, and no other element of the file ever has that id.",
);
pub(super) const B6: Invariant =
    promise("B6", "Numbers of classes and columns, and places in a record, are never reused.");
pub(super) const B8: Invariant =
    promise("B8", "A column beyond the end of a record has the value that a new object has.");
pub(super) const B9: Invariant = promise(
    "B9",
    "A struct and its stored object hold the same values, whichever of the two is written and \
     whichever is read.",
);
pub(super) const B10: Invariant = promise(
    "B10",
    "Applying an operation is total: one that does not fit is dropped with the reason and changes \
     nothing.",
);
pub(super) const B11: Invariant =
    promise("B11", "A copy kept from the operations of every commit equals the original.");
pub(super) const B12: Invariant = promise(
    "B12",
    "Putting the pre-images of a transaction back restores every tree, except numbers given out \
     and the stamp of the catalog.",
);
pub(super) const B13: Invariant = promise(
    "B13",
    "Verification reports every index entry, back-link, list, out-of-line value and number that \
     contradicts the objects, and reports nothing else.",
);
pub(super) const B16: Invariant = promise(
    "B16",
    "An error of the app's own that one of its callbacks returns - of a transaction, a migration, \
     initial data, a commit hook - comes back to the caller unchanged, and nothing of the \
     transaction is committed.",
);
pub(super) const C1: Invariant =
    promise("C1", "A page that a durable commit or a live snapshot reaches is never written.");
pub(super) const C2: Invariant = promise(
    "C2",
    "An acknowledged commit survives every crash; opening lands on it or on the one in flight, \
     whole.",
);
pub(super) const C3: Invariant = promise(
    "C3",
    "No commit is acknowledged before the sync that makes it durable, nor after a failure that \
     leaves the disk unknown.",
);
pub(super) const C5: Invariant =
    promise("C5", "State that a reader saw after opening survives the next crash.");
pub(super) const C6: Invariant = promise("C6", "A snapshot never changes.");
pub(super) const C7: Invariant = promise(
    "C7",
    "A file name leads to a complete file or to none; creating and copying never replace a file.",
);
pub(super) const C8: Invariant = promise(
    "C8",
    "After any crash a file opens, reads, verifies clean, and accepts further commits.",
);
pub(super) const C9: Invariant =
    promise("C9", "A closed file opens at its last commit, with no recovery.");
pub(super) const C10: Invariant =
    promise("C10", "An opening that fails names the reason and leaves the file unchanged.");
pub(super) const C11: Invariant = promise(
    "C11",
    "A disk error is reported with its cause and costs no committed data; the store continues or \
     is poisoned.",
);
pub(super) const C12: Invariant = promise("C12", "Short reads and short writes are no errors.");
pub(super) const C13: Invariant =
    promise("C13", "A transaction in which an operation failed never commits.");
pub(super) const C14: Invariant = promise(
    "C14",
    "A deferred commit is visible at once; a crash loses such commits from the end only; a durable \
     commit, a sync or a close makes them durable.",
);
pub(super) const D1: Invariant = promise("D1", "A read from a damaged file is right, or an error.");
pub(super) const D2: Invariant = promise(
    "D2",
    "Damage after a clean close never loses a commit; damage after a crash loses at most the last \
     commits in the log, and opening reports it.",
);
pub(super) const D3: Invariant =
    promise("D3", "Any mix of copies of a file reads as one genuine commit, or as an error.");
pub(super) const D4: Invariant = promise(
    "D4",
    "Verification reports every page in use that differs from the written one, and reports nothing \
     else.",
);
pub(super) const D5: Invariant =
    promise("D5", "A commit on top of a damaged file reads back right, or is refused.");
pub(super) const D6: Invariant =
    promise("D6", "A salvage walk of a damaged tree omits only entries behind unreadable pages.");
pub(super) const E1: Invariant =
    promise("E1", "No two different pages are sealed under one key and nonce.");
pub(super) const F1: Invariant = promise(
    "F1",
    "Compaction that is interrupted anywhere leaves one good file with the same contents.",
);
pub(super) const F2: Invariant = promise(
    "F2",
    "A copy is absent or complete, with the same contents; only the key it was given opens it.",
);
pub(super) const F3: Invariant =
    promise("F3", "Leftovers of an interrupted attempt do not block another attempt.");
pub(super) const F4: Invariant = promise(
    "F4",
    "Compaction replaces the file that a symbolic link leads to, keeps its owner and permissions, \
     and refuses a file with several names.",
);
pub(super) const G3: Invariant = promise(
    "G3",
    "An open store takes no more memory than the cache budget, an eighth of it, what the open \
     transaction needs beside nodes, and a constant; commits beside a snapshot leave nothing \
     behind.",
);
pub(super) const L1: Invariant = promise(
    "L1",
    "The log holds every commit since its base, in order and without a gap; no record that \
     recovery may need is overwritten.",
);
pub(super) const L3: Invariant =
    promise("L3", "Opening reports a commit as discarded only if the crash lost that commit.");
pub(super) const M6: Invariant =
    promise("M6", "Schema changes of an opening are atomic; migration and initial data run once.");
pub(super) const M7: Invariant =
    promise("M7", "After an opening that succeeded, the same opening finds nothing to do.");
pub(super) const O1: Invariant = promise(
    "O1",
    "Two configurations are equal exactly when no field differs, and equal ones hash alike.",
);
pub(super) const Q1: Invariant =
    promise("Q1", "A query gives the same answer whichever plan finds its objects.");
pub(super) const Q2: Invariant =
    promise("Q2", "An index holds exactly one entry for each object, at the value of the object.");
pub(super) const Q3: Invariant =
    promise("Q3", "Every object that meets a condition is among the candidates of the query plan.");
pub(super) const Q4: Invariant = promise(
    "Q4",
    "A query visits at most one and a half times the objects and index entries that a full scan \
     visits, and a constant number more.",
);
pub(super) const Q5: Invariant = promise(
    "Q5",
    "Results behind a position are those that the order of the query puts after it, whatever was \
     written since the position was taken.",
);
pub(super) const S1: Invariant =
    promise("S1", "Every page is in use or free in a commit, never both, never neither.");
pub(super) const S2: Invariant = promise(
    "S2",
    "A freed page is reused only when neither header slot nor any snapshot needs it.",
);
pub(super) const S4: Invariant = promise("S4", "A file under steady updates stops growing.");
pub(super) const S5: Invariant = promise("S5", "A failed commit returns the pages it allocated.");
pub(super) const S6: Invariant = promise(
    "S6",
    "A file that is closed after writes without readers has at most a tenth and four pages free, \
     not counting space before out-of-line values, unless closing would relocate more than 8192 \
     pages.",
);
pub(super) const S7: Invariant = promise(
    "S7",
    "A snapshot keeps only pages that it reaches, so that a file under steady updates beside it \
     stops growing.",
);
pub(super) const S8: Invariant = promise(
    "S8",
    "After every commit, failed or not, the free pages that the writer knows are those of its last \
     record: each is writable or held, and below the end of the file.",
);
pub(super) const V4: Invariant =
    promise("V4", "The holder of the lock holds the file that the name leads to.");
pub(super) const V5: Invariant = promise(
    "V5",
    "A new file is created under an unused name, readable by its owner only; nothing is written \
     through a link or into an existing file.",
);
pub(super) const V6: Invariant = promise(
    "V6",
    "A path to anything but a regular file is refused at once, and a file may have any name that \
     the file system takes.",
);
pub(super) const H1: Invariant = promise(
    "H1",
    "An acknowledged account, password, login or revocation survives every crash; unacknowledged \
     ones are complete or absent.",
);
pub(super) const H2: Invariant = promise(
    "H2",
    "A login succeeds only with the password that the account has at that moment; an unknown name \
     costs and answers the same as a wrong password.",
);
pub(super) const H3: Invariant = promise("H3", "Every call refuses a revoked token, forever.");
pub(super) const H4: Invariant = promise(
    "H4",
    "A refresh token is valid from its login until it expires or is revoked; a token that the \
     server did not issue is never valid.",
);
pub(super) const H5: Invariant =
    promise("H5", "Revoking ends the login that the token belongs to, and no other.");
pub(super) const H6: Invariant = promise(
    "H6",
    "An exchanged token is valid until a successor is presented, asks for a retry for a minute, \
     and then ends the login when it is presented.",
);
pub(super) const H7: Invariant = promise(
    "H7",
    "An accepted access token carries the server's signature, has not expired, was not issued in \
     the future, and lives no longer than the server grants.",
);
pub(super) const H8: Invariant =
    promise("H8", "Only an administrator reaches the account or the files of another user.");
pub(super) const H12: Invariant = promise("H12", "A name leads to one account.");
pub(super) const H18: Invariant = promise(
    "H18",
    "Replacing the signing key leaves the tokens from before valid until they expire; a key that \
     was replaced twice verifies nothing.",
);
pub(super) const H20: Invariant = promise(
    "H20",
    "A closed registration creates no account, and no new password is shorter than the policy \
     says.",
);
pub(super) const H21: Invariant =
    promise("H21", "Every spelling of a name is that name, and no name has invisible characters.");
pub(super) const U6: Invariant =
    promise("U6", "A request equals the original client's: address, headers, JSON body.");
pub(super) const U8: Invariant = promise(
    "U8",
    "Only failures that a retry can cure are retried, with exponential back-off up to five \
     minutes.",
);
pub(super) const U9: Invariant = promise(
    "U9",
    "At most one token request is in flight; an answer to any other request changes nothing.",
);
pub(super) const T5: Invariant = promise("T5", "A tree exists exactly while it holds entries.");
pub(super) const U11: Invariant = promise("U11", "Renewal never ends silently.");
pub(super) const U12: Invariant = promise(
    "U12",
    "A login or logout is durable before any event or request that follows from it.",
);
pub(super) const U13: Invariant =
    promise("U13", "Logging out is local and immediate, whatever network and server do.");
pub(super) const U14: Invariant = promise(
    "U14",
    "A revocation names the token of the moment of the logout, persists until the server answers, \
     and never touches a newer token.",
);
pub(super) const U15: Invariant =
    promise("U15", "A closed or parked session gets no token, whatever answer is still in flight.");
pub(super) const U16: Invariant =
    promise("U16", "A login resumes the parked sessions of its user, and of no other user.");
pub(super) const U17: Invariant = promise(
    "U17",
    "The logged-in users, the current user and the result of each call are as the model says.",
);

pub(super) const U18: Invariant =
    promise("U18", "Exchanging a refresh token never loses the login.");
pub(super) const J1: Invariant = promise(
    "J1",
    "The global count of a file is the number of pairs of thread and kind that hold a handle, the \
     local count that of a thread's handles.",
);
pub(super) const J2: Invariant = promise(
    "J2",
    "A file is open under one configuration at a time; another configuration is refused with the \
     reason.",
);
pub(super) const J3: Invariant = promise(
    "J3",
    "An opening that fails, or panics, leaves the counts unchanged and the path free.",
);
pub(super) const J4: Invariant = promise(
    "J4",
    "At most one thread at a time opens, closes, deletes or resets a file, and never while another \
     handle holds it.",
);
pub(super) const J5: Invariant =
    promise("J5", "No thread waits forever, and a thread marked as non-blocking never waits.");
pub(super) const J6: Invariant =
    promise("J6", "A handle works on its own thread until it is closed, and nowhere else.");
pub(super) const J7: Invariant = promise(
    "J7",
    "A file is closed when its last handle is dropped, and the next opening finds it closed.",
);
pub(super) const R1: Invariant = promise(
    "R1",
    "A recorded action on a file is carried out exactly once, whatever is interrupted.",
);
pub(super) const R2: Invariant = promise(
    "R2",
    "A file that an action preserves is complete in one place at every moment, and replaces \
     nothing.",
);
pub(super) const R3: Invariant =
    promise("R3", "An action that fails stays recorded and is reported.");
pub(super) const R4: Invariant =
    promise("R4", "Recorded actions are carried out at the next start, before any file opens.");
pub(super) const R5: Invariant = promise(
    "R5",
    "A file of an older generation is moved away whole, and its new path is reported.",
);
pub(super) const W1: Invariant = promise(
    "W1",
    "The changes reported for a commit are exactly the difference of the objects before and after \
     it.",
);
pub(super) const W2: Invariant = promise(
    "W2",
    "An observer receives every later commit that changed objects: in order, none missing, none \
     twice.",
);
pub(super) const W3: Invariant = promise(
    "W3",
    "A commit delivers its operations to the commit hook in order and exactly once, a dropped \
     transaction none; writes of the hook commit atomically with the transaction.",
);
pub(super) const W4: Invariant =
    promise("W4", "After a commit that changed objects is visible, every subscription is woken.");
pub(super) const W6: Invariant = promise(
    "W6",
    "The result that a subscriber has applied equals the answer of its query on the snapshot of \
     the report.",
);
pub(super) const W7: Invariant = promise(
    "W7",
    "A live result reports every object that commits changed since the report before, and no \
     other, unless the report says that it was collapsed.",
);
pub(super) const SY1: Invariant =
    promise("SY1", "Replicas with one cursor and nothing pending show the same state.");
pub(super) const SY2: Invariant =
    promise("SY2", "The fold of a history equals its order-free statement, on every prefix.");
pub(super) const SY3: Invariant = promise(
    "SY3",
    "The working state is the fold of the pending entries over the canonical state.",
);
pub(super) const SY4: Invariant = promise(
    "SY4",
    "An acknowledged operation is in the history, was overridden, or is named in a report.",
);
pub(super) const SY7: Invariant =
    promise("SY7", "A prefix contains everything that its entries know.");
pub(super) const SY8: Invariant =
    promise("SY8", "Duplicated and reordered messages give the same history.");
pub(super) const SY9: Invariant =
    promise("SY9", "Purging at a permitted horizon changes nothing visible, then or later.");
pub(super) const SY12: Invariant = promise(
    "SY12",
    "A reset reports one outcome for each own operation; applied ones are pending; the file keeps \
     the report until the app acknowledges it.",
);
pub(super) const SY13: Invariant = promise(
    "SY13",
    "After a restore of a backup, every own operation that was lost is in the history or in a \
     report.",
);
pub(super) const SY14: Invariant =
    promise("SY14", "A crash at any write leaves a replica as before a call, or as after it.");
pub(super) const SY16: Invariant = promise("SY16", "No forbidden entry is in the history.");
pub(super) const SY17: Invariant =
    promise("SY17", "In a quiet network all pending entries drain, refused ones included.");
pub(super) const MR9: Invariant = promise(
    "MR9",
    "The horizon never passes what a live client needs; an entry with an older base is refused.",
);
pub(super) const SY6: Invariant = promise(
    "SY6",
    "The order of elements that an author saw is never inverted; its runs stay contiguous.",
);
pub(super) const SY19: Invariant = promise(
    "SY19",
    "An entry leaves the device only after it is durable; its number is never used again.",
);
pub(super) const SY22: Invariant = promise(
    "SY22",
    "Objects of a local class are in no entry; only the app changes them, neither undo nor a \
     download nor a reset.",
);
pub(super) const SY23: Invariant = promise(
    "SY23",
    "Each own entry that is pending no longer is named to the app once: by its outcomes, as \
     refused, or in the report of a reset; a reason that comes later is named too.",
);
pub(super) const SY25: Invariant =
    promise("SY25", "A reset drops only operations that its backup has.");
pub(super) const SV5: Invariant = promise(
    "SV5",
    "A client applies a download only if its entries give the salt that the server names and their \
     stamps leave later ones, and a snapshot only if it has the hash that the server names; it \
     asks for another snapshot once, and then leaves the reset to the app.",
);
pub(super) const SV2: Invariant =
    promise("SV2", "No two clients of a database ever get one number, also after a restore.");
pub(super) const HC1: Invariant =
    promise("HC1", "A client's stamp is greater than every stamp that it wrote or saw.");
pub(super) const SV1: Invariant = promise(
    "SV1",
    "A client resumes exactly if the server's history continues the one that it knows, and the \
     server's entries of it are those that it wrote.",
);
