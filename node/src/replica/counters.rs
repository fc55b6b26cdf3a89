use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts what a node has sent to its peers, and who could not prove to be one.
#[derive(Debug, Default)]
pub struct LinkCounters {
    batches: AtomicU64,
    operations: AtomicU64,
    bytes: AtomicU64,
    refused: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkCounts {
    /// Messages with operations.
    pub batches: u64,
    /// Operations in them.
    pub operations: u64,
    /// Bytes of the keys and values in those.
    pub bytes: u64,
    /// Streams refused to who asked for them.
    pub refused: u64,
}

impl LinkCounters {
    /// What has been counted so far.
    #[must_use]
    pub fn snapshot(&self) -> LinkCounts {
        LinkCounts {
            batches: self.batches.load(Relaxed),
            operations: self.operations.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            refused: self.refused.load(Relaxed),
        }
    }

    pub(super) fn count_refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(super) fn count_batch(&self, operations: usize, bytes: usize) {
        self.batches.fetch_add(1, Relaxed);
        self.operations.fetch_add(operations as u64, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }
}
