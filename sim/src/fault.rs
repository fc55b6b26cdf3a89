//! What can go wrong, as values: a fault is a list of small steps that undoes itself.

use rand::{Rng, RngExt, seq::SliceRandom};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, time::Duration};

/// The kinds of faults a seed can draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A node dies and comes back with empty memory.
    Restart,
    /// The nodes split in two groups that do not hear each other.
    Halves,
    /// One node no longer hears another.
    OneWay,
    /// A node loses all its streams to peers.
    BreakStreams,
    /// Packets get lost.
    Loss,
    /// Packets take longer.
    Latency,
    /// A node stops for a while.
    Pause,
    /// A node hears no other and no other hears it.
    Isolate,
    /// Messages of a coordinator are held back while another owner restarts, and arrive after it has.
    LateAcrossRestart,
    /// A node restarts empty within reach of a co-owner that lags, and out of reach of the one that does not.
    RestartApart,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Restart,
        Self::Halves,
        Self::OneWay,
        Self::BreakStreams,
        Self::Loss,
        Self::Latency,
        Self::Pause,
        Self::Isolate,
        Self::LateAcrossRestart,
        Self::RestartApart,
    ];

    /// It concerns the network as a whole, and may go on while others come and go.
    #[must_use]
    pub fn is_weather(self) -> bool {
        matches!(self, Self::Loss | Self::Latency)
    }

    /// The nodes it hits cannot be counted on meanwhile.
    #[must_use]
    pub fn takes_nodes_out(self) -> bool {
        !matches!(self, Self::Loss | Self::BreakStreams)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Restart => "restart",
            Self::Halves => "halves",
            Self::OneWay => "one way",
            Self::BreakStreams => "break streams",
            Self::Loss => "loss",
            Self::Latency => "latency",
            Self::Pause => "pause",
            Self::Isolate => "isolate",
            Self::LateAcrossRestart => "late across restart",
            Self::RestartApart => "restart apart",
        })
    }
}

/// State of the network between all nodes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Weather {
    /// Share of packets that get lost, in percent.
    pub loss_percent: u32,
    /// The shortest way, in milliseconds.
    pub latency_min_ms: u64,
    /// The longest way, in milliseconds.
    pub latency_max_ms: u64,
}

/// One thing done to the cluster.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// The node dies; its memory is gone, its state file stays.
    Kill(usize),
    /// It starts again.
    Start(usize),
    /// Nothing runs on the node any more.
    Pause(usize),
    /// It runs on.
    Resume(usize),
    /// What `from` sends to `to` is held back.
    Cut {
        /// Sender.
        from: usize,
        /// Receiver.
        to: usize,
    },
    /// What was held back is delivered.
    Mend {
        /// Sender.
        from: usize,
        /// Receiver.
        to: usize,
    },
    /// All streams of the node to peers end.
    BreakStreams(usize),
    /// A client writes the key the fault is about through this node at QUORUM; nobody waits for it.
    Write(usize),
    /// A client reads it.
    Read(usize),
    /// The network changes.
    Weather(Weather),
    /// Time passes.
    Wait(Duration),
    /// Time passes until every node is ready, but no longer than this.
    AwaitReady(Duration),
}

/// A fault: what happens, to whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Its kind.
    pub kind: FaultKind,
    /// The nodes it hits.
    pub nodes: Vec<usize>,
    /// What to do. The last steps undo the first.
    pub steps: Vec<Step>,
}

/// How long a restarted node is given to rebuild within a fault.
const REBUILD: Duration = Duration::from_secs(20);

