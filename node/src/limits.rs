//! Every bound of a node, in one place.

use std::time::Duration;

/// Requests to one peer that may be queued or in flight: beyond it a write becomes a hint and a read asks elsewhere.
pub const PEER_QUEUE: usize = 4_096;
/// Their bytes.
pub const PEER_QUEUE_BYTES: usize = 64 * 1024 * 1024;
/// Operations in one message to a peer.
pub const PEER_BATCH_OPS: usize = 256;
/// About how many bytes of payload one message to a peer carries.
pub const PEER_BATCH_BYTES: usize = 256 * 1024;
/// Payload beyond which a request travels on the bulk stream.
pub const BULK_BYTES: usize = 64 * 1024;
/// How long a peer may take to prove itself.
pub const PEER_HANDSHAKE: Duration = Duration::from_secs(5);
/// Peer streams that have still to prove themselves at the same time; further ones are refused and tried again.
pub const UNPROVEN_PEERS: usize = 256;
/// Bytes on one of them; a handshake takes less than a thousand.
pub const UNPROVEN_PEER_BYTES: usize = 16 * 1024;
/// The largest gRPC message: one value of the largest size, its key, and room for the envelope.
pub const MAX_MESSAGE_BYTES: usize = 12 * 1024 * 1024;

/// gRPC connections served at once, those of peers among them; further ones are closed.
pub const GRPC_CLIENTS: usize = 4_096;
/// Calls of one gRPC connection that run at the same time.
pub const GRPC_STREAMS: u32 = 1_024;
/// How long a gRPC connection is silent before its client is asked whether it is still there.
pub const GRPC_PING: Duration = Duration::from_secs(30);
/// How long it then has to answer before its connection is closed: one that reads nothing cannot.
pub const GRPC_PONG: Duration = Duration::from_secs(20);

/// Operations of one gRPC pipeline that run or wait to be sent back; at this many the stream is not read further.
pub const PIPELINE_IN_FLIGHT: usize = 1_024;
/// Bytes of values a pipeline's client may leave unread before none of its further operations begins.
pub const PIPELINE_UNSENT_BYTES: usize = 64 * 1024 * 1024;
/// Results in one message of a pipeline.
pub const PIPELINE_BATCH_OPS: usize = 256;
/// Bytes of values after which a pipeline's message takes no further result.
pub const PIPELINE_BATCH_BYTES: usize = 256 * 1024;

/// Keys in one batch call over gRPC or REST.
pub const BATCH_KEYS: usize = 10_000;
/// Of them, operations that run at the same time.
pub const BATCH_IN_FLIGHT: usize = 1_024;
/// Bytes of values in the answer to one batch call.
pub const BATCH_VALUE_BYTES: usize = 10 * 1024 * 1024;

/// RESP connections served at once unless set otherwise; further ones are told so and closed.
pub const RESP_CLIENTS: usize = 10_000;
/// The most they can be set to.
pub const MAX_CLIENTS: u64 = 1_000_000;
/// Bytes of replies a RESP client may leave unread unless set otherwise: room for the largest answer.
pub const RESP_UNREAD_BYTES: usize = 128 * 1024 * 1024;
/// Bytes of requests and replies held for all RESP clients together unless set otherwise.
pub const RESP_CLIENT_BYTES: usize = 256 * 1024 * 1024;
/// How long a connection is silent before the operating system asks whether its client is still there, unless set
/// otherwise, in seconds.
pub const TCP_KEEPALIVE: u64 = 300;
/// The longest it can be set to.
pub const MAX_TCP_KEEPALIVE: u64 = 32_767;
/// The least memory a node can be given: less cannot hold a few of the largest values beside the index.
pub const MIN_MEMORY_BYTES: u64 = 16 * 1024 * 1024;
/// Connections accepted and not yet taken over by their door.
pub const ACCEPTED_AHEAD: usize = 16;
/// TLS handshakes under way at one door; one more ends that which has been under way for longest.
pub const HANDSHAKES: usize = 512;
/// How long a TLS handshake may take.
pub const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(5);
/// How long accepting rests after it failed.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Arguments of one RESP command.
pub const RESP_ARGUMENTS: usize = 1024 * 1024;
/// Bytes of one RESP command as sent; the rest of a longer one is thrown away and answered with an error.
pub const RESP_REQUEST_BYTES: usize = 64 * 1024 * 1024;
/// Bytes thrown away for one RESP command before its connection is closed instead.
pub const RESP_SKIPPED_BYTES: usize = 512 * 1024 * 1024;
/// Encoded replies beyond which a RESP connection writes before it runs further commands.
pub const RESP_CHUNK_BYTES: usize = 256 * 1024;
/// Room made for every read from a RESP connection.
pub const RESP_READ_BYTES: usize = 16 * 1024;
/// How long a client may take over a request it has begun, and leave a reply unread, before its connection is closed.
pub const RESP_STALL: Duration = Duration::from_secs(60);
/// How much a client has to take or send within that time to be given as much again.
pub const RESP_STEP_BYTES: usize = 64 * 1024;
/// Room for replies that a connection keeps between commands; what was more is given back.
pub const RESP_KEPT_BYTES: usize = 4 * 1024;
/// How often clients are looked through for those that have been idle for too long.
pub const RESP_SWEEP: Duration = Duration::from_secs(1);
/// Capacity allocated on the word of a length header before its contents arrive.
pub const RESP_TRUSTED_CAPACITY: usize = 1_024;
/// Longest inline command.
pub const RESP_INLINE_BYTES: usize = 64 * 1024;
/// Bytes of values held for one RESP connection that are not yet encoded; a read beyond it answers an error.
pub const RESP_OUTPUT_BYTES: usize = 64 * 1024 * 1024;
/// Commands of one connection that run at the same time.
pub const RESP_BATCH: usize = 1_024;

