use shoal_proto::types::{Consistency, Tag};
use std::time::Duration;

/// The largest gRPC message either way: one value of the largest size, its key, and room for the envelope.
pub(crate) const MAX_MESSAGE_BYTES: usize = 12 * 1024 * 1024;
/// Calls that may wait to be sent; further ones wait for room until their timeout.
pub(crate) const QUEUED_CALLS: usize = 1_024;
/// Calls sent and not yet answered.
pub(crate) const CALLS_IN_FLIGHT: usize = 1_024;
/// Calls in one message.
pub(crate) const BATCH_CALLS: usize = 256;
/// Bytes of keys and values after which a message takes no further call.
pub(crate) const BATCH_BYTES: usize = 256 * 1024;
/// How long past its deadline an answer may still come before the node counts as silent.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// Longer timeouts are cut to this: what a message can tell in milliseconds, about 49 days.
pub(crate) const MAX_TIMEOUT: Duration = Duration::from_millis(u32::MAX as u64);
/// How often an idle connection is probed, and how long the probe's answer may take.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How a client behaves unless a call says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// How long a call may take, connecting included.
    pub timeout: Duration,
    /// How long connecting to one address may take.
    pub connect_timeout: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(1), connect_timeout: Duration::from_secs(1) }
    }
}

/// What one call may choose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallOptions {
    /// The consistency level; `None` takes the cluster's default.
    pub consistency: Option<Consistency>,
    /// How long to wait; `None` takes [`ClientConfig::timeout`].
    pub timeout: Option<Duration>,
    /// The version's tag, to be kept by every retry of the same write; `None` lets the node make one. Reads ignore it.
    pub tag: Option<Tag>,
}
