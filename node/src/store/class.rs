//! Sizes of pieces. What is stored is cut into pieces, each of which fills a slot of the size of its class.

use super::arena::PAGE;

/// Bytes at the front of every piece but the first of an entry.
pub(super) const TAIL_HEADER: usize = 7;

/// Slot sizes, ascending: steps of 8 up to 256, of 16 up to 512, and then such that a page is filled to the end.
const SIZES: [u16; 61] = [
    24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128, 136, 144, 152, 160, 168, 176, 184, 192, 200,
    208, 216, 224, 232, 240, 248, 256, 272, 288, 304, 320, 336, 352, 368, 384, 400, 416, 432, 448, 464, 480,
    496, 512, 544, 584, 624, 680, 744, 816, 904, 1024, 1168, 1360, 1632, 2048, 2728, 3272, 4096,
];
/// How many slots of each size a page has.
const PER_PAGE: [u16; SIZES.len()] = {
    let mut per_page = [0; SIZES.len()];
    let mut n = 0;
    while n < SIZES.len() {
        per_page[n] = PAGE as u16 / SIZES[n];
        n += 1;
    }
    per_page
};
/// Beyond this a piece is cut rather than put into a slot that it leaves much of empty.
const FINE: usize = 512;
/// What a cut costs: another header, and the rounding of another slot.
const CUT: usize = 24;

/// A class of slots, by its place among the sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Class(u8);

impl Class {
    pub(super) const COUNT: usize = SIZES.len();

    #[cfg(test)]
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT as u8).map(Self)
    }

    pub(super) fn number(self) -> usize {
        usize::from(self.0)
    }

    /// Bytes of a slot.
    pub(super) fn size(self) -> usize {
        usize::from(SIZES[self.number()])
    }

    /// Slots on a page.
    pub(super) fn per_page(self) -> u32 {
        u32::from(PER_PAGE[self.number()])
    }

    /// Bytes charged for a slot: with its part of what is left over at the end of the page.
    pub(super) fn charge(self) -> u64 {
        (PAGE as u64).div_ceil(u64::from(self.per_page()))
    }

    /// The class of the first piece of `len` bytes, of which it takes as many as its slot has room for.
    pub(super) fn for_piece(len: usize) -> Self {
        let up = SIZES.partition_point(|size| usize::from(*size) < len);
        let fits = up < SIZES.len();
        let cut = !fits || (len > FINE && usize::from(SIZES[up]) - len > CUT);
        Self(if cut { up - 1 } else { up } as u8)
    }
}

/// The classes of the pieces of `len` bytes, in order.
fn pieces(len: usize) -> impl Iterator<Item = Class> {
    let mut left = Some(len);
    std::iter::from_fn(move || {
        let class = Class::for_piece(left?);
        left = left.filter(|len| *len > class.size()).map(|len| len - class.size() + TAIL_HEADER);
        Some(class)
    })
}

/// Bytes charged for an entry of `len` bytes, header included.
pub(super) fn charge(len: usize) -> u64 {
    pieces(len).map(Class::charge).sum()
}

/// Bytes that an entry takes, with the pages that it begins where none of their class is in use.
pub(super) fn cost(len: usize, in_use: impl Fn(Class) -> bool) -> u64 {
    let (mut begun, mut bytes) = ([false; Class::COUNT], 0);
    for class in pieces(len) {
        let first = !std::mem::replace(&mut begun[class.number()], true);
        bytes += class.charge() + if first && !in_use(class) { PAGE as u64 } else { 0 };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_ascend_in_steps_of_a_granule_and_fill_pages() {
        assert!(SIZES.is_sorted_by(|a, b| a < b) && SIZES.iter().all(|size| size % 8 == 0));
        for number in 0..Class::COUNT {
            let class = Class(number as u8);
            let filled = class.size() * class.per_page() as usize;
            assert!(PAGE - filled < PAGE / 32, "{} bytes fill {filled}", class.size());
        }
    }

    #[test]
    fn what_is_stored_is_charged_little_more_than_its_length() {
        for len in 24..200_000 {
            let charged = charge(len) as usize;
            assert!(charged >= len && charged <= len + len / 25 + 32, "{len} is charged {charged}");
        }
    }
}