/// Arguments of one RESP command of a client that has still to authenticate.
pub const UNPROVEN_ARGUMENTS: usize = 10;
/// Bytes of one of them.
pub const UNPROVEN_ARGUMENT_BYTES: usize = 16 * 1024;
/// Bytes read from such a client and not yet understood.
pub const UNPROVEN_INPUT_BYTES: usize = 1024 * 1024;
/// How long a RESP client may take to authenticate.
pub const UNPROVEN_PATIENCE: Duration = Duration::from_secs(10);
/// Wrong passwords on one RESP connection before it is closed.
pub const WRONG_PASSWORDS: u32 = 10;
/// How long a client waits to be told that its password is wrong. Nobody else does.
pub const WRONG_PASSWORD_PAUSE: Duration = Duration::from_millis(250);

/// HTTP connections served at once; further ones are told so and closed.
pub const HTTP_CLIENTS: usize = 4_096;
/// Bytes of the head of one HTTP request. Its target may take 65,534 of them, which is what the HTTP library can hold.
pub const HTTP_HEAD_BYTES: usize = 128 * 1024;
/// How long the head of an HTTP request may take to arrive, and a connection may stay without one.
pub const HTTP_HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// How long the body of an HTTP request may take to arrive.
pub const HTTP_BODY_PATIENCE: Duration = Duration::from_secs(60);
/// How long a client may leave an HTTP answer unread before its connection is closed.
pub const HTTP_STALL: Duration = Duration::from_secs(60);
/// Bytes of a JSON body: every byte of the largest value may be escaped as six.
pub const HTTP_JSON_BYTES: usize = 6 * shoal_proto::types::MAX_VALUE_BYTES + 1024;
/// Bytes of a JSON body that lists keys.
pub const HTTP_KEYS_JSON_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of a JSON body that has neither keys nor values.
pub const HTTP_SMALL_JSON_BYTES: usize = 1024;
/// Bytes of bodies, of requests and of answers in JSON, held for all HTTP connections together.
pub const HTTP_BUFFER_BYTES: usize = 256 * 1024 * 1024;
/// Bytes of a hot key that the answer about the whole cluster shows.
pub const HOT_KEY_SHOWN_BYTES: usize = 256;

/// The longest a request may ask to wait.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Keys that are explained at once; each asks every member.
pub const EXPLANATIONS: usize = 16;
/// How long an explanation waits for members that do not answer.
pub const EXPLANATION_TIMEOUT: Duration = Duration::from_millis(500);

/// Bytes of hints kept for one target.
pub const HINT_BYTES_PER_TARGET: usize = 128 * 1024 * 1024;
/// All hints together may take this part of memory: one in so many bytes.
pub const HINT_MEMORY_DIVISOR: u64 = 10;
/// Hints being replayed to one target at once.
pub const HINTS_IN_FLIGHT: usize = 8;
/// How long a hint is worth keeping.
pub const HINT_WINDOW: Duration = Duration::from_secs(600);

/// Bytes, and entries, of one page that is looked through for what was flushed, before a pause.
pub const FLUSH_PAGE_BYTES: usize = 256 * 1024;
/// Entries that are looked through for what was flushed before a pause.
pub const FLUSH_PAGE_ENTRIES: usize = 2_048;
/// How long a flush may take unless it says otherwise: every member writes to its disk three times.
pub const FLUSH_PATIENCE: Duration = Duration::from_secs(5);
/// Flushes that one node coordinates at once.
pub const FLUSHES: usize = 16;

