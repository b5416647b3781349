//! Import graph: which file of a crate uses which, by `use` and by path, and the circles of it.
//!
//! The sources of a crate come in, without tests. A name counts for the file that defines it, not
//! for the one that re-exports it. The face of a crate (`lib.rs`, `main.rs`) names everything and
//! is no part of the graph. A method of another file's `impl` is no import.

use super::paths::{self, Module};
use super::source::{product, tokens};
use super::text::breach;
use super::{Breach, WorkTree};
use std::collections::{BTreeMap, BTreeSet};

/// Files of one crate and the files that each imports, with the line of the first import.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) imports: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Graph {
    /// The graph of the crate whose sources are below `root`, such as `core/src/`.
    pub(crate) fn of(tree: &WorkTree, root: &str) -> Self {
        let texts: Vec<(&str, String)> = tree
            .under(root)
            .filter(|path| path.ends_with(".rs") && !is_outside(tree, path))
            .map(|path| (path, tree.text(path).unwrap_or_default()))
            .collect();
        let modules: BTreeMap<Vec<String>, Module> = texts
            .iter()
            .map(|(path, text)| {
                (paths::module_path(root, path), Module::read(path, &product(&tokens(text))))
            })
            .collect();
        let mut imports = BTreeMap::new();
        for (place, module) in &modules {
            let mut targets = paths::imports(&modules, place);
            targets.remove(&module.file);
            targets.retain(|target, _| !is_face(root, target));
            if !is_face(root, &module.file) {
                imports.insert(module.file.clone(), targets);
            }
        }
        Self { imports }
    }

    /// Files in circles, each circle with all files that reach each other; the smallest circle is
    /// two files.
    pub(crate) fn circles(&self) -> Vec<BTreeSet<&str>> {
        let groups = self.order().into_iter().filter(|group| group.len() > 1);
        groups.map(|group| group.into_iter().collect()).collect()
    }

    /// Groups of files such that each imports only from its own and earlier ones (Tarjan).
    pub(crate) fn order(&self) -> Vec<Vec<&str>> {
        let mut walk = Walk { graph: self, ..Walk::new(self) };
        for file in self.imports.keys() {
            if !walk.index.contains_key(file.as_str()) {
                walk.visit(file);
            }
        }
        walk.groups
    }
}

/// Test modules and what is compiled only to break things.
fn is_outside(tree: &WorkTree, path: &str) -> bool {
    tree.is_test(path) || path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn is_face(root: &str, path: &str) -> bool {
    let name = path.strip_prefix(root).unwrap_or(path);
    name == "lib.rs" || name == "main.rs" || name.starts_with("bin/") || name.starts_with("fault/")
}

struct Walk<'a> {
    graph: &'a Graph,
    index: BTreeMap<&'a str, usize>,
    low: BTreeMap<&'a str, usize>,
    stack: Vec<&'a str>,
    groups: Vec<Vec<&'a str>>,
}

impl<'a> Walk<'a> {
    fn new(graph: &'a Graph) -> Self {
        Self {
            graph,
            index: BTreeMap::new(),
            low: BTreeMap::new(),
            stack: Vec::new(),
            groups: Vec::new(),
        }
    }

    fn visit(&mut self, file: &'a str) {
        let own = self.index.len();
        self.index.insert(file, own);
        self.low.insert(file, own);
        self.stack.push(file);
        for next in self.graph.imports.get(file).into_iter().flat_map(BTreeMap::keys) {
            let next = next.as_str();
            let reached = if !self.index.contains_key(next) {
                self.visit(next);
                self.low.get(next).copied()
            } else if self.stack.contains(&next) {
                self.index.get(next).copied()
            } else {
                None
            };
            if let (Some(low), Some(reached)) = (self.low.get_mut(file), reached) {
                *low = reached.min(*low);
            }
        }
        if self.low.get(file) == Some(&own) {
            let from = self.stack.iter().position(|held| *held == file).unwrap_or_default();
            let mut group = self.stack.split_off(from);
            group.sort_unstable();
            self.groups.push(group);
        }
    }
}

/// The folders of crates with sources, such as `core/src/`.
pub(crate) fn roots(tree: &WorkTree) -> BTreeSet<String> {
    let faces = ["/src/lib.rs", "/src/main.rs"];
    let crates = faces.iter().flat_map(|face| tree.ending(face));
    crates.filter_map(|path| path.rsplit_once('/')).map(|(dir, _)| format!("{dir}/")).collect()
}

/// Imports within circles, each where it is.
pub(crate) fn circles(tree: &WorkTree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for root in roots(tree) {
        let graph = Graph::of(tree, &root);
        for circle in graph.circles() {
            for file in &circle {
                let inside = graph.imports.get(*file).into_iter().flatten();
                for (target, line) in inside.filter(|(target, _)| circle.contains(target.as_str()))
                {
                    let text = format!(
                        "imports {target}, which imports it in a circle of {} files",
                        circle.len()
                    );
                    breaches.push(breach(file, *line, text));
                }
            }
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::Graph;
    use std::collections::BTreeMap;

    fn graph(imports: &[(&str, &[&str])]) -> Graph {
        let imports = imports.iter().map(|(file, targets)| {
            let targets = targets.iter().map(|target| ((*target).to_owned(), 0));
            ((*file).to_owned(), targets.collect::<BTreeMap<_, _>>())
        });
        Graph { imports: imports.collect() }
    }

    #[test]
    fn circles_are_found_and_the_order_is_from_below() {
        let straight = graph(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])]);
        assert!(straight.circles().is_empty());
        assert_eq!(straight.order(), [["c"], ["b"], ["a"]]);
        let round = graph(&[("a", &["b"]), ("b", &["c"]), ("c", &["b", "d"]), ("d", &[])]);
        assert_eq!(round.order(), [vec!["d"], vec!["b", "c"], vec!["a"]]);
        assert_eq!(round.circles().len(), 1);
    }
}
