//! A node's facts without a node, and requests without a socket.

use crate::admin::{
    ClusterInfo, ClusterStatus, HotKey, NodeAddress, NodeReport, NodeStats, NodeStatus, PeerLink, SlotRange,
    Topology,
};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request},
};
use futures::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, ready},
    stream::BoxStream,
};
use shoal_membership::{Addresses, NodeInfo};
use shoal_proto::types::{Key, NodeId};
use std::{collections::BTreeMap, sync::Arc};
use tower::ServiceExt as _;

/// Facts of a node that has three vnodes of eight ready, or all of them.
pub(super) fn info(ready: bool) -> Arc<Facts> {
    Arc::new(Facts { ready })
}

pub(super) struct Facts {
    ready: bool,
}

impl ClusterInfo for Facts {
    fn me(&self) -> NodeAddress {
        NodeAddress {
            node_id: id("127.0.0.1:7382"),
            redis_id: String::new(),
            host: "127.0.0.1".into(),
            port: 7379,
        }
    }

    fn redis_id(&self, node: &NodeId) -> String {
        node.to_string()
    }

    fn key_slot(&self, _key: &[u8]) -> u16 {
        0
    }

    fn slot_ranges(&self) -> Vec<SlotRange> {
        Vec::new()
    }

    fn stats(&self) -> NodeStats {
        NodeStats { vnodes_owned: 8, vnodes_ready: if self.ready { 8 } else { 3 }, ..NodeStats::default() }
    }

    fn status(&self) -> ClusterStatus {
        ClusterStatus {
            cluster: "shoal".into(),
            cluster_id: 1,
            epoch: 1,
            phase: 3,
            vnodes: 8,
            replicas: 1,
            me: id("127.0.0.1:7382"),
            nodes: vec![node("127.0.0.1:7382", 100, true), node("127.0.0.1:7482", 300, false)],
        }
    }

    fn survey(&self) -> BoxFuture<'_, BTreeMap<NodeId, NodeReport>> {
        let hot = |bytes: &[u8], per_second| HotKey { key: Key::new(bytes.to_vec()).unwrap(), per_second };
        let report = NodeReport {
            stats: self.stats(),
            requests_per_second: 2.5,
            hot_keys: vec![hot(b"a/\xff", 2.0), hot(&[b'k'; 300], 0.5)],
        };
        ready(BTreeMap::from([(id("127.0.0.1:7382"), report)])).boxed()
    }

    fn topologies(&self) -> BoxStream<'static, Topology> {
        futures::stream::empty().boxed()
    }

    fn links(&self) -> Vec<PeerLink> {
        Vec::new()
    }

    fn is_ready(&self) -> bool {
        self.ready
    }

    fn resident_bytes(&self) -> Option<u64> {
        None
    }

    fn metrics_text(&self) -> String {
        "shoal_entries 5\n# EOF\n".into()
    }
}

fn node(name: &str, capacity: u32, live: bool) -> NodeStatus {
    let addresses = Addresses { gossip: name.into(), ..Addresses::default() };
    let info = NodeInfo {
        node_id: id(name),
        generation: 7,
        addresses,
        zone: "a".into(),
        capacity,
        ring: None,
        ready: true,
        live,
    };
    NodeStatus { info, member: true, live, owned_vnodes: 4 }
}

fn id(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    /// A header's text, empty without it.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(super) async fn ask(router: Router, method: &str, path: &str) -> Answer {
    send(router, Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await
}

pub(super) async fn send(router: Router, request: Request<Body>) -> Answer {
    let (head, body) = router.oneshot(request).await.unwrap().into_parts();
    let bytes = axum::body::to_bytes(body, 1024 * 1024).await.unwrap();
    let body = String::from_utf8(bytes.to_vec()).unwrap();
    Answer { status: head.status.as_u16(), headers: head.headers, body }
}
