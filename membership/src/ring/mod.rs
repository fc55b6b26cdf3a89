//! Placement and agreement, both pure: no clock, no task, no socket.

pub mod ballot;
pub mod table;

use prost::Message as _;
use shoal_proto::{types::RingRecord, types::Vnode, wire::ring::v1 as wire};
use xxhash_rust::xxh3::xxh3_64;

/// Hash slots, as many as Redis Cluster has.
pub const SLOTS: u16 = 16_384;

/// The hash slot of a key, exactly as Redis Cluster computes it (CRC16-XMODEM of the hash tag or the whole key), so
/// that cluster-aware clients route to an owner by themselves.
/// Source: <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>.
#[must_use]
pub fn slot(key: &[u8]) -> u16 {
    crc16::State::<crc16::XMODEM>::calculate(hash_tag(key)) % SLOTS
}

/// The part of a key between its first `{` and the next `}`, if that is not empty; otherwise the whole key.
fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|b| *b == b'{') else { return key };
    let rest = &key[open + 1..];
    match rest.iter().position(|b| *b == b'}') {
        Some(close) if close > 0 => &rest[..close],
        _ => key,
    }
}

/// The vnode of a slot in a ring of `vnodes` (a power of two up to [`SLOTS`]): a block of neighbouring slots.
#[must_use]
pub fn vnode_of_slot(slot: u16, vnodes: u16) -> Vnode {
    Vnode(slot / (SLOTS / vnodes))
}

/// The vnode of a key.
#[must_use]
pub fn vnode_of(key: &[u8], vnodes: u16) -> Vnode {
    vnode_of_slot(slot(key), vnodes)
}

/// The hash that stands for a record in gossip.
#[must_use]
pub fn digest(record: &RingRecord) -> u64 {
    xxh3_64(&wire::RingRecord::from(record.clone()).encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis_cluster() {
        // The specification's own test vector, and keys checked with CLUSTER KEYSLOT.
        assert_eq!(crc16::State::<crc16::XMODEM>::calculate(b"123456789"), 0x31C3);
        for (key, expected) in [("", 0), ("foo", 12_182), ("{user1000}.following", 3_443), ("foo{}{bar}", 8_363), ("foo{{bar}}zap", 4_015)] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
        assert_eq!(slot(b"{user1000}.followers"), slot(b"user1000"));
    }

    #[test]
    fn vnodes_are_blocks_of_neighbouring_slots() {
        for vnodes in [1, 2, 1024, SLOTS] {
            let mut last = 0;
            for slot in 0..SLOTS {
                let Vnode(vnode) = vnode_of_slot(slot, vnodes);
                assert!(vnode == last || vnode == last + 1);
                last = vnode;
            }
            assert_eq!(last, vnodes - 1);
        }
    }
}
