//! Looks for a way to break a promise: breadth-first, which finds a shortest one, or at random, which gets deeper.

use super::{
    owner::World,
    read::Broken,
    state::State,
    step::{Step, steps},
};
use hashbrown::HashTable;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::fmt;

/// A way to break a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counterexample {
    /// The promise.
    pub broken: Broken,
    /// What happens.
    pub steps: Vec<Step>,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:", self.broken)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "  {step:?}"))
    }
}

/// What a search has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// States met.
    pub states: usize,
    /// Steps taken.
    pub steps: u64,
    /// How many steps the farthest state is away.
    pub depth: usize,
    /// There is no state that was not met.
    pub complete: bool,
    /// What was found.
    pub found: Option<Counterexample>,
}

/// Which promises are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promises {
    /// All.
    All,
    /// Those that a client can tell.
    Clients,
}

/// Meets every state, nearest first, until `limit` have been met or a promise is broken.
#[must_use]
pub fn exhaustive(world: &World<'_>, promises: Promises, limit: usize) -> Search {
    let possible = steps(world.scenario);
    let founding = State::founding(world.scenario);
    let mut met: HashTable<u64> = HashTable::new();
    insert(&mut met, founding.fingerprint(world));
    // How each state was come by: from which, by which step.
    let mut origins: Vec<(u32, Step)> = vec![(0, Step::Forget)];
    let mut layer: Vec<(u32, State)> = vec![(0, founding)];
    let mut search = Search { states: 1, steps: 0, depth: 0, complete: false, found: None };
    while !layer.is_empty() {
        let mut beyond = Vec::new();
        for (number, state) in &layer {
            for step in &possible {
                let Some(next) = state.after(world, *step) else { continue };
                search.steps += 1;
                if !insert(&mut met, next.fingerprint(world)) {
                    continue;
                }
                let fresh = origins.len() as u32;
                origins.push((*number, *step));
                search.states = origins.len();
                if let Some(broken) = judge(world, &next, promises) {
                    search.found = Some(Counterexample { broken, steps: way_to(&origins, fresh) });
                    return search;
                }
                if search.states >= limit {
                    return search;
                }
                beyond.push((fresh, next));
            }
        }
        search.depth += usize::from(!beyond.is_empty());
        layer = beyond;
    }
    search.complete = true;
    search
}

/// Takes random steps, `walks` times up to `length` of them.
#[must_use]
pub fn random(world: &World<'_>, promises: Promises, seed: u64, walks: u64, length: usize) -> Search {
    let possible = steps(world.scenario);
    let mut rng = StdRng::seed_from_u64(seed);
    let mut search = Search { states: 0, steps: 0, depth: 0, complete: false, found: None };
    for _ in 0..walks {
        let (mut state, mut taken) = (State::founding(world.scenario), Vec::with_capacity(length));
        while taken.len() < length {
            // Few steps are possible at a time, and trying one is cheap.
            let tries = (0..4 * possible.len()).map(|_| possible[rng.random_range(0..possible.len())]);
            let next = tries.into_iter().find_map(|step| Some((step, state.after(world, step)?)));
            let Some((step, next)) = next else { break };
            taken.push(step);
            (state, search.steps, search.depth) = (next, search.steps + 1, search.depth.max(taken.len()));
            if let Some(broken) = judge(world, &state, promises) {
                search.found = Some(Counterexample { broken, steps: taken });
                return search;
            }
        }
    }
    search
}

fn judge(world: &World<'_>, state: &State, promises: Promises) -> Option<Broken> {
    let clients = state.judge_reads(world).or_else(|| state.judge_writes(world));
    clients.or_else(|| (promises == Promises::All).then(|| state.judge_watermarks(world)).flatten())
}

/// Whether it is new.
fn insert(met: &mut HashTable<u64>, fingerprint: u64) -> bool {
    if met.find(fingerprint, |known| *known == fingerprint).is_some() {
        return false;
    }
    met.insert_unique(fingerprint, fingerprint, |known| *known);
    true
}

fn way_to(origins: &[(u32, Step)], mut number: u32) -> Vec<Step> {
    let mut way = Vec::new();
    while number != 0 {
        let (from, step) = origins[number as usize];
        way.push(step);
        number = from;
    }
    way.reverse();
    way
}
