//! Asks every other node how it is.

use crate::{
    limits,
    replica::{Done, Peers, ReplicaRequest},
};
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use shoal_proto::types::{NodeId, NodeReport, ReplicaAnswer, ReplicaOp};
use std::{collections::BTreeMap, sync::Arc};
use tokio::{sync::mpsc, time::Instant};

type Reports = BTreeMap<NodeId, NodeReport>;
/// Reports that are, or will be, the same for everyone who waits.
type Answers = Shared<BoxFuture<'static, Reports>>;

/// One survey at a time, whose outcome all who ask share while it is fresh.
#[derive(Default)]
pub(super) struct Survey {
    latest: Mutex<Option<Round>>,
}

struct Round {
    began: Instant,
    reports: Answers,
}

impl Survey {
    /// What those of `others` report that a stream leads to and that answer in time.
    pub(super) fn reports(&self, peers: &Arc<Peers>, others: Vec<NodeId>) -> Answers {
        let mut latest = self.latest.lock();
        match &*latest {
            Some(round) if round.began.elapsed() < limits::REPORT_LIFE => round.reports.clone(),
            _ => {
                let reports = ask(peers.clone(), others).boxed().shared();
                *latest = Some(Round { began: Instant::now(), reports: reports.clone() });
                reports
            }
        }
    }
}

async fn ask(peers: Arc<Peers>, nodes: Vec<NodeId>) -> Reports {
    let deadline = Instant::now() + limits::REPORT_TIMEOUT;
    let (told, mut answers) = mpsc::channel(nodes.len().max(1));
    for node in nodes {
        let (told, from) = (told.clone(), node.clone());
        // The channel has room for every node; after the deadline nobody listens.
        let done = Done::new(move |outcome| drop(told.try_send((from, outcome))));
        peers.submit(&node, ReplicaRequest { stamp: None, op: ReplicaOp::Report, deadline, done });
    }
    drop(told);
    let mut reports = Reports::new();
    let left = || deadline.saturating_duration_since(Instant::now());
    while let Ok(Some((from, outcome))) = tokio::time::timeout(left(), answers.recv()).await {
        if let Ok(ReplicaAnswer::Report(report)) = outcome {
            reports.insert(from, *report);
        }
    }
    reports
}
