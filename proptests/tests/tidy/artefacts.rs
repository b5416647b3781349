//! Artefacts that code refers to: documents, corpora, snapshots, golden files.

use super::text::breach;
use super::{Breach, WorkTree};
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::xxh3_128;

const CORPUS_BYTES_MAX: u64 = 1 << 20;
const GOLDEN: &str = "snapshots/golden/";
const DIGESTS: &str = "snapshots/golden/DIGESTS";

pub(crate) fn header_references(tree: &WorkTree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for path in tree.ending(".rs") {
        let text = tree.text(path).unwrap_or_default();
        for (index, line) in text.lines().enumerate() {
            if !line.starts_with("//! ") {
                continue;
            }
            for reference in document_references(line) {
                if let Some(problem) = unresolved(tree, &reference) {
                    breaches.push(breach(path, index, problem));
                }
            }
            for name in names_after(line, "sim::check::") {
                if !names_check(tree, &name) {
                    let text = format!("`sim::check::{name}` does not exist; name the check");
                    breaches.push(breach(path, index, text));
                }
            }
            for name in names_after(line, "models::") {
                if tree.under(&format!("models/src/{name}")).next().is_none() {
                    let text = format!("`models::{name}` does not exist; name the model");
                    breaches.push(breach(path, index, text));
                }
            }
        }
    }
    breaches
}

/// All `docs/NAME.md` and `docs/NAME.md#ANCHOR` in a line.
fn document_references(line: &str) -> Vec<String> {
    let is_part = |letter: char| letter.is_alphanumeric() || "/.#_-".contains(letter);
    line.split(|letter: char| !is_part(letter))
        .filter(|word| word.starts_with("docs/") && word.contains(".md"))
        .map(|word| word.trim_end_matches(['.', '/']).to_owned())
        .collect()
}

pub(crate) fn unresolved(tree: &WorkTree, reference: &str) -> Option<String> {
    let (path, anchor) = match reference.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (reference, None),
    };
    if !tree.has(path) {
        return Some(format!("`{path}` does not exist; write it or refer to what does"));
    }
    let anchor = anchor?;
    let anchors = anchors(&tree.text(path).unwrap_or_default());
    let near: Vec<&str> = anchors.iter().map(String::as_str).collect();
    (!anchors.contains(anchor))
        .then(|| format!("`{path}` has no heading `{anchor}`; it has {}", near.join(", ")))
}

/// The anchors that a document's headings make, as the usual viewers make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        let title = line.trim_start_matches('#');
        if fenced || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = |letter: &char| letter.is_alphanumeric() || " -_".contains(*letter);
        let slug: String = title.trim().to_lowercase().chars().filter(kept).collect();
        found.insert(slug.replace(' ', "-"));
    }
    found
}

fn names_after(line: &str, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices(prefix) {
        let is_inner =
            line[..at].ends_with([':', '_']) || line[..at].ends_with(char::is_alphanumeric);
        let name: String = line[at + prefix.len()..]
            .chars()
            .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
            .collect();
        if !is_inner && !name.is_empty() {
            found.push(name);
        }
    }
    found
}

/// A check is a module or a function below `sim/src/check`; types begin with a capital.
fn names_check(tree: &WorkTree, name: &str) -> bool {
    let function = [format!("pub fn {name}("), format!("{name},"), format!("{name} ")];
    name.starts_with(char::is_uppercase)
        || tree.has(&format!("sim/src/check/{name}.rs"))
        || tree
            .under("sim/src/check")
            .filter_map(|path| tree.text(path))
            .any(|text| function.iter().any(|function| text.contains(function)))
}

pub(crate) fn corpora(tree: &WorkTree) -> Vec<Breach> {
    let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
    for path in tree.under("fuzz/corpus/") {
        let Some(name) = path.split('/').nth(2) else { continue };
        *sizes.entry(name).or_default() += tree.bytes(path).len() as u64;
    }
    let large = sizes.into_iter().filter(|(_, bytes)| *bytes >= CORPUS_BYTES_MAX);
    large
        .map(|(name, bytes)| {
            let text = format!("corpus of {bytes} bytes; below {CORPUS_BYTES_MAX}: minimise it");
            breach(&format!("fuzz/corpus/{name}"), 0, text)
        })
        .collect()
}

