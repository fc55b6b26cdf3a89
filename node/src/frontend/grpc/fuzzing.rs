//! What messages of a gRPC client must never do.

use super::{batch, deadline, translate};
use crate::frontend::Translated;
use prost::Message as _;
use shoal_proto::types::{MAX_KEY_BYTES, UnixMillis};
use shoal_proto::wire::kv::v1 as kv;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

/// A message, as the first byte says which, is translated or refused.
///
/// # Panics
/// When what was translated does not hold.
pub fn messages(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 5 {
        0 => {
            let message = kv::PipelineRequest::decode(bytes).unwrap_or_default();
            message
                .operations
                .into_iter()
                .for_each(|operation| check(&translate::operation(operation, NOW).map_err(Into::into)));
        }
        1 => all(kv::BatchGetRequest::decode(bytes).ok().and_then(|request| batch::get(request).ok())),
        2 => all(kv::BatchSetRequest::decode(bytes).ok().and_then(|request| batch::set(request, NOW).ok())),
        3 => all(kv::BatchDeleteRequest::decode(bytes).ok().and_then(|request| batch::delete(request).ok())),
        _ => drop(std::str::from_utf8(bytes).ok().and_then(deadline::parse)),
    }
}

fn all(translated: Option<Vec<Translated>>) {
    translated.iter().flatten().for_each(check);
}

fn check(translated: &Translated) {
    if let Ok((command, _)) = translated {
        assert!(command.key().is_some_and(|key| key.as_bytes().len() <= MAX_KEY_BYTES));
    }
}
