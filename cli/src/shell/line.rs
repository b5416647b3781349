//! Statements of the shell: grammar of a line.
//!
//! Grammar: docs/tools.md#shell.

use super::token::{Token, tokens};
use fastness::object::{CompareOp, Order, StringOp};

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    Help,
    Classes,
    Begin,
    Commit,
    Rollback,
    Quit,
    /// Shows objects, their number, or how they are found.
    Find {
        what: Shown,
        class: String,
        query: QueryText,
    },
    Create {
        class: String,
        values: Vec<Assignment>,
    },
    Set {
        class: String,
        key: Literal,
        values: Vec<Assignment>,
    },
    Delete {
        class: String,
        key: Literal,
    },
}

/// The result that a query is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Objects,
    Count,
    Plan,
}

/// A query, whose values have no types yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct QueryText {
    pub(super) condition: Option<Condition>,
    pub(super) sort: Vec<(String, Order)>,
    pub(super) distinct: Vec<String>,
    pub(super) limit: Option<usize>,
}

/// A condition, whose values have no types yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    Compare(String, CompareOp, Literal),
    Text(String, StringOp, String),
    OneOf(String, Vec<Literal>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
}

/// A value as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    /// The number of an object without a primary key.
    Row(String),
}

/// A property and its new value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Assignment {
    pub(super) property: String,
    pub(super) value: Literal,
}

/// Brackets and `not` in each other.
const DEPTH_MAX: usize = 100;

/// Reads a line; none if it is empty.
pub(super) fn parse(line: &str) -> Result<Option<Statement>, String> {
    let mut words = Words { tokens: tokens(line)?.into_iter().peekable(), depth: 0 };
    let Some(first) = words.tokens.next() else { return Ok(None) };
    let Token::Name(first) = first else { return Err(format!("{first}: type help")) };
    let statement = match &*first.to_ascii_lowercase() {
        "help" => Statement::Help,
        "classes" => Statement::Classes,
        "begin" => Statement::Begin,
        "commit" => Statement::Commit,
        "rollback" => Statement::Rollback,
        "quit" | "exit" => Statement::Quit,
        "find" => words.find(Shown::Objects)?,
        "count" => words.find(Shown::Count)?,
        "explain" => words.find(Shown::Plan)?,
        "create" => Statement::Create { class: words.name()?, values: words.assignments()? },
        "set" => {
            let (class, key) = (words.name()?, words.literal()?);
            Statement::Set { class, key, values: words.assignments()? }
        }
        "delete" => Statement::Delete { class: words.name()?, key: words.literal()? },
        _ => return Err(format!("{first} is no statement; type help")),
    };
    match words.tokens.next() {
        None => Ok(Some(statement)),
        Some(rest) => Err(format!("{rest} is too much here")),
    }
}

/// The words of a line that are left.
struct Words {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    depth: usize,
}

impl Words {
    fn next(&mut self, expected: &str) -> Result<Token, String> {
        self.tokens.next().ok_or_else(|| format!("{expected} is missing at the end"))
    }

    fn name(&mut self) -> Result<String, String> {
        match self.next("a name")? {
            Token::Name(name) => Ok(name),
            other => Err(format!("{other} is no name")),
        }
    }

    /// Takes a keyword if it is next.
    fn takes(&mut self, keyword: &str) -> bool {
        let is_keyword = |token: &Token| match token {
            Token::Name(name) => name.eq_ignore_ascii_case(keyword),
            Token::Number(_) | Token::Text(_) | Token::Sign(_) => false,
        };
        self.tokens.next_if(is_keyword).is_some()
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        self.tokens.next_if(|token| matches!(token, Token::Sign(found) if *found == sign)).is_some()
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), String> {
        match self.next(sign)? {
            Token::Sign(found) if found == sign => Ok(()),
            other => Err(format!("{sign} is missing before {other}")),
        }
    }

