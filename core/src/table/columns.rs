//! The properties of a class in the order of their names, found by name.

use super::column::{Column, ColumnPlace};
use crate::sorted::sort_by;
use std::ops::Deref;

/// The columns of a class, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    all: Vec<Column>,
    /// Where to look for a name: at the place that its hash says, or behind it. At least half of
    /// the places are empty.
    places: Vec<u16>,
    /// Which of them is the primary key.
    key: Option<u16>,
}

const EMPTY: u16 = u16::MAX;

/// Mixes the length, the first and the last bytes of a name.
fn hash(name: &[u8]) -> usize {
    let ends = match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        (Some(first), Some(last)) => [u32::from_le_bytes(*first), u32::from_le_bytes(*last)],
        _ => [0, name.iter().fold(0, |ends, byte| ends << 8 | u32::from(*byte))],
    };
    let ends = u64::from(ends[0]) << 32 | u64::from(ends[1]);
    let mixed = (ends ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::from((mixed >> 48) as u16)
}

impl Deref for Columns {
    type Target = [Column];

    fn deref(&self) -> &[Column] {
        &self.all
    }
}

impl Columns {
    /// Changes columns, and puts them in order again.
    pub(crate) fn change(&mut self, body: impl FnOnce(&mut Vec<Column>)) {
        body(&mut self.all);
        self.arrange();
    }

    /// Puts columns in order.
    fn arrange(&mut self) {
        sort_by(&mut self.all, |one, two| one.name().cmp(two.name()));
        let count = (2 * self.all.len()).next_power_of_two();
        self.places = vec![EMPTY; count];
        self.key = None;
        for (index, column) in (0..).zip(&self.all) {
            let mut at = hash(column.name().as_bytes());
            while self.places[at % count] != EMPTY {
                at += 1;
            }
            self.places[at % count] = index;
            if column.place == ColumnPlace::Key {
                self.key = Some(index);
            }
        }
    }

    /// Returns the primary key.
    pub(crate) fn key(&self) -> Option<&Column> {
        self.all.get(usize::from(self.key?))
    }

    /// Returns the column of a name.
    pub(crate) fn named(&self, name: &str) -> Option<&Column> {
        let mask = self.places.len().checked_sub(1)?;
        let mut at = hash(name.as_bytes());
        loop {
            // An empty place leads to no column.
            let column = self.all.get(usize::from(self.places[at & mask]))?;
            if column.name() == name {
                return Some(column);
            }
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Property, Scalar};

    #[test]
    fn each_name_is_found_and_no_other() {
        let long: Vec<String> = (0..200).map(|number| format!("some{number:03}like")).collect();
        let mut names: Vec<&str> = ["a", "a\0", "b", "ab", "address", "\u{fc}"].into();
        names.extend(long.iter().map(String::as_str));
        let mut columns = Columns::default();
        for (number, name) in (0..).zip(names.iter().rev()) {
            assert!(columns.named(name).is_none(), "{name:?}");
            let property = Property::new(*name, Scalar::Int).unwrap();
            columns
                .change(|all| all.push(Column { number, place: ColumnPlace::Slot(2), property }));
        }
        names.sort_unstable();
        assert!(columns.iter().map(Column::name).eq(names.iter().copied()));
        assert!(names.iter().all(|name| columns.named(name).unwrap().name() == *name));
        for absent in ["", "A", "addr", "some200like", "some-000-like", "b\0"] {
            assert!(columns.named(absent).is_none(), "{absent:?}");
        }
        columns.change(|all| all.retain(|column| column.name() != "b"));
        assert!(columns.named("b").is_none());
        assert_eq!(columns.named("ab").unwrap().name(), "ab");
    }
}
