//! One door's way to the coordinator: runs its commands and counts them.

use super::{Command, Reply, error_map::failure_label};
use crate::{
    coordinator::{Coordinator, CoordinatorError, RequestOptions},
    metrics::{DoorRequests, Operation, Tally},
};
use shoal_proto::types::{Consistency, UnixMillis};
use std::sync::Arc;
use tokio::time::Instant;

/// What every door runs its commands by. Clones count together.
#[derive(Clone)]
pub struct Door {
    coordinator: Arc<Coordinator>,
    requests: DoorRequests,
}

impl Door {
    /// A way to `coordinator` that counts in `requests`.
    #[must_use]
    pub fn new(coordinator: Arc<Coordinator>, requests: DoorRequests) -> Self {
        Self { coordinator, requests }
    }

    /// What TTLs count from.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.coordinator.now()
    }

    /// Counts what is answered at once, for one connection or one call.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.requests.tally()
    }

    /// Runs a command at once if this node can answer it alone; hands it back otherwise. What is answered counts once
    /// `tally` is [concluded](Self::conclude).
    ///
    /// # Errors
    /// The command itself, to be given to [`Door::execute`].
    pub fn try_execute(
        &self,
        command: Command,
        options: &RequestOptions,
        tally: &mut Tally,
    ) -> Result<Result<Reply, CoordinatorError>, Command> {
        let (Some(operation), Some(key)) = (command.operation(), command.key()) else { return Err(command) };
        self.requests.begin(tally, key);
        let coordinator = &self.coordinator;
        let done = match &command {
            Command::Get(key) => coordinator.try_get(key, options).map(|r| r.map(Reply::Value)),
            Command::Set(key, value, expiry) => {
                coordinator.try_set(key, value, *expiry, options).map(|r| r.map(Reply::Stored))
            }
            _ => None,
        };
        let Some(answer) = done else { return Err(command) };
        tally.answered(operation, coordinator.level(operation, options));
        self.note(operation, &answer);
        Ok(answer)
    }

    /// Adds up what was answered at once since the last time: each took as long as all of them.
    pub fn conclude(&self, tally: &mut Tally) {
        self.requests.conclude(tally);
    }

    /// [`Self::try_execute`] of a command that comes alone.
    ///
    /// # Errors
    /// The command itself, to be given to [`Door::execute`].
    pub fn try_execute_one(
        &self,
        command: Command,
        options: &RequestOptions,
    ) -> Result<Result<Reply, CoordinatorError>, Command> {
        let mut tally = self.tally();
        let answer = self.try_execute(command, options, &mut tally);
        self.conclude(&mut tally);
        answer
    }

    /// Runs a command that was handed back over the owners of its key.
    ///
    /// # Errors
    /// What the coordinator could not do.
    pub async fn execute(
        &self,
        command: Command,
        options: &RequestOptions,
    ) -> Result<Reply, CoordinatorError> {
        let (began, operation) = (Instant::now(), command.operation());
        let conditional = matches!(command, Command::ExpireIf(..));
        let answer = self.run(command, options).await;
        if let Some(operation) = operation {
            let level = match options.consistency {
                None if conditional => Consistency::Quorum,
                _ => self.coordinator.level(operation, options),
            };
            self.requests.waited(operation, level, began.elapsed());
            self.note(operation, &answer);
        }
        answer
    }

    async fn run(&self, command: Command, options: &RequestOptions) -> Result<Reply, CoordinatorError> {
        let coordinator = &self.coordinator;
        match command {
            Command::Get(key) => coordinator.get(key, options).await.map(Reply::Value),
            Command::Set(key, value, expiry) => {
                coordinator.set(key, value, expiry, options).await.map(Reply::Stored)
            }
            Command::Delete(key) => coordinator.delete(key, options).await.map(Reply::Deleted),
            Command::Expire(key, expiry) => {
                coordinator.expire(key, expiry, options).await.map(Reply::Touched)
            }
            Command::ExpireIf(key, expiry, condition) => {
                coordinator.expire_if(key, expiry, condition, options).await.map(Reply::Touched)
            }
            Command::GetAndExpire(key, expiry) => {
                coordinator.get_and_expire(key, expiry, options).await.map(Reply::Value)
            }
            Command::Explain(key) => {
                let explanation = coordinator.explain(key, options).await?;
                Ok(Reply::Explained(Box::new(explanation)))
            }
            Command::Usage(key) => coordinator.usage(key, options).await.map(Reply::Usage),
            Command::Flush { swept } => coordinator.flush(swept, options).await.map(Reply::Flushed),
            Command::Scan(request) => coordinator.scan(&request, options).await.map(Reply::Scanned),
            Command::Slot { slot, limit } => {
                coordinator.keys_in_slot(slot, limit, options).await.map(Reply::Slot)
            }
        }
    }

    fn note(&self, operation: Operation, answer: &Result<Reply, CoordinatorError>) {
        if let Err(error) = answer {
            self.requests.failed(operation, failure_label(error));
        }
    }
}
