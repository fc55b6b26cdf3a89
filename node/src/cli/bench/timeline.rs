//! How a run went over time, in a bounded number of windows: where they run out, they become twice as long.

use super::recorder::{LONGEST, Times, micros};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

const FINEST: Duration = Duration::from_millis(100);
const MAX_WINDOWS: usize = 600;
const SIGNIFICANT_DIGITS: u8 = 2;

/// All windows, from the start.
#[derive(Debug, Clone)]
pub(crate) struct Timeline {
    width: Duration,
    windows: Vec<Window>,
}

/// One window. Latencies are those of requests that were due in it; answers and errors are those that came in it.
#[derive(Debug, Clone)]
struct Window {
    latencies: Histogram<u32>,
    answers: u64,
    errors: u64,
}

/// A window in figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Point {
    /// When it begins.
    pub(crate) seconds: f64,
    /// Answers per second.
    pub(crate) per_second: f64,
    /// Errors in it.
    pub(crate) errors: u64,
    /// Of requests that were due in it; `None` when there was none.
    pub(crate) p50_us: Option<u64>,
    pub(crate) p99_us: Option<u64>,
    pub(crate) max_us: Option<u64>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { width: FINEST, windows: Vec::new() }
    }
}

impl Timeline {
    /// Counts an answer.
    pub(crate) fn answer(&mut self, times: Times) {
        let took = micros(times.done.saturating_sub(times.due).min(LONGEST));
        self.window(times.due).latencies.saturating_record(took);
        self.window(times.done).answers += 1;
    }

    /// Counts an error.
    pub(crate) fn error(&mut self, at: Duration) {
        self.window(at).errors += 1;
    }

    /// Adds what another one counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        while self.width < other.width {
            self.coarsen();
        }
        while other.width < self.width {
            other.coarsen();
        }
        let length = self.windows.len().max(other.windows.len());
        self.windows.resize_with(length, Window::default);
        for (window, addition) in self.windows.iter_mut().zip(&other.windows) {
            window.merge(addition);
        }
    }

    /// How long a window is.
    pub(crate) fn width(&self) -> Duration {
        self.width
    }

    /// The windows in figures, of a run that ended after `took`.
    pub(crate) fn points(&self, took: Duration) -> Vec<Point> {
        let width = self.width.as_secs_f64();
        let windows = self.windows.iter().enumerate();
        windows
            .map(|(index, window)| {
                let seconds = index as f64 * width;
                // The last one is cut short by the end.
                let length = (took.as_secs_f64() - seconds).clamp(width / 10.0, width);
                let latencies = Some(&window.latencies).filter(|latencies| !latencies.is_empty());
                Point {
                    seconds,
                    per_second: window.answers as f64 / length,
                    errors: window.errors,
                    p50_us: latencies.map(|latencies| latencies.value_at_quantile(0.5)),
                    p99_us: latencies.map(|latencies| latencies.value_at_quantile(0.99)),
                    max_us: latencies.map(Histogram::max),
                }
            })
            .collect()
    }

    fn window(&mut self, at: Duration) -> &mut Window {
        while self.index(at) >= MAX_WINDOWS {
            self.coarsen();
        }
        let index = self.index(at);
        if self.windows.len() <= index {
            self.windows.resize_with(index + 1, Window::default);
        }
        &mut self.windows[index]
    }

    fn index(&self, at: Duration) -> usize {
        usize::try_from(at.as_nanos() / self.width.as_nanos()).unwrap_or(usize::MAX)
    }

    /// Makes every two windows one.
    fn coarsen(&mut self) {
        self.width = self.width.saturating_mul(2);
        let mut windows = std::mem::take(&mut self.windows).into_iter();
        while let Some(mut window) = windows.next() {
            if let Some(next) = windows.next() {
                window.merge(&next);
            }
            self.windows.push(window);
        }
    }
}

impl Default for Window {
    fn default() -> Self {
        let latencies = Histogram::new_with_max(micros(LONGEST), SIGNIFICANT_DIGITS)
            .expect("the bounds are constants that are allowed");
        Self { latencies, answers: 0, errors: 0 }
    }
}

impl Window {
    fn merge(&mut self, other: &Self) {
        self.latencies.add(&other.latencies).expect("all histograms have the same bounds");
        self.answers += other.answers;
        self.errors += other.errors;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn counted(requests: &[(u64, u64)]) -> Timeline {
        let mut timeline = Timeline::default();
        for (due, took) in requests {
            let (due, done) = (ms(*due), ms(due + took));
            timeline.answer(Times { due, sent: due, done });
            timeline.error(done);
        }
        timeline
    }

    #[test]
    fn a_late_answer_shows_where_it_was_due_and_counts_where_it_came() {
        let points = counted(&[(50, 1), (60, 1_000)]).points(ms(1_100));
        assert_eq!(points.len(), 11);
        assert_eq!((points[0].per_second, points[10].per_second), (10.0, 10.0));
        assert!(points[0].max_us.is_some_and(|max| max >= 1_000_000));
        assert_eq!((points[10].max_us, points[10].errors), (None, 1));
    }

    #[test]
    fn the_last_window_counts_for_as_long_as_it_was() {
        let points = counted(&[(0, 1), (110, 1), (120, 1)]).points(ms(150));
        assert!((points[1].per_second - 40.0).abs() < 1e-6, "{points:?}");
    }

    proptest! {
        // A thousand histograms each.
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn nothing_is_lost_however_long_a_run_takes(
            requests in prop::collection::vec((0u64..10_000_000, 0u64..5_000), 0..50),
            others in prop::collection::vec((0u64..100_000, 0u64..5_000), 0..50),
        ) {
            let mut timeline = counted(&requests);
            timeline.merge(&counted(&others));
            prop_assert!(timeline.windows.len() <= MAX_WINDOWS);
            let count = (requests.len() + others.len()) as u64;
            let windows = &timeline.windows;
            prop_assert_eq!(windows.iter().map(|window| window.answers).sum::<u64>(), count);
            prop_assert_eq!(windows.iter().map(|window| window.errors).sum::<u64>(), count);
            prop_assert_eq!(windows.iter().map(|window| window.latencies.len()).sum::<u64>(), count);
            // Together is the same as one by one.
            let all = counted(&[requests, others].concat());
            let end = Duration::from_secs(20_000);
            prop_assert_eq!(all.points(end), timeline.points(end));
        }
    }
}
