//! What a store does, written as plainly as possible: a map, and a list of what it has forgotten.

use super::*;
use std::collections::BTreeMap;

/// The store's contract, but for what it gives up: that, it is told.
#[derive(Default)]
pub(super) struct Model {
    held: BTreeMap<(Vnode, Key), Held>,
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) expirations: u64,
}

#[derive(Clone)]
struct Held {
    entry: Stamped,
    /// Since when it is a marker.
    since: UnixMillis,
}

impl Model {
    pub(super) fn get(&mut self, vnode: Vnode, key: &Key, now: UnixMillis) -> Option<Stamped> {
        let found = self.peek(vnode, key, now);
        let hit = found.as_ref().is_some_and(|entry| entry.value().is_some());
        self.hits += u64::from(hit);
        self.misses += u64::from(!hit);
        found
    }

    pub(super) fn peek(&mut self, vnode: Vnode, key: &Key, now: UnixMillis) -> Option<Stamped> {
        let held = self.held.get_mut(&(vnode, key.clone()))?;
        if held.entry.value().is_some() && held.entry.version().is_past(now) {
            *held = Held { entry: held.entry.clone().as_of(now), since: now };
            self.expirations += 1;
        }
        Some(held.entry.clone())
    }

    pub(super) fn put(&mut self, vnode: Vnode, key: &Key, entry: Stamped, now: UnixMillis) -> PutOutcome {
        let entry = entry.as_of(now);
        let held = self.peek(vnode, key, now);
        let was_live = held.as_ref().is_some_and(|held| held.value().is_some());
        match held {
            Some(held) if held > entry => PutOutcome::Superseded { by: held.version(), was_live },
            Some(held) if held == entry => PutOutcome::Unchanged { was_live },
            _ => {
                self.held.insert((vnode, key.clone()), Held { entry, since: now });
                PutOutcome::Stored { was_live }
            }
        }
    }

    pub(super) fn expire(&mut self, now: UnixMillis) {
        let all: Vec<_> = self.held.keys().cloned().collect();
        all.iter().for_each(|(vnode, key)| drop(self.peek(*vnode, key, now)));
        self.held.retain(|_, held| held.entry.value().is_some() || now.saturating_since(held.since) < LIFE);
    }

    pub(super) fn forget_key(&mut self, vnode: Vnode, key: &Key, through: Tag) -> bool {
        let place = (vnode, key.clone());
        let found = self.held.get(&place).is_some_and(|held| held.entry.version().tag <= through);
        found && self.held.remove(&place).is_some()
    }

    pub(super) fn clear_vnode(&mut self, vnode: Vnode) {
        self.held.retain(|(other, _), _| *other != vnode);
    }

    /// Everything in a vnode, by key.
    pub(super) fn scan(&self, vnode: Vnode, now: UnixMillis) -> Vec<(Key, Stamped)> {
        let of_vnode = self.held.iter().filter(|((other, _), _)| *other == vnode);
        of_vnode.map(|((_, key), held)| (key.clone(), held.entry.clone().as_of(now))).collect()
    }

    /// Forgets what `store` does not hold any more; how much that is.
    pub(super) fn forget(&mut self, store: &Store, now: UnixMillis) -> u64 {
        let all: Vec<_> = self.held.keys().cloned().collect();
        for (vnode, key) in &all {
            // Both notice now what has expired: markers take room, for which others may have to go.
            let _ = (self.peek(*vnode, key, now), store.peek(*vnode, key, now));
        }
        self.held.retain(|(vnode, key), _| store.peek(*vnode, key, now).is_some());
        (all.len() - self.held.len()) as u64
    }

    /// Values and markers held.
    pub(super) fn counts(&self) -> (u64, u64) {
        let values = self.held.values().filter(|held| held.entry.value().is_some()).count();
        (values as u64, (self.held.len() - values) as u64)
    }
}
