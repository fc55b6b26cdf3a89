use rand::{SeedableRng, rngs::StdRng};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The root of a node's randomness: from the operating system in production, from the run's seed in simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The random stream named `purpose`.
    #[must_use]
    pub fn stream(self, purpose: &str) -> StdRng {
        StdRng::seed_from_u64(self.derive(purpose).0)
    }

    /// A seed of its own for `purpose`.
    #[must_use]
    pub fn derive(self, purpose: &str) -> Self {
        Self(xxh3_64_with_seed(purpose.as_bytes(), self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn streams_differ_by_purpose_and_repeat_by_seed() {
        let draw = |seed: u64, purpose| Seed(seed).stream(purpose).next_u64();
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
    }
}
