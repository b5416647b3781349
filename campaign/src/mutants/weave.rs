//! All mutants of a file in one text, each behind a switch: one build for all of them.
//!
//! - CA22 A program with mutants computes what the original does while none is active, and what the
//!   original with one change does while that mutant is.

use super::list::{Mutant, Position};
use std::collections::BTreeMap;
use std::ops::Range;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A file with its mutants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Woven {
    pub(super) text: String,
    /// Pieces of the text that only some mutants brought in.
    pub(super) pieces: Vec<Piece>,
    /// The mutants that have no switch, by number.
    pub(super) skipped: Vec<u32>,
}

/// A piece of a woven text, and the numbers of the mutants that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) range: Range<usize>,
    pub(super) mutants: Vec<u32>,
}

/// Text to insert at a place of the original.
#[derive(Clone, Debug)]
struct Insertion {
    at: usize,
    /// Suffixes come before prefixes, inner suffixes before outer ones, outer prefixes before
    /// inner ones.
    order: (bool, usize),
    text: String,
    mutants: Vec<u32>,
}

/// Where an operator, a guard or an arm is in the syntax.
#[derive(Default)]
struct Sites {
    /// The expression around an operator, by the start of the operator.
    operators: BTreeMap<usize, (Range<usize>, Range<usize>)>,
    /// The end of the pattern and the guard, by the start of an arm.
    arms: BTreeMap<usize, (usize, Option<Range<usize>>)>,
}

impl<'ast> Visit<'ast> for Sites {
    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        // A condition with `let` is an expression in this place only.
        if !has_let(&binary.left) && !has_let(&binary.right) {
            let op = binary.op.span().byte_range();
            self.operators.insert(op.start, (binary.span().byte_range(), op));
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        let op = unary.op.span().byte_range();
        self.operators.insert(op.start, (unary.span().byte_range(), op));
        visit::visit_expr_unary(self, unary);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let end = |pattern: &syn::Pat| pattern.span().byte_range().end;
        let place = if let syn::Pat::Guard(guarded) = &arm.pat {
            let guard = guarded.guard.span().byte_range();
            (!has_let(&guarded.guard)).then(|| (end(&guarded.pat), Some(guard)))
        } else {
            Some((end(&arm.pat), None))
        };
        if let Some(place) = place {
            self.arms.insert(arm.span().byte_range().start, place);
        }
        visit::visit_arm(self, arm);
    }
}

fn has_let(expression: &syn::Expr) -> bool {
    if let syn::Expr::Binary(binary) = expression {
        return has_let(&binary.left) || has_let(&binary.right);
    }
    matches!(expression, syn::Expr::Let(_))
}

/// Puts each mutant behind `switch`, a function of its number; those that do not fit are skipped.
///
/// # Errors
/// If `text` is no Rust.
pub(super) fn weave(text: &str, mutants: &[(u32, &Mutant)], switch: &str) -> syn::Result<Woven> {
    let mut sites = Sites::default();
    sites.visit_file(&syn::parse_file(text)?);
    let mut weaver = Weaver { text, switch, sites, insertions: Vec::new(), skipped: Vec::new() };
    // Mutants of one place share its switch.
    let mut places: BTreeMap<(&str, usize), Vec<(u32, &Mutant)>> = BTreeMap::new();
    for &(number, mutant) in mutants {
        let at = offset(text, mutant.span.start);
        places.entry((mutant.genre.as_str(), at)).or_default().push((number, mutant));
    }
    for ((genre, at), group) in places {
        weaver.add(genre, at, &group);
    }
    Ok(weaver.finish())
}

struct Weaver<'a> {
    text: &'a str,
    switch: &'a str,
    sites: Sites,
    insertions: Vec<Insertion>,
    skipped: Vec<u32>,
}

