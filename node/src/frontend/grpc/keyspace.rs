//! What is about all keys, for operators.

use super::translate;
use crate::coordinator::{FlushReply, KeyFilter, RequestOptions, ScanReply, ScanRequest};
use crate::frontend::Command;
use shoal_proto::types::Key;
use shoal_proto::wire::admin::v1 as admin;
use std::time::Duration;

pub(super) fn flush(request: &admin::FlushRequest) -> translate::Request {
    let timeout = (request.deadline_ms > 0).then(|| Duration::from_millis(request.deadline_ms.into()));
    let options = RequestOptions { timeout, ..RequestOptions::default() };
    Ok((Command::Flush { swept: request.wait_for_memory }, options))
}

pub(super) fn scan(request: admin::ScanRequest) -> translate::Request {
    let admin::ScanRequest { cursor, pattern, count } = request;
    let filter = pattern.map_or(KeyFilter::All, KeyFilter::Glob);
    Ok((Command::Scan(ScanRequest { cursor, count, filter }), RequestOptions::default()))
}

impl From<FlushReply> for admin::FlushResponse {
    fn from(reply: FlushReply) -> Self {
        Self { tag: reply.tag.to_bits(), epoch: reply.epoch, adopted: reply.adopted, members: reply.members }
    }
}

impl From<ScanReply> for admin::ScanResponse {
    fn from(reply: ScanReply) -> Self {
        Self { keys: reply.keys.into_iter().map(Key::into_bytes).collect(), cursor: reply.cursor }
    }
}
