//! What can happen next.

use super::{
    owner::{Cause, Found, Owner, Put, Trust, World},
    read::resolve,
    rule::Sentence,
    scenario::{Origin, Rank, Scenario},
    state::{Attempt, OWNERS, QUORUM, Rebuild, State, list_bit, participants},
};

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A client writes.
    Write(Rank),
    /// The write reaches an owner under its coordinator's stamp.
    Deliver(Rank, usize),
    /// Its coordinator begins anew under the newest generations.
    Renew(Rank),
    /// Its coordinator says that it failed for good.
    GiveUp(Rank),
    /// Its hint, or a late repetition, reaches an owner.
    Hint(Rank, usize),
    /// A read meets a version that it spreads.
    WriteBack(Rank),
    /// What a read spreads reaches an owner.
    Repair(Rank, usize),
    /// A read at QUORUM of these two is answered.
    Read(usize, usize),
    /// A slow read gets its first answer.
    ReadOne(usize),
    /// The slow read is given up.
    Forget,
    /// An owner seals a bound and lists.
    Seal(u8, usize),
    /// What the first owner has listed under a status reaches the second.
    Pull {
        /// Of the round for this bound.
        bound: u8,
        /// Under this status.
        status: u8,
        /// Who has listed.
        from: usize,
        /// Who pulls.
        to: usize,
        /// What was listed, as a code of [`Found`].
        code: u8,
    },
    /// An owner confirms a bound.
    Confirm(u8, usize),
    /// An owner learns that the round for a bound under a status is complete.
    Settle(u8, u8, usize),
    /// An owner evicts.
    Evict(usize),
    /// An owner drops a marker or a ghost.
    Collect(usize),
    /// A value expires where it is held.
    Expire(usize),
    /// Time passes.
    Tick,
    /// An owner learns of a status of owner 0.
    Adopt(usize, u8),
    /// Owner 0 restarts with empty memory.
    Restart,
    /// Owner 0's generation is declared stale.
    Declare,
    /// An owner answers the start of owner 0's rebuild.
    Begin(usize),
    /// Owner 0 has heard from enough, and takes writes.
    Accept,
    /// An owner sends owner 0 what it has.
    Send(usize),
    /// What an owner has sent reaches owner 0.
    Install(usize),
    /// Owner 0 is rebuilt.
    Finish,
}

/// Everything that could happen in `scenario`, whether or not it can at a given moment.
#[must_use]
pub fn steps(scenario: &Scenario) -> Vec<Step> {
    let mut steps = vec![Step::Forget, Step::Tick, Step::Restart, Step::Declare, Step::Accept, Step::Finish];
    let statuses = 0..=2 * scenario.restarts + u8::from(scenario.declarations > 0);
    for rank in scenario.ranks() {
        steps.extend([Step::Write(rank), Step::Renew(rank), Step::GiveUp(rank), Step::WriteBack(rank)]);
        for owner in 0..OWNERS {
            steps.extend([Step::Deliver(rank, owner), Step::Hint(rank, owner), Step::Repair(rank, owner)]);
        }
    }
    for owner in 0..OWNERS {
        steps.extend([Step::ReadOne(owner), Step::Evict(owner), Step::Collect(owner), Step::Expire(owner)]);
        steps.extend([Step::Begin(owner), Step::Send(owner), Step::Install(owner)]);
        steps.extend(statuses.clone().map(|status| Step::Adopt(owner, status)));
        for bound in scenario.bounds.iter().copied() {
            steps.extend([Step::Seal(bound, owner), Step::Confirm(bound, owner)]);
            for status in statuses.clone() {
                steps.push(Step::Settle(bound, status, owner));
                let others = (0..OWNERS).filter(|from| *from != owner);
                for from in others {
                    let codes = 2..2 * (scenario.versions.len() as u8 + 1);
                    steps.extend(codes.map(|code| Step::Pull { bound, status, from, to: owner, code }));
                }
            }
        }
    }
    steps.extend([Step::Read(0, 1), Step::Read(0, 2), Step::Read(1, 2)]);
    steps
}

