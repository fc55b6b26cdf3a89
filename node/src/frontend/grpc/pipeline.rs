//! One bidirectional stream of operations.
//!
//! Operations run concurrently and are answered as they finish, so operations on the same key keep no order: a client
//! that needs one waits for an answer before it sends the next operation.

use crate::limits::{PIPELINE_BATCH_BYTES, PIPELINE_BATCH_OPS, PIPELINE_IN_FLIGHT, PIPELINE_UNSENT_BYTES};
use futures::{FutureExt, Stream, StreamExt, stream::FuturesUnordered};
use shoal_proto::types::UnixMillis;
use shoal_proto::wire::kv::v1::operation_result::Result as Answer;
use shoal_proto::wire::kv::v1::{Operation, OperationResult, PipelineRequest, PipelineResponse};
use std::collections::VecDeque;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// An operation that was begun.
pub(super) enum Begun<F> {
    /// Answered at once.
    Done(OperationResult),
    /// Waits for others.
    Running(F),
}

/// Runs the operations of `requests` and sends everything that is done in one message, until the client ends the
/// stream or hangs up, or `closing` is cancelled. What has begun is finished either way.
pub(super) async fn run<R, C, B, F>(
    mut requests: R,
    replies: mpsc::Sender<Result<PipelineResponse, Status>>,
    closing: CancellationToken,
    clock: C,
    mut begin: B,
) where
    R: Stream<Item = Result<PipelineRequest, Status>> + Unpin,
    C: Fn() -> UnixMillis,
    B: FnMut(Operation) -> Begun<F>,
    F: Future<Output = OperationResult>,
{
    let mut waiting = Vec::new().into_iter();
    let mut running = FuturesUnordered::new();
    let mut unsent = Unsent::default();
    let mut reading = true;
    let mut broken = None;
    loop {
        while running.len() + unsent.results.len() < PIPELINE_IN_FLIGHT
            && unsent.bytes < PIPELINE_UNSENT_BYTES
            && let Some(operation) = waiting.next()
        {
            match begin(operation) {
                Begun::Done(result) => unsent.push(result),
                Begun::Running(operation) => running.push(operation),
            }
        }
        while let Some(Some(result)) = running.next().now_or_never() {
            unsent.push(result);
        }
        let has_room = waiting.len() == 0 && running.len() + unsent.results.len() < PIPELINE_IN_FLIGHT;
        tokio::select! {
            biased;
            permit = replies.reserve(), if !unsent.results.is_empty() => match permit {
                Ok(permit) => permit.send(Ok(unsent.take_message(clock()))),
                Err(_) => break,
            },
            Some(result) = running.next() => unsent.push(result),
            () = closing.cancelled(), if reading => reading = false,
            message = requests.next(), if reading && has_room => match message {
                Some(Ok(message)) => waiting = message.operations.into_iter(),
                Some(Err(status)) => (reading, broken) = (false, Some(status)),
                None => reading = false,
            },
            else => break,
        }
    }
    while running.next().await.is_some() {}
    if let Some(status) = broken {
        // Fails only when the client is gone, and then nobody asks.
        let _ = replies.send(Err(status)).await;
    }
}

/// Results that are done, in the order they were.
#[derive(Default)]
struct Unsent {
    results: VecDeque<OperationResult>,
    /// Of values.
    bytes: usize,
}

impl Unsent {
    fn push(&mut self, result: OperationResult) {
        self.bytes += value_bytes(&result);
        self.results.push_back(result);
    }

    /// As many of the oldest results as one message takes.
    fn take_message(&mut self, clock: UnixMillis) -> PipelineResponse {
        let (mut results, mut bytes) = (Vec::new(), 0);
        while results.len() < PIPELINE_BATCH_OPS
            && bytes < PIPELINE_BATCH_BYTES
            && let Some(result) = self.results.pop_front()
        {
            bytes += value_bytes(&result);
            results.push(result);
        }
        self.bytes -= bytes;
        PipelineResponse { results, clock_ms: clock.0 }
    }
}