/// Keys in one page of a scan, whatever was asked for.
pub const SCAN_KEYS: u32 = 1_000;
/// Bytes of keys after which a page of a scan ends.
pub const SCAN_PAGE_BYTES: usize = 256 * 1024;
/// Entries that are looked at for one page of a scan.
pub const SCAN_PAGE_ENTRIES: usize = 4_096;
/// To look at a vnode costs as much as to look at so many entries, however few it has.
pub const SCAN_VNODE_ENTRIES: usize = 32;
/// Bytes of entries that are looked at in one step.
pub const SCAN_STEP_BYTES: usize = 16 * 1024;
/// Bytes of a pattern that keys are held against.
pub const SCAN_PATTERN_BYTES: usize = 1_024;
/// Neighbouring vnodes that one page of a scan is about.
pub const SCAN_VNODES: usize = 128;
/// Pages that one call of a scan asks for until it has as many keys as it wants.
pub const SCAN_PAGES: usize = 8;

/// Bytes in one page of a rebuild.
pub const REBUILD_PAGE_BYTES: u32 = 1024 * 1024;
/// How long tombstones and expired markers are kept.
pub const MARKER_LIFE: Duration = Duration::from_secs(3600);
/// The part of a node's memory that is for markers alone.
pub const MARKER_SHARE: f64 = 0.05;
/// How long the time is of whose stamps owners compare what they hold in one number.
pub const TAG_BUCKET: Duration = Duration::from_secs(10);

/// Keys whose requests are counted to find the hottest.
pub const HOT_KEYS: usize = 128;
/// Bytes of a key beyond which it is not among them.
pub const HOT_KEY_BYTES: usize = 1_024;
/// The hottest of them, as a node reports them.
pub const HOT_KEYS_REPORTED: usize = 16;
/// How long other nodes have to report.
pub const REPORT_TIMEOUT: Duration = Duration::from_millis(300);
/// How long their reports are good for: however many ask, nodes are not asked more often.
pub const REPORT_LIFE: Duration = Duration::from_secs(1);

/// Bytes beyond which a shard of the store is not made: there are as many shards as that takes, in powers of two.
pub const STORE_SHARD_BYTES: u64 = 48 * 1024 * 1024;
/// The most that a shard can hold, whatever the store's limit is raised to.
pub const STORE_SHARD_BYTES_MAX: u64 = 96 * 1024 * 1024;

const KEY_AND_VALUE: usize = shoal_proto::types::MAX_KEY_BYTES + shoal_proto::types::MAX_VALUE_BYTES;

const _: () = assert!(PEER_BATCH_OPS <= PEER_QUEUE);
const _: () = assert!(PEER_BATCH_BYTES + KEY_AND_VALUE + 1024 * 1024 < MAX_MESSAGE_BYTES);
const _: () = assert!(PIPELINE_BATCH_BYTES + KEY_AND_VALUE < MAX_MESSAGE_BYTES);
const _: () =
    assert!(BATCH_KEYS * 128 + BATCH_VALUE_BYTES < MAX_MESSAGE_BYTES, "an outcome takes less than 128 bytes");
const _: () = assert!(REBUILD_PAGE_BYTES as usize + KEY_AND_VALUE < MAX_MESSAGE_BYTES);
const _: () = assert!(
    SCAN_PAGE_BYTES + SCAN_STEP_BYTES + shoal_proto::types::MAX_KEY_BYTES < MAX_MESSAGE_BYTES / 4,
    "clients decode 4 MiB"
);
const _: () = assert!(KEY_AND_VALUE < RESP_REQUEST_BYTES && RESP_REQUEST_BYTES < RESP_SKIPPED_BYTES);
const _: () = assert!(KEY_AND_VALUE < RESP_OUTPUT_BYTES);
const _: () = assert!(
    RESP_OUTPUT_BYTES + 32 * RESP_ARGUMENTS + RESP_CHUNK_BYTES < RESP_UNREAD_BYTES,
    "the header and the end of a value take less than 32 bytes"
);
const _: () = assert!(MIN_MEMORY_BYTES >= 2 * shoal_proto::types::MAX_VALUE_BYTES as u64);
const _: () = assert!(UNPROVEN_ARGUMENTS * (UNPROVEN_ARGUMENT_BYTES + 32) < UNPROVEN_INPUT_BYTES);
const _: () = assert!(RESP_INLINE_BYTES < UNPROVEN_INPUT_BYTES);
const _: () =
    assert!(HOT_KEYS_REPORTED <= HOT_KEYS && HOT_KEYS_REPORTED * (HOT_KEY_BYTES + 32) < PEER_BATCH_BYTES);
const _: () = assert!(HTTP_JSON_BYTES < HTTP_BUFFER_BYTES && 6 * BATCH_VALUE_BYTES < HTTP_BUFFER_BYTES);
const _: () = assert!(HTTP_BUFFER_BYTES <= u32::MAX as usize, "taken in permits, many at once");
const _: () = assert!(KEY_AND_VALUE < STORE_SHARD_BYTES as usize / 4);
