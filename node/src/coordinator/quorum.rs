//! Pure: counts answers until a request is settled. Knows nothing of time, tasks or transports.

/// How a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Neither enough answers nor too many failures.
    Pending,
    /// Enough owners answered.
    Reached,
    /// Too many owners failed.
    Unreachable,
}

/// Counts the owners of one key that answered and that failed. Each reports once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumTracker {
    required: usize,
    owners: usize,
    answered: usize,
    failed: usize,
}

impl QuorumTracker {
    /// Waits for `required` of `owners`.
    #[must_use]
    pub fn new(required: usize, owners: usize) -> Self {
        Self { required, owners, answered: 0, failed: 0 }
    }

    /// Counts an owner whose answer counts.
    pub fn answer(&mut self) -> Verdict {
        self.answered += 1;
        debug_assert!(self.answered + self.failed <= self.owners, "an owner reported twice");
        self.verdict()
    }

    /// Counts an owner whose answer will not come or does not count.
    pub fn fail(&mut self) -> Verdict {
        self.failed += 1;
        debug_assert!(self.answered + self.failed <= self.owners, "an owner reported twice");
        self.verdict()
    }

    /// How the request stands.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.answered >= self.required {
            Verdict::Reached
        } else if self.owners - self.failed < self.required {
            Verdict::Unreachable
        } else {
            Verdict::Pending
        }
    }

    /// How many reported, one way or the other.
    #[must_use]
    pub fn heard(&self) -> usize {
        self.answered + self.failed
    }

    /// How many answered.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.answered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_verdict_depends_on_the_counts_alone_and_never_changes_once_reached(
            owners in 1usize..9, required in 1usize..9, outcomes in proptest::collection::vec(any::<bool>(), 9)
        ) {
            let required = required.min(owners);
            let mut tracker = QuorumTracker::new(required, owners);
            let mut settled = None;
            for (i, answered) in outcomes.into_iter().take(owners).enumerate() {
                let verdict = if answered { tracker.answer() } else { tracker.fail() };
                let possible = tracker.answered() + (owners - i - 1);
                let expected = if tracker.answered() >= required { Verdict::Reached }
                    else if possible < required { Verdict::Unreachable } else { Verdict::Pending };
                prop_assert_eq!(verdict, expected);
                prop_assert!(settled.is_none_or(|s| s == verdict));
                if verdict != Verdict::Pending { settled = Some(verdict) }
            }
            prop_assert!(settled.is_some());
        }
    }
}
