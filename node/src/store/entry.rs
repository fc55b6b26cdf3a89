use super::{eviction::Link, weight};
use bytes::Bytes;
use shoal_proto::types::{Key, Stamped, Tag, UnixMillis, Value, Version, Vnode};

/// What stands in place of "never": past [`UnixMillis::MAX`], so no expiry equals it.
const NEVER: u64 = u64::MAX;

/// One key and its state, as a slot of the slab holds it.
///
/// Key and value share one buffer of their own: the slices that arrive belong to a network buffer of many requests,
/// which a kept slice would pin as a whole and uncounted.
pub(super) struct Entry {
    /// The key, then the value.
    buffer: Bytes,
    tag: Tag,
    expires_at: u64,
    state: State,
    hash: u64,
    /// Neighbours in the eviction queue of its kind.
    pub(super) link: Link,
    key_len: u32,
    vnode: Vnode,
    touch: u16,
}

#[derive(Clone, Copy)]
enum State {
    Live { value_hash: u64 },
    Marker { since: UnixMillis },
}

impl Entry {
    /// Copies `stamped` into an entry that is stored at `now` under the index hash `hash`.
    pub(super) fn new(vnode: Vnode, hash: u64, key: &Key, stamped: &Stamped, now: UnixMillis) -> Self {
        let (key, value) = (key.as_bytes(), stamped.value().map_or(&[][..], Value::as_bytes));
        let mut buffer = Vec::with_capacity(key.len() + value.len());
        buffer.extend_from_slice(key);
        buffer.extend_from_slice(value);
        let Version { tag, dead, touch, expires_at, value_hash } = stamped.version();
        Self {
            buffer: buffer.into(),
            tag,
            expires_at: expires_at.map_or(NEVER, |at| at.0),
            state: if dead { State::Marker { since: now } } else { State::Live { value_hash } },
            hash,
            link: Link::default(),
            key_len: key.len() as u32,
            vnode,
            touch,
        }
    }

    /// Drops the value: from `now` on, the marker of the expired version stands here.
    pub(super) fn expire(&mut self, now: UnixMillis) {
        self.buffer = Bytes::copy_from_slice(self.key());
        self.state = State::Marker { since: now };
    }

    pub(super) fn vnode(&self) -> Vnode {
        self.vnode
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.buffer[..self.key_len as usize]
    }

    /// Key and value.
    pub(super) fn payload_len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether a value is held, expired or not.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, State::Live { .. })
    }

    /// When the value expires; `None` for a marker too.
    pub(super) fn due(&self) -> Option<UnixMillis> {
        (self.is_live() && self.expires_at != NEVER).then_some(UnixMillis(self.expires_at))
    }

    /// Since when the marker stands; `None` for a value.
    pub(super) fn marker_since(&self) -> Option<UnixMillis> {
        match self.state {
            State::Live { .. } => None,
            State::Marker { since } => Some(since),
        }
    }

    pub(super) fn weight(&self) -> u64 {
        weight::of(self.payload_len(), self.due().is_some())
    }

    pub(super) fn version(&self) -> Version {
        let (dead, value_hash) = match self.state {
            State::Live { value_hash } => (false, value_hash),
            State::Marker { .. } => (true, 0),
        };
        let expires_at = (self.expires_at != NEVER).then_some(UnixMillis(self.expires_at));
        Version { tag: self.tag, dead, touch: self.touch, expires_at, value_hash }
    }

    /// Orders entries of one key as [`Stamped`] does.
    pub(super) fn rank(&self) -> (Version, &[u8]) {
        (self.version(), &self.buffer[self.key_len as usize..])
    }

    /// The key, sharing the entry's buffer.
    pub(super) fn to_key(&self) -> Key {
        Key::new(self.buffer.slice(..self.key_len as usize)).expect("was a key when it was stored")
    }

    /// The state, its value sharing the entry's buffer.
    pub(super) fn to_stamped(&self) -> Stamped {
        let value = || {
            Value::new(self.buffer.slice(self.key_len as usize..)).expect("was a value when it was stored")
        };
        Stamped::from_parts(self.version(), self.is_live().then(value))
            .expect("has a value exactly when live")
    }
}
