//! Every call returns, at most a second after its timeout.

use super::Violation;
use crate::evidence::Evidence;
use std::time::Duration;

/// How long after its timeout a call may return.
const GRACE: Duration = Duration::from_secs(1);

/// Calls that took longer.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Violation> {
    let history = &evidence.history;
    let bound = history.call_timeout + GRACE;
    let late = history.operations.iter().filter(|operation| operation.end > operation.start.plus(bound));
    late.map(|operation| {
        let what = format!("{operation} took longer than {} ms", bound.as_millis());
        Violation::on("deadlines", history, operation.key, operation.end, what)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::testing::*;

    #[test]
    fn a_call_may_take_its_timeout_and_a_second() {
        let bound = at_ms(CALL_TIMEOUT_MS + 1_000);
        assert!(check(&evidence(vec![hit(1, 0..bound, 1)])).is_empty());
        assert_eq!(check(&evidence(vec![hit(1, 0..bound + 1, 1).maybe()])).len(), 1);
    }
}
