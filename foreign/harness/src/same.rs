//! Compares what a store holds with a state of the model.

use crate::engine::Contents;
use fastness_models::store::{ShortBytes, StoreState};
use std::ops::Bound;

/// Returns the first difference between a store and a state; an empty tree is no tree.
pub(crate) fn difference(contents: &Contents, state: &StoreState) -> Option<String> {
    for name in state.names() {
        let found = contents.get(name).map_or(&[][..], Vec::as_slice);
        let mut found = found.iter();
        for (key, value) in state.range(name, (Bound::Unbounded, Bound::Unbounded)) {
            let entry = found.next();
            if entry.is_none_or(|(k, v)| k != key || v != value) {
                let entry = entry.map_or("the end".to_owned(), |(key, value)| text(key, value));
                let tree = ShortBytes(name.as_bytes());
                return Some(format!("tree {tree}: {entry}, not {}", text(key, value)));
            }
        }
        if let Some((key, value)) = found.next() {
            let tree = ShortBytes(name.as_bytes());
            return Some(format!("tree {tree}: {}, not the end", text(key, value)));
        }
    }
    let mut more =
        contents.iter().filter(|(name, found)| !found.is_empty() && state.len(name) == 0);
    more.next().map(|(name, found)| {
        format!("tree {} with {} entries, not empty", ShortBytes(name.as_bytes()), found.len())
    })
}

fn text(key: &[u8], value: &[u8]) -> String {
    format!("{} = {}", ShortBytes(key), ShortBytes(value))
}

#[cfg(test)]
mod tests {
    use super::difference;
    use crate::engine::Contents;
    use fastness_models::store::Store;

    #[test]
    fn every_difference_is_reported() {
        let mut model = Store::default();
        model.insert("a", &[1][..].into(), &[2][..].into());
        model.insert("a", &[3][..].into(), &[4][..].into());
        model.commit();
        let state = model.committed();
        let of = |entries: &[(u8, u8)]| {
            let entries = entries.iter().map(|(key, value)| (vec![*key], vec![*value]));
            Contents::from([("a".to_owned(), entries.collect())])
        };
        let reported = |contents: &Contents| difference(contents, state).unwrap_or_default();
        assert_eq!(reported(&of(&[(1, 2), (3, 4)])), "");
        assert_eq!(reported(&of(&[(1, 2)])), "tree a[1]: the end, not \\x03[1] = \\x04[1]");
        assert!(reported(&of(&[(1, 2), (3, 5)])).contains("\\x05[1], not"));
        assert!(reported(&of(&[(1, 2), (3, 4), (9, 9)])).ends_with("not the end"));
        assert!(reported(&Contents::new()).contains("the end, not"));
        let mut more = of(&[(1, 2), (3, 4)]);
        more.insert("b".to_owned(), vec![]);
        assert_eq!(reported(&more), "");
        more.insert("b".to_owned(), vec![(vec![], vec![])]);
        assert_eq!(reported(&more), "tree b[1] with 1 entries, not empty");
    }
}
