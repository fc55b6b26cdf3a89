//! Who has dialled this node.

use parking_lot::Mutex;
use shoal_proto::types::{NodeId, PeerLink};
use std::{collections::BTreeMap, sync::Arc};
use tokio::time::Instant;

/// The streams that peers have dialled and proved themselves on.
#[derive(Debug, Default)]
pub struct InboundLinks {
    // Touched when a stream begins and ends and when an operator asks; never across an await.
    links: Mutex<Links>,
}

#[derive(Debug, Default)]
struct Links {
    next: u64,
    open: BTreeMap<u64, (NodeId, Instant)>,
}

/// One of them, for as long as it stands.
pub(super) struct Inbound {
    number: u64,
    links: Arc<InboundLinks>,
}

impl InboundLinks {
    /// Remembers a stream of `node` until the returned value is dropped.
    pub(super) fn begin(self: &Arc<Self>, node: NodeId) -> Inbound {
        let mut links = self.links.lock();
        links.next += 1;
        let number = links.next;
        links.open.insert(number, (node, Instant::now()));
        Inbound { number, links: self.clone() }
    }

    /// All of them, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<PeerLink> {
        let links = self.links.lock();
        let each = links.open.values();
        each.map(|(node, since)| PeerLink { node: node.clone(), dialled: false, age: since.elapsed() })
            .collect()
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        self.links.links.lock().open.remove(&self.number);
    }
}
