//! Batch calls, as one operation per key.

use super::translate::{Fault, expiry, key, options};
use crate::coordinator::{CoordinatorError, RequestOptions};
use crate::frontend::{Command, Reply, Translated, error_map};
use crate::limits;
use shoal_proto::types::{Tag, UnixMillis, Value};
use shoal_proto::wire::kv::v1 as kv;

type Answer = Result<Reply, CoordinatorError>;

// ---- requests ----

pub(super) fn get(request: kv::BatchGetRequest) -> Result<Vec<Translated>, Fault> {
    let options = common("keys", request.keys.len(), request.consistency, request.deadline_ms)?;
    Ok(request.keys.into_iter().map(|bytes| Ok((Command::Get(key(bytes)?), options))).collect())
}

pub(super) fn set(request: kv::BatchSetRequest, now: UnixMillis) -> Result<Vec<Translated>, Fault> {
    let common = common("entries", request.entries.len(), request.consistency, request.deadline_ms)?;
    let translate = |entry: kv::batch_set_request::Entry| {
        let value = Value::new(entry.value).map_err(|error| CoordinatorError::Invalid(error.to_string()))?;
        let options = RequestOptions { tag: Tag::from_bits(entry.tag), ..common };
        Ok((Command::Set(key(entry.key)?, value, expiry(entry.ttl_ms, now)?), options))
    };
    Ok(request.entries.into_iter().map(translate).collect())
}

pub(super) fn delete(request: kv::BatchDeleteRequest) -> Result<Vec<Translated>, Fault> {
    let options = common("keys", request.keys.len(), request.consistency, request.deadline_ms)?;
    Ok(request.keys.into_iter().map(|bytes| Ok((Command::Delete(key(bytes)?), options))).collect())
}

fn common(
    field: &'static str,
    keys: usize,
    consistency: i32,
    deadline_ms: u32,
) -> Result<RequestOptions, Fault> {
    if keys > limits::BATCH_KEYS {
        let why = format!("batch of {keys} keys exceeds the limit of {}", limits::BATCH_KEYS);
        return Err(Fault { field, why });
    }
    options(consistency, deadline_ms, 0)
}

// ---- answers ----

pub(super) fn got(answer: Answer) -> kv::batch_get_response::Item {
    use kv::batch_get_response::{Item, item::Result};
    let result = match answer {
        Ok(Reply::Value(reply)) => Result::Answer(reply.into()),
        Ok(_) => Result::Failure(mismatch()),
        Err(error) => Result::Failure(error_map::failure(&error)),
    };
    Item { result: Some(result) }
}

pub(super) fn stored(answer: Answer) -> kv::batch_set_response::Item {
    use kv::batch_set_response::{Item, item::Result};
    let result = match answer {
        Ok(Reply::Stored(reply)) => Result::Answer(reply.into()),
        Ok(_) => Result::Failure(mismatch()),
        Err(error) => Result::Failure(error_map::failure(&error)),
    };
    Item { result: Some(result) }
}

pub(super) fn deleted(answer: Answer) -> kv::batch_delete_response::Item {
    use kv::batch_delete_response::{Item, item::Result};
    let result = match answer {
        Ok(Reply::Deleted(reply)) => Result::Answer(reply.into()),
        Ok(_) => Result::Failure(mismatch()),
        Err(error) => Result::Failure(error_map::failure(&error)),
    };
    Item { result: Some(result) }
}

pub(super) fn mismatch() -> kv::Failure {
    kv::Failure { message: super::MISMATCH.into(), ..kv::Failure::default() }
}
