//! Answers of the coordinator as HTTP.

use super::super::{buffers::Buffers, problem::Problem};
use super::accept::{BYTES, Format, JSON};
use crate::coordinator::{ExistedReply, GetReply, Outcome, SetReply};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use shoal_proto::types::{Consistency, Tag, Value};

const VERSION: HeaderName = HeaderName::from_static("shoal-version");
const REACHED: HeaderName = HeaderName::from_static("shoal-reached");
const ASKED: HeaderName = HeaderName::from_static("shoal-asked");
const ANSWERED: HeaderName = HeaderName::from_static("shoal-answered");
const SUPERSEDED_BY: HeaderName = HeaderName::from_static("shoal-superseded-by");
const FLAGS: HeaderName = HeaderName::from_static("shoal-flags");
const EXPIRES_AT: HeaderName = HeaderName::from_static("shoal-expires-at");
const TTL_MS: HeaderName = HeaderName::from_static("shoal-ttl-ms");

/// A value that is text.
#[derive(Serialize, JsonSchema)]
pub(super) struct Read<'a> {
    value: &'a str,
}

/// What became of a write.
#[derive(Serialize, JsonSchema)]
pub(super) struct Written {
    status: Done,
    /// Of a delete: whether an owner that answered had a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    existed: Option<bool>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Done {
    Stored,
    Touched,
    Deleted,
}

/// To a read: the value, nothing new, or a miss.
pub(super) fn value(
    reply: GetReply,
    format: Format,
    asked: &HeaderMap,
    buffers: &Buffers,
) -> Result<Response, Problem> {
    let mut headers = outcome(&reply.outcome);
    headers.insert(header::VARY, HeaderValue::from_static("accept, authorization, shoal-consistency"));
    let Some(value) = reply.value else { return Err(Problem::miss().with_headers(headers)) };
    headers.insert(header::CACHE_CONTROL, keep(&reply.outcome));
    if let Some(etag) = etag(&reply.outcome) {
        let known = is_known(asked, &etag);
        headers.extend(HeaderValue::try_from(etag).map(|etag| (header::ETAG, etag)));
        if known {
            return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
        }
    }
    let (media_type, body) = match format {
        Format::Bytes => (BYTES, value.into_bytes()),
        Format::Json => {
            let Some(value) = text(&value) else {
                return Err(Problem::not_acceptable(
                    "the value is not UTF-8, so JSON cannot hold it: ask for it with the header 'Accept: application/octet-stream'",
                )
                .with_headers(headers));
            };
            (JSON, buffers.hold(json(&Read { value })?)?.into_bytes())
        }
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    Ok((headers, Body::from(body)).into_response())
}

pub(super) fn stored(reply: &SetReply) -> Result<Response, Problem> {
    written(StatusCode::CREATED, &reply.outcome, Done::Stored, None)
}

pub(super) fn replaced(reply: &SetReply) -> Response {
    (StatusCode::NO_CONTENT, outcome(&reply.outcome)).into_response()
}

pub(super) fn deleted(reply: &ExistedReply) -> Result<Response, Problem> {
    written(StatusCode::OK, &reply.outcome, Done::Deleted, Some(reply.existed))
}

pub(super) fn touched(reply: &ExistedReply) -> Result<Response, Problem> {
    if !reply.existed {
        return Err(Problem::miss().with_headers(outcome(&reply.outcome)));
    }
    written(StatusCode::OK, &reply.outcome, Done::Touched, None)
}

fn written(
    status: StatusCode,
    reply: &Outcome,
    done: Done,
    existed: Option<bool>,
) -> Result<Response, Problem> {
    let mut headers = outcome(reply);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    Ok((status, headers, json(&Written { status: done, existed })?).into_response())
}

/// What an answer was worth.
pub(super) fn outcome(outcome: &Outcome) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REACHED, HeaderValue::from_static(outcome.reached.name()));
    let numbers = [
        (ASKED, Some(outcome.asked.into())),
        (ANSWERED, Some(outcome.answered.into())),
        (VERSION, outcome.tag.map(Tag::to_bits)),
        (SUPERSEDED_BY, outcome.superseded_by.map(Tag::to_bits)),
        (EXPIRES_AT, outcome.expires_at.map(|at| at.0)),
        (TTL_MS, outcome.ttl.map(|ttl| ttl.as_millis() as u64)),
    ];
    headers.extend(numbers.into_iter().filter_map(|(name, number)| Some((name, number?.into()))));
    let raised: Vec<&str> = outcome.flags().collect();
    if !raised.is_empty() {
        headers.extend(HeaderValue::try_from(raised.join(",")).map(|flags| (FLAGS, flags)));
    }
    headers
}

/// How long the client may use this value without asking again. Never longer than it lives, never at a level that
/// promises more than ONE does, and never for others: the next one may not be allowed to read it.
fn keep(outcome: &Outcome) -> HeaderValue {
    let kept = outcome.ttl.filter(|_| outcome.reached == Consistency::One);
    // Digits and letters are text that every header takes.
    kept.and_then(|ttl| HeaderValue::try_from(format!("private, max-age={}", ttl.as_secs())).ok())
        .unwrap_or(HeaderValue::from_static("private, no-cache"))
}

/// Names the version in both of its forms, hence weak. A change of expiry keeps the tag.
fn etag(outcome: &Outcome) -> Option<String> {
    let expires_at = outcome.expires_at.map_or(0, |at| at.0);
    outcome.tag.map(|tag| format!("W/\"{:x}-{expires_at:x}\"", tag.to_bits()))
}

/// Whether the client has this version already.
pub(super) fn is_known(asked: &HeaderMap, etag: &str) -> bool {
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = known.flat_map(|list| list.split(',')).map(str::trim);
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    tags.any(|tag| tag == "*" || opaque(tag) == opaque(etag))
}

/// The value's text, if it is one.
pub(super) fn text(value: &Value) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok()
}

pub(super) fn json(document: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(document).map_err(|error| Problem::internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support;
    use std::time::Duration;

    #[test]
    fn a_value_may_be_kept_no_longer_than_it_lives_and_at_one_alone() {
        let kept = |reached, ttl: Option<u64>| {
            let ttl = ttl.map(Duration::from_millis);
            let value = keep(&Outcome { reached, ttl, ..test_support::outcome() });
            value.to_str().unwrap().to_owned()
        };
        assert_eq!(kept(Consistency::One, Some(61_999)), "private, max-age=61");
        assert_eq!(kept(Consistency::One, Some(0)), "private, max-age=0");
        assert_eq!(kept(Consistency::One, None), "private, no-cache");
        for level in Consistency::LEVELS.into_iter().filter(|level| *level != Consistency::One) {
            assert_eq!(kept(level, Some(60_000)), "private, no-cache", "{level}");
        }
    }
}
