use super::shard::Held;
use shoal_proto::types::{Stamped, Version};

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A value or a marker is held.
    Held(Stamped),
    /// This version was given up before all owners had confirmed it: older ones are not to be believed. It comes without
    /// the hash of the value.
    Ghost(Version),
    /// Nothing, or what all owners have agreed on.
    Nothing,
}

impl Found {
    pub(super) fn new(held: Option<Held>, ghost: Option<Version>) -> Self {
        match (held, ghost) {
            (Some(held), _) => Self::Held(held.into_stamped()),
            (None, Some(version)) => Self::Ghost(version),
            (None, None) => Self::Nothing,
        }
    }
}
