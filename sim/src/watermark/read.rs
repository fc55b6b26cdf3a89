//! What a read at QUORUM makes of two answers, and what it must not.

use super::{
    owner::{Found, Trust, World},
    rule::Sentence,
    scenario::{Origin, Rank},
    state::{OWNERS, State},
};
use std::fmt;

/// An owner's answer to a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Who.
    pub owner: usize,
    /// What it has.
    pub found: Found,
    /// Its K.
    pub confirmed: u8,
    /// Its S.
    pub settled: u8,
    /// The status of owner 0 under which it was given.
    pub stamp: u8,
    /// What clients had been told when the read began.
    pub floor: Rank,
}

/// What a read comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Result {
    /// The largest version, 0 for none.
    pub winner: Rank,
    /// A ghost is larger than it: a miss.
    pub evicted: bool,
    /// Both owners hold it, or count as holding it.
    pub on_quorum: bool,
}

/// A promise broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The S of one owner is above the K of another.
    SettledBeforeConfirmed,
    /// Two owners hold different versions at or under S.
    SettledDiffers,
    /// A read shows a value although clients had been told of a larger version.
    OlderValue {
        /// What it shows.
        shown: Rank,
        /// What they had been told of.
        told: Rank,
    },
    /// A read misses what clients had been told of, and nobody has evicted it.
    Lost {
        /// What they had been told of.
        told: Rank,
    },
    /// An owner has what a client was told would not take effect.
    TookEffect(Rank),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SettledBeforeConfirmed => {
                f.write_str("an owner has settled what another has not confirmed")
            }
            Self::SettledDiffers => f.write_str("owners differ in what is settled"),
            Self::OlderValue { shown, told } => {
                write!(f, "a read shows version {shown} although version {told} was told of before")
            }
            Self::Lost { told } => write!(f, "version {told} is lost"),
            Self::TookEffect(rank) => write!(f, "version {rank} took effect after it was given up"),
        }
    }
}

impl State {
    /// What `owner` answers now.
    #[must_use]
    pub fn answer(&self, owner: usize, stamp: u8) -> Answer {
        let it = &self.owners[owner];
        let (found, confirmed, settled) = (it.found, it.confirmed, it.settled);
        Answer { owner, found, confirmed, settled, stamp, floor: self.told }
    }

    /// The answers of two owners that would count together now.
    pub fn pairs(&self) -> impl Iterator<Item = (Answer, Answer)> + '_ {
        let pairs = [(0, 1), (0, 2), (1, 2)].into_iter();
        pairs.filter_map(|(one, other)| {
            let stamp = self.owners[one].known.max(self.owners[other].known);
            let votes = |owner: usize| self.owners[owner].trust == Trust::Ready && self.belongs(owner, stamp);
            (votes(one) && votes(other)).then(|| (self.answer(one, stamp), self.answer(other, stamp)))
        })
    }

    /// Looks for a promise of reads that is broken.
    #[must_use]
    pub fn judge_reads(&self, world: &World<'_>) -> Option<Broken> {
        let slow = self.waiting.into_iter().flat_map(|first| {
            let others = (0..OWNERS).filter(move |owner| *owner != first.owner);
            let others = others.filter(move |owner| {
                let it = &self.owners[*owner];
                it.trust == Trust::Ready && it.known <= first.stamp && self.belongs(*owner, first.stamp)
            });
            others.map(move |owner| (first, self.answer(owner, first.stamp)))
        });
        let ahead = self.clock;
        let mut reads = slow.chain(self.pairs());
        reads.find_map(|(first, second)| {
            [ahead, ahead.saturating_sub(1)].into_iter().find_map(|clock| {
                let result = resolve(world, first, second, clock)?;
                self.judge(world, result, first.floor)
            })
        })
    }

    /// Looks for a promise of the watermarks that is broken, or one about writes that were given up.
    #[must_use]
    pub fn judge_watermarks(&self, world: &World<'_>) -> Option<Broken> {
        let voting = || (0..OWNERS).filter(|owner| self.votes(*owner)).map(|owner| &self.owners[owner]);
        let settled = voting().map(|owner| owner.settled).max().unwrap_or(0);
        if voting().any(|owner| owner.confirmed < settled) {
            return Some(Broken::SettledBeforeConfirmed);
        }
        // A value that has expired by then is its marker to everyone.
        let held = voting().map(|owner| world.scenario.as_of(owner.found.held(), settled));
        let held = held.filter(|held| *held != 0);
        let mut settled_versions = held.filter(|held| world.position(*held) <= settled);
        let first = settled_versions.next();
        settled_versions.any(|held| Some(held) != first).then_some(Broken::SettledDiffers)
    }

    /// Looks for a write that took effect after its client was told that it would not.
    #[must_use]
    pub fn judge_writes(&self, world: &World<'_>) -> Option<Broken> {
        let given_up = |rank: &Rank| self.writes[usize::from(*rank) - 1].given_up;
        let held = |rank: &Rank| self.owners.iter().any(|owner| owner.found.rank() == *rank);
        world.scenario.ranks().filter(given_up).find(held).map(Broken::TookEffect)
    }

    /// Whether a client has written `rank`, or time has made it.
    fn exists(&self, world: &World<'_>, rank: Rank) -> bool {
        match world.scenario.version(rank).origin {
            Origin::Expired(value) => world.scenario.as_of(value, self.clock) == rank,
            _ => self.writes[usize::from(rank) - 1].issued,
        }
    }

    fn judge(&self, world: &World<'_>, result: Result, told: Rank) -> Option<Broken> {
        let shown = if result.evicted { 0 } else { result.winner };
        if shown >= told {
            return None;
        }
        if shown != 0 && !world.scenario.version(shown).dead {
            return Some(Broken::OlderValue { shown, told });
        }
        // A deletion that is under way may be seen or not.
        let mut later = world.scenario.ranks().filter(|rank| *rank >= told);
        let deleted = later.any(|rank| world.scenario.version(rank).dead && self.exists(world, rank));
        let may_miss = deleted || self.evicted >= told;
        (!may_miss).then_some(Broken::Lost { told })
    }
}

/// Resolves two answers by a coordinator's clock. `None` when one of them is discarded.
#[must_use]
pub fn resolve(world: &World<'_>, one: Answer, other: Answer, clock: u8) -> Option<Result> {
    let discarded = |answer: Answer, by: Answer| {
        let held = answer.found.held();
        held != 0 && world.position(held) <= by.settled && answer.confirmed < by.settled
    };
    if world.has(Sentence::DiscardUnconfirmedAnswers) && (discarded(one, other) || discarded(other, one)) {
        return None;
    }
    let as_of = |answer: Answer| world.scenario.as_of(answer.found.held(), clock);
    let winner = as_of(one).max(as_of(other));
    let evicted = [one, other].iter().any(|answer| answer.found.held() == 0 && answer.found.rank() > winner);
    let holds = |answer: Answer| {
        as_of(answer) == winner && world.scenario.as_of(answer.found.rank(), clock) == answer.found.rank()
            || answer.found == Found::Ghost(winner)
            || winner != 0 && answer.found == Found::Nothing && world.position(winner) <= answer.confirmed
    };
    Some(Result { winner, evicted, on_quorum: holds(one) && holds(other) })
}
