//! The cluster is of use: faults that a quorum tolerates cost little, others not everything, and reads find values.

use super::Violation;
use crate::{
    content::KeyId,
    evidence::{Evidence, Incident},
    history::{Answer, Operation},
};
use serde::{Deserialize, Serialize};
use shoal_proto::types::Consistency;

const NAME: &str = "availability";
/// Share of QUORUM operations that succeed while no more owners are out than the level tolerates.
const TOLERATED_FLOOR: f64 = 0.8;
/// Share of all QUORUM operations that succeed, whatever is out.
const TOTAL_FLOOR: f64 = 0.35;
/// Share of answered reads that find a value.
const HIT_FLOOR: f64 = 0.1;
/// Shares of fewer operations say nothing.
const SAMPLE: u64 = 30;

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Share {
    /// Those that did.
    pub part: u64,
    /// All of them.
    pub whole: u64,
}

impl Share {
    fn of<'a>(operations: impl Iterator<Item = &'a Operation>, part: impl Fn(&Operation) -> bool) -> Self {
        operations.fold(Self::default(), |share, operation| Self {
            part: share.part + u64::from(part(operation)),
            whole: share.whole + 1,
        })
    }

    /// The part by the whole; 1 when there is nothing.
    #[must_use]
    pub fn ratio(self) -> f64 {
        if self.whole == 0 { 1.0 } else { self.part as f64 / self.whole as f64 }
    }
}

/// How useful the cluster was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usefulness {
    /// QUORUM operations that succeeded.
    pub quorum: Share,
    /// Those among them during which the level's tolerance was not exceeded.
    pub tolerated: Share,
    /// Answered reads that found a value.
    pub hits: Share,
}

/// Measures a run.
#[must_use]
pub fn measure(evidence: &Evidence) -> Usefulness {
    let operations = || evidence.history.operations.iter();
    let quorum = || operations().filter(|operation| operation.level == Consistency::Quorum);
    let succeeded = |operation: &Operation| operation.reached().is_some();
    let answered_reads = operations().filter(|operation| !operation.is_mutation() && succeeded(operation));
    Usefulness {
        quorum: Share::of(quorum(), succeeded),
        tolerated: Share::of(quorum().filter(|operation| is_tolerated(evidence, operation)), succeeded),
        hits: Share::of(answered_reads, |read| matches!(read.answer, Answer::Hit { .. })),
    }
}

/// Shares below their floor.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Violation> {
    let Usefulness { quorum, tolerated, hits } = measure(evidence);
    let floors = [
        ("QUORUM operations within the level's tolerance succeeded", tolerated, TOLERATED_FLOOR),
        ("QUORUM operations succeeded", quorum, TOTAL_FLOOR),
        ("answered reads found a value", hits, HIT_FLOOR),
    ];
    let below = floors.iter().filter(|(_, share, floor)| share.whole >= SAMPLE && share.ratio() < *floor);
    below
        .map(|(what, Share { part, whole }, floor)| {
            Violation::new(
                NAME,
                format!("only {part} of {whole} {what}, at least {:.0} % must", floor * 100.0),
            )
        })
        .collect()
}

/// Whether an incident touched an operation: it overlapped one on a key or through a node that the incident hit.
#[must_use]
pub fn bites(evidence: &Evidence, incident: &Incident) -> bool {
    evidence.history.operations.iter().any(|operation| {
        let hit =
            |node: &usize| Some(*node) == operation.via || owners(evidence, operation.key).contains(node);
        incident.overlaps(operation.start, operation.end) && incident.nodes.iter().any(hit)
    })
}

fn is_tolerated(evidence: &Evidence, operation: &Operation) -> bool {
    let owners = owners(evidence, operation.key);
    let is_out = |node: usize| {
        let mut concerned = evidence.incidents.iter().filter(|incident| incident.kind.takes_nodes_out());
        concerned.any(|incident| {
            incident.nodes.contains(&node) && incident.overlaps(operation.start, operation.end)
        })
    };
    let out = owners.iter().filter(|owner| is_out(**owner)).count();
    !operation.via.is_some_and(is_out) && out + operation.level.required(owners.len()) <= owners.len()
}

fn owners(evidence: &Evidence, key: KeyId) -> &[usize] {
    evidence.converged.owners.get(&key).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fault::FaultKind, history::SimTime, invariants::testing::*};

    fn with_incident(operations: Vec<Operation>, nodes: Vec<usize>) -> Evidence {
        let mut evidence = evidence(operations);
        evidence.converged = snapshot(1, [None, None, None]);
        evidence.incidents =
            vec![Incident { kind: FaultKind::Pause, nodes, from: SimTime(100), to: SimTime(200) }];
        evidence
    }

    fn calls(count: u64, failing: u64, during: std::ops::Range<u64>) -> Vec<Operation> {
        let call = |i| {
            let read = hit(1, during.clone(), 1).via(4);
            if i < failing { read.failed() } else { read }
        };
        (0..count).map(call).collect()
    }

    #[test]
    fn failures_beyond_the_tolerance_count_only_towards_the_lower_floor() {
        assert!(check(&with_incident(calls(100, 50, 120..130), vec![0, 1])).is_empty());
        assert_eq!(check(&with_incident(calls(100, 50, 120..130), vec![0])).len(), 1);
        assert_eq!(check(&with_incident(calls(100, 50, 300..310), vec![0, 1])).len(), 1);
        assert_eq!(check(&with_incident(calls(100, 80, 120..130), vec![0, 1])).len(), 1);
    }

    #[test]
    fn a_call_through_a_node_that_is_out_is_beyond_the_tolerance() {
        let usefulness = measure(&with_incident(calls(100, 50, 120..130), vec![4]));
        assert_eq!((usefulness.tolerated.whole, usefulness.quorum.whole), (0, 100));
    }

    #[test]
    fn a_cluster_that_only_ever_misses_is_of_no_use() {
        let misses: Vec<Operation> = (0..100).map(|_| miss(1, 0..1)).collect();
        assert_eq!(check(&evidence(misses)).len(), 1);
    }

    #[test]
    fn a_fault_bites_when_an_operation_met_it() {
        let bit = |nodes, during: std::ops::Range<u64>| {
            let evidence = with_incident(vec![hit(1, during, 1).via(4)], nodes);
            bites(&evidence, &evidence.incidents[0])
        };
        assert!(bit(vec![2], 150..160) && bit(vec![4], 190..300));
        assert!(!bit(vec![3], 150..160) && !bit(vec![2], 300..301));
    }
}
