//! An explanation, for operators.

use super::translate;
use crate::coordinator::{Explanation, OwnerCopy, RequestOptions};
use crate::frontend::Command;
use shoal_proto::types::{CopyState, NodeId, Tag, Trust};
use shoal_proto::wire::admin::v1::{
    self as admin,
    owner_copy::{State, Trust as WireTrust},
};

pub(super) fn request(request: admin::ExplainRequest) -> translate::Request {
    Ok((Command::Explain(translate::key(request.key)?), RequestOptions::default()))
}

impl From<Explanation> for admin::ExplainResponse {
    fn from(explanation: Explanation) -> Self {
        Self {
            key: explanation.key.into_bytes(),
            slot: explanation.slot.into(),
            vnode: explanation.vnode.0.into(),
            epoch: explanation.epoch,
            phase: explanation.phase.number(),
            owners: explanation.owners.into_iter().map(Into::into).collect(),
            clock_ms: explanation.now.0,
            silent: names(&explanation.silent),
        }
    }
}

impl From<OwnerCopy> for admin::OwnerCopy {
    fn from(owner: OwnerCopy) -> Self {
        let unknown = Self {
            node_id: owner.node_id.to_string(),
            zone: owner.zone,
            live: owner.live,
            generation: owner.generation,
            hinted_by: names(&owner.hinted_by),
            ..Self::default()
        };
        let held = match owner.held {
            Ok(held) => held,
            Err(error) => return Self { error, ..unknown },
        };
        let trust = match held.trust {
            Trust::Starting => WireTrust::Starting,
            Trust::Rebuilding => WireTrust::Rebuilding,
            Trust::Ready => WireTrust::Ready,
        };
        let state = match held.state() {
            CopyState::Absent => State::Absent,
            CopyState::Value => State::Value,
            CopyState::Tombstone => State::Tombstone,
            CopyState::Expired => State::Expired,
            CopyState::Evicted => State::Evicted,
        };
        Self {
            trust: trust.into(),
            state: state.into(),
            tag: held.tag().map_or(0, Tag::to_bits),
            touch: held.version.map_or(0, |version| version.touch.into()),
            expires_at: held.version.and_then(|version| version.expires_at).map_or(0, |at| at.0),
            value_bytes: held.value_bytes,
            newest: held.newest,
            ..unknown
        }
    }
}

fn names(nodes: &[NodeId]) -> Vec<String> {
    nodes.iter().map(ToString::to_string).collect()
}
