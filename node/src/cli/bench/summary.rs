use crate::cli::output;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// Longer answers count as this long.
const LONGEST: Duration = Duration::from_secs(60);
const SIGNIFICANT_DIGITS: u8 = 3;

/// How long the answers of one kind took, in microseconds.
#[derive(Debug)]
pub(crate) struct Latencies(Histogram<u64>);

/// What one worker, or all of them, met.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// Reads that found a value.
    pub(crate) hits: Latencies,
    /// Reads that did not.
    pub(crate) misses: Latencies,
    /// Writes.
    pub(crate) sets: Latencies,
    /// Requests that failed, by kind.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Values that were not those of their keys.
    pub(crate) corrupt: u64,
}

/// The result of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    seconds: f64,
    gets: u64,
    sets: u64,
    /// Reads and writes.
    requests_per_second: f64,
    hit_ratio: Option<f64>,
    errors: BTreeMap<String, u64>,
    corrupt: u64,
    get_hits: Percentiles,
    get_misses: Percentiles,
    set: Percentiles,
}

#[derive(Debug, Serialize)]
struct Percentiles {
    count: u64,
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    p999_us: u64,
    max_us: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        let longest = LONGEST.as_micros() as u64;
        Self(
            Histogram::new_with_max(longest, SIGNIFICANT_DIGITS)
                .expect("the bounds are constants that are allowed"),
        )
    }
}

impl Latencies {
    /// Counts one answer.
    pub(crate) fn record(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all histograms have the same bounds");
    }

    fn count(&self) -> u64 {
        self.0.len()
    }

    fn percentiles(&self) -> Percentiles {
        Percentiles {
            count: self.count(),
            p50_us: self.0.value_at_quantile(0.5),
            p90_us: self.0.value_at_quantile(0.9),
            p99_us: self.0.value_at_quantile(0.99),
            p999_us: self.0.value_at_quantile(0.999),
            max_us: self.0.max(),
        }
    }
}

impl Summary {
    /// Counts one failed request.
    pub(crate) fn fail(&mut self, kind: String) {
        *self.errors.entry(kind).or_default() += 1;
    }

    /// Adds what another worker met.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.hits.merge(&other.hits);
        self.misses.merge(&other.misses);
        self.sets.merge(&other.sets);
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
        self.corrupt += other.corrupt;
        self
    }

    /// The result of a run that took this long.
    pub(crate) fn report(self, took: Duration) -> Report {
        let (hits, misses, sets) = (self.hits.count(), self.misses.count(), self.sets.count());
        let gets = hits + misses;
        Report {
            seconds: took.as_secs_f64(),
            gets,
            sets,
            requests_per_second: (gets + sets) as f64 / took.as_secs_f64().max(1e-9),
            hit_ratio: (gets > 0).then(|| hits as f64 / gets as f64),
            errors: self.errors,
            corrupt: self.corrupt,
            get_hits: self.hits.percentiles(),
            get_misses: self.misses.percentiles(),
            set: self.sets.percentiles(),
        }
    }
}

impl Report {
    /// Whether values were wrong, or no read was answered at all.
    pub(crate) fn is_failure(&self) -> bool {
        self.corrupt > 0 || self.gets == 0
    }

    /// Writes the result for people.
    pub(crate) fn print(&self) -> anyhow::Result<()> {
        output::line(self.headline())?;
        let headings = ["requests", "count", "p50", "p90", "p99", "p99.9", "max"];
        let kinds = [("get hit", &self.get_hits), ("get miss", &self.get_misses), ("set", &self.set)];
        output::table(&headings, &kinds.map(|(kind, percentiles)| percentiles.row(kind)))?;
        for (kind, count) in &self.errors {
            output::line(format!("errors: {count} x {kind}"))?;
        }
        if self.corrupt > 0 {
            output::line(format!("CORRUPT: {} values were not those of their keys", self.corrupt))?;
        }
        Ok(())
    }

    fn headline(&self) -> String {
        let ratio = self
            .hit_ratio
            .map_or_else(|| "no reads".into(), |ratio| format!("hit ratio {:.2} %", 100.0 * ratio));
        let errors: u64 = self.errors.values().sum();
        format!(
            "{ratio}, {:.0} requests/s ({} gets + {} sets in {:.2} s), {errors} errors",
            self.requests_per_second, self.gets, self.sets, self.seconds
        )
    }
}

impl Percentiles {
    fn row(&self, kind: &str) -> Vec<String> {
        let times = [self.p50_us, self.p90_us, self.p99_us, self.p999_us, self.max_us];
        let mut row = vec![kind.to_owned(), self.count.to_string()];
        row.extend(times.map(|us| if self.count == 0 { "-".into() } else { format!("{us} us") }));
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(hits: u64, misses: u64) -> Summary {
        let mut summary = Summary::default();
        (1..=hits).for_each(|us| summary.hits.record(Duration::from_micros(us)));
        (1..=misses).for_each(|us| summary.misses.record(Duration::from_micros(us)));
        summary
    }

    #[test]
    fn workers_add_up() {
        let mut first = met(60, 20);
        first.fail("timeout".into());
        let mut second = met(0, 20);
        second.fail("timeout".into());
        second.fail("TRYAGAIN".into());
        second.sets.record(Duration::from_millis(1));
        let report = first.merge(second).report(Duration::from_secs(2));
        assert_eq!((report.gets, report.sets), (100, 1));
        assert_eq!(report.hit_ratio, Some(0.6));
        assert!((report.requests_per_second - 50.5).abs() < 1e-9);
        assert_eq!(report.errors, BTreeMap::from([("TRYAGAIN".into(), 1), ("timeout".into(), 2)]));
        assert!(report.headline().contains("hit ratio 60.00 %") && report.headline().contains("3 errors"));
        assert!(!report.is_failure());
    }

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let report = met(1000, 0).report(Duration::from_secs(1));
        let hits = &report.get_hits;
        assert_eq!(
            (hits.count, hits.p50_us, hits.p90_us, hits.p99_us, hits.max_us),
            (1000, 500, 900, 990, 1000)
        );
        assert_eq!(report.get_misses.row("get miss")[1..3], ["0", "-"]);
    }

    #[test]
    fn an_answer_longer_than_the_longest_still_counts() {
        let mut summary = Summary::default();
        summary.hits.record(Duration::MAX);
        assert_eq!(summary.report(Duration::from_secs(1)).get_hits.count, 1);
    }

    #[test]
    fn one_wrong_value_or_no_answer_at_all_fails_the_run() {
        let mut corrupt = met(10, 0);
        corrupt.corrupt = 1;
        assert!(corrupt.report(Duration::from_secs(1)).is_failure());
        assert!(met(0, 0).report(Duration::ZERO).is_failure());
    }
}
