//! Checks that every structure tells the same story.

use super::*;
use std::collections::BTreeSet;

impl Entries {
    /// Panics unless every slot belongs to an entry, every entry is in the index and in the list it names, and the sums
    /// are right. Returns the values that expire.
    pub(in crate::store) fn check(&self, wheel_lists: usize) {
        let mut slots: BTreeSet<Loc> = self.arena.slots().collect();
        let charged: u64 = slots.iter().map(|at| self.arena.class(*at).charge()).sum();
        let classes: BTreeSet<usize> = slots.iter().map(|at| self.arena.class(*at).number()).collect();
        assert_eq!(self.arena.charged(), charged + (classes.len() * crate::store::arena::PAGE) as u64);

        let mut due = BTreeSet::new();
        let mut count = 0;
        for list in 0..LISTS {
            let mut sum = Sum::default();
            let mut next = self.last(list);
            while let Some(at) = next {
                assert_eq!(self.list(at), list);
                sum.count += 1;
                sum.bytes += self.check_entry(at, &mut slots);
                if record::due(self.arena.at(at)).is_some() {
                    due.insert(at);
                }
                next = self.before(at);
            }
            assert_eq!(self.sums[list], sum, "of list {list}");
            count += sum.count;
        }
        assert_eq!(slots, BTreeSet::new(), "slots that belong to no entry");
        assert_eq!(self.index.len() as u64, count);
        assert_eq!(self.expiring, due.len() as u64);
        for bucket in 0..wheel_lists {
            let mut next = self.any_due(bucket);
            while let Some(at) = next {
                assert!(due.remove(&at), "in the wheel once, and expires");
                next = self.ends.before(&self.arena, Chain::Wheel, at);
            }
        }
        assert_eq!(due, BTreeSet::new(), "values that expire, but not by the wheel");
    }

    /// How much of a list is ghosts.
    pub(in crate::store) fn count_ghosts(&self, list: usize) -> Sum {
        let mut sum = Sum::default();
        let mut next = self.last(list);
        while let Some(at) = next {
            if record::is_ghost(self.head(at)) {
                sum.count += 1;
                sum.bytes += self.weight(at);
            }
            next = self.before(at);
        }
        sum
    }

    /// Takes the entry's slots out of `slots`; returns what they are charged.
    fn check_entry(&self, at: Loc, slots: &mut BTreeSet<Loc>) -> u64 {
        let (vnode, hash) = (self.fields(at).vnode, self.hash(at));
        if record::is_ghost(self.head(at)) {
            assert_eq!((self.find_ghost(vnode, hash), self.find_by_hash(vnode, hash)), (Some(at), None));
        } else {
            assert_eq!(self.find(vnode, hash, &self.key(at)), Some(at));
        }
        let mut bytes = self.arena.class(at).charge();
        assert!(slots.remove(&at));
        let (mut prev, mut next) = (at, self.second(at));
        while let Some(piece) = next {
            assert!(slots.remove(&piece));
            bytes += self.arena.class(piece).charge();
            let tail = self.arena.slot(piece);
            assert!(!record::is_head(tail));
            assert_eq!(Loc::read(&tail[record::TAIL_PREV_AT..]), prev);
            prev = piece;
            next = Some(Loc::read(&tail[record::TAIL_NEXT_AT..])).filter(|next| *next != Loc::NONE);
        }
        assert_eq!(bytes, self.weight(at));
        bytes
    }
}
