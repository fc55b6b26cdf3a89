use crate::{coordinator::CoordinatorError, limits};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Bounds the values one connection keeps alive between the coordinator's reply and its encoding, to
/// [`limits::RESP_OUTPUT_BYTES`].
#[derive(Debug, Default)]
pub(super) struct Budget(AtomicUsize);

/// A share of a budget, given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// Bytes that are taken.
    pub(super) fn taken(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Share {
    /// A share of nothing yet.
    pub(super) fn of(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), bytes: 0 }
    }

    /// Takes `bytes` more.
    ///
    /// # Errors
    /// When they are not left.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), CoordinatorError> {
        let before = self.budget.0.fetch_add(bytes, Relaxed);
        self.bytes += bytes;
        if before + bytes <= limits::RESP_OUTPUT_BYTES {
            return Ok(());
        }
        self.budget.0.fetch_sub(bytes, Relaxed);
        self.bytes -= bytes;
        Err(CoordinatorError::Overloaded("the values asked for at once exceed 64 MiB; ask for fewer"))
    }

    /// Gives everything back.
    pub(super) fn clear(&mut self) {
        self.budget.0.fetch_sub(std::mem::take(&mut self.bytes), Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.clear();
    }
}

const _: () = assert!(limits::RESP_OUTPUT_BYTES == 64 * 1024 * 1024, "the error names the limit");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_together_stays_within_the_limit_and_comes_back() {
        let budget = Arc::default();
        let (mut a, mut b) = (Share::of(&budget), Share::of(&budget));
        assert_eq!(a.take(limits::RESP_OUTPUT_BYTES - 1), Ok(()));
        assert_eq!(b.take(1), Ok(()));
        assert!(matches!(b.take(1), Err(CoordinatorError::Overloaded(_))));
        drop(a);
        assert_eq!(b.take(limits::RESP_OUTPUT_BYTES - 1), Ok(()));
        b.clear();
        assert_eq!(budget.0.load(Relaxed), 0);
    }
}
