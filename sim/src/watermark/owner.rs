//! One owner of the key, and what it makes of each message.

use super::{
    rule::{Rule, Sentence},
    scenario::{Origin, Rank, Scenario},
};

/// How far an owner's memory can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Trust {
    /// Just started, empty.
    Starting,
    /// It takes writes.
    Rebuilding,
    /// It votes.
    Ready,
}

/// What an owner has under the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing at all.
    Nothing,
    /// A value or a marker.
    Held(Rank),
    /// The trace of a value it has evicted.
    Ghost(Rank),
}

impl Found {
    /// As a small number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Nothing => 0,
            Self::Held(rank) => rank << 1,
            Self::Ghost(rank) => rank << 1 | 1,
        }
    }

    /// The other way round.
    #[must_use]
    pub fn of_code(code: u8) -> Self {
        match (code >> 1, code & 1) {
            (0, _) => Self::Nothing,
            (rank, 0) => Self::Held(rank),
            (rank, _) => Self::Ghost(rank),
        }
    }

    /// What is held, 0 for nothing.
    #[must_use]
    pub fn held(self) -> Rank {
        if let Self::Held(rank) = self { rank } else { 0 }
    }

    /// The rank of either, 0 for nothing.
    #[must_use]
    pub fn rank(self) -> Rank {
        self.code() >> 1
    }
}

/// On whose behalf a version arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A write, or its hint.
    Write,
    /// A round's pull or a read's write-back: what another owner held.
    Carried,
    /// The rebuild of this owner.
    Rebuild,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It, or something larger, is held or counts as held.
    Held,
    /// Its value was evicted here before it came: a ghost was left.
    Evicted,
    /// Refused at P.
    Sealed,
}

/// An owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Whether it votes.
    pub trust: Trust,
    /// P: up to here it takes no write any more.
    pub sealed: u8,
    /// K: up to here it has what every owner had.
    pub confirmed: u8,
    /// S: up to here every owner has.
    pub settled: u8,
    /// What it has.
    pub found: Found,
    /// The status of owner 0 that it knows of.
    pub known: u8,
}

/// The rule and the world it is tried in.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// The sentences that hold.
    pub rule: Rule,
    /// What can happen.
    pub scenario: &'a Scenario,
}

impl World<'_> {
    /// Where watermarks pass `rank`.
    #[must_use]
    pub fn position(&self, rank: Rank) -> u8 {
        self.scenario.position(self.rule, rank)
    }

    /// Whether `sentence` holds.
    #[must_use]
    pub fn has(&self, sentence: Sentence) -> bool {
        self.rule.has(sentence)
    }
}

impl Owner {
    /// An owner that never held anything, and needs not.
    #[must_use]
    pub fn founding() -> Self {
        Self { trust: Trust::Ready, ..Self::empty(0) }
    }

    /// An owner that has just lost its memory.
    #[must_use]
    pub fn empty(known: u8) -> Self {
        let (sealed, confirmed, settled) = (0, 0, 0);
        Self { trust: Trust::Starting, sealed, confirmed, settled, found: Found::Nothing, known }
    }

    /// Takes in `rank`.
    pub fn put(&mut self, world: &World<'_>, rank: Rank, cause: Cause) -> Put {
        if self.counts_as_holding(world, rank) {
            return Put::Held;
        }
        let position = world.position(rank);
        let known_key = self.found.held() != 0 && !world.has(Sentence::RefuseSealedForKnownKeys);
        match cause {
            Cause::Write if position <= self.sealed && world.has(Sentence::RefuseSealed) && !known_key => {
                return Put::Sealed;
            }
            Cause::Carried
                if position <= self.confirmed && world.has(Sentence::NothingInstalledAtConfirmed) =>
            {
                return Put::Held;
            }
            _ => {}
        }
        if cause != Cause::Rebuild && self.lacks_touched_value(world, rank) {
            self.found = Found::Ghost(rank);
            return Put::Evicted;
        }
        self.found = Found::Held(rank);
        Put::Held
    }

    /// Takes in a ghost of `rank`.
    pub fn put_ghost(&mut self, world: &World<'_>, rank: Rank, cause: Cause) {
        if self.found.rank() >= rank
            || (cause == Cause::Carried
                && world.position(rank) <= self.confirmed
                && world.has(Sentence::NothingInstalledAtConfirmed))
            || (self.found.held() != 0 && !world.has(Sentence::GhostRemovesOlder))
        {
            return;
        }
        self.found = Found::Ghost(rank);
    }

    /// What it lists for a round up to `bound`.
    #[must_use]
    pub fn listed(&self, world: &World<'_>, bound: u8) -> Found {
        match self.found {
            Found::Ghost(_) if !world.has(Sentence::GhostsAreListed) => Found::Nothing,
            Found::Nothing => Found::Nothing,
            found => {
                let position = world.position(found.rank());
                if position <= bound && position > self.settled { found } else { Found::Nothing }
            }
        }
    }

    /// Whether it has taken in what another has listed.
    #[must_use]
    pub fn covers(&self, world: &World<'_>, listed: Found) -> bool {
        listed == Found::Nothing
            || self.found.rank() >= listed.rank()
            || world.position(listed.rank()) <= self.confirmed
            || (matches!(listed, Found::Ghost(_)) && !world.has(Sentence::GhostRemovesOlder))
    }

    /// Gives up its value, if it has one.
    pub fn evict(&mut self, world: &World<'_>) {
        let rank = self.found.held();
        if rank == 0 {
            return;
        }
        let leaves_ghost = world.position(rank) > self.settled && world.has(Sentence::EvictionLeavesGhost);
        self.found = if leaves_ghost { Found::Ghost(rank) } else { Found::Nothing };
    }

    /// Drops its marker or ghost, if it may.
    pub fn collect(&mut self, world: &World<'_>) {
        let through = if world.has(Sentence::MarkersUntilSettled) { self.settled } else { self.confirmed };
        let droppable = match self.found {
            Found::Nothing => false,
            Found::Held(rank) => world.scenario.version(rank).dead,
            Found::Ghost(_) => true,
        };
        if droppable && world.position(self.found.rank()) <= through {
            self.found = Found::Nothing;
        }
    }

    fn counts_as_holding(&self, world: &World<'_>, rank: Rank) -> bool {
        match self.found {
            Found::Nothing => false,
            Found::Held(held) => held >= rank,
            Found::Ghost(ghost) => ghost >= rank && world.has(Sentence::GhostBlocksOlder),
        }
    }

    fn lacks_touched_value(&self, world: &World<'_>, rank: Rank) -> bool {
        let Origin::Touched(value) = world.scenario.version(rank).origin else { return false };
        self.found.held() != value
            && world.position(value) <= self.confirmed
            && world.has(Sentence::TouchNeedsItsValue)
    }
}
