//! What a store does, written as plainly as possible: a map, and what it is told that the store gave up.

use super::*;
use std::collections::BTreeMap;

/// Buckets that are kept apart.
const BUCKETS: u64 = 8;

/// The store's contract, but for what it gives up: that, it is told.
#[derive(Default)]
pub(super) struct Model {
    held: BTreeMap<(Vnode, Key), State>,
    marks: BTreeMap<Vnode, Marked>,
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) expirations: u64,
    pub(super) sealed: u64,
}

#[derive(Clone, PartialEq)]
enum State {
    Value(Stamped),
    /// And since when.
    Marker(Stamped, UnixMillis),
    Ghost(Version),
}

/// What is known of a vnode: its watermarks, and which buckets are kept apart.
#[derive(Clone, Copy, Default)]
struct Marked {
    watermarks: Watermarks,
    floor: u64,
    first: u64,
}

/// How much has gone since the model was last told.
#[derive(Debug, Default)]
pub(super) struct Gone {
    pub(super) values: u64,
    pub(super) markers: u64,
    /// Of them, those whose time had not come.
    pub(super) markers_early: u64,
    /// Ghosts, and values that would have left one.
    pub(super) ghosts: u64,
    pub(super) ghosts_early: u64,
    /// What had expired unnoticed: values or markers, who knows.
    pub(super) unsure: u64,
}

impl State {
    fn rank(&self) -> Version {
        match self {
            Self::Value(entry) | Self::Marker(entry, _) => rank(entry),
            Self::Ghost(version) => *version,
        }
    }

    fn entry(&self) -> Option<&Stamped> {
        match self {
            Self::Value(entry) | Self::Marker(entry, _) => Some(entry),
            Self::Ghost(_) => None,
        }
    }
}

fn rank(entry: &Stamped) -> Version {
    Version { value_hash: 0, ..entry.version() }
}

impl Model {
    pub(super) fn read(&mut self, vnode: Vnode, key: &Key, now: UnixMillis) -> Found {
        let found = self.look(vnode, key, now);
        let hit = matches!(&found, Found::Held(entry) if entry.value().is_some());
        self.hits += u64::from(hit);
        self.misses += u64::from(!hit);
        found
    }

    pub(super) fn look(&mut self, vnode: Vnode, key: &Key, now: UnixMillis) -> Found {
        let Some(state) = self.held.get_mut(&(vnode, key.clone())) else { return Found::Nothing };
        if let State::Value(entry) = state
            && entry.version().is_past(now)
        {
            *state = State::Marker(entry.clone().as_of(now), now);
            self.expirations += 1;
        }
        match state {
            State::Value(entry) | State::Marker(entry, _) => Found::Held(entry.clone()),
            State::Ghost(version) => Found::Ghost(*version),
        }
    }

    pub(super) fn put(
        &mut self,
        vnode: Vnode,
        key: &Key,
        entry: Stamped,
        cause: Cause,
        now: UnixMillis,
    ) -> PutOutcome {
        let entry = entry.as_of(now);
        let found = self.look(vnode, key, now);
        let was_live = matches!(&found, Found::Held(held) if held.value().is_some());
        let version = entry.version();
        let same_value = matches!(&found, Found::Held(held) if held.version().tag == version.tag);
        let is_marker = matches!(&found, Found::Held(held) if held.value().is_some()
            && held.version().touch == version.touch && version.dead && version.expires_at.is_some());
        match found {
            Found::Held(held) if held > entry => {
                return PutOutcome::Superseded { by: held.version(), was_live };
            }
            Found::Held(held) if held == entry => return PutOutcome::Unchanged { was_live },
            Found::Ghost(by) if by > rank(&entry) => return PutOutcome::Superseded { by, was_live },
            Found::Ghost(by) if by == rank(&entry) => return PutOutcome::Unchanged { was_live },
            _ => {}
        }
        let (stamp, marks) = (Some(entry.version().stamp()), self.marked(vnode).watermarks);
        let by_owners = matches!(cause, Cause::Round | Cause::Repair);
        let may_pass = cause == Cause::Rebuild || same_value && is_marker;
        if !may_pass && by_owners && stamp <= marks.confirmed {
            return PutOutcome::Unchanged { was_live };
        }
        if !may_pass && !by_owners && stamp <= marks.sealed {
            self.sealed += 1;
            return PutOutcome::Sealed { through: marks.sealed.unwrap() };
        }
        let is_touch = version.touched_at.is_some() && !version.dead;
        if cause != Cause::Rebuild && is_touch && Some(version.tag) <= marks.confirmed && !same_value {
            self.put_ghost(vnode, key, rank(&entry), now);
            return PutOutcome::Unchanged { was_live };
        }
        let state = if entry.value().is_some() { State::Value(entry) } else { State::Marker(entry, now) };
        self.insert(vnode, key, state);
        PutOutcome::Stored { was_live }
    }

