//! The house style on the command line: breaches by path, and the import graph.
//!
//! `check [PATH..]` prints all breaches below the paths; `imports [CRATE] [--dot|--json]` prints
//! the import graph of a crate's folder, `core` if none is named.

#[path = "../../tests/tidy/mod.rs"]
mod tidy;

use std::env;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use tidy::graph::Graph;
use tidy::{RULES, WorkTree};

const USAGE: &str = "usage: tidy check [PATH..] | imports [CRATE] [--dot|--json]";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let tree = WorkTree::at(&root());
    let (lines, is_good) = match words.first().map(String::as_str) {
        Some("check") => check(&tree, &words[1..]),
        Some("imports") => (imports(&tree, &words[1..]), true),
        _ => (vec![USAGE.to_owned()], false),
    };
    // A closed pipe is no failure.
    let _written = io::stdout().write_all((lines.join("\n") + "\n").as_bytes());
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The work tree that holds the current folder.
fn root() -> PathBuf {
    let here = env::current_dir().unwrap_or_default();
    let root = here.ancestors().find(|dir| dir.join("proptests/tests/tidy").is_dir());
    root.unwrap_or_else(|| panic!("{} is in no work tree", here.display())).to_path_buf()
}

fn check(tree: &WorkTree, paths: &[String]) -> (Vec<String>, bool) {
    let mut lines = Vec::new();
    for (rule, found) in RULES {
        let mut breaches = found(tree);
        breaches.sort();
        let lines_of_rule = breaches.iter().map(|breach| format!("{breach} [{rule}]"));
        let is_named = |line: &String| paths.iter().any(|path| line.starts_with(path));
        lines.extend(lines_of_rule.filter(|line| paths.is_empty() || is_named(line)));
    }
    let count = lines.len();
    lines.push(format!("{count} breaches"));
    (lines, count == 0)
}

fn imports(tree: &WorkTree, words: &[String]) -> Vec<String> {
    let folder = words.iter().find(|word| !word.starts_with("--")).map_or("core", |word| word);
    let root = format!("{folder}/src/");
    let graph = Graph::of(tree, &root);
    match words.iter().find(|word| word.starts_with("--")).map(String::as_str) {
        Some("--dot") => dot(&root, &graph),
        Some("--json") => json(&graph),
        _ => plain(&root, &graph),
    }
}

/// Rooms and files such that each imports from those before it, and the circles.
fn plain(root: &str, graph: &Graph) -> Vec<String> {
    let short = |path: &str| path.trim_start_matches(root).trim_end_matches(".rs").to_owned();
    let mut lines = Vec::new();
    for (room, files) in rooms(root, graph) {
        lines.push(room);
        for file in files {
            let targets = graph.imports[file].keys().map(|target| format!(" {}", short(target)));
            lines.push(format!("  {} <-{}", short(file), targets.collect::<String>()));
        }
    }
    let circles = graph.circles();
    lines.push(format!("{} circles", circles.len()));
    for circle in circles {
        let files = circle.into_iter().map(|file| format!("  {}", short(file)));
        lines.push(files.collect());
    }
    lines
}

/// Rooms (first folders below the root) such that each imports from those before it, with their
/// files in such an order.
fn rooms<'a>(root: &str, graph: &'a Graph) -> Vec<(String, Vec<&'a str>)> {
    let room = |file: &str| {
        let name = file.strip_prefix(root).unwrap_or(file).split('/').next().unwrap_or_default();
        name.trim_end_matches(".rs").to_owned()
    };
    let mut between = Graph::default();
    for (file, targets) in &graph.imports {
        let of_room = between.imports.entry(room(file)).or_default();
        of_room.extend(targets.iter().map(|(target, line)| (room(target), *line)));
    }
    let files = graph.order();
    let of_room = |name: &str| {
        let files = files.iter().flatten().copied();
        (name.to_owned(), files.filter(|file| room(file) == name).collect())
    };
    between.order().into_iter().flatten().map(of_room).collect()
}

fn dot(root: &str, graph: &Graph) -> Vec<String> {
    let mut lines = vec!["digraph imports {".to_owned()];
    for (index, (room, files)) in rooms(root, graph).into_iter().enumerate() {
        let files = files.iter().map(|file| format!(" \"{file}\";"));
        let files: String = files.collect();
        lines.push(format!("  subgraph cluster_{index} {{ label=\"{room}\";{files} }}"));
    }
    for (file, targets) in &graph.imports {
        lines.extend(targets.keys().map(|target| format!("  \"{file}\" -> \"{target}\";")));
    }
    lines.push("}".to_owned());
    lines
}

/// `{"FILE": ["IMPORTED FILE", ..], ..}`; paths need no escapes.
fn json(graph: &Graph) -> Vec<String> {
    let files = graph.imports.iter().map(|(file, targets)| {
        let targets: Vec<String> = targets.keys().map(|target| format!("\"{target}\"")).collect();
        format!("  \"{file}\": [{}]", targets.join(", "))
    });
    vec![format!("{{\n{}\n}}", files.collect::<Vec<_>>().join(",\n"))]
}