pub(crate) fn orphan_snapshots(tree: &WorkTree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for path in tree.ending(".snap") {
        let text = tree.text(path).unwrap_or_default();
        let source = text.lines().find_map(|line| line.strip_prefix("source: "));
        let source = source.unwrap_or_default().trim_matches('"');
        let code = if tree.has(source) { tree.text(source) } else { None };
        // House rule: snapshots have names, so that a test that was renamed is found here.
        let file = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".snap");
        let name = file.rsplit("__").next().unwrap_or(file);
        let named = code.is_some_and(|code| code.contains(&format!("\"{name}\"")));
        if !named {
            let text = format!("no test in `{source}` names the snapshot \"{name}\"; remove it");
            breaches.push(breach(path, 0, text));
        }
    }
    breaches
}

pub(crate) fn golden_files(tree: &WorkTree) -> Vec<Breach> {
    let files: BTreeMap<String, Vec<u8>> = tree
        .under(GOLDEN)
        .filter(|path| !path.ends_with(".md") && *path != DIGESTS)
        .map(|path| (path.trim_start_matches(GOLDEN).to_owned(), tree.bytes(path)))
        .collect();
    let digests = if tree.has(DIGESTS) { tree.text(DIGESTS) } else { None };
    golden(&digests.unwrap_or_default(), &files)
}

fn golden(digests: &str, files: &BTreeMap<String, Vec<u8>>) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut listed = BTreeSet::new();
    for (index, line) in digests.lines().enumerate() {
        let Some((digest, name)) = line.split_once("  ") else {
            breaches.push(breach(DIGESTS, index, "not `DIGEST  NAME`; restore the line"));
            continue;
        };
        listed.insert(name);
        let text = match files.get(name) {
            Some(bytes) if format!("{:032x}", xxh3_128(bytes)) == digest => continue,
            Some(_) => format!("`{name}` has changed; golden files never do: restore it"),
            None => {
                format!("`{name}` is gone; what we could read once we read for ever: restore it")
            }
        };
        breaches.push(breach(DIGESTS, index, text));
    }
    for (name, bytes) in files {
        if !listed.contains(name.as_str()) {
            let text = format!("add the line `{:032x}  {name}`", xxh3_128(bytes));
            breaches.push(breach(DIGESTS, digests.lines().count(), text));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::{anchors, document_references, golden, names_after};
    use std::collections::BTreeMap;
    use xxhash_rust::xxh3::xxh3_128;

    #[test]
    fn anchors_are_those_of_the_headings() {
        let found =
            anchors("# Format\n## Header slot, 512 bytes\n```\n# no\n```\n#no\n### A `b`\n");
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            ["a-b", "format", "header-slot-512-bytes"]
        );
    }

    #[test]
    fn references_are_found_in_prose() {
        let line = "//! Format: docs/format.md#header. Model: models::store. See (docs/a.md).";
        assert_eq!(document_references(line), ["docs/format.md#header", "docs/a.md"]);
        assert_eq!(names_after(line, "models::"), ["store"]);
        assert_eq!(names_after("fastness_models::store", "models::"), Vec::<String>::new());
    }

    #[test]
    fn changed_missing_and_new_golden_files_are_found() {
        let file = |name: &str| (name.to_owned(), b"bytes".to_vec());
        let digest = format!("{:032x}", xxh3_128(b"bytes"));
        let files = BTreeMap::from([file("a"), file("b")]);
        let lines = |digests: &str| -> Vec<usize> {
            golden(digests, &files).iter().map(|found| found.line).collect()
        };
        assert_eq!(lines(&format!("{digest}  a\n{digest}  b\n")), Vec::<usize>::new());
        assert_eq!(lines(&format!("{digest}  a\n")), [2]);
        assert_eq!(lines(&format!("{digest}  a\n{digest}  b\n{digest}  c\n")), [3]);
        assert_eq!(lines(&format!("{digest}  a\n0  b\n")), [2]);
        assert_eq!(lines("a\n"), [1, 2, 2]);
    }
}