impl Weaver<'_> {
    fn add(&mut self, genre: &str, at: usize, group: &[(u32, &Mutant)]) {
        let end = offset(self.text, group[0].1.span.end);
        let numbers = group.iter().map(|(number, _)| *number);
        match genre {
            "FnValue" => self.bodies(at, group),
            "MatchArmGuard" => {
                let texts = group.iter().map(|(number, it)| (*number, it.replacement.clone()));
                self.wrap(at..end, &texts.collect::<Vec<_>>());
            }
            "MatchArm" => self.arm(at, group[0].0),
            "BinaryOperator" | "UnaryOperator" => {
                let Some((around, op)) = self.sites.operators.get(&at).cloned() else {
                    return self.skipped.extend(numbers);
                };
                let [head, tail] = [around.start..op.start, op.end..around.end];
                let changed = |(number, it): &(u32, &Mutant)| {
                    let (head, tail) = (&self.text[head.clone()], &self.text[tail.clone()]);
                    (*number, format!("{head}{}{tail}", it.replacement))
                };
                let texts: Vec<(u32, String)> = group.iter().map(changed).collect();
                self.wrap(around, &texts);
            }
            _ => self.skipped.extend(numbers),
        }
    }

    /// The whole body returns another value.
    fn bodies(&mut self, at: usize, group: &[(u32, &Mutant)]) {
        for (number, mutant) in group {
            let (switch, value) = (self.switch, &mutant.replacement);
            let text = format!("if {switch}({number}) {{ return {value}; }} ");
            let (order, mutants) = ((true, 0), vec![*number]);
            self.insertions.push(Insertion { at, order, text, mutants });
        }
    }

    /// An arm that is deleted matches nothing.
    fn arm(&mut self, at: usize, number: u32) {
        let Some((after, guard)) = self.sites.arms.get(&at).cloned() else {
            return self.skipped.push(number);
        };
        let off = format!("!{}({number})", self.switch);
        let mut insert = |at, is_prefix, text| {
            let order = (is_prefix, if is_prefix { 0 } else { usize::MAX });
            let mutants = vec![number];
            self.insertions.push(Insertion { at, order, text, mutants });
        };
        match guard {
            Some(guard) => {
                insert(guard.start, true, format!("{off} && ("));
                insert(guard.end, false, ")".to_owned());
            }
            None => insert(after, true, format!(" if {off}")),
        }
    }

    /// An expression has other values.
    fn wrap(&mut self, around: Range<usize>, others: &[(u32, String)]) {
        let Range { start, end } = around;
        let size = end - start;
        let all: Vec<u32> = others.iter().map(|(number, _)| *number).collect();
        for (index, (number, other)) in others.iter().enumerate() {
            let head = if index == 0 { "(if" } else { " else if" };
            let text = format!("{head} {}({number}) {{ {other} }}", self.switch);
            let mutants = vec![*number];
            self.insertions.push(Insertion {
                at: start,
                order: (true, usize::MAX - size),
                text,
                mutants,
            });
        }
        let order = (true, usize::MAX - size);
        let (text, mutants) = (" else { ".to_owned(), all.clone());
        self.insertions.push(Insertion { at: start, order, text, mutants });
        let (text, order) = (" })".to_owned(), (false, size));
        self.insertions.push(Insertion { at: end, order, text, mutants: all });
    }

    fn finish(self) -> Woven {
        let Self { text, mut insertions, skipped, .. } = self;
        insertions.sort_by_key(|insertion| (insertion.at, insertion.order));
        let mut woven = Woven { skipped, ..Woven::default() };
        let mut copied = 0;
        for Insertion { at, text: inserted, mutants, .. } in insertions {
            woven.text += &text[copied..at];
            copied = at;
            let start = woven.text.len();
            woven.text += &inserted;
            woven.pieces.push(Piece { range: start..woven.text.len(), mutants });
        }
        woven.text += &text[copied..];
        woven
    }
}

/// Returns the byte at a position.
fn offset(text: &str, position: Position) -> usize {
    let lines = text.split_inclusive('\n').take(position.line.saturating_sub(1));
    let line_start: usize = lines.map(str::len).sum();
    let line = &text[line_start..];
    let column = line.char_indices().nth(position.column.saturating_sub(1));
    line_start + column.map_or(line.len(), |(at, _)| at)
}

impl Woven {
    /// Returns the mutants that an error of the compiler at `range` is about.
    pub(super) fn blamed(&self, range: &Range<usize>) -> Vec<u32> {
        let meets = |piece: &&Piece| piece.range.start < range.end && range.start < piece.range.end;
        let meeting: Vec<&Piece> = self.pieces.iter().filter(meets).collect();
        // An error inside an inserted text is about it alone.
        let is_around =
            |piece: &&&Piece| piece.range.start <= range.start && range.end <= piece.range.end;
        match meeting.iter().find(is_around) {
            Some(piece) => piece.mutants.clone(),
            None => meeting.iter().flat_map(|piece| piece.mutants.iter().copied()).collect(),
        }
    }

