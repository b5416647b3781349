//! Register of promises: docs/promises.md lists every invariant id once, and code names each.
//!
//! A row is `| C2 | promise | owner | checked by | specified in |`. Code names an id in a header
//! (`//! - C2 ..`), in a check (`id: "C2"`, `promise("C2", ..`) or at the start of a panic text.

use super::artefacts::unresolved;
use super::source::{Token, TokenKind, tokens};
use super::text::breach;
use super::{Breach, WorkTree};
use std::collections::BTreeMap;

const REGISTER: &str = "docs/promises.md";

/// Holds the register against itself and against the code, in both directions.
pub(crate) fn promises(tree: &WorkTree) -> Vec<Breach> {
    let text = tree.text(REGISTER).unwrap_or_default();
    let (rows, mut breaches) = rows(&text);
    for (index, row) in &rows {
        breaches.extend(row_breaches(tree, *index, row));
    }
    let mut named: BTreeMap<String, Naming> =
        rows.iter().map(|(_, row)| (row[0].to_owned(), Naming::default())).collect();
    for path in tree.ending(".rs").filter(|path| !path.starts_with("proptests/tests/tidy/")) {
        let text = tree.text(path).unwrap_or_default();
        for (line, id, is_reported) in named_ids(&tokens(&text)) {
            match named.get_mut(id) {
                Some(naming) => {
                    naming.is_named = true;
                    naming.is_reported |= is_reported;
                }
                None => {
                    let text = format!("{id} is no promise of {REGISTER}; add its row");
                    breaches.push(breach(path, line, text));
                }
            }
        }
    }
    for (index, row) in &rows {
        let naming = named.get(row[0]).copied().unwrap_or_default();
        if !naming.is_named {
            let text = format!("no header, check or panic names {}; name it or drop it", row[0]);
            breaches.push(breach(REGISTER, *index, text));
        } else if !naming.is_reported && row.get(3).is_some_and(|cell| is_by_checks(cell)) {
            let text = format!("no check can report {}; report it, or say `as ID`", row[0]);
            breaches.push(breach(REGISTER, *index, text));
        }
    }
    breaches
}

/// Where code names a promise.
#[derive(Clone, Copy, Default)]
struct Naming {
    is_named: bool,
    /// A check or a panic can name it, so a finding can begin with it.
    is_reported: bool,
}

/// Tells whether only checks of a campaign attack a promise: they must be able to report it.
fn is_by_checks(cell: &str) -> bool {
    cell.split(", ").all(|part| {
        let name = part.strip_prefix('`').and_then(|part| part.strip_suffix('`'));
        part == "every check" || name.is_some_and(|name| !name.contains('`'))
    })
}

/// Cells of the rows that begin with an id, and ids that have two rows.
fn rows(text: &str) -> (Vec<(usize, Vec<&str>)>, Vec<Breach>) {
    let mut rows: Vec<(usize, Vec<&str>)> = Vec::new();
    let mut breaches = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some(inner) = line.strip_prefix("| ").and_then(|line| line.strip_suffix('|')) else {
            continue;
        };
        let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
        if !is_id(cells[0]) {
            continue;
        }
        if rows.iter().any(|(_, row)| row[0] == cells[0]) {
            let text = format!("{} has two rows; one id, one promise", cells[0]);
            breaches.push(breach(REGISTER, index, text));
        }
        rows.push((index, cells));
    }
    (rows, breaches)
}

fn row_breaches(tree: &WorkTree, index: usize, row: &[&str]) -> Vec<Breach> {
    let id = row[0];
    let [_, promise, owner, checked, specified] = row else {
        let text =
            format!("{id} has {} cells; id, promise, owner, checked by, specified in", row.len());
        return vec![breach(REGISTER, index, text)];
    };
    let mut breaches = Vec::new();
    for (name, cell) in [("promise", promise), ("owner", owner), ("check", checked)] {
        if cell.is_empty() {
            breaches.push(breach(REGISTER, index, format!("{id} has no {name}; write it")));
        }
    }
    let target = specified.split_once("](").map(|(_, rest)| rest.trim_end_matches(')'));
    match target {
        Some(target) => {
            if let Some(problem) = unresolved(tree, &format!("docs/{target}")) {
                breaches.push(breach(REGISTER, index, format!("{id}: {problem}")));
            }
        }
        None if *specified == "-" => {}
        None => {
            let text = format!("{id} is specified in a link or in `-`, the header of its owner");
            breaches.push(breach(REGISTER, index, text));
        }
    }
    breaches
}

