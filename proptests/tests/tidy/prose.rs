//! Prose in Rust files and in documents, and the words that names.md rules out.
//!
//! A comment, a message or a document comes in; it is cut into pieces (paragraph, list item, table
//! cell), in which code is a blank. A breach is a sentence that opens with a pronoun, or a word
//! that the field does not use.

use super::Breach;
use super::source::{Token, TokenKind, tokens};
use super::text::breach;
use std::collections::BTreeSet;

/// Words that open no sentence; a question may begin with any of them.
const OPENINGS: &[&str] = &[
    "what",
    "whatever",
    "who",
    "whoever",
    "whom",
    "whose",
    "somebody",
    "someone",
    "nobody",
    "of",
    "that which",
];

/// Ruled out anywhere, and the words to use. `/` separates forms, `*` is up to two words, `!`
/// begins words that excuse the phrase when they follow it.
const PHRASES: &[(&str, &str)] = &[
    ("whoever/whomever", "a named subject"),
    ("somebody/someone", "a named subject"),
    ("nobody", "a named subject"),
    ("anew", "again, new"),
    ("once more", "again, retry"),
    ("told", "reported, notified, returned, distinguished"),
    ("let/lets/letting * go", "evict, drop, release"),
    ("aside", "buffered, separate, temporary"),
    ("take/takes/taken/took/taking back", "roll back, retract"),
    ("take/takes/taken/took/taking it/that/them/this back", "roll back, retract"),
    ("lift/lifts/lifted/lifting", "relocate, raise"),
    ("stand/stands/stood !for/alone/out", "is, is stored"),
    ("lie/lies/lain", "is, is stored"),
    ("gone", "deleted, closed, no longer exists"),
    ("is/are/was/were there !a/an/any/no/to/still/something/nothing/one/two/only/enough", "exists"),
    ("bring/brings/brought about", "apply, cause"),
];

/// Types that names.md renames.
const TYPES: &[&str] = &[
    "Again",
    "Baton",
    "Closer",
    "Doing",
    "Ear",
    "Found",
    "Given",
    "Ground",
    "Hand",
    "Held",
    "Hook",
    "Kept",
    "Late",
    "Near",
    "Observables",
    "Patient",
    "Peek",
    "Places",
    "Rig",
    "Seat",
    "Storm",
    "Surroundings",
    "Turn",
    "Turns",
    "Wanted",
];

/// Names in code that hold a ruled-out phrase, each where the file first defines it.
pub(crate) fn identifiers(path: &str, source: &str) -> Vec<Breach> {
    let code = tokens(source);
    let mut breaches = Vec::new();
    let mut seen = BTreeSet::new();
    for pair in code.windows(2) {
        let (
            [before, name],
            "fn" | "struct" | "enum" | "trait" | "type" | "mod" | "const" | "static" | "let"
            | "mut",
        ) = (pair, pair[0].text)
        else {
            continue;
        };
        if before.kind != TokenKind::Word || name.kind != TokenKind::Word || !seen.insert(name.text)
        {
            continue;
        }
        let parts = words(&name.text.replace('_', " "));
        let opens =
            before.is("fn") && parts.len() > 2 && opens(&parts, 0, &Piece::default()).is_some();
        let phrase = || {
            let starts = (0..parts.len()).map(|at| &parts[at..]);
            starts
                .flat_map(|parts| PHRASES.iter().find(|(phrase, _)| matches(phrase, parts)))
                .next()
        };
        let remedy = match phrase() {
            Some((_, remedy)) => *remedy,
            None if opens => "a name that begins with a noun or a verb",
            None if TYPES.contains(&name.text) => "the name of names.md",
            None => continue,
        };
        breaches.push(breach(path, name.line, format!("the name `{}`; write {remedy}", name.text)));
    }
    breaches
}

/// A stretch of prose; code within it is the word `_`.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    text: String,
    /// Where in the text each line begins, and its index in the file.
    lines: Vec<(usize, usize)>,
    is_cell: bool,
    /// A literal, which may be a part of a sentence.
    is_message: bool,
}