impl State {
    /// The world after `step`; `None` where that cannot happen or changes nothing.
    #[must_use]
    pub fn after(&self, world: &World<'_>, step: Step) -> Option<Self> {
        let mut next = *self;
        let possible = match step {
            Step::Write(rank) => next.issue(world, rank),
            Step::Deliver(rank, owner) => next.deliver(world, rank, owner),
            Step::Renew(rank) => next.renew(rank),
            Step::GiveUp(rank) => next.give_up(world, rank),
            Step::Hint(rank, owner) => next.hint(world, rank, owner),
            Step::WriteBack(rank) => next.write_back(world, rank),
            Step::Repair(rank, owner) => next.repair(world, rank, owner),
            Step::Read(one, other) => next.read(world, one, other),
            Step::ReadOne(owner) => next.read_one(world, owner),
            Step::Forget => next.waiting.take().is_some(),
            Step::Seal(bound, owner) => next.seal(world, bound, owner),
            Step::Pull { bound, status, from, to, code } => next.pull(world, bound, status, from, to, code),
            Step::Confirm(bound, owner) => next.confirm(world, bound, owner),
            Step::Settle(bound, status, owner) => next.settle(world, bound, status, owner),
            Step::Evict(owner) => next.evict(world, owner),
            Step::Collect(owner) => {
                next.owners[owner].collect(world);
                true
            }
            Step::Expire(owner) => next.expire(world, owner),
            Step::Tick => {
                next.clock += 1;
                next.clock <= world.scenario.clock
            }
            Step::Adopt(owner, status) => next.adopt(owner, status),
            Step::Restart => next.restart(world),
            Step::Declare => next.declare(world),
            Step::Begin(owner) => next.begin(world, owner),
            Step::Accept => next.accept(world),
            Step::Send(owner) => next.send(world, owner),
            Step::Install(owner) => next.install(world, owner),
            Step::Finish => next.finish(),
        };
        (possible && next != *self).then_some(next)
    }

    fn issue(&mut self, world: &World<'_>, rank: Rank) -> bool {
        let possible = match world.scenario.version(rank).origin {
            Origin::Written => true,
            // It names the value it has read.
            Origin::Touched(value) => self.owners.iter().any(|owner| owner.found == Found::Held(value)),
            Origin::Retagged(refused) => self.write(refused).given_up,
            Origin::Expired(_) => false,
        };
        let stamp = self.status;
        let write = self.write(rank);
        let is_new = !write.issued;
        *write = Attempt { issued: true, stamp, ..Attempt::default() };
        possible && is_new
    }

    fn deliver(&mut self, world: &World<'_>, rank: Rank, owner: usize) -> bool {
        let write = *self.write(rank);
        if !write.issued || write.acknowledged || write.given_up || !self.admit(owner, write.stamp) {
            return write.issued && !write.acknowledged && !write.given_up;
        }
        let Some(put) = self.put(world, rank, owner, Cause::Write) else { return false };
        let first_counts = world.has(Sentence::FirstRefusalCounts);
        let write = self.write(rank);
        match put {
            Put::Held | Put::Evicted => write.acks |= 1 << owner,
            // Whoever met it before may have taken it then, and have forgotten.
            Put::Sealed if write.met & 1 << owner == 0 || !first_counts => write.refusals |= 1 << owner,
            Put::Sealed => {}
        }
        write.met |= 1 << owner;
        if write.acks.count_ones() >= QUORUM {
            *write = Attempt { issued: true, acknowledged: true, ..Attempt::default() };
            self.told = self.told.max(rank);
        }
        true
    }

    fn renew(&mut self, rank: Rank) -> bool {
        let stamp = self.status;
        let write = self.write(rank);
        let possible = write.issued && !write.acknowledged && !write.given_up && write.stamp < stamp;
        (write.stamp, write.acks, write.refusals) = (stamp, 0, 0);
        possible
    }

    fn give_up(&mut self, world: &World<'_>, rank: Rank) -> bool {
        let every_owner = world.has(Sentence::EveryOwnerRefuses);
        let needed = if every_owner { OWNERS as u32 } else { QUORUM };
        let write = self.write(rank);
        let possible = !write.given_up && write.refusals.count_ones() >= needed;
        *write = Attempt { issued: true, given_up: true, ..Attempt::default() };
        possible
    }

    fn hint(&mut self, world: &World<'_>, rank: Rank, owner: usize) -> bool {
        let write = *self.write(rank);
        // Otherwise its delivery does the same, and may have it acknowledged, too.
        let apart = write.acknowledged || write.given_up || write.stamp != self.owners[owner].known;
        if !write.acknowledged && !write.given_up {
            self.write(rank).met |= 1 << owner;
        }
        write.issued && apart && self.put(world, rank, owner, Cause::Write).is_some()
    }

    fn write_back(&mut self, world: &World<'_>, rank: Rank) -> bool {
        let met = |owner: &Owner| {
            owner.trust == Trust::Ready
                && (owner.found == Found::Held(rank)
                    || world.scenario.as_of(owner.found.held(), self.clock) == rank)
        };
        let possible = world.scenario.write_backs && self.owners.iter().any(met);
        self.written_back |= 1 << rank;
        possible
    }