/// One or two capitals and a number from 1.
fn is_id(text: &str) -> bool {
    let letters = text.chars().take_while(char::is_ascii_uppercase).count();
    let digits = &text[letters..];
    (1..=2).contains(&letters)
        && digits.starts_with(|first: char| ('1'..='9').contains(&first))
        && digits.len() <= 3
        && digits.chars().all(|digit| digit.is_ascii_digit())
}

/// The ids that a file names, with the index of their line, and whether a finding can begin so.
fn named_ids<'a>(tokens: &[Token<'a>]) -> Vec<(usize, &'a str, bool)> {
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Comment => {
                let header = token.text.strip_prefix("//! - ").unwrap_or_default();
                let ids = header.split(' ').map(|word| word.trim_end_matches(','));
                found.extend(ids.take_while(|id| is_id(id)).map(|id| (token.line, id, false)));
            }
            TokenKind::Text => {
                let before = |back: usize, text: &str| {
                    index.checked_sub(back).is_some_and(|at| tokens[at].is(text))
                };
                let is_field = before(1, ":") && (before(2, "id") || before(2, "invariant"));
                let is_argument = before(1, "(") && before(2, "promise");
                let id = match token.text.split_once(": ") {
                    Some((id, _)) => Some(id),
                    None => Some(token.text).filter(|_| is_field || is_argument),
                };
                found.extend(id.filter(|id| is_id(id)).map(|id| (token.line, id, true)));
            }
            TokenKind::Word | TokenKind::Mark | TokenKind::Quote => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::source::tokens;
    use super::{is_by_checks, is_id, named_ids, rows};

    #[test]
    fn ids_are_read_where_code_names_them() {
        let check = |source: &str, expect: &[&str]| {
            let source = tokens(source);
            let found: Vec<&str> = named_ids(&source).into_iter().map(|(_, id, _)| id).collect();
            assert_eq!(found, expect, "{source:?}");
        };
        check("//! - C10 An opening that fails\n", &["C10"]);
        check("//! - K5, K6 Nothing\n//! - H3 H4 H8 A token\n", &["K5", "K6", "H3", "H4", "H8"]);
        check("//! - A word\n//! - [`fs`]: a file system\n// - C2 x\n", &[]);
        check("Invariant { id: \"S1\", promise: \"x\" }", &["S1"]);
        check("promise(\"CA4\", \"x\"); other(\"CA5\");", &["CA4"]);
        check("panic!(\"T3: a node\"); f(\"T4 x\"); f(\"FS-18: x\"); f(\"T04: x\")", &["T3"]);
        assert!(is_by_checks("`crash`, every check") && is_by_checks("`io-errors`"));
        assert!(!is_by_checks("`damage`, as D2") && !is_by_checks("loom, `unsynced`"));
        assert!(is_id("Y1") && !is_id("ABC1") && !is_id("A") && !is_id("A0"));
    }

    #[test]
    fn rows_are_those_that_begin_with_an_id() {
        let table = "| id | promise |\n|---|---|\n| C2 | x | y | z | - |\n| info | y |\nY3 z\n\
            | Y4 | z |\n| C2 | twice | y | z | - |\n";
        let (found, breaches) = rows(table);
        let ids: Vec<(usize, &str)> = found.iter().map(|(at, row)| (*at, row[0])).collect();
        assert_eq!(ids, [(2, "C2"), (5, "Y4"), (6, "C2")]);
        assert_eq!(breaches.len(), 1);
    }
}
