use crate::ClientError;
use shoal_proto::types::{Consistency, Tag, UnixMillis};
use shoal_proto::wire::kv::v1 as kv;
use std::time::Duration;

/// What an answer was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The version written or read; `None` when nothing was found.
    pub tag: Option<Tag>,
    /// The level that was met.
    pub reached: Consistency,
    /// Owners that were asked.
    pub asked: u32,
    /// Owners whose answers were counted.
    pub answered: u32,
    /// The larger version that stood in the way of a write.
    pub superseded_by: Option<Tag>,
    /// Lagging owners were brought up before the answer.
    pub repaired: bool,
    /// A write was kept for an owner that could not be reached.
    pub hinted: bool,
    /// A lower level than asked for was met.
    pub degraded: bool,
    /// When the version expires; `None` never.
    pub expires_at: Option<UnixMillis>,
    /// How long that is from the coordinator's now, zero once it has passed.
    pub ttl: Option<Duration>,
}

impl TryFrom<Option<kv::Outcome>> for Outcome {
    type Error = ClientError;

    fn try_from(outcome: Option<kv::Outcome>) -> Result<Self, ClientError> {
        let outcome = outcome.ok_or_else(|| ClientError::Protocol("answer without an outcome".into()))?;
        let reached = kv::Consistency::level(outcome.reached)
            .map_err(|error| ClientError::Protocol(error.to_string()))?
            .ok_or_else(|| ClientError::Protocol("outcome without a level".into()))?;
        Ok(Self {
            tag: Tag::from_bits(outcome.tag),
            reached,
            asked: outcome.asked,
            answered: outcome.answered,
            superseded_by: Tag::from_bits(outcome.superseded_by),
            repaired: outcome.repaired,
            hinted: outcome.hinted,
            degraded: outcome.degraded,
            expires_at: (outcome.expires_at > 0).then_some(UnixMillis(outcome.expires_at)),
            ttl: (outcome.expires_at > 0).then(|| Duration::from_millis(outcome.ttl_ms)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_mean_none_and_the_level_must_be_known() {
        let wire = |reached| Some(kv::Outcome { reached, asked: 3, answered: 2, ..Default::default() });
        let outcome = Outcome::try_from(wire(4)).unwrap();
        assert_eq!((outcome.reached, outcome.asked, outcome.answered), (Consistency::Quorum, 3, 2));
        assert_eq!((outcome.tag, outcome.superseded_by, outcome.expires_at), (None, None, None));
        for bad in [None, wire(0), wire(9)] {
            assert!(matches!(Outcome::try_from(bad), Err(ClientError::Protocol(_))));
        }
    }
}
