//! Empties the whole cluster: an agreed record says that everything up to some tag is gone.
//!
//! That tag must lie above everything that was acknowledged before, whosever clock made it, so the members' clocks are
//! read first. Afterwards the flush is answered once no quorum of any key's owners is left that has not adopted it.

use super::{Coordinator, CoordinatorError, RequestOptions};
use crate::{
    limits, mutant,
    replica::{Done, ReplicaRequest},
    ring::EditError,
};
use shoal_membership::ClusterView;
use shoal_proto::types::{
    ClockReading, Consistency, NodeId, ReplicaAnswer, ReplicaOp, RingRecord, Settings, Tag, WriterId,
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

/// How long members have to adopt the record before it is sent to them again.
const ADOPTION: Duration = Duration::from_millis(300);
/// The pause before that.
const PAUSE: Duration = Duration::from_millis(20);

/// A flush that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlushReply {
    /// Everything at or under this tag is gone.
    pub tag: Tag,
    /// The epoch of the record that says so.
    pub epoch: u64,
    /// Members that have adopted it.
    pub adopted: u32,
    /// Members there are.
    pub members: u32,
}

impl Coordinator {
    /// Drops everything that was written before: no read at QUORUM or above that begins after the answer returns a
    /// value whose write was acknowledged at QUORUM before the flush began, and no value that is gone comes back. With
    /// `swept` the answer waits until this node has dropped it from memory, too; other nodes do so in the background.
    ///
    /// # Errors
    /// When no majority of the members agrees by the deadline, and when it agrees but does not adopt it in time. The
    /// error says how far it got; the flush may still take effect then, and in the second case certainly does.
    pub async fn flush(&self, swept: bool, options: &RequestOptions) -> Result<FlushReply, CoordinatorError> {
        let _place = self
            .flushes
            .try_acquire()
            .map_err(|_| CoordinatorError::Overloaded("too many flushes are under way"))?;
        let patience = options.timeout.unwrap_or(limits::FLUSH_PATIENCE).min(limits::REQUEST_TIMEOUT);
        let deadline = Instant::now() + patience;
        let view = self.cluster.view();
        let record = view.record().ok_or(CoordinatorError::NotReady)?;
        let (ticks, heard) = self.read_clocks(&view, deadline).await;
        let tag = above(ticks)?;
        let is_above_all = meets_every_quorum(record, &heard);
        let change = |record: &RingRecord| {
            let settings = Settings { flush_tag: tag.to_bits(), ..record.settings().clone() };
            (!record.settings().flushes(tag)).then(|| record.with_settings(settings))
        };
        let record = self.ring.edit(change, deadline).await.map_err(not_agreed)?;
        let adopted = self.adopted(&record, deadline).await?;
        if !is_above_all {
            return Err(unfinished(format!(
                "flush agreed as epoch {}, but of the owners of some keys too few told their clock: what these have \
                 acknowledged may outlive it",
                record.epoch()
            )));
        }
        if swept {
            let left = deadline.saturating_duration_since(Instant::now());
            // Nobody reads what is gone, whether it has been dropped or not.
            let _ = timeout(left, self.replicas.local.wait_swept()).await;
        }
        let (epoch, members) = (record.epoch(), record.members().len() as u32);
        Ok(FlushReply { tag, epoch, adopted, members })
    }

    /// The largest tick that any member has made or seen, and the members that are rebuilt among those that told.
    async fn read_clocks(&self, view: &Arc<ClusterView>, deadline: Instant) -> (u64, BTreeSet<u16>) {
        let left = deadline.saturating_duration_since(Instant::now());
        let members = (0..view.members().len() as u16).collect();
        let mut answers = self.ask(view, &members, || ReplicaOp::ReadClock, Instant::now() + left / 4);
        let (mut highest, mut heard) = (self.replicas.local.clock.ticks(), BTreeSet::new());
        while let Some((member, answer)) = answers.recv().await {
            let ReplicaAnswer::Clock(ClockReading { ticks, ready }) = answer else { continue };
            if !mutant::active("flush_by_own_clock") {
                highest = highest.max(ticks);
            }
            if ready {
                heard.insert(member);
            }
        }
        (highest, heard)
    }

    /// Has every member adopt `record`. Returns how many have once all that live have, and at least so many that no
    /// quorum of any vnode's owners is left without it.
    async fn adopted(&self, record: &Arc<RingRecord>, deadline: Instant) -> Result<u32, CoordinatorError> {
        let mut adopted = BTreeSet::new();
        loop {
            let view = self.cluster.view();
            let missing: BTreeSet<u16> =
                (0..record.members().len() as u16).filter(|member| !adopted.contains(member)).collect();
            let learn = || ReplicaOp::RingLearn(Box::new((**record).clone()));
            let until = deadline.min(Instant::now() + ADOPTION);
            let mut answers = self.ask(&view, &missing, learn, until);
            while let Some((member, answer)) = answers.recv().await {
                if let ReplicaAnswer::RingState(Some(theirs)) = answer
                    && theirs.number() >= record.number()
                {
                    adopted.insert(member);
                }
            }
            let waits_for = |member: &u16| !adopted.contains(member) && view.member(*member).live;
            if meets_every_quorum(record, &adopted) && !missing.iter().any(waits_for) {
                return Ok(adopted.len() as u32);
            }
            if Instant::now() + PAUSE >= deadline {
                return Err(not_adopted(record, &adopted));
            }
            sleep(PAUSE).await;
        }
    }

