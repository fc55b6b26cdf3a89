//! What one shard may hold beyond its share, for an entry that is larger than that: the others hold so much less.
//!
//! Shares are small where a store that was made for much was told to hold little. There is one loan at a time: whoever
//! needs another has it from the first, which gives up its large entry for that.

use shoal_proto::types::{Key, Vnode};

/// Kept free beside the entry, for what the index may grow by.
const SLACK: u64 = 64 * 1024;

/// For whom it is.
pub(super) struct Loan {
    pub(super) shard: usize,
    pub(super) vnode: Vnode,
    pub(super) key: Key,
    /// What the shard may hold.
    pub(super) bytes: u64,
}

impl Loan {
    /// The loan by which an entry of `bytes` would fit a shard that takes so many bytes by itself; `None` where it would
    /// leave the others less than that.
    pub(super) fn for_entry(
        (vnode, key): (Vnode, &Key),
        shard: usize,
        (bytes, taken): (u64, u64),
        shares: Shares,
    ) -> Option<Self> {
        let bytes = bytes + taken + SLACK;
        let left = shares.max_bytes.checked_sub(bytes)?;
        (left >= (shares.count - 1) * (taken + SLACK)).then(|| Self { shard, vnode, key: key.clone(), bytes })
    }
}

/// How the limit is divided.
#[derive(Clone, Copy)]
pub(super) struct Shares {
    pub(super) max_bytes: u64,
    pub(super) count: u64,
}

impl Shares {
    /// What every shard may hold while there is no loan.
    fn even(self) -> u64 {
        self.max_bytes / self.count
    }

    /// What this shard may hold.
    pub(super) fn of(self, shard: usize, loan: Option<&Loan>) -> u64 {
        match loan {
            None => self.even(),
            Some(loan) if loan.shard == shard => loan.bytes,
            Some(loan) => (self.max_bytes - loan.bytes) / (self.count - 1).max(1),
        }
    }
}
