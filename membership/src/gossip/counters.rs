use super::seal::OpenError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts what happened to gossip datagrams since the start of the node.
#[derive(Debug, Default)]
pub struct GossipCounters {
    sealed: AtomicU64,
    opened: AtomicU64,
    refused_malformed: AtomicU64,
    refused_other_cluster: AtomicU64,
    refused_unsealed: AtomicU64,
    refused_bad_seal: AtomicU64,
    undecodable: AtomicU64,
    oversized: AtomicU64,
    send_failed: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GossipCounts {
    /// Datagrams sealed and handed to the socket.
    pub sealed: u64,
    /// Datagrams opened.
    pub opened: u64,
    /// Datagrams refused because they are not in our format at all.
    pub refused_malformed: u64,
    /// Datagrams refused because they name another cluster.
    pub refused_other_cluster: u64,
    /// Datagrams refused because only one side has a secret.
    pub refused_unsealed: u64,
    /// Datagrams refused because no secret opens them.
    pub refused_bad_seal: u64,
    /// Datagrams that opened but hold no gossip message: a peer of another version.
    pub undecodable: u64,
    /// Messages not sent because they do not fit into a datagram.
    pub oversized: u64,
    /// Datagrams the operating system would not send.
    pub send_failed: u64,
}

impl GossipCounters {
    /// What has been counted so far.
    #[must_use]
    pub fn snapshot(&self) -> GossipCounts {
        GossipCounts {
            sealed: self.sealed.load(Relaxed),
            opened: self.opened.load(Relaxed),
            refused_malformed: self.refused_malformed.load(Relaxed),
            refused_other_cluster: self.refused_other_cluster.load(Relaxed),
            refused_unsealed: self.refused_unsealed.load(Relaxed),
            refused_bad_seal: self.refused_bad_seal.load(Relaxed),
            undecodable: self.undecodable.load(Relaxed),
            oversized: self.oversized.load(Relaxed),
            send_failed: self.send_failed.load(Relaxed),
        }
    }

    pub(super) fn count_sealed(&self) {
        self.sealed.fetch_add(1, Relaxed);
    }

    pub(super) fn count_opened(&self) {
        self.opened.fetch_add(1, Relaxed);
    }

    pub(super) fn count_refused(&self, why: OpenError) {
        let counter = match why {
            OpenError::TooShort | OpenError::TooLong | OpenError::Version(_) | OpenError::Sender => {
                &self.refused_malformed
            }
            OpenError::OtherCluster => &self.refused_other_cluster,
            OpenError::NotSealed | OpenError::NoSecret => &self.refused_unsealed,
            OpenError::BadSeal => &self.refused_bad_seal,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn count_undecodable(&self) {
        self.undecodable.fetch_add(1, Relaxed);
    }

    pub(super) fn count_oversized(&self) {
        self.oversized.fetch_add(1, Relaxed);
    }

    pub(super) fn count_send_failed(&self) {
        self.send_failed.fetch_add(1, Relaxed);
    }
}
