//! Words of a shell line: names, numbers, texts and operators.

use std::fmt;

/// A word of a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name, a path over links, or a keyword.
    Name(String),
    /// A number as it is written.
    Number(String),
    /// A text in quotes.
    Text(String),
    /// An operator, a bracket or a comma.
    Sign(&'static str),
}

/// Signs; a longer one is before those that it begins with.
const SIGNS: [&str; 12] = ["!=", "<=", ">=", "=", "<", ">", "(", ")", ",", "#", "+", "-"];

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(text) | Self::Number(text) => f.write_str(text),
            Self::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Self::Sign(sign) => f.write_str(sign),
        }
    }
}

/// Cuts a line into words.
pub(super) fn tokens(line: &str) -> Result<Vec<Token>, String> {
    let (mut found, mut rest) = (Vec::new(), line.trim_start());
    while let Some(first) = rest.chars().next() {
        let (token, len) = if first == '\'' || first == '"' {
            let (text, len) = quoted(rest, first)?;
            (Token::Text(text), len)
        } else if first.is_ascii_digit() {
            let len = number_len(rest);
            (Token::Number(rest[..len].to_owned()), len)
        } else if first.is_alphanumeric() || first == '_' {
            let is_end = |c: char| !c.is_alphanumeric() && c != '_' && c != '.';
            let len = rest.find(is_end).unwrap_or(rest.len());
            (Token::Name(rest[..len].to_owned()), len)
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            let sign = sign.ok_or_else(|| format!("{first:?} has no meaning here"))?;
            (Token::Sign(sign), sign.len())
        };
        found.push(token);
        rest = rest[len..].trim_start();
    }
    Ok(found)
}

/// Reads a text in quotes, in which a quote is written twice; returns it and its length.
fn quoted(rest: &str, quote: char) -> Result<(String, usize), String> {
    let (mut text, mut chars) = (String::new(), rest.char_indices().skip(1).peekable());
    while let Some((at, next)) = chars.next() {
        if next != quote {
            text.push(next);
        } else if chars.peek().is_some_and(|(_, after)| *after == quote) {
            chars.next();
            text.push(quote);
        } else {
            return Ok((text, at + 1));
        }
    }
    Err(format!("a text is not closed: {quote} is missing"))
}

/// Returns the length of a number, with fraction and exponent.
fn number_len(rest: &str) -> usize {
    let mut before = ' ';
    let is_end = |c: char| {
        let is_sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E');
        before = c;
        !c.is_ascii_alphanumeric() && c != '.' && !is_sign
    };
    rest.find(is_end).unwrap_or(rest.len())
}
