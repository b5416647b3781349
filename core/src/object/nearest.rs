//! Mistyped names: the name that exists and is nearest to one that does not.

use crate::schema::PROPERTY_NAME_UNITS_MAX;

/// Returns the name that a mistyped one most likely means: at most a third of its characters are
/// wrong, missing, superfluous or swapped with their neighbour. Case does not count.
#[cold]
pub(super) fn nearest<'n>(
    mistyped: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<String> {
    let folded = |name: &str| -> Vec<char> { name.to_lowercase().chars().collect() };
    // No name is longer, and comparing takes the product of both lengths.
    if mistyped.encode_utf16().count() > 2 * PROPERTY_NAME_UNITS_MAX {
        return None;
    }
    let mistyped = folded(mistyped);
    let most = (mistyped.len() / 3).max(1);
    let names = names.into_iter().map(|name| (distance(&mistyped, &folded(name)), name));
    let near = names.filter(|(edits, _)| *edits <= most && *edits < mistyped.len());
    near.min().map(|(_, name)| name.to_owned())
}

/// Returns the edits between two names: the optimal string alignment distance.
fn distance(one: &[char], two: &[char]) -> usize {
    let mut rows: Vec<Vec<usize>> = vec![(0..=two.len()).collect()];
    for (at, left) in one.iter().enumerate() {
        let above = &rows[at];
        let mut row = vec![at + 1];
        for (to, right) in two.iter().enumerate() {
            let replaced = above[to] + usize::from(left != right);
            let mut edits = replaced.min(above[to + 1] + 1).min(row[to] + 1);
            if at > 0 && to > 0 && one[at - 1] == *right && two[to - 1] == *left {
                edits = edits.min(rows[at - 1][to - 1] + 1);
            }
            row.push(edits);
        }
        rows.push(row);
    }
    rows[one.len()][two.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mistyped: &str, expect: Option<&str>) {
        let names = ["name", "born_at", "tricks", "a", "größe"];
        assert_eq!(nearest(mistyped, names).as_deref(), expect, "{mistyped}");
    }

    #[test]
    fn a_few_slips_lead_to_the_name() {
        check("nmae", Some("name"));
        check("Name", Some("name"));
        check("bornAt", Some("born_at"));
        check("trick", Some("tricks"));
        check("GRÖSSE", Some("größe"));
        check("Größe", Some("größe"));
        check("groesse", None);
    }

    #[test]
    fn another_name_leads_nowhere() {
        for other in ["", "b", "owner", &"x".repeat(1 << 20)] {
            check(other, None);
        }
    }

    #[test]
    fn equally_near_names_are_in_their_order() {
        assert_eq!(nearest("cats", ["cars", "cast", "bats"]).as_deref(), Some("bats"));
    }
}
