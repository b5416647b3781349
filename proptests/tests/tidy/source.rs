//! Rust source as tokens, as far as the rules need it: words, marks, literals and comments, each
//! with its line. Any text comes in; a file that compiles is read as the compiler reads it.

/// Kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// An identifier, a keyword or a number.
    Word,
    /// One character of punctuation.
    Mark,
    /// A string literal of any kind; the text is between the quotes, escapes as written.
    Text,
    /// A character literal or a lifetime.
    Quote,
    /// A comment with its `//`, `///`, `//!` or `/*`.
    Comment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind,
    pub(crate) text: &'a str,
    /// Index of the line on which the token begins.
    pub(crate) line: usize,
    /// No other token precedes it on its line.
    pub(crate) opens_line: bool,
}

impl Token<'_> {
    pub(crate) fn is(&self, text: &str) -> bool {
        matches!(self.kind, TokenKind::Word | TokenKind::Mark) && self.text == text
    }
}

/// All tokens of a file in order.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut found: Vec<Token<'_>> = Vec::new();
    let (mut at, mut line, mut line_used) = (0, 0, usize::MAX);
    while let Some(next) = source[at..].chars().next() {
        if next.is_whitespace() {
            line += usize::from(next == '\n');
            at += next.len_utf8();
            continue;
        }
        let (kind, start, end, after) = token(&source[at..], next);
        let text = &source[at + start..at + end];
        found.push(Token { kind, text, line, opens_line: line_used != line });
        line += source[at..at + after].matches('\n').count();
        line_used = line;
        at += after;
    }
    found
}

/// Kind of the token that `rest` begins with, start and end of its text, and where the next begins.
fn token(rest: &str, first: char) -> (TokenKind, usize, usize, usize) {
    let whole = |kind, len| (kind, 0, len, len);
    if rest.starts_with("//") {
        return whole(TokenKind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return whole(TokenKind::Comment, block_comment(rest));
    }
    if let Some((start, end, after)) = string(rest) {
        return (TokenKind::Text, start, end, after);
    }
    if let Some(len) = quote(rest) {
        return whole(TokenKind::Quote, len);
    }
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    if is_part(first) {
        let raw = if rest.starts_with("r#") { 2 } else { 0 };
        let len = rest[raw..].find(|letter| !is_part(letter)).map_or(rest.len(), |len| raw + len);
        return (TokenKind::Word, raw, len, len);
    }
    whole(TokenKind::Mark, first.len_utf8())
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let step = match &rest[at..] {
            inner if inner.starts_with("/*") => {
                depth += 1;
                2
            }
            inner if inner.starts_with("*/") => {
                depth -= 1;
                2
            }
            inner => inner.chars().next().map_or(1, char::len_utf8),
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

/// Start and end of the text of a string literal, and the end of the literal.
fn string(rest: &str) -> Option<(usize, usize, usize)> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        rest.strip_prefix(prefix).is_some_and(|rest| rest.trim_start_matches('#').starts_with('"'))
    })?;
    let hashes = rest[prefix.len()..].find('"')?;
    let start = prefix.len() + hashes + 1;
    if prefix.ends_with('r') {
        let close = format!("\"{}", "#".repeat(hashes));
        let end = start + rest[start..].find(&close).unwrap_or(rest.len() - start);
        return Some((start, end, (end + close.len()).min(rest.len())));
    }
    if hashes > 0 {
        return None;
    }
    let mut escaped = false;
    let close = rest[start..].find(|letter| {
        let closes = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        closes
    });
    let end = start + close.unwrap_or(rest.len() - start);
    Some((start, end, (end + 1).min(rest.len())))
}

/// Length of a character literal or a lifetime.
fn quote(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'').or_else(|| rest.strip_prefix("b'"))?;
    let before = rest.len() - inner.len();
    let mut letters = inner.char_indices();
    let (_, first) = letters.next()?;
    if first == '\\' {
        let (_, escaped) = letters.next()?;
        let from = 1 + escaped.len_utf8();
        return Some(before + from + inner[from..].find('\'')? + 1);
    }
    match letters.next() {
        Some((at, '\'')) => Some(before + at + 1),
        _ => {
            let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
            Some(before + inner.find(|letter| !is_part(letter)).unwrap_or(inner.len()))
        }
    }
}

/// The tokens that are compiled into the product: no comments, no items below `#[cfg(test)]` or
/// `#[test]`.
pub(crate) fn product<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let code: Vec<Token<'a>> =
        tokens.iter().filter(|token| token.kind != TokenKind::Comment).copied().collect();
    let mut kept = Vec::new();
    let mut at = 0;
    while at < code.len() {
        match attribute(&code, at) {
            Some((inner, after)) if is_test(&code[inner..after]) => at = item_end(&code, after),
            Some((_, after)) => {
                kept.extend_from_slice(&code[at..after]);
                at = after;
            }
            None => {
                kept.push(code[at]);
                at += 1;
            }
        }
    }
    kept
}

