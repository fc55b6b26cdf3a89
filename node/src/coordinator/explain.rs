//! Asks every member what it knows of a key.

use super::{
    Coordinator, CoordinatorError, RequestOptions,
    explanation::{Explanation, Told, assemble},
};
use crate::{
    limits,
    replica::{Done, ReplicaError, ReplicaRequest, ReplicaResult},
};
use shoal_membership::ClusterView;
use shoal_proto::types::{Key, NodeId, Refusal, ReplicaAnswer, ReplicaOp};
use std::{collections::BTreeMap, sync::Arc};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

impl Coordinator {
    /// Tells what is known of a key: its owners in preference order, what each of them holds, and where hints wait. All
    /// members are asked, since hints lie on whichever coordinated a write; those that other gateways keep are not seen.
    /// Whoever does not answer soon is named. Counts as no use of the key. Of the options only the timeout is heeded,
    /// and only if it is shorter than [`limits::EXPLANATION_TIMEOUT`].
    ///
    /// # Errors
    /// Before there is a ring, and while [`limits::EXPLANATIONS`] are being made.
    pub async fn explain(&self, key: Key, options: &RequestOptions) -> Result<Explanation, CoordinatorError> {
        let _place = self
            .explanations
            .try_acquire()
            .map_err(|_| CoordinatorError::Overloaded("too many keys are being explained at once"))?;
        let patience = options.timeout.unwrap_or(limits::EXPLANATION_TIMEOUT);
        let deadline = Instant::now() + patience.min(limits::EXPLANATION_TIMEOUT);
        let view = self.cluster.view();
        let told = self.inspect(&view, &key, deadline).await;
        assemble(&view, key, &told, self.now()).ok_or(CoordinatorError::NotReady)
    }

    /// What the members, and this node if it is none, know of `key` by the deadline.
    async fn inspect(&self, view: &Arc<ClusterView>, key: &Key, deadline: Instant) -> BTreeMap<NodeId, Told> {
        let members = view.members();
        let silence = || Err(ReplicaError::Timeout.to_string());
        let mut told: BTreeMap<NodeId, Told> =
            members.iter().map(|member| (member.node_id.clone(), silence())).collect();
        let (outcomes, mut heard) = mpsc::channel(members.len().max(1));
        for (index, member) in members.iter().enumerate() {
            let (outcomes, node) = (outcomes.clone(), member.node_id.clone());
            // The channel has room for everyone; after the deadline nobody listens.
            let done = Done::new(move |outcome| drop(outcomes.try_send((node, outcome))));
            let op = ReplicaOp::Inspect { key: key.clone() };
            self.replicas.submit(view, index as u16, ReplicaRequest { stamp: None, op, deadline, done });
        }
        drop(outcomes);
        let left = || deadline.saturating_duration_since(Instant::now());
        while let Ok(Some((node, outcome))) = timeout(left(), heard.recv()).await {
            told.insert(node, said(outcome));
        }
        if view.my_index().is_none() {
            let own = self.replicas.local.handle(None, ReplicaOp::Inspect { key: key.clone() });
            told.insert(view.me().clone(), said(Ok(own)));
        }
        told
    }
}

fn said(outcome: ReplicaResult) -> Told {
    match outcome {
        Ok(ReplicaAnswer::Inspection(inspection)) => Ok(inspection),
        Ok(ReplicaAnswer::Refused(Refusal::Behind { .. })) => Err("has no ring record yet".into()),
        Ok(ReplicaAnswer::Refused(Refusal::Invalid(why))) => Err(why),
        Ok(ReplicaAnswer::Refused(Refusal::Late)) => Err(ReplicaError::Timeout.to_string()),
        Ok(_) => Err("answered another kind of request".into()),
        Err(error) => Err(error.to_string()),
    }
}
