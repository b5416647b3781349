//! The values of structs in a plan.

use crate::object_domain::ObjectDomain;
use crate::object_values::{ObjectValues, PropertyValue};
use crate::objects::{DatabaseState, Property, Value, ValueType};

/// The source of the values of a struct.
#[derive(Clone, Copy, Debug)]
pub struct StructSeed<'a> {
    /// The values of the object to overwrite, if it exists.
    pub current: Option<&'a ObjectValues>,
    /// Two operands.
    pub operands: [u8; 2],
}

/// A deterministic generator of values.
struct ValueGenerator<'a> {
    domain: &'a ObjectDomain,
    state: &'a DatabaseState,
    seed: u32,
}

impl ValueGenerator<'_> {
    fn byte(&mut self) -> u8 {
        self.seed = self.seed.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        self.seed.to_le_bytes()[3]
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    /// Returns a list that differs in one element, or is empty.
    fn edit_list(&mut self, property: &Property, values: &[Value]) -> Vec<Value> {
        let mut values = values.to_vec();
        let how = self.below(8);
        let from = self.below(values.len() + 1);
        let until = if how < 5 { from } else { values.len().min(from + 1) };
        match how {
            0 => values.clear(),
            1..7 => {
                let new = self.value(property);
                values.splice(from..until, new);
            }
            _ => drop(values.drain(from..until)),
        }
        values
    }

    /// Returns a value that a field of the property can have; none if there is no target for a
    /// link.
    fn value(&mut self, property: &Property) -> Option<Value> {
        let kind = property.kind.element();
        if let ValueType::Link(class) = &kind
            && self.state.classes.get(class).is_none_or(|class| class.objects.is_empty())
        {
            return None;
        }
        let operand = self.byte();
        let value = self.domain.value(&kind, operand, self.state);
        let fits = value != Value::Null || property.nullable;
        Some(if fits { value } else { self.domain.value(&kind, 0, self.state) })
    }
}

impl ObjectDomain {
    /// Returns the primary key of a struct; none if the class has none.
    #[must_use]
    pub fn struct_key(&self, class: &str, operand: u8, state: &DatabaseState) -> Option<Value> {
        let class_state = state.classes.get(class)?;
        let property = &class_state.properties[class_state.key.as_ref()?];
        let value = self.key_value(class, operand, state);
        Some(if value == Value::Null { property.initial() } else { value })
    }

    /// Returns the values of a struct, without the primary key; most of them equal those of the
    /// object that it overwrites.
    #[must_use]
    pub fn struct_values(
        &self,
        class: &str,
        seed: StructSeed<'_>,
        state: &DatabaseState,
    ) -> Vec<(String, PropertyValue)> {
        let Some(class) = state.classes.get(class) else { return Vec::new() };
        let [one, two] = seed.operands.map(u32::from);
        let mut generator =
            ValueGenerator { domain: self, state, seed: self.salt() ^ one << 8 ^ two };
        let mut values = Vec::new();
        for (name, property) in &class.properties {
            if class.key.as_ref() == Some(name) {
                continue;
            }
            let before =
                seed.current.and_then(|values| values.iter().find(|(other, _)| other == name));
            let value = match before {
                Some((_, value)) if generator.byte() >= 80 => value.clone(),
                Some((_, PropertyValue::List(elements))) => {
                    PropertyValue::List(generator.edit_list(property, elements))
                }
                _ if property.kind.is_list() => {
                    let count = generator.below(4);
                    let elements = (0..count).filter_map(|_| generator.value(property));
                    PropertyValue::List(elements.collect())
                }
                _ => PropertyValue::Value(generator.value(property).unwrap_or(Value::Null)),
            };
            values.push((name.clone(), value));
        }
        values
    }
}
