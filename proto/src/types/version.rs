use super::{UnixMillis, Value};
use std::cmp::Ordering;
use std::fmt;

/// Who made a tag: a member's id from the ring record, or a hash of a client.
///
/// 12 bits. Members have 1 to 2047, so 0 is nobody; the upper half belongs to clients, whose hashes may collide:
/// two equal tags are then ordered by the rest of the [`Version`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriterId(u16);

impl WriterId {
    /// Bits of a tag that name the writer.
    pub const BITS: u32 = 12;
    const CLIENT: u16 = 1 << (Self::BITS - 1);

    /// The writer id of a member; `None` outside 1..=2047.
    #[must_use]
    pub fn member(id: u16) -> Option<Self> {
        (1..Self::CLIENT).contains(&id).then_some(Self(id))
    }

    /// The writer id of a client, from any hash of its identity.
    #[must_use]
    pub fn client(hash: u64) -> Self {
        Self(Self::CLIENT | (hash as u16 & (Self::CLIENT - 1)))
    }

    /// Whether a client made it.
    #[must_use]
    pub fn is_client(self) -> bool {
        self.0 & Self::CLIENT != 0
    }

    /// The 12 bits.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

/// A hybrid clock reading in 8 bytes, with the writer's id in its low bits:
/// 42 bits of Unix milliseconds, 10 bits of counter, 12 bits of writer. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(u64);

impl Tag {
    const COUNTER_BITS: u32 = 10;

    /// The tag with these 64 bits; `None` for zero, which the wire uses for "no tag".
    #[must_use]
    pub fn from_bits(bits: u64) -> Option<Self> {
        (bits != 0).then_some(Self(bits))
    }

    /// The 64 bits.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// A tag of `writer` from the ticks of a hybrid clock (see [`Tag::ticks`]); `None` when they exceed 52 bits.
    #[must_use]
    pub fn from_ticks(ticks: u64, writer: WriterId) -> Option<Self> {
        let shifted = ticks.checked_shl(WriterId::BITS).filter(|s| s >> WriterId::BITS == ticks)?;
        Self::from_bits(shifted | u64::from(writer.get()))
    }

    /// Clock ticks without the writer: milliseconds times 1024 plus the counter.
    #[must_use]
    pub fn ticks(self) -> u64 {
        self.0 >> WriterId::BITS
    }

    /// The tick at which millisecond `at` begins.
    #[must_use]
    pub fn first_tick(at: UnixMillis) -> u64 {
        at.0 << Self::COUNTER_BITS
    }

    /// The tag's milliseconds.
    #[must_use]
    pub fn millis(self) -> UnixMillis {
        UnixMillis(self.ticks() >> Self::COUNTER_BITS)
    }

    /// The writer in the tag's low bits.
    #[must_use]
    pub fn writer(self) -> WriterId {
        WriterId((self.0 & ((1 << WriterId::BITS) - 1)) as u16)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counter = self.ticks() & ((1 << Self::COUNTER_BITS) - 1);
        write!(f, "{}.{}@{}", self.millis().0, counter, self.writer().0)
    }
}

/// Everything that orders two states of a key, except the value's bytes. Replicas keep the larger.
///
/// The fields are compared in this order: tag, `dead` (a deletion or an expiry beats the live value of the same tag),
/// touch count, expiry, stamp of the last touch, value hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// When and by whom the value was written or deleted.
    pub tag: Tag,
    /// Deleted or expired: there is no value.
    pub dead: bool,
    /// How often the expiry was changed since the value was written.
    pub touch: u16,
    /// When the value expires; `None` never. `None` orders first.
    pub expires_at: Option<UnixMillis>,
    /// When the expiry was last changed; `None` if it never was.
    pub touched_at: Option<Tag>,
    /// [`Value::hash`]; zero when dead.
    pub value_hash: u64,
}

impl Version {
    /// When the version came to be: when the expiry was last changed, or else the tag. Where owners agree on everything
    /// up to some time, it is this that counts, since a change of expiry keeps the tag of the value, however old.
    #[must_use]
    pub fn stamp(&self) -> Tag {
        self.touched_at.map_or(self.tag, |at| at.max(self.tag))
    }

    /// Whether there is a value at `now`.
    #[must_use]
    pub fn is_live(&self, now: UnixMillis) -> bool {
        !self.dead && !self.is_past(now)
    }

    /// Whether the expiry has passed at `now`.
    #[must_use]
    pub fn is_past(&self, now: UnixMillis) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// What it says of its key.
    #[must_use]
    pub fn state(&self) -> CopyState {
        match (self.dead, self.expires_at) {
            (false, _) => CopyState::Value,
            (true, None) => CopyState::Tombstone,
            (true, Some(_)) => CopyState::Expired,
        }
    }

    /// This version as of `now`: itself, or its marker's once the expiry has passed.
    #[must_use]
    pub fn as_of(self, now: UnixMillis) -> Self {
        if self.is_past(now) { self.expired() } else { self }
    }

    /// The version of the marker that stands for this one once it has expired.
    #[must_use]
    pub fn expired(self) -> Self {
        Self { dead: true, value_hash: 0, ..self }
    }
}

/// What a replica holds under a key, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyState {
    /// Nothing: it never saw the key or forgot it.
    Absent,
    /// A value.
    Value,
    /// The mark of a deletion.
    Tombstone,
    /// The mark of a value that has expired.
    Expired,
    /// The ghost of a value: it was evicted before all owners had confirmed it.
    Evicted,
}

/// A version together with its value: what a replica stores under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamped {
    version: Version,
    value: Option<Value>,
}

