use crate::{
    content::KeyId,
    history::{History, SimTime},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A promise that was broken, with what led up to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The invariant's name.
    pub invariant: String,
    /// The key it concerns.
    pub key: Option<String>,
    /// What happened, naming the operations.
    pub what: String,
    /// The operations on the key until then, oldest first.
    pub timeline: Vec<String>,
}

impl Violation {
    /// A violation that concerns the whole cluster.
    #[must_use]
    pub fn new(invariant: &str, what: impl Into<String>) -> Self {
        Self { invariant: invariant.to_owned(), key: None, what: what.into(), timeline: Vec::new() }
    }

    /// A violation on `key`, noticed at `at`.
    #[must_use]
    pub fn on(invariant: &str, history: &History, key: KeyId, at: SimTime, what: impl Into<String>) -> Self {
        let timeline = history.timeline(key, at);
        Self { key: Some(key.to_string()), timeline, ..Self::new(invariant, what) }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)?;
        self.timeline.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}
