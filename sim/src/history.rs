//! What the clients did and were told, in true simulated time.

use crate::content::{Content, KeyId, WriteId};
use shoal_proto::types::{Consistency, Tag, UnixMillis};
use std::{fmt, time::Duration};

/// Microseconds of simulated time since the run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SimTime(pub u64);

impl SimTime {
    /// This instant plus `duration`.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The value of a key.
    Read,
    /// To store the value this operation names (see [`Operation::write_id`]).
    Write {
        /// How long it is to live.
        ttl: Option<Duration>,
    },
    /// To delete a key.
    Delete,
    /// To drop all keys.
    Flush,
}

/// What it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A read found a value.
    Hit {
        /// Whose.
        content: Content,
        /// Its tag.
        tag: Tag,
        /// Its expiry.
        expires_at: Option<UnixMillis>,
        /// The level that was met.
        reached: Consistency,
    },
    /// A read found none.
    Miss {
        /// The tag of the tombstone or expired value that was found instead.
        tag: Option<Tag>,
        /// The level that was met.
        reached: Consistency,
    },
    /// A write or delete took effect.
    Acknowledged {
        /// Its tag.
        tag: Tag,
        /// The expiry of the value written.
        expires_at: Option<UnixMillis>,
        /// The larger version that stood in its way.
        superseded_by: Option<Tag>,
        /// The level that was met.
        reached: Consistency,
    },
    /// An error, or no answer in time.
    Failed {
        /// A write may have taken effect, or may yet.
        maybe: bool,
        /// What the client was told.
        error: String,
    },
}

/// The place of a version in the order of a key's versions, as far as clients can tell:
/// a deletion or an expiry beats the live value of the same tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// The version's tag.
    pub tag: Tag,
    /// Deleted or expired.
    pub dead: bool,
}

/// One call of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Who called.
    pub client: u16,
    /// The client's how manyth call it was.
    pub sequence: u32,
    /// The node it called; `None` when the client chose by itself, perhaps several.
    pub via: Option<usize>,
    /// On which key; any where all are meant.
    pub key: KeyId,
    /// For what.
    pub action: Action,
    /// At which level.
    pub level: Consistency,
    /// When the call began.
    pub start: SimTime,
    /// When it returned.
    pub end: SimTime,
    /// With what.
    pub answer: Answer,
}

impl Operation {
    /// The name of the value it stores.
    #[must_use]
    pub fn write_id(&self) -> WriteId {
        WriteId { client: self.client, sequence: self.sequence, key: self.key }
    }

    /// It changes its key.
    #[must_use]
    pub fn is_mutation(&self) -> bool {
        self.action != Action::Read
    }

    /// It leaves no value behind.
    #[must_use]
    pub fn is_deletion(&self) -> bool {
        matches!(self.action, Action::Delete | Action::Flush)
    }

    /// It changes its key and was not told that it certainly did not.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        self.is_mutation() && !matches!(self.answer, Answer::Failed { maybe: false, .. })
    }

    /// The level that was met; `None` when it failed.
    #[must_use]
    pub fn reached(&self) -> Option<Consistency> {
        match self.answer {
            Answer::Hit { reached, .. }
            | Answer::Miss { reached, .. }
            | Answer::Acknowledged { reached, .. } => Some(reached),
            Answer::Failed { .. } => None,
        }
    }

    /// What a read saw: the value's rank, or that of the marker it found instead.
    #[must_use]
    pub fn seen(&self) -> Option<Rank> {
        match self.answer {
            Answer::Hit { tag, .. } => Some(Rank { tag, dead: false }),
            Answer::Miss { tag, .. } => tag.map(|tag| Rank { tag, dead: true }),
            Answer::Acknowledged { .. } | Answer::Failed { .. } => None,
        }
    }

    /// The least that is on the owners once this was acknowledged: its own version. A version that superseded it may
    /// stand on a single owner, whose write nobody acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> Option<Rank> {
        let Answer::Acknowledged { tag, .. } = self.answer else { return None };
        Some(Rank { tag, dead: self.is_deletion() })
    }

    /// The tag it was given, if it was told.
    #[must_use]
    pub fn own_tag(&self) -> Option<Tag> {
        match self.answer {
            Answer::Acknowledged { tag, .. } => Some(tag),
            _ => None,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, sequence, via, key, level, start, end, .. } = self;
        write!(f, "[{start} {end}] {client}/{sequence} ")?;
        via.map_or(Ok(()), |node| write!(f, "via node {node} "))?;
        write!(f, "{level} ")?;
        match self.action {
            Action::Read => write!(f, "read {key}")?,
            Action::Write { ttl: None } => write!(f, "write {key}")?,
            Action::Write { ttl: Some(ttl) } => write!(f, "write {key} ttl {} ms", ttl.as_millis())?,
            Action::Delete => write!(f, "delete {key}")?,
            Action::Flush => write!(f, "flush")?,
        }
        match &self.answer {
            Answer::Hit { content: Content::Of(write), tag, expires_at, reached } => {
                write!(f, " -> {write} tag {tag:?}{} at {reached}", Expiry(*expires_at))
            }
            Answer::Hit { content: Content::Corrupt(bytes), tag, .. } => {
                write!(f, " -> corrupt ({bytes}) tag {tag:?}")
            }
            Answer::Miss { tag: Some(tag), reached } => write!(f, " -> miss, marker {tag:?} at {reached}"),
            Answer::Miss { tag: None, reached } => write!(f, " -> miss at {reached}"),
            Answer::Acknowledged { tag, expires_at, superseded_by, reached } => {
                write!(f, " -> ok tag {tag:?}{} at {reached}", Expiry(*expires_at))?;
                superseded_by.map_or(Ok(()), |winner| write!(f, " superseded by {winner:?}"))
            }
            Answer::Failed { maybe, error } => {
                write!(f, " -> {}: {error}", if *maybe { "maybe" } else { "failed" })
            }
        }
    }
}