impl Fault {
    /// Draws a fault of this kind. `nodes` are all of the cluster, at least three: first the owners of the key the fault
    /// is about. The network is otherwise `calm`.
    #[must_use]
    pub fn draw(kind: FaultKind, rng: &mut impl Rng, mut nodes: Vec<usize>, calm: Weather) -> Self {
        match kind {
            FaultKind::LateAcrossRestart => return Self::late_across_restart(rng, &nodes),
            FaultKind::RestartApart => return Self::restart_apart(rng, &nodes),
            _ => nodes.shuffle(rng),
        }
        let (size, first) = (nodes.len(), nodes[0]);
        match kind {
            FaultKind::Restart => {
                Self::new(kind, [first], [Step::Kill(first), wait(rng, 100, 8_000), Step::Start(first)])
            }
            FaultKind::Halves => {
                let minority = nodes.split_off(size - rng.random_range(1..=(size - 1) / 2));
                let links = both_ways(&links(&nodes, &minority));
                Self::new(kind, minority, cut_for(&links, wait(rng, 1_000, 8_000)))
            }
            FaultKind::OneWay => {
                let links = [(first, nodes[1])];
                Self::new(kind, [first, nodes[1]], cut_for(&links, wait(rng, 1_000, 8_000)))
            }
            FaultKind::BreakStreams => {
                Self::new(kind, [first], [Step::BreakStreams(first), wait(rng, 100, 1_000)])
            }
            FaultKind::Loss => {
                let storm = Weather { loss_percent: rng.random_range(2..=30), ..calm };
                Self::new(kind, nodes, storm_for(storm, wait(rng, 2_000, 10_000), calm))
            }
            FaultKind::Latency => {
                let latency_min_ms = rng.random_range(1..=30);
                let latency_max_ms = latency_min_ms + rng.random_range(1..=70);
                let storm = Weather { latency_min_ms, latency_max_ms, ..calm };
                Self::new(kind, nodes, storm_for(storm, wait(rng, 2_000, 10_000), calm))
            }
            FaultKind::Pause => {
                Self::new(kind, [first], [Step::Pause(first), wait(rng, 100, 8_000), Step::Resume(first)])
            }
            FaultKind::Isolate => {
                let links = both_ways(&links(&[first], &nodes[1..]));
                Self::new(kind, [first], cut_for(&links, wait(rng, 1_000, 8_000)))
            }
            FaultKind::LateAcrossRestart | FaultKind::RestartApart => unreachable!("drawn above"),
        }
    }

    /// A write counted on an owner before its empty restart and on another after it stands on one owner alone.
    fn late_across_restart(rng: &mut impl Rng, nodes: &[usize]) -> Self {
        let (victim, late, later) = (nodes[0], nodes[1], nodes[2]);
        let coordinator = nodes.get(3).copied().unwrap_or(later);
        let mut steps = vec![Step::Cut { from: coordinator, to: late }];
        if coordinator != later {
            steps.push(Step::Cut { from: coordinator, to: later });
        }
        steps.extend([
            Step::Write(coordinator),
            wait(rng, 20, 200),
            Step::Write(coordinator),
            wait(rng, 20, 100),
        ]);
        steps.extend([Step::Kill(victim), wait(rng, 1, 200), Step::Start(victim), Step::AwaitReady(REBUILD)]);
        steps.push(Step::Mend { from: coordinator, to: late });
        for _ in 0..3 {
            steps.extend([wait(rng, 20, 400), Step::Read(victim), Step::Read(later)]);
        }
        if coordinator != later {
            steps.push(Step::Mend { from: coordinator, to: later });
        }
        let hit = nodes.iter().copied().take(4);
        Self::new(FaultKind::LateAcrossRestart, hit, steps)
    }

    /// A write that stood on the victim and one other owner: after the restart it stands on the other alone, and the
    /// victim together with the third owner must not pretend to know better.
    fn restart_apart(rng: &mut impl Rng, nodes: &[usize]) -> Self {
        let (victim, holder, lagging) = (nodes[0], nodes[1], nodes[2]);
        let rest: Vec<usize> = nodes.iter().copied().filter(|node| *node != lagging).collect();
        let (around, between) = (both_ways(&links(&[lagging], &rest)), both_ways(&[(victim, holder)]));
        let mut steps: Vec<Step> = cut(&around).collect();
        steps.extend([wait(rng, 10, 200), Step::Write(victim), wait(rng, 50, 500), Step::Kill(victim)]);
        steps.extend(cut(&between).chain(mend(&around)));
        steps.extend([wait(rng, 10, 1_000), Step::Start(victim)]);
        for _ in 0..4 {
            steps.extend([wait(rng, 50, 800), Step::Read(victim), Step::Read(lagging)]);
        }
        steps.extend(mend(&between));
        Self::new(FaultKind::RestartApart, nodes[..3].iter().copied(), steps)
    }

