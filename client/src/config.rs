use crate::{TlsConfig, Token};
use shoal_proto::types::{Consistency, Tag};
use std::time::Duration;

/// The largest gRPC message either way: one value of the largest size, its key, and room for the envelope.
pub(crate) const MAX_MESSAGE_BYTES: usize = 12 * 1024 * 1024;
/// Calls that may wait to be sent on one stream; further ones wait for room until their timeout.
pub(crate) const QUEUED_CALLS: usize = 1_024;
/// Calls sent on one stream and not yet answered.
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
/// Streams to one node at most.
const MAX_STREAMS: usize = 16;
/// How long a call may wait for a node to take it before another is asked.
pub(crate) const SEND_PATIENCE: Duration = Duration::from_millis(100);
/// How long the nodes of the topology before the present one stay candidates.
pub(crate) const OVERLAP: Duration = Duration::from_secs(10);
/// How long the client waits between attempts to follow the topology, at first and at most.
pub(crate) const FOLLOW_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How long one node's word on the topology is listened to before the next one is asked: it may be cut off.
pub(crate) const FOLLOW_TURN: Duration = Duration::from_secs(30);
/// How long a call waits once it has tried every node, for the first time and at most.
pub(crate) const ROUND_PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));
/// Calls of one batch that are under way at the same time.
pub(crate) const BATCH_IN_FLIGHT: usize = 1_024;
/// Keys that are loaded at the same time.
pub(crate) const LOADS: usize = 10_000;

/// How a client behaves unless a call says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// How long a call may take, connecting and retries included.
    pub timeout: Duration,
    /// How long connecting to one address may take.
    pub connect_timeout: Duration,
    /// How nodes are spoken to over TLS; `None` speaks in the clear.
    pub tls: Option<TlsConfig>,
    /// What is proven to nodes that ask for it; the same to all of them.
    pub token: Option<Token>,
    /// Which node a call goes to.
    pub routing: Routing,
    /// The failure domain of the caller: owners in it are asked first. The names are those that nodes were given.
    pub zone: Option<String>,
    /// Streams to one node, opened when needed: 1 to 16. One carries many calls at once; more help where one core of
    /// the caller does not keep up with a node.
    pub streams_per_node: usize,
    /// Calls to one node that may be queued or unanswered at the same time, up to 1024 per stream. Beyond it a call
    /// goes to the next node, else waits, else fails with [`ClientError::Overloaded`](crate::ClientError::Overloaded).
    pub in_flight_per_node: usize,
    /// How long a read waits before a second node is asked as well; `None` leaves it to the first one.
    pub hedge_after: Option<Duration>,
    /// What all randomness of the client is drawn from; `None` draws it from the operating system.
    pub seed: Option<u64>,
}

/// Which node a call goes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Routing {
    /// An owner of its key. The client follows the cluster's topology, repeats on other nodes what may be repeated, and
    /// makes the tags of writes so that they may.
    #[default]
    Owners,
    /// The one node it is connected to, and the next of the addresses once that connection breaks. Nothing is repeated.
    Contact,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(1),
            tls: None,
            token: None,
            routing: Routing::Owners,
            zone: None,
            streams_per_node: 1,
            in_flight_per_node: 1_024,
            hedge_after: None,
            seed: None,
        }
    }
}

impl ClientConfig {
    /// Streams to one node, within bounds.
    pub(crate) fn streams(&self) -> usize {
        self.streams_per_node.clamp(1, MAX_STREAMS)
    }

    /// Calls to one node at once, within bounds.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight_per_node.clamp(1, self.streams() * QUEUED_CALLS)
    }
}

/// What one call may choose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallOptions {
    /// The consistency level; `None` takes that of the handle (see
    /// [`Client::with_consistency`](crate::Client::with_consistency)), else the cluster's default.
    pub consistency: Option<Consistency>,
    /// How long to wait; `None` takes [`ClientConfig::timeout`].
    pub timeout: Option<Duration>,
    /// The version's tag, to be kept by every retry of the same write; `None` lets the client make one, or the node
    /// with [`Routing::Contact`]. Reads ignore it.
    pub tag: Option<Tag>,
}
