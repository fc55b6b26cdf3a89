//! A node that keeps values in a map and does what certain keys tell it to.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use shoal_client::{CallOptions, Client, ClientConfig, ClientError, Key, Routing, Value};
use shoal_proto::wire::admin::v1::admin_server::{Admin, AdminServer};
use shoal_proto::wire::admin::v1::{
    ExplainRequest, ExplainResponse, FlushRequest, FlushResponse, ScanRequest, ScanResponse, StatusRequest,
    StatusResponse,
};
use shoal_proto::wire::kv::v1 as kv;
use shoal_proto::wire::kv::v1::kv_server::{Kv, KvServer};
use shoal_proto::wire::kv::v1::{operation::Op, operation_result::Result as Answer};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

/// The node never answers an operation on this key.
pub(crate) const IGNORED: &str = "ignored";
/// The node ends the stream instead of answering an operation on this key.
pub(crate) const HANG_UP: &str = "hang up";
/// The node reads nothing more until [`FakeNode::resume`].
pub(crate) const PAUSE: &str = "pause";
/// The node answers that the operation is invalid.
pub(crate) const REFUSED: &str = "refused";

/// Long enough for anything that is going to happen.
pub(crate) const LONG: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(crate) struct FakeNode {
    pub(crate) address: String,
    seen: Arc<Mutex<Seen>>,
    resume: Arc<Notify>,
    down: CancellationToken,
    mood: Arc<Mutex<Mood>>,
    /// What it says when asked for the topology; that it does not know the question if there is none.
    told: watch::Sender<Option<kv::TopologyResponse>>,
}

/// What a node does with every operation.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Mood {
    /// What is asked.
    #[default]
    Willing,
    /// Never answers.
    Silent,
    /// Ends the stream.
    HangsUp,
    /// Answers with this failure, and whether the operation may take effect.
    Fails(kv::failure::Kind, bool),
    /// Takes no tags.
    RefusesTags,
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) values: BTreeMap<Bytes, Bytes>,
    /// What is left of the time to live of every value, in milliseconds; 0 is forever.
    pub(crate) ttl_ms: u64,
    /// The operations of every message, in order.
    pub(crate) messages: Vec<Vec<Op>>,
    pub(crate) streams: usize,
    pub(crate) topology_streams: usize,
}

impl FakeNode {
    /// Starts a node on an address of its own.
    pub(crate) async fn start() -> Self {
        static HOSTS: AtomicU8 = AtomicU8::new(1);
        let host = [127, 7, 3, HOSTS.fetch_add(1, Ordering::SeqCst)];
        let free = TcpListener::bind(SocketAddr::from((host, 0))).unwrap().local_addr().unwrap();
        let node = Self {
            address: free.to_string(),
            seen: Arc::default(),
            resume: Arc::default(),
            down: CancellationToken::new(),
            mood: Arc::default(),
            told: watch::Sender::new(None),
        };
        node.clone().serve().await;
        node
    }