/// For `#[..]` at this token, the first token inside and the one after the bracket.
fn attribute(code: &[Token<'_>], at: usize) -> Option<(usize, usize)> {
    let opens = code.get(at)?.is("#") && code.get(at + 1)?.is("[");
    opens.then(|| (at + 2, closing(code, at + 1) + 1))
}

fn is_test(inner: &[Token<'_>]) -> bool {
    let words: Vec<&str> = inner.iter().map(|token| token.text).collect();
    matches!(words.as_slice(), ["test", ..] | ["cfg", "(", "test", ")", ..])
        || matches!(words.as_slice(), ["cfg", "(", "all", "(", "test", ..])
}

/// Index of the bracket that closes the one at `open`; the last token if none does.
pub(crate) fn closing(code: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_i32;
    for (index, token) in code.iter().enumerate().skip(open) {
        if token.kind == TokenKind::Mark {
            depth += match token.text {
                "(" | "[" | "{" => 1,
                ")" | "]" | "}" => -1,
                _ => 0,
            };
            if depth == 0 {
                return index;
            }
        }
    }
    code.len().saturating_sub(1)
}

/// Words that begin an item, in which a comma ends nothing; a field or an arm ends with one.
const ITEMS: &[&str] =
    &["fn", "struct", "enum", "trait", "impl", "mod", "use", "const", "static", "type", "macro"];

/// The token after the item that begins here, attributes of its own included.
fn item_end(code: &[Token<'_>], mut at: usize) -> usize {
    while let Some((_, after)) = attribute(code, at) {
        at = after;
    }
    let begins = |words: &[&str]| {
        code.iter().skip(at).take(6).any(|token| words.iter().any(|word| token.is(word)))
    };
    let (is_use, is_item) = (begins(&["use"]), begins(ITEMS));
    while let Some(token) = code.get(at) {
        if token.is(";") || (token.is(",") && !is_item) {
            return at + 1;
        }
        if token.is("{") && !is_use {
            return closing(code, at) + 1;
        }
        let opens = token.is("(") || token.is("[") || token.is("{");
        at = if opens { closing(code, at) + 1 } else { at + 1 };
    }
    at
}

#[cfg(test)]
mod tests {
    use super::{TokenKind, product, tokens};

    #[track_caller]
    fn check(source: &str, expect: &[(TokenKind, &str)]) {
        let found: Vec<(TokenKind, &str)> =
            tokens(source).iter().map(|token| (token.kind, token.text)).collect();
        assert_eq!(found, expect, "{source}");
    }

    #[test]
    fn literals_and_comments_are_no_code() {
        use TokenKind::{Comment, Mark, Quote, Text, Word};
        check("a\"b \\\" c\"d", &[(Word, "a"), (Text, "b \\\" c"), (Word, "d")]);
        check("r#\"a\"b\"# br\"\\\"", &[(Text, "a\"b"), (Text, "\\")]);
        check(
            "'a' '\\'' b'x' '\\u{7f}' 'a: &'static",
            &[
                (Quote, "'a'"),
                (Quote, "'\\''"),
                (Quote, "b'x'"),
                (Quote, "'\\u{7f}'"),
                (Quote, "'a"),
                (Mark, ":"),
                (Mark, "&"),
                (Quote, "'static"),
            ],
        );
        check(
            "r#type x // y \"\n/* a /* b */ */z",
            &[
                (Word, "type"),
                (Word, "x"),
                (Comment, "// y \""),
                (Comment, "/* a /* b */ */"),
                (Word, "z"),
            ],
        );
    }

    #[test]
    fn lines_are_counted_through_literals() {
        let found = tokens("a \"x\ny\" b\nc");
        let lines: Vec<(usize, bool)> =
            found.iter().map(|token| (token.line, token.opens_line)).collect();
        assert_eq!(lines, [(0, true), (0, false), (1, false), (2, true)]);
    }

    #[test]
    fn tests_are_no_product() {
        let source = "#[cfg(test)]\nmod tests { fn a() { b[1]; } }\nc #[cfg(test)] use d::{e, f};\n\
            #[test] #[should_panic] fn g() {} #[derive(H)] i #[cfg(all(test, x))] mod j; k";
        let words: Vec<&str> = product(&tokens(source)).iter().map(|token| token.text).collect();
        assert_eq!(words.join(" "), "c # [ derive ( H ) ] i k");
    }
}
