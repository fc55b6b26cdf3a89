//! What is given up before all owners have confirmed it leaves a ghost: the hash of its key, and its version. It stands for
//! the value among owners, and keeps older ones from the place of a newer one.

use super::*;

/// The pause between two passes over markers and ghosts, as a part of the length of a bucket.
const PASSES: u32 = 2;

/// A pass over all markers and ghosts in search of what is settled.
#[derive(Default)]
pub(super) struct Pass {
    /// How many there are still to look at.
    left: u64,
    began: Option<UnixMillis>,
    /// How often anything had been settled by then.
    settlings: u64,
}

impl Shard {
    /// The version that was given up under a key that is not held.
    pub(in crate::store) fn ghost(&self, place: Place<'_>) -> Option<Version> {
        let at = self.find_ghost(place.vnode, place.hash)?;
        Some(self.entries.fields(at).rank())
    }

    pub(super) fn find_ghost(&self, vnode: Vnode, hash: u64) -> Option<Loc> {
        if self.ghosts.count == 0 { None } else { self.entries.find_ghost(vnode, hash) }
    }

    /// Takes over another owner's ghost: it removes what is older, and stands where nothing is held.
    pub(in crate::store) fn put_ghost(&mut self, vnode: Vnode, hash: u64, version: Version, now: UnixMillis) {
        if self.agreement.marks.of(vnode).confirmed >= Some(version.stamp()) {
            return;
        }
        let ghost = Fields {
            vnode,
            tag: version.tag,
            touch: version.touch,
            expires_at: version.expires_at,
            touched_at: version.touched_at,
            kind: Kind::Ghost { hash },
            key_len: 0,
            value_len: 0,
        };
        let here = self.entries.find_by_hash(vnode, hash).or_else(|| self.find_ghost(vnode, hash));
        if let Some(at) = here {
            let held = self.entries.fields(at);
            if record::due(self.entries.head(at)).is_some_and(|due| due <= now) {
                self.expire_value(at, now);
                return self.put_ghost(vnode, hash, version, now);
            }
            if held.rank() >= ghost.rank() {
                return;
            }
            self.remove(at);
        }
        self.add(&New { hash, fields: ghost, key: &[], value: &[] }, Cause::Round);
        self.shed(EVICTIONS, Need::Marker);
    }

    /// What becomes of a put under the key of a ghost, unless it is larger.
    pub(super) fn haunted(&self, ghost: Loc, entry: &Stamped) -> Option<PutOutcome> {
        let by = self.entries.fields(ghost).rank();
        match rank(entry).cmp(&by) {
            Ordering::Less => Some(PutOutcome::Superseded { by, was_live: false }),
            Ordering::Equal => Some(PutOutcome::Unchanged { was_live: false }),
            Ordering::Greater => None,
        }
    }

    /// What becomes of a put that comes too late.
    pub(super) fn closed(
        &mut self,
        vnode: Vnode,
        entry: &Stamped,
        cause: Cause,
        was_live: bool,
    ) -> Option<PutOutcome> {
        let stamp = entry.version().stamp();
        let through = self.agreement.marks.sealed(vnode).filter(|through| stamp <= *through)?;
        let is_confirmed = self.agreement.marks.of(vnode).confirmed >= Some(stamp);
        match cause {
            Cause::Rebuild => None,
            // This owner has seen it pass.
            Cause::Round | Cause::Repair if is_confirmed => Some(PutOutcome::Unchanged { was_live }),
            // What another owner held when it was read or listed, it held before it was sealed.
            Cause::Round | Cause::Repair => None,
            Cause::User | Cause::Hint => {
                self.counters.refused.sealed += 1;
                Some(PutOutcome::Sealed { through })
            }
        }
    }

    /// Whether `entry` is the marker of the very value that is held: it may take its place at any time, as time alone would
    /// put it there.
    pub(super) fn is_marker_of(&self, held: Option<Loc>, entry: &Stamped) -> bool {
        let marker = entry.version();
        let Some(value) = held.map(|at| self.entries.fields(at).rank()) else { return false };
        marker.dead
            && marker.expires_at.is_some()
            && !value.dead
            && (value.tag, value.touch) == (marker.tag, marker.touch)
    }

    /// Whether `entry` changes the expiry of a value that is not held here although this owner has confirmed that it has
    /// all of that time: it was evicted or deleted since, and neither need have left a trace.
    pub(super) fn lacks_value_of(&self, vnode: Vnode, held: Option<Loc>, entry: &Stamped) -> bool {
        let version = entry.version();
        let is_old = self.agreement.marks.of(vnode).confirmed >= Some(version.tag);
        let is_held = held.is_some_and(|at| self.entries.fields(at).tag == version.tag);
        version.touched_at.is_some() && !version.dead && is_old && !is_held
    }

    /// Gives up a value. What is settled goes without a trace, and so does what no round was ever to agree on.
    pub(super) fn evict(&mut self, at: Loc) {
        let value = self.entries.fields(at);
        let is_open = self.agreement.marks.settled(value.vnode) < Some(value.rank().stamp());
        if !is_open || self.agreement.marks.sealed(value.vnode).is_none() || fault::active("forget_ghost") {
            return self.remove(at);
        }
        let hash = self.entries.hash(at);
        let fields = Fields { kind: Kind::Ghost { hash }, key_len: 0, value_len: 0, ..value };
        self.unlink(at, hash);
        // It counts as held all the same.
        if !self.insert(&New { hash, fields, key: &[], value: &[] }, Cause::Repair) {
            self.agreement.digests.remove(hash, &fields);
            self.counters.ghosts_dropped += 1;
        }
        self.shed_markers();
    }

    /// Whether a marker or a ghost has served its purpose.
    pub(super) fn is_settled(&self, held: &Fields) -> bool {
        let version = held.rank();
        let Some(settled) = self.agreement.marks.settled(held.vnode) else { return false };
        // An owner whose clock is slow may show an expired value for as long as others do not remember its expiry.
        let may_show = version.dead && version.expires_at.is_some_and(|at| at > settled.millis());
        version.stamp() <= settled && !may_show
    }

    /// Looks at the marker or ghost that was not looked at for longest, if anything has been settled since, and drops it
    /// if it is. Returns whether there was anything to look at.
    pub(super) fn drop_settled(&mut self, now: UnixMillis) -> bool {
        if self.pass.left == 0 && !self.begin_pass(now) {
            return false;
        }
        let Some(at) = self.entries.last(MARKERS) else {
            self.pass.left = 0;
            return false;
        };
        self.pass.left -= 1;
        if self.is_settled(&self.entries.fields(at)) {
            self.remove(at);
            self.counters.settled += 1;
        } else {
            // All of them go round once, which leaves them in their order.
            self.entries.move_first(at, MARKERS);
        }
        true
    }

    fn begin_pass(&mut self, now: UnixMillis) -> bool {
        let settlings = self.agreement.marks.settlings();
        let pause = self.agreement.digests.bucket().length() / PASSES;
        let rests = self.pass.began.is_some_and(|began| now.saturating_since(began) < pause);
        if rests || settlings == self.pass.settlings {
            return false;
        }
        self.pass = Pass { left: self.entries.sum(MARKERS).count, began: Some(now), settlings };
        self.pass.left > 0
    }
}
