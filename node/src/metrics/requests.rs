//! Requests of clients, door by door.
//!
//! A request answered at once costs no lock, no look-up and no reading of the clock: it is counted in the [`Tally`] of
//! whoever runs it, and the tally is added up once for everything a turn has answered. They share the turn's time: the
//! client sees none of the replies before it is over.

use super::{
    histogram::Histogram,
    table::{Labels, Table},
};
use crate::{hot_keys::HotKeys, limits};
use parking_lot::Mutex;
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{
        MetricType,
        counter::{ConstCounter, Counter},
    },
    registry::{Registry, Unit},
};
use shoal_proto::types::{Consistency, HotKey, Key};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoorName {
    /// Redis clients.
    Resp,
    /// gRPC clients.
    Grpc,
    /// HTTP clients.
    Rest,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A value.
    Get,
    /// That a value be stored.
    Set,
    /// That a key be deleted.
    Delete,
    /// That a key expire at another time.
    Expire,
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The node has no ring record yet.
    NotReady,
    /// Too few owners can be asked.
    Unavailable,
    /// Too few owners answered in time.
    Timeout,
    /// A bound was hit.
    Overloaded,
    /// A client's tag is too far ahead.
    TagAhead,
    /// Owners have no room and evict nothing.
    OutOfMemory,
    /// It can never succeed as it is.
    Invalid,
}

pub(super) const DOORS: [&str; 3] = ["resp", "grpc", "rest"];
const OPERATIONS: [&str; 4] = ["get", "set", "delete", "expire"];
const FAILURES: [&str; 7] =
    ["not_ready", "unavailable", "timeout", "overloaded", "tag_ahead", "out_of_memory", "invalid"];
const LEVELS: usize = Consistency::LEVELS.len();
/// Kinds of requests at one door.
const KINDS: usize = OPERATIONS.len() * LEVELS;

/// One request in so many is looked at for hot keys. A prime, lest requests that come in rounds of 64 or 100 always show
/// the same one of them.
pub(crate) const SAMPLED: u32 = 61;

/// Requests of all doors.
#[derive(Debug, Clone)]
pub struct Requests(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    /// By door, operation and level.
    durations: Table<Histogram>,
    /// By door, operation and failure.
    failures: Table<Counter>,
    /// Sampled keys. Taken by one request in [`SAMPLED`], which does without if it would have to wait.
    hot_keys: Mutex<HotKeys>,
    /// Tallies begun, so that each begins its sample elsewhere.
    tallies: AtomicU64,
}

impl Requests {
    /// No requests yet; exported by `registry`.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let kinds = |last: (&'static str, Vec<&'static str>)| {
            let (name, values) = last;
            let every = DOORS.into_iter().flat_map(|door| OPERATIONS.into_iter().map(move |op| (door, op)));
            let labels: Vec<Labels> = every
                .flat_map(|(door, op)| {
                    values.iter().map(move |value| vec![("door", door), ("operation", op), (name, *value)])
                })
                .collect();
            labels
        };
        let levels = Consistency::LEVELS.map(Consistency::name).to_vec();
        let durations: Table<Histogram> = Table::new(kinds(("level", levels)));
        let failures: Table<Counter> = Table::new(kinds(("kind", FAILURES.to_vec())));
        registry.register("requests", "Requests of clients answered", Totals(durations.clone()));
        registry.register_with_unit(
            "request_duration",
            "How long requests took; those answered in one turn share its time",
            Unit::Seconds,
            durations.clone(),
        );
        registry.register("request_errors", "Requests answered with an error", failures.clone());
        let hot_keys = Mutex::new(HotKeys::new(limits::HOT_KEYS, limits::HOT_KEY_BYTES));
        Self(Arc::new(Counts { durations, failures, hot_keys, tallies: AtomicU64::new(0) }))
    }

    /// Those of one door.
    #[must_use]
    pub fn door(&self, door: DoorName) -> DoorRequests {
        DoorRequests { door: door as usize, counts: self.0.clone() }
    }

    /// How many were answered, with success or an error.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.durations.iter().map(|(_, histogram)| histogram.count()).sum()
    }

    /// The keys most requests are for, the hottest first, after letting older requests fade by the time `passed` since
    /// the last call.
    #[must_use]
    pub(crate) fn hottest(&self, count: usize, passed: Duration) -> Vec<HotKey> {
        let mut hot_keys = self.0.hot_keys.lock();
        hot_keys.fade(passed);
        hot_keys.hottest(count)
    }

    /// Sampled requests whose keys were too long to be kept.
    #[must_use]
    pub(crate) fn unkept_keys(&self) -> u64 {
        self.0.hot_keys.lock().too_long()
    }
}

