//! Which way knowledge may flow: between the crates, and between the modules of core.
//!
//! The order of modules is that of the table in docs/architecture.md. The arrows between crates are
//! written here and there; a new one is a decision.

use super::maps::{ARCHITECTURE, floor_order};
use super::text::{breach, code_lines};
use super::{Breach, WorkTree};
use std::collections::{BTreeMap, BTreeSet};

/// Folder of a crate and the folders it may depend on; what those depend on is open to it too.
const ARROWS: &[(&str, &[&str])] = &[
    ("core", &["derive", "testkit"]),
    // Its documentation shows it at work.
    ("core/derive", &["core"]),
    ("core/auth", &["core", "testkit"]),
    ("core/sync", &["core"]),
    ("crashkit", &[]),
    ("models", &[]),
    ("sim", &["auth", "core", "crashkit", "models", "sync"]),
    ("campaign", &["sim"]),
    ("client", &["auth", "core", "sync"]),
    // Its tests drive it with our client.
    ("server", &["auth", "client", "core", "sync"]),
    ("cli", &["campaign", "core", "server"]),
    // Its tests start a server.
    ("examples", &["client", "core", "server"]),
    ("proptests", &["auth", "core", "server", "sim", "sync", "testkit"]),
    ("proptests/tidy", &[]),
    ("foreign", &[]),
    ("foreign/harness", &["crashkit", "models", "sim"]),
    ("foreign/redb", &["crashkit"]),
    ("fuzz", &["proptests"]),
    ("snapshots", &["auth", "client", "server", "sim", "sync", "testkit"]),
    // Its tests take fixtures from it.
    ("testkit", &["core"]),
    ("loom-tests", &["client", "core"]),
    ("benches", &["core"]),
    ("benches/peers", &[]),
    ("benches/peers/harness", &["core"]),
    ("benches/peers/lmdb-encrypted", &[]),
    ("benches/peers/merge", &["core", "sync"]),
    ("benches/peers/plain", &[]),
    ("benches/peers/sql", &[]),
    ("benches/peers/sqlcipher", &[]),
];

/// Crates without dependencies, even on crates of others.
const WITHOUT_DEPENDENCIES: &[&str] = &["crashkit", "models"];

pub(crate) fn crate_arrows(tree: &WorkTree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for path in tree.ending("/Cargo.toml") {
        let folder = path.trim_end_matches("/Cargo.toml");
        let text = tree.text(path).unwrap_or_default();
        breaches.extend(manifest(path, folder, &text));
    }
    for (folder, _) in ARROWS {
        let left = tree.under(&format!("{folder}/")).next().is_none();
        // A folder that is not there yet has nothing to break.
        if !left && !tree.has(&format!("{folder}/Cargo.toml")) {
            breaches.push(breach(folder, 0, "a folder of a crate without Cargo.toml; add it"));
        }
    }
    breaches
}

fn manifest(path: &str, folder: &str, text: &str) -> Vec<Breach> {
    let Some(allowed) = reachable(folder) else {
        let text = "a crate docs/architecture.md does not know; add its arrows there and here";
        return vec![breach(path, 0, text)];
    };
    let mut breaches = Vec::new();
    for (index, name) in dependencies(text) {
        let target = match name.strip_prefix("fastness") {
            Some("") => Some("core"),
            Some(rest) => rest.strip_prefix('-'),
            None => None,
        };
        if let Some(target) = target {
            if !allowed.contains(target) {
                let text = format!("`{folder}` must not depend on `{target}`; see `ARROWS`");
                breaches.push(breach(path, index, text));
            }
        } else if WITHOUT_DEPENDENCIES.contains(&folder) {
            let text = format!("`{folder}` depends on nothing, not even `{name}`; do without");
            breaches.push(breach(path, index, text));
        }
    }
    breaches
}

fn reachable(folder: &str) -> Option<BTreeSet<&'static str>> {
    let arrows: BTreeMap<&str, &[&'static str]> = ARROWS.iter().copied().collect();
    let mut open: Vec<&'static str> = arrows.get(folder)?.to_vec();
    let mut found = BTreeSet::new();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(arrows.get(next).copied().unwrap_or_default());
        }
    }
    Some(found)
}

/// Names in the dependency sections of a manifest, with the index of their line.
fn dependencies(text: &str) -> Vec<(usize, String)> {
    let mut inside = false;
    let mut names = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            let (head, tail) = section.rsplit_once('.').unwrap_or(("", section));
            inside = tail.ends_with("dependencies") && head != "workspace";
            if head.ends_with("dependencies") && !head.starts_with("workspace") {
                names.push((index, tail.trim_matches('"').to_owned()));
            }
        } else if inside && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            if !name.is_empty() && line.contains('=') {
                names.push((index, name.trim_matches('"').to_owned()));
            }
        }
    }
    names
}

pub(crate) fn core_modules(tree: &WorkTree) -> Vec<Breach> {
    let architecture = tree.text(ARCHITECTURE).unwrap_or_default();
    let order = floor_order(&architecture);
    let mut breaches = Vec::new();
    let modules = tree.under("core/src/").filter(|path| path.ends_with(".rs"));
    for path in modules.filter(|path| !tree.is_test(path)) {
        let text = tree.text(path).unwrap_or_default();
        breaches.extend(imports(path, &text, &order));
    }
    breaches
}

