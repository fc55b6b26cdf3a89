//! When requests are due, and which of them count. Times are measured from the start of the run.

use clap::ValueEnum;
use rand::{SeedableRng as _, rngs::SmallRng};
use rand_distr::{Distribution as _, Exp1};
use std::time::Duration;

/// How arrivals are spaced in an open loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arrivals {
    /// As those of many independent users: exponential gaps
    Poisson,
    /// One every so often
    Constant,
}

/// How long a run goes and what of it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Extent {
    /// Requests due earlier are sent and do not count.
    pub(crate) warmup: Duration,
    /// After the warm-up; `None` until the requests are used up.
    pub(crate) duration: Option<Duration>,
    /// How many requests are to count.
    pub(crate) requests: Option<u64>,
    /// How many there are, those of the warm-up included.
    pub(crate) available: Option<u64>,
}

/// One request that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// Its number in the workload.
    pub(crate) index: u64,
    /// When it is meant to begin.
    pub(crate) at: Duration,
    /// Whether the warm-up is over by then.
    pub(crate) counts: bool,
}

/// Hands out the requests of one run. Equal schedules hand out the same.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// `None` in a closed loop, where a request is due when somebody is free to send it.
    pace: Option<Pace>,
    extent: Extent,
    issued: u64,
    counted: u64,
}

#[derive(Debug, Clone)]
struct Pace {
    arrivals: Arrivals,
    /// Arrivals per second.
    rate: f64,
    rng: SmallRng,
    /// Arrivals so far, in units of the mean gap: small steps are summed where they lose nothing.
    gaps: f64,
}

impl Schedule {
    /// Requests that wait for whoever sends them.
    pub(crate) fn closed(extent: Extent) -> Self {
        Self { pace: None, extent, issued: 0, counted: 0 }
    }

    /// Requests that come whether or not anybody is free: `rate` per second.
    pub(crate) fn open(extent: Extent, arrivals: Arrivals, rate: f64, seed: u64) -> Self {
        let pace = Pace { arrivals, rate, rng: SmallRng::seed_from_u64(seed), gaps: 0.0 };
        Self { pace: Some(pace), extent, issued: 0, counted: 0 }
    }

    /// Whether requests come by themselves.
    pub(crate) fn is_open(&self) -> bool {
        self.pace.is_some()
    }

    /// How long it goes.
    pub(crate) fn extent(&self) -> Extent {
        self.extent
    }

    /// The next request, `None` once the run is over. In a closed loop it is due `now`; in an open one when it comes.
    pub(crate) fn next(&mut self, now: Duration) -> Option<Due> {
        let Extent { warmup, duration, requests, available } = self.extent;
        if available.is_some_and(|available| self.issued >= available)
            || requests.is_some_and(|requests| self.counted >= requests)
        {
            return None;
        }
        let at = self.pace.as_mut().map_or(now, Pace::next);
        if duration.is_some_and(|duration| at >= warmup + duration) {
            return None;
        }
        let counts = at >= warmup;
        let due = Due { index: self.issued, at, counts };
        self.issued += 1;
        self.counted += u64::from(counts);
        Some(due)
    }

    /// Ends the run and returns how many requests were yet to come.
    pub(crate) fn abandon(&mut self) -> u64 {
        let mut left = 0;
        // A closed loop has no requests that wait: they would only have come to be.
        while self.is_open() && self.next(Duration::ZERO).is_some() {
            left += 1;
        }
        self.extent.available = Some(self.issued);
        left
    }
}

