use super::{
    requests::{DOORS, DoorName},
    table::Table,
};
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, counter::Counter},
};
use std::fmt;

/// Why a client was not let in, or not let do what it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It has shown nothing.
    Missing,
    /// What it has shown is nobody's.
    Wrong,
    /// It may not do this.
    Forbidden,
    /// What it has shown was good once.
    Revoked,
    /// It has not shown anything in time.
    Late,
}

const REASONS: [&str; 5] = ["missing", "wrong", "forbidden", "revoked", "late"];

/// A counter per door and reason.
#[derive(Debug, Clone)]
pub struct Refusals(Table<Counter>);

impl Default for Refusals {
    fn default() -> Self {
        let by_reason = |door| REASONS.map(|reason| vec![("door", door), ("reason", reason)]);
        Self(Table::new(DOORS.into_iter().flat_map(by_reason)))
    }
}

impl Refusals {
    /// Those of one door.
    #[must_use]
    pub fn door(&self, door: DoorName) -> DoorRefusals {
        DoorRefusals { door, all: self.clone() }
    }
}

impl EncodeMetric for Refusals {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.0.metric_type()
    }
}

/// What one door counts. Clones count together.
#[derive(Debug, Clone)]
pub struct DoorRefusals {
    door: DoorName,
    all: Refusals,
}

impl DoorRefusals {
    /// Counts one more.
    pub fn count(&self, why: Refused) {
        self.all.0.at(self.door as usize * REASONS.len() + why as usize).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::{encoding::text, registry::Registry};

    #[test]
    fn each_refusal_is_counted_at_its_door_for_its_reason() {
        let (mut registry, refusals, mut text) = (Registry::default(), Refusals::default(), String::new());
        registry.register("refused", "Refused", refusals.clone());
        refusals.door(DoorName::Rest).count(Refused::Late);
        refusals.door(DoorName::Resp).count(Refused::Missing);
        refusals.door(DoorName::Grpc).count(Refused::Forbidden);
        text::encode(&mut text, &registry).unwrap();
        let counted: Vec<&str> = text.lines().filter(|line| line.ends_with(" 1")).collect();
        assert_eq!(
            counted,
            [
                r#"refused_total{door="resp",reason="missing"} 1"#,
                r#"refused_total{door="grpc",reason="forbidden"} 1"#,
                r#"refused_total{door="rest",reason="late"} 1"#,
            ]
        );
    }
}