    /// Changes what it does with operations from now on.
    pub(crate) fn feel(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Says this of the topology from now on, to those who ask and to those who have asked.
    pub(crate) fn tell(&self, told: kv::TopologyResponse) {
        self.told.send_replace(Some(told));
    }

    /// Starts the node again after [`FakeNode::stop`], as it was.
    pub(crate) async fn restart(&self) {
        Self { down: CancellationToken::new(), ..self.clone() }.serve().await;
    }

    /// Returns once the node answers. The stream of the probe is not counted.
    async fn serve(self) {
        let (probe, address): (_, SocketAddr) = (self.clone(), self.address.parse().unwrap());
        let down = self.down.clone();
        let limit = 12 * 1024 * 1024;
        let kv =
            KvServer::new(self.clone()).max_decoding_message_size(limit).max_encoding_message_size(limit);
        let server = tonic::transport::Server::builder().add_service(kv).add_service(AdminServer::new(self));
        tokio::spawn(
            async move { server.serve_with_shutdown(address, down.cancelled_owned()).await.unwrap() },
        );
        let up = async { while probe.connect().await.is_err() {} };
        tokio::time::timeout(LONG, up).await.unwrap();
        probe.seen.lock().unwrap().streams -= 1;
    }

    pub(crate) async fn connect(&self) -> Result<Client, ClientError> {
        let config = ClientConfig { timeout: LONG, routing: Routing::Contact, ..Default::default() };
        // Boxed: dialling is large where the network is simulated.
        Box::pin(Client::connect(std::slice::from_ref(&self.address), config)).await
    }

    /// Ends all streams and listens no more.
    pub(crate) fn stop(&self) {
        self.down.cancel();
    }

    pub(crate) fn resume(&self) {
        self.resume.notify_one();
    }

    pub(crate) fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap())
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap());
    }

    async fn converse(self, mut requests: Streaming<kv::PipelineRequest>, replies: mpsc::Sender<Reply>) {
        while let Some(Ok(message)) = requests.next().await {
            let operations: Vec<_> = message.operations.iter().filter_map(|o| o.op.clone()).collect();
            self.seen.lock().unwrap().messages.push(operations);
            let mut results = Vec::new();
            for operation in message.operations {
                let op = operation.op.unwrap();
                let mood = *self.mood.lock().unwrap();
                let failure = match mood {
                    Mood::Willing => None,
                    Mood::Silent => continue,
                    Mood::HangsUp => return,
                    Mood::Fails(kind, maybe) => Some((kind, maybe)),
                    Mood::RefusesTags => (tag(&op) != 0).then_some((kv::failure::Kind::TagAhead, false)),
                };
                if let Some((kind, maybe)) = failure {
                    let failure = kv::Failure { kind: kind.into(), message: format!("{mood:?}"), maybe };
                    let result = Some(Answer::Failure(failure));
                    results.push(kv::OperationResult { id: operation.id, result });
                    continue;
                }
                match std::str::from_utf8(key(&op)).unwrap_or_default() {
                    HANG_UP => return,
                    IGNORED => continue,
                    PAUSE => self.resume.notified().await,
                    _ => {}
                }
                let result = self.seen.lock().unwrap().apply(op);
                results.push(kv::OperationResult { id: operation.id, result: Some(result) });
            }
            let clock_ms = self.told.borrow().as_ref().map_or(0, |told| told.clock_ms);
            if replies.send(Ok(kv::PipelineResponse { results, clock_ms })).await.is_err() {
                return;
            }
        }
    }
}

impl Seen {
    fn apply(&mut self, op: Op) -> Answer {
        if key(&op) == REFUSED.as_bytes() {
            let kind = kv::failure::Kind::Invalid.into();
            return Answer::Failure(kv::Failure { kind, message: "refused as asked".into(), maybe: false });
        }
        let reached = kv::Consistency::Quorum.into();
        let (expires_at, ttl_ms) = (self.ttl_ms, self.ttl_ms);
        let outcome =
            Some(kv::Outcome { reached, asked: 3, answered: 2, expires_at, ttl_ms, ..Default::default() });
        match op {
            Op::Get(get) => {
                Answer::Get(kv::GetResponse { value: self.values.get(&get.key).cloned(), outcome })
            }
            Op::Set(set) => {
                self.values.insert(set.key, set.value);
                Answer::Set(kv::SetResponse { outcome })
            }
            Op::Delete(delete) => {
                let existed = self.values.remove(&delete.key).is_some();
                Answer::Delete(kv::DeleteResponse { existed, outcome })
            }
            Op::Expire(expire) => {
                let existed = self.values.contains_key(&expire.key);
                Answer::Expire(kv::ExpireResponse { existed, outcome })
            }
        }
    }
}

/// The client's tag, if it made one.
pub(crate) fn tag(op: &Op) -> u64 {
    match op {
        Op::Set(set) => set.tag,
        Op::Delete(delete) => delete.tag,
        Op::Get(_) | Op::Expire(_) => 0,
    }
}

