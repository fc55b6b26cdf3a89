use super::shard;
use shoal_proto::types::{Tag, UnixMillis, Version};

/// What is held under a key, by the hash of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// The hash, the same on all nodes that share a seed.
    pub hash: u64,
    /// The version, as of now. That of a ghost has no hash of the value.
    pub version: Version,
    /// The value was given up; its owner counts as holding it all the same.
    pub ghost: bool,
}

/// Something held, on its way into a list.
pub(super) enum Held {
    Entry(shard::Held),
    Ghost(Version),
}

/// What is held with a stamp above one and at or under another, in ascending order of hash.
pub(super) struct List {
    above: Option<Tag>,
    through: Tag,
    all: Vec<(u64, Held)>,
    last: Option<u64>,
    bytes: usize,
    max: usize,
}

/// Bytes of values of which the hashes are made for one list.
const MAX_BYTES: usize = 1024 * 1024;

impl List {
    pub(super) fn new(above: Option<Tag>, through: Tag, after: Option<u64>, max: usize) -> Self {
        Self { above, through, all: Vec::new(), last: after, bytes: 0, max }
    }

    /// The hash beyond which to go on.
    pub(super) fn last(&self) -> Option<u64> {
        self.last
    }

    pub(super) fn wants(&self, stamp: Tag) -> bool {
        Some(stamp) > self.above && stamp <= self.through
    }

    /// As for a [`Page`](super::scan::Page): none of the last one's hash is refused.
    pub(super) fn has_room(&self, hash: u64) -> bool {
        let has_room = self.all.len() < self.max && self.bytes < MAX_BYTES;
        self.all.is_empty() || has_room || self.last == Some(hash)
    }

    pub(super) fn add(&mut self, hash: u64, held: Held) {
        self.bytes += if let Held::Entry(entry) = &held { entry.value_len() } else { 0 };
        self.last = Some(hash);
        self.all.push((hash, held));
    }

    /// What was listed, and the hash after which the next page begins unless this one is the `end`.
    pub(super) fn finish(self, end: bool, now: UnixMillis) -> (Vec<Listed>, Option<u64>) {
        let each = self.all.into_iter().map(|(hash, held)| match held {
            Held::Entry(entry) => {
                Listed { hash, version: entry.into_stamped().version().as_of(now), ghost: false }
            }
            Held::Ghost(version) => Listed { hash, version, ghost: true },
        });
        (each.collect(), self.last.filter(|_| !end))
    }
}