impl Pace {
    fn next(&mut self) -> Duration {
        let gap: f64 = match self.arrivals {
            Arrivals::Poisson => Exp1.sample(&mut self.rng),
            Arrivals::Constant => 1.0,
        };
        let at = self.gaps / self.rate;
        self.gaps += gap;
        Duration::from_secs_f64(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn all(mut schedule: Schedule) -> Vec<Due> {
        std::iter::from_fn(|| schedule.next(Duration::ZERO)).collect()
    }

    fn lasting(duration: Duration) -> Extent {
        Extent { duration: Some(duration), ..Extent::default() }
    }

    #[test]
    fn constant_arrivals_do_not_drift() {
        let hour = Duration::from_secs(3600);
        let mut schedule = Schedule::open(lasting(2 * hour), Arrivals::Constant, 3_000.0, 1);
        let last = std::iter::from_fn(|| schedule.next(Duration::ZERO)).last().unwrap();
        assert_eq!(last.index, 2 * 3600 * 3_000 - 1);
        let expected = 2 * hour - Duration::from_secs(1) / 3_000;
        assert!(last.at.abs_diff(expected) < Duration::from_micros(1), "{:?}", last.at);
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread() {
        let dues = all(Schedule::open(lasting(100 * SECOND), Arrivals::Poisson, 1_000.0, 7));
        let count = dues.len() as f64;
        // Four standard deviations.
        assert!((count - 100_000.0).abs() < 4.0 * 100_000f64.sqrt(), "{count}");
        let long = dues.windows(2).filter(|pair| pair[1].at - pair[0].at > Duration::from_millis(1)).count();
        let expected = (-1f64).exp();
        assert!((long as f64 / count - expected).abs() < 0.01, "{long} of {count} gaps exceed the mean");
    }

    proptest! {
        #[test]
        fn requests_come_in_order_and_none_is_lost(
            poisson: bool,
            seed: u64,
            rate in 1.0f64..10_000.0,
            warmup_ms in 0u64..500,
            duration_ms in prop::option::of(1u64..500),
            requests in prop::option::of(0u64..300),
            available in 0u64..3_000,
        ) {
            let extent = Extent {
                warmup: Duration::from_millis(warmup_ms),
                duration: duration_ms.map(Duration::from_millis),
                requests,
                available: Some(available),
            };
            let arrivals = if poisson { Arrivals::Poisson } else { Arrivals::Constant };
            let schedule = Schedule::open(extent, arrivals, rate, seed);
            let dues = all(schedule.clone());
            prop_assert_eq!(&dues, &all(schedule.clone()));
            prop_assert!(dues.iter().enumerate().all(|(i, due)| due.index == i as u64));
            prop_assert!(dues.is_sorted_by_key(|due| due.at));
            prop_assert!(dues.iter().all(|due| due.counts == (due.at >= extent.warmup)));
            let end = extent.duration.map_or(Duration::MAX, |duration| extent.warmup + duration);
            prop_assert!(dues.iter().all(|due| due.at < end));
            let counted = dues.iter().filter(|due| due.counts).count() as u64;
            prop_assert!(counted <= requests.unwrap_or(u64::MAX) && dues.len() as u64 <= available);
            // Whatever was taken, the rest is what abandoning finds.
            let mut rest = schedule;
            let taken = dues.len() / 2;
            prop_assert_eq!((0..taken).filter_map(|_| rest.next(Duration::ZERO)).count(), taken);
            prop_assert_eq!(rest.abandon(), (dues.len() - taken) as u64);
            prop_assert_eq!(rest.next(Duration::ZERO), None);
        }
    }

    #[test]
    fn a_closed_loop_ends_by_the_clock_and_its_warm_up_does_not_count() {
        let extent = Extent { warmup: SECOND, duration: Some(SECOND), ..Extent::default() };
        let mut schedule = Schedule::closed(extent);
        let counts = |due: Due| due.counts;
        assert_eq!(schedule.next(SECOND / 2).map(counts), Some(false));
        assert_eq!(schedule.next(SECOND).map(counts), Some(true));
        assert_eq!(schedule.next(2 * SECOND), None);
        assert_eq!(schedule.abandon(), 0);
        assert_eq!(schedule.next(SECOND), None);
    }

    #[test]
    fn so_many_requests_count_and_no_more() {
        let extent = Extent { warmup: SECOND, requests: Some(2), ..Extent::default() };
        let mut schedule = Schedule::closed(extent);
        let times = [0, 0, 0, 1, 1, 1].map(|seconds| schedule.next(seconds * SECOND).is_some());
        assert_eq!(times, [true, true, true, true, true, false]);
    }
}
