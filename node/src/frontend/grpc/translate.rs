//! Between the wire and the front ends' vocabulary. What cannot be translated is an invalid request that says why.

use crate::admin::{ClusterStatus, HotKey, NodeReport, NodeStats, NodeStatus, Topology, TopologyNode};
use crate::coordinator::{
    CoordinatorError, ExistedReply, Expiry, GetReply, Outcome, RequestOptions, SetReply,
};
use crate::frontend::{Command, Reply, error_map};
use shoal_proto::convert::DecodeError;
use shoal_proto::types::{Key, NodeId, Tag, UnixMillis, Value};
use shoal_proto::wire::kv::v1::{operation::Op, operation_result::Result as Answer};
use shoal_proto::wire::{admin::v1 as admin, kv::v1 as kv};
use std::{collections::BTreeMap, time::Duration};
use tonic::Status;

// ---- requests ----

/// What a request asks for, or which of its fields is wrong.
pub(super) type Request = Result<(Command, RequestOptions), Fault>;

/// Something in a request that no node would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) field: &'static str,
    pub(super) why: String,
}

impl From<Fault> for CoordinatorError {
    fn from(fault: Fault) -> Self {
        Self::Invalid(fault.why)
    }
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        error_map::fault(fault.field, fault.why)
    }
}

impl<E: Into<DecodeError>> From<E> for Fault {
    fn from(error: E) -> Self {
        let error = error.into();
        let field = match &error {
            DecodeError::Missing(field) | DecodeError::OutOfRange { field, .. } => field,
            DecodeError::Key(_) => "key",
            DecodeError::Value(_) => "value",
            _ => "",
        };
        Self { field, why: error.to_string() }
    }
}

pub(super) fn operation(operation: kv::Operation, now: UnixMillis) -> Request {
    match operation.op {
        Some(Op::Get(request)) => get(request),
        Some(Op::Set(request)) => set(request, now),
        Some(Op::Delete(request)) => delete(request),
        Some(Op::Expire(request)) => expire(request, now),
        None => Err(Fault { field: "op", why: "operation without a kind this version knows".into() }),
    }
}

pub(super) fn get(request: kv::GetRequest) -> Request {
    let options = options(request.consistency, request.deadline_ms, 0)?;
    Ok((Command::Get(key(request.key)?), options))
}

pub(super) fn set(request: kv::SetRequest, now: UnixMillis) -> Request {
    let options = options(request.consistency, request.deadline_ms, request.tag)?;
    let value = Value::new(request.value)?;
    let expiry = match request.expires_at {
        0 => expiry(request.ttl_ms, now)?,
        at if at <= UnixMillis::MAX.0 => Expiry::At(UnixMillis(at)),
        value => return Err(DecodeError::OutOfRange { field: "expires_at", value }.into()),
    };
    Ok((Command::Set(key(request.key)?, value, expiry), options))
}

pub(super) fn delete(request: kv::DeleteRequest) -> Request {
    let options = options(request.consistency, request.deadline_ms, request.tag)?;
    Ok((Command::Delete(key(request.key)?), options))
}

pub(super) fn expire(request: kv::ExpireRequest, now: UnixMillis) -> Request {
    let options = options(request.consistency, request.deadline_ms, 0)?;
    Ok((Command::Expire(key(request.key)?, expiry(request.ttl_ms, now)?), options))
}

pub(super) fn options(consistency: i32, deadline_ms: u32, tag: u64) -> Result<RequestOptions, Fault> {
    Ok(RequestOptions {
        consistency: kv::Consistency::level(consistency)?,
        timeout: (deadline_ms > 0).then(|| Duration::from_millis(deadline_ms.into())),
        tag: Tag::from_bits(tag),
    })
}

pub(super) fn key(bytes: bytes::Bytes) -> Result<Key, Fault> {
    Ok(Key::new(bytes)?)
}

pub(super) fn expiry(ttl_ms: u64, now: UnixMillis) -> Result<Expiry, Fault> {
    let ttl = Duration::from_millis(ttl_ms);
    match now.checked_add(ttl) {
        _ if ttl.is_zero() => Ok(Expiry::Never),
        Some(_) => Ok(Expiry::After(ttl)),
        None => Err(DecodeError::OutOfRange { field: "ttl_ms", value: ttl_ms }.into()),
    }
}

// ---- answers ----

