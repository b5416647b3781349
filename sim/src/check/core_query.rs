//! Queries of the model as queries of the core.

use super::objects::bridge;
use fastness::Error;
use fastness::object::{CompareOp, Filter, Order, Query, StringOp, View};
use fastness_models::object_query::{
    CompareOp as ModelComparison, Filter as ModelFilter, Query as ModelQuery,
    StringOp as ModelTextTest,
};

/// Translates a condition of the model.
fn filter(view: &View<'_>, held: &ModelFilter) -> Result<Filter, Error> {
    let all = |parts: &[ModelFilter]| {
        parts.iter().map(|part| filter(view, part)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match held {
        ModelFilter::And(parts) => Filter::And(all(parts)?),
        ModelFilter::Or(parts) => match one_of(view, parts)? {
            Some(filter) => filter,
            None => Filter::Or(all(parts)?),
        },
        ModelFilter::Not(part) => filter(view, part)?.not(),
        ModelFilter::Text(path, how, text, case_insensitive) => {
            let how = match how {
                ModelTextTest::Is => StringOp::Is,
                ModelTextTest::Begins => StringOp::Begins,
                ModelTextTest::Ends => StringOp::Ends,
                ModelTextTest::Contains => StringOp::Contains,
            };
            let (path, text) = (path.clone(), text.clone());
            Filter::Text { path, how, text, case_insensitive: *case_insensitive }
        }
        ModelFilter::Compare(path, how, value) => {
            let how = match how {
                ModelComparison::Equal => CompareOp::Equal,
                ModelComparison::NotEqual => CompareOp::NotEqual,
                ModelComparison::Less => CompareOp::Less,
                ModelComparison::LessOrEqual => CompareOp::LessOrEqual,
                ModelComparison::Greater => CompareOp::Greater,
                ModelComparison::GreaterOrEqual => CompareOp::GreaterOrEqual,
            };
            let value = bridge::core_value(view, value)?;
            Filter::Compare { path: path.clone(), how, value }
        }
    })
}

/// Translates comparisons of one path for equality with some values.
fn one_of(view: &View<'_>, parts: &[ModelFilter]) -> Result<Option<Filter>, Error> {
    let Some(ModelFilter::Compare(path, ModelComparison::Equal, _)) = parts.first() else {
        return Ok(None);
    };
    let mut values = Vec::new();
    for part in parts {
        match part {
            ModelFilter::Compare(held, ModelComparison::Equal, value) if held == path => {
                values.push(bridge::core_value(view, value)?);
            }
            _ => return Ok(None),
        }
    }
    // An odd number stays a chain of alternatives.
    Ok((values.len() % 2 == 0).then(|| Filter::one_of(path.as_str(), values)))
}

/// Translates a query of the model.
pub(super) fn core_query<'a>(view: &View<'a>, query: &ModelQuery) -> Result<Query<'a>, Error> {
    let mut made = view.objects(&query.class)?.query();
    if let Some(held) = &query.filter {
        made = made.filter(filter(view, held)?);
    }
    for (path, is_descending) in &query.sort {
        let order = if *is_descending { Order::Descending } else { Order::Ascending };
        made = made.sort(path.as_str(), order);
    }
    made = made.distinct(query.distinct.iter().map(String::as_str));
    Ok(match query.limit {
        Some(limit) => made.limit(limit),
        None => made,
    })
}