impl Piece {
    fn push(&mut self, line: usize, text: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.lines.push((self.text.len(), line));
        self.text.push_str(text);
    }

    fn line(&self, at: usize) -> usize {
        let before = self.lines.iter().take_while(|(start, _)| *start <= at);
        before.last().map_or(0, |(_, line)| *line)
    }
}

/// Breaches in the comments and messages of a Rust file.
pub(crate) fn source_words(path: &str, source: &str) -> Vec<Breach> {
    let tokens = tokens(source);
    let mut pieces = comments(&tokens);
    // The rules' own messages and examples name the words that they rule out.
    if !path.starts_with("proptests/tests/tidy/") {
        pieces.extend(tokens.iter().filter_map(message));
    }
    pieces.iter().flat_map(|piece| piece_words(path, piece)).collect()
}

/// Breaches in a document.
pub(crate) fn document_words(path: &str, text: &str) -> Vec<Breach> {
    let lines: Vec<(usize, &str)> = text.lines().enumerate().collect();
    pieces(&lines).iter().flat_map(|piece| piece_words(path, piece)).collect()
}

/// Comments on lines of their own that follow each other are one text.
fn comments(tokens: &[Token<'_>]) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut block: Vec<(usize, &str)> = Vec::new();
    let mut before = "";
    for token in tokens.iter().filter(|token| token.kind == TokenKind::Comment) {
        let mark = ["//!", "///", "//", "/*"].into_iter().find(|mark| token.text.starts_with(mark));
        let mark = mark.unwrap_or_default();
        let follows = block.last().is_some_and(|(line, _)| line + 1 == token.line);
        if !(follows && token.opens_line && mark == before) {
            found.extend(pieces(&block));
            block.clear();
        }
        before = mark;
        let text = token.text[mark.len()..].trim_end_matches("*/");
        block.extend(text.lines().enumerate().map(|(index, line)| (token.line + index, line)));
    }
    found.extend(pieces(&block));
    found
}

/// A literal of three words or more, as a piece; placeholders are blanks.
fn message(token: &Token<'_>) -> Option<Piece> {
    if token.kind != TokenKind::Text {
        return None;
    }
    let mut piece = Piece { is_message: true, ..Piece::default() };
    for (index, line) in token.text.lines().enumerate() {
        let line = line.trim().trim_end_matches('\\').replace("\\n", ". ").replace("\\\"", "\"");
        piece.push(token.line + index, &without(&line, '{', '}'));
    }
    let words = piece.text.split(' ').filter(|word| word.starts_with(char::is_alphabetic));
    (words.count() >= 3).then_some(piece)
}

/// Cuts markdown into paragraphs, list items and cells; fenced code is left out.
fn pieces(lines: &[(usize, &str)]) -> Vec<Piece> {
    let mut found = vec![Piece::default()];
    let mut fenced = false;
    for (line, text) in lines {
        let text = text.trim();
        if text.starts_with("```") || text.starts_with("~~~") {
            fenced = !fenced;
            found.push(Piece::default());
        }
        if fenced || text.starts_with("```") || text.starts_with("[") && text.contains("]: ") {
            continue;
        }
        if let Some(row) = text.strip_prefix('|') {
            let cells = row.trim_end_matches('|').split('|').map(|cell| {
                let mut piece = Piece { is_cell: true, ..Piece::default() };
                piece.push(*line, cell.trim());
                piece
            });
            found.extend(cells);
            found.push(Piece::default());
            continue;
        }
        let inner = text.trim_start_matches(['#', '>']).trim_start();
        let item = list_item(inner);
        let is_heading = text.starts_with('#');
        if text.is_empty() || is_heading || item.is_some() {
            found.push(Piece::default());
        }
        if let Some(last) = found.last_mut() {
            last.push(*line, item.unwrap_or(inner));
        }
        if is_heading {
            found.push(Piece::default());
        }
    }
    for piece in &mut found {
        // Lines keep their offsets, so a blank is as long as the code that it hides.
        piece.text = blank_code(&piece.text);
    }
    found.retain(|piece| !piece.text.trim().is_empty());
    found
}

fn list_item(text: &str) -> Option<&str> {
    let bullet = text.strip_prefix("- ").or_else(|| text.strip_prefix("* "));
    bullet.or_else(|| {
        let (number, rest) = text.split_once(". ")?;
        (!number.is_empty() && number.chars().all(|digit| digit.is_ascii_digit())).then_some(rest)
    })
}

/// Replaces code spans by blanks of the same length, targets of links too.
fn blank_code(text: &str) -> String {
    let mut in_code = false;
    let mut in_target = false;
    let mut blank = String::new();
    for letter in text.chars() {
        let ends_link = !in_code && blank.ends_with(']');
        match letter {
            '`' => in_code = !in_code,
            '(' if ends_link => in_target = true,
            _ => {}
        }
        let hidden = in_code || in_target || letter == '`';
        let width = letter.len_utf8();
        match hidden {
            true => blank.push_str(&"_".repeat(width)),
            false => blank.push(letter),
        }
        in_target &= letter != ')';
    }
    blank
}

/// Replaces what is between two marks by blanks.
fn without(text: &str, open: char, close: char) -> String {
    let mut depth = 0_i32;
    let blanks = text.chars().map(|letter| {
        depth += i32::from(letter == open);
        let hidden = depth > 0;
        depth -= i32::from(letter == close && depth > 0);
        if hidden { "_".repeat(letter.len_utf8()) } else { letter.to_string() }
    });
    blanks.collect()
}

/// A word of a piece, in small letters, or a mark that ends a phrase.
struct Word {
    at: usize,
    text: String,
    is_capital: bool,
}

fn words(text: &str) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::new();
    let mut open = false;
    for (at, letter) in text.char_indices() {
        let is_part = letter.is_alphanumeric() || "_'’".contains(letter);
        if is_part && let Some(last) = found.last_mut().filter(|_| open) {
            last.text.extend(letter.to_lowercase());
        } else if is_part || ".,;:?!()".contains(letter) {
            let is_capital = letter.is_uppercase();
            found.push(Word { at, text: letter.to_lowercase().collect(), is_capital });
        }
        open = is_part;
    }
    found
}