/// The total of each histogram, as a counter.
#[derive(Debug)]
struct Totals(Table<Histogram>);

impl EncodeMetric for Totals {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (labels, histogram) in self.0.iter() {
            ConstCounter::new(histogram.count()).encode(encoder.encode_family(labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

/// Requests of one door.
#[derive(Debug, Clone)]
pub struct DoorRequests {
    door: usize,
    counts: Arc<Counts>,
}

/// What somebody who runs requests has answered since it was last added up.
#[derive(Debug)]
pub struct Tally {
    answered: [u32; KINDS],
    /// When the first of them began.
    since: Option<Instant>,
    /// Requests until the next sample.
    unsampled: u32,
}

impl DoorRequests {
    /// A tally for one connection, or for one call.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let begun = self.counts.tallies.fetch_add(1, Relaxed);
        Tally { answered: [0; KINDS], since: None, unsampled: (begun % u64::from(SAMPLED)) as u32 }
    }

    /// Notes that a request for `key` begins.
    pub fn begin(&self, tally: &mut Tally, key: &Key) {
        if tally.since.is_none() {
            tally.since = Some(Instant::now());
        }
        match tally.unsampled.checked_sub(1) {
            Some(left) => tally.unsampled = left,
            None => {
                tally.unsampled = SAMPLED - 1;
                if let Some(mut hot_keys) = self.counts.hot_keys.try_lock() {
                    hot_keys.observe(key, SAMPLED);
                }
            }
        }
    }

    /// Adds up what `tally` has answered, each as long as it took since the first of them began.
    pub fn conclude(&self, tally: &mut Tally) {
        let Some(since) = tally.since.take() else { return };
        let mut took = None;
        for (kind, answered) in tally.answered.iter_mut().enumerate().filter(|(_, answered)| **answered > 0) {
            let took = *took.get_or_insert_with(|| since.elapsed());
            let times = std::mem::take(answered);
            self.counts.durations.at(self.door * KINDS + kind).observe_many(took, times.into());
        }
    }

    /// Counts a request that others had to be waited for.
    pub fn waited(&self, operation: Operation, level: Consistency, took: Duration) {
        self.counts.durations.at(self.door * KINDS + kind(operation, level)).observe_many(took, 1);
    }

    /// Counts an error.
    pub fn failed(&self, operation: Operation, failure: Failure) {
        let row = self.door * OPERATIONS.len() + operation as usize;
        self.counts.failures.at(row * FAILURES.len() + failure as usize).inc();
    }
}

impl Tally {
    /// Counts a request that was answered at once.
    pub fn answered(&mut self, operation: Operation, level: Consistency) {
        self.answered[kind(operation, level)] += 1;
    }
}

fn kind(operation: Operation, level: Consistency) -> usize {
    operation as usize * LEVELS + level as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL_DOORS: [DoorName; 3] = [DoorName::Resp, DoorName::Grpc, DoorName::Rest];
    const ALL: [Operation; 4] = [Operation::Get, Operation::Set, Operation::Delete, Operation::Expire];

    fn key(n: usize) -> Key {
        Key::new(n.to_string()).unwrap()
    }

    fn text(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    }

    proptest! {
        /// Every request is counted once, at its own door, operation and level, however it was answered.
        #[test]
        fn each_request_is_counted_under_its_own_labels(
            answered in proptest::collection::vec((0usize..3, 0usize..4, 0usize..5, any::<bool>()), 0..60)
        ) {
            let mut registry = Registry::default();
            let requests = Requests::new(&mut registry);
            let doors = ALL_DOORS.map(|door| requests.door(door));
            let mut tallies = [0, 1, 2].map(|door| doors[door].tally());
            for (door, op, level, at_once) in &answered {
                let (operation, level) = (ALL[*op], Consistency::LEVELS[*level]);
                if *at_once {
                    doors[*door].begin(&mut tallies[*door], &key(0));
                    tallies[*door].answered(operation, level);
                } else {
                    doors[*door].waited(operation, level, Duration::from_millis(3));
                }
            }
            doors.iter().zip(&mut tallies).for_each(|(door, tally)| door.conclude(tally));
            prop_assert_eq!(requests.total(), answered.len() as u64);
            let text = text(&registry);
            for (door, op, level, _) in &answered {
                let same = answered.iter().filter(|(d, o, l, _)| (d, o, l) == (door, op, level)).count();
                let line = format!(
                    "requests_total{{door=\"{}\",operation=\"{}\",level=\"{}\"}} {same}",
                    DOORS[*door], OPERATIONS[*op], Consistency::LEVELS[*level]
                );
                prop_assert!(text.lines().any(|found| found == line), "no {:?} in {}", line, text);
            }
        }
    }

    #[test]
    fn nothing_is_counted_before_its_turn_is_over_and_nothing_twice() {
        let requests = Requests::new(&mut Registry::default());
        let door = requests.door(DoorName::Resp);
        let mut tally = door.tally();
        for n in 0..5 {
            door.begin(&mut tally, &key(n));
            tally.answered(Operation::Get, Consistency::One);
        }
        assert_eq!(requests.total(), 0);
        door.conclude(&mut tally);
        assert_eq!(requests.total(), 5);
        door.conclude(&mut tally);
        // Handed back to be waited for: counted by whoever waits.
        door.begin(&mut tally, &key(9));
        door.conclude(&mut tally);
        assert_eq!(requests.total(), 5);
    }

    #[test]
    fn errors_are_counted_under_their_own_labels() {
        let mut registry = Registry::default();
        let requests = Requests::new(&mut registry);
        requests.door(DoorName::Rest).failed(Operation::Expire, Failure::Invalid);
        requests.door(DoorName::Resp).failed(Operation::Get, Failure::NotReady);
        let text = text(&registry);
        let counted: Vec<&str> =
            text.lines().filter(|l| l.starts_with("request_errors_total") && l.ends_with(" 1")).collect();
        assert_eq!(
            counted,
            [
                r#"request_errors_total{door="resp",operation="get",kind="not_ready"} 1"#,
                r#"request_errors_total{door="rest",operation="expire",kind="invalid"} 1"#,
            ]
        );
    }

    #[test]
    fn one_request_in_so_many_is_sampled_however_long_connections_live() {
        for per_tally in [1, 7, 64, 10_000] {
            let requests = Requests::new(&mut Registry::default());
            let door = requests.door(DoorName::Grpc);
            let mut begun = 0;
            while begun < 20_000 {
                let mut tally = door.tally();
                (0..per_tally).for_each(|_| door.begin(&mut tally, &key(1)));
                begun += per_tally;
            }
            let hot = requests.hottest(1, Duration::from_secs(1));
            let counted = hot[0].per_second;
            let error = (counted / f64::from(begun) - 1.0).abs();
            assert!(error < 0.1, "{counted} of {begun} in tallies of {per_tally}");
        }
    }
}
