//! Over all clients, reads at QUORUM that do not overlap never go back: neither to a smaller tag, nor from a deleted
//! or expired version to its live value.

use super::{Violation, floor, floor::Witness};
use crate::evidence::Evidence;

/// Quorum reads that are older than a quorum read before them.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Violation> {
    let history = &evidence.history;
    let backward_reads = |key| {
        let answered = history.on(key).filter(|operation| history.is_quorum(operation));
        let witnesses =
            answered.filter_map(|operation| Some(Witness { rank: operation.seen()?, operation })).collect();
        floor::check("monotonic reads", history, key, witnesses)
    };
    history.keys().into_iter().flat_map(backward_reads).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::testing::*;

    fn backward(operations: Vec<crate::history::Operation>) -> usize {
        check(&evidence(operations)).len()
    }

    #[test]
    fn what_one_client_saw_another_sees_afterwards() {
        assert_eq!(backward(vec![hit(1, 0..10, 5), hit(1, 11..12, 5).by(2), hit(1, 13..14, 7)]), 0);
        assert_eq!(backward(vec![hit(1, 0..10, 5), hit(1, 11..12, 4).by(2)]), 1);
    }

    #[test]
    fn reads_that_overlap_may_be_answered_in_any_order() {
        assert_eq!(backward(vec![hit(1, 0..10, 5), hit(1, 10..12, 4)]), 0);
    }

    #[test]
    fn it_holds_after_writes_that_failed() {
        assert_eq!(backward(vec![write(1, 0..3, 0).maybe(), hit(1, 4..5, 9), hit(1, 6..7, 3)]), 1);
    }

    #[test]
    fn a_version_found_dead_stays_dead() {
        assert_eq!(backward(vec![hit(1, 0..1, 5), miss_of(1, 2..3, 5), miss_of(1, 4..5, 5)]), 0);
        assert_eq!(backward(vec![miss_of(1, 2..3, 5), hit(1, 4..5, 5)]), 1);
    }

    #[test]
    fn a_miss_without_a_marker_after_a_hit_must_be_explained() {
        assert_eq!(backward(vec![hit(1, 0..1, 5), miss(1, 2..3)]), 1);
        assert_eq!(backward(vec![hit(1, 0..1, 5), delete(1, 2..3, 6), miss(1, 4..5)]), 0);
    }
}