/// The parts do not make an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEntry {
    /// The tag is zero.
    #[error("entry without a tag")]
    NoTag,
    /// A dead entry carries value bytes.
    #[error("deleted or expired entry with a value")]
    DeadWithValue,
    /// The expiry lies past [`UnixMillis::MAX`].
    #[error("expiry {0} is out of range")]
    ExpiryOutOfRange(u64),
}

impl Stamped {
    /// A live value.
    #[must_use]
    pub fn live(tag: Tag, touch: u16, expires_at: Option<UnixMillis>, value: Value) -> Self {
        let value_hash = value.hash();
        let version = Version { tag, dead: false, touch, expires_at, touched_at: None, value_hash };
        Self { version, value: Some(value) }
    }

    /// A tombstone: the key was deleted at `tag`.
    #[must_use]
    pub fn tombstone(tag: Tag) -> Self {
        Self::marker(tag, 0, None)
    }

    /// A tombstone or expired marker. A marker keeps the touch count and the expiry of what it stands for.
    #[must_use]
    pub fn marker(tag: Tag, touch: u16, expires_at: Option<UnixMillis>) -> Self {
        let version = Version { tag, dead: true, touch, expires_at, touched_at: None, value_hash: 0 };
        Self { version, value: None }
    }

    /// The same entry, its expiry last changed at `stamp`.
    #[must_use]
    pub fn touched_at(self, stamp: impl Into<Option<Tag>>) -> Self {
        Self { version: Version { touched_at: stamp.into(), ..self.version }, ..self }
    }

    /// Puts together what was stored or sent apart; the hash in `version` is trusted.
    #[must_use]
    pub fn from_parts(version: Version, value: Option<Value>) -> Option<Self> {
        (version.dead == value.is_none()).then_some(Self { version, value })
    }

    /// Its place in the order of versions.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The value, unless dead.
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        self.value.as_ref()
    }

    /// The value, unless dead.
    #[must_use]
    pub fn into_value(self) -> Option<Value> {
        self.value
    }

    /// This entry as of `now`: itself, or its expired marker once the expiry has passed.
    #[must_use]
    pub fn as_of(self, now: UnixMillis) -> Self {
        if self.version.is_past(now) { Self { version: self.version.expired(), value: None } } else { self }
    }
}

/// By version, then by the value's bytes: total, so replicas always agree.
impl Ord for Stamped {
    fn cmp(&self, other: &Self) -> Ordering {
        self.version.cmp(&other.version).then_with(|| self.value.cmp(&other.value))
    }
}

impl PartialOrd for Stamped {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(ticks: u64, writer: u16) -> Tag {
        Tag::from_ticks(ticks, WriterId::member(writer).unwrap()).unwrap()
    }

    fn live(t: Tag, touch: u16, expires_at: Option<u64>, value: &'static str) -> Stamped {
        Stamped::live(t, touch, expires_at.map(UnixMillis), Value::new(value).unwrap())
    }

    #[test]
    fn a_tag_gives_back_its_parts() {
        let at = UnixMillis(1_700_000_000_123);
        let t = tag(Tag::first_tick(at) + 7, 42);
        assert_eq!((t.millis(), t.ticks() & 1023, t.writer().get()), (at, 7, 42));
        assert!(!t.writer().is_client());
        assert!(WriterId::client(u64::MAX).is_client() && WriterId::client(0).is_client());
        assert_eq!(WriterId::member(0), None);
        assert_eq!(WriterId::member(2048), None);
        assert_eq!(Tag::from_ticks(1 << 52, WriterId::client(1)), None);
    }

    #[test]
    fn later_tag_wins_then_death_then_touch_then_expiry_then_value() {
        let ascending = [
            live(tag(1, 1), 9, Some(9), "z"),
            live(tag(1, 2), 0, None, "a"),
            live(tag(1, 2), 0, Some(5), "a"),
            live(tag(1, 2), 1, None, "a"),
            live(tag(1, 2), 1, None, "a").touched_at(tag(5, 1)),
            live(tag(1, 2), 1, None, "a").touched_at(tag(6, 1)),
            Stamped::tombstone(tag(1, 2)),
            live(tag(2, 1), 0, None, "a"),
        ];
        assert!(ascending.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_change_of_expiry_counts_at_its_own_stamp_in_the_value_and_in_its_marker() {
        let written = live(tag(3, 1), 0, None, "v");
        let touched = live(tag(3, 1), 1, Some(100), "v").touched_at(tag(9, 1));
        assert_eq!((written.version().stamp(), touched.version().stamp()), (tag(3, 1), tag(9, 1)));
        assert_eq!(touched.as_of(UnixMillis(100)).version().stamp(), tag(9, 1));
    }

    #[test]
    fn an_expired_value_is_a_marker_with_the_same_tag_that_beats_it() {
        let value = live(tag(3, 1), 2, Some(100), "v");
        assert_eq!(value.clone().as_of(UnixMillis(99)), value);
        let marker = value.clone().as_of(UnixMillis(100));
        assert_eq!(marker, Stamped::marker(tag(3, 1), 2, Some(UnixMillis(100))));
        assert!(marker > value);
        assert_eq!(value.version().as_of(UnixMillis(99)), value.version());
        assert_eq!(value.version().as_of(UnixMillis(100)), marker.version());
    }

    #[test]
    fn a_marker_with_an_expiry_is_that_of_an_expired_value() {
        let value = live(tag(3, 1), 2, Some(100), "v");
        assert_eq!(value.version().state(), CopyState::Value);
        assert_eq!(value.as_of(UnixMillis(100)).version().state(), CopyState::Expired);
        assert_eq!(Stamped::tombstone(tag(4, 1)).version().state(), CopyState::Tombstone);
    }
}
