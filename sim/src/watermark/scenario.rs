//! What happens to the one key of the model: which versions there can be, and which faults.

use super::rule::{Rule, Sentence};

/// A version's place in the total order, from 1; 0 is nothing.
pub type Rank = u8;

/// How a version comes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client writes or deletes.
    Written,
    /// A client changes the TTL of the value of this rank.
    Touched(Rank),
    /// The value of this rank expires.
    Expired(Rank),
    /// The write of this rank, refused everywhere, is tagged anew.
    Retagged(Rank),
}

/// A version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionKind {
    /// Where watermarks pass it.
    pub position: u8,
    /// It has no value.
    pub dead: bool,
    /// When it expires, 0 never.
    pub expires: u8,
    /// How it comes to be.
    pub origin: Origin,
}

impl VersionKind {
    const fn value(position: u8) -> Self {
        Self { position, dead: false, expires: 0, origin: Origin::Written }
    }

    const fn tombstone(position: u8) -> Self {
        Self { dead: true, ..Self::value(position) }
    }
}

/// A bounded world.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// The versions, in their order: the first has rank 1.
    pub versions: &'static [VersionKind],
    /// The bounds of rounds.
    pub bounds: &'static [u8],
    /// What each owner has at the beginning: written, and told of, before.
    pub held: [Rank; 3],
    /// Versions that reads had found before, and sent to owners: a bit per rank.
    pub written_back: u8,
    /// How often a value may be evicted.
    pub evictions: u8,
    /// How often owner 0 may restart empty.
    pub restarts: u8,
    /// How often its generation may be declared stale.
    pub declarations: u8,
    /// An owner may list anew for a round it has listed for.
    pub lists_again: bool,
    /// Reads may spread what they found.
    pub write_backs: bool,
    /// A read may wait for its second answer.
    pub slow_reads: bool,
    /// The last reading of the clock.
    pub clock: u8,
}

impl Scenario {
    /// The version of `rank`, which is not 0.
    #[must_use]
    pub fn version(&self, rank: Rank) -> VersionKind {
        self.versions[usize::from(rank) - 1]
    }

    /// Where watermarks pass `rank` under `rule`.
    #[must_use]
    pub fn position(&self, rule: Rule, rank: Rank) -> u8 {
        let version = self.version(rank);
        match version.origin {
            Origin::Expired(value) if !rule.has(Sentence::MarkerStandsAtExpiry) => {
                self.version(value).position
            }
            _ => version.position,
        }
    }

    /// The marker of `rank`, once it has expired by `clock`; otherwise itself.
    #[must_use]
    pub fn as_of(&self, rank: Rank, clock: u8) -> Rank {
        if rank == 0 || self.version(rank).expires == 0 || self.version(rank).expires > clock {
            return rank;
        }
        let marker = self.ranks().find(|marker| self.version(*marker).origin == Origin::Expired(rank));
        marker.unwrap_or(rank)
    }

    /// Every rank.
    pub fn ranks(&self) -> impl Iterator<Item = Rank> + use<> {
        1..=self.versions.len() as Rank
    }
}

const CALM: Scenario = Scenario {
    name: "calm",
    versions: &[VersionKind::value(1), VersionKind::tombstone(2)],
    bounds: &[2],
    held: [0; 3],
    written_back: 0,
    evictions: 0,
    restarts: 0,
    declarations: 0,
    lists_again: false,
    write_backs: false,
    slow_reads: false,
    clock: 0,
};

/// A value and its deletion, in any order.
pub const DELETION: Scenario = Scenario { name: "deletion", ..CALM };

/// The same under two bounds, one after the other or at once.
pub const TWO_BOUNDS: Scenario = Scenario { name: "two bounds", bounds: &[1, 2], ..CALM };

/// A deletion that one owner has missed, and a write-back of the value from before.
pub const MISSED_DELETION: Scenario = Scenario {
    name: "missed deletion",
    held: [1, 2, 2],
    written_back: 1 << 1,
    lists_again: true,
    write_backs: true,
    slow_reads: true,
    ..CALM
};

/// Two values, either of which may be evicted anywhere.
pub const EVICTION: Scenario = Scenario {
    name: "eviction",
    versions: &[VersionKind::value(1), VersionKind::value(2)],
    evictions: 2,
    ..CALM
};

/// An owner restarts empty before or after a deletion.
pub const RESTART: Scenario = Scenario { name: "restart", held: [1, 1, 0], restarts: 1, ..CALM };

/// An owner restarts empty when others have missed a deletion.
pub const RESTART_AFTER_DELETION: Scenario =
    Scenario { name: "restart after a deletion", held: [2, 2, 1], written_back: 1 << 1, ..RESTART };

/// An owner restarts empty, and values are evicted.
pub const RESTART_AND_EVICTION: Scenario =
    Scenario { name: "restart and eviction", held: [2, 2, 1], restarts: 1, ..EVICTION };

/// An owner's generation is declared stale while it still works.
pub const STALE: Scenario = Scenario { name: "stale", held: [1, 2, 2], restarts: 1, declarations: 1, ..CALM };

/// The TTL of a value is changed, which is deleted by someone who did not see it.
pub const TOUCH: Scenario = Scenario {
    name: "touch",
    versions: &[
        VersionKind::value(1),
        VersionKind { position: 3, dead: false, expires: 0, origin: Origin::Touched(1) },
        VersionKind::tombstone(2),
    ],
    ..CALM
};

/// A value expires, by clocks that differ by one.
pub const EXPIRY: Scenario = Scenario {
    name: "expiry",
    versions: &[
        VersionKind { expires: 2, ..VersionKind::value(1) },
        VersionKind { position: 2, dead: true, expires: 0, origin: Origin::Expired(1) },
    ],
    bounds: &[1, 2],
    write_backs: true,
    clock: 3,
    ..CALM
};

/// A write that comes too late is tagged anew, with someone else's write in between.
pub const RETAG: Scenario = Scenario {
    name: "retag",
    versions: &[VersionKind::value(1), VersionKind { origin: Origin::Retagged(1), ..VersionKind::value(3) }],
    bounds: &[1],
    restarts: 1,
    ..CALM
};

/// Everything at once: for long searches alone.
pub const EVERYTHING: Scenario = Scenario {
    name: "everything",
    versions: &[
        VersionKind { expires: 4, ..VersionKind::value(1) },
        VersionKind { position: 4, dead: true, expires: 0, origin: Origin::Expired(1) },
        VersionKind { position: 3, dead: false, expires: 0, origin: Origin::Touched(1) },
        VersionKind::tombstone(2),
        VersionKind::value(3),
    ],
    bounds: &[1, 2, 3, 4],
    held: [0; 3],
    written_back: 0,
    evictions: 3,
    restarts: 2,
    declarations: 1,
    lists_again: true,
    write_backs: true,
    slow_reads: true,
    clock: 5,
};

/// What an ordinary test explores.
pub const ALL: [Scenario; 11] = [
    DELETION,
    TWO_BOUNDS,
    MISSED_DELETION,
    EVICTION,
    RESTART,
    RESTART_AFTER_DELETION,
    RESTART_AND_EVICTION,
    STALE,
    TOUCH,
    EXPIRY,
    RETAG,
];
