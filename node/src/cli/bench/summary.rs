use super::{
    marks::Mark,
    options::Plan,
    recorder::{Errors, Latencies, Recorder},
    run::Run,
    timeline::Point,
};
use crate::cli::output;
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// The result of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// What was run, in words.
    run: String,
    seed: u64,
    seconds: f64,
    gets: u64,
    sets: u64,
    /// Sets that followed a miss: a part of its request, not one of their own.
    fills: u64,
    /// Requests that were answered.
    requests_per_second: f64,
    /// What was asked for; `None` in a closed loop.
    rate: Option<u64>,
    hit_ratio: Option<f64>,
    errors: BTreeMap<String, ErrorTimes>,
    never_sent: u64,
    corrupt: u64,
    /// From when a request was due.
    #[serde(flatten)]
    latency: Kinds,
    /// From when it was sent; `None` in a closed loop, where that is the same.
    service: Option<Kinds>,
    /// How long requests waited to be sent; `None` in a closed loop, where none does.
    wait: Option<Percentiles>,
}

/// How a run went over time.
#[derive(Debug, Serialize)]
pub(crate) struct Timeline {
    /// What was run, in words.
    pub(crate) run: String,
    pub(crate) seconds: f64,
    /// How long a point is.
    pub(crate) window_seconds: f64,
    /// Requests per second that were asked for; `None` in a closed loop.
    pub(crate) rate: Option<u64>,
    pub(crate) points: Vec<Point>,
    pub(crate) marks: Vec<Mark>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Kinds {
    get_hits: Percentiles,
    get_misses: Percentiles,
    /// From a read that missed to its value's being stored.
    loads: Percentiles,
    set: Percentiles,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Percentiles {
    count: u64,
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    p999_us: u64,
    max_us: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct ErrorTimes {
    count: u64,
    first_seconds: f64,
    last_seconds: f64,
}

impl Report {
    /// The result of a run as it was planned.
    pub(crate) fn of(plan: &Plan, run: &Run) -> Self {
        let met = &run.met;
        let latency = Kinds::of(met, |measured| &measured.latency);
        let (hits, misses, sets) = (latency.get_hits.count, latency.get_misses.count, latency.set.count);
        let gets = hits + misses;
        let errors = met.errors.iter().map(|(kind, errors)| (kind.clone(), (*errors).into()));
        Self {
            run: plan.description.clone(),
            seed: plan.seed,
            seconds: run.took.as_secs_f64(),
            gets,
            sets,
            fills: met.fills,
            requests_per_second: (gets + sets - met.fills) as f64 / run.took.as_secs_f64().max(1e-9),
            rate: plan.rate,
            hit_ratio: (gets > 0).then(|| hits as f64 / gets as f64),
            errors: errors.collect(),
            never_sent: run.never_sent,
            corrupt: met.corrupt,
            latency,
            service: plan.rate.map(|_| Kinds::of(met, |measured| &measured.service)),
            wait: plan.rate.map(|_| Percentiles::of(&met.waits)),
        }
    }

    /// Whether values were wrong, or nothing was answered at all.
    pub(crate) fn is_failure(&self) -> bool {
        self.corrupt > 0 || self.gets + self.sets == 0
    }

    /// Writes the result for people.
    pub(crate) fn print(&self) -> anyhow::Result<()> {
        output::line(&self.run)?;
        output::line(self.headline())?;
        let headings = ["requests", "count", "p50", "p90", "p99", "p99.9", "max"];
        output::table(&headings, &self.rows())?;
        for (kind, errors) in &self.errors {
            output::line(format!("errors: {errors} {kind}"))?;
        }
        if self.never_sent > 0 {
            let never_sent = self.never_sent;
            output::line(format!("OVERLOADED: {never_sent} requests were due and never sent"))?;
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
        let asked = self.rate.map(|rate| format!(" of {rate} asked for")).unwrap_or_default();
        let fills = match self.fills {
            0 => String::new(),
            fills => format!(", {fills} of them after misses,"),
        };
        let errors: u64 = self.errors.values().map(|errors| errors.count).sum();
        format!(
            "{ratio}, {:.0} requests/s{asked} ({} gets + {} sets{fills} in {:.2} s), {errors} errors",
            self.requests_per_second, self.gets, self.sets, self.seconds
        )
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows = self.latency.rows("");
        if let (Some(service), Some(wait)) = (&self.service, &self.wait) {
            rows.push(wait.row("waited to be sent"));
            rows.extend(service.rows(", once sent"));
        }
        rows
    }
}

impl Timeline {
    /// How a run went.
    pub(crate) fn of(plan: &Plan, run: &Run) -> Self {
        let timeline = &run.met.timeline;
        Self {
            run: plan.description.clone(),
            seconds: run.took.as_secs_f64(),
            window_seconds: timeline.width().as_secs_f64(),
            rate: plan.rate,
            points: timeline.points(run.took),
            marks: run.marks.clone(),
        }
    }
}

impl Kinds {
    fn of(met: &Recorder, of: fn(&super::recorder::Measured) -> &Latencies) -> Self {
        Self {
            get_hits: Percentiles::of(of(&met.hits)),
            get_misses: Percentiles::of(of(&met.misses)),
            loads: Percentiles::of(of(&met.loads)),
            set: Percentiles::of(of(&met.sets)),
        }
    }

    /// A row for each kind there is.
    fn rows(&self, note: &str) -> Vec<Vec<String>> {
        let kinds = [
            ("get hit", self.get_hits),
            ("get miss", self.get_misses),
            ("miss, load and set", self.loads),
            ("set", self.set),
        ];
        let there = kinds.iter().filter(|(_, percentiles)| percentiles.count > 0);
        there.map(|(kind, percentiles)| percentiles.row(&format!("{kind}{note}"))).collect()
    }
}

impl Percentiles {
    fn of(latencies: &Latencies) -> Self {
        Self {
            count: latencies.count(),
            p50_us: latencies.at(0.5),
            p90_us: latencies.at(0.9),
            p99_us: latencies.at(0.99),
            p999_us: latencies.at(0.999),
            max_us: latencies.at(1.0),
        }
    }

    fn row(&self, kind: &str) -> Vec<String> {
        let times = [self.p50_us, self.p90_us, self.p99_us, self.p999_us, self.max_us];
        let mut row = vec![kind.to_owned(), self.count.to_string()];
        row.extend(times.map(|us| if self.count == 0 { "-".into() } else { time(us) }));
        row
    }
}

/// Microseconds with three digits that count.
pub(crate) fn time(us: u64) -> String {
    match us as f64 {
        small if us < 1_000 => format!("{small} us"),
        ms if us < 10_000 => format!("{:.2} ms", ms / 1e3),
        ms if us < 100_000 => format!("{:.1} ms", ms / 1e3),
        ms if us < 1_000_000 => format!("{:.0} ms", ms / 1e3),
        s => format!("{:.2} s", s / 1e6),
    }
}

impl From<Errors> for ErrorTimes {
    fn from(errors: Errors) -> Self {
        let seconds = |time: Duration| time.as_secs_f64();
        Self { count: errors.count, first_seconds: seconds(errors.first), last_seconds: seconds(errors.last) }
    }
}

impl std::fmt::Display for ErrorTimes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x, from {:.2} s to {:.2} s:", self.count, self.first_seconds, self.last_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::{
        options::tests::planned,
        recorder::{Kind, Times},
    };

    fn met(hits: u64, misses: u64) -> Recorder {
        let mut met = Recorder::default();
        let answered = |us| Times {
            due: Duration::ZERO,
            sent: Duration::from_micros(us / 2),
            done: Duration::from_micros(us),
        };
        (1..=hits).for_each(|us| met.answer(Kind::Hit, answered(us)));
        (1..=misses).for_each(|us| met.answer(Kind::Miss, answered(us)));
        met
    }

    fn report(arguments: &[&str], met: Recorder, seconds: u64) -> Report {
        let took = Duration::from_secs(seconds);
        Report::of(&planned(arguments).unwrap(), &Run { took, met, never_sent: 0, marks: Vec::new() })
    }

    #[test]
    fn a_run_is_told_in_one_line_and_a_table() {
        let mut all = met(60, 40);
        all.answer(Kind::Set, Times { due: Duration::ZERO, sent: Duration::ZERO, done: Duration::ZERO });
        all.error("timeout", Duration::from_secs(1));
        let report = report(&[], all, 2);
        assert_eq!((report.gets, report.sets, report.hit_ratio), (100, 1, Some(0.6)));
        let expected = "hit ratio 60.00 %, 50 requests/s (100 gets + 1 sets in 2.00 s), 1 errors";
        assert_eq!(report.headline(), expected);
        assert_eq!(report.errors["timeout"].to_string(), "1 x, from 1.00 s to 1.00 s:");
        let kinds: Vec<String> = report.rows().into_iter().map(|row| row[0].clone()).collect();
        assert_eq!(kinds, ["get hit", "get miss", "set"]);
        assert!(!report.is_failure());
    }

    #[test]
    fn what_fills_a_miss_is_no_request_of_its_own() {
        let mut all = met(60, 40);
        let times = Times { due: Duration::ZERO, sent: Duration::ZERO, done: Duration::from_micros(1) };
        (0..40).for_each(|_| all.answer(Kind::Fill, times));
        let report = report(&[], all, 1);
        let expected = "hit ratio 60.00 %, 100 requests/s (100 gets + 40 sets, 40 of them after misses, in 1.00 s), 0 errors";
        assert_eq!(report.headline(), expected);
    }

    #[test]
    fn an_open_loop_tells_what_was_asked_and_what_the_server_took() {
        let report = report(&["--rate", "1000"], met(1_000, 0), 1);
        let rows = report.rows();
        assert!(report.headline().contains("1000 requests/s of 1000 asked for"));
        assert_eq!(rows[0][..4], ["get hit", "1000", "500 us", "900 us"]);
        assert_eq!(rows[2][..4], ["get hit, once sent", "1000", "250 us", "450 us"]);
    }

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let hits = report(&[], met(1000, 0), 1).latency.get_hits;
        assert_eq!(
            (hits.count, hits.p50_us, hits.p90_us, hits.p99_us, hits.max_us),
            (1000, 500, 900, 990, 1000)
        );
    }

    #[test]
    fn times_have_three_digits() {
        let shown = [0, 999, 1_000, 12_345, 999_499, 60_000_000].map(time);
        assert_eq!(shown, ["0 us", "999 us", "1.00 ms", "12.3 ms", "999 ms", "60.00 s"]);
    }

    #[test]
    fn one_wrong_value_or_no_answer_at_all_fails_the_run() {
        let corrupt = Recorder { corrupt: 1, ..met(10, 0) };
        assert!(report(&[], corrupt, 1).is_failure());
        assert!(report(&[], met(0, 0), 0).is_failure());
    }
}