    /// Asks some members; the channel closes once all have answered or cannot any more.
    fn ask(
        &self,
        view: &Arc<ClusterView>,
        members: &BTreeSet<u16>,
        op: impl Fn() -> ReplicaOp,
        deadline: Instant,
    ) -> mpsc::Receiver<(u16, ReplicaAnswer)> {
        let (answers, heard) = mpsc::channel(members.len().max(1));
        for member in members.iter().copied() {
            let answers = answers.clone();
            // The channel has room for everyone who is asked.
            let done = Done::new(move |outcome| {
                if let Ok(answer) = outcome {
                    let _ = answers.try_send((member, answer));
                }
            });
            self.replicas.submit(view, member, ReplicaRequest { stamp: None, op: op(), deadline, done });
        }
        heard
    }
}

/// The smallest tag that lies above all that were made by a clock which reads `ticks`, by whomever.
fn above(ticks: u64) -> Result<Tag, CoordinatorError> {
    Tag::from_ticks(ticks, WriterId::client(u64::MAX))
        .ok_or_else(|| CoordinatorError::Invalid("the clock is past the year 2109".into()))
}

/// Whether every quorum of every vnode's owners has one of `members` in it.
fn meets_every_quorum(record: &RingRecord, members: &BTreeSet<u16>) -> bool {
    record.table().rows().all(|owners| {
        let others = owners.iter().filter(|owner| !members.contains(owner)).count();
        others < Consistency::Quorum.required(owners.len())
    })
}

fn not_agreed(error: EditError) -> CoordinatorError {
    match error {
        EditError::NoRecord => CoordinatorError::NotReady,
        EditError::NoMajority { maybe: false, .. } => {
            CoordinatorError::FlushUnfinished { why: format!("nothing was flushed: {error}"), maybe: false }
        }
        EditError::NoMajority { .. } | EditError::NotAdopted(_) => {
            unfinished(format!("flush not agreed: {error}"))
        }
    }
}

fn not_adopted(record: &RingRecord, adopted: &BTreeSet<u16>) -> CoordinatorError {
    let members = record.members().iter().enumerate();
    let missing: Vec<&str> = members
        .filter(|(index, _)| !adopted.contains(&(*index as u16)))
        .map(|(_, member)| NodeId::as_str(&member.node_id))
        .collect();
    unfinished(format!(
        "flush agreed as epoch {}, adopted by {} of {} members; it takes effect on {} when they are back",
        record.epoch(),
        adopted.len(),
        record.members().len(),
        missing.join(", ")
    ))
}

fn unfinished(why: String) -> CoordinatorError {
    CoordinatorError::FlushUnfinished { why, maybe: true }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::view_of;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whoever_meets_every_quorum_has_a_member_in_each(
            nodes in 1usize..7, replicas in 1usize..6, members in proptest::collection::btree_set(0u16..7, 0..7), quorum: u8
        ) {
            let replicas = replicas.min(nodes);
            let view = view_of(nodes, replicas, 8);
            let record = view.record().unwrap();
            if meets_every_quorum(record, &members) {
                for row in record.table().rows() {
                    let chosen = row.iter().enumerate().filter(|(i, _)| quorum & (1 << i) != 0);
                    let chosen: Vec<u16> = chosen.map(|(_, owner)| *owner).collect();
                    if chosen.len() >= Consistency::Quorum.required(replicas) {
                        prop_assert!(chosen.iter().any(|owner| members.contains(owner)));
                    }
                }
            }
        }

        #[test]
        fn no_tag_of_a_reading_lies_above_its_flush_and_every_later_one_does(ticks in 0u64..1 << 51, writer in 1u16..2048) {
            let flush = above(ticks).unwrap();
            let settings = Settings { flush_tag: flush.to_bits(), ..Settings::default() };
            let writers = [WriterId::member(writer).unwrap(), WriterId::client(writer.into())];
            for writer in writers {
                prop_assert!(settings.flushes(Tag::from_ticks(ticks, writer).unwrap()));
                prop_assert!(!settings.flushes(Tag::from_ticks(ticks + 1, writer).unwrap()));
            }
        }
    }

    #[test]
    fn of_three_owners_any_two_will_do_and_one_will_not() {
        let view = view_of(3, 3, 8);
        let record = view.record().unwrap();
        assert!(meets_every_quorum(record, &[0, 2].into()));
        assert!(!meets_every_quorum(record, &[1].into()));
    }
}
