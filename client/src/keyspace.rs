use crate::{Client, ClientError};
use shoal_proto::types::{Key, Tag};
use shoal_proto::wire::admin::v1::{FlushRequest, ScanRequest, admin_client::AdminClient};
use std::time::Duration;

/// A flush that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flushed {
    /// Everything at or under this tag is gone.
    pub tag: Tag,
    /// The epoch of the ring record that says so.
    pub epoch: u64,
    /// Members that have adopted it.
    pub adopted: u32,
    /// Members there are.
    pub members: u32,
}

/// What a step of a walk over all keys came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Keys; perhaps none, and perhaps some that were told before.
    pub keys: Vec<Key>,
    /// Where to go on, 0 at the end.
    pub cursor: u64,
}

impl Client {
    /// Drops everything in the whole cluster. Writes of this client that follow are larger than what is gone.
    ///
    /// # Errors
    /// See [`ClientError`]; it says how far the flush got, and [`ClientError::maybe`] whether it may still take effect.
    pub async fn flush(&self) -> Result<Flushed, ClientError> {
        let patience = self.shared.config.timeout;
        let request = FlushRequest { deadline_ms: shortly_before(patience), wait_for_memory: true };
        let answer = self.over_channel(async |channel| AdminClient::new(channel).flush(request).await);
        let flushed = answer
            .await
            .map_err(|error| match error {
                ClientError::Timeout { message, .. } => ClientError::Timeout { message, maybe: true },
                error => error,
            })?
            .into_inner();
        let tag = Tag::from_bits(flushed.tag);
        let tag = tag.ok_or_else(|| ClientError::Protocol("a flush without its tag".into()))?;
        self.hear_tag(tag);
        Ok(Flushed { tag, epoch: flushed.epoch, adopted: flushed.adopted, members: flushed.members })
    }

    /// Takes a step of a walk over all keys of the cluster, from `cursor` on (0 to begin): looks at about `count` of them
    /// and tells those that match `pattern`, which has `*`, `?`, `[a-z]`, `[^a-z]` and `\`. A key that is there from the
    /// first step to the last is told at least once.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn scan(
        &self,
        cursor: u64,
        pattern: Option<&[u8]>,
        count: u32,
    ) -> Result<Scanned, ClientError> {
        let request = ScanRequest { cursor, pattern: pattern.map(|p| p.to_vec().into()), count };
        let answer = self.over_channel(async |channel| AdminClient::new(channel).scan(request).await);
        let page = answer.await?.into_inner();
        let keys = page.keys.into_iter().map(Key::new).collect::<Result<_, _>>();
        Ok(Scanned {
            keys: keys.map_err(|error| ClientError::Protocol(error.to_string()))?,
            cursor: page.cursor,
        })
    }
}

/// A node's own word on a timeout is to arrive in time.
fn shortly_before(patience: Duration) -> u32 {
    u32::try_from((patience - patience / 20).as_millis()).unwrap_or(u32::MAX)
}
