//! What a store of one shard does, written as plainly as possible: two lists, searched from end to end.

use super::*;

/// The store's contract over two lists, oldest first.
pub(super) struct Model {
    live: Vec<Held>,
    markers: Vec<Held>,
    live_limit: u64,
    marker_limit: u64,
    pub(super) stats: StoreStats,
}

#[derive(Clone)]
struct Held {
    vnode: Vnode,
    key: Key,
    entry: Stamped,
    since: UnixMillis,
}

impl Held {
    fn weight(&self) -> u64 {
        let value = self.entry.value().map_or(0, |value| value.as_bytes().len());
        let expires = self.entry.value().is_some() && self.entry.version().expires_at.is_some();
        (self.key.as_bytes().len() + value) as u64
            + ENTRY_OVERHEAD
            + if expires { EXPIRY_OVERHEAD } else { 0 }
    }
}

impl Model {
    pub(super) fn new(max_bytes: u64, live_limit: u64, marker_limit: u64) -> Self {
        let stats = StoreStats { max_bytes, ..StoreStats::default() };
        Self { live: Vec::new(), markers: Vec::new(), live_limit, marker_limit, stats }
    }

    pub(super) fn get(&mut self, vnode: Vnode, key: &Key, now: UnixMillis) -> Option<Stamped> {
        self.settle(vnode, key, now);
        match position(&self.live, vnode, key) {
            Some(at) => {
                let held = self.live.remove(at);
                self.live.push(held);
                self.stats.hits += 1;
            }
            None => self.stats.misses += 1,
        }
        self.peek(vnode, key, now)
    }

    pub(super) fn peek(&mut self, vnode: Vnode, key: &Key, now: UnixMillis) -> Option<Stamped> {
        self.settle(vnode, key, now);
        let mut all = self.live.iter().chain(&self.markers);
        all.find(|held| held.vnode == vnode && held.key == *key).map(|held| held.entry.clone())
    }

    pub(super) fn put(
        &mut self,
        vnode: Vnode,
        key: &Key,
        entry: Stamped,
        cause: Cause,
        now: UnixMillis,
    ) -> PutOutcome {
        let new = Held { vnode, key: key.clone(), entry: entry.as_of(now), since: now };
        if new.entry.value().is_some() && new.weight() > self.live_limit {
            return PutOutcome::TooLarge { bytes: new.weight(), limit: self.live_limit };
        }
        let held = self.peek(vnode, key, now);
        let was_live = held.as_ref().is_some_and(|held| held.value().is_some());
        match held {
            Some(held) if held > new.entry => return PutOutcome::Superseded { by: held.version(), was_live },
            Some(held) if held == new.entry => {
                if let Some(at) = position(&self.live, vnode, key)
                    && cause == Cause::User
                {
                    let held = self.live.remove(at);
                    self.live.push(held);
                }
                return PutOutcome::Unchanged { was_live };
            }
            _ => {}
        }
        let live_at = position(&self.live, vnode, key);
        match live_at {
            Some(at) if cause != Cause::User && new.entry.value().is_some() => self.live[at] = new,
            _ => {
                self.live.retain(|held| held.key != *key || held.vnode != vnode);
                self.markers.retain(|held| held.key != *key || held.vnode != vnode);
                if new.entry.value().is_some() { self.live.push(new) } else { self.markers.push(new) }
            }
        }
        self.shed();
        PutOutcome::Stored { was_live }
    }

    pub(super) fn expire(&mut self, now: UnixMillis) {
        while let Some(first) = self.live.iter().filter_map(due).min().filter(|(at, _, _)| *at <= now) {
            self.settle(first.1, &first.2, now);
        }
        self.markers.retain(|held| now.saturating_since(held.since) < LIFE);
    }

    pub(super) fn clear_vnode(&mut self, vnode: Vnode) {
        self.live.retain(|held| held.vnode != vnode);
        self.markers.retain(|held| held.vnode != vnode);
    }

    pub(super) fn forget(&mut self, vnode: Vnode, key: &Key, through: Tag) -> bool {
        let is_it =
            |held: &Held| held.vnode == vnode && held.key == *key && held.entry.version().tag <= through;
        let before = self.live.len() + self.markers.len();
        self.live.retain(|held| !is_it(held));
        self.markers.retain(|held| !is_it(held));
        self.live.len() + self.markers.len() < before
    }

    /// Everything in a vnode, by key.
    pub(super) fn scan(&self, vnode: Vnode, now: UnixMillis) -> Vec<(Key, Stamped)> {
        let of_vnode = self.live.iter().chain(&self.markers).filter(|held| held.vnode == vnode);
        let mut found: Vec<_> =
            of_vnode.map(|held| (held.key.clone(), held.entry.clone().as_of(now))).collect();
        found.sort();
        found
    }

    pub(super) fn stats(&self) -> StoreStats {
        StoreStats {
            entries: self.live.len() as u64,
            expiring: self.live.iter().filter_map(due).count() as u64,
            markers: self.markers.len() as u64,
            bytes: self.live.iter().map(Held::weight).sum(),
            marker_bytes: self.markers.iter().map(Held::weight).sum(),
            ..self.stats
        }
    }

    fn settle(&mut self, vnode: Vnode, key: &Key, now: UnixMillis) {
        let Some(at) = position(&self.live, vnode, key) else { return };
        if self.live[at].entry.version().is_past(now) {
            let held = self.live.remove(at);
            self.markers.push(Held { entry: held.entry.as_of(now), since: now, ..held });
            self.stats.expirations += 1;
            self.shed();
        }
    }

    fn shed(&mut self) {
        while self.live.iter().map(Held::weight).sum::<u64>() > self.live_limit {
            self.live.remove(0);
            self.stats.evictions += 1;
        }
        while self.markers.iter().map(Held::weight).sum::<u64>() > self.marker_limit {
            self.markers.remove(0);
            self.stats.markers_dropped += 1;
        }
    }
}

fn position(list: &[Held], vnode: Vnode, key: &Key) -> Option<usize> {
    list.iter().position(|held| held.vnode == vnode && held.key == *key)
}

fn due(held: &Held) -> Option<(UnixMillis, Vnode, Key)> {
    Some((held.entry.version().expires_at?, held.vnode, held.key.clone()))
}
