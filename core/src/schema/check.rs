//! Rules of definitions. Each is checked for every class and property, and all errors are reported
//! at once (M1).

use super::class::Class;
use super::error::{DefinitionError, DefinitionProblem as Problem, SchemaError};
use super::property::Property;
use super::property_type::PropertyType;
use crate::sorted::sort_by;

/// Puts classes and properties in order, merges definitions that come twice, and returns what is
/// wrong.
pub(super) fn check(classes: &mut Vec<Class>) -> Vec<DefinitionError> {
    let mut errors = Vec::new();
    for class in classes.iter_mut() {
        for key in class.settle() {
            errors.push(DefinitionError::new(&class.name, &key, Problem::KeyUnknown));
        }
    }
    sort_by(classes, Ord::cmp);
    classes.dedup();
    for pair in classes.windows(2).filter(|pair| pair[0].name == pair[1].name) {
        errors.push(DefinitionError::of_class(&pair[0].name, Problem::ClassTwice));
    }
    for class in classes.iter() {
        by_itself(class, &mut errors);
        for property in &class.properties {
            links(class, property, classes, &mut errors);
        }
    }
    sort_by(&mut errors, Ord::cmp);
    errors.dedup();
    errors
}

/// Checks all that can be said of a class without the others, and puts its properties in order.
///
/// # Errors
/// [`SchemaError::Definition`] with everything that is wrong.
pub(crate) fn check_class(class: &Class) -> Result<Class, SchemaError> {
    let mut class = class.clone();
    let unknown = class.settle();
    let unknown =
        unknown.iter().map(|key| DefinitionError::new(&class.name, key, Problem::KeyUnknown));
    let mut errors: Vec<_> = unknown.collect();
    by_itself(&class, &mut errors);
    sort_by(&mut errors, Ord::cmp);
    errors.dedup();
    if errors.is_empty() { Ok(class) } else { Err(SchemaError::Definition(errors)) }
}

fn by_itself(class: &Class, errors: &mut Vec<DefinitionError>) {
    names(class, errors);
    keys(class, errors);
    class.properties.iter().for_each(|property| own(class, property, errors));
}

fn names(class: &Class, errors: &mut Vec<DefinitionError>) {
    for pair in class.properties.windows(2).filter(|pair| pair[0].name == pair[1].name) {
        errors.push(DefinitionError::new(&class.name, &pair[0].name, Problem::PropertyTwice));
    }
}

fn keys(class: &Class, errors: &mut Vec<DefinitionError>) {
    let mut keys = class.properties.iter().filter(|property| property.primary_key);
    let Some(first) = keys.next() else { return };
    for other in keys.filter(|other| other.name != first.name) {
        let problem = Problem::KeyTwice { first: first.name.clone() };
        errors.push(DefinitionError::new(&class.name, &other.name, problem));
    }
}

/// Rules that one property meets or breaks on its own.
fn own(class: &Class, property: &Property, errors: &mut Vec<DefinitionError>) {
    let kind = &property.kind;
    let rules = [
        (property.nullable && !kind.may_be_nullable(), Problem::NeverNull),
        (!property.nullable && !kind.may_be_required(), Problem::LinkRequired),
        (property.primary_key && !kind.may_be_primary_key(), Problem::KeyType),
        (property.indexed && !property.primary_key && !kind.may_be_indexed(), Problem::IndexType),
    ];
    for (_, problem) in rules.into_iter().filter(|(broken, _)| *broken) {
        errors.push(DefinitionError::new(&class.name, &property.name, problem));
    }
}

/// Rules about what a property links to, or where its links come from.
fn links(class: &Class, property: &Property, classes: &[Class], errors: &mut Vec<DefinitionError>) {
    let Some(name) = property.kind.class() else { return };
    let mut push =
        |problem| errors.push(DefinitionError::new(&class.name, &property.name, problem));
    let at = classes.partition_point(|other| other.name.as_str() < name);
    let Some(target) = classes.get(at).filter(|other| other.name == name) else {
        return push(Problem::ClassUnknown { class: name.to_owned() });
    };
    let PropertyType::LinkingObjects { property: origin, .. } = &property.kind else {
        match (class.is_local, target.is_local) {
            (false, true) => push(Problem::LinkToLocal { class: name.to_owned() }),
            (true, false) => push(Problem::LinkFromLocal { class: name.to_owned() }),
            (true, true) | (false, false) => {}
        }
        return;
    };
    let Some(source) = target.property(origin) else {
        let (class, property) = (name.to_owned(), origin.clone());
        return push(Problem::OriginUnknown { class, property });
    };
    let (origin_class, origin) = (name.to_owned(), origin.clone());
    match &source.kind {
        PropertyType::Object(to) | PropertyType::ObjectList(to) if *to == class.name => {}
        PropertyType::Object(to) | PropertyType::ObjectList(to) => {
            let to = to.clone();
            push(Problem::OriginElsewhere { class: origin_class, property: origin, to });
        }
        PropertyType::Scalar(_)
        | PropertyType::Counter
        | PropertyType::List { .. }
        | PropertyType::LinkingObjects { .. } => {
            push(Problem::OriginNoLink { class: origin_class, property: origin });
        }
    }
}
