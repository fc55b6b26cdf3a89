//! How a node's wall clock is off: by a constant, by drift, and by one step.

use crate::millis;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The error of one clock over a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Skew {
    /// Milliseconds ahead of true time from the start; negative is behind.
    pub offset_ms: i64,
    /// Microseconds gained per second.
    pub drift_ppm: i64,
    /// When the clock is set, counted from the start of the run.
    #[serde(with = "millis")]
    pub step_after: Duration,
    /// By how many milliseconds.
    pub step_ms: i64,
}

impl Skew {
    /// The longest run the drift is bounded for.
    pub const HORIZON: Duration = Duration::from_secs(200);
    const OFFSET_MS: i64 = 1_000;
    const STEP_MS: i64 = 800;
    const DRIFT_PPM: i64 = 1_000;

    /// Draws a clock that is never off by more than two seconds. One in three is perfect.
    #[must_use]
    pub fn draw(rng: &mut impl Rng) -> Self {
        if rng.random_ratio(1, 3) {
            return Self::default();
        }
        let steps = rng.random_ratio(1, 3);
        Self {
            offset_ms: rng.random_range(-Self::OFFSET_MS..=Self::OFFSET_MS),
            drift_ppm: rng.random_range(-Self::DRIFT_PPM..=Self::DRIFT_PPM),
            step_after: Duration::from_millis(rng.random_range(5_000..60_000)),
            step_ms: if steps { rng.random_range(-Self::STEP_MS..=Self::STEP_MS) } else { 0 },
        }
    }

    /// How many milliseconds the clock is ahead once `elapsed` of the run has passed.
    #[must_use]
    pub fn error_ms(&self, elapsed: Duration) -> i64 {
        let micros = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
        let drifted = micros.saturating_mul(self.drift_ppm) / 1_000_000_000;
        let stepped = if elapsed >= self.step_after { self.step_ms } else { 0 };
        self.offset_ms + drifted + stepped
    }

    /// The largest error, either way, within [`Skew::HORIZON`].
    #[must_use]
    pub fn bound(&self) -> Duration {
        let drifted = self.drift_ppm.unsigned_abs() * Self::HORIZON.as_secs() / 1_000;
        Duration::from_millis(self.offset_ms.unsigned_abs() + self.step_ms.unsigned_abs() + drifted)
    }
}

#[cfg(madsim)]
pub(crate) use simulated::SkewedClock;

#[cfg(madsim)]
mod simulated {
    use super::Skew;
    use madsim::time::TimeHandle;
    use shoal_membership::WallClock;
    use shoal_proto::types::UnixMillis;

    /// A node's wall clock over simulated time.
    pub(crate) struct SkewedClock {
        pub(crate) epoch: UnixMillis,
        pub(crate) skew: Skew,
        pub(crate) time: TimeHandle,
    }

    impl WallClock for SkewedClock {
        fn now(&self) -> UnixMillis {
            let elapsed = self.time.elapsed();
            let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            UnixMillis((self.epoch.0 + elapsed_ms).saturating_add_signed(self.skew.error_ms(elapsed)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn a_drawn_clock_stays_within_its_bound_and_within_two_seconds() {
        let mut rng = StdRng::seed_from_u64(1);
        for _ in 0..1_000 {
            let skew = Skew::draw(&mut rng);
            assert!(skew.bound() <= Duration::from_secs(2), "{skew:?}");
            for second in 0..=Skew::HORIZON.as_secs() {
                let error = skew.error_ms(Duration::from_secs(second)).unsigned_abs();
                assert!(Duration::from_millis(error) <= skew.bound(), "{skew:?} at {second}");
            }
        }
    }

    #[test]
    fn offset_drift_and_step_add_up() {
        let step_after = Duration::from_secs(10);
        let skew = Skew { offset_ms: 100, drift_ppm: 1_000, step_after, step_ms: -50 };
        assert_eq!(skew.error_ms(Duration::ZERO), 100);
        assert_eq!(skew.error_ms(Duration::from_secs(9)), 109);
        assert_eq!(skew.error_ms(Duration::from_secs(20)), 70);
    }
}
