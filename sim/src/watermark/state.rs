//! The whole world at one moment: three owners, what is under way between them, what clients have been told.

use super::{
    owner::{Found, Owner, Trust, World},
    read::Answer,
    scenario::{Rank, Scenario},
};

/// How many owners the key has.
pub const OWNERS: usize = 3;
/// How many of them make a quorum.
pub const QUORUM: u32 = 2;
/// How many versions a scenario can have.
pub const RANKS: usize = 5;
const BOUNDS: usize = 4;
const STATUSES: usize = 6;

/// A write under way at QUORUM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attempt {
    /// A client has begun it.
    pub issued: bool,
    /// The client was told that it succeeded.
    pub acknowledged: bool,
    /// The client was told that it failed and will not take effect.
    pub given_up: bool,
    /// The status of owner 0 that its coordinator believes in.
    pub stamp: u8,
    /// Who has taken it under that stamp: a bit per owner.
    pub acks: u8,
    /// Who has met it, under whatever stamp.
    pub met: u8,
    /// Who has refused it under that stamp.
    pub refusals: u8,
}

/// What has been said in the rounds for one bound under one generation vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Round {
    /// What each owner has listed, whenever it did: a bit per code of [`Found`].
    pub lists: [u16; OWNERS],
    /// Who has confirmed.
    pub confirmed: u8,
}

/// How far owner 0 has come with its rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rebuild {
    /// P and S of each owner that has answered its start.
    pub begun: [Option<(u8, u8)>; OWNERS],
    /// What each has sent: the code of [`Found`].
    pub sent: [Option<u8>; OWNERS],
    /// Whose has been taken in.
    pub installed: u8,
}

/// The world. Messages are never taken back: each can arrive at any time, again and again, or never.
///
/// Owner 0 alone restarts and is declared stale, so that a generation vector is one number, its *status*: twice its
/// number of starts, plus one once that start has been declared stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The owners.
    pub owners: [Owner; OWNERS],
    /// The status of owner 0.
    pub status: u8,
    /// How often owner 0 has started, the first time aside.
    pub starts: u8,
    /// Its starts that were declared stale, a bit each.
    pub declared: u8,
    /// The clock of who is ahead. Others are one behind at most.
    pub clock: u8,
    /// Evictions so far.
    pub evictions: u8,
    /// The largest version that was evicted anywhere.
    pub evicted: Rank,
    /// The largest version that a client was told of: later reads must not fall behind it.
    pub told: Rank,
    /// Writes, by rank.
    pub writes: [Attempt; RANKS],
    /// Versions that reads have sent to owners, a bit per rank.
    pub written_back: u8,
    /// Rounds, by bound and status.
    pub rounds: [[Round; STATUSES]; BOUNDS],
    /// Owner 0's rebuild.
    pub rebuild: Rebuild,
    /// The first answer to a slow read.
    pub waiting: Option<Answer>,
}

impl State {
    /// The beginning of a scenario.
    #[must_use]
    pub fn founding(scenario: &Scenario) -> Self {
        let owner = |held: Rank| Owner { found: Found::of_code(held << 1), ..Owner::founding() };
        let told = scenario.held.into_iter().max().unwrap_or(0);
        let mut writes = [Attempt::default(); RANKS];
        for write in &mut writes[..usize::from(told)] {
            *write = Attempt { issued: true, acknowledged: true, ..Attempt::default() };
        }
        Self {
            owners: scenario.held.map(owner),
            status: 0,
            starts: 0,
            declared: 0,
            clock: 0,
            evictions: 0,
            evicted: 0,
            told,
            writes,
            written_back: scenario.written_back,
            rounds: [[Round::default(); STATUSES]; BOUNDS],
            rebuild: Rebuild::default(),
            waiting: None,
        }
    }

    /// The write of `rank`.
    pub fn write(&mut self, rank: Rank) -> &mut Attempt {
        &mut self.writes[usize::from(rank) - 1]
    }

    /// The rounds for `bound` under `status`.
    pub fn round(&mut self, bound: u8, status: u8) -> &mut Round {
        &mut self.rounds[usize::from(bound) - 1][usize::from(status)]
    }

    /// The same to look at.
    #[must_use]
    pub fn seen_round(&self, bound: u8, status: u8) -> Round {
        self.rounds[usize::from(bound) - 1][usize::from(status)]
    }

