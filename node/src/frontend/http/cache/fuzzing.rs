//! What bytes of an HTTP client must never do.

use super::super::percent;
use super::{
    accept, answer,
    body::{self, DeletedManyDocument, StoredDocument, StoredManyDocument, TouchedDocument},
    many,
    request::{self, Query},
};
use crate::{frontend::Command, limits};
use axum::http::{HeaderMap, HeaderValue, Request, header};
use shoal_proto::types::UnixMillis;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

/// A target, a header or a body, as the first byte says, is understood or refused.
///
/// # Panics
/// When what was understood does not hold.
pub fn requests(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 8 {
        0 => target(bytes),
        1 => drop(body::parse::<StoredDocument>(bytes)),
        2 => drop(body::parse::<TouchedDocument>(bytes)),
        3 => {
            let document = body::parse::<StoredManyDocument>(bytes);
            check(
                document.map(|document| many::stores(document, NOW).unwrap_or_default()).unwrap_or_default(),
            );
        }
        4 => {
            let document = body::parse::<DeletedManyDocument>(bytes);
            check(document.map(|document| many::deletes(document).unwrap_or_default()).unwrap_or_default());
        }
        5 => with_header(header::ACCEPT, bytes, |headers| {
            drop(accept::negotiate(headers, &[accept::Format::Json, accept::Format::Bytes]));
        }),
        6 => with_header(header::IF_NONE_MATCH, bytes, |headers| {
            answer::is_known(headers, "W/\"1-0\"");
        }),
        _ => {
            let text = percent::encode(bytes);
            assert_eq!(percent::decode(&text).as_deref(), Ok(bytes));
        }
    }
}

fn target(bytes: &[u8]) {
    let Ok((head, ())) = Request::get(bytes).body(()).map(Request::into_parts) else { return };
    if let Ok(query) = Query::parse(&head, &["ttlSeconds", "keys"]) {
        drop(query.options(&head.headers));
        if let Ok(seconds) = query.ttl_seconds() {
            drop(request::expiry(seconds, NOW));
        }
        if let Ok(list) = query.keys()
            && let Ok(keys) = many::keys(list)
        {
            check(keys.into_iter().map(|key| (key.clone(), Command::Get(key))).collect());
        }
    }
    drop(request::key(&head.uri));
}

/// What a batch is made of: no more than may be, on keys that differ.
fn check(commands: Vec<many::Keyed>) {
    assert!(commands.len() <= limits::BATCH_KEYS);
    let keys: std::collections::BTreeSet<_> = commands.iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), commands.len());
}

fn with_header(name: header::HeaderName, bytes: &[u8], then: impl Fn(&HeaderMap)) {
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        then(&HeaderMap::from_iter([(name, value)]));
    }
}