fn value_bytes(result: &OperationResult) -> usize {
    match &result.result {
        Some(Answer::Get(get)) => get.value.as_ref().map_or(0, bytes::Bytes::len),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::{BoxFuture, Ready, pending};
    use shoal_proto::wire::kv::v1::{GetResponse, SetResponse};
    use std::sync::{Arc, Mutex};
    use tokio::sync::oneshot;
    use tokio_stream::wrappers::ReceiverStream;

    type Replies = mpsc::Receiver<Result<PipelineResponse, Status>>;

    fn stored(id: u64) -> OperationResult {
        OperationResult { id, result: Some(Answer::Set(SetResponse::default())) }
    }

    fn message(ids: impl IntoIterator<Item = u64>) -> Result<PipelineRequest, Status> {
        Ok(PipelineRequest { operations: ids.into_iter().map(|id| Operation { id, op: None }).collect() })
    }

    async fn next_ids(replies: &mut Replies) -> Option<Vec<u64>> {
        let message = replies.recv().await?.unwrap();
        Some(message.results.iter().map(|result| result.id).collect())
    }

    fn clock() -> UnixMillis {
        UnixMillis(7)
    }

    fn at_once(operation: Operation) -> Begun<Ready<OperationResult>> {
        Begun::Done(stored(operation.id))
    }

    #[tokio::test]
    async fn what_is_done_at_once_is_answered_in_one_message() {
        let (tx, mut replies) = mpsc::channel(1);
        let requests = futures::stream::iter([message([1, 2, 3])]);
        run(requests, tx, CancellationToken::new(), clock, at_once).await;
        assert_eq!(next_ids(&mut replies).await, Some(vec![1, 2, 3]));
        assert_eq!(next_ids(&mut replies).await, None);
    }

    #[tokio::test]
    async fn a_slow_operation_does_not_hold_up_the_others() {
        let (tx, mut replies) = mpsc::channel(1);
        let (release, released) = oneshot::channel::<()>();
        let released = Mutex::new(Some(released));
        let begin = move |operation: Operation| match released.lock().unwrap().take() {
            Some(released) => Begun::Running(Box::pin(async move {
                released.await.unwrap();
                stored(operation.id)
            }) as BoxFuture<'static, _>),
            None => Begun::Done(stored(operation.id)),
        };
        let requests = futures::stream::iter([message([1]), message([2])]);
        let task = tokio::spawn(run(requests, tx, CancellationToken::new(), clock, begin));
        assert_eq!(next_ids(&mut replies).await, Some(vec![2]));
        release.send(()).unwrap();
        assert_eq!(next_ids(&mut replies).await, Some(vec![1]));
        task.await.unwrap();
    }

    #[tokio::test]
    async fn a_full_pipeline_is_not_read_further() {
        let (requests, stream) = mpsc::channel(1);
        let (tx, mut replies) = mpsc::channel(1);
        let (begun, mut started) = mpsc::channel(2 * PIPELINE_IN_FLIGHT);
        let begin = move |operation: Operation| {
            let (finish, finished) = oneshot::channel::<()>();
            begun.try_send((operation.id, finish)).unwrap();
            Begun::Running(async move {
                let _ = finished.await;
                stored(operation.id)
            })
        };
        let task = tokio::spawn(run(ReceiverStream::new(stream), tx, CancellationToken::new(), clock, begin));
        requests.send(message(0..PIPELINE_IN_FLIGHT as u64)).await.unwrap();
        requests.send(message([9_999])).await.unwrap();
        let mut running = VecDeque::new();
        for _ in 0..PIPELINE_IN_FLIGHT {
            running.push_back(started.recv().await.unwrap());
        }
        // The pipeline is full, so the second message stays where it is: the channel has no room for a third.
        assert!(requests.try_send(message([])).is_err());

        let (id, finish) = running.pop_front().unwrap();
        finish.send(()).unwrap();
        assert_eq!(next_ids(&mut replies).await, Some(vec![id]));
        assert_eq!(started.recv().await.unwrap().0, 9_999);
        drop((running, started, requests, replies));
        task.await.unwrap();
    }

    #[tokio::test]
    async fn what_has_begun_is_finished_though_the_client_hangs_up() {
        let (tx, replies) = mpsc::channel(1);
        let (finish, finished) = oneshot::channel::<()>();
        let finished = Arc::new(Mutex::new(Some(finished)));
        let completed = Arc::new(Mutex::new(Vec::new()));
        let log = completed.clone();
        let begin = move |operation: Operation| {
            let Some(finished) = finished.lock().unwrap().take() else {
                return Begun::Done(stored(operation.id));
            };
            let log = log.clone();
            Begun::Running(async move {
                finished.await.unwrap();
                log.lock().unwrap().push(operation.id);
                stored(operation.id)
            })
        };
        drop(replies);
        let requests = futures::stream::iter([message([1, 2])]);
        let task = tokio::spawn(run(requests, tx, CancellationToken::new(), clock, begin));
        finish.send(()).unwrap();
        task.await.unwrap();
        assert_eq!(*completed.lock().unwrap(), [1]);
    }

    #[tokio::test]
    async fn closing_ends_an_idle_stream_and_answers_what_was_read() {
        let (requests, stream) = mpsc::channel(1);
        let (tx, mut replies) = mpsc::channel(1);
        let closing = CancellationToken::new();
        let task = tokio::spawn(run(ReceiverStream::new(stream), tx, closing.clone(), clock, at_once));
        requests.send(message([1])).await.unwrap();
        assert_eq!(next_ids(&mut replies).await, Some(vec![1]));
        closing.cancel();
        assert_eq!(next_ids(&mut replies).await, None);
        task.await.unwrap();
    }

    #[tokio::test]
    async fn an_undecodable_message_ends_the_stream_with_its_status() {
        let (tx, mut replies) = mpsc::channel(1);
        let requests = futures::stream::iter([message([1]), Err(Status::out_of_range("too large"))])
            .chain(futures::stream::once(pending()));
        let task = tokio::spawn(run(Box::pin(requests), tx, CancellationToken::new(), clock, at_once));
        assert_eq!(next_ids(&mut replies).await, Some(vec![1]));
        assert_eq!(replies.recv().await.unwrap().unwrap_err().message(), "too large");
        task.await.unwrap();
    }

    #[tokio::test]
    async fn large_values_travel_in_messages_of_their_own() {
        let (tx, mut replies) = mpsc::channel(8);
        let begin = |operation: Operation| {
            let value = Some(vec![0; PIPELINE_BATCH_BYTES / 2 + 1].into());
            let get = Answer::Get(GetResponse { value, outcome: None });
            Begun::<Ready<_>>::Done(OperationResult { id: operation.id, result: Some(get) })
        };
        run(futures::stream::iter([message(1..=5)]), tx, CancellationToken::new(), clock, begin).await;
        for expected in [vec![1, 2], vec![3, 4], vec![5]] {
            assert_eq!(next_ids(&mut replies).await, Some(expected));
        }
    }
}
