//! Everything a run leaves behind for the invariants to judge.

use crate::{fault::FaultKind, history::History, history::SimTime, snapshot::Snapshot};

/// A fault that was injected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// What it was.
    pub kind: FaultKind,
    /// The nodes it hit.
    pub nodes: Vec<usize>,
    /// When it began.
    pub from: SimTime,
    /// When its effects were over.
    pub to: SimTime,
}

impl Incident {
    /// Whether it overlaps the time from `start` to `end`.
    #[must_use]
    pub fn overlaps(&self, start: SimTime, end: SimTime) -> bool {
        self.from <= end && start <= self.to
    }
}

/// A run: what clients saw, what was done to the nodes, what they held in the end.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Calls and answers.
    pub history: History,
    /// Faults.
    pub incidents: Vec<Incident>,
    /// The stores when the last fault was undone.
    pub at_heal: Snapshot,
    /// The stores once they agreed, or when waiting for it ended.
    pub converged: Snapshot,
}
