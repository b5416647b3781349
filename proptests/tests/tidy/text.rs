//! Rules for one Rust file as text. They lean on rustfmt: an item that begins at some indentation
//! ends with a brace at the same indentation.

use super::Breach;

const COLUMNS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 500;
const FILE_LINES_WITH_TESTS_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;

pub(crate) fn breach(path: &str, index: usize, text: impl Into<String>) -> Breach {
    Breach { path: path.to_owned(), line: index + 1, text: text.into() }
}

pub(crate) fn line_widths(path: &str, text: &str) -> Vec<Breach> {
    let wide = |line: &str| line.chars().count() > COLUMNS_MAX;
    text.lines()
        .enumerate()
        .filter(|(_, line)| wide(line))
        .map(|(index, line)| {
            let columns = line.chars().count();
            breach(path, index, format!("{columns} columns; at most {COLUMNS_MAX}: break the line"))
        })
        .collect()
}

pub(crate) fn file_lengths(path: &str, text: &str) -> Vec<Breach> {
    let all = text.lines().count();
    let code = match test_module(text) {
        Some((first, last)) => all - (last - first + 1),
        None => all,
    };
    let mut breaches = Vec::new();
    let is_test = path.contains("/tests/");
    if code > FILE_LINES_MAX && !(is_test && code <= FILE_LINES_WITH_TESTS_MAX) {
        let text =
            format!("{code} lines beside tests; at most {FILE_LINES_MAX}: split by responsibility");
        breaches.push(breach(path, code, text));
    }
    if all > FILE_LINES_WITH_TESTS_MAX {
        let text = format!(
            "{all} lines with tests; at most {FILE_LINES_WITH_TESTS_MAX}: give tests a file"
        );
        breaches.push(breach(path, all, text));
    }
    breaches
}

/// First and last line of the module `tests`, if the file has one.
fn test_module(text: &str) -> Option<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.windows(2).position(|pair| {
        pair[0] == "#[cfg(test)]" && pair[1].trim_end().ends_with("mod tests {")
    })?;
    let last = (first..lines.len()).find(|&index| lines[index] == "}")?;
    Some((first, last))
}

/// Lines that are neither comments nor in the module `tests`, with their index.
pub(crate) fn code_lines(text: &str) -> Vec<(usize, &str)> {
    let tests = test_module(text);
    let in_tests =
        |index: usize| tests.is_some_and(|(first, last)| index >= first && index <= last);
    text.lines()
        .enumerate()
        .filter(|(index, line)| !in_tests(*index) && !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index, line.find(" // ").map_or(line, |at| &line[..at])))
        .collect()
}

pub(crate) fn function_sizes(path: &str, text: &str) -> Vec<Breach> {
    let lines: Vec<&str> = text.lines().collect();
    let mut breaches = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let Some(opening) = body_opening(&lines, first) else { continue };
        let close = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
        let last = (opening..lines.len()).find(|&at| lines[at] == close).unwrap_or(opening);
        let count = (last + 1).saturating_sub(opening + 2);
        if count > FUNCTION_LINES_MAX {
            let text =
                format!("`{name}` has {count} lines; at most {FUNCTION_LINES_MAX}: cut it in two");
            breaches.push(breach(path, first, text));
        }
    }
    breaches
}

/// The name, when the line begins a function.
fn function_name(line: &str) -> Option<&str> {
    let mut words = line.trim_start();
    loop {
        let (word, rest) = words.split_once(' ')?;
        match word {
            "fn" => return rest.split(['(', '<']).next().filter(|name| !name.is_empty()),
            "const" | "async" | "unsafe" | "extern" => {}
            _ if word.starts_with("pub") => {}
            _ => return None,
        }
        words = rest;
    }
}

/// The line on which the body of a function opens, if it is longer than that line.
fn body_opening(lines: &[&str], first: usize) -> Option<usize> {
    let ends = |line: &&str| line.ends_with(['{', ';', '}']);
    let last = first + lines[first..].iter().position(ends)?;
    lines[last].ends_with('{').then_some(last)
}

pub(crate) fn header(path: &str, text: &str) -> Vec<Breach> {
    if text.starts_with("//! ") {
        return Vec::new();
    }
    vec![breach(path, 0, "no header; open the file with `//!`: what it is for, what it promises")]
}

pub(crate) fn forbidden_words(path: &str, text: &str) -> Vec<Breach> {
    let words = [
        (concat!("to", "do!("), "finish it"),
        (concat!("unimple", "mented!("), "finish it"),
        (concat!("db", "g!("), "remove it"),
        (concat!("FIX", "ME"), "fix it"),
        (concat!("XX", "X"), "say what is meant"),
    ];
    let mut breaches = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for (word, remedy) in words {
            if line.contains(word) {
                breaches.push(breach(path, index, format!("`{word}`: {remedy}")));
            }
        }
    }
    breaches.extend(silenced(path, text));
    breaches
}

