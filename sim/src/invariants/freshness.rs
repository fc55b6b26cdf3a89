//! A read at QUORUM returns a tag at least as large as every tag acknowledged at QUORUM before it began, or a miss
//! that a deletion or an expiry explains.

use super::{Violation, floor, floor::Witness};
use crate::evidence::Evidence;

/// Quorum reads that are older than an acknowledgement at QUORUM before them.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Violation> {
    let history = &evidence.history;
    let stale_reads = |key| {
        let acknowledged = history.on(key).filter(|operation| history.is_quorum(operation));
        let witnesses = acknowledged
            .filter_map(|operation| Some(Witness { rank: operation.acknowledged()?, operation }))
            .collect();
        floor::check("freshness", history, key, witnesses)
    };
    history.keys().into_iter().flat_map(stale_reads).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::testing::*;

    fn stale(operations: Vec<crate::history::Operation>) -> usize {
        check(&evidence(operations)).len()
    }

    #[test]
    fn a_read_that_begins_after_an_acknowledgement_sees_it_or_something_newer() {
        assert_eq!(stale(vec![write(1, 0..10, 5), hit(1, 11..12, 5), hit(1, 13..14, 6)]), 0);
        assert_eq!(stale(vec![write(1, 0..10, 5), hit(1, 11..12, 4)]), 1);
    }

    #[test]
    fn a_read_that_overlaps_the_write_may_miss_it() {
        assert_eq!(stale(vec![write(1, 0..10, 5), hit(1, 9..12, 4), hit(1, 10..12, 4)]), 0);
    }

    #[test]
    fn other_keys_and_lower_levels_promise_nothing() {
        assert_eq!(stale(vec![write(1, 0..10, 5), hit(2, 11..12, 4)]), 0);
        assert_eq!(stale(vec![write(1, 0..10, 5).at_one(), hit(1, 11..12, 4)]), 0);
        assert_eq!(stale(vec![write(1, 0..10, 5), hit(1, 11..12, 4).at_one()]), 0);
    }

    #[test]
    fn of_a_superseded_write_its_own_version_counts() {
        let superseded = || write(1, 0..10, 5).superseded_by(9);
        assert_eq!(stale(vec![superseded(), hit(1, 11..12, 9)]), 0);
        assert_eq!(stale(vec![superseded(), hit(1, 11..12, 5)]), 0);
        assert_eq!(stale(vec![superseded(), hit(1, 11..12, 4)]), 1);
    }

    #[test]
    fn a_miss_needs_a_deletion_or_an_expiry() {
        assert_eq!(stale(vec![write(1, 0..10, 5), miss(1, 11..12)]), 1);
        assert_eq!(stale(vec![delete(1, 0..10, 5), miss(1, 11..12)]), 0);
        assert_eq!(stale(vec![write(1, 0..10, 5), delete(1, 11..50, 6), miss(1, 12..13)]), 0);
        assert_eq!(stale(vec![write(1, 0..10, 5), delete(1, 11..50, 4), miss(1, 12..13)]), 1);
        assert_eq!(stale(vec![write(1, 0..10, 5), miss_of(1, 11..12, 5)]), 0);
        assert_eq!(stale(vec![write(1, 0..10, 5), miss_of(1, 11..12, 4)]), 1);
    }

    #[test]
    fn an_expiry_explains_a_miss_only_once_the_fastest_clock_has_reached_it() {
        let before = at_ms(10_000 - CLOCK_BOUND_MS - 1);
        let after = at_ms(10_000 - CLOCK_BOUND_MS);
        assert_eq!(stale(vec![write(1, 0..10, 5).expiring(10_000), miss(1, before..before + 1)]), 1);
        assert_eq!(stale(vec![write(1, 0..10, 5).expiring(10_000), miss(1, after..after + 1)]), 0);
    }

    #[test]
    fn a_write_of_unknown_fate_explains_a_miss_only_if_it_could_be_dead() {
        let after = at_ms(1_000);
        let maybe_deleted = vec![write(1, 0..10, 5), delete(1, 20..30, 0).maybe(), miss(1, after..after + 1)];
        let maybe_written = vec![write(1, 0..10, 5), write(1, 20..30, 0).maybe(), miss(1, after..after + 1)];
        let failed = vec![write(1, 0..10, 5), delete(1, 20..30, 0).failed(), miss(1, after..after + 1)];
        assert_eq!((stale(maybe_deleted), stale(maybe_written), stale(failed)), (0, 1, 1));
    }

    #[test]
    fn a_violation_names_the_key_and_both_operations_and_tells_what_led_up_to_it() {
        let found = check(&evidence(vec![write(1, 0..10, 5), hit(2, 3..4, 1), hit(1, 11..12, 4)]));
        assert_eq!(found[0].key.as_deref(), Some("key-1"));
        assert!(
            found[0].what.contains("read key-1") && found[0].what.contains("write key-1"),
            "{}",
            found[0]
        );
        assert_eq!(found[0].timeline.len(), 2);
    }
}
