//! What a node tells of itself, as the keys and values that gossip carries.
//!
//! | key | value |
//! |---|---|
//! | `v` | [`VERSION`] of this table |
//! | `grpc`, `resp`, `http` | where the doors are, `host:port`, or empty |
//! | `zone` | failure domain |
//! | `capacity` | relative share of the data, decimal |
//! | `ready` | `1` when all vnodes are rebuilt, else `0` |
//! | `ring` | `epoch:phase:digest`, the digest in hexadecimal; absent without a record |
//!
//! The node's id, generation and gossip address are part of its identity in gossip and have no keys.

use crate::node_info::{Addresses, NodeInfo, RingDigest};
use shoal_proto::types::{NodeId, Phase};

/// Version of the table: raised only when older nodes would misread it. Keys can be added without.
pub(super) const VERSION: &str = "1";
/// All keys of the table.
const KEYS: [&str; 8] = ["v", "grpc", "resp", "http", "zone", "capacity", "ready", "ring"];
/// The longest value. Larger ones would slow every round, and from about 65 KB on gossip silently stops.
pub(super) const MAX_VALUE_BYTES: usize = 1_000;
// A node's whole state stays under 8 KB: a delta that introduces several nodes must fit into one datagram.
const _: () = assert!(KEYS.len() * (MAX_VALUE_BYTES + "capacity".len()) < 8 * 1_024);

/// Key and value.
pub(super) type Pair = (&'static str, String);

/// The keys and values do not describe a node, or a node does not fit into them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A key is missing; more may be on its way.
    #[error("no '{0}'")]
    Missing(&'static str),
    /// A value cannot be read.
    #[error("malformed '{key}': {value:?}")]
    Malformed {
        /// The key.
        key: &'static str,
        /// The beginning of the value.
        value: String,
    },
    /// A value is too long.
    #[error("'{key}' has {len} bytes; at most {MAX_VALUE_BYTES} can be gossiped")]
    ValueTooLong {
        /// The key.
        key: &'static str,
        /// Length of its value.
        len: usize,
    },
}

/// All that `node` publishes.
pub(super) fn describe(node: &NodeInfo) -> Result<Vec<Pair>, SchemaError> {
    let mut pairs = vec![
        ("v", VERSION.to_owned()),
        ("grpc", node.addresses.grpc.clone()),
        ("resp", node.addresses.resp.clone()),
        ("http", node.addresses.http.clone()),
        ("zone", node.zone.clone()),
        ("capacity", node.capacity.to_string()),
        ready(node.ready),
    ];
    pairs.extend(node.ring.map(ring));
    match pairs.iter().find(|(_, value)| value.len() > MAX_VALUE_BYTES) {
        Some((key, value)) => Err(SchemaError::ValueTooLong { key, len: value.len() }),
        None => Ok(pairs),
    }
}

/// The pair that changes when a node has rebuilt its vnodes.
pub(super) fn ready(ready: bool) -> Pair {
    ("ready", u8::from(ready).to_string())
}

/// The pair that changes with the node's ring record.
pub(super) fn ring(ring: RingDigest) -> Pair {
    ("ring", format!("{}:{}:{:016x}", ring.epoch, ring.phase.number(), ring.digest))
}

/// Who the keys and values belong to.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) node_id: NodeId,
    pub(super) generation: u64,
    /// Its gossip address.
    pub(super) gossip: String,
}

/// Reads what a node published. It comes out as not live: that is not for the node to say.
pub(super) fn parse<'a>(
    who: Identity,
    get: impl Fn(&'static str) -> Option<&'a str>,
) -> Result<NodeInfo, SchemaError> {
    let text = |key| match get(key) {
        None => Err(SchemaError::Missing(key)),
        Some(value) if value.len() > MAX_VALUE_BYTES => {
            Err(SchemaError::ValueTooLong { key, len: value.len() })
        }
        Some(value) => Ok(value),
    };
    let malformed =
        |key, value: &str| SchemaError::Malformed { key, value: value.chars().take(64).collect() };
    let version = text("v")?;
    if version != VERSION {
        return Err(malformed("v", version));
    }
    let capacity = text("capacity")?;
    let ready = text("ready")?;
    let ring =
        get("ring").map(|value| parse_ring(value).ok_or_else(|| malformed("ring", value))).transpose()?;
    Ok(NodeInfo {
        addresses: Addresses {
            gossip: who.gossip,
            grpc: text("grpc")?.to_owned(),
            resp: text("resp")?.to_owned(),
            http: text("http")?.to_owned(),
        },
        zone: text("zone")?.to_owned(),
        capacity: capacity.parse().ok().filter(|c| *c > 0).ok_or_else(|| malformed("capacity", capacity))?,
        ready: match ready {
            "0" => false,
            "1" => true,
            other => return Err(malformed("ready", other)),
        },
        ring,
        live: false,
        node_id: who.node_id,
        generation: who.generation,
    })
}

