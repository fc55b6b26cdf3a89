//! Changes of when a value expires: a read, a decision, and a write that names the version that was read.
//!
//! The new version has the tag of the value it read and raises only its touch count. So it never beats a write it did
//! not see, and whatever change stands in the end was decided on the very version it follows. Two changes at the same
//! time may both be decided on the same version; both are then acknowledged, and the later expiry stands.
//!
//! The change has a stamp of its own beside the tag: owners that have agreed on everything up to some time take nothing
//! older any more, and a value may be as old as it likes when its expiry is changed.

use super::{
    Coordinator, CoordinatorError, ExistedReply, Expiry, ExpiryCondition, GetReply, Outcome, RequestOptions,
};
use crate::metrics::Operation;
use shoal_proto::types::{Consistency, Key, Stamped, Value};

/// What became of a change.
struct Touched {
    /// The value that was read; `None` on a miss.
    value: Option<Value>,
    /// Its expiry was changed.
    changed: bool,
    outcome: Outcome,
}

/// The levels of both steps.
#[derive(Clone, Copy)]
struct Levels {
    read: Consistency,
    write: Consistency,
}

impl Coordinator {
    /// Changes when a key expires.
    ///
    /// # Errors
    /// As [`Coordinator::set`].
    pub async fn expire(
        &self,
        key: Key,
        expiry: Expiry,
        options: &RequestOptions,
    ) -> Result<ExistedReply, CoordinatorError> {
        let level = self.level(Operation::Expire, options);
        let levels = Levels { read: level, write: level };
        let touched = self.touch(key, expiry, None, levels, options).await?;
        Ok(ExistedReply { existed: touched.value.is_some(), outcome: touched.outcome })
    }

    /// Changes when a key expires if the condition holds of the version it reads; `existed` says that it did. Unless a
    /// level is chosen it is QUORUM: at ONE, the version it decides on may have been replaced long before.
    ///
    /// # Errors
    /// As [`Coordinator::set`].
    pub async fn expire_if(
        &self,
        key: Key,
        expiry: Expiry,
        condition: ExpiryCondition,
        options: &RequestOptions,
    ) -> Result<ExistedReply, CoordinatorError> {
        let level = options.consistency.unwrap_or(Consistency::Quorum);
        let levels = Levels { read: level, write: level };
        let touched = self.touch(key, expiry, Some(condition), levels, options).await?;
        Ok(ExistedReply { existed: touched.changed, outcome: touched.outcome })
    }

    /// Reads a key and then changes when it expires, each at the level for its kind. The value is the one that was read,
    /// whatever has been written since.
    ///
    /// # Errors
    /// As [`Coordinator::get`] and [`Coordinator::set`]: also when the value was read and its expiry not changed.
    pub async fn get_and_expire(
        &self,
        key: Key,
        expiry: Expiry,
        options: &RequestOptions,
    ) -> Result<GetReply, CoordinatorError> {
        let levels = Levels {
            read: self.level(Operation::Get, options),
            write: self.level(Operation::Expire, options),
        };
        let touched = self.touch(key, expiry, None, levels, options).await?;
        Ok(GetReply { value: touched.value, outcome: touched.outcome })
    }

    async fn touch(
        &self,
        key: Key,
        expiry: Expiry,
        condition: Option<ExpiryCondition>,
        levels: Levels,
        options: &RequestOptions,
    ) -> Result<Touched, CoordinatorError> {
        let deadline = self.deadline(options);
        let read = self.counted(levels.read, self.read(&key, levels.read, deadline).await)?;
        let found = read.entry.as_ref().map(Stamped::version);
        let reply = self.get_reply(read, levels.read);
        let Some((held, value)) = found.zip(reply.value) else {
            return Ok(Touched { value: None, changed: false, outcome: reply.outcome });
        };
        let expires_at = self.expires_at(expiry, Some(held))?;
        if condition.is_some_and(|condition| !condition.holds(held.expires_at, expires_at)) {
            return Ok(Touched { value: Some(value), changed: false, outcome: reply.outcome });
        }
        let touch = held.touch.checked_add(1).ok_or_else(|| {
            CoordinatorError::Invalid(
                "expiry changed 65535 times; write the value anew to change it again".into(),
            )
        })?;
        let stamp = self.new_tag(&self.cluster.view(), None)?;
        let entry = Stamped::live(held.tag, touch, expires_at, value.clone()).touched_at(stamp);
        let written = match self.write(&key, &entry, levels.write, deadline).await {
            // What was read is gone.
            Err(CoordinatorError::Flushed { .. }) => {
                return Ok(Touched { value: None, changed: false, outcome: reply.outcome });
            }
            result => self.counted(levels.write, result)?,
        };
        let outcome = self.written(entry.version(), written, levels.write, false);
        Ok(Touched { value: Some(value), changed: true, outcome })
    }
}
