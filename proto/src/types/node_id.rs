use std::{fmt, str::FromStr, sync::Arc};

/// The longest node id, in bytes: gossip digests carry it for every node in every round.
pub const MAX_NODE_ID_BYTES: usize = 64;

/// The name of a node, unique in its cluster and kept across restarts.
/// Defaults to the advertised gossip address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Arc<str>);

/// The text cannot name a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid node id '{0}': 1 to {MAX_NODE_ID_BYTES} letters, digits or any of .:-_[]@ are allowed")]
pub struct InvalidNodeId(pub String);

impl NodeId {
    /// Takes `text` as a node id.
    ///
    /// # Errors
    /// When it is empty, longer than [`MAX_NODE_ID_BYTES`], or has a character that would need quoting.
    pub fn new(text: &str) -> Result<Self, InvalidNodeId> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".:-_[]@".contains(c);
        if text.is_empty() || text.len() > MAX_NODE_ID_BYTES || !text.chars().all(allowed) {
            return Err(InvalidNodeId(text.chars().take(MAX_NODE_ID_BYTES).collect()));
        }
        Ok(Self(text.into()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeId {
    type Err = InvalidNodeId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_node_ids_and_blanks_are_not() {
        for good in ["127.0.0.1:7382", "[::1]:7382", "cache-7.example.org:7382", "a"] {
            assert_eq!(NodeId::new(good).map(|id| id.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "a b", "a\n", "é", &"x".repeat(65)] {
            assert!(NodeId::new(bad).is_err(), "{bad:?}");
        }
    }
}