    fn repair(&mut self, world: &World<'_>, rank: Rank, owner: usize) -> bool {
        self.written_back & 1 << rank != 0 && self.put(world, rank, owner, Cause::Carried).is_some()
    }

    fn read(&mut self, world: &World<'_>, one: usize, other: usize) -> bool {
        let pair = self.pairs().find(|(first, second)| (first.owner, second.owner) == (one, other));
        let Some((first, second)) = pair else { return false };
        let found = [self.clock, self.clock.saturating_sub(1)].into_iter().filter_map(|clock| {
            let result = resolve(world, first, second, clock)?;
            (result.on_quorum && !result.evicted).then_some(result.winner)
        });
        let told = found.max().unwrap_or(0);
        self.told = self.told.max(told);
        told != 0
    }

    fn read_one(&mut self, world: &World<'_>, owner: usize) -> bool {
        let stamp = self.owners[owner].known;
        let answers = self.owners[owner].trust == Trust::Ready && self.belongs(owner, stamp);
        let possible = world.scenario.slow_reads && self.waiting.is_none() && answers;
        self.waiting = Some(self.answer(owner, stamp));
        possible
    }

    fn seal(&mut self, world: &World<'_>, bound: u8, owner: usize) -> bool {
        // The clocks that rounds go by lag behind every clock that judges expiry.
        if world.scenario.clock > 0 && bound >= self.clock || !self.takes_part(world, owner) {
            return false;
        }
        if world.has(Sentence::SealBeforeListing) {
            let it = &mut self.owners[owner];
            it.sealed = it.sealed.max(bound);
        }
        let it = self.owners[owner];
        let list = &mut self.round(bound, it.known).lists[owner];
        if *list != 0 && !world.scenario.lists_again {
            return false;
        }
        *list |= list_bit(it.listed(world, bound));
        true
    }

    fn pull(&mut self, world: &World<'_>, bound: u8, status: u8, from: usize, to: usize, code: u8) -> bool {
        let found = Found::of_code(code);
        if self.seen_round(bound, status).lists[from] & list_bit(found) == 0
            || self.owners[to].known < status
            || !self.belongs(to, status)
        {
            return false;
        }
        match found {
            Found::Nothing => false,
            Found::Held(rank) => self.put(world, rank, to, Cause::Carried).is_some(),
            Found::Ghost(rank) => {
                self.owners[to].put_ghost(world, rank, Cause::Carried);
                true
            }
        }
    }

    fn confirm(&mut self, world: &World<'_>, bound: u8, owner: usize) -> bool {
        let it = self.owners[owner];
        if !self.takes_part(world, owner) || (world.has(Sentence::SealBeforeListing) && it.sealed < bound) {
            return false;
        }
        let round = if world.has(Sentence::OneGenerationVector) {
            self.seen_round(bound, it.known)
        } else {
            self.all_rounds(bound)
        };
        let others = (0..OWNERS).filter(|other| *other != owner);
        let others = others.filter(|other| participants(it.known) & 1 << other != 0);
        let covered = |other: usize| {
            let codes = 0..16u8;
            codes
                .map(Found::of_code)
                .any(|listed| round.lists[other] & list_bit(listed) != 0 && it.covers(world, listed))
        };
        if !others.into_iter().all(covered) {
            return false;
        }
        let it = &mut self.owners[owner];
        it.sealed = it.sealed.max(bound);
        it.confirmed = it.confirmed.max(bound);
        let status = it.known;
        self.round(bound, status).confirmed |= 1 << owner;
        true
    }

    fn settle(&mut self, world: &World<'_>, bound: u8, status: u8, owner: usize) -> bool {
        let known = self.owners[owner].known;
        let present = known == status || known > status && !world.has(Sentence::SettleUnderPresentVector);
        if participants(status) & 1 << owner == 0 || !present || !self.belongs(owner, status) {
            return false;
        }
        let round = if world.has(Sentence::OneGenerationVector) {
            self.seen_round(bound, status)
        } else {
            self.all_rounds(bound)
        };
        let missing = participants(status) & !round.confirmed;
        let complete = if world.has(Sentence::EveryOwnerConfirms) {
            missing == 0
        } else {
            missing.count_ones() <= 1 && round.confirmed & 1 << owner != 0
        };
        let it = &mut self.owners[owner];
        it.settled = it.settled.max(bound);
        complete
    }

