//! Answers of the coordinator as HTTP.

use super::super::{buffers::Buffers, problem::Problem};
use super::accept::{BYTES, Format, JSON};
use crate::coordinator::{ExistedReply, GetReply, Outcome, SetReply};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use shoal_proto::types::{Tag, Value};

const VERSION: HeaderName = HeaderName::from_static("shoal-version");
const REACHED: HeaderName = HeaderName::from_static("shoal-reached");
const ASKED: HeaderName = HeaderName::from_static("shoal-asked");
const ANSWERED: HeaderName = HeaderName::from_static("shoal-answered");
const SUPERSEDED_BY: HeaderName = HeaderName::from_static("shoal-superseded-by");
const FLAGS: HeaderName = HeaderName::from_static("shoal-flags");
const EXPIRES_AT: HeaderName = HeaderName::from_static("shoal-expires-at");
const TTL_MS: HeaderName = HeaderName::from_static("shoal-ttl-ms");

#[derive(Serialize)]
struct Read<'a> {
    value: &'a str,
}

#[derive(Serialize)]
struct Written {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    existed: Option<bool>,
}

/// To a read: the value, nothing new, or a miss.
pub(super) fn value(
    reply: GetReply,
    format: Format,
    asked: &HeaderMap,
    buffers: &Buffers,
) -> Result<Response, Problem> {
    let mut headers = outcome(&reply.outcome);
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    let Some(value) = reply.value else { return Err(Problem::miss().with_headers(headers)) };
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
    written(StatusCode::CREATED, &reply.outcome, "stored", None)
}

pub(super) fn replaced(reply: &SetReply) -> Response {
    (StatusCode::NO_CONTENT, outcome(&reply.outcome)).into_response()
}

pub(super) fn deleted(reply: &ExistedReply) -> Result<Response, Problem> {
    written(StatusCode::OK, &reply.outcome, "deleted", Some(reply.existed))
}

pub(super) fn touched(reply: &ExistedReply) -> Result<Response, Problem> {
    if !reply.existed {
        return Err(Problem::miss().with_headers(outcome(&reply.outcome)));
    }
    written(StatusCode::OK, &reply.outcome, "touched", None)
}

fn written(
    status: StatusCode,
    reply: &Outcome,
    name: &'static str,
    existed: Option<bool>,
) -> Result<Response, Problem> {
    let mut headers = outcome(reply);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    Ok((status, headers, json(&Written { status: name, existed })?).into_response())
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
    let flags = [
        ("repaired", outcome.repaired),
        ("hinted", outcome.hinted),
        ("degraded", outcome.degraded),
        ("superseded", outcome.superseded_by.is_some()),
    ];
    let raised: Vec<&str> = flags.iter().filter(|(_, raised)| *raised).map(|(name, _)| *name).collect();
    if !raised.is_empty() {
        headers.extend(HeaderValue::try_from(raised.join(",")).map(|flags| (FLAGS, flags)));
    }
    headers
}

/// Names the version in both of its forms, hence weak. A change of expiry keeps the tag.
fn etag(outcome: &Outcome) -> Option<String> {
    let expires_at = outcome.expires_at.map_or(0, |at| at.0);
    outcome.tag.map(|tag| format!("W/\"{:x}-{expires_at:x}\"", tag.to_bits()))
}

/// Whether the client has this version already.
fn is_known(asked: &HeaderMap, etag: &str) -> bool {
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
