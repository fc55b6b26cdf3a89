//! The table as cluster clients see it: ranges of hash slots.

use crate::ring::SLOTS;
use shoal_proto::types::OwnerTable;

/// Neighbouring hash slots with the same preference list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedSlots {
    /// The first slot.
    pub start: u16,
    /// The last slot.
    pub end: u16,
    /// The preference list, as indices into the record's members.
    pub owners: Vec<u16>,
}

/// The longest ranges of slots with the same preference list. They are in order and cover all slots.
#[must_use]
pub fn slot_ranges(table: &OwnerTable) -> Vec<OwnedSlots> {
    let width = SLOTS / table.vnodes();
    let mut ranges: Vec<OwnedSlots> = Vec::new();
    let mut start = 0;
    for row in table.rows() {
        let end = start + (width - 1);
        match ranges.last_mut() {
            Some(last) if last.owners == row => last.end = end,
            _ => ranges.push(OwnedSlots { start, end, owners: row.to_vec() }),
        }
        start += width;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_vnodes_with_one_preference_list_are_one_range() {
        let table = OwnerTable::new(2, vec![0, 1, 0, 1, 1, 0, 2, 1]).unwrap();
        let range = |start, end, owners: [u16; 2]| OwnedSlots { start, end, owners: owners.into() };
        assert_eq!(
            slot_ranges(&table),
            [range(0, 8_191, [0, 1]), range(8_192, 12_287, [1, 0]), range(12_288, 16_383, [2, 1])]
        );
    }

    #[test]
    fn any_number_of_vnodes_covers_all_slots() {
        for vnodes in [1, 2, 1_024, SLOTS] {
            let table = OwnerTable::new(1, (0..vnodes).map(|vnode| vnode % 2).collect()).unwrap();
            let ranges = slot_ranges(&table);
            assert_eq!(ranges.len(), usize::from(vnodes));
            assert_eq!((ranges[0].start, ranges[ranges.len() - 1].end), (0, SLOTS - 1));
            assert!(ranges.windows(2).all(|pair| pair[0].end + 1 == pair[1].start));
        }
    }
}