struct Expiry(Option<UnixMillis>);

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |at| write!(f, " expires {}", at.0))
    }
}

/// All calls of a run, with what is needed to judge them.
#[derive(Debug, Clone)]
pub struct History {
    /// Owners per key.
    pub replicas: usize,
    /// The true Unix time at which the run began.
    pub epoch: UnixMillis,
    /// How far a node's clock may be off, either way.
    pub clock_bound: Duration,
    /// How long a call was given.
    pub call_timeout: Duration,
    /// In the order in which they returned.
    pub operations: Vec<Operation>,
}

impl History {
    /// How many operations of context a violation shows.
    const CONTEXT: usize = 24;

    /// The true Unix time at `at`.
    #[must_use]
    pub fn wall(&self, at: SimTime) -> UnixMillis {
        UnixMillis(self.epoch.0 + at.0 / 1_000)
    }

    /// Whether `reached` makes the promises of QUORUM.
    #[must_use]
    pub fn is_quorum(&self, operation: &Operation) -> bool {
        operation.reached().is_some_and(|level| level.is_quorum(self.replicas))
    }

    /// The calls on one key and those on all, in the order in which they returned.
    pub fn on(&self, key: KeyId) -> impl Iterator<Item = &Operation> {
        let concerns =
            move |operation: &&Operation| operation.key == key || operation.action == Action::Flush;
        self.operations.iter().filter(concerns)
    }

    /// Every key that was called for, once.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyId> {
        let mut keys: Vec<KeyId> = self.operations.iter().map(|operation| operation.key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Whether a version of `key` with at least this tag may have been dead by `by`: deleted, or past its expiry on
    /// the fastest clock.
    #[must_use]
    pub fn may_be_dead(&self, key: KeyId, at_least: Tag, by: SimTime) -> bool {
        let fastest = self.wall(by.plus(self.clock_bound));
        self.on(key).filter(|operation| operation.may_have_happened() && operation.start <= by).any(
            |operation| {
                let large_enough = operation.own_tag().is_none_or(|tag| tag >= at_least);
                let dead = match (operation.action, &operation.answer) {
                    (Action::Delete | Action::Flush, _) => true,
                    (_, Answer::Acknowledged { expires_at, .. }) => {
                        expires_at.is_some_and(|at| at <= fastest)
                    }
                    // Whoever coordinated it may have had the slowest clock. A client that routes by itself says when
                    // the value expires, by a reading that may have been on its way for as long as connecting takes.
                    (Action::Write { ttl: Some(ttl) }, _) => {
                        let age = if operation.via.is_none() { self.call_timeout } else { Duration::ZERO };
                        operation.start.plus(ttl) <= by.plus(self.clock_bound * 2 + age)
                    }
                    _ => false,
                };
                large_enough && dead
            },
        )
    }

    /// Whether a version with this tag may have been flushed by `by`.
    #[must_use]
    pub fn may_be_flushed(&self, tag: Tag, by: SimTime) -> bool {
        let is_flush = |operation: &&Operation| operation.action == Action::Flush && operation.start <= by;
        let flushes = self.operations.iter().filter(is_flush).filter(|flush| flush.may_have_happened());
        flushes.map(Operation::own_tag).any(|flush| flush.is_none_or(|flush| flush >= tag))
    }

    /// The calls on `key` that led up to `at`, one a line, oldest first.
    #[must_use]
    pub fn timeline(&self, key: KeyId, at: SimTime) -> Vec<String> {
        let mut before: Vec<&Operation> = self.on(key).filter(|operation| operation.start <= at).collect();
        before.sort_by_key(|operation| (operation.start, operation.end));
        let skipped = before.len().saturating_sub(Self::CONTEXT);
        before[skipped..].iter().map(ToString::to_string).collect()
    }
}
