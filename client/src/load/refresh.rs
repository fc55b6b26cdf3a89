//! Decides when a value is loaded anew before it expires.

use std::time::Duration;

/// Whether a caller who finds a value that is good for `left` should load it anew now, if a load takes about `took`.
/// `draw` is uniform in (0, 1].
///
/// This is XFetch with beta 1 (Vattani, Chierichetti, Lowenstein: "Optimal Probabilistic Cache Stampede Prevention",
/// VLDB 2015): the chance is exp(-left / took), so that the more callers there are, the earlier one of them loads, and
/// one is likely to have done so by the time the value expires.
pub(crate) fn is_due(left: Duration, took: Duration, draw: f64) -> bool {
    took.as_secs_f64() * -draw.ln() >= left.as_secs_f64() && !took.is_zero()
}

/// How long loads take: a moving average, the latest counting an eighth.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct LoadTime(Option<Duration>);

impl LoadTime {
    /// A load took this long.
    pub(crate) fn observe(&mut self, took: Duration) {
        self.0 = Some(self.0.map_or(took, |mean| mean - mean / 8 + took / 8));
    }

    /// How long the next will take, about; zero before there was one.
    pub(crate) fn get(self) -> Duration {
        self.0.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shoal_membership::Seed;

    fn share(left: u64, took: u64) -> f64 {
        let mut rng = Seed(left << 32 | took).stream("test");
        let draws = 20_000;
        let due = |_: &u32| {
            is_due(Duration::from_millis(left), Duration::from_millis(took), 1.0 - rng.random::<f64>())
        };
        (0..draws).filter(due).count() as f64 / f64::from(draws)
    }

    #[test]
    fn the_chance_is_that_of_the_paper() {
        for (left, took) in [(0, 50), (50, 50), (100, 50), (250, 50), (10, 100)] {
            let expected = (-(left as f64) / took as f64).exp();
            let found = share(left, took);
            assert!((found - expected).abs() < 0.015, "{found} for {left}/{took}, expected {expected}");
        }
    }

    proptest! {
        #[test]
        fn the_nearer_the_expiry_and_the_longer_the_load_the_sooner_it_is_due(
            left in 0u64..10_000, took in 0u64..10_000, draw in 1e-9f64..=1.0
        ) {
            let millis = Duration::from_millis;
            if is_due(millis(left), millis(took), draw) {
                prop_assert!(is_due(millis(left / 2), millis(took), draw));
                prop_assert!(is_due(millis(left), millis(took * 2), draw));
            }
        }
    }

    #[test]
    fn nothing_is_due_before_a_load_was_measured() {
        assert!(!is_due(Duration::ZERO, LoadTime::default().get(), 0.5));
    }

    #[test]
    fn the_average_follows_what_is_measured() {
        let mut time = LoadTime::default();
        time.observe(Duration::from_millis(80));
        assert_eq!(time.get(), Duration::from_millis(80));
        time.observe(Duration::from_millis(160));
        assert_eq!(time.get(), Duration::from_millis(90));
        (0..100).for_each(|_| time.observe(Duration::from_millis(10)));
        assert!(time.get() < Duration::from_millis(11));
    }
}
