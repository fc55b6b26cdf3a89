//! Counts what happened.
//!
//! In an open loop a request is meant to begin at a certain time, whoever is free then. Its latency counts from that time:
//! were it counted from when it was sent, a server that stalls would hold up the requests that are to show it. What the
//! server itself took, from sending on, is kept beside it.

use super::timeline::Timeline;
use hdrhistogram::Histogram;
use std::{collections::BTreeMap, time::Duration};

/// Longer answers count as this long.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);
const SIGNIFICANT_DIGITS: u8 = 3;
/// Further kinds of errors count as one.
const MAX_ERROR_KINDS: usize = 64;
const OTHER_ERRORS: &str = "other errors";

/// What is measured apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A read that found a value.
    Hit,
    /// A read that did not, up to that answer.
    Miss,
    /// A read that did not, up to when the value was loaded and stored.
    Load,
    /// A write.
    Set,
    /// A write that followed a read that did not find a value: no request of its own.
    Fill,
}

/// When a request was meant to begin, was sent, and was done; each from the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) due: Duration,
    pub(crate) sent: Duration,
    pub(crate) done: Duration,
}

/// How long something took, in microseconds.
#[derive(Debug)]
pub(crate) struct Latencies(Histogram<u64>);

/// One kind of request.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// From when it was due.
    pub(crate) latency: Latencies,
    /// From when it was sent.
    pub(crate) service: Latencies,
}

/// Failed requests of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errors {
    pub(crate) count: u64,
    pub(crate) first: Duration,
    pub(crate) last: Duration,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) hits: Measured,
    pub(crate) misses: Measured,
    pub(crate) loads: Measured,
    /// Writes, fills among them.
    pub(crate) sets: Measured,
    /// Writes that followed a miss.
    pub(crate) fills: u64,
    /// How long requests waited to be sent.
    pub(crate) waits: Latencies,
    /// By kind.
    pub(crate) errors: BTreeMap<String, Errors>,
    /// Values that were not those of their keys.
    pub(crate) corrupt: u64,
    pub(crate) timeline: Timeline,
}

impl Recorder {
    /// Counts a request that waited until it was sent.
    pub(crate) fn wait(&mut self, waited: Duration) {
        self.waits.record(waited);
    }

    /// Counts an answer.
    pub(crate) fn answer(&mut self, kind: Kind, times: Times) {
        let measured = match kind {
            Kind::Hit => &mut self.hits,
            Kind::Miss => &mut self.misses,
            Kind::Load => &mut self.loads,
            Kind::Set => &mut self.sets,
            Kind::Fill => {
                self.fills += 1;
                &mut self.sets
            }
        };
        measured.latency.record(times.done.saturating_sub(times.due));
        measured.service.record(times.done.saturating_sub(times.sent));
        // Both belong to a miss that has been counted.
        if !matches!(kind, Kind::Load | Kind::Fill) {
            self.timeline.answer(times);
        }
    }

    /// Counts a failure.
    pub(crate) fn error(&mut self, kind: &str, at: Duration) {
        self.timeline.error(at);
        self.merge_errors(kind, Errors { count: 1, first: at, last: at });
    }

    /// Adds what another one counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.hits.merge(&other.hits);
        self.misses.merge(&other.misses);
        self.loads.merge(&other.loads);
        self.sets.merge(&other.sets);
        self.fills += other.fills;
        self.waits.merge(&other.waits);
        for (kind, errors) in &other.errors {
            self.merge_errors(kind, *errors);
        }
        self.corrupt += other.corrupt;
        self.timeline.merge(&other.timeline);
    }

    fn merge_errors(&mut self, kind: &str, errors: Errors) {
        let is_room = self.errors.len() < MAX_ERROR_KINDS || self.errors.contains_key(kind);
        let entry = self.errors.entry(if is_room { kind } else { OTHER_ERRORS }.to_owned());
        entry
            .and_modify(|all| {
                all.count += errors.count;
                all.first = all.first.min(errors.first);
                all.last = all.last.max(errors.last);
            })
            .or_insert(errors);
    }
}

impl Measured {
    fn merge(&mut self, other: &Self) {
        self.latency.merge(&other.latency);
        self.service.merge(&other.service);
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self(
            Histogram::new_with_max(micros(LONGEST), SIGNIFICANT_DIGITS)
                .expect("the bounds are constants that are allowed"),
        )
    }
}

impl Latencies {
    fn record(&mut self, took: Duration) {
        self.0.saturating_record(micros(took));
    }

    fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all histograms have the same bounds");
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// What the share `quantile` of them did not exceed, in microseconds.
    pub(crate) fn at(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }
}

/// Whole microseconds.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_stall_counts_for_every_request_that_was_due_while_it_lasted() {
        // One request per millisecond for ten seconds, each answered within 100 us, except that the server stands still
        // for a whole second. One connection: what is due meanwhile is sent, and answered, right after.
        let mut recorder = Recorder::default();
        let quick = MS / 10;
        for n in 0..10_000 {
            let due = n * MS;
            let sent = if (5_001..6_000).contains(&n) { 6_000 * MS } else { due };
            let done = if n == 5_000 { 6_000 * MS } else { sent + quick };
            recorder.answer(Kind::Hit, Times { due, sent, done });
        }
        let Measured { latency, service } = &recorder.hits;
        assert_eq!((latency.count(), service.count()), (10_000, 10_000));
        // A tenth of all requests felt it, half of those for longer than half of it.
        assert_eq!(latency.at(0.89), 100);
        assert!((495_000..506_000).contains(&latency.at(0.95)), "{}", latency.at(0.95));
        assert!((890_000..911_000).contains(&latency.at(0.99)), "{}", latency.at(0.99));
        // Counted from sending it would have been one slow answer in ten thousand.
        assert_eq!(service.at(0.999), 100);
        assert!(service.at(1.0) >= 1_000_000);
    }

    #[test]
    fn recorders_add_up() {
        let mut first = Recorder::default();
        first.answer(Kind::Set, Times { due: MS, sent: MS, done: 2 * MS });
        first.error("timeout", 9 * MS);
        let mut second = Recorder { corrupt: 1, ..Recorder::default() };
        second.answer(Kind::Set, Times { due: MS, sent: MS, done: 4 * MS });
        second.error("timeout", 3 * MS);
        second.error("TRYAGAIN", 5 * MS);
        second.wait(MS);
        first.merge(&second);
        assert_eq!((first.sets.latency.count(), first.sets.latency.at(1.0)), (2, 3_001));
        assert_eq!((first.waits.count(), first.corrupt), (1, 1));
        assert_eq!(first.errors["timeout"], Errors { count: 2, first: 3 * MS, last: 9 * MS });
        assert_eq!(first.errors["TRYAGAIN"].count, 1);
    }

    #[test]
    fn an_answer_longer_than_the_longest_still_counts() {
        let mut recorder = Recorder::default();
        recorder.wait(Duration::MAX);
        assert_eq!(recorder.waits.count(), 1);
    }

    #[test]
    fn kinds_of_errors_are_bounded() {
        let mut recorder = Recorder::default();
        (0..1_000).for_each(|n| recorder.error(&format!("error {n}"), MS));
        assert_eq!(recorder.errors.len(), MAX_ERROR_KINDS + 1);
        assert_eq!(recorder.errors[OTHER_ERRORS].count, 1_000 - MAX_ERROR_KINDS as u64);
    }
}