    fn literal(&mut self) -> Result<Literal, String> {
        Ok(match self.next("a value")? {
            Token::Text(text) => Literal::Text(text),
            Token::Number(number) => Literal::Number(number),
            Token::Sign("-") => match self.next("a number")? {
                Token::Number(number) => Literal::Number(format!("-{number}")),
                Token::Name(name) if name == "inf" => Literal::Number("-inf".to_owned()),
                other => return Err(format!("-{other} is no number")),
            },
            Token::Sign("#") => match self.next("the number of an object")? {
                Token::Number(number) => Literal::Row(number),
                other => return Err(format!("#{other} is no number of an object")),
            },
            Token::Name(name) => match &*name.to_ascii_lowercase() {
                "null" => Literal::Null,
                "true" => Literal::Bool(true),
                "false" => Literal::Bool(false),
                "nan" | "inf" => Literal::Number(name),
                _ => return Err(format!("{name} is no value; texts are in quotes: '{name}'")),
            },
            other @ Token::Sign(_) => return Err(format!("{other} is no value")),
        })
    }

    fn assignments(&mut self) -> Result<Vec<Assignment>, String> {
        let mut all = Vec::new();
        if self.tokens.peek().is_none() {
            return Ok(all);
        }
        loop {
            let property = self.name()?;
            self.expect_sign("=")?;
            all.push(Assignment { property, value: self.literal()? });
            if !self.takes_sign(",") {
                return Ok(all);
            }
        }
    }

    fn find(&mut self, what: Shown) -> Result<Statement, String> {
        let (class, mut query) = (self.name()?, QueryText::default());
        if self.takes("where") {
            query.condition = Some(self.any_of()?);
        }
        if self.takes("sort") {
            query.sort = self.separated(|words| {
                let path = words.name()?;
                let order = if words.takes("desc") { Order::Descending } else { Order::Ascending };
                Ok((path, order))
            })?;
        }
        if self.takes("distinct") {
            query.distinct = self.separated(Self::name)?;
        }
        if self.takes("limit") {
            let Token::Number(number) = self.next("a number")? else {
                return Err("limit is followed by a number".to_owned());
            };
            query.limit = Some(number.parse().map_err(|_| format!("{number} is no limit"))?);
        }
        Ok(Statement::Find { what, class, query })
    }

    fn separated<T>(
        &mut self,
        one: impl Fn(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let mut all = vec![one(self)?];
        while self.takes_sign(",") {
            all.push(one(self)?);
        }
        Ok(all)
    }

    fn any_of(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.all_of()?];
        while self.takes("or") {
            parts.push(self.all_of()?);
        }
        Ok(if parts.len() > 1 { Condition::Or(parts) } else { parts.remove(0) })
    }

    fn all_of(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.part()?];
        while self.takes("and") {
            parts.push(self.part()?);
        }
        Ok(if parts.len() > 1 { Condition::And(parts) } else { parts.remove(0) })
    }

    fn part(&mut self) -> Result<Condition, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} brackets in each other"));
        }
        let part = if self.takes("not") {
            Condition::Not(Box::new(self.part()?))
        } else if self.takes_sign("(") {
            let inner = self.any_of()?;
            self.expect_sign(")")?;
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(part)
    }

    fn comparison(&mut self) -> Result<Condition, String> {
        let path = self.name()?;
        let how = match self.next("an operator")? {
            Token::Sign("=") => CompareOp::Equal,
            Token::Sign("!=") => CompareOp::NotEqual,
            Token::Sign("<") => CompareOp::Less,
            Token::Sign("<=") => CompareOp::LessOrEqual,
            Token::Sign(">") => CompareOp::Greater,
            Token::Sign(">=") => CompareOp::GreaterOrEqual,
            Token::Name(name) if name.eq_ignore_ascii_case("in") => {
                self.expect_sign("(")?;
                let values = self.separated(Self::literal)?;
                self.expect_sign(")")?;
                return Ok(Condition::OneOf(path, values));
            }
            Token::Name(name) => {
                let how = match &*name.to_ascii_lowercase() {
                    "begins" => StringOp::Begins,
                    "ends" => StringOp::Ends,
                    "contains" => StringOp::Contains,
                    _ => return Err(format!("{name} is no operator; type help")),
                };
                return match self.literal()? {
                    Literal::Text(text) => Ok(Condition::Text(path, how, text)),
                    _ => Err(format!("{name} is followed by a text in quotes")),
                };
            }
            other => return Err(format!("{other} is no operator; type help")),
        };
        Ok(Condition::Compare(path, how, self.literal()?))
    }
}
