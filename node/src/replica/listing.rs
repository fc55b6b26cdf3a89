//! The keys a node holds, page by page.

use super::LocalReplica;
use crate::limits;
use shoal_membership::ring;
use shoal_proto::types::{Key, KeyListing, KeysPage, PullCursor, Refusal, Vnode};

/// What a small entry takes in a page of the store.
const SMALL_ENTRY_BYTES: usize = 100;

impl LocalReplica {
    /// The next page of a listing. Only memory that is trusted is listed, and only to who knows whose it is.
    ///
    /// A page ends once it has as many keys as were asked for or has cost enough, but never between two entries whose
    /// hashes begin alike: where it ended is told by the beginning of a hash.
    pub(super) fn list_keys(&self, listing: &KeyListing) -> Result<KeysPage, Refusal> {
        self.may_be_pulled(&listing.vnodes, listing.source_generation)?;
        let mut page = Pages { replica: self, listing, page: KeysPage::default(), bytes: 0, examined: 0 };
        let vnodes = listing.vnodes.iter().copied();
        for vnode in vnodes.filter(|vnode| listing.after.is_none_or(|after| *vnode >= after.vnode)) {
            if !page.list(vnode) {
                return Ok(page.page);
            }
            // Nothing follows the largest hash, so it stands for the end of the vnode.
            page.page.next = Some(PullCursor { vnode, hash: u64::MAX });
            if page.is_full() {
                return Ok(page.page);
            }
        }
        Ok(KeysPage { next: None, ..page.page })
    }
}

/// A page in the making.
struct Pages<'a> {
    replica: &'a LocalReplica,
    listing: &'a KeyListing,
    page: KeysPage,
    bytes: usize,
    examined: usize,
}

impl Pages<'_> {
    fn is_full(&self) -> bool {
        self.page.keys.len() >= self.listing.limit as usize
            || self.bytes >= limits::SCAN_PAGE_BYTES
            || self.examined >= limits::SCAN_PAGE_ENTRIES
    }

    /// Lists a vnode, from where the last page ended if that was within it. Returns whether it was listed to its end.
    fn list(&mut self, vnode: Vnode) -> bool {
        // Looking at an empty vnode costs something, too.
        self.examined += limits::SCAN_VNODE_ENTRIES;
        let within = self.listing.after.filter(|after| after.vnode == vnode);
        let mut after = within.map(|after| end_of_position(after.hash));
        loop {
            let full = self.is_full() && self.examined > limits::SCAN_VNODE_ENTRIES;
            // One entry beyond a full page tells whether the page may end here.
            let max_bytes = if full { 1 } else { self.step_bytes() };
            let (entries, next) = self.replica.store.scan(vnode, after, max_bytes, self.replica.now());
            if entries.is_empty() {
                return true;
            }
            if full && after.zip(next).is_some_and(|(last, next)| position(last) != position(next)) {
                self.page.next = after.map(|hash| PullCursor { vnode, hash });
                return false;
            }
            let view = self.replica.cluster.view();
            for (key, entry) in entries {
                self.examined += 1;
                let gone = self.replica.is_gone(&view, entry.version().tag);
                if entry.value().is_some() && !gone && self.wants(&key) {
                    self.bytes += key.as_bytes().len() + size_of::<Key>();
                    self.page.keys.push(key);
                }
            }
            match next {
                Some(hash) => after = Some(hash),
                None => return true,
            }
        }
    }

    /// About as much as the entries take that are still wanted, were they small: large ones come one by one.
    fn step_bytes(&self) -> usize {
        let wanted = (self.listing.limit as usize).saturating_sub(self.page.keys.len());
        (wanted * SMALL_ENTRY_BYTES).min(limits::SCAN_STEP_BYTES)
    }

    fn wants(&self, key: &Key) -> bool {
        self.listing.slot.is_none_or(|slot| ring::slot(key.as_bytes()) == slot)
    }
}

/// What a cursor keeps of a hash.
fn position(hash: u64) -> u64 {
    hash >> (u64::BITS - KeyListing::POSITION_BITS)
}

/// The last hash that a cursor cannot tell from this one.
fn end_of_position(hash: u64) -> u64 {
    hash | (u64::MAX >> KeyListing::POSITION_BITS)
}