    fn new(
        kind: FaultKind,
        nodes: impl IntoIterator<Item = usize>,
        steps: impl IntoIterator<Item = Step>,
    ) -> Self {
        Self { kind, nodes: nodes.into_iter().collect(), steps: steps.into_iter().collect() }
    }
}

type Link = (usize, usize);

fn links(from: &[usize], to: &[usize]) -> Vec<Link> {
    from.iter().flat_map(|from| to.iter().map(|to| (*from, *to))).collect()
}

fn both_ways(links: &[Link]) -> Vec<Link> {
    links.iter().flat_map(|(from, to)| [(*from, *to), (*to, *from)]).collect()
}

fn cut_for(links: &[Link], meanwhile: impl IntoIterator<Item = Step>) -> Vec<Step> {
    cut(links).chain(meanwhile).chain(mend(links)).collect()
}

fn cut(links: &[Link]) -> impl Iterator<Item = Step> {
    links.iter().map(|(from, to)| Step::Cut { from: *from, to: *to })
}

fn mend(links: &[Link]) -> impl Iterator<Item = Step> {
    links.iter().map(|(from, to)| Step::Mend { from: *from, to: *to })
}

fn storm_for(storm: Weather, lasts: Step, calm: Weather) -> [Step; 3] {
    [Step::Weather(storm), lasts, Step::Weather(calm)]
}

fn wait(rng: &mut impl Rng, min_ms: u64, max_ms: u64) -> Step {
    Step::Wait(Duration::from_millis(rng.random_range(min_ms..=max_ms)))
}

/// A step is a sequence of one.
impl IntoIterator for Step {
    type Item = Self;
    type IntoIter = std::iter::Once<Self>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self)
    }
}

/// Draws which kinds a run has: a random half of them, at least one.
#[must_use]
pub fn draw_kinds(rng: &mut impl Rng) -> BTreeSet<FaultKind> {
    let mut kinds: BTreeSet<FaultKind> =
        FaultKind::ALL.into_iter().filter(|_| rng.random_ratio(1, 2)).collect();
    if kinds.is_empty() {
        kinds.insert(FaultKind::ALL[rng.random_range(0..FaultKind::ALL.len())]);
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    const CALM: Weather = Weather { loss_percent: 0, latency_min_ms: 1, latency_max_ms: 5 };

    #[test]
    fn every_fault_undoes_itself_and_hits_only_nodes_that_exist() {
        let mut rng = StdRng::seed_from_u64(7);
        for round in 0..2_000 {
            let kind = FaultKind::ALL[round % FaultKind::ALL.len()];
            let size = 3 + round % 5;
            let fault = Fault::draw(kind, &mut rng, (0..size).collect(), CALM);
            assert!(!fault.nodes.is_empty() && fault.nodes.iter().all(|node| *node < size), "{fault:?}");

            let (mut dead, mut paused, mut cut, mut weather) =
                (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), CALM);
            for step in &fault.steps {
                let applied = match *step {
                    Step::Kill(node) => dead.insert(node),
                    Step::Start(node) => dead.remove(&node),
                    Step::Pause(node) => paused.insert(node),
                    Step::Resume(node) => paused.remove(&node),
                    Step::Cut { from, to } => from != to && cut.insert((from, to)),
                    Step::Mend { from, to } => cut.remove(&(from, to)),
                    Step::Weather(new) => std::mem::replace(&mut weather, new) != new,
                    Step::BreakStreams(_) | Step::Write(_) | Step::Read(_) => true,
                    Step::Wait(_) | Step::AwaitReady(_) => true,
                };
                assert!(applied, "{step:?} of {fault:?}");
                assert!(dead.len() <= 1, "two nodes without memory: {fault:?}");
            }
            assert!(dead.is_empty() && paused.is_empty() && cut.is_empty() && weather == CALM, "{fault:?}");
        }
    }

    #[test]
    fn a_split_leaves_a_majority() {
        let mut rng = StdRng::seed_from_u64(3);
        for size in 3..=7 {
            for _ in 0..100 {
                let fault = Fault::draw(FaultKind::Halves, &mut rng, (0..size).collect(), CALM);
                assert!(2 * fault.nodes.len() < size, "{fault:?}");
            }
        }
    }
}
