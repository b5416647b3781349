//! The page of planted faults has a row for each fault of the registry, with its description.

use crate::tidy::WorkTree;

const PAGE: &str = "docs/faults.md";
const UPDATE: &str = "run `cargo faults --table docs/faults.md`";

/// Ids and descriptions: lines `Cr01 = "CR-01", "description";` of the registry.
fn registry(tree: &WorkTree) -> Vec<(String, String)> {
    let is_fault = |path: &&str| path.starts_with("core/src/fault") && path.ends_with(".rs");
    let mut faults = Vec::new();
    for path in tree.ending(".rs").filter(is_fault) {
        let text = tree.text(path).unwrap();
        // A description that does not fit is on the next line.
        let entries = text.split(';').filter_map(|entry| {
            let (_, entry) = entry.rsplit_once(" = \"")?;
            let (id, about) = entry.split_once("\",")?;
            let about = about.trim().strip_prefix('"')?.strip_suffix('"')?;
            Some((id.to_owned(), about.to_owned()))
        });
        faults.extend(entries);
    }
    faults
}

#[test]
fn the_page_of_faults_has_the_faults_of_the_registry() {
    let tree = WorkTree::here();
    let page = tree.text(PAGE).unwrap();
    let rows: Vec<(String, String)> = page
        .lines()
        .filter_map(|line| {
            let (id, cells) = line.strip_prefix("| ")?.split_once(" | ")?;
            let is_id = id.len() == 5 && id.as_bytes()[2] == b'-' && id != "fault";
            is_id.then(|| (id.to_owned(), cells.split(" | ").next().unwrap().to_owned()))
        })
        .collect();
    let registry = registry(&tree);
    assert!(registry.len() > 50, "{} faults in the registry", registry.len());
    assert_eq!(rows, registry, "{UPDATE}");
}
