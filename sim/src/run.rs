//! One seed from boot to verdict.

use crate::{
    cluster::{Cluster, set_weather},
    evidence::Evidence,
    fault::{FaultKind, Weather},
    history::History,
    invariants::{self, Violation},
    journal::Journal,
    nemesis::Nemesis,
    options::{Options, Profile},
    report::Report,
    snapshot::Snapshot,
    workload::{self, World},
};
use futures::future::join_all;
use madsim::runtime::Runtime;
use std::{
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

/// How long a new cluster may take to agree on its ring.
const BOOT_LIMIT: Duration = Duration::from_secs(60);
/// How long after the last fault every node must be ready again.
const HEAL_LIMIT: Duration = Duration::from_secs(60);
/// How long after that all owners must hold the same.
const CONVERGENCE_LIMIT: Duration = Duration::from_secs(60);
const CONVERGENCE_POLL: Duration = Duration::from_millis(500);
/// Whatever is not done by then hangs.
const RUN_LIMIT: Duration = Duration::from_secs(600);
/// The network once everything is healed.
const PERFECT: Weather = Weather { loss_percent: 0, latency_min_ms: 1, latency_max_ms: 3 };

/// Runs `seed`, after `prepare` has set up what else the process needs.
///
/// A process runs one seed: libraries keep process-wide state that would leak into the next run. And nothing may come
/// before the runtime is made, which seeds std's hash maps (and through them tokio's own generator, which decides in
/// which order a watch channel wakes its receivers): a hash map made earlier would take its seed from the machine.
#[must_use]
pub fn run_seed(seed: u64, profile: Profile, prepare: impl FnOnce()) -> Report {
    let mut runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
    runtime.set_time_limit(RUN_LIMIT);
    prepare();
    let options = Arc::new(Options::draw(seed, profile));
    let report = runtime.block_on(run(options));
    // The process ends now; tearing down tasks outside of the simulation would only risk a panic.
    std::mem::forget(runtime);
    report
}

async fn run(options: Arc<Options>) -> Report {
    let journal = Arc::new(Journal::new());
    set_weather(options.weather);
    let cluster = Arc::new(Cluster::boot(&options, journal.epoch()));
    let mut phases = Phases { options, cluster, journal, violations: Vec::new() };

    if !phases.cluster.await_ready(BOOT_LIMIT).await {
        phases.object("boot", format!("nodes {:?} never became ready", phases.cluster.unready()));
        return phases.report(Snapshot::default(), Snapshot::default());
    }
    phases.under_faults().await;
    let at_heal = phases.heal().await;
    let converged = phases.converge().await;
    phases.check_service().await;
    phases.report(at_heal, converged)
}

struct Phases {
    options: Arc<Options>,
    cluster: Arc<Cluster>,
    journal: Arc<Journal>,
    violations: Vec<Violation>,
}

impl Phases {
    /// Safety: clients work while faults come and go. Ends when the clients are done and every fault is undone.
    async fn under_faults(&self) {
        self.journal.trace(&"faults");
        let (stop_tx, stop) = watch::channel(false);
        let (weather, trouble): (Vec<FaultKind>, Vec<FaultKind>) =
            self.options.faults.iter().partition(|kind| kind.is_weather());
        let world = self.world();
        let nemesis = |kinds| Nemesis { kinds, world: world.clone(), stop: stop.clone() };
        let lanes =
            [tokio::spawn(nemesis(weather).run("weather")), tokio::spawn(nemesis(trouble).run("trouble"))];
        join_all(workload::start(&world)).await;
        // Receivers outlive the lanes: they are held by `nemesis`.
        stop_tx.send_replace(true);
        join_all(lanes).await;
        workload::pressed(&world).await;
    }

    async fn heal(&mut self) -> Snapshot {
        self.journal.trace(&"heal");
        set_weather(PERFECT);
        let at_heal = self.snapshot();
        if !self.cluster.await_ready(HEAL_LIMIT).await {
            let unready = self.cluster.unready();
            self.object("recovery", format!("nodes {unready:?} are not ready {HEAL_LIMIT:?} after the heal"));
        }
        at_heal
    }

    async fn converge(&self) -> Snapshot {
        self.journal.trace(&"converge");
        workload::read_all_owners(&self.world()).await;
        let agreement = async {
            while !self.snapshot().agrees() {
                sleep(CONVERGENCE_POLL).await;
            }
        };
        // If they never agree, the invariants will say where.
        _ = timeout(CONVERGENCE_LIMIT, agreement).await;
        self.snapshot()
    }

    async fn check_service(&mut self) {
        self.journal.trace(&"service");
        for operation in workload::check_service(&self.world()).await {
            self.object("service", format!("with all nodes back, {operation}"));
        }
    }

    fn report(self, at_heal: Snapshot, converged: Snapshot) -> Report {
        let simulated_ms = u64::try_from(self.journal.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (epoch, messages) = (self.journal.epoch(), self.journal.messages());
        let (operations, incidents, trace_hash) = self.journal.close();
        let history = History {
            replicas: self.options.replicas,
            epoch,
            clock_bound: self.options.clock_bound(),
            call_timeout: self.options.request_timeout,
            operations,
        };
        let evidence = Evidence { history, incidents, at_heal, converged };
        let mut violations = self.violations;
        violations.extend(invariants::check_all(&evidence));
        let report = Report::new(Options::clone(&self.options), &evidence, violations);
        Report { simulated_ms, messages, trace_hash, ..report }
    }

    fn world(&self) -> World {
        World {
            options: self.options.clone(),
            cluster: self.cluster.clone(),
            journal: self.journal.clone(),
            budget: Arc::new(AtomicU32::new(self.options.operations)),
            pressed: Arc::default(),
        }
    }

    fn snapshot(&self) -> Snapshot {
        self.cluster.snapshot(&self.journal, self.options.clock_bound())
    }

    fn object(&mut self, what: &str, why: String) {
        self.violations.push(Violation::new(what, why));
    }
}
