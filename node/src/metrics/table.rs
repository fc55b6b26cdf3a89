//! Metrics of one name under labels that are known beforehand: found by an index, never looked up.

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, TypedMetric, counter::Counter},
};
use shoal_proto::types::Consistency;
use std::{fmt, marker::PhantomData, sync::Arc};

/// Names and values of labels.
pub type Labels = Vec<(&'static str, &'static str)>;

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

/// What counters of one name are told apart by.
pub trait Label: Copy {
    /// Names and values, by index.
    fn all() -> Vec<Labels>;

    /// Which of them this is.
    fn index(self) -> usize;
}

/// A counter per label. Clones count together.
#[derive(Debug, Clone)]
pub struct Counters<L> {
    table: Table<Counter>,
    label: PhantomData<L>,
}

impl<L: Label> Default for Counters<L> {
    fn default() -> Self {
        Self { table: Table::new(L::all()), label: PhantomData }
    }
}

impl<L: Label> Counters<L> {
    /// Counts one more.
    pub fn inc(&self, label: L) {
        self.table.at(label.index()).inc();
    }
}

impl<L: fmt::Debug + Send + Sync + 'static> EncodeMetric for Counters<L> {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.table.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.table.metric_type()
    }
}

impl Label for Consistency {
    fn all() -> Vec<Labels> {
        Self::LEVELS.map(|level| vec![("level", level.name())]).into()
    }

    fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{DoorName, HandshakeFailure, Refused, SecuredDoor, requests::DOORS};
    use prometheus_client::{encoding::text, registry::Registry};

    /// Counts each label as often as its place says, and compares what is told of it.
    fn check<L: Label + fmt::Debug + Send + Sync + 'static>(labels: &[L], told: impl Fn(L) -> String) {
        let (mut registry, counters, mut text) =
            (Registry::default(), Counters::<L>::default(), String::new());
        registry.register("count", "Count", counters.clone());
        for (times, label) in labels.iter().enumerate() {
            (0..times).for_each(|_| counters.inc(*label));
        }
        text::encode(&mut text, &registry).unwrap();
        let counted: Vec<&str> = text.lines().filter(|line| line.starts_with("count_total")).collect();
        let expected = labels.iter().enumerate();
        let expected = expected.map(|(times, label)| format!("count_total{{{}}} {times}", told(*label)));
        assert_eq!(counted, expected.collect::<Vec<_>>());
    }

    #[test]
    fn each_label_is_counted_under_its_own_name() {
        check(&Consistency::LEVELS, |level| format!(r#"level="{level}""#));
        check(&SecuredDoor::ALL, |door| format!(r#"door="{}""#, door.name()));
        let failures = SecuredDoor::ALL.map(|door| HandshakeFailure::ALL.map(|why| (door, why)));
        check(failures.as_flattened(), |(door, why)| {
            format!(r#"door="{}",reason="{}""#, door.name(), why.name())
        });
        let refusals =
            [DoorName::Resp, DoorName::Grpc, DoorName::Rest].map(|door| Refused::ALL.map(|why| (door, why)));
        check(refusals.as_flattened(), |(door, why)| {
            format!(r#"door="{}",reason="{}""#, DOORS[door as usize], why.name())
        });
    }
}