    /// What has been said for `bound`, under whatever status.
    #[must_use]
    pub fn all_rounds(&self, bound: u8) -> Round {
        let mut all = Round::default();
        for round in self.rounds[usize::from(bound) - 1] {
            for (into, list) in all.lists.iter_mut().zip(round.lists) {
                *into |= list;
            }
            all.confirmed |= round.confirmed;
        }
        all
    }

    /// Whether the present incarnation of `owner` belongs to `status`.
    #[must_use]
    pub fn belongs(&self, owner: usize, status: u8) -> bool {
        owner != 0 || status == 2 * self.starts
    }

    /// Whether `owner` may be counted in a quorum that all others would agree to.
    #[must_use]
    pub fn votes(&self, owner: usize) -> bool {
        self.owners[owner].trust == Trust::Ready && self.belongs(owner, self.status)
    }

    /// Makes `owner` look at a request under `stamp`: it adopts a newer status, and refuses an older one.
    pub fn admit(&mut self, owner: usize, stamp: u8) -> bool {
        let known = self.owners[owner].known;
        let admits = stamp >= known && self.belongs(owner, stamp);
        self.owners[owner].known = known.max(stamp);
        admits
    }

    /// What tells this state from others, owners 1 and 2 being alike.
    #[must_use]
    pub fn fingerprint(&self, world: &World<'_>) -> u64 {
        let (mine, mirrored) = (Bytes::of(self, world, [0, 1, 2]), Bytes::of(self, world, [0, 2, 1]));
        xxhash_rust::xxh3::xxh3_64(mine.filled().min(mirrored.filled()))
    }
}

/// A state in bytes.
struct Bytes {
    bytes: [u8; 512],
    length: usize,
}

impl Bytes {
    /// The owners in this order; what the scenario does not use is left out.
    fn of(state: &State, world: &World<'_>, order: [usize; OWNERS]) -> Self {
        let mut all = Self { bytes: [0; 512], length: 0 };
        for owner in order.map(|owner| &state.owners[owner]) {
            all.add(&[
                owner.trust as u8,
                owner.sealed,
                owner.confirmed,
                owner.settled,
                owner.found.code(),
                owner.known,
            ]);
        }
        all.add(&[state.status, state.starts, state.declared, state.clock, state.evictions]);
        all.add(&[state.evicted, state.told, state.written_back]);
        for write in &state.writes[..world.scenario.versions.len()] {
            let flags =
                u8::from(write.issued) | u8::from(write.acknowledged) << 1 | u8::from(write.given_up) << 2;
            let sets = [write.acks, write.met, write.refusals].map(|set| bits(set, order));
            all.add(&[flags, write.stamp, sets[0], sets[1], sets[2]]);
        }
        for bound in world.scenario.bounds {
            for round in &state.rounds[usize::from(*bound) - 1][..=usize::from(state.status)] {
                for owner in order {
                    all.add(&round.lists[owner].to_le_bytes());
                }
                all.add(&[bits(round.confirmed, order)]);
            }
        }
        if state.starts > 0 {
            for owner in order {
                let (sealed, settled) = state.rebuild.begun[owner].unwrap_or((u8::MAX, 0));
                all.add(&[sealed, settled, state.rebuild.sent[owner].unwrap_or(u8::MAX)]);
            }
            all.add(&[bits(state.rebuild.installed, order)]);
        }
        if let Some(answer) = state.waiting {
            let owner = order.iter().position(|owner| *owner == answer.owner).unwrap_or(0) as u8;
            let Answer { found, confirmed, settled, stamp, floor, .. } = answer;
            all.add(&[owner, found.code(), confirmed, settled, stamp, floor]);
        }
        all
    }

    fn add(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn filled(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A set of owners, in another order of them.
fn bits(set: u8, order: [usize; OWNERS]) -> u8 {
    order.iter().enumerate().map(|(place, owner)| (set >> owner & 1) << place).sum()
}

/// The owners that take part in rounds under `status`: all, or all but the one declared stale.
#[must_use]
pub fn participants(status: u8) -> u8 {
    if status.is_multiple_of(2) { 0b111 } else { 0b110 }
}

/// The bit of what was listed.
#[must_use]
pub fn list_bit(found: Found) -> u16 {
    1 << found.code()
}
