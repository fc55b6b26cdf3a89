//! What stores are filled with: keys of 16 bytes in an order that means nothing.

use shoal_node::store::{EvictionPolicy, Store, StoreConfig};
use shoal_proto::types::{Key, Stamped, Tag, UnixMillis, Value, Vnode};
use std::time::Duration;

/// When it all begins.
pub const START: UnixMillis = UnixMillis(1_700_000_000_000);
const VNODES: u16 = 1_024;

/// A store as a node has it.
#[must_use]
pub fn store(policy: EvictionPolicy, max_bytes: u64) -> Store {
    Store::new(StoreConfig {
        max_bytes,
        policy,
        vnodes: VNODES,
        seed: 7,
        marker_life: Duration::from_secs(3600),
        marker_share: 0.05,
    })
}

/// The 16 bytes of a key.
#[must_use]
pub fn key_bytes(number: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = b"0123456789abcdef"[(mixed >> (4 * at)) as usize % 16];
    }
    bytes
}

/// A key and its vnode.
///
/// # Panics
/// Never: the key is neither empty nor too long.
#[must_use]
pub fn place(number: u64) -> (Vnode, Key) {
    let key = Key::new(key_bytes(number).to_vec()).expect("short");
    (Vnode((number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) as u16 % VNODES), key)
}

/// A value under the tag of this number, which is larger than those of all before it.
///
/// # Panics
/// At number `u64::MAX`.
#[must_use]
pub fn live(number: u64, expires_at: Option<UnixMillis>, value: Value) -> Stamped {
    Stamped::live(tag(number), 0, expires_at, value)
}

/// A deletion under such a tag.
///
/// # Panics
/// At number `u64::MAX`.
#[must_use]
pub fn tombstone(number: u64) -> Stamped {
    Stamped::tombstone(tag(number))
}

fn tag(number: u64) -> Tag {
    Tag::from_bits(number + 1).expect("not zero")
}
