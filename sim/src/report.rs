//! What a run tells: one line of JSON.

use crate::{
    evidence::Evidence,
    invariants::{
        Violation,
        availability::{self, Usefulness},
    },
    options::Options,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How often a kind of fault was injected, and how often an operation met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FaultCount {
    /// Injected.
    pub injected: u32,
    /// Overlapped an operation on a key or through a node it hit.
    pub bit: u32,
}

/// The outcome of one seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was drawn.
    pub options: Options,
    /// The deliberate bug that was switched on.
    pub mutant: Option<String>,
    /// Calls that returned.
    pub operations: u64,
    /// What they were worth.
    pub usefulness: Usefulness,
    /// By kind.
    pub faults: BTreeMap<String, FaultCount>,
    /// Length of the run.
    pub simulated_ms: u64,
    /// Packets that crossed the network.
    pub messages: u64,
    /// Hash over every operation, fault and their times, in hexadecimal.
    pub trace_hash: String,
    /// Promises that were broken.
    pub violations: Vec<Violation>,
}

impl Report {
    /// Violations that are told in full.
    const SHOWN: usize = 20;

    /// Puts together a run's outcome; `found` are the violations that `evidence` shows or that ended the run.
    #[must_use]
    pub fn new(options: Options, evidence: &Evidence, mut found: Vec<Violation>) -> Self {
        let mut faults: BTreeMap<String, FaultCount> = BTreeMap::new();
        for incident in &evidence.incidents {
            let count = faults.entry(incident.kind.to_string()).or_default();
            count.injected += 1;
            count.bit += u32::from(availability::bites(evidence, incident));
        }
        if !options.faults.is_empty() && faults.values().all(|count| count.bit == 0) {
            found.push(Violation::new("faults bite", "no operation met any fault: the run proves nothing"));
        }
        found.truncate(Self::SHOWN);
        Self {
            mutant: None,
            operations: evidence.history.operations.len() as u64,
            usefulness: availability::measure(evidence),
            faults,
            simulated_ms: 0,
            messages: 0,
            trace_hash: String::new(),
            violations: found,
            options,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evidence::Incident,
        fault::FaultKind,
        history::SimTime,
        invariants::testing::{evidence, hit},
        options::Profile,
    };

    #[test]
    fn a_run_whose_faults_nobody_met_has_failed() {
        let incident = |from, to| Incident {
            kind: FaultKind::Pause,
            nodes: vec![0],
            from: SimTime(from),
            to: SimTime(to),
        };
        let report = |incident| {
            let mut evidence = evidence(vec![hit(1, 10..20, 1)]);
            evidence.incidents.push(incident);
            Report::new(Options::draw(1, Profile::Ci), &evidence, Vec::new())
        };
        let met = report(incident(15, 30));
        assert_eq!(met.faults["pause"], FaultCount { injected: 1, bit: 1 });
        assert!(met.violations.is_empty());
        assert_eq!(report(incident(30, 40)).violations.len(), 1);
    }
}
