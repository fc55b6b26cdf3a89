//! Pure: where a walk over all keys has come to, in the 64 bits that a client gives back.

use shoal_proto::types::{MAX_VNODES, Vnode};

/// A place between two keys of the cluster.
///
/// No more than 53 bits are used, since some clients keep cursors in floating point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The vnode that is walked; all before it are done.
    pub(super) vnode: Vnode,
    /// How far within it; `None` at its beginning.
    pub(super) within: Option<Within>,
}

/// How far a vnode has been walked. Owners keep their keys each in an order of its own, which a restart changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Within {
    /// The owner whose order is followed, by its place in the preference list.
    pub(super) place: u8,
    /// The low bits of how often it had started.
    pub(super) starts: u8,
    /// The last position sent.
    pub(super) position: u32,
}

const POSITION_BITS: u32 = 32;
const STARTS_BITS: u32 = 3;
const PLACE_BITS: u32 = 4;
/// The low bits of a generation are drawn at random; the starts are counted above them.
const GENERATION_SALT_BITS: u32 = 20;

impl Cursor {
    /// The beginning of a vnode.
    pub(super) fn at(vnode: Vnode) -> Self {
        Self { vnode, within: None }
    }

    /// The cursor in these bits, 0 for the beginning; `None` if no walk gives out such.
    pub(super) fn from_bits(bits: u64) -> Option<Self> {
        let field = |shift: u32, bits_of: u32| (bits >> shift) & ((1 << bits_of) - 1);
        let vnode = bits >> (POSITION_BITS + STARTS_BITS + PLACE_BITS);
        let place = field(POSITION_BITS + STARTS_BITS, PLACE_BITS);
        if vnode >= u64::from(MAX_VNODES) {
            return None;
        }
        let within = place.checked_sub(1).map(|place| Within {
            place: place as u8,
            starts: field(POSITION_BITS, STARTS_BITS) as u8,
            position: field(0, POSITION_BITS) as u32,
        });
        Some(Self { vnode: Vnode(vnode as u16), within })
    }

    /// The bits of this cursor; 0 for the beginning alone, which is also how a client is told of the end.
    pub(super) fn to_bits(self) -> u64 {
        let vnode = u64::from(self.vnode.0) << (POSITION_BITS + STARTS_BITS + PLACE_BITS);
        let Some(Within { place, starts, position }) = self.within else { return vnode };
        vnode
            | (u64::from(place) + 1) << (POSITION_BITS + STARTS_BITS)
            | u64::from(starts) << POSITION_BITS
            | u64::from(position)
    }
}

/// What a cursor keeps of an owner's generation.
pub(super) fn starts(generation: u64) -> u8 {
    (generation >> GENERATION_SALT_BITS) as u8 & ((1 << STARTS_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_comes_back_and_fits_what_clients_keep_exactly(
            vnode in 0..MAX_VNODES, place in 0u8..9, starts in 0u8..8, position: u32, begun: bool
        ) {
            let within = begun.then_some(Within { place, starts, position });
            let cursor = Cursor { vnode: Vnode(vnode as u16), within };
            let bits = cursor.to_bits();
            prop_assert!(bits < 1 << 53);
            prop_assert_eq!(Cursor::from_bits(bits), Some(cursor));
            prop_assert_eq!(bits == 0, cursor == Cursor::at(Vnode(0)));
        }

        #[test]
        fn whatever_a_client_sends_is_a_cursor_or_none(bits: u64) {
            if let Some(cursor) = Cursor::from_bits(bits) {
                prop_assert!(u32::from(cursor.vnode.0) < MAX_VNODES);
            }
        }
    }

    #[test]
    fn the_next_starts_of_a_node_are_told_apart() {
        let generation = |starts: u64| (starts << GENERATION_SALT_BITS) + 12_345;
        let seen: std::collections::BTreeSet<u8> = (7..15).map(|n| starts(generation(n))).collect();
        assert_eq!(seen.len(), 8);
    }
}
