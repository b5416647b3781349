//! Names and signatures: a name means one thing within a crate, and a tuple hides no arguments.

use super::source::{Token, TokenKind, closing, product, tokens};
use super::text::breach;
use super::{Breach, WorkTree};
use std::collections::BTreeMap;

const ARGUMENTS_MAX: usize = 4;

/// The first folder repeats names of the second on purpose: `typed::Query` is `object::Query` for
/// structs.
const MIRRORS: (&str, &str) = ("core/src/typed/", "core/src/object/");

/// Types of one name that a crate defines in several files, each where it is defined. The private
/// types of unit tests are not counted.
pub(crate) fn types(tree: &WorkTree) -> Vec<Breach> {
    let mut named: BTreeMap<(String, String), Vec<(&str, usize)>> = BTreeMap::new();
    for path in
        tree.ending(".rs").filter(|path| !tree.is_test(path) && !path.ends_with("/tests.rs"))
    {
        let text = tree.text(path).unwrap_or_default();
        for (name, line) in type_definitions(&product(&tokens(&text))) {
            named.entry((crate_of(path), name.to_owned())).or_default().push((path, line));
        }
    }
    let mut breaches = Vec::new();
    for ((_, name), places) in named {
        // Within one file they are alternatives of which the compiler takes one.
        let others = |path: &str| -> Vec<&str> {
            let others = places.iter().map(|(other, _)| *other);
            others.filter(|other| *other != path && !is_mirror(path, other)).collect()
        };
        for (path, line) in &places {
            if let [first, more @ ..] = others(path).as_slice() {
                let also = match more.len() {
                    0 => (*first).to_owned(),
                    count => format!("{first} and {count} more"),
                };
                let text = format!("`{name}` is another type in {also}; one name, one meaning");
                breaches.push(breach(path, *line, text));
            }
        }
    }
    breaches
}

fn is_mirror(one: &str, other: &str) -> bool {
    let is = |one: &str, other: &str| one.starts_with(MIRRORS.0) && other.starts_with(MIRRORS.1);
    is(one, other) || is(other, one)
}

/// The crate that a file belongs to: `core/src`, `core/tests`; an example or a bench is its own.
fn crate_of(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    let root = parts.iter().position(|part| ["src", "tests"].contains(part));
    root.map_or_else(|| path.to_owned(), |at| parts[..=at].join("/"))
}

/// Names of structs, enums, traits and aliases with their lines, without associated types.
fn type_definitions<'a>(code: &[Token<'a>]) -> Vec<(&'a str, usize)> {
    let mut found = Vec::new();
    // For each open brace, whether an `impl` or a `trait` opened it.
    let mut blocks: Vec<bool> = Vec::new();
    let mut is_block_head = false;
    for (index, token) in code.iter().enumerate() {
        match token.text {
            _ if token.kind == TokenKind::Text => {}
            "impl" => is_block_head |= begins_item(code, index),
            "trait" => is_block_head = true,
            "{" => {
                blocks.push(is_block_head);
                is_block_head = false;
            }
            "}" => {
                blocks.pop();
            }
            _ => {}
        }
        let defines = match token.text {
            "struct" | "enum" | "trait" => true,
            "type" => blocks.last().is_none_or(|inside| !inside),
            _ => false,
        };
        if let Some(name) = code.get(index + 1).filter(|name| defines && is_type(name)) {
            found.push((name.text, name.line));
        }
    }
    found
}