fn key(op: &Op) -> &[u8] {
    match op {
        Op::Get(get) => &get.key,
        Op::Set(set) => &set.key,
        Op::Delete(delete) => &delete.key,
        Op::Expire(expire) => &expire.key,
    }
}

type Reply = Result<kv::PipelineResponse, Status>;

#[tonic::async_trait]
impl Kv for FakeNode {
    type PipelineStream = ReceiverStream<Reply>;
    type TopologyStream = BoxStream<'static, Result<kv::TopologyResponse, Status>>;

    async fn get(&self, _: Request<kv::GetRequest>) -> Result<Response<kv::GetResponse>, Status> {
        Err(Status::unimplemented("only pipelines"))
    }

    async fn set(&self, _: Request<kv::SetRequest>) -> Result<Response<kv::SetResponse>, Status> {
        Err(Status::unimplemented("only pipelines"))
    }

    async fn delete(&self, _: Request<kv::DeleteRequest>) -> Result<Response<kv::DeleteResponse>, Status> {
        Err(Status::unimplemented("only pipelines"))
    }

    async fn expire(&self, _: Request<kv::ExpireRequest>) -> Result<Response<kv::ExpireResponse>, Status> {
        Err(Status::unimplemented("only pipelines"))
    }

    async fn batch_get(
        &self,
        _: Request<kv::BatchGetRequest>,
    ) -> Result<Response<kv::BatchGetResponse>, Status> {
        Err(Status::unimplemented("only pipelines"))
    }

    async fn batch_set(
        &self,
        _: Request<kv::BatchSetRequest>,
    ) -> Result<Response<kv::BatchSetResponse>, Status> {
        Err(Status::unimplemented("only pipelines"))
    }

    async fn batch_delete(
        &self,
        _: Request<kv::BatchDeleteRequest>,
    ) -> Result<Response<kv::BatchDeleteResponse>, Status> {
        Err(Status::unimplemented("only pipelines"))
    }

    async fn topology(
        &self,
        _: Request<kv::TopologyRequest>,
    ) -> Result<Response<Self::TopologyStream>, Status> {
        if self.told.borrow().is_none() {
            return Err(Status::unimplemented("only pipelines"));
        }
        self.seen.lock().unwrap().topology_streams += 1;
        let mut told = self.told.subscribe();
        told.mark_changed();
        let changes = stream::unfold(told, async |mut told| {
            told.changed().await.ok()?;
            let now = told.borrow_and_update().clone();
            now.map(|now| (Ok(now), told))
        });
        Ok(Response::new(changes.take_until(self.down.clone().cancelled_owned()).boxed()))
    }

    async fn pipeline(
        &self,
        request: Request<Streaming<kv::PipelineRequest>>,
    ) -> Result<Response<Self::PipelineStream>, Status> {
        let (replies, stream) = mpsc::channel(1);
        self.seen.lock().unwrap().streams += 1;
        let (node, down) = (self.clone(), self.down.clone());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = down.cancelled() => {}
                () = node.converse(request.into_inner(), replies) => {}
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

#[tonic::async_trait]
impl Admin for FakeNode {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        Ok(Response::new(StatusResponse {
            node_id: self.address.clone(),
            vnodes: 1_024,
            ..Default::default()
        }))
    }

    async fn explain(&self, _: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        Err(Status::unimplemented("only pipelines"))
    }

    async fn flush(&self, _: Request<FlushRequest>) -> Result<Response<FlushResponse>, Status> {
        Err(Status::unimplemented("only pipelines"))
    }

    async fn scan(&self, _: Request<ScanRequest>) -> Result<Response<ScanResponse>, Status> {
        Err(Status::unimplemented("only pipelines"))
    }
}

pub(crate) fn k(text: &'static str) -> Key {
    Key::new(text).unwrap()
}

pub(crate) fn v(text: &'static str) -> Value {
    Value::new(text).unwrap()
}

pub(crate) fn within(timeout: Duration) -> CallOptions {
    CallOptions { timeout: Some(timeout), ..CallOptions::default() }
}

pub(crate) const DEFAULTS: CallOptions = CallOptions { consistency: None, timeout: None, tag: None };
