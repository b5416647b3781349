//! Maps of the tree: the tables of docs/architecture.md and the header of core/src/lib.rs name
//! every crate and every module, the modules in the order in which they may import.

use super::source::{product, tokens};
use super::text::breach;
use super::{Breach, WorkTree};

pub(crate) const ARCHITECTURE: &str = "docs/architecture.md";
const FACE: &str = "core/src/lib.rs";

/// Modules of core in the order of the table in docs/architecture.md: each imports only from those
/// before it.
pub(crate) fn module_order(architecture: &str) -> Vec<&str> {
    let mut order = floor_order(architecture);
    order.retain(|name| !name.contains('/'));
    order
}

/// The same with the files that have rows of their own, such as `object/error`.
pub(crate) fn floor_order(architecture: &str) -> Vec<&str> {
    let section = architecture.split("\n## ").find(|section| {
        section.lines().next().is_some_and(|heading| heading.to_lowercase().contains("core"))
    });
    let rows = section.unwrap_or_default().lines().filter_map(|line| line.strip_prefix("| `"));
    let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b"_/".contains(&b));
    rows.filter_map(|row| row.split_once("` |"))
        .map(|(name, _)| name)
        .filter(|name| is_name(name))
        .collect()
}

/// Crates and modules that a map leaves out, and modules on a map that do not exist.
pub(crate) fn complete(tree: &WorkTree) -> Vec<Breach> {
    let architecture = tree.text(ARCHITECTURE).unwrap_or_default();
    let face = tree.text(FACE).unwrap_or_default();
    let mut breaches = crates(tree, &architecture);
    breaches.extend(modules(&architecture, &face));
    breaches
}

fn crates(tree: &WorkTree, architecture: &str) -> Vec<Breach> {
    let folders = tree.ending("/Cargo.toml").map(|path| path.trim_end_matches("/Cargo.toml"));
    // The workspaces of peers and of foreign stores have one row or a page each.
    folders
        .filter(|folder| !folder.starts_with("benches/peers") && !folder.starts_with("foreign/"))
        .filter(|folder| {
            let (row, line) = (format!("| `{folder}/` |"), format!("{folder}/ "));
            !architecture.lines().any(|text| text.starts_with(&row) || text.starts_with(&line))
        })
        .map(|folder| {
            breach(ARCHITECTURE, 0, format!("no row for the crate in `{folder}/`; add it"))
        })
        .collect()
}

fn modules(architecture: &str, face: &str) -> Vec<Breach> {
    let order = module_order(architecture);
    let code = tokens(face);
    let code = product(&code);
    let mut declared: Vec<&str> = Vec::new();
    for pair in code.windows(2).filter(|pair| pair[0].is("mod")) {
        if !declared.contains(&pair[1].text) {
            declared.push(pair[1].text);
        }
    }
    let mut breaches = Vec::new();
    for name in declared.iter().filter(|name| !order.contains(name)) {
        let text = format!("no row for the module `{name}`; add it where it may import");
        breaches.push(breach(ARCHITECTURE, 0, text));
    }
    for name in order.iter().filter(|name| !declared.contains(name)) {
        let text = format!("the module `{name}` does not exist; drop its row");
        breaches.push(breach(ARCHITECTURE, 0, text));
    }
    let expect: Vec<&str> = order.into_iter().filter(|name| declared.contains(name)).collect();
    let found = mapped(face, &declared);
    if found != expect {
        let text = format!("the map names {}; name {}", found.join(", "), expect.join(", "));
        breaches.push(breach(FACE, 0, text));
    }
    breaches
}

/// The modules that the header names in code spans after the words `map of`, each once.
fn mapped<'a>(face: &'a str, declared: &[&str]) -> Vec<&'a str> {
    let header = face.find("map of").map_or("", |at| &face[at..]);
    let end = header.find("\n\n").unwrap_or(header.len());
    let mut found = Vec::new();
    for name in header[..end].split('`').skip(1).step_by(2) {
        if declared.contains(&name) && !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{floor_order, module_order, modules};

    const TABLE: &str = "# A\n| `no` | x |\n## Modules of core\n| module | owns |\n|--|--|\n\
        | `unit` | x |\n| `tree` | x |\n| `tree/leaf` | x |\n## Rules\n| `not` | x |\n";

    #[track_caller]
    fn check(face: &str, count: usize) {
        assert_eq!(modules(TABLE, face).len(), count, "{:?}", modules(TABLE, face));
    }

    #[test]
    fn a_map_that_leaves_out_a_module_is_found() {
        assert_eq!(module_order(TABLE), ["unit", "tree"]);
        assert_eq!(floor_order(TABLE), ["unit", "tree", "tree/leaf"]);
        check("//! A map of it: `unit`, [`tree`].\n\nmod tree;\nmod unit;\n", 0);
        check("//! A map of it: `tree`, `unit`.\n\nmod tree;\nmod unit;\n", 1);
        check("//! A map of it: `unit`.\n\nmod tree;\nmod unit;\n", 1);
        check("//! A map of it: `unit`.\n\nmod unit;\n", 1);
        check("//! A map of it: `unit`, `tree`.\n\nmod tree;\nmod unit;\nmod more;\n", 1);
        check("//! A map of it: `unit`, `tree`.\nmod tree;\nmod unit;\n#[cfg(test)]\nmod t;", 0);
    }
}
