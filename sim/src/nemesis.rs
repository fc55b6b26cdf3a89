//! Injects faults, one after the other, until told to stop; what it began it always undoes.

use crate::{
    content::KeyId,
    evidence::Incident,
    fault::{Fault, FaultKind, Step},
    history::{Action, SimTime},
    workload::{self, World},
};
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use std::time::Duration;
use tokio::{sync::watch, time::sleep};

/// How long nodes may take to become ready again before no further fault is added.
const RECOVERY: Duration = Duration::from_secs(30);
/// Streams that were cut are tried again after as long as they were cut, but at least this often.
const RETRY_MAX: Duration = Duration::from_secs(10);

/// One source of faults.
pub(crate) struct Nemesis {
    /// What it may inject.
    pub(crate) kinds: Vec<FaultKind>,
    /// The run, its victims, and where faults are written down.
    pub(crate) world: World,
    /// Turns true when it must stop.
    pub(crate) stop: watch::Receiver<bool>,
}

impl Nemesis {
    /// Injects faults drawn from the stream named `lane` until told to stop.
    pub(crate) async fn run(mut self, lane: &'static str) {
        let mut rng = self.world.options.stream(lane);
        while let Some(kind) = self.kinds.choose(&mut rng).copied() {
            self.wait(gap(&mut rng, self.world.options.fault_gap)).await;
            if *self.stop.borrow() {
                return;
            }
            let key = KeyId(rng.random_range(0..self.world.options.keys));
            let nodes = self.world.cluster.nodes_around(key, &mut rng);
            self.inject(Fault::draw(kind, &mut rng, nodes, self.world.options.weather), key).await;
            // Memory may be lost on one node at a time only.
            if !kind.is_weather() && !self.await_ready(RECOVERY).await {
                return;
            }
        }
    }

    async fn inject(&mut self, fault: Fault, key: KeyId) {
        let from = self.world.journal.now();
        self.world.journal.trace(&format!("{fault:?}"));
        tracing::info!(kind = %fault.kind, nodes = ?fault.nodes, "fault");
        for step in fault.steps {
            match step {
                Step::Wait(duration) => self.wait(duration).await,
                Step::AwaitReady(limit) => drop(self.await_ready(limit).await),
                Step::Write(via) => workload::press(&self.world, via, key, Action::Write { ttl: None }),
                Step::Read(via) => workload::press(&self.world, via, key, Action::Read),
                step => self.world.cluster.apply(step),
            }
        }
        let undone = self.world.journal.now();
        if fault.kind.takes_nodes_out() {
            self.await_ready(RECOVERY).await;
        }
        let to = self.world.journal.now().max(settled(from, undone));
        self.world.journal.incident(Incident { kind: fault.kind, nodes: fault.nodes, from, to });
    }

    /// Lets time pass, unless it is time to stop.
    async fn wait(&mut self, duration: Duration) {
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => {}
            () = sleep(duration) => {}
        }
    }

    async fn await_ready(&mut self, limit: Duration) -> bool {
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => false,
            ready = self.world.cluster.await_ready(limit) => ready,
        }
    }
}

fn gap(rng: &mut StdRng, mean: Duration) -> Duration {
    rng.random_range(Duration::ZERO..=mean * 2)
}

/// When what a fault held back has certainly been tried again.
fn settled(from: SimTime, undone: SimTime) -> SimTime {
    undone.plus(Duration::from_micros(undone.0 - from.0).min(RETRY_MAX))
}
