//! Compiled filters: a condition as a list of instructions, so that testing an object needs no
//! recursion, however deep or long the condition is.
//!
//! Specification: docs/objects.md#queries.

use super::filter::{CompareOp, Filter, PropertyPath, StringOp, compare, in_order};
use super::lookup::type_error;
use super::view::View;
use crate::error::Result;
use crate::schema::PropertyType;
use crate::table::{ClassTable, RecordRef, RecordSlot, Value};
use std::cmp::Ordering;
use std::ops::Range;

/// Where a record itself holds a whole number or a bool, and with what it is compared: that needs
/// neither a path nor a value made of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    slot: RecordSlot,
    value: i64,
}

impl Number {
    fn new(path: &PropertyPath<'_>, value: &Value<'_>) -> Option<Self> {
        let value = match value {
            Value::Int(value) => *value,
            Value::Bool(value) => i64::from(*value),
            _ => return None,
        };
        let [hop] = &path[..] else { return None };
        Some(Self { slot: RecordSlot::of(hop.column)?, value })
    }

    /// Tells in which order the two are; none if there is none, or it has to be read otherwise.
    #[inline]
    fn order(&self, record: &[u8]) -> Option<Ordering> {
        self.slot.number(record).map(|found| found.cmp(&self.value))
    }
}

/// A test of one value.
#[derive(Debug)]
pub(super) struct ValueTest<'a> {
    pub(super) path: PropertyPath<'a>,
    pub(super) how: How,
}

/// How a value is tested.
#[derive(Debug)]
pub(super) enum How {
    Compare { how: CompareOp, value: Value<'static>, number: Option<Number> },
    Text { how: StringOp, text: String, case_insensitive: bool },
    OneOf { values: Vec<Value<'static>> },
}

/// One instruction. It changes the outcome so far, or skips instructions because of it.
#[derive(Clone, Copy, Debug)]
enum Instruction {
    /// The outcome is that of a test.
    Test(usize),
    /// The outcome is known.
    Set(bool),
    /// The outcome becomes its opposite.
    Invert,
    /// If the outcome is this one, go on behind the end of a condition.
    SkipIf { outcome: bool, to: usize },
}

/// A condition whose paths were found and whose values are of the right types.
#[derive(Debug)]
pub(super) struct Compiled<'a> {
    instructions: Vec<Instruction>,
    pub(super) tests: Vec<ValueTest<'a>>,
    /// Tests of which every object that meets the condition meets one.
    pub(super) needed: Vec<Range<usize>>,
}

/// A step that is left to compile.
enum Step<'f> {
    Filter(&'f Filter),
    Invert,
    /// Skips the rest of a condition if the outcome is this one.
    Skip(bool),
    /// Ends a condition.
    End,
}

impl<'a> Compiled<'a> {
    pub(super) fn new(view: &View<'a>, table: &'a ClassTable, filter: &Filter) -> Result<Self> {
        let mut made = Self { instructions: Vec::new(), tests: Vec::new(), needed: Vec::new() };
        let mut skips = Vec::new();
        for part in conjuncts(filter) {
            let first = made.tests.len();
            let is_disjunction = made.part(view, table, part)?;
            if is_disjunction && first < made.tests.len() {
                made.needed.push(first..made.tests.len());
            }
            skips.push(made.instructions.len());
            made.instructions.push(Instruction::SkipIf { outcome: false, to: 0 });
        }
        made.end(&skips);
        Ok(made)
    }

    /// Compiles a part; tells whether it is a test, or one of several.
    fn part(&mut self, view: &View<'a>, table: &'a ClassTable, part: &Filter) -> Result<bool> {
        let (mut steps, mut open) = (vec![Step::Filter(part)], Vec::new());
        let mut is_disjunction = true;
        while let Some(step) = steps.pop() {
            match step {
                Step::Filter(Filter::And(parts)) => {
                    is_disjunction = false;
                    self.begin(true, &mut open);
                    push_parts(&mut steps, parts, false);
                }
                Step::Filter(Filter::Or(parts)) => {
                    self.begin(false, &mut open);
                    push_parts(&mut steps, parts, true);
                }
                Step::Filter(Filter::Not(part)) => {
                    is_disjunction = false;
                    steps.extend([Step::Invert, Step::Filter(part)]);
                }
                Step::Filter(filter) => {
                    self.instructions.push(Instruction::Test(self.tests.len()));
                    self.tests.push(test(view, table, filter)?);
                }
                Step::Invert => self.instructions.push(Instruction::Invert),
                Step::Skip(outcome) => {
                    if let Some(skips) = open.last_mut() {
                        let skips: &mut Vec<usize> = skips;
                        skips.push(self.instructions.len());
                    }
                    self.instructions.push(Instruction::SkipIf { outcome, to: 0 });
                }
                Step::End => self.end(&open.pop().unwrap_or_default()),
            }
        }
        Ok(is_disjunction)
    }

    /// Begins a condition of several parts, whose outcome without any is this one.
    fn begin(&mut self, outcome: bool, open: &mut Vec<Vec<usize>>) {
        self.instructions.push(Instruction::Set(outcome));
        open.push(Vec::new());
    }

    /// Ends a condition: its skips lead here.
    fn end(&mut self, skips: &[usize]) {
        let end = self.instructions.len();
        for skip in skips {
            if let Instruction::SkipIf { to, .. } = &mut self.instructions[*skip] {
                *to = end;
            }
        }
    }

