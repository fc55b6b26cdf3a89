//! Every parameter of a run, drawn from its seed.

use crate::{
    fault::{FaultKind, Weather, draw_kinds},
    millis,
    skew::Skew,
};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};
use shoal_proto::types::Consistency;
use std::{collections::BTreeSet, fmt, str::FromStr, time::Duration};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Which runs to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Five nodes, three owners: what every change is checked with.
    Ci,
    /// Three to seven nodes, more of everything.
    Swarm,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ci => "ci",
            Self::Swarm => "swarm",
        })
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "ci" => Ok(Self::Ci),
            "swarm" => Ok(Self::Swarm),
            _ => Err(format!("unknown profile '{text}': expected ci or swarm")),
        }
    }
}

/// How clients reach the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Through one node at a time, which the harness chooses; nothing is repeated.
    Contact,
    /// As the client chooses, with retries.
    Routed,
    /// The same, and reads that take long ask a second node.
    Hedged,
}

/// What kinds of calls there are, in percent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mix {
    /// Deletes; reads are what remains.
    pub deletes: u32,
    /// Writes.
    pub writes: u32,
    /// Writes with a time to live, of the writes.
    pub with_ttl: u32,
    /// Writes of values too large for the ordinary stream, of the writes.
    pub large: u32,
    /// Flushes of everything, per thousand calls.
    pub flushes: u32,
    /// Calls at ONE.
    pub at_one: u32,
    /// Calls at ALL; the rest is at QUORUM.
    pub at_all: u32,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// What everything is drawn from.
    pub seed: u64,
    /// How.
    pub profile: Profile,
    /// Nodes, all of them founding members.
    pub nodes: usize,
    /// Owners per key.
    pub replicas: usize,
    /// Vnodes of the ring.
    pub vnodes: u16,
    /// Clients.
    pub clients: u16,
    /// How they reach the cluster.
    pub access: Access,
    /// Calls of all clients together.
    pub operations: u32,
    /// Keys they are spread over.
    pub keys: u16,
    /// What they call for.
    pub mix: Mix,
    /// The longest time to live.
    #[serde(with = "millis")]
    pub ttl_max: Duration,
    /// How long a client waits between two calls, on average.
    #[serde(with = "millis")]
    pub think: Duration,
    /// How long a call may take.
    #[serde(with = "millis")]
    pub request_timeout: Duration,
    /// How long a read waits before it asks another owner.
    #[serde(with = "millis")]
    pub read_patience: Duration,
    /// Time between rounds of gossip.
    #[serde(with = "millis")]
    pub gossip_interval: Duration,
    /// How long a rebuild waits for owners that hold memory.
    #[serde(with = "millis")]
    pub rebuild_patience: Duration,
    /// The network when no fault changes it.
    pub weather: Weather,
    /// The nodes' clocks.
    pub skews: Vec<Skew>,
    /// The faults that may happen.
    pub faults: BTreeSet<FaultKind>,
    /// Time between faults, on average.
    #[serde(with = "millis")]
    pub fault_gap: Duration,
}

impl Options {
    /// Draws the run of `seed`.
    #[must_use]
    pub fn draw(seed: u64, profile: Profile) -> Self {
        let mut rng = stream(seed, "options");
        let access = match stream(seed, "access").random_range(0..4) {
            0 => Access::Routed,
            1 => Access::Hedged,
            _ => Access::Contact,
        };
        let ci = profile == Profile::Ci;
        let nodes = if ci { 5 } else { rng.random_range(3..=7) };
        let replicas = if !ci && nodes >= 5 && rng.random_ratio(1, 4) { 5 } else { 3 };
        let clients = rng.random_range(4..=8);
        let operations = if ci { rng.random_range(500..=700) } else { rng.random_range(500..=1_500) };
        let lasts = Duration::from_millis(rng.random_range(20_000..=40_000));
        Self {
            seed,
            profile,
            nodes,
            replicas,
            vnodes: 1 << rng.random_range(3..=6),
            clients,
            access,
            operations,
            keys: rng.random_range(4..=16),
            mix: Mix {
                deletes: rng.random_range(0..=15),
                writes: rng.random_range(25..=55),
                with_ttl: if rng.random_ratio(2, 3) { rng.random_range(10..=60) } else { 0 },
                large: if rng.random_ratio(1, 4) { rng.random_range(1..=5) } else { 0 },
                flushes: draw_flushes(seed),
                at_one: rng.random_range(0..=30),
                at_all: rng.random_range(0..=10),
            },
            ttl_max: Duration::from_millis(rng.random_range(1_000..=15_000)),
            think: lasts * u32::from(clients) / operations,
            request_timeout: Duration::from_millis(rng.random_range(400..=3_000)),
            read_patience: Duration::from_millis(rng.random_range(20..=100)),
            gossip_interval: Duration::from_millis(200),
            rebuild_patience: Duration::from_secs(10),
            weather: Weather {
                loss_percent: if rng.random_ratio(1, 4) { rng.random_range(1..=3) } else { 0 },
                latency_min_ms: 1,
                latency_max_ms: rng.random_range(2..=15),
            },
            skews: (0..nodes).map(|_| Skew::draw(&mut rng)).collect(),
            faults: draw_kinds(&mut rng),
            fault_gap: Duration::from_millis(rng.random_range(300..=3_000)),
        }
    }

