//! Pure: requests per second, from totals read now and then.

use std::{collections::VecDeque, time::Duration};

/// Readings kept: the rate is that between the first and the last of them.
const READINGS: usize = 6;

/// The rate of a total that grows.
#[derive(Debug, Default)]
pub(super) struct Load {
    readings: VecDeque<(Duration, u64)>,
}

impl Load {
    /// Notes what the total was `at`, later than ever before.
    pub(super) fn note(&mut self, at: Duration, total: u64) {
        if self.readings.len() == READINGS {
            self.readings.pop_front();
        }
        self.readings.push_back((at, total));
    }

    /// How fast it grew lately.
    pub(super) fn per_second(&self) -> f64 {
        let (Some((began, first)), Some((ended, last))) = (self.readings.front(), self.readings.back())
        else {
            return 0.0;
        };
        let seconds = ended.saturating_sub(*began).as_secs_f64();
        if seconds > 0.0 { last.saturating_sub(*first) as f64 / seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_readings_only() {
        let mut load = Load::default();
        assert_eq!(load.per_second(), 0.0);
        let mut total = 0;
        for second in 0..20 {
            load.note(Duration::from_secs(second), total);
            total += if second < 10 { 1_000 } else { 50 };
        }
        assert_eq!(load.per_second(), 50.0);
    }

    #[test]
    fn one_reading_tells_no_rate() {
        let mut load = Load::default();
        load.note(Duration::from_secs(3), 1_000);
        load.note(Duration::from_secs(3), 2_000);
        assert_eq!(load.per_second(), 0.0);
    }
}