    /// Tells whether an object meets the condition.
    pub(super) fn meets(&self, view: &View<'a>, row: RecordRef<'_>) -> Result<bool> {
        let (mut outcome, mut at) = (true, 0);
        while let Some(instruction) = self.instructions.get(at) {
            at += 1;
            match *instruction {
                Instruction::Test(test) => outcome = self.tests[test].meets(view, row)?,
                Instruction::Set(known) => outcome = known,
                Instruction::Invert => outcome = !outcome,
                Instruction::SkipIf { outcome: skips, to } if skips == outcome => at = to,
                Instruction::SkipIf { .. } => {}
            }
        }
        Ok(outcome)
    }
}

/// Returns the conditions that are all to be met.
fn conjuncts(filter: &Filter) -> Vec<&Filter> {
    let (mut left, mut found) = (vec![filter], Vec::new());
    while let Some(part) = left.pop() {
        match part {
            Filter::And(parts) => left.extend(parts.iter().rev()),
            part => found.push(part),
        }
    }
    found
}

fn push_parts<'f>(steps: &mut Vec<Step<'f>>, parts: &'f [Filter], skips: bool) {
    steps.push(Step::End);
    for part in parts.iter().rev() {
        steps.extend([Step::Skip(skips), Step::Filter(part)]);
    }
}

/// Compiles a test.
fn test<'a>(view: &View<'a>, table: &'a ClassTable, filter: &Filter) -> Result<ValueTest<'a>> {
    let (Filter::Compare { path, .. } | Filter::Text { path, .. } | Filter::OneOf { path, .. }) =
        filter
    else {
        return Ok(ValueTest { path: Vec::new(), how: How::OneOf { values: Vec::new() } });
    };
    let path = view.path(table, path)?;
    let how = match filter {
        Filter::Compare { how, value, .. } => {
            let is_order = !matches!(how, CompareOp::Equal | CompareOp::NotEqual);
            check_comparable(view, &path, value, is_order)?;
            let number = Number::new(&path, value);
            How::Compare { how: *how, value: value.clone(), number }
        }
        Filter::Text { how, text, case_insensitive, .. } => {
            let text = if *case_insensitive { fold(text) } else { text.clone() };
            check_comparable(view, &path, &Value::String(text.as_str().into()), false)?;
            How::Text { how: *how, text, case_insensitive: *case_insensitive }
        }
        Filter::OneOf { values, .. } => {
            values.iter().try_for_each(|value| check_comparable(view, &path, value, false))?;
            let mut values = values.clone();
            values.sort_by(in_order);
            How::OneOf { values }
        }
        Filter::And(_) | Filter::Or(_) | Filter::Not(_) => How::OneOf { values: Vec::new() },
    };
    Ok(ValueTest { path, how })
}

impl<'a> ValueTest<'a> {
    fn meets(&self, view: &View<'a>, row: RecordRef<'_>) -> Result<bool> {
        let path = &self.path;
        match &self.how {
            How::Compare { how, value, number } => {
                match number.and_then(|number| number.order(row.record)) {
                    Some(order) => Ok(how.holds(Some(order))),
                    None => view.any(path, row, &|found| compare(found, *how, value)),
                }
            }
            How::Text { how, text, case_insensitive } => view.any(path, row, &|found| {
                let Value::String(found) = found else { return false };
                match case_insensitive {
                    true => how.meets(&fold(found), text),
                    false => how.meets(found, text),
                }
            }),
            How::OneOf { values } => view.any(path, row, &|found| is_among(found, values)),
        }
    }
}

/// Tells whether a value is equal to one of some values, which are in order.
fn is_among(found: &Value<'_>, values: &[Value<'static>]) -> bool {
    match found {
        // Numbers with a point are equal in other ways than they are in order, links have none.
        Value::Float(_) | Value::Double(_) | Value::Link(_) => {
            values.iter().any(|value| compare(found, CompareOp::Equal, value))
        }
        _ => values.binary_search_by(|value| in_order(value, found)).is_ok(),
    }
}

/// Folds a string to lower case character by character, so that a substring folds as it does within
/// the whole. Both forms of the lower-case sigma fold to one.
fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let lower = text.chars().flat_map(char::to_lowercase);
    lower.map(|letter| if letter == 'ς' { 'σ' } else { letter }).collect()
}

impl StringOp {
    fn meets(self, found: &str, text: &str) -> bool {
        match self {
            Self::Is => found == text,
            Self::Begins => found.starts_with(text),
            Self::Ends => found.ends_with(text),
            Self::Contains => found.contains(text),
        }
    }
}

/// Checks that what a path leads to can be compared with a value.
fn check_comparable(
    view: &View<'_>,
    path: &PropertyPath<'_>,
    value: &Value<'_>,
    is_order: bool,
) -> Result<()> {
    let Some(field) = path.last() else { return Ok(()) };
    let column = field.column;
    let is_link = column.target().is_some();
    let fits = match value {
        Value::Null => true,
        Value::Link(to) => {
            is_link && column.target() == Some(view.class_name(to.class)?) && !is_order
        }
        value => !is_link && type_name(column.kind()) == value.type_name(),
    };
    if fits {
        return Ok(());
    }
    let found = if is_order && is_link { "an order" } else { value.type_name() };
    Err(type_error(*field, found))
}

/// Returns the name of the type of values that a property holds, as values say it.
pub(super) fn type_name(kind: &PropertyType) -> &'static str {
    use crate::schema::Scalar;
    let scalar = match kind {
        PropertyType::Scalar(scalar) | PropertyType::List { of: scalar, .. } => *scalar,
        PropertyType::Counter => Scalar::Int,
        PropertyType::Object(_)
        | PropertyType::ObjectList(_)
        | PropertyType::LinkingObjects { .. } => return "a link",
    };
    match scalar {
        Scalar::Int => "int",
        Scalar::Bool => "bool",
        Scalar::String => "string",
        Scalar::Binary => "binary",
        Scalar::Timestamp => "timestamp",
        Scalar::Float => "float",
        Scalar::Double => "double",
    }
}