    /// How far any clock may be off, either way.
    #[must_use]
    pub fn clock_bound(&self) -> Duration {
        self.skews.iter().map(Skew::bound).max().unwrap_or_default()
    }

    /// The level of a call.
    #[must_use]
    pub fn draw_level(&self, rng: &mut impl Rng) -> Consistency {
        let Mix { at_one, at_all, .. } = self.mix;
        match rng.random_range(0..100) {
            percent if percent < at_one => Consistency::One,
            percent if percent < at_one + at_all => Consistency::All,
            _ => Consistency::Quorum,
        }
    }

    /// A random stream of its own for `purpose`: drawing from one does not shift another.
    #[must_use]
    pub fn stream(&self, purpose: &str) -> StdRng {
        stream(self.seed, purpose)
    }
}

/// None in half of the runs: values are to grow old in some.
fn draw_flushes(seed: u64) -> u32 {
    let mut rng = stream(seed, "flushes");
    if rng.random_ratio(1, 2) { rng.random_range(2..=10) } else { 0 }
}

fn stream(seed: u64, purpose: &str) -> StdRng {
    StdRng::seed_from_u64(xxh3_64_with_seed(purpose.as_bytes(), seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_run_every_time_and_seeds_differ() {
        assert_eq!(Options::draw(1, Profile::Swarm), Options::draw(1, Profile::Swarm));
        assert_ne!(Options::draw(1, Profile::Swarm), Options::draw(2, Profile::Swarm));
    }

    #[test]
    fn every_run_is_within_what_was_promised() {
        for seed in 0..500 {
            let ci = Options::draw(seed, Profile::Ci);
            assert_eq!((ci.nodes, ci.replicas), (5, 3));
            let swarm = Options::draw(seed, Profile::Swarm);
            assert!((3..=7).contains(&swarm.nodes) && swarm.replicas <= swarm.nodes);
            for options in [ci, swarm] {
                assert!(options.operations >= 500 && !options.faults.is_empty());
                assert!(options.clock_bound() <= Duration::from_secs(2));
                assert!(options.mix.writes + options.mix.deletes <= 100);
                assert_eq!(options.skews.len(), options.nodes);
                let back = serde_json::from_str(&serde_json::to_string(&options).unwrap()).unwrap();
                let reprinted: Options = back;
                assert_eq!(
                    serde_json::to_string(&reprinted).unwrap(),
                    serde_json::to_string(&options).unwrap()
                );
            }
        }
    }

    #[test]
    fn every_way_to_reach_the_cluster_is_drawn_by_some_seed_of_a_short_list() {
        let drawn: Vec<Access> = (1..=40).map(|seed| Options::draw(seed, Profile::Ci).access).collect();
        for access in [Access::Contact, Access::Routed, Access::Hedged] {
            let share = drawn.iter().filter(|drawn| **drawn == access).count();
            assert!(share >= 5, "{access:?} in {share} of 40");
        }
    }

    #[test]
    fn every_kind_of_fault_is_drawn_by_some_seed_of_a_short_list() {
        let drawn: BTreeSet<FaultKind> =
            (1..=40).flat_map(|seed| Options::draw(seed, Profile::Ci).faults).collect();
        assert_eq!(drawn.len(), FaultKind::ALL.len());
    }
}