fn piece_words(path: &str, piece: &Piece) -> Vec<Breach> {
    let words = words(&piece.text);
    let mut breaches = Vec::new();
    for (index, word) in words.iter().enumerate() {
        if let Some(opening) = opens(&words, index, piece) {
            let text = format!("a sentence opens with `{opening}`; begin with a named subject");
            breaches.push(breach(path, piece.line(word.at), text));
            continue;
        }
        for (phrase, remedy) in PHRASES {
            if matches(phrase, &words[index..]) {
                let shown = phrase.split(" !").next().unwrap_or(phrase);
                let text = format!("`{shown}`; write {remedy}");
                breaches.push(breach(path, piece.line(word.at), text));
            }
        }
    }
    breaches
}

/// The opening that a sentence beginning at this word must not have.
fn opens(words: &[Word], index: usize, piece: &Piece) -> Option<&'static str> {
    let ends = |word: &Word| [".", "?", "!"].contains(&word.text.as_str());
    let first = words.get(index)?;
    let begins = match index.checked_sub(1).map(|before| &words[before]) {
        None => true,
        Some(before) => ends(before) && first.is_capital,
    };
    if !begins {
        return None;
    }
    let sentence = &words[index..];
    let end = sentence.iter().position(ends).unwrap_or(sentence.len());
    let is_question = sentence.get(end).is_some_and(|word| word.text == "?");
    // The head of a column is a word or two.
    if is_question || (piece.is_cell && end < 3) {
        return None;
    }
    let is_part = piece.is_message && !first.is_capital && first.text == "of";
    OPENINGS.iter().copied().filter(|_| !is_part).find(|opening| {
        let mut parts = opening.split(' ').zip(sentence);
        parts.all(|(part, word)| part == word.text)
    })
}

