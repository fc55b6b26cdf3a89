//! What was deleted at QUORUM, or flushed, does not come back: a later hit has a larger tag.

use super::Violation;
use crate::{
    content::KeyId,
    evidence::Evidence,
    history::{Answer, Operation},
};
use shoal_proto::types::Tag;

const NAME: &str = "no resurrection";

/// Hits and stored values that a deletion before them should have ended.
///
/// At QUORUM this holds from the acknowledgement on; at ONE, and for what owners store, once they agree.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Violation> {
    evidence.history.keys().into_iter().flat_map(|key| check_key(evidence, key)).collect()
}

fn check_key(evidence: &Evidence, key: KeyId) -> Vec<Violation> {
    let history = &evidence.history;
    let deletions: Vec<(&Operation, Tag)> = history
        .on(key)
        .filter(|operation| operation.is_deletion() && history.is_quorum(operation))
        .filter_map(|operation| Some((operation, operation.own_tag()?)))
        .collect();
    let mut violations = Vec::new();

    for hit in history.on(key) {
        let Answer::Hit { tag, .. } = hit.answer else { continue };
        let binding = history.is_quorum(hit) || hit.start > evidence.converged.at;
        let ended_by = deletions.iter().find(|(delete, at)| delete.end < hit.start && tag <= *at);
        if let (true, Some((delete, _))) = (binding, ended_by) {
            let what = format!("{hit} came after {delete}");
            violations.push(Violation::on(NAME, history, key, hit.end, what));
        }
    }

    let at = evidence.converged.at;
    for (owner, held) in evidence.converged.on_owners(key) {
        let Some(live) = held.map(|stamped| stamped.version()).filter(|version| !version.dead) else {
            continue;
        };
        let ended_by = deletions.iter().find(|(delete, tag)| delete.end <= at && live.tag <= *tag);
        if let Some((delete, _)) = ended_by {
            let what = format!("node {owner} holds {key} with tag {:?} after {delete}", live.tag);
            violations.push(Violation::on(NAME, history, key, at, what));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::testing::*;

    fn resurrected(operations: Vec<Operation>) -> usize {
        check(&evidence(operations)).len()
    }

    #[test]
    fn a_hit_after_a_delete_needs_a_larger_tag() {
        assert_eq!(resurrected(vec![delete(1, 0..10, 5), hit(1, 11..12, 6)]), 0);
        assert_eq!(resurrected(vec![delete(1, 0..10, 5), hit(1, 11..12, 5)]), 1);
        assert_eq!(resurrected(vec![delete(1, 0..10, 5), hit(1, 11..12, 3)]), 1);
    }

    #[test]
    fn before_the_acknowledgement_and_below_quorum_nothing_is_promised() {
        assert_eq!(resurrected(vec![delete(1, 0..10, 5), hit(1, 9..12, 3)]), 0);
        assert_eq!(resurrected(vec![delete(1, 0..10, 5).at_one(), hit(1, 11..12, 3)]), 0);
        assert_eq!(resurrected(vec![delete(1, 0..10, 5), hit(1, 11..12, 3).at_one()]), 0);
    }

    #[test]
    fn once_the_owners_agree_a_hit_at_one_is_bound_too() {
        let late = CONVERGED_AT + 1;
        assert_eq!(resurrected(vec![delete(1, 0..10, 5), hit(1, late..late + 1, 3).at_one()]), 1);
    }

    #[test]
    fn a_flush_deletes_every_key() {
        assert_eq!(resurrected(vec![flush(0..10, 5), hit(1, 11..12, 5), hit(2, 11..12, 6)]), 1);
        assert_eq!(resurrected(vec![flush(0..10, 5).maybe(), hit(1, 11..12, 5)]), 0);
    }

    #[test]
    fn an_owner_may_not_keep_what_was_deleted() {
        let mut kept = evidence(vec![delete(1, 0..10, 5)]);
        kept.converged = snapshot(1, [Some(live(3)), Some(live(3)), Some(live(3))]);
        assert_eq!(check(&kept).len(), 3);
        kept.converged = snapshot(1, [Some(dead(5)), Some(dead(5)), Some(live(6))]);
        assert_eq!(check(&kept).len(), 0);
    }
}
