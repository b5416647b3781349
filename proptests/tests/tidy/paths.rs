//! Paths of Rust: what a file's `use` declarations and paths name, resolved to the files that
//! define it.

use super::source::{Token, TokenKind};
use std::collections::{BTreeMap, BTreeSet};

/// Re-exports are followed this far.
const HOPS_MAX: usize = 8;

/// One name that a `use` declaration brings in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Use {
    /// As written: `crate::a::B`, `super::c`.
    path: Vec<String>,
    /// Under which name; `*` for all of them.
    name: String,
    is_public: bool,
    line: usize,
}

/// Imports and definitions of a file.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) file: String,
    uses: Vec<Use>,
    /// Paths in code of two words or more, with the line of the first.
    paths: BTreeMap<Vec<String>, usize>,
    /// Words in code outside `use` declarations.
    words: BTreeSet<String>,
    defined: BTreeSet<String>,
}

/// `core/src/a/b.rs` is `[a, b]`, `core/src/a/mod.rs` is `[a]`.
pub(crate) fn module_path(root: &str, path: &str) -> Vec<String> {
    let name = path.strip_prefix(root).unwrap_or(path).trim_end_matches(".rs");
    let parts = name.split('/').map(str::to_owned);
    let face = |part: &String| part == "mod" || part == "lib" || part == "main";
    parts.filter(|part| !face(part)).collect()
}

impl Module {
    pub(crate) fn read(file: &str, code: &[Token<'_>]) -> Self {
        let mut module = Self {
            file: file.to_owned(),
            uses: Vec::new(),
            paths: BTreeMap::new(),
            words: BTreeSet::new(),
            defined: BTreeSet::new(),
        };
        let mut at = 0;
        while let Some(token) = code.get(at) {
            if token.is("use") && is_item(code, at) {
                let end = (at..code.len()).find(|&end| code[end].is(";")).unwrap_or(code.len());
                let is_public = at > 0 && (code[at - 1].is("pub") || code[at - 1].is(")"));
                let mut tree = UseTree { code: &code[..end], at: at + 1, found: Vec::new() };
                tree.read(&mut Vec::new());
                let uses = tree.found.into_iter();
                module.uses.extend(uses.map(|found| Use { is_public, ..found }));
                at = end;
            } else if token.kind == TokenKind::Word {
                at = module.read_path(code, at);
            }
            at += 1;
        }
        module
    }

    /// Notes the path that begins at this word; returns the index of its last token.
    fn read_path(&mut self, code: &[Token<'_>], first: usize) -> usize {
        let mut path = vec![code[first].text.to_owned()];
        let mut at = first;
        while let [colon, second, word, ..] = &code[at + 1..]
            && colon.is(":")
            && second.is(":")
            && word.kind == TokenKind::Word
        {
            path.push(word.text.to_owned());
            at += 3;
        }
        let defines = first.checked_sub(1).is_some_and(|before| {
            let items = ["struct", "enum", "trait", "type", "fn", "const", "static", "union"];
            items.iter().any(|item| code[before].is(item)) || code[before].is("!")
        });
        if defines {
            self.defined.insert(path[0].clone());
        } else {
            self.words.insert(path[0].clone());
        }
        if path.len() > 1 {
            self.paths.entry(path).or_insert(code[first].line);
        }
        at
    }
}

/// `use` is an item, not the bound `use<'a>`.
fn is_item(code: &[Token<'_>], at: usize) -> bool {
    code.get(at + 1).is_some_and(|next| !next.is("<"))
}

struct UseTree<'a, 'b> {
    code: &'b [Token<'a>],
    at: usize,
    found: Vec<Use>,
}

impl UseTree<'_, '_> {
    /// Reads one tree, `a::{b, c as d, e::*}`, below a prefix.
    fn read(&mut self, prefix: &mut Vec<String>) {
        let depth = prefix.len();
        while let Some(token) = self.code.get(self.at) {
            match token.text {
                "{" => {
                    self.at += 1;
                    while self.code.get(self.at).is_some_and(|token| !token.is("}")) {
                        self.read(prefix);
                        if self.code.get(self.at).is_some_and(|token| token.is(",")) {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    break;
                }
                ":" => self.at += 1,
                "*" => {
                    self.note(prefix, "*".to_owned(), token.line);
                    self.at += 1;
                    break;
                }
                "," | "}" => break,
                word => {
                    prefix.push(word.to_owned());
                    let line = token.line;
                    self.at += 1;
                    let goes_on = self.code.get(self.at).is_some_and(|next| next.is(":"));
                    if !goes_on {
                        let name = self.alias().unwrap_or_else(|| word.to_owned());
                        self.note(prefix, name, line);
                        break;
                    }
                }
            }
        }
        prefix.truncate(depth);
    }

    fn alias(&mut self) -> Option<String> {
        self.code.get(self.at).filter(|token| token.is("as"))?;
        let alias = self.code.get(self.at + 1)?;
        self.at += 2;
        Some(alias.text.to_owned())
    }

    fn note(&mut self, path: &[String], name: String, line: usize) {
        // `a::{self}` names `a` itself.
        let is_self = path.len() > 1 && path.last().is_some_and(|last| last == "self");
        let path = if is_self { &path[..path.len() - 1] } else { path };
        let name = match (is_self && name == "self", path.last()) {
            (true, Some(last)) => last.clone(),
            _ => name,
        };
        self.found.push(Use { path: path.to_vec(), name, is_public: false, line });
    }
}

/// Where a path leads.
enum Target<'a> {
    /// An item, by the file that defines it.
    File(&'a str),
    /// A module as a whole.
    Module(Vec<String>),
}

type Modules = BTreeMap<Vec<String>, Module>;

/// The files that a module imports, with the line of the first import.
pub(crate) fn imports(modules: &Modules, place: &[String]) -> BTreeMap<String, usize> {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    let Some(module) = modules.get(place) else { return found };
    let mut note = |file: &str, line: usize| {
        let first = found.entry(file.to_owned()).or_insert(line);
        *first = line.min(*first);
    };
    for item in &module.uses {
        if item.is_public && !module.words.contains(&item.name) {
            continue;
        }
        match absolute(modules, place, &item.path).and_then(|path| resolve(modules, &path, 0)) {
            Some(Target::File(file)) => note(file, item.line),
            Some(Target::Module(path)) if item.name == "*" => {
                if let Some(module) = modules.get(&path) {
                    note(&module.file, item.line);
                }
            }
            // A module counts by the paths through it.
            Some(Target::Module(_)) | None => {}
        }
    }
    for (path, line) in &module.paths {
        let through = module.uses.iter().find(|item| item.name == path[0] && item.name != "*");
        let full = match through {
            Some(item) => [&item.path, &path[1..]].concat(),
            None => path.clone(),
        };
        let Some(full) = absolute(modules, place, &full) else { continue };
        if let Some(Target::File(file)) = resolve(modules, &full, 0) {
            note(file, *line);
        }
    }
    found
}

/// The path from the root of the crate; `None` when it leads to another crate.
fn absolute(modules: &Modules, place: &[String], path: &[String]) -> Option<Vec<String>> {
    let mut base = place.to_vec();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => {
            base.clear();
            rest = &path[1..];
        }
        "self" => rest = &path[1..],
        "super" => {
            while let Some("super") = rest.first().map(String::as_str) {
                base.pop();
                rest = &rest[1..];
            }
        }
        first => {
            let child = [place, &[first.to_owned()]].concat();
            if !modules.contains_key(&child) {
                return None;
            }
        }
    }
    base.extend_from_slice(rest);
    Some(base)
}

fn resolve<'a>(modules: &'a Modules, path: &[String], hops: usize) -> Option<Target<'a>> {
    let mut len = 0;
    while len < path.len() && modules.contains_key(&path[..=len]) {
        len += 1;
    }
    let place = &path[..len];
    let Some(name) = path.get(len) else { return Some(Target::Module(place.to_vec())) };
    let module = modules.get(place)?;
    if hops < HOPS_MAX && !module.defined.contains(name) {
        let named = module.uses.iter().find(|item| item.name == *name);
        if let Some(item) = named {
            let full = [&item.path, &path[len + 1..]].concat();
            return resolve(modules, &absolute(modules, place, &full)?, hops + 1);
        }
        for item in module.uses.iter().filter(|item| item.name == "*") {
            let Some(inner) = absolute(modules, place, &item.path) else { continue };
            let inner = [&inner, &path[len..]].concat();
            if let Some(Target::File(file)) = resolve(modules, &inner, hops + 1)
                && modules.values().any(|other| other.file == file && other.defined.contains(name))
            {
                return Some(Target::File(file));
            }
        }
    }
    Some(Target::File(&module.file))
}

#[cfg(test)]
mod tests {
    use super::super::source::{product, tokens};
    use super::{Module, Modules, imports, module_path};