fn matches(phrase: &str, words: &[Word]) -> bool {
    let mut at = 0;
    let mut parts = phrase.split(' ').peekable();
    while let Some(part) = parts.next() {
        let fits = |at: usize, part: &str| {
            words.get(at).is_some_and(|word| part.split('/').any(|form| form == word.text))
        };
        if let Some(excuses) = part.strip_prefix('!') {
            return !fits(at, excuses);
        }
        if part == "*" {
            let next = parts.next().unwrap_or_default();
            let Some(skip) = (0..3).find(|skip| {
                let between = words.iter().skip(at).take(*skip);
                between.into_iter().all(|word| word.text.starts_with(char::is_alphabetic))
                    && fits(at + skip, next)
            }) else {
                return false;
            };
            at += skip + 1;
        } else if fits(at, part) {
            at += 1;
        } else {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{document_words, identifiers, source_words};

    #[track_caller]
    fn check_source(source: &str, lines: &[usize]) {
        let found: Vec<usize> =
            source_words("a.rs", source).iter().map(|found| found.line).collect();
        assert_eq!(found, lines, "{source}");
    }

    #[track_caller]
    fn check_document(text: &str, lines: &[usize]) {
        let found: Vec<usize> =
            document_words("docs/a.md", text).iter().map(|found| found.line).collect();
        assert_eq!(found, lines, "{text}");
    }

    #[test]
    fn openings_are_found_where_sentences_begin() {
        check_source("/// What is written.\nfn a() {}\n", &[1]);
        check_source("// It ends. Who\n// reads waits.\n", &[1]);
        check_source("// It ends.\n// Nobody reads.\n", &[2]);
        check_source("//! One of them. Of two, one.\n", &[1]);
        check_source("// `what` is it. `Who` reads.\n", &[]);
        check_source("// Says what it is, and who reads.\n", &[]);
        check_source("// What happens then? It ends.\n", &[]);
        check_source("fn a() -> &str { \"what was read is old\" }\n", &[1]);
        check_source("fn a() -> &str { \"what\" }\n", &[]);
        check_source("fn a() -> &str { \"of them readable\" }\n", &[]);
        check_document("# Who reads it\n\ntext\n\n- What it does\n", &[1, 5]);
        check_document("| who | what |\n|---|---|\n| a | who reads it |\n", &[3]);
        check_document("```\nWhat is code is not held.\n```\nnor `that\nWho` \n", &[]);
    }

    #[test]
    fn names_of_no_field_are_found() {
        let check = |source: &str, lines: &[usize]| {
            let found: Vec<usize> =
                identifiers("a.rs", source).iter().map(|found| found.line).collect();
            assert_eq!(found, lines, "{source}");
        };
        check("fn let_go() {}\nfn is_let() { let_go(); }\n", &[1]);
        check("fn f() {\n    let told = 1;\n    let mut gone_by = told;\n}\n", &[2, 3]);
        check("struct Wanted;\nenum Kept {}\nstruct KeptUsers;\nfn kept() {}\n", &[1, 2]);
        check("fn what_is_read_is_old() {}\nfn what() {}\nfn of_type() {}\n", &[1]);
    }

    #[test]
    fn words_of_no_field_are_found() {
        check_source("// A node is told\n// that it was\n// let slowly go.\n", &[1, 3]);
        check_source("// It is let, go.\nlet go = told;\n", &[]);
        check_source("f(\"a file is gone\", \"{told} and {gone} are two\");\n", &[1]);
        check_source("// What is there? Is there a file? It is there.\n", &[1, 1]);
        check_source("// X stands for Y, and Y stands.\n", &[1]);
        check_document("see [told](docs/told.md), `gone`\nand\nanew\n", &[1, 3]);
    }
}
