//! Metrics of one name under labels that are known beforehand: found by an index, never looked up.

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, TypedMetric, counter::Counter},
};
use shoal_proto::types::Consistency;
use std::{fmt, sync::Arc};

/// Names and values of labels.
pub(super) type Labels = Vec<(&'static str, &'static str)>;

/// A metric per set of labels. Clones share them.
#[derive(Debug)]
pub(super) struct Table<M>(Arc<[(Labels, M)]>);

impl<M> Clone for Table<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> Table<M> {
    /// One metric for each of `labels`, in their order.
    pub(super) fn new(labels: impl IntoIterator<Item = Labels>) -> Self
    where
        M: Default,
    {
        Self(labels.into_iter().map(|labels| (labels, M::default())).collect())
    }

    /// The metric of the labels at `index`.
    pub(super) fn at(&self, index: usize) -> &M {
        &self.0[index].1
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(Labels, M)> {
        self.0.iter()
    }
}

impl<M: EncodeMetric + TypedMetric> EncodeMetric for Table<M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (labels, metric) in self.iter().filter(|(_, metric)| !metric.is_empty()) {
            metric.encode(encoder.encode_family(labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}

/// A counter per consistency level.
#[derive(Debug, Clone)]
pub struct ByLevel(Table<Counter>);

impl Default for ByLevel {
    fn default() -> Self {
        Self(Table::new(Consistency::LEVELS.map(|level| vec![("level", level.name())])))
    }
}

impl ByLevel {
    /// Counts one more at `level`.
    pub fn inc(&self, level: Consistency) {
        self.0.at(level as usize).inc();
    }
}

impl EncodeMetric for ByLevel {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.0.metric_type()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::{encoding::text, registry::Registry};

    #[test]
    fn each_level_is_counted_under_its_own_name() {
        let (mut registry, counters, mut text) = (Registry::default(), ByLevel::default(), String::new());
        registry.register("repairs", "Repairs", counters.clone());
        for (times, level) in Consistency::LEVELS.into_iter().enumerate() {
            (0..times).for_each(|_| counters.inc(level));
        }
        text::encode(&mut text, &registry).unwrap();
        for (times, level) in Consistency::LEVELS.into_iter().enumerate() {
            let line = format!("repairs_total{{level=\"{level}\"}} {times}");
            assert!(text.lines().any(|found| found == line), "no {line:?} in {text}");
        }
    }
}
