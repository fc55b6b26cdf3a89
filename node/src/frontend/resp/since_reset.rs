use super::RespDoor;
use crate::admin::NodeStats;

/// The counters that `INFO` shows and `CONFIG RESETSTAT` lets begin anew. Metrics never do: whoever scrapes them takes
/// differences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SinceReset {
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) commands: u64,
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) expirations: u64,
    pub(super) evictions: u64,
}

impl RespDoor {
    /// What has been counted since the counters were last reset.
    pub(super) fn stats_since_reset(&self, stats: &NodeStats) -> SinceReset {
        let (all, reset) = (self.counts(stats), *self.reset.lock());
        SinceReset {
            accepted: all.accepted.saturating_sub(reset.accepted),
            refused: all.refused.saturating_sub(reset.refused),
            commands: all.commands.saturating_sub(reset.commands),
            hits: all.hits.saturating_sub(reset.hits),
            misses: all.misses.saturating_sub(reset.misses),
            expirations: all.expirations.saturating_sub(reset.expirations),
            evictions: all.evictions.saturating_sub(reset.evictions),
        }
    }

    /// Lets the counters of `INFO` begin anew.
    pub(super) fn reset_stats(&self) {
        *self.reset.lock() = self.counts(&self.info.stats());
    }

    fn counts(&self, stats: &NodeStats) -> SinceReset {
        let connections = &self.counters.connections;
        SinceReset {
            accepted: connections.accepted(),
            refused: connections.refused(),
            commands: self.counters.commands(),
            hits: stats.hits,
            misses: stats.misses,
            expirations: stats.expirations,
            evictions: stats.evictions,
        }
    }
}
