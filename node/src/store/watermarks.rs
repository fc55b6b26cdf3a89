//! Up to where the owners of each vnode agree.

use super::digest::Bucket;
use shoal_proto::types::{Tag, Vnode};
use std::sync::atomic::{AtomicU64, Ordering};

/// Up to which stamps ([`Version::stamp`](shoal_proto::types::Version::stamp)) a vnode is agreed on. `sealed` is never
/// less than `confirmed`, and that never less than `settled`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watermarks {
    /// Writes at or under it are refused: what there is up to here is being compared.
    pub sealed: Option<Tag>,
    /// This owner holds everything up to here, or has seen it pass; nothing installs there any more.
    pub confirmed: Option<Tag>,
    /// So do all owners.
    pub settled: Option<Tag>,
}

/// The watermarks of all vnodes. They only ever rise, but for [`Marks::reset`].
///
/// They are raised without a lock and read under that of a shard: who raises one and then takes that lock once knows
/// that whoever takes it next sees it raised.
pub(super) struct Marks {
    vnodes: Box<[Mark]>,
    /// How often any vnode was settled further.
    settlings: AtomicU64,
}

/// Bits of tags, 0 for none.
#[derive(Default)]
struct Mark {
    sealed: AtomicU64,
    confirmed: AtomicU64,
    settled: AtomicU64,
}

impl Marks {
    pub(super) fn new(vnodes: u16) -> Self {
        let vnodes = (0..vnodes).map(|_| Mark::default()).collect();
        Self { vnodes, settlings: AtomicU64::new(0) }
    }

    /// What they take, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        size_of_val(&*self.vnodes) as u64
    }

    pub(super) fn of(&self, vnode: Vnode) -> Watermarks {
        let Some(mark) = self.mark(vnode) else { return Watermarks::default() };
        let read = |bits: &AtomicU64| Tag::from_bits(bits.load(Ordering::Acquire));
        // The lowest first, so that none is read to be above the next.
        let settled = read(&mark.settled);
        let confirmed = read(&mark.confirmed);
        Watermarks { sealed: read(&mark.sealed), confirmed, settled }
    }

    pub(super) fn sealed(&self, vnode: Vnode) -> Option<Tag> {
        Tag::from_bits(self.mark(vnode)?.sealed.load(Ordering::Acquire))
    }

    pub(super) fn settled(&self, vnode: Vnode) -> Option<Tag> {
        Tag::from_bits(self.mark(vnode)?.settled.load(Ordering::Acquire))
    }

    pub(super) fn seal(&self, vnode: Vnode, through: Tag) {
        if let Some(mark) = self.mark(vnode) {
            mark.sealed.fetch_max(through.to_bits(), Ordering::AcqRel);
        }
    }

    /// No further than the vnode is sealed.
    pub(super) fn confirm(&self, vnode: Vnode, through: Tag) {
        if let Some(mark) = self.mark(vnode) {
            let through = through.to_bits().min(mark.sealed.load(Ordering::Acquire));
            mark.confirmed.fetch_max(through, Ordering::AcqRel);
        }
    }

    /// No further than the vnode is confirmed, and to the end of a bucket. Returns that bucket if the watermark rose.
    pub(super) fn settle(&self, vnode: Vnode, through: Tag, bucket: &Bucket) -> Option<u64> {
        let mark = self.mark(vnode)?;
        let through = through.to_bits().min(mark.confirmed.load(Ordering::Acquire));
        let closed = bucket.last_closed(Tag::from_bits(through)?)?;
        let end = bucket.end(closed).to_bits();
        let rose = mark.settled.fetch_max(end, Ordering::AcqRel) < end;
        rose.then(|| {
            self.settlings.fetch_add(1, Ordering::AcqRel);
            closed
        })
    }

    pub(super) fn settlings(&self) -> u64 {
        self.settlings.load(Ordering::Acquire)
    }

    pub(super) fn reset(&self, vnode: Vnode) {
        if let Some(mark) = self.mark(vnode) {
            for bits in [&mark.settled, &mark.confirmed, &mark.sealed] {
                bits.store(0, Ordering::Release);
            }
        }
    }

    fn mark(&self, vnode: Vnode) -> Option<&Mark> {
        self.vnodes.get(usize::from(vnode.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shoal_proto::types::WriterId;
    use std::time::Duration;

    const HERE: Vnode = Vnode(1);

    fn tag(millis: u64) -> Tag {
        Tag::from_ticks(millis << 10, WriterId::member(1).unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn they_only_rise_and_stay_in_order(steps in proptest::collection::vec((0..3u8, 0..100u64), 1..40)) {
            let (marks, bucket) = (Marks::new(2), Bucket::new(Duration::from_millis(10)));
            let mut before = Watermarks::default();
            for (which, millis) in steps {
                match which {
                    0 => marks.seal(HERE, tag(millis)),
                    1 => marks.confirm(HERE, tag(millis)),
                    _ => drop(marks.settle(HERE, tag(millis), &bucket)),
                }
                let now = marks.of(HERE);
                prop_assert!(now.sealed >= now.confirmed && now.confirmed >= now.settled);
                prop_assert!(now.sealed >= before.sealed && now.confirmed >= before.confirmed);
                prop_assert!(now.settled >= before.settled);
                // The end of a bucket of 10 ms is the last tag before a multiple of that.
                prop_assert!(now.settled.is_none_or(|at| (at.to_bits() + 1) % (10 << 22) == 0));
                before = now;
            }
            prop_assert_eq!(marks.of(Vnode(0)), Watermarks::default());
        }
    }
}
