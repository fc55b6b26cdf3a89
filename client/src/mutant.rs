//! Deliberate bugs that prove the simulation. Compiled in under `--cfg shoal_mutants` alone, and switched on by name
//! through the environment variable `SHOAL_MUTANT`.

/// Whether the deliberate bug `name` is switched on. Always false in production builds.
#[cfg(shoal_mutants)]
#[must_use]
pub(crate) fn active(name: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("SHOAL_MUTANT").ok()).as_deref() == Some(name)
}

/// Whether the deliberate bug `name` is switched on. Always false in production builds.
#[cfg(not(shoal_mutants))]
#[inline]
#[must_use]
pub(crate) fn active(_name: &str) -> bool {
    false
}
