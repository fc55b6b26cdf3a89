//! A value is served past its expiry by at most the bound on the clocks.

use super::Violation;
use crate::{evidence::Evidence, history::Answer};

/// Hits that even the slowest clock could not excuse.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Violation> {
    let history = &evidence.history;
    let late = history.operations.iter().filter(|operation| match operation.answer {
        Answer::Hit { expires_at: Some(at), .. } => {
            at.checked_add(history.clock_bound).is_some_and(|latest| latest < history.wall(operation.start))
        }
        _ => false,
    });
    late.map(|hit| {
        Violation::on("expiry", history, hit.key, hit.end, format!("{hit} began after the value had expired"))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::testing::*;

    #[test]
    fn a_value_may_be_served_until_the_slowest_clock_has_reached_its_expiry() {
        let start = at_ms(5_000 + CLOCK_BOUND_MS);
        assert!(check(&evidence(vec![hit(1, start..start + 9, 1).expiring(5_000)])).is_empty());
        let start = at_ms(5_001 + CLOCK_BOUND_MS);
        assert_eq!(check(&evidence(vec![hit(1, start..start + 9, 1).expiring(5_000)])).len(), 1);
    }
}
