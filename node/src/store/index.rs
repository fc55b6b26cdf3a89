use super::{entry::Entry, slab::Slab};
use hashbrown::HashTable;
use shoal_proto::types::Vnode;

/// Beyond this many tables vnodes share them, so that a cluster of many vnodes does not spend its memory on empty ones.
const MAX_TABLES: u16 = 1_024;

/// Finds slots by key: one hash table per vnode, so that a vnode can be walked without touching the others and growth
/// never rehashes much at once.
pub(super) struct Index {
    tables: Box<[HashTable<u32>]>,
}

impl Index {
    pub(super) fn new(vnodes: u16) -> Self {
        Self { tables: (0..table_count(vnodes)).map(|_| HashTable::new()).collect() }
    }

    /// Bytes of an index without entries.
    pub(super) fn fixed_bytes(vnodes: u16) -> u64 {
        u64::from(table_count(vnodes)) * size_of::<HashTable<u32>>() as u64
    }

    pub(super) fn find(&self, slab: &Slab, vnode: Vnode, hash: u64, key: &[u8]) -> Option<u32> {
        let is_it = |entry: &Entry| entry.hash() == hash && entry.vnode() == vnode && entry.key() == key;
        self.table(vnode).find(scatter(hash), |slot| is_it(&slab[*slot])).copied()
    }

    /// Adds `slot`, whose key must not be in the index.
    pub(super) fn insert(&mut self, slab: &Slab, slot: u32) {
        let entry = &slab[slot];
        self.table_mut(entry.vnode())
            .insert_unique(scatter(entry.hash()), slot, |other| rehash(slab, *other));
    }

    /// Takes out `slot`, whose entry must still be there.
    pub(super) fn remove(&mut self, slab: &Slab, slot: u32) {
        let entry = &slab[slot];
        let table = self.table_mut(entry.vnode());
        if let Ok(found) = table.find_entry(scatter(entry.hash()), |other| *other == slot) {
            found.remove();
        }
        if table.len() < table.capacity() / 8 {
            table.shrink_to(2 * table.len(), |other| rehash(slab, *other));
        }
    }

    /// The entry at `from` is about to move to `to`.
    pub(super) fn rename(&mut self, slab: &Slab, from: u32, to: u32) {
        let entry = &slab[from];
        if let Some(slot) =
            self.table_mut(entry.vnode()).find_mut(scatter(entry.hash()), |slot| *slot == from)
        {
            *slot = to;
        }
    }

    /// The slots of one vnode, in no meaningful order.
    pub(super) fn of_vnode<'a>(&'a self, slab: &'a Slab, vnode: Vnode) -> impl Iterator<Item = u32> + 'a {
        self.table(vnode).iter().copied().filter(move |slot| slab[*slot].vnode() == vnode)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.tables.iter().map(HashTable::len).sum()
    }

    fn table(&self, vnode: Vnode) -> &HashTable<u32> {
        &self.tables[usize::from(vnode.0) % self.tables.len()]
    }

    fn table_mut(&mut self, vnode: Vnode) -> &mut HashTable<u32> {
        &mut self.tables[usize::from(vnode.0) % self.tables.len()]
    }
}

fn table_count(vnodes: u16) -> u16 {
    vnodes.clamp(1, MAX_TABLES)
}

fn rehash(slab: &Slab, slot: u32) -> u64 {
    scatter(slab[slot].hash())
}

/// All hashes of one shard share their top bits, which a table would use to tell entries of a bucket apart:
/// give it others.
fn scatter(hash: u64) -> u64 {
    hash.rotate_left(32)
}