    fn evict(&mut self, world: &World<'_>, owner: usize) -> bool {
        let held = self.owners[owner].found.held();
        if held == 0 || world.scenario.version(held).dead || self.evictions == world.scenario.evictions {
            return false;
        }
        self.owners[owner].evict(world);
        self.evictions += 1;
        self.evicted = self.evicted.max(held);
        true
    }

    fn expire(&mut self, world: &World<'_>, owner: usize) -> bool {
        let it = &mut self.owners[owner];
        let Found::Held(held) = it.found else { return false };
        it.found = Found::Held(world.scenario.as_of(held, self.clock));
        true
    }

    fn adopt(&mut self, owner: usize, status: u8) -> bool {
        let exists =
            status <= self.status && (status.is_multiple_of(2) || self.declared & 1 << (status / 2) != 0);
        let it = &mut self.owners[owner];
        let possible = owner != 0 && exists && status > it.known;
        it.known = it.known.max(status);
        possible
    }

    fn restart(&mut self, world: &World<'_>) -> bool {
        if self.starts == world.scenario.restarts {
            return false;
        }
        self.starts += 1;
        self.status = 2 * self.starts;
        self.owners[0] = Owner::empty(self.status);
        self.rebuild = Rebuild::default();
        true
    }

    fn declare(&mut self, world: &World<'_>) -> bool {
        if self.declared.count_ones() as u8 == world.scenario.declarations
            || self.status != 2 * self.starts
            || self.starts == world.scenario.restarts
        {
            return false;
        }
        self.declared |= 1 << self.starts;
        self.status += 1;
        true
    }

    fn begin(&mut self, world: &World<'_>, owner: usize) -> bool {
        let it = &mut self.owners[owner];
        let possible = owner != 0 && it.trust == Trust::Ready && self.rebuild.begun[owner].is_none();
        if world.has(Sentence::AdoptBeforeAnswer) {
            it.known = it.known.max(2 * self.starts);
        }
        self.rebuild.begun[owner] = Some((it.sealed, it.settled));
        possible && self.owners[0].trust == Trust::Starting
    }

    fn accept(&mut self, world: &World<'_>) -> bool {
        let [_, Some(one), Some(other)] = self.rebuild.begun else { return false };
        let it = &mut self.owners[0];
        let possible = it.trust == Trust::Starting;
        it.trust = Trust::Rebuilding;
        if world.has(Sentence::RebuilderTakesSettled) {
            it.settled = one.1.max(other.1);
            it.confirmed = it.settled;
        }
        it.sealed = it.confirmed;
        if world.has(Sentence::RebuilderTakesSealed) {
            it.sealed = one.0.max(other.0);
        }
        possible
    }

    fn send(&mut self, world: &World<'_>, owner: usize) -> bool {
        let possible = owner != 0
            && self.owners[0].trust == Trust::Rebuilding
            && self.owners[owner].trust == Trust::Ready
            && self.rebuild.sent[owner].is_none();
        let found = match self.owners[owner].found {
            Found::Ghost(_) if !world.has(Sentence::RebuilderPullsGhosts) => Found::Nothing,
            found => found,
        };
        self.rebuild.sent[owner] = Some(found.code());
        possible
    }

    fn install(&mut self, world: &World<'_>, owner: usize) -> bool {
        let Some(code) = self.rebuild.sent[owner] else { return false };
        self.rebuild.installed |= 1 << owner;
        // What comes late is a delayed pull like any other.
        let cause = if self.owners[0].trust == Trust::Ready { Cause::Carried } else { Cause::Rebuild };
        match Found::of_code(code) {
            Found::Nothing => {}
            Found::Held(rank) => drop(self.put(world, rank, 0, cause)),
            Found::Ghost(rank) => self.owners[0].put_ghost(world, rank, cause),
        }
        true
    }

    fn finish(&mut self) -> bool {
        let it = &mut self.owners[0];
        let possible = it.trust == Trust::Rebuilding && self.rebuild.installed == 0b110;
        it.trust = Trust::Ready;
        possible
    }

    fn put(&mut self, world: &World<'_>, rank: Rank, owner: usize, cause: Cause) -> Option<Put> {
        let it = &mut self.owners[owner];
        if it.trust == Trust::Starting {
            return None;
        }
        let put = it.put(world, rank, cause);
        if put == Put::Evicted {
            self.evicted = self.evicted.max(rank);
        }
        Some(put)
    }

    fn takes_part(&self, world: &World<'_>, owner: usize) -> bool {
        let it = &self.owners[owner];
        let rebuilt = it.trust == Trust::Ready
            || it.trust == Trust::Rebuilding && !world.has(Sentence::RebuiltBeforeRounds);
        rebuilt && participants(it.known) & 1 << owner != 0
    }
}
