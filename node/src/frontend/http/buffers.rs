use crate::{coordinator::CoordinatorError, limits};
use axum::body::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounds the bodies that all connections together hold, to [`limits::HTTP_BUFFER_BYTES`].
#[derive(Debug, Clone)]
pub(super) struct Buffers(Arc<Semaphore>);

/// A share of the buffers, given back when it is dropped.
pub(super) type Room = OwnedSemaphorePermit;

/// Bytes, with their share of the buffers.
#[derive(Debug)]
pub(super) struct Held {
    bytes: Vec<u8>,
    room: Room,
}

impl Default for Buffers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(limits::HTTP_BUFFER_BYTES)))
    }
}

impl Buffers {
    /// Counts `bytes` from now until they are dropped.
    ///
    /// # Errors
    /// When others have left no room for them.
    pub(super) fn hold(&self, bytes: Vec<u8>) -> Result<Held, CoordinatorError> {
        let room = self.room(bytes.len())?;
        Ok(Held { bytes, room })
    }

    fn room(&self, bytes: usize) -> Result<Room, CoordinatorError> {
        // A count that does not fit is larger than all there is.
        let count = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = self.0.clone().try_acquire_many_owned(count);
        room.map_err(|_| CoordinatorError::Overloaded("too many large bodies are being received or sent"))
    }
}

impl Held {
    /// Adds `more` at the end.
    ///
    /// # Errors
    /// When there is no room for it in `buffers`.
    pub(super) fn extend(&mut self, more: &[u8], buffers: &Buffers) -> Result<(), CoordinatorError> {
        self.room.merge(buffers.room(more.len())?);
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// The share alone, for what was made of the bytes.
    pub(super) fn into_room(self) -> Room {
        self.room
    }

    /// The same as a buffer that many may share. Their place is given back when the last has dropped it.
    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_together_stays_within_the_limit_and_comes_back() {
        let buffers = Buffers(Arc::new(Semaphore::new(10)));
        let mut held = buffers.hold(vec![1; 4]).unwrap();
        held.extend(&[2; 6], &buffers).unwrap();
        assert!(matches!(held.extend(&[3], &buffers), Err(CoordinatorError::Overloaded(_))));
        assert_eq!(held.as_slice().len(), 10);
        let bytes = held.into_bytes();
        let shared = bytes.slice(..1);
        drop(bytes);
        assert!(buffers.hold(vec![0; 1]).is_err());
        drop(shared);
        assert!(buffers.hold(vec![0; 10]).is_ok());
    }
}
