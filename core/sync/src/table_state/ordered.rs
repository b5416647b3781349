//! Records of the window whose entries got their place in the history.
//!
//! While an entry is pending, records name it by its number instead of a seq. When it is ordered
//! without a rebase, they are rewritten in place: the same bytes as a rebase would leave.

use super::record::{ElementMemory, ValueRecord, WindowKey, WindowRecord};
use crate::merge::{Deletion, PENDING_SEQ, Register};
use std::borrow::Cow;

/// Returns the seq of an own entry by its number; none if it is still pending.
pub(crate) type SeqOf<'s> = &'s dyn Fn(u64) -> Option<u64>;

fn order(seq: &mut u64, seq_of: SeqOf<'_>) {
    if let Some(ordered) = seq.checked_sub(PENDING_SEQ).and_then(seq_of) {
        *seq = ordered;
    }
}

fn order_register(register: &mut Option<Register>, seq_of: SeqOf<'_>) {
    if let Some(register) = register {
        order(&mut register.seq, seq_of);
    }
}

/// Decodes a record, changes it, and encodes it again.
fn rewrite<R: WindowRecord>(bytes: &[u8], change: impl FnOnce(&mut R)) -> Option<Vec<u8>> {
    let mut record = R::decode(bytes)?;
    change(&mut record);
    Some(record.encode())
}

/// Returns a record of the window with the seqs of entries that have one now, which is the same
/// bytes if it names no such entry. None if the record is damaged.
pub(crate) fn ordered<'v>(key: &[u8], value: &'v [u8], seq_of: SeqOf<'_>) -> Option<Cow<'v, [u8]>> {
    let record = match WindowKey::read(key)? {
        WindowKey::Deletion => rewrite(value, |deletion: &mut Deletion| {
            order(&mut deletion.seq, seq_of);
            order(&mut deletion.seq_of_others, seq_of);
        }),
        WindowKey::Value(_) => rewrite(value, |record: &mut ValueRecord| {
            order_register(&mut record.register, seq_of);
        }),
        WindowKey::Element(..) => rewrite(value, |memory: &mut ElementMemory| {
            order_register(&mut memory.value, seq_of);
            order_register(&mut memory.place, seq_of);
            for seq in [&mut memory.removed, &mut memory.followed].into_iter().flatten() {
                order(seq, seq_of);
            }
        }),
        WindowKey::Head(_) | WindowKey::Derived => return Some(Cow::Borrowed(value)),
    }?;
    Some(if record == value { Cow::Borrowed(value) } else { Cow::Owned(record) })
}
