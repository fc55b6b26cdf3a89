//! Nothing that was acknowledged or read at QUORUM is lost, and of what the nodes held the largest version wins.

use super::Violation;
use crate::{
    content::KeyId,
    evidence::Evidence,
    history::{Operation, Rank},
};
use shoal_proto::types::Stamped;

const NAME: &str = "durability";

/// Versions that should be on every owner in the end, but are not.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Violation> {
    evidence.converged.owners.keys().flat_map(|key| check_key(evidence, *key)).collect()
}

fn check_key(evidence: &Evidence, key: KeyId) -> Vec<Violation> {
    let (history, converged) = (&evidence.history, &evidence.converged);
    let stored_as = key.to_key();
    let Some(final_entry) = converged.on_owners(key).into_iter().map(|(_, held)| held).min() else {
        return Vec::new();
    };
    let mut violations = Vec::new();

    let held_once = evidence.at_heal.largest(&stored_as).max(converged.largest(&stored_as));
    let flushed = held_once.is_some_and(|held| history.may_be_flushed(held.version().tag, converged.at));
    if held_once.map(Stamped::version) > final_entry.map(Stamped::version) && !flushed {
        let what = format!(
            "{key} converged to {:?} although a node held {:?}",
            final_entry.map(Stamped::version),
            held_once.map(Stamped::version)
        );
        violations.push(Violation::on(NAME, history, key, converged.at, what));
    }

    let promised = history
        .on(key)
        .filter(|operation| history.is_quorum(operation) && operation.end <= converged.at)
        .filter_map(|operation| Some((operation.acknowledged().or_else(|| operation.seen())?, operation)))
        .max_by_key(|(rank, _)| *rank);
    if let Some((rank, operation)) = promised
        && !keeps(evidence, operation, rank, final_entry)
    {
        let what = format!("{key} converged to {:?} after {operation}", final_entry.map(Stamped::version));
        violations.push(Violation::on(NAME, history, key, converged.at, what));
    }
    violations
}

/// Nothing at all is right only if what was promised may be dead and its marker forgotten.
fn keeps(evidence: &Evidence, promised: &Operation, rank: Rank, final_entry: Option<&Stamped>) -> bool {
    match final_entry.map(Stamped::version) {
        Some(version) => Rank { tag: version.tag, dead: version.dead } >= rank,
        None => evidence.history.may_be_dead(promised.key, rank.tag, evidence.converged.at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::testing::*;

    fn lost(operations: Vec<Operation>, held: Option<Stamped>) -> usize {
        let mut evidence = evidence(operations);
        evidence.converged = snapshot(1, [held.clone(), held.clone(), held]);
        check(&evidence).len()
    }

    #[test]
    fn what_was_acknowledged_or_read_at_quorum_is_there_in_the_end() {
        assert_eq!(lost(vec![write(1, 0..1, 5)], Some(live(5))), 0);
        assert_eq!(lost(vec![write(1, 0..1, 5)], Some(live(4))), 1);
        assert_eq!(lost(vec![write(1, 0..1, 5)], None), 1);
        assert_eq!(lost(vec![hit(1, 0..1, 5)], Some(live(4))), 1);
        assert_eq!(lost(vec![write(1, 0..1, 5).at_one()], None), 0);
    }

    #[test]
    fn a_delete_leaves_its_tombstone_or_nothing() {
        assert_eq!(lost(vec![delete(1, 0..1, 5)], Some(dead(5))), 0);
        assert_eq!(lost(vec![delete(1, 0..1, 5)], None), 0);
        assert_eq!(lost(vec![delete(1, 0..1, 5)], Some(live(5))), 1);
    }

    #[test]
    fn a_flush_leaves_nothing_and_excuses_nothing_newer() {
        assert_eq!(lost(vec![write(1, 0..1, 5), flush(2..3, 6)], None), 0);
        assert_eq!(lost(vec![write(1, 0..1, 5), flush(2..3, 0).maybe()], None), 0);
        assert_eq!(lost(vec![flush(0..1, 4), write(1, 2..3, 5)], None), 1);
        let mut held = evidence(vec![flush(0..1, 7)]);
        held.at_heal = snapshot(1, [Some(live(7)), None, None]);
        held.converged = snapshot(1, [None, None, None]);
        assert_eq!(check(&held).len(), 0);
        held.at_heal = snapshot(1, [Some(live(8)), None, None]);
        assert_eq!(check(&held).len(), 1);
    }

    #[test]
    fn what_happens_after_the_snapshot_does_not_count() {
        let late = CONVERGED_AT + 1;
        assert_eq!(lost(vec![write(1, late..late + 1, 5)], Some(live(4))), 0);
    }

    #[test]
    fn the_largest_version_held_at_the_heal_wins() {
        let mut evidence = evidence(vec![]);
        evidence.at_heal = snapshot(1, [None, Some(live(7)), Some(live(3))]);
        evidence.converged = snapshot(1, [Some(live(7)), Some(live(7)), Some(live(7))]);
        assert_eq!(check(&evidence).len(), 0);
        evidence.converged = snapshot(1, [Some(live(3)), Some(live(3)), Some(live(3))]);
        assert_eq!(check(&evidence).len(), 1);
    }
}
