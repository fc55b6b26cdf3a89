use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Connections of one door.
#[derive(Debug, Default)]
pub struct Connections {
    accepted: AtomicU64,
    open: AtomicU64,
    refused: AtomicU64,
}

/// One connection's place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    /// The connection's number, from 1.
    pub number: u64,
    connections: Arc<Connections>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open.fetch_sub(1, Relaxed);
    }
}

impl Connections {
    /// A place for one more connection; `None` when `limit` are open.
    pub fn admit(self: &Arc<Self>, limit: usize) -> Option<Place> {
        if self.open.fetch_add(1, Relaxed) >= limit as u64 {
            self.open.fetch_sub(1, Relaxed);
            self.refused.fetch_add(1, Relaxed);
            return None;
        }
        let number = self.accepted.fetch_add(1, Relaxed) + 1;
        Some(Place { number, connections: self.clone() })
    }

    /// Connections ever served.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open.load(Relaxed)
    }

    /// Connections turned away because too many were open.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
}
