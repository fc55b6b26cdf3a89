//! What a request carries.

use super::super::{
    buffers::{Buffers, Held, Room},
    problem::Problem,
};
use super::accept::{BYTES, JSON};
use super::list::List;
use super::request::{MOST_TTL_SECONDS, TTL_SECONDS};
use crate::limits;
use axum::{
    body::{Body, HttpBody as _},
    http::{HeaderMap, header},
};
use futures::StreamExt as _;
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::Number;
use shoal_proto::types::{MAX_VALUE_BYTES, Value};
use std::time::Duration;

/// A value to be stored.
pub(super) struct Stored {
    pub(super) value: Value,
    /// `None` for one that stays.
    pub(super) ttl_seconds: Option<u64>,
}

/// A value, and for how many seconds.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Store")]
pub(super) struct StoredDocument {
    value: String,
    /// Without it the value stays.
    #[serde(default, deserialize_with = "seconds")]
    #[schemars(range(min = 1, max = MOST_TTL_SECONDS))]
    ttl_seconds: Option<u64>,
}

/// For how many seconds a value shall live from now; `null` for as long as it is not deleted.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Touch", extend("required" = ["ttlSeconds"]))]
pub(super) struct TouchedDocument {
    /// Must be there, also when it is `null`.
    #[serde(deserialize_with = "seconds")]
    #[schemars(range(min = 1, max = MOST_TTL_SECONDS))]
    ttl_seconds: Option<u64>,
}

/// Many values.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "StoreMany")]
pub(super) struct StoredManyDocument {
    #[schemars(with = "Vec<EntryDocument>", length(min = 1, max = limits::BATCH_KEYS))]
    pub(super) entries: List<EntryDocument>,
}

/// One of many values. Of several for one key the last counts.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Entry")]
pub(super) struct EntryDocument {
    pub(super) key: String,
    pub(super) value: String,
    /// Without it the value stays.
    #[serde(default, deserialize_with = "seconds")]
    #[schemars(range(min = 1, max = MOST_TTL_SECONDS))]
    pub(super) ttl_seconds: Option<u64>,
}

/// Many keys.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DeleteMany")]
pub(super) struct DeletedManyDocument {
    #[schemars(with = "Vec<String>", length(min = 1, max = limits::BATCH_KEYS))]
    pub(super) keys: List<String>,
}

/// A whole number of seconds or `null`. JSON does not tell `60.0` from `60`.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(deserializer)? else { return Ok(None) };
    let whole = |number: f64| {
        (number.fract() == 0.0 && (0.0..=MOST_TTL_SECONDS as f64).contains(&number)).then_some(number as u64)
    };
    let seconds = number.as_u64().or_else(|| number.as_f64().and_then(whole));
    seconds.map(Some).ok_or_else(|| {
        D::Error::custom(format!(
            "expected a whole number from 1 to {MOST_TTL_SECONDS}, or null, not {number}"
        ))
    })
}

/// Reads what a request stores, as JSON or as it is. `ttl_seconds` is what its query says.
///
/// # Errors
/// When the body is of another type, too large, too slow or malformed, or says a second time when the value expires.
pub(super) async fn stored(
    headers: &HeaderMap,
    body: Body,
    ttl_seconds: Option<u64>,
    buffers: &Buffers,
) -> Result<Stored, Problem> {
    let media_type = media_type(headers)?;
    if media_type.eq_ignore_ascii_case(BYTES) {
        let value = value(read(body, MAX_VALUE_BYTES, "value", buffers).await?.into_bytes())?;
        return Ok(Stored { value, ttl_seconds });
    }
    if !media_type.eq_ignore_ascii_case(JSON) {
        return Err(other_type(&media_type, "expected application/json or application/octet-stream"));
    }
    let (document, _) = document::<StoredDocument>(body, limits::HTTP_JSON_BYTES, buffers).await?;
    if document.ttl_seconds.is_some() && ttl_seconds.is_some() {
        return Err(Problem::invalid(format!("{TTL_SECONDS} is both in the query and in the body")));
    }
    let ttl_seconds = document.ttl_seconds.or(ttl_seconds);
    Ok(Stored { value: value(document.value)?, ttl_seconds })
}

/// Reads when a value is to expire.
///
/// # Errors
/// As [`stored`].
pub(super) async fn touched(
    headers: &HeaderMap,
    body: Body,
    buffers: &Buffers,
) -> Result<Option<u64>, Problem> {
    let (document, _) =
        json_alone::<TouchedDocument>(headers, body, limits::HTTP_SMALL_JSON_BYTES, buffers).await?;
    Ok(document.ttl_seconds)
}

