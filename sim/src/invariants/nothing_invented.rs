//! Every value that is seen was written to that key by one write, and is seen under that write's one tag and expiry
//! wherever it turns up: in acknowledgements, in hits, in stores.

use super::Violation;
use crate::{
    content::{self, Content, KeyId, WriteId},
    evidence::Evidence,
    history::{Action, Answer, History, Operation, SimTime},
    snapshot::Snapshot,
};
use shoal_proto::types::{Tag, UnixMillis};
use std::collections::{BTreeMap, BTreeSet};

const NAME: &str = "nothing invented";

/// Values without an author, damaged values, values that changed their tag or expiry.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Violation> {
    let history = &evidence.history;
    let mut judge = Judge::new(history);
    for operation in &history.operations {
        judge.answer(operation);
    }
    for snapshot in [&evidence.at_heal, &evidence.converged] {
        judge.stores(snapshot);
    }
    judge.markers(&evidence.at_heal);
    judge.markers(&evidence.converged);
    judge.violations
}

type Stamp = (Tag, Option<UnixMillis>);

struct Judge<'a> {
    history: &'a History,
    writes: BTreeMap<WriteId, &'a Operation>,
    /// Where each value was first seen, and under what.
    stamps: BTreeMap<WriteId, (Stamp, String)>,
    /// The expiries that live values of a tag were seen with.
    expiries: BTreeMap<(KeyId, Tag), BTreeSet<Option<UnixMillis>>>,
    violations: Vec<Violation>,
}

impl<'a> Judge<'a> {
    fn new(history: &'a History) -> Self {
        let is_write = |operation: &&Operation| matches!(operation.action, Action::Write { .. });
        let writes =
            history.operations.iter().filter(is_write).map(|write| (write.write_id(), write)).collect();
        Self { history, writes, stamps: BTreeMap::new(), expiries: BTreeMap::new(), violations: Vec::new() }
    }

    fn answer(&mut self, operation: &Operation) {
        match (&operation.answer, operation.action) {
            (Answer::Acknowledged { tag, expires_at, .. }, Action::Write { .. }) => {
                let write = operation.write_id();
                self.stamped(write, (*tag, *expires_at), operation.end, || operation.to_string());
            }
            (Answer::Hit { content, tag, expires_at, .. }, _) => {
                let stamp = (*tag, *expires_at);
                self.sighting(operation.key, content, stamp, operation.end, || operation.to_string());
            }
            _ => {}
        }
    }

    fn stores(&mut self, snapshot: &Snapshot) {
        for (node, store) in &snapshot.stores {
            for (key, stamped) in store {
                let (Some(key), Some(value)) = (KeyId::parse(key), stamped.value()) else { continue };
                let version = stamped.version();
                let stamp = (version.tag, version.expires_at);
                let describe = || format!("node {node} holds {key} as {version:?}");
                self.sighting(key, &content::decode(value), stamp, snapshot.at, describe);
            }
        }
    }

    /// A marker keeps the expiry of what it stands for. Clients may make equal tags, so any of them will do.
    fn markers(&mut self, snapshot: &Snapshot) {
        for (node, store) in &snapshot.stores {
            for (key, stamped) in store {
                let version = stamped.version();
                let (Some(key), true, Some(_)) = (KeyId::parse(key), version.dead, version.expires_at) else {
                    continue;
                };
                let known = self.expiries.get(&(key, version.tag));
                if known.is_some_and(|known| !known.contains(&version.expires_at)) {
                    let what =
                        format!("node {node} holds {key} as {version:?}, seen with expiries {known:?}");
                    self.violations.push(Violation::on(NAME, self.history, key, snapshot.at, what));
                }
            }
        }
    }

    fn sighting(
        &mut self,
        key: KeyId,
        content: &Content,
        stamp: Stamp,
        at: SimTime,
        describe: impl Fn() -> String,
    ) {
        let author = match content {
            Content::Of(write) => self.writes.get(write).copied(),
            Content::Corrupt(_) => None,
        };
        let objection = match (content, author) {
            (Content::Corrupt(bytes), _) => Some(format!("a damaged value ({bytes})")),
            (Content::Of(write), _) if write.key != key => Some(format!("a value of {}", write.key)),
            (Content::Of(write), None) => Some(format!("a value that nobody wrote ({write})")),
            (_, Some(author)) if author.start > at => {
                Some(format!("a value before it was written ({author})"))
            }
            (_, Some(author)) if !author.may_have_happened() => {
                Some(format!("a value whose write was refused ({author})"))
            }
            _ => None,
        };
        match (content, objection) {
            (_, Some(objection)) => {
                let what = format!("{}: {objection}", describe());
                self.violations.push(Violation::on(NAME, self.history, key, at, what));
            }
            (Content::Of(write), None) => self.stamped(*write, stamp, at, describe),
            (Content::Corrupt(_), None) => {}
        }
    }