pub(super) fn result(id: u64, answer: Result<Reply, CoordinatorError>) -> kv::OperationResult {
    let answer = match answer {
        Ok(Reply::Value(reply)) => Answer::Get(reply.into()),
        Ok(Reply::Stored(reply)) => Answer::Set(reply.into()),
        Ok(Reply::Deleted(reply)) => Answer::Delete(reply.into()),
        Ok(Reply::Touched(reply)) => Answer::Expire(reply.into()),
        Ok(
            Reply::Explained(_) | Reply::Usage(_) | Reply::Flushed(_) | Reply::Scanned(_) | Reply::Slot(_),
        ) => Answer::Failure(super::batch::mismatch()),
        Err(error) => Answer::Failure(error_map::failure(&error)),
    };
    kv::OperationResult { id, result: Some(answer) }
}

impl From<GetReply> for kv::GetResponse {
    fn from(reply: GetReply) -> Self {
        Self { value: reply.value.map(Value::into_bytes), outcome: Some(reply.outcome.into()) }
    }
}

impl From<SetReply> for kv::SetResponse {
    fn from(reply: SetReply) -> Self {
        Self { outcome: Some(reply.outcome.into()) }
    }
}

impl From<ExistedReply> for kv::DeleteResponse {
    fn from(reply: ExistedReply) -> Self {
        Self { existed: reply.existed, outcome: Some(reply.outcome.into()) }
    }
}

impl From<ExistedReply> for kv::ExpireResponse {
    fn from(reply: ExistedReply) -> Self {
        Self { existed: reply.existed, outcome: Some(reply.outcome.into()) }
    }
}

impl From<Outcome> for kv::Outcome {
    fn from(outcome: Outcome) -> Self {
        Self {
            tag: outcome.tag.map_or(0, Tag::to_bits),
            reached: kv::Consistency::from(outcome.reached).into(),
            asked: outcome.asked.into(),
            answered: outcome.answered.into(),
            superseded_by: outcome.superseded_by.map_or(0, Tag::to_bits),
            repaired: outcome.repaired,
            hinted: outcome.hinted,
            degraded: outcome.degraded,
            expires_at: outcome.expires_at.map_or(0, |at| at.0),
            ttl_ms: outcome.ttl.map_or(0, |ttl| ttl.as_millis() as u64),
        }
    }
}

pub(super) fn status(
    status: ClusterStatus,
    stats: NodeStats,
    mut reports: BTreeMap<NodeId, NodeReport>,
) -> admin::StatusResponse {
    admin::StatusResponse {
        node_id: status.me.to_string(),
        cluster: status.cluster,
        cluster_id: status.cluster_id,
        epoch: status.epoch,
        phase: status.phase,
        vnodes: status.vnodes,
        replicas: status.replicas,
        nodes: status
            .nodes
            .into_iter()
            .map(|node| {
                let report = reports.remove(&node.info.node_id).map(report);
                admin::Node { report, ..node.into() }
            })
            .collect(),
        local: Some(local(stats)),
    }
}

impl From<NodeStatus> for admin::Node {
    fn from(node: NodeStatus) -> Self {
        Self {
            node_id: node.info.node_id.to_string(),
            generation: node.info.generation,
            zone: node.info.zone,
            member: node.member,
            live: node.live,
            ready: node.info.ready,
            owned_vnodes: node.owned_vnodes,
            resp_address: node.info.addresses.resp,
            http_address: node.info.addresses.http,
            grpc_address: node.info.addresses.grpc,
            gossip_address: node.info.addresses.gossip,
            report: None,
        }
    }
}

fn report(NodeReport { stats, requests_per_second, hot_keys }: NodeReport) -> admin::Report {
    admin::Report {
        entries: stats.entries,
        bytes: stats.bytes,
        max_bytes: stats.max_bytes,
        hits: stats.hits,
        misses: stats.misses,
        evictions: stats.evictions,
        expirations: stats.expirations,
        requests: stats.requests,
        hints: stats.hints,
        hint_bytes: stats.hint_bytes,
        vnodes_owned: stats.vnodes_owned,
        vnodes_ready: stats.vnodes_ready,
        uptime_ms: stats.uptime_ms,
        requests_per_second,
        hot_keys: hot_keys.into_iter().map(hot_key).collect(),
        markers: stats.markers,
        expiring: stats.expiring,
        connections: stats.connections,
        commands: stats.commands,
    }
}

fn hot_key(hot: HotKey) -> admin::HotKey {
    admin::HotKey { key: hot.key.into_bytes(), per_second: hot.per_second }
}