/// Reads a document that a request must carry as JSON, of at most `limit` bytes. What comes of it may take as much until
/// the room it is given is dropped.
///
/// # Errors
/// As [`stored`].
pub(super) async fn json_alone<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    buffers: &Buffers,
) -> Result<(T, Room), Problem> {
    let media_type = media_type(headers)?;
    if !media_type.eq_ignore_ascii_case(JSON) {
        return Err(other_type(&media_type, "expected application/json"));
    }
    document(body, limit, buffers).await
}

/// The type of the body, without parameters. A body without one is refused, too: it could come from any page that a
/// browser on this machine shows, without asking whether the page may write here.
fn media_type(headers: &HeaderMap) -> Result<String, Problem> {
    if let Some(coding) = headers.get(header::CONTENT_ENCODING).filter(|coding| *coding != "identity") {
        return Err(Problem::unsupported_media_type(format!("content coding {coding:?} is not understood")));
    }
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Err(Problem::unsupported_media_type(
            "the header Content-Type is missing: expected application/json or application/octet-stream",
        ));
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    Ok(text.split(';').next().unwrap_or_default().trim().to_owned())
}

fn other_type(media_type: &str, expected: &str) -> Problem {
    let shown: String = media_type.chars().take(64).collect();
    Problem::unsupported_media_type(format!("Content-Type '{shown}' is not understood: {expected}"))
}

pub(super) fn value(bytes: impl Into<bytes::Bytes>) -> Result<Value, Problem> {
    Value::new(bytes).map_err(|error| Problem::too_large(error.to_string()))
}

async fn document<T: DeserializeOwned>(
    body: Body,
    limit: usize,
    buffers: &Buffers,
) -> Result<(T, Room), Problem> {
    let bytes = read(body, limit, "body", buffers).await?;
    let document = parse(bytes.as_slice()).map_err(Problem::invalid)?;
    Ok((document, bytes.into_room()))
}

pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let document = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        match error.path().to_string().as_str() {
            // The document as a whole, or a place in it that has no name yet.
            "." | "?" => format!("body: {}", error.inner()),
            path => format!("{path}: {}", error.inner()),
        }
    })?;
    json.end().map_err(|error| format!("body: {error}"))?;
    Ok(document)
}

async fn read(body: Body, limit: usize, what: &str, buffers: &Buffers) -> Result<Held, Problem> {
    in_time(limits::HTTP_BODY_PATIENCE, read_all(body, limit, what, buffers)).await
}

async fn in_time<T>(
    patience: Duration,
    reading: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let late = |_| Problem::body_too_slow(format!("the body did not arrive within {patience:?}"));
    tokio::time::timeout(patience, reading).await.map_err(late)?
}

/// Reads a body of at most `limit` bytes.
async fn read_all(body: Body, limit: usize, what: &str, buffers: &Buffers) -> Result<Held, Problem> {
    let too_large = |len: &dyn std::fmt::Display| {
        Problem::too_large(format!("{what} of {len} bytes exceeds the limit of {limit} bytes"))
    };
    // Known beforehand if the client says it.
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(too_large(&announced));
    }
    let mut held = buffers.hold(Vec::new())?;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Problem::invalid(format!("body: {error}")))?;
        if held.as_slice().len() + chunk.len() > limit {
            return Err(too_large(&format_args!("more than {limit}")));
        }
        held.extend(&chunk, buffers)?;
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse as _;
    use bytes::Bytes;
    use futures::{FutureExt as _, stream};

    type Chunk = Result<Bytes, std::io::Error>;

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let begun = stream::once(async { Chunk::Ok("v".into()) }).chain(stream::pending());
        let buffers = Buffers::default();
        let reading = read_all(Body::from_stream(begun), 10, "value", &buffers);
        let problem = in_time(Duration::from_millis(10), reading).await.unwrap_err();
        assert_eq!(problem.into_response().status(), 408);
    }

    #[test]
    fn a_body_is_read_no_further_than_to_its_limit() {
        // Polled once more than there are chunks within the limit, it would never be done.
        let chunks = stream::iter(["1234", "5678", "9"].map(|chunk| Chunk::Ok(chunk.into())));
        let endless = Body::from_stream(chunks.chain(stream::pending()));
        let buffers = Buffers::default();
        let problem = read_all(endless, 8, "value", &buffers).now_or_never().unwrap().unwrap_err();
        assert_eq!(problem.into_response().status(), 413);
    }
}
