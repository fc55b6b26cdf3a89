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
    ended: [AtomicU64; Ending::ALL.len()],
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ending {
    /// The client left, or said goodbye.
    #[default]
    Left,
    /// The socket failed.
    Failed,
    /// What the client sent could not be understood.
    Protocol,
    /// The client did not authenticate in time, or was wrong too often.
    Unproven,
    /// The client sent no command for longer than connections may be idle.
    Idle,
    /// The client took too long over one request.
    SlowRequest,
    /// The client took too long over its replies.
    SlowReader,
    /// The client left more replies unread than it may.
    OutputLimit,
    /// All clients together held more than they may, and this one the most.
    ClientMemory,
    /// Another client asked for it.
    Killed,
    /// The node stops.
    Shutdown,
}

impl Ending {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::Left,
        Self::Failed,
        Self::Protocol,
        Self::Unproven,
        Self::Idle,
        Self::SlowRequest,
        Self::SlowReader,
        Self::OutputLimit,
        Self::ClientMemory,
        Self::Killed,
        Self::Shutdown,
    ];

    /// Its name as a label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Failed => "failed",
            Self::Protocol => "protocol",
            Self::Unproven => "unproven",
            Self::Idle => "idle",
            Self::SlowRequest => "slow_request",
            Self::SlowReader => "slow_reader",
            Self::OutputLimit => "output_limit",
            Self::ClientMemory => "client_memory",
            Self::Killed => "killed",
            Self::Shutdown => "shutdown",
        }
    }
}

/// One connection's place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    /// The connection's number, from 1.
    pub number: u64,
    /// Why it ends.
    pub ending: Ending,
    connections: Arc<Connections>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.ended[self.ending as usize].fetch_add(1, Relaxed);
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
        Some(Place { number, ending: Ending::default(), connections: self.clone() })
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

    /// Connections that ended for this reason.
    #[must_use]
    pub fn ended(&self, ending: Ending) -> u64 {
        self.ended[ending as usize].load(Relaxed)
    }
}