/// Lints switched off without a reason.
fn silenced(path: &str, text: &str) -> Vec<Breach> {
    let lines: Vec<&str> = text.lines().collect();
    let mut breaches = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let start = line.trim_start().trim_start_matches("#!").trim_start_matches('#');
        if !start.starts_with("[allow(") && !start.starts_with("[expect(") {
            continue;
        }
        let attribute: String =
            lines[index..].iter().take(8).copied().collect::<Vec<_>>().join("\n");
        let attribute = attribute.split(")]").next().unwrap_or_default();
        if !attribute.contains("reason =") {
            let text = "a lint is silenced without a reason; use `#[expect(.., reason = \"..\")]`";
            breaches.push(breach(path, index, text));
        }
    }
    breaches
}

pub(crate) fn unwraps(path: &str, text: &str) -> Vec<Breach> {
    let is_test =
        path.contains("/tests/") || path.contains("benches/") || path.ends_with("tests.rs");
    if is_test {
        return Vec::new();
    }
    let word = concat!(".unw", "rap()");
    code_lines(text)
        .into_iter()
        .filter(|(_, line)| line.contains(word))
        .map(|(index, _)| {
            let text = format!("`{word}`; return an error, or `expect` the invariant by its id");
            breach(path, index, text)
        })
        .collect()
}

pub(crate) fn machine_paths(path: &str, text: &str) -> Vec<Breach> {
    let words = [concat!("/wo", "rk/"), concat!("../sha", "red"), concat!("fa", "rm-")];
    let mut breaches = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for word in words {
            if line.contains(word) {
                let text = format!("`{word}` is a name of one machine's set-up; say it without");
                breaches.push(breach(path, index, text));
            }
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::{
        Breach, body_opening, file_lengths, forbidden_words, function_sizes, header, line_widths,
        machine_paths, unwraps,
    };

    #[track_caller]
    fn check(rule: fn(&str, &str) -> Vec<Breach>, text: &str, lines: &[usize]) {
        let found: Vec<usize> =
            rule("core/src/a.rs", text).iter().map(|found| found.line).collect();
        assert_eq!(found, lines, "{text}");
    }

    #[test]
    fn every_text_rule_fires_on_its_breach() {
        check(line_widths, &format!("ok\n{}", "x".repeat(101)), &[2]);
        check(line_widths, &"é".repeat(100), &[]);
        check(header, "use std::fmt;\n", &[1]);
        check(header, "//! A file.\n", &[]);
        check(forbidden_words, concat!("a\n    to", "do!()\n"), &[2]);
        check(forbidden_words, concat!("#[al", "low(dead_code)]\nfn f() {}\n"), &[1]);
        check(
            forbidden_words,
            "#[expect(\n    dead_code,\n    reason = \"x\"\n)]\nfn f() {}\n",
            &[],
        );
        check(unwraps, concat!("let a = b.unw", "rap();\n"), &[1]);
        check(unwraps, concat!("// b.unw", "rap()\n"), &[]);
        let in_tests = concat!("#[cfg(test)]\nmod tests {\n    b.unw", "rap();\n}\n");
        check(unwraps, in_tests, &[]);
        check(machine_paths, concat!("see /wo", "rk/x\n"), &[1]);
    }

    #[test]
    fn long_files_are_found_with_and_without_their_tests() {
        let code = "x\n".repeat(501);
        check(file_lengths, &code, &[502]);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    x\n".repeat(297));
        check(file_lengths, &format!("{}{tests}", "x\n".repeat(500)), &[]);
        check(file_lengths, &format!("{}{tests}x\n", "x\n".repeat(500)), &[502, 802]);
    }

    #[test]
    fn long_functions_are_found() {
        let long = format!("    fn f(&self) {{\n{}    }}\n", "        a();\n".repeat(71));
        check(function_sizes, &long, &[1]);
        let just = format!("    fn f(&self) {{\n{}    }}\n", "        a();\n".repeat(70));
        check(function_sizes, &just, &[]);
    }

    #[test]
    fn a_body_opens_behind_its_signature() {
        let lines = ["    pub(crate) const fn f<T: Into<X>, U>(", "        &mut self,"]
            .into_iter()
            .chain(["        a: impl Fn(u8, u8) -> u8,", "        b: (u8, [u8; 3]),"])
            .chain(["        c: BTreeMap<K, V>,", "    ) -> Result<(A, B)> {"])
            .collect::<Vec<_>>();
        assert_eq!(body_opening(&lines, 0), Some(5));
        assert_eq!(body_opening(&["fn f() {"], 0), Some(0));
        assert_eq!(body_opening(&["fn f() {}", "fn g() {"], 0), None);
        assert_eq!(body_opening(&["fn f(a: u8) -> u8;", "fn g() {"], 0), None);
    }
}
