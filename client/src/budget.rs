//! Bounds what retries and hedges add to the load.

/// One extra attempt is earned by so many calls: at most a tenth is added.
const CALLS_PER_EXTRA: u64 = 10;

/// A token bucket that calls fill and extra attempts empty. It begins full, so that a quiet client may retry, and what
/// it holds is enough to send elsewhere everything that was in flight to one node when that dies.
#[derive(Debug)]
pub(crate) struct Budget {
    /// In parts of which [`CALLS_PER_EXTRA`] pay for one extra attempt.
    parts: u64,
    most: u64,
}

impl Budget {
    /// A full bucket of `burst` extra attempts.
    pub(crate) fn new(burst: usize) -> Self {
        let most = burst as u64 * CALLS_PER_EXTRA;
        Self { parts: most, most }
    }

    /// A call was begun.
    pub(crate) fn earn(&mut self) {
        self.parts = self.most.min(self.parts + 1);
    }

    /// Pays for an extra attempt, if there is enough.
    pub(crate) fn spend(&mut self) -> bool {
        let left = self.parts.checked_sub(CALLS_PER_EXTRA);
        self.parts = left.unwrap_or(self.parts);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn extra_attempts_never_exceed_a_tenth_of_the_calls_and_the_burst(
            burst in 0usize..50,
            events in proptest::collection::vec(any::<bool>(), 0..2_000),
        ) {
            let mut budget = Budget::new(burst);
            let (mut calls, mut extra) = (0, 0);
            for is_call in events {
                if is_call {
                    budget.earn();
                    calls += 1;
                } else {
                    extra += u64::from(budget.spend());
                }
                prop_assert!(extra * CALLS_PER_EXTRA <= calls + burst as u64 * CALLS_PER_EXTRA);
            }
        }
    }

    #[test]
    fn an_emptied_bucket_fills_with_calls_but_not_beyond_its_brim() {
        let mut budget = Budget::new(2);
        assert!(budget.spend() && budget.spend() && !budget.spend());
        (0..9).for_each(|_| budget.earn());
        assert!(!budget.spend());
        budget.earn();
        assert!(budget.spend());
        (0..1_000).for_each(|_| budget.earn());
        assert!(budget.spend() && budget.spend() && !budget.spend());
    }
}
