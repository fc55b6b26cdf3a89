//! What the front ends see of a coordinator.

use shoal_proto::types::{Consistency, Tag, UnixMillis, Value};
use std::time::Duration;

/// What a request may choose; the rest comes from the node's configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestOptions {
    /// The consistency level; `None` takes the default for the kind of request.
    pub consistency: Option<Consistency>,
    /// How long the caller will wait; `None` takes the default.
    pub timeout: Option<Duration>,
    /// A tag the client made, kept by every retry of the same write.
    pub tag: Option<Tag>,
}

/// When a value is to expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// Never.
    Never,
    /// After this time, counted from the coordinator's clock.
    After(Duration),
    /// At this instant.
    At(UnixMillis),
    /// When the value it replaces would have.
    Keep,
}

/// What must hold of the expiry that a change replaces. A value that never expires counts as expiring last of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExpiryCondition {
    /// Whether there is one.
    pub exists: Option<bool>,
    /// Whether the new one is later, or else sooner.
    pub later: Option<bool>,
}

impl ExpiryCondition {
    /// Whether `new` may take the place of `held`; `None` is never.
    #[must_use]
    pub fn holds(&self, held: Option<UnixMillis>, new: Option<UnixMillis>) -> bool {
        let rank = |expiry: Option<UnixMillis>| expiry.map_or(u64::MAX, |at| at.0);
        self.exists.is_none_or(|exists| exists == held.is_some())
            && self
                .later
                .is_none_or(|later| if later { rank(new) > rank(held) } else { rank(new) < rank(held) })
    }
}

/// What an answer was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The version written or read.
    pub tag: Option<Tag>,
    /// When that version expires.
    pub expires_at: Option<UnixMillis>,
    /// How long that is from now by the coordinator's clock, zero once it has passed.
    pub ttl: Option<Duration>,
    /// The level that was met.
    pub reached: Consistency,
    /// Owners that were asked.
    pub asked: u8,
    /// Owners whose answers were counted.
    pub answered: u8,
    /// The larger version that stood in the way of a write.
    pub superseded_by: Option<Tag>,
    /// Lagging owners were brought up before the answer.
    pub repaired: bool,
    /// A write was kept for an owner that could not be reached.
    pub hinted: bool,
    /// A lower level than asked for was met.
    pub degraded: bool,
}

impl Outcome {
    /// What else is to be said of the answer, in the words of every door.
    pub fn flags(&self) -> impl Iterator<Item = &'static str> + use<> {
        let flags = [
            ("repaired", self.repaired),
            ("hinted", self.hinted),
            ("degraded", self.degraded),
            ("superseded", self.superseded_by.is_some()),
        ];
        flags.into_iter().filter_map(|(name, is_set)| is_set.then_some(name))
    }
}

/// The answer to a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetReply {
    /// `None` on a miss.
    pub value: Option<Value>,
    /// What the answer was worth.
    pub outcome: Outcome,
}

/// The answer to a write that stores a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetReply {
    /// What the answer was worth.
    pub outcome: Outcome,
}

/// The answer to a delete or a change of expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExistedReply {
    /// A live value was present on an owner that answered.
    pub existed: bool,
    /// What the answer was worth.
    pub outcome: Outcome,
}

/// Why a request could not be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoordinatorError {
    /// The node has not joined a ring yet.
    #[error("this node has no ring record yet; it is still looking for the other members")]
    NotReady,
    /// The level needs more owners than can be asked.
    #[error("{level} needs {required} of {replicas} owners, {available} can be asked")]
    Unavailable {
        /// The level asked for.
        level: Consistency,
        /// How many owners it needs.
        required: usize,
        /// How many could be asked.
        available: usize,
        /// How many there are.
        replicas: usize,
        /// The write may still take effect.
        maybe: bool,
    },
    /// The deadline passed first.
    #[error("{level} needs {required} owners, {answered} answered within {waited_ms} ms")]
    Timeout {
        /// The level asked for.
        level: Consistency,
        /// How many owners it needs.
        required: usize,
        /// How many answered in time.
        answered: usize,
        /// How long the request waited.
        waited_ms: u64,
        /// The write may still take effect.
        maybe: bool,
    },
    /// Too much is in flight; nothing was done.
    #[error("overloaded: {0}")]
    Overloaded(&'static str),
    /// What was asked for is more than one answer holds; a smaller request succeeds.
    #[error("{0}")]
    TooLarge(&'static str),
    /// The client's tag would shut out everyone else's writes until the clocks have caught up; nothing was done.
    #[error("tag is {ahead_ms} ms ahead of this node's clock, {allowed_ms} ms are allowed")]
    TagAhead {
        /// How far ahead it is.
        ahead_ms: u64,
        /// How far it may be.
        allowed_ms: u64,
    },
    /// The cluster was flushed past the write's tag: what the write did before that, if anything, is gone.
    #[error("the cluster was flushed past the tag of this write")]
    Flushed {
        /// The write may have taken effect before the flush.
        maybe: bool,
    },
    /// A flush was not finished in time.
    #[error("{why}")]
    FlushUnfinished {
        /// How far it got.
        why: String,
        /// It may still take effect.
        maybe: bool,
    },
    /// Owners have no room for the write and evict nothing.
    #[error("memory is full and nothing is evicted")]
    Full {
        /// Some owners have taken the write, too few for its level.
        maybe: bool,
    },
    /// The request can never succeed as it is.
    #[error("{0}")]
    Invalid(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_replaced_under_the_conditions_of_redis() {
        let condition = |exists, later| ExpiryCondition { exists, later };
        let (nx, xx) = (condition(Some(false), None), condition(Some(true), None));
        let (gt, lt) = (condition(None, Some(true)), condition(None, Some(false)));
        let xx_lt = condition(Some(true), Some(false));
        for (held, new, expected) in [
            // NX, XX, GT, LT, XX LT
            (None, Some(5), [true, false, false, true, false]),
            (Some(5), Some(6), [false, true, true, false, false]),
            (Some(5), Some(5), [false, true, false, false, false]),
            (Some(5), Some(4), [false, true, false, true, true]),
            (Some(5), None, [false, true, true, false, false]),
        ] {
            let holds = [nx, xx, gt, lt, xx_lt].map(|c| c.holds(held.map(UnixMillis), new.map(UnixMillis)));
            assert_eq!(holds, expected, "{held:?} {new:?}");
        }
    }
}
