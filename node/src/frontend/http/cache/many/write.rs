use super::super::super::{
    buffers::Buffers,
    percent,
    problem::{self, Problem},
};
use super::super::{
    accept::JSON,
    answer::{Done, json, outcome},
    body::{DeletedManyDocument, StoredManyDocument, value},
    mismatch, request,
};
use super::{Answers, Keyed, Least};
use crate::coordinator::CoordinatorError;
use crate::frontend::{Command, Reply, error_map};
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use schemars::JsonSchema;
use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeMap as _},
};
use shoal_proto::types::{Key, UnixMillis};
use std::collections::BTreeMap;

/// Every key, and what became of it.
pub(in super::super) type Results = BTreeMap<String, Each>;

/// What became of one key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Result")]
pub(in super::super) struct Each {
    /// What was done; missing if that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Done>,
    /// Of a delete: whether an owner that answered had a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    existed: Option<bool>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<problem::Document>,
}

/// One command for each key that is to be stored. Of several values for one key the last counts.
///
/// # Errors
/// When any of them cannot be, or there are none or too many: nothing is done then.
pub(in super::super) fn stores(document: StoredManyDocument, now: UnixMillis) -> Result<Vec<Keyed>, Problem> {
    let mut commands = Commands::default();
    for entry in document.entries.all("entries")? {
        let about = |problem: Problem| problem.about(&percent::encode(entry.key.as_bytes()));
        let expiry = request::expiry(entry.ttl_seconds, now).map_err(about)?;
        let value = value(entry.value).map_err(about)?;
        let key = key(&entry.key).map_err(about)?;
        commands.add(key.clone(), Command::Set(key, value, expiry));
    }
    Ok(commands.list)
}

/// One command for each key that is to be deleted.
///
/// # Errors
/// As [`stores`].
pub(in super::super) fn deletes(document: DeletedManyDocument) -> Result<Vec<Keyed>, Problem> {
    let mut commands = Commands::default();
    for text in document.keys.all("keys")? {
        let key = key(&text).map_err(|problem| problem.about(&percent::encode(text.as_bytes())))?;
        commands.add(key.clone(), Command::Delete(key));
    }
    Ok(commands.list)
}

fn key(text: &str) -> Result<Key, Problem> {
    Key::new(text.to_owned()).map_err(|error| Problem::invalid(error.to_string()))
}

/// At most one command for each key, in the order in which the keys came first.
#[derive(Default)]
struct Commands {
    list: Vec<Keyed>,
    places: BTreeMap<Key, usize>,
}

impl Commands {
    fn add(&mut self, key: Key, command: Command) {
        match self.places.get(&key) {
            Some(place) => self.list[*place].1 = command,
            None => {
                self.places.insert(key.clone(), self.list.len());
                self.list.push((key, command));
            }
        }
    }
}

/// What became of each key: 200 if what was asked for was done to all of them, 207 if not. Where nothing was done to any
/// of them, nor may be yet, the answer is the problem of the first.
pub(in super::super) fn written(answers: Answers, buffers: &Buffers) -> Result<Response, Problem> {
    let undone = |(_, answer): &(Key, Result<Reply, CoordinatorError>)| matches!(answer, Err(error) if !error_map::http_error(error).maybe);
    if answers.iter().all(undone)
        && let Some((key, Err(error))) = answers.first()
    {
        return Err(Problem::of_write(error).about(&percent::encode(key.as_bytes())));
    }
    let mut least = Least::default();
    let mut status = StatusCode::OK;
    let mut results = Vec::with_capacity(answers.len());
    for (key, answer) in answers {
        let each = match answer {
            Ok(Reply::Stored(reply)) => {
                least.add(reply.outcome);
                Each { status: Some(Done::Stored), existed: None, problem: None }
            }
            Ok(Reply::Deleted(reply)) => {
                least.add(reply.outcome);
                Each { status: Some(Done::Deleted), existed: Some(reply.existed), problem: None }
            }
            Ok(_) => return Err(mismatch()),
            Err(error) => {
                status = StatusCode::MULTI_STATUS;
                let problem = Problem::of_write(&error).into_document();
                Each { status: None, existed: None, problem: Some(problem) }
            }
        };
        results.push((key, each));
    }
    let body = buffers.hold(json(&Document(&results))?)?.into_bytes();
    let mut headers = least.0.as_ref().map(outcome).unwrap_or_default();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    Ok((status, headers, Body::from(body)).into_response())
}

/// Keys, all of them text, and what became of them, as a JSON object in their order.
struct Document<'a>(&'a [(Key, Each)]);

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.0.len()))?;
        for (key, each) in self.0 {
            let key = std::str::from_utf8(key.as_bytes()).map_err(S::Error::custom)?;
            object.serialize_entry(key, each)?;
        }
        object.end()
    }
}