/// `clock` is the node's hybrid clock.
pub(super) fn topology(topology: Topology, me: &NodeId, clock: UnixMillis) -> kv::TopologyResponse {
    kv::TopologyResponse {
        cluster_id: topology.cluster_id,
        epoch: topology.epoch,
        phase: topology.phase,
        replicas: topology.replicas,
        nodes: topology.nodes.into_iter().map(Into::into).collect(),
        owners: topology.owners.into_iter().map(Into::into).collect(),
        node_id: me.to_string(),
        clock_ms: clock.0,
        digest: topology.digest,
    }
}

impl From<TopologyNode> for kv::TopologyNode {
    fn from(node: TopologyNode) -> Self {
        Self {
            node_id: node.node_id.to_string(),
            zone: node.zone,
            grpc_address: node.grpc_address,
            live: node.live,
            ready: node.ready,
            member: node.member,
            capacity: node.capacity,
        }
    }
}

fn local(stats: NodeStats) -> admin::Local {
    admin::Local {
        entries: stats.entries,
        bytes: stats.bytes,
        max_bytes: stats.max_bytes,
        hits: stats.hits,
        misses: stats.misses,
        vnodes_owned: stats.vnodes_owned,
        vnodes_ready: stats.vnodes_ready,
        hints: stats.hints,
        hint_bytes: stats.hint_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_proto::types::{Consistency, MAX_KEY_BYTES, MAX_VALUE_BYTES};

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn why_not(op: Op) -> String {
        match operation(kv::Operation { id: 1, op: Some(op) }, NOW) {
            Err(fault) => fault.why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn zeros_on_the_wire_leave_the_choice_to_the_node() {
        let request = kv::SetRequest { key: "k".into(), value: "v".into(), ..Default::default() };
        let (command, options) = set(request, NOW).unwrap();
        let stored = Command::Set(Key::new("k").unwrap(), Value::new("v").unwrap(), Expiry::Never);
        assert_eq!((command, options), (stored, RequestOptions::default()));
    }

    #[test]
    fn what_the_client_chose_arrives() {
        let request = kv::SetRequest {
            ttl_ms: 1_500,
            consistency: kv::Consistency::Quorum.into(),
            deadline_ms: 250,
            tag: 77,
            ..Default::default()
        };
        let (command, options) = set(request, NOW).unwrap();
        assert!(matches!(command, Command::Set(_, _, Expiry::After(ttl)) if ttl.as_millis() == 1_500));
        assert_eq!(options.consistency, Some(Consistency::Quorum));
        assert_eq!(options.timeout, Some(Duration::from_millis(250)));
        assert_eq!(options.tag, Tag::from_bits(77));
    }

    #[test]
    fn an_expiry_counts_more_than_a_ttl() {
        let expiring = |expires_at| {
            let request = kv::SetRequest { ttl_ms: 1_500, expires_at, ..Default::default() };
            match set(request, NOW) {
                Ok((Command::Set(_, _, expiry), _)) => Ok(expiry),
                Err(fault) => Err((fault.field, fault.why)),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(expiring(0), Ok(Expiry::After(Duration::from_millis(1_500))));
        assert_eq!(expiring(99), Ok(Expiry::At(UnixMillis(99))));
        assert_eq!(
            expiring(1 << 42),
            Err(("expires_at", format!("expires_at {} is out of range", 1u64 << 42)))
        );
    }

    #[test]
    fn bad_input_is_named() {
        let key = vec![0; MAX_KEY_BYTES + 1];
        assert!(
            why_not(Op::Get(kv::GetRequest { key: key.into(), ..Default::default() }))
                .starts_with("key of 65537")
        );
        let value = vec![0; MAX_VALUE_BYTES + 1];
        let oversized = kv::SetRequest { value: value.into(), ..Default::default() };
        assert!(why_not(Op::Set(oversized)).starts_with("value of 8388609"));
        let unknown = kv::DeleteRequest { consistency: 9, ..Default::default() };
        assert_eq!(why_not(Op::Delete(unknown)), "consistency 9 is out of range");
        for ttl_ms in [u64::MAX, UnixMillis::MAX.0] {
            let overflowing = kv::SetRequest { ttl_ms, ..Default::default() };
            assert_eq!(why_not(Op::Set(overflowing)), format!("ttl_ms {ttl_ms} is out of range"));
        }
        let nothing = operation(kv::Operation { id: 1, op: None }, NOW);
        assert!(matches!(nothing, Err(Fault { field: "op", why }) if why.contains("without a kind")));
    }
}
