use std::time::Duration;

/// Milliseconds since the Unix epoch, as one node's clock reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The latest instant a tag or an expiry can name: 42 bits of milliseconds, in the year 2109.
    pub const MAX: Self = Self((1 << 42) - 1);

    /// This instant plus `duration`, or `None` past [`UnixMillis::MAX`].
    #[must_use]
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        let millis = u64::try_from(duration.as_millis()).ok()?;
        self.0.checked_add(millis).map(Self).filter(|sum| *sum <= Self::MAX)
    }

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}
