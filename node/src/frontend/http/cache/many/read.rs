use super::super::super::{buffers::Buffers, percent, problem::Problem};
use super::super::{
    accept::JSON,
    answer::{json, outcome, text},
    list, mismatch,
    request::key_from,
};
use super::{Answers, Least};
use crate::frontend::Reply;
use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeMap as _},
};
use shoal_proto::types::{Key, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Every key, and its value if it has one.
pub(in super::super) type Found = BTreeMap<String, Option<String>>;

/// The keys of a list divided by commas, each once, in their order.
///
/// # Errors
/// When one is malformed or no text, or there are too many.
pub(in super::super) fn keys(encoded: &str) -> Result<Vec<Key>, Problem> {
    list::check(encoded.split(',').count())?;
    let mut seen = BTreeSet::new();
    let mut keys = Vec::new();
    for encoded in encoded.split(',') {
        let wrong = |why: String| Problem::invalid(format!("keys: {why}")).about(encoded);
        let key = key_from(encoded).map_err(wrong)?;
        if std::str::from_utf8(key.as_bytes()).is_err() {
            return Err(wrong("a key that is not UTF-8 cannot be one of many, ask for it alone".into()));
        }
        if seen.insert(key.clone()) {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// One document for all keys. A key that could not be read must not look like one without a value: the whole answer is
/// then the problem of the first such key.
pub(in super::super) fn found(answers: Answers, buffers: &Buffers) -> Result<Response, Problem> {
    let mut values = Vec::with_capacity(answers.len());
    let mut least = Least::default();
    for (key, answer) in answers {
        let about = |problem: Problem| problem.about(&percent::encode(key.as_bytes()));
        let value = match answer {
            Ok(Reply::Value(reply)) => {
                least.add(reply.outcome);
                reply.value
            }
            Ok(_) => return Err(about(mismatch())),
            Err(error) => return Err(about(error.into())),
        };
        if value.as_ref().is_some_and(|value| text(value).is_none()) {
            return Err(about(Problem::not_acceptable(
                "a value is not UTF-8, so JSON cannot hold it: ask for it alone, as application/octet-stream",
            )));
        }
        values.push((key, value));
    }
    let body = buffers.hold(json(&Document(&values))?)?.into_bytes();
    let mut headers = least.0.as_ref().map(outcome).unwrap_or_default();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    Ok((headers, Body::from(body)).into_response())
}

/// Keys and values, all of them text, as a JSON object in their order.
struct Document<'a>(&'a [(Key, Option<Value>)]);

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = |bytes| std::str::from_utf8(bytes).map_err(S::Error::custom);
        let mut object = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0 {
            let value = value.as_ref().map(|value| text(value.as_bytes())).transpose()?;
            object.serialize_entry(text(key.as_bytes())?, &value)?;
        }
        object.end()
    }
}
