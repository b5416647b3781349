//! Wrong rules: each breaks one rule of docs/sync.md#merge-rules in a way that a system has shipped
//! or a prototype had.

/// A rule that is broken on purpose.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mutant {
    /// MR1: Create ignores a concurrent foreign Delete.
    CreateIgnoresDelete,
    /// MR2: the deletion record has the newest Delete only.
    OneDeletion,
    /// MR2: the stamps of a deleted object remain.
    DeleteKeepsStamps,
    /// MR3: Set ignores a concurrent foreign Delete if the object exists again.
    SetIgnoresDelete,
    /// MR3: the later seq wins whatever its stamp.
    LastOrderedWins,
    /// MR3: a tie of stamps is resolved for the entry that was first.
    TieKeepsFirst,
    /// MR3: a link to an absent object is visible.
    LinkDangles,
    /// MR4: an increment replaces the sum.
    IncrementReplaces,
    /// MR5: an element is placed before its predecessor.
    AfterIsBefore,
    /// MR5: a move ignores stamps.
    MoveIgnoresStamp,
    /// MR5: a set makes a removed element visible.
    SetRestoresElement,
    /// MR5: an anchor may be an element whose removal the author knew.
    AnchorOnRemoved,
    /// MR5: an author anchors after the left neighbour, always.
    AuthorAlwaysAfter,
    /// MR6: the server accepts a conflicting definition, and the later one holds.
    SchemaConflict,
    /// MR7: effective stamps have no lower clamp.
    NoLowerClamp,
    /// MR7: effective stamps have no upper clamp.
    NoUpperClamp,
    /// MR8: the server sequences an entry twice.
    NoDuplicateCheck,
    /// MR8: the server accepts a gap.
    NoGapCheck,
    /// MR9: the purge goes one seq too far.
    PurgeTooFar,
    /// MR9: the server accepts an entry with a base below the horizon.
    NoBaseCheck,
}

impl Mutant {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::CreateIgnoresDelete,
        Self::OneDeletion,
        Self::DeleteKeepsStamps,
        Self::SetIgnoresDelete,
        Self::LastOrderedWins,
        Self::TieKeepsFirst,
        Self::LinkDangles,
        Self::IncrementReplaces,
        Self::AfterIsBefore,
        Self::MoveIgnoresStamp,
        Self::SetRestoresElement,
        Self::AnchorOnRemoved,
        Self::AuthorAlwaysAfter,
        Self::SchemaConflict,
        Self::NoLowerClamp,
        Self::NoUpperClamp,
        Self::NoDuplicateCheck,
        Self::NoGapCheck,
        Self::PurgeTooFar,
        Self::NoBaseCheck,
    ];
}
