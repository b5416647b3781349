//! The promises that the checks guard: those of docs/verification.md that a plan can break.
//!
//! The test below holds ids and sentences against the document.

use super::definition::Invariant;

const fn promise(id: &'static str, promise: &'static str) -> Invariant {
    Invariant { id, promise }
}

pub(super) const A1: Invariant = promise("A1", "Every operation answers as the model does.");
pub(super) const A2: Invariant =
    promise("A2", "An argument out of bounds is refused by name and changes nothing.");
pub(super) const B1: Invariant =
    promise("B1", "Every operation on objects answers as the model does.");
pub(super) const B2: Invariant =
    promise("B2", "A link leads to an object that is there, or to none.");
pub(super) const B3: Invariant = promise("B3", "A refused operation changes nothing.");
pub(super) const B4: Invariant =
    promise("B4", "The links that are noted at an object are exactly those that lead to it.");
pub(super) const B5: Invariant =
    promise("B5", "A list element keeps its id, and no other element of the file ever has it.");
pub(super) const B9: Invariant = promise(
    "B9",
    "A struct and the object it was written to hold the same, whichever of the two is written and \
     whichever is read.",
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
    "Nothing is acknowledged before the sync that makes it durable, nor after a failure that \
     leaves the disk unknown.",
);
pub(super) const C5: Invariant =
    promise("C5", "What a reader saw after opening is still there after the next crash.");
pub(super) const C6: Invariant = promise("C6", "A snapshot never changes.");
pub(super) const C7: Invariant = promise(
    "C7",
    "A name leads to a complete file or to none; creating and copying never replace one.",
);
pub(super) const C8: Invariant =
    promise("C8", "After any crash a file opens, reads, verifies clean, and goes on committing.");
pub(super) const C9: Invariant =
    promise("C9", "A file that was closed opens at its last commit, with nothing to recover.");
pub(super) const C10: Invariant =
    promise("C10", "An opening that fails names the reason and leaves the file as it was.");
pub(super) const C11: Invariant = promise(
    "C11",
    "An error of the disk is told with its cause, costs nothing that was committed, and the \
     store goes on or is poisoned.",
);
pub(super) const C12: Invariant =
    promise("C12", "Reads and writes that do less than asked are no errors.");
pub(super) const C13: Invariant =
    promise("C13", "A transaction in which an operation failed is never committed.");
pub(super) const C14: Invariant = promise(
    "C14",
    "A commit that need not be durable is seen at once; a crash takes such commits back from the \
     end only; a durable commit, a sync or closing makes them durable.",
);
pub(super) const D1: Invariant =
    promise("D1", "What is read from a damaged file is right, or an error.");
pub(super) const D2: Invariant = promise(
    "D2",
    "Damage after a clean close never takes back a commit; after a crash, at most the last ones \
     that the log held, and opening says so.",
);
pub(super) const D3: Invariant = promise(
    "D3",
    "Whatever is put together from copies reads as one genuine commit, or as an error.",
);
pub(super) const D4: Invariant = promise(
    "D4",
    "Verification notices every page in use that is not what was written, and finds nothing else.",
);
pub(super) const D5: Invariant =
    promise("D5", "What is committed on top of a damaged file is read back right, or is refused.");
pub(super) const D6: Invariant = promise(
    "D6",
    "Of a damaged tree, a walk of what can be read leaves out only what lies behind a page that \
     cannot be read.",
);
pub(super) const E1: Invariant =
    promise("E1", "No two different pages are sealed under one key and nonce.");
pub(super) const F1: Invariant =
    promise("F1", "Interrupted anywhere, compaction leaves one good file with the same contents.");
pub(super) const F2: Invariant = promise(
    "F2",
    "A copy is absent or complete, with the same contents; only the key it was given opens it.",
);
pub(super) const F3: Invariant =
    promise("F3", "What an interrupted attempt left is not in the way of another.");
pub(super) const L1: Invariant = promise(
    "L1",
    "The log holds every commit since its base, in order and without a gap; no record that may be \
     needed is written over.",
);
pub(super) const M6: Invariant = promise(
    "M6",
    "What an opening does to the schema happens whole or not at all; migration and initial data \
     run once.",
);
pub(super) const O1: Invariant = promise(
    "O1",
    "Two configurations are equal exactly when no field differs, and equal ones hash alike.",
);
pub(super) const Q1: Invariant =
    promise("Q1", "A query answers the same whichever way it finds the objects it looks at.");
pub(super) const Q2: Invariant = promise(
    "Q2",
    "An index holds exactly one entry for each object, at the value that the object has.",
);
pub(super) const Q3: Invariant =
    promise("Q3", "Every object that meets a condition is among those that are looked at for it.");
pub(super) const S1: Invariant =
    promise("S1", "Every page is in use or free in a commit, never both, never neither.");
pub(super) const S2: Invariant = promise(
    "S2",
    "A freed page is reused only when both slots and every snapshot can do without it.",
);
pub(super) const S4: Invariant = promise("S4", "A file under steady updates stops growing.");
pub(super) const S5: Invariant =
    promise("S5", "A commit that failed gives back the pages it took.");
