//! What the nodes' stores hold at one instant.

use crate::{content::KeyId, history::SimTime};
use shoal_proto::types::{Key, Stamped, UnixMillis};
use std::collections::{BTreeMap, BTreeSet};

/// The stores of all nodes that were up, and who owns what.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// When it was taken.
    pub at: SimTime,
    /// Each node's entries by node number.
    pub stores: BTreeMap<usize, BTreeMap<Key, Stamped>>,
    /// The owners of every key of the workload.
    pub owners: BTreeMap<KeyId, Vec<usize>>,
}

impl Snapshot {
    /// Takes the stores as of `now`: values whose expiry has passed by then count as their markers, whatever the
    /// nodes' own clocks say.
    #[must_use]
    pub fn new(
        at: SimTime,
        now: UnixMillis,
        stores: impl IntoIterator<Item = (usize, Vec<(Key, Stamped)>)>,
        owners: BTreeMap<KeyId, Vec<usize>>,
    ) -> Self {
        let as_of_now = |entries: Vec<(Key, Stamped)>| {
            entries.into_iter().map(|(key, stamped)| (key, stamped.as_of(now))).collect()
        };
        let stores = stores.into_iter().map(|(node, entries)| (node, as_of_now(entries))).collect();
        Self { at, stores, owners }
    }

    /// Every key that some node holds or that has known owners.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<Key> {
        let held = self.stores.values().flat_map(BTreeMap::keys).cloned();
        held.chain(self.owners.keys().map(|key| key.to_key())).collect()
    }

    /// What `node` holds under `key`.
    #[must_use]
    pub fn held(&self, node: usize, key: &Key) -> Option<&Stamped> {
        self.stores.get(&node)?.get(key)
    }

    /// The largest version of `key` on any node.
    #[must_use]
    pub fn largest(&self, key: &Key) -> Option<&Stamped> {
        self.stores.values().filter_map(|store| store.get(key)).max()
    }

    /// What each owner of `key` holds.
    #[must_use]
    pub fn on_owners(&self, key: KeyId) -> Vec<(usize, Option<&Stamped>)> {
        let stored_as = key.to_key();
        let owners = self.owners.get(&key).into_iter().flatten();
        owners.map(|owner| (*owner, self.held(*owner, &stored_as))).collect()
    }

    /// Whether every owner of every key holds the same.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.owners.keys().all(|key| {
            let held = self.on_owners(*key);
            held.iter().all(|(node, entry)| self.stores.contains_key(node) && *entry == held[0].1)
        })
    }
}
