//! Where an entry places elements of lists: what the author's rule of MR5 decides.

use fastness_sync::entry::{Anchor, Change, ElementId, Operation, decode};

/// An element of a list and its anchor. New elements of the entry have the author 0, and count from
/// 1.
pub(super) type Placement = (ElementId, Anchor);

/// Returns where an entry of a client places elements.
pub(super) fn placements(entry: &[u8], client: u32) -> Vec<Placement> {
    let mut new = Vec::new();
    let mut placed = Vec::new();
    for operation in decode(entry).map(|entry| entry.operations).unwrap_or_default() {
        let Operation::Change { change, .. } = operation else { continue };
        let (element, anchor) = match change {
            Change::ListInsert { element, anchor, .. } => {
                new.push(named(element, client));
                (element, anchor)
            }
            Change::ListMove { element, anchor } => (element, anchor),
            _ => continue,
        };
        let id = |id: ElementId| {
            let id = named(id, client);
            let index = new.iter().position(|other| *other == id);
            index.map_or(id, |index| ElementId { author: 0, number: index as u64 + 1 })
        };
        let anchor = match anchor {
            Anchor::Head => Anchor::Head,
            Anchor::After(to) => Anchor::After(id(to)),
            Anchor::Before(to) => Anchor::Before(id(to)),
        };
        placed.push((id(element), anchor));
    }
    placed
}

/// Names the author of an id, which an entry may leave out.
const fn named(id: ElementId, client: u32) -> ElementId {
    if id.author == 0 { ElementId { author: client, ..id } } else { id }
}
