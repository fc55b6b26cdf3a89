//! Which keys are asked for, and how often.

use rand::{Rng, RngExt as _};
use rand_distr::{Distribution as _, Zipf};
use std::{fmt, str::FromStr};

/// The exponent of YCSB, at which a tenth of the keys of a hundred thousand gets about four fifths of the requests.
const DEFAULT_THETA: f64 = 0.99;
const MAX_THETA: f64 = 10.0;

/// How requests spread over keys.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Popularity {
    /// All keys alike.
    Uniform,
    /// The key of rank r as often as 1 / r^theta says.
    Zipf { theta: f64 },
}

/// The text is not a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected uniform, zipf, or zipf:THETA with a theta from 0 to {MAX_THETA}")]
pub(crate) struct UnknownPopularity;

impl FromStr for Popularity {
    type Err = UnknownPopularity;

    fn from_str(text: &str) -> Result<Self, UnknownPopularity> {
        match text.split_once(':') {
            None if text == "uniform" => Ok(Self::Uniform),
            None if text == "zipf" => Ok(Self::Zipf { theta: DEFAULT_THETA }),
            Some(("zipf", theta)) => match theta.parse() {
                Ok(theta) if (0.0..=MAX_THETA).contains(&theta) => Ok(Self::Zipf { theta }),
                _ => Err(UnknownPopularity),
            },
            _ => Err(UnknownPopularity),
        }
    }
}

impl fmt::Display for Popularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Zipf { theta } => write!(f, "zipf:{theta}"),
        }
    }
}

/// Numbers of keys from 0, the most popular one first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys {
    count: u32,
    zipf: Option<Zipf<f64>>,
}

impl Keys {
    /// At least one key.
    pub(crate) fn new(count: u32, popularity: Popularity) -> Self {
        let count = count.max(1);
        let zipf = match popularity {
            Popularity::Uniform => None,
            Popularity::Zipf { theta } => Some(
                Zipf::new(f64::from(count), theta)
                    .expect("there is a key, and a theta is checked where it is read"),
            ),
        };
        Self { count, zipf }
    }

    /// Draws one.
    pub(crate) fn draw(&self, rng: &mut impl Rng) -> u32 {
        match &self.zipf {
            None => rng.random_range(0..self.count),
            // Ranks begin at 1; rounding could pass the last.
            Some(zipf) => (zipf.sample(rng) as u32 - 1).min(self.count - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{SeedableRng as _, rngs::SmallRng};

    fn drawn(keys: Keys, draws: usize) -> Vec<u32> {
        let mut rng = SmallRng::seed_from_u64(3);
        (0..draws).map(|_| keys.draw(&mut rng)).collect()
    }

    proptest! {
        #[test]
        fn every_key_drawn_is_one_of_the_keys(count in 1u32.., theta in 0.0f64..=MAX_THETA, seed: u64) {
            let mut rng = SmallRng::seed_from_u64(seed);
            for popularity in [Popularity::Uniform, Popularity::Zipf { theta }] {
                let keys = Keys::new(count, popularity);
                prop_assert!((0..100).all(|_| keys.draw(&mut rng) < count));
            }
        }

        #[test]
        fn a_distribution_shown_is_the_one_read(theta in 0.0f64..=MAX_THETA) {
            for popularity in [Popularity::Uniform, Popularity::Zipf { theta }] {
                prop_assert_eq!(popularity.to_string().parse(), Ok(popularity));
            }
        }
    }

    #[test]
    fn zipf_is_as_skewed_as_its_theta() {
        const DRAWS: usize = 200_000;
        let keys = drawn(Keys::new(1_000, Popularity::Zipf { theta: 1.0 }), DRAWS);
        let harmonic: f64 = (1..=1_000).map(|rank| 1.0 / f64::from(rank)).sum();
        for rank in [1, 2, 10, 100] {
            let count = keys.iter().filter(|key| **key == rank - 1).count() as f64;
            let expected = DRAWS as f64 / f64::from(rank) / harmonic;
            assert!((count - expected).abs() < 5.0 * expected.sqrt(), "rank {rank}: {count}, not {expected}");
        }
    }

    #[test]
    fn uniform_keys_are_all_drawn_alike() {
        let keys = drawn(Keys::new(10, Popularity::Uniform), 100_000);
        for key in 0..10 {
            let count = keys.iter().filter(|drawn| **drawn == key).count();
            assert!((9_500..10_500).contains(&count), "{key}: {count}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in ["", "zipfian", "zipf:", "zipf:-1", "zipf:11", "zipf:NaN", "uniform:1", "Uniform"] {
            assert_eq!(bad.parse::<Popularity>(), Err(UnknownPopularity), "{bad}");
        }
    }
}
