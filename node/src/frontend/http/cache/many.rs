//! Many keys in one request.

use super::super::{buffers::Buffers, percent, problem::Problem};
use super::accept::JSON;
use super::answer::{json, outcome, text};
use super::request::key_from;
use crate::coordinator::{CoordinatorError, Outcome, RequestOptions};
use crate::frontend::{Command, Door, Reply, execute_all};
use crate::limits;
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
use std::collections::BTreeSet;

type Answers = Vec<(Key, Result<Reply, CoordinatorError>)>;

/// The keys of a list divided by commas, each once, in their order.
///
/// # Errors
/// When one is malformed or no text, or there are too many.
pub(super) fn keys(list: &str) -> Result<Vec<Key>, Problem> {
    let count = list.split(',').count();
    if count > limits::BATCH_KEYS {
        let limit = limits::BATCH_KEYS;
        return Err(Problem::too_large(format!("list of {count} keys exceeds the limit of {limit}")));
    }
    let mut seen = BTreeSet::new();
    let mut keys = Vec::new();
    for encoded in list.split(',') {
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

/// Reads them all.
pub(super) async fn read(door: &Door, keys: Vec<Key>, options: RequestOptions) -> Answers {
    let commands = keys.iter().map(|key| Ok((Command::Get(key.clone()), options))).collect();
    let answers = execute_all(door, commands, limits::BATCH_VALUE_BYTES).await;
    keys.into_iter().zip(answers).collect()
}

/// One document for all keys. A key that could not be read must not look like one without a value: the whole answer is
/// then the problem of the first such key.
pub(super) fn answer(answers: Answers, buffers: &Buffers) -> Result<Response, Problem> {
    let mut values = Vec::with_capacity(answers.len());
    let mut least: Option<Outcome> = None;
    for (key, answer) in answers {
        let about = |problem: Problem| problem.about(&percent::encode(key.as_bytes()));
        let value = match answer {
            Ok(Reply::Value(reply)) => {
                least = Some(least.map_or(reply.outcome, |least| of_both(least, reply.outcome)));
                reply.value
            }
            Ok(_) => return Err(about(super::mismatch())),
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
    let mut headers = least.as_ref().map(outcome).unwrap_or_default();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    Ok((headers, Body::from(body)).into_response())
}

/// What two answers were worth together: the least of each.
fn of_both(a: Outcome, b: Outcome) -> Outcome {
    Outcome {
        tag: None,
        expires_at: None,
        ttl: None,
        reached: a.reached.min(b.reached),
        asked: a.asked.min(b.asked),
        answered: a.answered.min(b.answered),
        superseded_by: None,
        repaired: a.repaired || b.repaired,
        hinted: a.hinted || b.hinted,
        degraded: a.degraded || b.degraded,
    }
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
