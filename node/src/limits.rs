//! Every bound of a node, in one place.

use std::time::Duration;

/// Requests to one peer that may be queued or in flight: beyond it a write becomes a hint and a read asks elsewhere.
pub const PEER_QUEUE: usize = 1_000;
/// Operations in one message to a peer.
pub const PEER_BATCH_OPS: usize = 256;
/// About how many bytes of payload one message to a peer carries.
pub const PEER_BATCH_BYTES: usize = 256 * 1024;
/// Payload beyond which a request travels on the bulk stream.
pub const BULK_BYTES: usize = 64 * 1024;
/// The largest gRPC message: one value of the largest size, its key, and room for the envelope.
pub const MAX_MESSAGE_BYTES: usize = 12 * 1024 * 1024;

/// RESP connections served at once; further ones are told so and closed.
pub const RESP_CLIENTS: usize = 10_000;
/// Arguments of one RESP command.
pub const RESP_ARGUMENTS: usize = 1024 * 1024;
/// Capacity allocated on the word of a length header before its contents arrive.
pub const RESP_TRUSTED_CAPACITY: usize = 1_024;
/// Longest inline command.
pub const RESP_INLINE_BYTES: usize = 64 * 1024;
/// Bytes of replies a client may leave unread before its connection is closed.
pub const RESP_OUTPUT_BYTES: usize = 64 * 1024 * 1024;
/// Commands of one connection that run at the same time.
pub const RESP_BATCH: usize = 1_024;

/// Bytes of hints kept for one target.
pub const HINT_BYTES_PER_TARGET: usize = 128 * 1024 * 1024;
/// Hints being replayed to one target at once.
pub const HINTS_IN_FLIGHT: usize = 8;
/// How long a hint is worth keeping.
pub const HINT_WINDOW: Duration = Duration::from_secs(600);

/// Bytes in one page of a rebuild.
pub const REBUILD_PAGE_BYTES: u32 = 1024 * 1024;
/// How long tombstones and expired markers are kept.
pub const MARKER_LIFE: Duration = Duration::from_secs(3600);

/// The part of a node's memory that is for markers alone.
pub const MARKER_SHARE: f64 = 0.05;

/// Shards of the store at most.
pub const STORE_SHARDS: u64 = 64;
/// Bytes below which the store is not divided further.
pub const STORE_SHARD_BYTES: u64 = 16 * 1024 * 1024;

const _: () = assert!(PEER_BATCH_OPS <= PEER_QUEUE);
const _: () = assert!(shoal_proto::types::MAX_VALUE_BYTES + shoal_proto::types::MAX_KEY_BYTES + BULK_BYTES <= MAX_MESSAGE_BYTES);
const _: () = assert!(REBUILD_PAGE_BYTES as usize + shoal_proto::types::MAX_VALUE_BYTES < MAX_MESSAGE_BYTES);
const _: () = assert!(shoal_proto::types::MAX_VALUE_BYTES < STORE_SHARD_BYTES as usize * 3 / 4);
