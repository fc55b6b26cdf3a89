use shoal_proto::types::{Key, Stamped, Value};

/// About what an entry takes on the wire beyond key and value.
const ENVELOPE_BYTES: usize = 48;

/// Entries collected in ascending order of hash until they are about as many bytes as were asked for.
pub(super) struct Page {
    entries: Vec<(Key, Stamped)>,
    /// Hash of the last entry, of this page or the one before.
    last: Option<u64>,
    bytes: usize,
    max_bytes: usize,
}

impl Page {
    pub(super) fn new(after: Option<u64>, max_bytes: usize) -> Self {
        Self { entries: Vec::new(), last: after, bytes: 0, max_bytes }
    }

    /// The hash beyond which to go on.
    pub(super) fn last(&self) -> Option<u64> {
        self.last
    }

    /// Whether an entry may be added. One of the last entry's hash is never refused: the next page begins after that
    /// hash.
    pub(super) fn has_room(&self, hash: u64) -> bool {
        self.entries.is_empty() || self.bytes < self.max_bytes || self.last == Some(hash)
    }

    pub(super) fn add(&mut self, hash: u64, key: Key, entry: Stamped) {
        let value_len = entry.value().map_or(0, |value| Value::as_bytes(value).len());
        self.bytes += key.as_bytes().len() + value_len + ENVELOPE_BYTES;
        self.last = Some(hash);
        self.entries.push((key, entry));
    }

    /// The entries, and the hash after which the next page begins unless this one is the `end`.
    pub(super) fn finish(self, end: bool) -> (Vec<(Key, Stamped)>, Option<u64>) {
        (self.entries, self.last.filter(|_| !end))
    }
}
