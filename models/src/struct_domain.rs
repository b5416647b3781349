//! The values of structs in a plan.

use crate::object_domain::ObjectDomain;
use crate::object_whole::{PropertyValue, Whole};
use crate::objects::{Kind, Property, State, Value};

/// A deterministic stream of bytes.
struct Draw(u32);

impl Draw {
    fn byte(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        self.0.to_le_bytes()[3]
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }
}

impl ObjectDomain {
    /// Returns the primary key of a struct; none if the class has none.
    #[must_use]
    pub fn struct_key(&self, class: &str, operand: u8, state: &State) -> Option<Value> {
        let held = state.classes.get(class)?;
        let property = &held.properties[held.key.as_ref()?];
        let value = self.key_value(class, operand, state);
        Some(if value == Value::Null { property.initial() } else { value })
    }

    /// Returns the values of a struct, without the primary key; most of them equal those of the
    /// object that it overwrites.
    #[must_use]
    pub fn whole(
        &self,
        class: &str,
        (held, [one, two]): (Option<&Whole>, [u8; 2]),
        state: &State,
    ) -> Vec<(String, PropertyValue)> {
        let Some(class) = state.classes.get(class) else { return Vec::new() };
        let mut draw = Draw(self.salt() ^ u32::from(one) << 8 ^ u32::from(two));
        let mut whole = Vec::new();
        for (name, property) in &class.properties {
            if class.key.as_ref() == Some(name) {
                continue;
            }
            let before = held.and_then(|held| held.iter().find(|(other, _)| other == name));
            let content = match before {
                Some((_, content)) if draw.byte() >= 80 => content.clone(),
                Some((_, PropertyValue::List(values))) => {
                    PropertyValue::List(self.edited((property, values), &mut draw, state))
                }
                _ if property.kind.is_list() => {
                    let count = draw.below(4);
                    let values =
                        (0..count).filter_map(|_| self.fitting(property, &mut draw, state));
                    PropertyValue::List(values.collect())
                }
                _ => {
                    let value = self.fitting(property, &mut draw, state);
                    PropertyValue::Value(value.unwrap_or(Value::Null))
                }
            };
            whole.push((name.clone(), content));
        }
        whole
    }

    /// Returns a list that differs in one place, or is empty.
    fn edited(
        &self,
        (property, values): (&Property, &[Value]),
        draw: &mut Draw,
        state: &State,
    ) -> Vec<Value> {
        let mut values = values.to_vec();
        let how = draw.below(8);
        let from = draw.below(values.len() + 1);
        let until = if how < 5 { from } else { values.len().min(from + 1) };
        match how {
            0 => values.clear(),
            1..7 => {
                let new = self.fitting(property, draw, state);
                values.splice(from..until, new);
            }
            _ => drop(values.drain(from..until)),
        }
        values
    }

    /// Returns a value that a field of the property can have; none if there is no target for a
    /// link.
    fn fitting(&self, property: &Property, draw: &mut Draw, state: &State) -> Option<Value> {
        let kind = property.kind.element();
        if let Kind::Link(class) = &kind
            && state.classes.get(class).is_none_or(|class| class.objects.is_empty())
        {
            return None;
        }
        let value = self.value(&kind, draw.byte(), state);
        let fits = value != Value::Null || property.nullable;
        Some(if fits { value } else { self.value(&kind, 0, state) })
    }
}
