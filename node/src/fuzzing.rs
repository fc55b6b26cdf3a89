//! What bytes from the network must never do, whatever they are: one function for each way in, which panics when they do
//! it. `node/fuzz` calls them with inputs that a fuzzer makes up, and the tests below with those that are kept.

#[cfg(not(madsim))]
pub use crate::frontend::http::fuzzing::requests as http_requests;
pub use crate::frontend::{
    grpc::fuzzing::messages as grpc_messages,
    resp::fuzzing::{commands as resp_commands, parser as resp_parser},
};

use prost::Message as _;
use shoal_proto::types::{NodeState, ReplicaAnswer, ReplicaOp, RingRecord, Stamp};
use shoal_proto::wire::{replica::v1 as replica, ring::v1 as ring};

/// A message of a peer, or a state file, as the first byte says, is understood or refused; what was understood means the
/// same once it was sent on.
///
/// # Panics
/// When it does not.
pub fn peer_messages(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 4 {
        0 => requests(bytes),
        1 => replies(bytes),
        2 => {
            let state = ring::NodeState::decode(bytes).map(NodeState::try_from);
            if let Ok(Ok(state)) = state {
                assert_eq!(NodeState::try_from(ring::NodeState::from(state.clone())), Ok(state));
            }
        }
        _ => {
            let record = ring::RingRecord::decode(bytes).map(RingRecord::try_from);
            if let Ok(Ok(record)) = record {
                assert_eq!(RingRecord::try_from(ring::RingRecord::from(record.clone())), Ok(record));
            }
        }
    }
}

fn requests(bytes: &[u8]) {
    use replica::link_request::Body;
    let Ok(replica::LinkRequest { body: Some(Body::Batch(batch)) }) = replica::LinkRequest::decode(bytes)
    else {
        return;
    };
    for request in batch.requests {
        if let Some(Ok(stamp)) = request.stamp.map(Stamp::try_from) {
            assert_eq!(Stamp::try_from(replica::Stamp::from(stamp.clone())), Ok(stamp));
        }
        if let Some(Ok(op)) = request.op.map(ReplicaOp::try_from) {
            assert_eq!(ReplicaOp::try_from(replica::request::Op::from(op.clone())), Ok(op));
        }
    }
}

fn replies(bytes: &[u8]) {
    use replica::link_response::Body;
    let Ok(replica::LinkResponse { body: Some(Body::Replies(replies)) }) =
        replica::LinkResponse::decode(bytes)
    else {
        return;
    };
    for reply in replies.replies {
        if let Some(Ok(answer)) = reply.answer.map(ReplicaAnswer::try_from) {
            assert_eq!(ReplicaAnswer::try_from(replica::reply::Answer::from(answer.clone())), Ok(answer));
        }
    }
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    /// Runs a target over what is kept for it.
    #[track_caller]
    fn replay(name: &str, target: fn(&[u8])) {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
        let files: Vec<_> = fs::read_dir(&seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() > 3, "only {} inputs are kept for {name}", files.len());
        for file in files {
            target(&fs::read(&file).unwrap());
        }
    }

    #[test]
    fn what_was_kept_for_resp_does_no_harm() {
        replay("resp_parser", resp_parser);
        replay("resp_commands", resp_commands);
    }

    #[test]
    fn what_was_kept_for_http_and_grpc_does_no_harm() {
        replay("http_requests", http_requests);
        replay("grpc_messages", grpc_messages);
    }

    #[test]
    fn what_was_kept_for_peers_does_no_harm() {
        replay("peer_messages", peer_messages);
    }
}