    pub(super) fn put_ghost(&mut self, vnode: Vnode, key: &Key, version: Version, now: UnixMillis) {
        if Some(version.stamp()) <= self.marked(vnode).watermarks.confirmed {
            return;
        }
        let _ = self.look(vnode, key, now);
        if self.held.get(&(vnode, key.clone())).is_none_or(|held| held.rank() < version) {
            self.insert(vnode, key, State::Ghost(version));
        }
    }

    fn insert(&mut self, vnode: Vnode, key: &Key, state: State) {
        let (bucket, marked) = (BUCKET_OF.of(state.rank().stamp()), self.marked(vnode));
        if bucket >= marked.floor {
            marked.first = marked.first.max((bucket + 1).saturating_sub(BUCKETS));
        }
        self.held.insert((vnode, key.clone()), state);
    }

    pub(super) fn seal(&mut self, vnode: Vnode, through: Tag) {
        let marks = &mut self.marked(vnode).watermarks;
        marks.sealed = marks.sealed.max(Some(through));
    }

    pub(super) fn confirm(&mut self, vnode: Vnode, through: Tag) {
        let marks = &mut self.marked(vnode).watermarks;
        marks.confirmed = marks.confirmed.max(marks.sealed.min(Some(through)));
    }

    pub(super) fn settle(&mut self, vnode: Vnode, through: Tag) {
        let marked = self.marked(vnode);
        let Some(through) = marked.watermarks.confirmed.min(Some(through)) else { return };
        let Some(bucket) = BUCKET_OF.last_closed(through) else { return };
        let end = Some(BUCKET_OF.end(bucket));
        if end > marked.watermarks.settled {
            marked.watermarks.settled = end;
            if bucket >= marked.first {
                (marked.first, marked.floor) = (bucket + 1, bucket + 1);
            }
        }
    }

    pub(super) fn watermarks(&mut self, vnode: Vnode) -> Watermarks {
        self.marked(vnode).watermarks
    }

    fn marked(&mut self, vnode: Vnode) -> &mut Marked {
        self.marks.entry(vnode).or_default()
    }

    /// Notices what has expired.
    pub(super) fn expire(&mut self, now: UnixMillis) {
        let all: Vec<_> = self.held.keys().cloned().collect();
        all.iter().for_each(|(vnode, key)| drop(self.look(*vnode, key, now)));
    }

    pub(super) fn forget_key(&mut self, vnode: Vnode, key: &Key, through: Tag) -> bool {
        let place = (vnode, key.clone());
        let Some(state) = self.held.get(&place).filter(|state| state.rank().tag <= through) else {
            return false;
        };
        let is_held = state.entry().is_some();
        self.held.remove(&place);
        is_held
    }

    pub(super) fn clear_vnode(&mut self, vnode: Vnode) {
        self.held.retain(|(other, _), _| *other != vnode);
        self.marks.remove(&vnode);
    }

    /// Everything in a vnode, by key.
    pub(super) fn scan(&self, vnode: Vnode, now: UnixMillis) -> Vec<(Key, Stamped)> {
        let of_vnode = self.held.iter().filter(|((other, _), _)| *other == vnode);
        of_vnode
            .filter_map(|((_, key), state)| Some((key.clone(), state.entry()?.clone().as_of(now))))
            .collect()
    }

    /// Everything in a vnode with a stamp above one and at or under another, in the order of hashes.
    pub(super) fn list(
        &self,
        store: &Store,
        vnode: Vnode,
        above: Option<Tag>,
        through: Tag,
        now: UnixMillis,
    ) -> Vec<Listed> {
        let of_vnode = self.held.iter().filter(|((other, _), _)| *other == vnode);
        let listed = of_vnode.map(|((_, key), state)| match state.entry() {
            Some(entry) => {
                Listed { hash: store.hash(key), version: entry.version().as_of(now), ghost: false }
            }
            None => Listed { hash: store.hash(key), version: state.rank(), ghost: true },
        });
        let wanted =
            listed.filter(|listed| Some(listed.version.stamp()) > above && listed.version.stamp() <= through);
        let mut wanted: Vec<_> = wanted.collect();
        wanted.sort_by_key(|listed| listed.hash);
        wanted
    }