    fn modules(files: &[(&str, &str)]) -> Modules {
        let read = |(path, text): &(&str, &str)| {
            (module_path("src/", path), Module::read(path, &product(&tokens(text))))
        };
        files.iter().map(read).collect()
    }

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let files = [
            ("src/lib.rs", "mod room; mod unit;"),
            ("src/unit.rs", "pub struct Id; pub fn id() {}"),
            (
                "src/room/mod.rs",
                "mod a; mod b; mod c; pub use a::{A, a as d}; pub use c::*; fn m() {}",
            ),
            ("src/room/a.rs", "pub struct A; pub fn a() {}"),
            ("src/room/c.rs", "pub struct C;"),
            ("src/room/b.rs", text),
        ];
        let place = module_path("src/", "src/room/b.rs");
        let found: Vec<String> = imports(&modules(&files), &place).into_keys().collect();
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn a_name_counts_for_the_file_that_defines_it() {
        check("use crate::unit::Id;", &["src/unit.rs"]);
        check("use super::{A, d as e};", &["src/room/a.rs"]);
        check("use super::C;", &["src/room/c.rs"]);
        check("use super::m;", &["src/room/mod.rs"]);
        check("use super::*;", &["src/room/mod.rs"]);
        check(
            "use crate::{room::{self, c::C}, unit}; fn f() { unit::id(); }",
            &["src/room/c.rs", "src/unit.rs"],
        );
        check("use crate::room; fn f() -> room::A {}", &["src/room/a.rs"]);
        check("fn f() -> crate::unit::Id { super::m() }", &["src/room/mod.rs", "src/unit.rs"]);
        check("use std::fmt; fn f() -> impl X + use<'_> { fmt::x() }", &[]);
        check("pub use super::A;", &[]);
        check("pub use super::A; fn f(a: A) {}", &["src/room/a.rs"]);
        check("#[cfg(test)] mod tests { use super::super::A; }", &[]);
    }
}