fn parse_ring(value: &str) -> Option<RingDigest> {
    let mut parts = value.split(':');
    let epoch = parts.next()?.parse().ok()?;
    let phase = Phase::from_number(parts.next()?.parse().ok()?)?;
    let digest = u64::from_str_radix(parts.next()?, 16).ok()?;
    parts.next().is_none().then_some(RingDigest { epoch, phase, digest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn node() -> NodeInfo {
        NodeInfo {
            node_id: NodeId::new("n").unwrap(),
            generation: 3,
            addresses: Addresses {
                gossip: "127.0.0.1:1".into(),
                grpc: "a:1".into(),
                resp: "a:2".into(),
                http: String::new(),
            },
            zone: "z".into(),
            capacity: 100,
            ring: Some(RingDigest { epoch: 7, phase: Phase::WriteBothReadNew, digest: 0xab }),
            ready: true,
            live: false,
        }
    }

    fn read(pairs: &BTreeMap<&str, String>) -> Result<NodeInfo, SchemaError> {
        let who = Identity { node_id: node().node_id, generation: 3, gossip: "127.0.0.1:1".into() };
        parse(who, |key| pairs.get(key).map(String::as_str))
    }

    proptest! {
        #[test]
        fn what_is_described_is_read_back(
            texts in proptest::array::uniform4(".{0,200}"),
            capacity in 1u32..,
            ready: bool,
            ring in proptest::option::of((any::<u64>(), 0u32..4, any::<u64>())),
        ) {
            let [grpc, resp, http, zone] = texts;
            let addresses = Addresses { gossip: "127.0.0.1:1".into(), grpc, resp, http };
            let ring = ring.map(|(epoch, phase, digest)| RingDigest { epoch, phase: Phase::from_number(phase).unwrap(), digest });
            let node = NodeInfo { addresses, zone, capacity, ready, ring, ..node() };
            prop_assert_eq!(read(&describe(&node).unwrap().into_iter().collect()), Ok(node));
        }

        #[test]
        fn odd_values_are_errors_and_never_panics(at: prop::sample::Index, value in ".{0,40}") {
            let mut pairs: BTreeMap<_, _> = describe(&node()).unwrap().into_iter().collect();
            let key = *at.get(&pairs.keys().copied().collect::<Vec<_>>());
            pairs.insert(key, value.clone());
            if let Ok(read) = read(&pairs) {
                let rewritten: BTreeMap<_, _> = describe(&read).unwrap().into_iter().collect();
                prop_assert_eq!(rewritten.len(), pairs.len());
            }
        }
    }

    #[test]
    fn malformed_values_are_named() {
        let cases = [
            ("v", "2"),
            ("capacity", "0"),
            ("capacity", "-1"),
            ("ready", "yes"),
            ("ring", "1:2"),
            ("ring", "1:4:ab"),
            ("ring", "1:2:ab:"),
            ("ring", ""),
        ];
        for (key, value) in cases {
            let mut pairs: BTreeMap<_, _> = describe(&node()).unwrap().into_iter().collect();
            pairs.insert(key, value.to_owned());
            assert_eq!(read(&pairs), Err(SchemaError::Malformed { key, value: value.to_owned() }));
        }
    }

    #[test]
    fn all_keys_but_the_ring_are_required() {
        let pairs: BTreeMap<_, _> = describe(&node()).unwrap().into_iter().collect();
        assert!(pairs.len() == KEYS.len() && KEYS.iter().all(|key| pairs.contains_key(key)));
        for key in pairs.keys() {
            let mut fewer = pairs.clone();
            fewer.remove(key);
            match *key {
                "ring" => assert_eq!(read(&fewer).map(|node| node.ring), Ok(None)),
                key => assert_eq!(read(&fewer), Err(SchemaError::Missing(key))),
            }
        }
    }

    #[test]
    fn a_value_of_a_kilobyte_is_refused_on_both_ends() {
        let long = NodeInfo { zone: "z".repeat(MAX_VALUE_BYTES + 1), ..node() };
        let error = SchemaError::ValueTooLong { key: "zone", len: MAX_VALUE_BYTES + 1 };
        assert_eq!(describe(&long), Err(error.clone()));
        let mut pairs: BTreeMap<_, _> = describe(&node()).unwrap().into_iter().collect();
        pairs.insert("zone", long.zone);
        assert_eq!(read(&pairs), Err(error));
    }
}