pub(super) const S6: Invariant = promise(
    "S6",
    "A file that was written to and closed while nobody read has a tenth and four pages free at \
     most, but before values on pages of their own.",
);
pub(super) const H1: Invariant = promise(
    "H1",
    "An account, a password, a login and a revocation that were acknowledged survive every \
     crash; the rest is there whole or not at all.",
);
pub(super) const H2: Invariant = promise(
    "H2",
    "Who logs in has the password that the account has at that moment; an unknown name \
     costs and says the same as a wrong password.",
);
pub(super) const H3: Invariant =
    promise("H3", "A token that was revoked is refused by every call, for ever.");
pub(super) const H4: Invariant = promise(
    "H4",
    "A refresh token is good until it expires or is revoked; what the server did not give \
     out, never.",
);
pub(super) const H5: Invariant =
    promise("H5", "Revoking ends the login that the token belongs to, and no other.");
pub(super) const H6: Invariant = promise(
    "H6",
    "A token that was exchanged is good until a successor is presented, is put off for a minute, \
     and then ends the login when it is presented.",
);
pub(super) const H7: Invariant =
    promise("H7", "An access token says what the server signed, and has not expired.");
pub(super) const H8: Invariant =
    promise("H8", "Only an administrator reaches the account or the files of somebody else.");
pub(super) const H12: Invariant = promise("H12", "A name leads to one account.");
pub(super) const U6: Invariant = promise("U6", "A request is what the original client sends.");
pub(super) const U8: Invariant = promise(
    "U8",
    "Only what a repetition can help is repeated, with pauses that grow to five minutes.",
);
pub(super) const U9: Invariant = promise(
    "U9",
    "One token request is in flight at most; an answer to any other changes nothing.",
);
pub(super) const U11: Invariant = promise("U11", "Renewal is never over in silence.");
pub(super) const U12: Invariant = promise(
    "U12",
    "Who is logged in is durable before anything that follows from it is told or sent.",
);
pub(super) const U13: Invariant =
    promise("U13", "Logging out is local and at once, whatever network and server do.");
pub(super) const U14: Invariant = promise(
    "U14",
    "A revocation names the token of the moment of the logout, is kept until the server has \
     answered, and never touches a token that was given out later.",
);
pub(super) const U15: Invariant = promise(
    "U15",
    "A session that was closed or parked gets no token, whatever answer is still under way.",
);
pub(super) const U16: Invariant =
    promise("U16", "A login takes up the parked sessions of its user, and of nobody else.");
pub(super) const U17: Invariant = promise(
    "U17",
    "Who is logged in, who is current, and what a call leads to are as the model says.",
);

pub(super) const U18: Invariant =
    promise("U18", "Exchanging a refresh token costs nobody the login.");
pub(super) const J1: Invariant = promise(
    "J1",
    "The global count of a file is the number of pairs of thread and kind that hold a handle, the \
     local count that of a thread's handles.",
);
pub(super) const J2: Invariant = promise(
    "J2",
    "A file is open under one configuration at a time; another is refused with the reason.",
);
pub(super) const J3: Invariant = promise(
    "J3",
    "An opening that fails, or panics, leaves counts as they were and the path free.",
);
pub(super) const J4: Invariant = promise(
    "J4",
    "One at a time opens, closes, deletes or resets a file; none of it happens to a file that \
     somebody holds.",
);
pub(super) const J5: Invariant =
    promise("J5", "Nobody waits for ever, and a UI thread does not wait.");
pub(super) const J6: Invariant =
    promise("J6", "A handle works on its own thread until it is closed, and nowhere else.");
pub(super) const J7: Invariant = promise(
    "J7",
    "A file is closed when its last handle goes, and the next to open it finds it closed.",
);
pub(super) const R1: Invariant = promise(
    "R1",
    "A recorded action on a file is carried out exactly once, whatever is interrupted.",
);
pub(super) const R2: Invariant = promise(
    "R2",
    "What an action keeps is whole in one place at every moment, and it replaces nothing.",
);
pub(super) const R3: Invariant = promise("R3", "An action that fails stays recorded and is told.");
pub(super) const R4: Invariant =
    promise("R4", "What was recorded is carried out at the next start, before anything is opened.");
pub(super) const R5: Invariant =
    promise("R5", "A file of an older generation is moved aside whole, and its new place is told.");
pub(super) const W1: Invariant = promise(
    "W1",
    "What a commit is said to have changed is exactly how the objects before it and after it \
     differ.",
);
pub(super) const W2: Invariant = promise(
    "W2",
    "An observer is told every commit after the one it began with that changed objects: in order, \
     none left out and none twice.",
);
pub(super) const W3: Invariant = promise(
    "W3",
    "A commit hands its operations to the listener in order and exactly once, a transaction that \
     is dropped none; what the listener writes is there exactly if the commit is.",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_sentences_are_those_of_the_document() {
        let document = include_str!("../../../docs/verification.md");
        for invariant in [
            A1, A2, B1, B2, B3, B4, B5, C1, C2, C3, C5, C6, C7, C8, C9, C10, C11, C12, C13, C14,
            D1, D2, D3, D4, D5, D6, E1, F1, F2, F3, H1, H2, H3, H4, H5, H6, H7, H8, H12, J1, J2,
            J3, J4, J5, J6, J7, L1, M6, Q1, Q2, Q3, R1, R2, R3, R4, S1, S2, S4, S5, U6, U8, U9,
            U11, U12, U13, U14, U15, U16, U17, U18, W1, W2, W3,
        ] {
            let row = format!("| {} | {} |", invariant.id, invariant.promise);
            assert!(document.contains(&row), "not in docs/verification.md: {row}");
        }
    }
}
