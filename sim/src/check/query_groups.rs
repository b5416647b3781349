//! The groups of a query, compared with those of the model.

use super::compare::CheckError;
use super::definition::Violation;
use super::objects::bridge;
use super::promises::{Q1, Q5};
use fastness::Error;
use fastness::object::{Groups, Value, View};
use fastness_models::object_query::Query as ModelQuery;
use fastness_models::objects::{DatabaseState, Key, ObjectRefusal, Value as ModelValue};

/// The answer of each group.
type Answer<T> = Result<Vec<(ModelValue, T)>, ObjectRefusal>;

/// A grouped query, in the model and in the core.
pub(super) struct GroupedQuery<'g> {
    pub(super) state: &'g DatabaseState,
    pub(super) asked: &'g ModelQuery,
    pub(super) groups: Groups<'g>,
    pub(super) by: &'g str,
    pub(super) property: &'g str,
}

/// Compares the counts and aggregates of groups; returns how many groups there are.
pub(super) fn compare_groups(
    view: &View<'_>,
    grouped: &GroupedQuery<'_>,
) -> Result<usize, CheckError> {
    let GroupedQuery { state, asked, groups, by, property } = grouped;
    let class = asked.class.as_str();
    let expected = state.groups(asked, by);
    let counts = each(&expected, |keys| Ok(keys.len() as u64));
    same(("count of groups", asked), named(view, groups.count()), &counts)?;

    let number = state.sums_of((class, &[]), property).map(drop);
    let sums = |keys: &[Key]| state.sums_of((class, keys), property);
    let expected_sums =
        number.and_then(|()| each(&expected, |keys| sums(keys).map(|s| nan(s.sum))));
    let found = groups.sum(property);
    same(("sum of groups", asked), values(view, found), &expected_sums)?;
    let means = number.and_then(|()| {
        each(&expected, |keys| {
            let mean = sums(keys)?.average;
            Ok(mean.map(|mean| mean_bits(f64::from_bits(mean))))
        })
    });
    let found = groups
        .average(property)
        .map(|found| found.into_iter().map(|(by, mean)| (by, mean.map(mean_bits))).collect());
    same(("average of groups", asked), named(view, found), &means)?;

    let ordered = state.extremes_of((class, &[]), property).map(drop);
    for (which, found) in [groups.min(property), groups.max(property)].into_iter().enumerate() {
        let extremes = ordered.and_then(|()| {
            each(&expected, |keys| {
                let [least, greatest] = state.extremes_of((class, keys), property)?;
                Ok(if which == 0 { least } else { greatest })
            })
        });
        same(("extreme of groups", asked), values(view, found), &extremes)?;
    }
    Ok(expected.map_or(0, |expected| expected.len()))
}

fn each<T>(
    groups: &Result<Vec<(ModelValue, Vec<Key>)>, ObjectRefusal>,
    answer: impl Fn(&[Key]) -> Result<T, ObjectRefusal>,
) -> Answer<T> {
    let groups = groups.clone()?.into_iter();
    groups.map(|(by, keys)| Ok((by, answer(&keys)?))).collect()
}

/// Translates the values of groups.
fn named<T>(
    view: &View<'_>,
    found: Result<Vec<(Value<'static>, T)>, Error>,
) -> Result<Vec<(ModelValue, T)>, Error> {
    found?.into_iter().map(|(by, held)| Ok((bridge::value(view, &by)?, held))).collect()
}

/// Translates the values of groups and what they give.
fn values(
    view: &View<'_>,
    found: Result<Vec<(Value<'static>, Value<'static>)>, Error>,
) -> Result<Vec<(ModelValue, ModelValue)>, Error> {
    let found = named(view, found)?.into_iter();
    found.map(|(by, held)| Ok((by, nan(bridge::value(view, &held)?)))).collect()
}

/// All NaNs are equal.
pub(super) const fn mean_bits(mean: f64) -> u64 {
    if mean.is_nan() { f64::NAN.to_bits() } else { mean.to_bits() }
}

/// All NaNs are equal.
pub(super) fn nan(value: ModelValue) -> ModelValue {
    match value {
        ModelValue::Double(bits) if f64::from_bits(bits).is_nan() => {
            ModelValue::Double(f64::NAN.to_bits())
        }
        value => value,
    }
}

pub(super) fn same<T: PartialEq + std::fmt::Debug>(
    what: (&str, &ModelQuery),
    found: Result<T, Error>,
    expected: &Result<T, ObjectRefusal>,
) -> Result<(), CheckError> {
    let found = match found {
        Ok(found) => Ok(found),
        Err(error) => Err(bridge::refusal(&error).ok_or(error)?),
    };
    if found == *expected {
        return Ok(());
    }
    let text = format!("{what:?} gives {found:?}, expected {expected:?}");
    let promise = if what.1.after.is_some() { Q5 } else { Q1 };
    Err(Violation::new(promise.id, text).into())
}