    /// Returns the mutants of the last piece before `at`: a body that returns another type early
    /// makes the compiler refuse its end.
    pub(super) fn before(&self, at: usize) -> &[u32] {
        let earlier = self.pieces.iter().rfind(|piece| piece.range.start < at);
        earlier.map_or(&[], |piece| &piece.mutants)
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::Span;
    use super::*;

    const TEXT: &str = "fn f(a: u32, b: u32) -> bool {\n    match a {\n        \
        0 => !(a + b * 2 < 9),\n        x if x == b => true,\n        _ => false,\n    }\n}\n";

    fn mutant(genre: &str, at: &str, length: usize, replacement: &str) -> Mutant {
        let start = TEXT.find(at).unwrap();
        let position = |at: usize| {
            let head = &TEXT[..at];
            let line_start = head.rfind('\n').map_or(0, |end| end + 1);
            Position { line: head.matches('\n').count() + 1, column: at - line_start + 1 }
        };
        Mutant {
            name: String::new(),
            file: String::new(),
            genre: genre.to_owned(),
            replacement: replacement.to_owned(),
            span: Span { start: position(start), end: position(start + length) },
        }
    }

    fn woven(mutants: &[Mutant]) -> Woven {
        let numbered: Vec<(u32, &Mutant)> = (0..).zip(mutants).collect();
        let woven = weave(TEXT, &numbered, "m").unwrap();
        syn::parse_file(&woven.text).unwrap();
        woven
    }

    #[test]
    fn operators_of_one_expression_nest() {
        let [plus, times] =
            [("+", "-"), ("*", "/")].map(|(op, other)| mutant("BinaryOperator", op, 1, other));
        let text = woven(&[plus, times]).text;
        let wanted = "(if m(0) { a - b * 2 } else { a + (if m(1) { b / 2 } else { b * 2 }) }) < 9";
        assert!(text.contains(wanted), "{text}");
    }

    #[test]
    fn mutants_of_one_place_share_its_switch() {
        let both = [">", "<="].map(|other| mutant("BinaryOperator", "<", 1, other));
        let text = woven(&both).text;
        let wanted = "(if m(0) { a + b * 2 > 9 } else if m(1) { a + b * 2 <= 9 } \
                      else { a + b * 2 < 9 })";
        assert!(text.contains(wanted), "{text}");
    }

    #[test]
    fn bodies_arms_guards_and_negations_have_switches() {
        let text = woven(&[
            mutant("FnValue", "match", 5, "true"),
            mutant("MatchArm", "0 =>", 20, ""),
            mutant("MatchArm", "x if", 19, ""),
            mutant("MatchArmGuard", "x == b", 6, "true"),
            mutant("UnaryOperator", "!", 1, ""),
        ])
        .text;
        for wanted in [
            "    if m(0) { return true; } match a {",
            "0 if !m(1) => (if m(4) { (a + b * 2 < 9) } else { !(a + b * 2 < 9) }),",
            "x if !m(2) && ((if m(3) { true } else { x == b })) =>",
        ] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
    }

    #[test]
    fn an_error_is_blamed_on_the_innermost_mutant() {
        let woven = woven(&[
            mutant("FnValue", "match", 5, "Default::default()"),
            mutant("BinaryOperator", "+", 1, "-"),
        ]);
        let at = |text: &str| {
            let start = woven.text.find(text).unwrap();
            start..start + text.len()
        };
        assert_eq!(woven.blamed(&at("Default::default()")), [0]);
        assert_eq!(woven.blamed(&at("a - b")), [1]);
        assert!(woven.blamed(&at("fn f")).is_empty());
        assert_eq!(woven.before(at("match").end), [0]);
    }

    #[test]
    fn mutants_without_a_place_in_the_syntax_are_skipped() {
        let field = mutant("StructField", "match", 5, "");
        let operator = mutant("BinaryOperator", "fn", 2, "-");
        let woven = woven(&[field, operator]);
        assert_eq!((woven.text.as_str(), woven.skipped.len()), (TEXT, 2));
    }
}
