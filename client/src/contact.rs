//! Everything through one node at a time.

use crate::ClientError;
use crate::call::{Answer, Call, Job};
use crate::config::{ClientConfig, QUEUED_CALLS};
use crate::driver;
use crate::heard::Heard;
use crate::link::Dialler;
use shoal_proto::wire::kv::v1::operation::Op;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// The stream to the node that is connected, and to the next of the addresses once it breaks.
pub(crate) struct Contact {
    jobs: mpsc::Sender<Job>,
}

impl Contact {
    /// Connects to the first address that answers.
    pub(crate) async fn connect(
        addresses: &[String],
        config: &ClientConfig,
        heard: Arc<Heard>,
    ) -> Result<Self, ClientError> {
        let mut dialler = Dialler::new(addresses.to_vec(), config.into());
        let link = dialler.dial().await?;
        let (jobs, queue) = mpsc::channel(QUEUED_CALLS);
        tokio::spawn(driver::run(dialler, Some(link), queue, heard));
        Ok(Self { jobs })
    }

    /// Sends an operation once and waits for its answer.
    pub(crate) async fn call(&self, op: Op, patience: Duration) -> Result<Answer, ClientError> {
        let is_write = !matches!(op, Op::Get(_));
        let (call, mut ticket) = Call::new(op, Instant::now() + patience);
        let exchange = async {
            self.submit(Job::Call(call)).await;
            (&mut ticket.answer).await
        };
        match timeout(patience, exchange).await {
            Ok(Ok(Ok(Answer::Failure(failure)))) => Err(failure.into()),
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(ClientError::Disconnected { maybe: ticket.give_up() && is_write }),
            Err(_) => {
                let message = format!("no answer within {} ms", patience.as_millis());
                Err(ClientError::Timeout { message, maybe: ticket.give_up() && is_write })
            }
        }
    }

    /// Should the driver be gone, the job is dropped and whoever waits for it is told so.
    pub(crate) async fn submit(&self, job: Job) {
        let _ = self.jobs.send(job).await;
    }
}
