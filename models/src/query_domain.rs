//! The queries of operands in a plan: most of them ask for existing values.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names the types it is about and treats all others alike"
)]

use crate::object_domain::ObjectDomain;
use crate::object_query::{CompareOp, Filter, Query, StringOp};
use crate::objects::{DatabaseState, Value, ValueType};

/// Draws a query from operands and state, deterministically.
#[derive(Debug)]
pub struct QueryGenerator<'s> {
    domain: ObjectDomain,
    state: &'s DatabaseState,
    seed: u32,
}

const COMPARISONS: [CompareOp; 6] = [
    CompareOp::Equal,
    CompareOp::NotEqual,
    CompareOp::Less,
    CompareOp::LessOrEqual,
    CompareOp::Greater,
    CompareOp::GreaterOrEqual,
];
const TESTS: [StringOp; 4] = [StringOp::Is, StringOp::Begins, StringOp::Ends, StringOp::Contains];

impl<'s> QueryGenerator<'s> {
    /// Starts from three operands.
    #[must_use]
    pub fn new(domain: ObjectDomain, state: &'s DatabaseState, [a, b, c]: [u8; 3]) -> Self {
        Self { domain, state, seed: u32::from_le_bytes([a, b, c, 0x5a]) }
    }

    fn byte(&mut self) -> u8 {
        self.seed = self.seed.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        self.seed.to_le_bytes()[3]
    }

    fn one_in(&mut self, n: u8) -> bool {
        self.byte().is_multiple_of(n)
    }

    /// Draws a query.
    #[must_use]
    pub fn query(&mut self) -> Query {
        let operand = self.byte();
        let class = self.domain.class(operand, self.state);
        let filter = (!self.one_in(8)).then(|| self.filter(&class, 2));
        let mut sort = Vec::new();
        while self.one_in(3) && sort.len() < 2 {
            sort.push((self.path(&class).0, self.one_in(2)));
        }
        let distinct = if self.one_in(4) { vec![self.path(&class).0] } else { Vec::new() };
        let limit = self.one_in(4).then(|| usize::from(self.byte() % 5));
        let offset = if self.one_in(6) { usize::from(self.byte() % 4) } else { 0 };
        Query { class, filter, sort, distinct, limit, offset, after: None }
    }

    /// Draws the name of a property of a class.
    #[must_use]
    pub fn property(&mut self, class: &str) -> String {
        let operand = self.byte();
        self.domain.property(class, operand, self.state)
    }

    /// Draws a page of a query, in the order of a property: behind an object that exists.
    #[must_use]
    pub fn page(&mut self, mut query: Query) -> Query {
        if self.one_in(2) {
            query.sort = vec![(self.property(&query.class), self.one_in(2))];
            query.distinct.clear();
            query.limit = Some(1 + usize::from(self.byte() % 4));
        }
        let count = usize::from(self.byte());
        let stored = self.state.classes.get(&query.class);
        let mut keys = stored.into_iter().flat_map(|stored| stored.objects.keys()).cycle();
        let key = keys.nth(count);
        query.after = key.and_then(|key| self.state.position(&query, key));
        query
    }

    /// Draws a path through a link of a class, or a property if it has no links.
    #[must_use]
    pub fn linked_path(&mut self, class: &str) -> String {
        let stored = self.state.classes.get(class);
        let links = stored.into_iter().flat_map(|stored| &stored.properties);
        let mut links = links.filter_map(|(name, property)| match property.kind.element() {
            ValueType::Link(to) => Some((name, to)),
            _ => None,
        });
        match links.next() {
            Some((name, to)) => format!("{name}.{}", self.property(&to)),
            None => self.property(class),
        }
    }

    fn path(&mut self, class: &str) -> (String, ValueType) {
        let name = self.property(class);
        let stored = self.state.classes.get(class).and_then(|stored| stored.properties.get(&name));
        let kind = stored.map_or(ValueType::Int, |stored| stored.kind.clone());
        match kind.element() {
            ValueType::Link(to) if !self.one_in(4) => {
                let (rest, kind) = self.path(&to);
                (format!("{name}.{rest}"), kind)
            }
            element => (name, element),
        }
    }

    fn filter(&mut self, class: &str, depth: u8) -> Filter {
        match self.byte() % if depth > 0 { 8 } else { 4 } {
            0..4 => self.leaf(class),
            4 | 5 => {
                Filter::And(vec![self.filter(class, depth - 1), self.filter(class, depth - 1)])
            }
            6 if self.one_in(2) => self.alternatives(class),
            6 => Filter::Or(vec![self.filter(class, depth - 1), self.filter(class, depth - 1)]),
            _ => Filter::Not(Box::new(self.filter(class, depth - 1))),
        }
    }

    /// Draws values of which a property has one.
    fn alternatives(&mut self, class: &str) -> Filter {
        let (path, kind) = self.path(class);
        let mut parts = Vec::new();
        for _ in 0..2 + self.byte() % 4 {
            let operand = self.byte();
            let value = match operand {
                0..20 => Value::Null,
                _ => self.domain.value(&kind, operand, self.state),
            };
            parts.push(Filter::Compare(path.clone(), CompareOp::Equal, value));
        }
        Filter::Or(parts)
    }

    fn leaf(&mut self, class: &str) -> Filter {
        let (path, kind) = self.path(class);
        let operand = self.byte();
        let value = match operand {
            0..20 => Value::Null,
            // A value of another type.
            20..24 => Value::Bytes(vec![operand]),
            _ => self.domain.value(&kind, operand, self.state),
        };
        if let Value::Text(text) = &value
            && self.one_in(2)
        {
            let how = TESTS[usize::from(self.byte()) % TESTS.len()];
            // Sometimes a prefix of the text.
            let end = text.char_indices().nth(usize::from(self.byte() % 4));
            let text = match end {
                Some((at, _)) if self.one_in(2) => &text[..at],
                _ => text,
            };
            return Filter::Text(path, how, text.to_owned(), self.one_in(3));
        }
        // Links have no order.
        let count = if matches!(kind, ValueType::Link(_)) && !self.one_in(8) { 2 } else { 6 };
        Filter::Compare(path, COMPARISONS[usize::from(self.byte()) % count], value)
    }
}