/// `impl` begins a block, not the type of an argument.
fn begins_item(code: &[Token<'_>], index: usize) -> bool {
    let before = index.checked_sub(1).and_then(|before| code.get(before));
    before.is_none_or(|before| ["}", "{", ";", "]", "unsafe"].contains(&before.text))
}

fn is_type(token: &Token<'_>) -> bool {
    token.kind == TokenKind::Word && token.text.starts_with(char::is_uppercase)
}

/// Functions that take more than four arguments when tuples count by their members.
pub(crate) fn arguments(path: &str, source: &str) -> Vec<Breach> {
    let source = tokens(source);
    let code: Vec<Token<'_>> =
        source.iter().filter(|token| token.kind != TokenKind::Comment).copied().collect();
    let mut breaches = Vec::new();
    for (index, name) in code.iter().enumerate().skip(1) {
        if !code[index - 1].is("fn")
            || !name.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        {
            continue;
        }
        let Some(open) = parameters(&code, index + 1) else { continue };
        let count = counted(&code[open + 1..closing(&code, open)]);
        if count > ARGUMENTS_MAX {
            let text = format!(
                "`{}` takes {count} arguments, members of tuples counted; at most \
                 {ARGUMENTS_MAX}: make a struct",
                name.text
            );
            breaches.push(breach(path, name.line, text));
        }
    }
    breaches
}

/// The parenthesis that opens the parameters, behind the generic ones.
fn parameters(code: &[Token<'_>], from: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (index, token) in code.iter().enumerate().skip(from) {
        match token.text {
            "<" => depth += 1,
            ">" if !code[index - 1].is("-") => depth -= 1,
            "(" if depth == 0 => return Some(index),
            "{" | ";" => return None,
            _ => {}
        }
    }
    None
}

/// Arguments beside `self`, tuples by their members.
fn counted(parameters: &[Token<'_>]) -> usize {
    let mut count = 0;
    for parameter in split(parameters) {
        let Some(colon) = type_colon(parameter) else { continue };
        let mut of_type = colon + 1;
        let skipped =
            |token: &Token<'_>| token.is("&") || token.is("mut") || token.text.starts_with('\'');
        while parameter.get(of_type).is_some_and(skipped) {
            of_type += 1;
        }
        let is_tuple = parameter.get(of_type).is_some_and(|token| token.is("("));
        count += match is_tuple {
            true => split(&parameter[of_type + 1..closing(parameter, of_type)]).len().max(1),
            false => 1,
        };
    }
    count
}

/// The colon between a pattern and its type.
fn type_colon(parameter: &[Token<'_>]) -> Option<usize> {
    let mut at = 0;
    while let Some(token) = parameter.get(at) {
        if token.is("(") || token.is("[") || token.is("{") {
            at = closing(parameter, at);
        } else if token.is(":") {
            let is_path = parameter.get(at + 1).is_some_and(|next| next.is(":"));
            if !is_path {
                return Some(at);
            }
            at += 1;
        }
        at += 1;
    }
    None
}

/// Cuts at the commas outside all brackets; a last comma opens nothing.
fn split<'a, 'b>(code: &'b [Token<'a>]) -> Vec<&'b [Token<'a>]> {
    let mut parts = Vec::new();
    let (mut from, mut depth) = (0, 0_i32);
    for (index, token) in code.iter().enumerate() {
        match token.text {
            "(" | "[" | "{" | "<" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            ">" if !code[index - 1].is("-") => depth -= 1,
            "," if depth == 0 => {
                parts.push(&code[from..index]);
                from = index + 1;
            }
            _ => {}
        }
    }
    if from < code.len() {
        parts.push(&code[from..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::super::source::{product, tokens};
    use super::{arguments, crate_of, is_mirror, type_definitions};

    #[test]
    fn definitions_are_found_and_associated_types_are_not() {
        let source = "pub struct A<T> { b: T }\nenum B {}\ntrait C { type D; fn e() {} }\n\
            type E = u8;\nimpl C for A { type D = u8; }\n\
            fn f(x: impl C) { struct G; type H = u8; }\n\
            #[cfg(test)]\nmod tests { struct I; }\nstruct J;";
        let code = tokens(source);
        let code = product(&code);
        let names: Vec<&str> = type_definitions(&code).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["A", "B", "C", "E", "G", "H", "J"]);
        assert!(is_mirror("core/src/object/query.rs", "core/src/typed/query.rs"));
        assert!(!is_mirror("core/src/object/query.rs", "core/src/object/view.rs"));
        assert_eq!(crate_of("core/src/a/b.rs"), "core/src");
        assert_eq!(crate_of("core/examples/b.rs"), "core/examples/b.rs");
    }

    #[test]
    fn members_of_tuples_are_arguments() {
        let check = |source: &str, lines: &[usize]| {
            let found: Vec<usize> =
                arguments("a.rs", source).iter().map(|found| found.line).collect();
            assert_eq!(found, lines, "{source}");
        };
        check("fn a(&self, b: u8, c: u8, d: u8, e: Map<u8, u8>) {}", &[]);
        check("fn a(b: u8, c: u8, d: u8, e: u8, f: u8) {}", &[1]);
        check("fn a<F: Fn(u8) -> u8>((b, c): (&B, &C), d: &mut (D, D), e: E) {}", &[1]);
        check("fn a(\n    b: (B, B),\n    c: (),\n    d: &[(D, D)],\n) {}", &[]);
        check("fn a(b: impl Fn(u8, u8) -> (u8, u8), c: ::std::B<(C, C)>, d: (D, D)) {}", &[]);
    }
}