    fn stamped(&mut self, write: WriteId, stamp: Stamp, at: SimTime, describe: impl Fn() -> String) {
        self.expiries.entry((write.key, stamp.0)).or_default().insert(stamp.1);
        let (first, seen) = self.stamps.entry(write).or_insert_with(|| (stamp, describe()));
        if *first != stamp {
            let what = format!("one value under two stamps: {seen}, but {}", describe());
            self.violations.push(Violation::on(NAME, self.history, write.key, at, what));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::testing::*;

    fn invented(operations: Vec<Operation>) -> usize {
        check(&evidence(operations)).len()
    }

    fn written(tag: u64) -> Operation {
        write(1, 0..10, tag)
    }

    fn read_of(write: &Operation, tag: u64) -> Operation {
        hit(1, 20..30, tag).of(write.write_id())
    }

    #[test]
    fn a_hit_returns_what_was_written_under_the_tag_its_writer_was_told() {
        assert_eq!(invented(vec![written(5), read_of(&written(5), 5)]), 0);
        assert_eq!(invented(vec![written(5), read_of(&written(5), 6)]), 1);
    }

    #[test]
    fn a_value_keeps_its_expiry() {
        let write = || written(5).expiring(700);
        assert_eq!(invented(vec![write(), read_of(&write(), 5).expiring(700)]), 0);
        assert_eq!(invented(vec![write(), read_of(&write(), 5).expiring(800)]), 1);
        assert_eq!(invented(vec![write(), read_of(&write(), 5)]), 1);
    }

    #[test]
    fn without_an_acknowledgement_all_sightings_must_still_agree() {
        let write = || written(0).maybe();
        assert_eq!(invented(vec![write(), read_of(&write(), 5), read_of(&write(), 5)]), 0);
        assert_eq!(invented(vec![write(), read_of(&write(), 5), read_of(&write(), 6)]), 1);
    }

    #[test]
    fn values_from_nowhere_from_elsewhere_from_the_future_and_refused_ones_are_violations() {
        let stranger = WriteId { client: 9, sequence: 9, key: KeyId(1) };
        assert_eq!(invented(vec![hit(1, 20..30, 5).of(stranger)]), 1);
        let elsewhere = write(2, 0..10, 5);
        assert_eq!(invented(vec![elsewhere.clone(), read_of(&elsewhere, 5)]), 1);
        let future = write(1, 31..40, 5);
        assert_eq!(invented(vec![future.clone(), read_of(&future, 5)]), 1);
        let refused = written(0).failed();
        assert_eq!(invented(vec![refused.clone(), read_of(&refused, 5)]), 1);
    }

    #[test]
    fn a_damaged_value_is_a_violation() {
        assert_eq!(invented(vec![hit(1, 20..30, 5).corrupt()]), 1);
    }

    #[test]
    fn stores_are_held_to_the_same() {
        let write = written(5).expiring(700);
        let stored = |tag, expiry| {
            let value = content::encode(write.write_id(), 40);
            let mut evidence = evidence(vec![write.clone()]);
            evidence.converged = snapshot(1, [Some(stamped(tag, expiry, Some(value))), None, None]);
            check(&evidence).len()
        };
        assert_eq!((stored(5, Some(700)), stored(6, Some(700)), stored(5, Some(900))), (0, 1, 1));
    }

    #[test]
    fn a_marker_keeps_the_expiry_of_its_value() {
        let marker = |expiry| {
            let mut evidence = evidence(vec![written(5).expiring(700)]);
            evidence.converged = snapshot(1, [Some(stamped(5, Some(expiry), None)), None, None]);
            check(&evidence).len()
        };
        assert_eq!((marker(700), marker(900)), (0, 1));
    }
}
