//! Breaches that the tree still has. `allowed.txt` counts them by file and rule, and their number
//! only falls.
//!
//! Text that moves to another file takes its allowance along: a rule fails when the files together
//! have more breaches than their lines allow.

use super::{Breach, WorkTree, graph, names};
use std::collections::BTreeMap;
use std::fmt::Write;

pub(crate) const LIST: &str = "proptests/tests/tidy/allowed.txt";

/// Breaches of one rule, by path and line.
pub(crate) struct RuleBreaches {
    pub(crate) rule: &'static str,
    pub(crate) breaches: Vec<Breach>,
}

/// Breach counts by path and rule.
pub(crate) type Counts = BTreeMap<String, BTreeMap<String, usize>>;

/// All rules whose breaches are counted down, over the whole tree.
pub(crate) fn all(tree: &WorkTree) -> Vec<RuleBreaches> {
    let mut found = vec![
        RuleBreaches { rule: "types", breaches: names::types(tree) },
        RuleBreaches { rule: "circles", breaches: graph::circles(tree) },
    ];
    for rule in &mut found {
        rule.breaches.sort();
    }
    found
}

pub(crate) fn counts(found: &[RuleBreaches]) -> Counts {
    let mut counts = Counts::new();
    for RuleBreaches { rule, breaches } in found {
        for breach in breaches {
            let of_path = counts.entry(breach.path.clone()).or_default();
            *of_path.entry((*rule).to_owned()).or_default() += 1;
        }
    }
    counts
}

/// Reads the list, `PATH RULE=COUNT ..` a line.
pub(crate) fn parse(text: &str) -> Counts {
    let mut counts = Counts::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let of_path = counts.entry(words.next().unwrap_or_default().to_owned()).or_default();
        for word in words {
            let (rule, count) = word.split_once('=').unwrap_or_else(|| panic!("{LIST}: {line}"));
            of_path
                .insert(rule.to_owned(), count.parse().unwrap_or_else(|e| panic!("{line}: {e}")));
        }
    }
    counts
}

pub(crate) fn print(counts: &Counts) -> String {
    let mut text =
        "# Breaches that remain; `cargo tidy shrink` rewrites the list, and only downward.\n"
            .to_owned();
    for (path, rules) in counts {
        text.push_str(path);
        for (rule, count) in rules {
            write!(text, " {rule}={count}").unwrap_or_default();
        }
        text.push('\n');
    }
    text
}

pub(crate) fn total(counts: &Counts, rule: &str) -> usize {
    counts.values().filter_map(|rules| rules.get(rule)).sum()
}

/// The breaches in files above their lines, if a rule has more than all lines allow.
pub(crate) fn excess<'a>(allowed: &Counts, found: &'a RuleBreaches) -> Vec<&'a Breach> {
    let RuleBreaches { rule, breaches } = found;
    if breaches.len() <= total(allowed, rule) {
        return Vec::new();
    }
    let found = counts(std::slice::from_ref(found));
    let count = |counts: &Counts, path: &str| {
        counts.get(path).and_then(|rules| rules.get(*rule)).copied().unwrap_or_default()
    };
    let is_above = |breach: &&Breach| count(&found, &breach.path) > count(allowed, &breach.path);
    breaches.iter().filter(is_above).collect()
}

#[cfg(test)]
mod tests {
    use super::super::text::breach;
    use super::{RuleBreaches, counts, excess, parse, print, total};

    #[test]
    fn the_list_only_shrinks() {
        let found = |paths: &[&str]| {
            let breaches = paths.iter().map(|path| breach(path, 0, "x")).collect();
            RuleBreaches { rule: "words", breaches }
        };
        let allowed = parse("# head\na.rs words=2\nb.rs types=1 words=1\n");
        assert_eq!(total(&allowed, "words"), 3);
        let above = |paths: &[&str]| -> Vec<String> {
            excess(&allowed, &found(paths)).iter().map(|found| found.path.clone()).collect()
        };
        assert_eq!(above(&["a.rs", "a.rs", "b.rs"]), Vec::<String>::new());
        assert_eq!(above(&["a.rs", "a.rs", "new.rs"]), Vec::<String>::new());
        assert_eq!(above(&["a.rs", "a.rs", "b.rs", "b.rs"]), ["b.rs", "b.rs"]);
        assert_eq!(
            print(&counts(&[found(&["b.rs", "b.rs"])])).lines().nth(1),
            Some("b.rs words=2")
        );
        assert_eq!(parse(&print(&allowed)), allowed);
    }
}