    /// How much is in every bucket, by its number; the first has what is older, too.
    pub(super) fn buckets(&mut self, vnode: Vnode) -> BTreeMap<u64, Vec<(Key, Version)>> {
        let Marked { floor, first, .. } = *self.marked(vnode);
        let mut buckets: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for ((_, key), state) in self.held.iter().filter(|((other, _), _)| *other == vnode) {
            let bucket = BUCKET_OF.of(state.rank().stamp());
            if bucket >= floor {
                buckets.entry(bucket.max(first)).or_default().push((key.clone(), state.rank()));
            }
        }
        buckets
    }

    /// Forgets what `store` does not hold any more; how much of what that is. Panics where the store had no right to.
    pub(super) fn follow(&mut self, store: &Store, now: UnixMillis) -> Gone {
        let all: Vec<_> = self.held.keys().cloned().collect();
        let is_unnoticed =
            |state: &State| matches!(state, State::Value(entry) if entry.version().is_past(now));
        let unnoticed: Vec<_> =
            all.iter().filter(|place| is_unnoticed(&self.held[*place])).cloned().collect();
        for (vnode, key) in &all {
            // Both notice now what has expired: markers take room, for which others may have to go.
            let _ = (self.look(*vnode, key, now), store.look(*vnode, key, now));
        }
        let mut gone = Gone::default();
        for place in all {
            let (state, found) = (self.held[&place].clone(), store.look(place.0, &place.1, now));
            let marks = self.marked(place.0).watermarks;
            let stamp = Some(state.rank().stamp());
            let leaves_ghost = marks.sealed.is_some() && stamp > marks.settled;
            let is_over = |since: UnixMillis| now.saturating_since(since) >= LIFE;
            match (&state, found) {
                (State::Value(_), Found::Ghost(version)) => {
                    assert!(leaves_ghost && version == state.rank());
                    gone.values += 1;
                    self.held.insert(place, State::Ghost(version));
                    continue;
                }
                (State::Marker(entry, _), Found::Ghost(version)) if unnoticed.contains(&place) => {
                    assert!(leaves_ghost && version == Version { dead: false, ..rank(entry) });
                    gone.values += 1;
                    self.held.insert(place, State::Ghost(version));
                    continue;
                }
                (State::Marker(..), Found::Nothing) if unnoticed.contains(&place) => gone.unsure += 1,
                (State::Value(_), Found::Nothing) => {
                    gone.values += 1;
                    gone.ghosts += u64::from(leaves_ghost);
                    let is_early = leaves_ghost && !is_over(state.rank().stamp().millis());
                    gone.ghosts_early += u64::from(is_early);
                }
                (State::Marker(entry, since), Found::Nothing) => {
                    let expiry_seen = entry.version().expires_at <= marks.settled.map(Tag::millis);
                    let is_settled = stamp <= marks.settled && expiry_seen;
                    gone.markers += 1;
                    gone.markers_early += u64::from(!is_settled && !is_over(*since));
                }
                (State::Ghost(version), Found::Nothing) => {
                    let is_settled = stamp <= marks.settled;
                    gone.ghosts += 1;
                    gone.ghosts_early += u64::from(!is_settled && !is_over(version.stamp().millis()));
                }
                (State::Ghost(version), Found::Ghost(found)) => {
                    assert_eq!(*version, found);
                    continue;
                }
                (State::Value(entry) | State::Marker(entry, _), Found::Held(held)) => {
                    assert_eq!(*entry, held);
                    continue;
                }
                (_, found) => panic!("the store makes {found:?} of what is {:?}", state.rank()),
            }
            self.held.remove(&place);
        }
        gone
    }

    /// Values, markers and ghosts.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let count =
            |which: fn(&State) -> bool| self.held.values().filter(|state| which(state)).count() as u64;
        (
            count(|state| matches!(state, State::Value(_))),
            count(|state| matches!(state, State::Marker(..))),
            count(|state| matches!(state, State::Ghost(_))),
        )
    }

    /// Bytes of keys and values.
    pub(super) fn bytes(&self) -> u64 {
        let values = self.held.iter().filter_map(|((_, key), state)| match state {
            State::Value(entry) => Some(key.as_bytes().len() + entry.value()?.as_bytes().len()),
            _ => None,
        });
        values.sum::<usize>() as u64
    }
}
