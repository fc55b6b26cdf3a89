use std::{fmt, str::FromStr};

/// How many owners must take part before a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// One owner; a write reaches the others in the background.
    One,
    /// Two owners.
    Two,
    /// Three owners.
    Three,
    /// More than half of the owners.
    Quorum,
    /// Every owner.
    All,
}

/// The text names no consistency level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown consistency level '{0}': expected one of ONE, TWO, THREE, QUORUM, ALL")]
pub struct UnknownConsistency(pub String);

impl Consistency {
    /// All levels, weakest first.
    pub const LEVELS: [Self; 5] = [Self::One, Self::Two, Self::Three, Self::Quorum, Self::All];

    /// How many of `replicas` owners must answer. May exceed `replicas`: the level is then out of reach.
    #[must_use]
    pub fn required(self, replicas: usize) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Three => 3,
            Self::Quorum => replicas / 2 + 1,
            Self::All => replicas,
        }
    }

    /// Whether a read at this level promises what QUORUM promises, given `replicas` owners.
    #[must_use]
    pub fn is_quorum(self, replicas: usize) -> bool {
        self.required(replicas) >= Self::Quorum.required(replicas)
    }

    /// The name users know.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::One => "ONE",
            Self::Two => "TWO",
            Self::Three => "THREE",
            Self::Quorum => "QUORUM",
            Self::All => "ALL",
        }
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads a level's name in any case.
impl FromStr for Consistency {
    type Err = UnknownConsistency;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::LEVELS
            .into_iter()
            .find(|level| level.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownConsistency(text.chars().take(32).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_quorums_always_share_an_owner() {
        for replicas in 1..=9 {
            assert!(2 * Consistency::Quorum.required(replicas) > replicas);
        }
    }

    #[test]
    fn names_are_read_in_any_case_and_others_are_named_in_the_error() {
        for level in Consistency::LEVELS {
            assert_eq!(level.name().to_lowercase().parse(), Ok(level));
        }
        assert_eq!("many".parse::<Consistency>(), Err(UnknownConsistency("many".into())));
    }
}
