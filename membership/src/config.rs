//! Timing of gossip and failure detection.

use std::time::Duration;

/// How fast gossip goes round. Detection takes about six intervals at phi 8.
#[derive(Debug, Clone, PartialEq)]
pub struct GossipConfig {
    /// Time between rounds; also the detector's first guess of the time between heartbeats.
    pub interval: Duration,
    /// Suspicion at which a node counts as dead.
    pub phi: f64,
    /// How long dead nodes and deleted keys are remembered.
    pub grace: Duration,
}

impl GossipConfig {
    /// For machines in one region: detection in about 3 s.
    #[must_use]
    pub fn lan() -> Self {
        Self { interval: Duration::from_millis(500), phi: 8.0, grace: Duration::from_secs(15 * 60) }
    }

    /// For one machine: detection in about 1 s.
    #[must_use]
    pub fn local() -> Self {
        Self { interval: Duration::from_millis(100), ..Self::lan() }
    }
}

impl Default for GossipConfig {
    fn default() -> Self {
        Self::lan()
    }
}
