//! Numbers that other parts of the node keep, as they are when a scrape comes.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};
use std::fmt;

/// One name with all its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    values: Vec<(Vec<(&'static str, String)>, Value)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

/// A number as it was counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Whole.
    Whole(u64),
    /// With a fraction.
    Real(f64),
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Whole(number.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Whole(number as u64)
    }
}

impl From<bool> for Value {
    fn from(holds: bool) -> Self {
        Self::Whole(holds.into())
    }
}

impl Family {
    /// What only grows; `_total` is added to its name.
    #[must_use]
    pub fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Counter, values: Vec::new() }
    }

    /// What grows and shrinks.
    #[must_use]
    pub fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Gauge, values: Vec::new() }
    }

    /// With a value that has no labels.
    #[must_use]
    pub fn value(self, value: impl Into<Value>) -> Self {
        self.labelled(Vec::new(), value)
    }

    /// With one more value.
    #[must_use]
    pub fn labelled(mut self, labels: Vec<(&'static str, String)>, value: impl Into<Value>) -> Self {
        self.values.push((labels, value.into()));
        self
    }
}

/// Families for one scrape.
#[derive(Debug)]
pub(super) struct Scrape(pub(super) Vec<Family>);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Family { name, help, kind, values } in &self.0 {
            let metric_type = match kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut metric = encoder.encode_descriptor(name, &format!("{help}."), None, metric_type)?;
            for (labels, value) in values {
                if labels.is_empty() {
                    value.encode(*kind, &mut metric)?;
                } else {
                    value.encode(*kind, &mut metric.encode_family(labels)?)?;
                }
            }
        }
        Ok(())
    }
}

impl Value {
    fn encode(self, kind: Kind, metric: &mut MetricEncoder<'_>) -> fmt::Result {
        match (kind, self) {
            (Kind::Counter, Self::Whole(number)) => {
                metric.encode_counter::<NoLabelSet, _, f64>(&number, None)
            }
            (Kind::Counter, Self::Real(number)) => metric.encode_counter::<NoLabelSet, _, f64>(&number, None),
            (Kind::Gauge, Self::Whole(number)) => metric.encode_gauge(&number),
            (Kind::Gauge, Self::Real(number)) => metric.encode_gauge(&number),
        }
    }
}