fn imports(path: &str, text: &str, order: &[&str]) -> Vec<Breach> {
    let file = path.trim_start_matches("core/src/").trim_end_matches(".rs");
    // A file with a row of its own, such as `object/error`, is a floor of its own.
    let module = match order.contains(&file) {
        true => file,
        false => file.split('/').next().unwrap_or_default(),
    };
    // The public face and what is compiled only to break things may name everything.
    if module == "lib" || module == "fault" || path.ends_with("/tests.rs") {
        return Vec::new();
    }
    let rank = |name: &str| order.iter().position(|held| *held == name);
    // `maps` reports a module without a row.
    let Some(own) = rank(module) else { return Vec::new() };
    let mut breaches = Vec::new();
    for (index, name) in crate_paths(text, order) {
        let text = match rank(&name) {
            _ if name == "fault" => continue,
            Some(other) if other <= own => continue,
            Some(_) => {
                format!("`{module}` imports from `{name}`, which is below it; turn it round")
            }
            None => format!("`crate::{name}`: name the module that owns it, not the public face"),
        };
        breaches.push(breach(path, index, text));
    }
    breaches
}

/// The floors of all paths that begin with `crate::`, with the index of their line.
fn crate_paths(text: &str, order: &[&str]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut group: Option<i32> = None;
    for (index, line) in code_lines(text) {
        let mut rest = line;
        if let Some(depth) = group {
            // Inside `use crate::{`: the first word of a line at depth 1 is a module.
            let name = floor(line.trim_start(), order);
            if depth == 1 && !name.is_empty() {
                found.push((index, name));
            }
            let depth = depth + braces(line);
            group = (depth > 0).then_some(depth);
            continue;
        }
        while let Some((_, after)) = rest.split_once("crate::") {
            rest = after;
            if let Some(inner) = after.strip_prefix('{') {
                let depth = 1 + braces(inner);
                group = (depth > 0).then_some(depth);
                found.extend(top_level_floors(inner, order).into_iter().map(|name| (index, name)));
            } else {
                found.push((index, floor(after, order)));
            }
        }
    }
    found
}

/// The floor that a path names: its module, or a file of that with a row of its own.
fn floor(path: &str, order: &[&str]) -> String {
    let module = first_word(path);
    let inner = path[module.len()..].strip_prefix("::").map(first_word).unwrap_or_default();
    let file = format!("{module}/{inner}");
    if order.contains(&file.as_str()) { file } else { module.to_owned() }
}

fn first_word(text: &str) -> &str {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default()
}

fn braces(text: &str) -> i32 {
    text.chars().map(|letter| i32::from(letter == '{') - i32::from(letter == '}')).sum()
}

/// The floors of `a::{b, c}, d};`.
fn top_level_floors(inner: &str, order: &[&str]) -> Vec<String> {
    let mut depth = 0;
    let mut names = Vec::new();
    for part in inner.split(',') {
        let name = floor(part.trim_start(), order);
        if depth == 0 && !name.is_empty() {
            names.push(name);
        }
        depth += braces(part);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{crate_paths, imports, manifest};

    #[track_caller]
    fn check_manifest(folder: &str, text: &str, lines: &[usize]) {
        let found: Vec<usize> =
            manifest("Cargo.toml", folder, text).iter().map(|found| found.line).collect();
        assert_eq!(found, lines, "{folder}: {text}");
    }

    #[test]
    fn forbidden_arrows_are_found() {
        check_manifest(
            "core",
            "[dependencies]\nring = \"1\"\nfastness-sim.workspace = true\n",
            &[3],
        );
        check_manifest("core", "[dev-dependencies]\nfastness-models = { path = \"\" }\n", &[2]);
        check_manifest("core", "[dependencies.fastness-models]\npath = \"\"\n", &[1]);
        check_manifest("core", "[target.'cfg(unix)'.dependencies]\nfastness-cli = \"1\"\n", &[2]);
        check_manifest("models", "[dependencies]\nring = \"1\"\n", &[2]);
        check_manifest("sim", "[dependencies]\nfastness = { path = \"\" }\n", &[]);
        check_manifest("sim", "[dependencies]\nfastness-campaign.workspace = true\n", &[2]);
        check_manifest("fuzz", "[dependencies]\nfastness = { path = \"\" }\n", &[]);
        check_manifest("newcomer", "[dependencies]\n", &[1]);
    }

    #[test]
    fn imports_from_below_are_found() {
        let order = ["unit", "tree/error", "error", "page", "tree", "txn"];
        let check = |path: &str, text: &str, lines: &[usize]| {
            let found: Vec<usize> =
                imports(path, text, &order).iter().map(|found| found.line).collect();
            assert_eq!(found, lines, "{path}: {text}");
        };
        check("core/src/page/leaf.rs", "use crate::unit::PageId;\n", &[]);
        check("core/src/page/leaf.rs", "//! [`crate::txn`]\nuse crate::txn::Pin;\n", &[2]);
        check("core/src/page/mod.rs", "use crate::{unit::PageId, tree::{A, B}};\n", &[1]);
        check("core/src/page/mod.rs", "use crate::{\n    unit::PageId,\n    txn::Pin,\n};\n", &[3]);
        check("core/src/page/mod.rs", "use crate::PageId;\n", &[1]);
        check("core/src/lib.rs", "use crate::txn::Pin;\n", &[]);
        // Errors of a floor are values, which come before the floor itself.
        check("core/src/error.rs", "use crate::tree::error::A;\n", &[]);
        check("core/src/error.rs", "use crate::{tree::error::A, tree::B};\n", &[1]);
        check("core/src/tree/error.rs", "use crate::unit::PageId;\n", &[]);
        check("core/src/tree/error.rs", "use crate::error::Error;\n", &[1]);
    }

    #[test]
    fn groups_of_imports_are_read_over_lines() {
        let text =
            "use crate::{\n    a::{\n        x,\n        y,\n    },\n    b,\n};\ncrate::c::d();\n";
        let names: Vec<String> = crate_paths(text, &[]).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }
}
