//! Deliberate bugs that prove the tests: those of the simulation, and in the store's own tests any of a thread.

/// Whether the deliberate bug `name` is switched on. Always false in production builds.
#[inline]
pub(super) fn active(name: &str) -> bool {
    #[cfg(test)]
    if tests::CHOSEN.get() == Some(name) {
        return true;
    }
    crate::mutant::active(name)
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    thread_local! {
        pub(super) static CHOSEN: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// Does something with a bug switched on for this thread.
    pub(in crate::store) fn with<T>(name: &'static str, act: impl FnOnce() -> T) -> T {
        CHOSEN.set(Some(name));
        let result = act();
        CHOSEN.set(None);
        result
    }
}
