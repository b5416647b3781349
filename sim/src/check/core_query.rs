//! Queries of the model as queries of the core.

use super::objects::bridge;
use fastness::Error;
use fastness::object::{CompareOp, Filter, Objects, Order, Position, Query, StringOp, View};
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

/// The values of a query that are translated.
#[derive(Clone)]
pub(super) struct QueryParts {
    filter: Option<Filter>,
    after: Option<Position>,
}

/// Translates the values of a query of the model.
pub(super) fn parts(view: &View<'_>, query: &ModelQuery) -> Result<QueryParts, Error> {
    let filter = query.filter.as_ref().map(|held| filter(view, held)).transpose()?;
    let after = query.after.as_ref().map(|after| {
        let values = after.values.iter().map(|value| bridge::core_value(view, value));
        let key = bridge::object_id(view, &(query.class.clone(), after.key.clone()))?.key;
        Ok::<_, Error>(Position { values: values.collect::<Result<_, _>>()?, key })
    });
    Ok(QueryParts { filter, after: after.transpose()? })
}

/// Asks a query of the model about objects.
pub(super) fn asked_of<'a>(
    objects: &Objects<'a>,
    query: &ModelQuery,
    parts: QueryParts,
) -> Query<'a> {
    let mut made = objects.query();
    if let Some(filter) = parts.filter {
        made = made.filter(filter);
    }
    for (path, is_descending) in &query.sort {
        let order = if *is_descending { Order::Descending } else { Order::Ascending };
        made = made.sort(path.as_str(), order);
    }
    made = made.distinct(query.distinct.iter().map(String::as_str)).offset(query.offset);
    if let Some(after) = parts.after {
        made = made.after(after);
    }
    match query.limit {
        Some(limit) => made.limit(limit),
        None => made,
    }
}

/// Translates a query of the model.
pub(super) fn core_query<'a>(view: &View<'a>, query: &ModelQuery) -> Result<Query<'a>, Error> {
    Ok(asked_of(&view.objects(&query.class)?, query, parts(view, query)?))
}
