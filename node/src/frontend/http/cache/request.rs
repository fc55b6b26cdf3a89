//! What a request says outside of its body.

use super::super::{percent, problem::Problem};
use crate::coordinator::{Expiry, RequestOptions};
use axum::http::{HeaderMap, Uri, header, request::Parts};
use shoal_proto::types::{Consistency, Key, UnixMillis};
use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

const CONSISTENCY: &str = "consistency";
const TIMEOUT_MS: &str = "timeoutMs";
pub(super) const TTL_SECONDS: &str = "ttlSeconds";
const KEYS: &str = "keys";
/// 63 years: what the end of time leaves room for until 2046.
pub(super) const MOST_TTL_SECONDS: u64 = 2_000_000_000;

const CONSISTENCY_HEADER: &str = "shoal-consistency";
const TIMEOUT_HEADER: &str = "shoal-timeout-ms";

/// The parameters of a request's query, still percent-encoded.
#[derive(Debug)]
pub(super) struct Query<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Query<'a> {
    /// Takes the level, the deadline, and what else this request `takes`.
    ///
    /// # Errors
    /// When there is another parameter, or one twice: who misspells a level must not get another one.
    pub(super) fn parse(head: &'a Parts, takes: &[&str]) -> Result<Self, Problem> {
        let mut parameters = BTreeMap::new();
        let query = head.uri.query().unwrap_or_default();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if ![CONSISTENCY, TIMEOUT_MS].contains(&name) && !takes.contains(&name) {
                let known = [&[CONSISTENCY, TIMEOUT_MS], takes].concat().join(", ");
                return Err(Problem::invalid(format!(
                    "unknown query parameter '{}': expected one of {known}",
                    shown(name)
                )));
            }
            if parameters.insert(name, value).is_some() {
                return Err(Problem::invalid(format!("query parameter '{name}' is there twice")));
            }
        }
        Ok(Self(parameters))
    }

    /// The level and the deadline, each from the query or from its header.
    ///
    /// # Errors
    /// When they cannot be read, or query and header differ.
    pub(super) fn options(&self, headers: &HeaderMap) -> Result<RequestOptions, Problem> {
        let level = |text: &str| text.parse::<Consistency>().map_err(|error| error.to_string());
        let millis = |text: &str| match decimal(text) {
            Some(millis) if millis > 0 => Ok(Duration::from_millis(millis)),
            _ => Err(format!("expected a number of milliseconds from 1, not '{}'", shown(text))),
        };
        Ok(RequestOptions {
            consistency: self.chosen(CONSISTENCY, headers, CONSISTENCY_HEADER, level)?,
            timeout: self.chosen(TIMEOUT_MS, headers, TIMEOUT_HEADER, millis)?,
            tag: None,
        })
    }

    /// # Errors
    /// When it is no number of seconds.
    pub(super) fn ttl_seconds(&self) -> Result<Option<u64>, Problem> {
        let Some(text) = self.0.get(TTL_SECONDS) else { return Ok(None) };
        decimal(text).map(Some).ok_or_else(|| {
            Problem::invalid(format!(
                "{TTL_SECONDS}: expected a whole number of seconds, not '{}'",
                shown(text)
            ))
        })
    }

    /// The list of keys, percent-encoded and divided by commas.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn keys(&self) -> Result<&'a str, Problem> {
        let expected = "query parameter 'keys' is missing: expected keys=k1,k2,k3";
        self.0.get(KEYS).copied().ok_or_else(|| Problem::invalid(expected))
    }

    fn chosen<T: PartialEq>(
        &self,
        name: &str,
        headers: &HeaderMap,
        header: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Problem> {
        let named = |source: &str, why: &dyn fmt::Display| Problem::invalid(format!("{source}: {why}"));
        let in_query = self.0.get(name).map(|text| {
            let bytes = percent::decode(text).map_err(|error| named(name, &error))?;
            read(&String::from_utf8_lossy(&bytes)).map_err(|why| named(name, &why))
        });
        let mut values = headers.get_all(header).iter();
        let in_header = values
            .next()
            .map(|value| read(&String::from_utf8_lossy(value.as_bytes())).map_err(|why| named(header, &why)));
        if values.next().is_some() {
            return Err(named(header, &"the header is there twice"));
        }
        match (in_query.transpose()?, in_header.transpose()?) {
            (Some(query), Some(header_value)) if query != header_value => Err(Problem::invalid(format!(
                "query parameter '{name}' and header '{header}' differ: send one of them"
            ))),
            (query, header_value) => Ok(query.or(header_value)),
        }
    }
}

/// The key that the path of a request names.
///
/// # Errors
/// When it is malformed or too long.
pub(super) fn key(uri: &Uri) -> Result<Key, Problem> {
    let text = uri.path().strip_prefix("/cache/").unwrap_or_default();
    key_from(text).map_err(|why| Problem::invalid(format!("key: {why}")))
}

/// The key that a percent-encoded text names.
///
/// # Errors
/// When it is malformed or too long.
pub(super) fn key_from(text: &str) -> Result<Key, String> {
    let bytes = percent::decode(text).map_err(|error| error.to_string())?;
    Key::new(bytes).map_err(|error| error.to_string())
}

/// When a value stored at `now` is to expire.
///
/// # Errors
/// When the seconds are none or go past the end of time.
pub(super) fn expiry(ttl_seconds: Option<u64>, now: UnixMillis) -> Result<Expiry, Problem> {
    let Some(seconds) = ttl_seconds else { return Ok(Expiry::Never) };
    let most = MOST_TTL_SECONDS.min(UnixMillis::MAX.saturating_since(now).as_secs());
    if !(1..=most).contains(&seconds) {
        return Err(Problem::invalid(format!(
            "{TTL_SECONDS} {seconds} is out of range: expected 1 to {most}, or none for a value that stays"
        )));
    }
    Ok(Expiry::After(Duration::from_secs(seconds)))
}

/// # Errors
/// When a write depends on what is stored: answered as if it did not, it would write what its client did not want.
pub(super) fn no_conditions(headers: &HeaderMap) -> Result<(), Problem> {
    let conditions =
        [header::IF_MATCH, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_UNMODIFIED_SINCE];
    match conditions.iter().find(|condition| headers.contains_key(*condition)) {
        Some(condition) => Err(Problem::unsupported(format!("writes do not know the condition {condition}"))),
        None => Ok(()),
    }
}

/// Digits alone: `parse` would take a sign, too.
fn decimal<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// As much of the client's text as an error repeats.
fn shown(text: &str) -> String {
    text.chars().take(32).collect()
}
