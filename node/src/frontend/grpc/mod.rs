//! The gRPC door: the typed client API and the operator's API.
//!
//! A request that has begun runs to its end even if its caller hangs up, so that owners it could not reach get hints.

mod access;
mod batch;
mod deadline;
mod explain;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod keyspace;
mod pipeline;
mod translate;

pub use access::interceptor;

use super::{Door, Gate, Reply, Translated, error_map, execute_all};
use crate::admin::ClusterInfo;
use crate::auth::{Identity, Scope};
use crate::coordinator::CoordinatorError;
use crate::limits;
use futures::{StreamExt as _, stream::BoxStream};
use pipeline::Begun;
use shoal_proto::wire::admin::v1::admin_server::Admin;
use shoal_proto::wire::admin::v1::{
    ExplainRequest, ExplainResponse, FlushRequest, FlushResponse, ScanRequest, ScanResponse, StatusRequest,
    StatusResponse,
};
use shoal_proto::wire::kv::v1 as kv;
use shoal_proto::wire::kv::v1::kv_server::Kv;
use shoal_proto::wire::kv::v1::operation_result::Result as Answer;
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

/// Serves clients over gRPC.
#[derive(Clone)]
pub struct GrpcDoor {
    door: Door,
    gate: Gate,
    info: Arc<dyn ClusterInfo>,
    closing: CancellationToken,
}

impl GrpcDoor {
    /// Serves clients whom `gate` lets in by `door`. Once `closing` is cancelled, open pipelines read nothing more, answer what they have
    /// read, and end.
    #[must_use]
    pub fn new(door: Door, gate: Gate, info: Arc<dyn ClusterInfo>, closing: CancellationToken) -> Self {
        Self { door, gate, info, closing }
    }

    /// Whom the door lets in.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Who makes a call, if that one may do what `scope` includes.
    fn caller<T>(&self, request: &Request<T>, scope: Scope) -> Result<Identity, Status> {
        access::caller(&self.gate, request, scope)
    }

    /// Answers a unary call whose client waits for `patience`, unless it does not say.
    async fn answer(&self, request: translate::Request, patience: Option<Duration>) -> Result<Reply, Status> {
        let (command, options) = request?;
        let options = deadline::within(options, patience);
        let answer = match self.door.try_execute_one(command, &options) {
            Ok(answer) => answer,
            Err(command) => {
                let door = self.door.clone();
                let running = tokio::spawn(async move { door.execute(command, &options).await });
                running.await.map_err(|_| Status::internal("the request was aborted"))?
            }
        };
        answer.map_err(|error| error_map::status(&error))
    }

    /// Answers a batch call: every operation for itself, in order.
    async fn answer_all(
        &self,
        operations: Vec<Translated>,
        patience: Option<Duration>,
    ) -> Result<Vec<Result<Reply, CoordinatorError>>, Status> {
        let within = |(command, options)| (command, deadline::within(options, patience));
        let operations = operations.into_iter().map(|operation| operation.map(within)).collect();
        let door = self.door.clone();
        let running =
            tokio::spawn(async move { execute_all(&door, operations, limits::BATCH_VALUE_BYTES).await });
        running.await.map_err(|_| Status::internal("the request was aborted"))
    }

    /// Begins an operation of a pipeline that `caller` keeps open.
    fn begin(
        &self,
        operation: kv::Operation,
        caller: &mut Identity,
    ) -> Begun<impl Future<Output = kv::OperationResult> + use<>> {
        let id = operation.id;
        let (command, options) = match translate::operation(operation, self.door.now()) {
            Ok(request) => request,
            Err(fault) => return Begun::Done(translate::result(id, Err(fault.into()))),
        };
        if let Err(refusal) = self.gate.allow(caller, command.scope()) {
            let failure = Answer::Failure(error_map::refusal_failure(&refusal));
            return Begun::Done(kv::OperationResult { id, result: Some(failure) });
        }
        match self.door.try_execute_one(command, &options) {
            Ok(answer) => Begun::Done(translate::result(id, answer)),
            Err(command) => {
                let door = self.door.clone();
                Begun::Running(async move { translate::result(id, door.execute(command, &options).await) })
            }
        }
    }
}

#[tonic::async_trait]
impl Kv for GrpcDoor {
    type PipelineStream = ReceiverStream<Result<kv::PipelineResponse, Status>>;
    type TopologyStream = BoxStream<'static, Result<kv::TopologyResponse, Status>>;

    async fn get(&self, request: Request<kv::GetRequest>) -> Result<Response<kv::GetResponse>, Status> {
        self.caller(&request, Scope::Read)?;
        let patience = deadline::of(&request)?;
        match self.answer(translate::get(request.into_inner()), patience).await? {
            Reply::Value(reply) => Ok(Response::new(reply.into())),
            _ => Err(mismatch()),
        }
    }

    async fn set(&self, request: Request<kv::SetRequest>) -> Result<Response<kv::SetResponse>, Status> {
        self.caller(&request, Scope::Write)?;
        let patience = deadline::of(&request)?;
        let request = translate::set(request.into_inner(), self.door.now());
        match self.answer(request, patience).await? {
            Reply::Stored(reply) => Ok(Response::new(reply.into())),
            _ => Err(mismatch()),
        }
    }

    async fn delete(
        &self,
        request: Request<kv::DeleteRequest>,
    ) -> Result<Response<kv::DeleteResponse>, Status> {
        self.caller(&request, Scope::Write)?;
        let patience = deadline::of(&request)?;
        match self.answer(translate::delete(request.into_inner()), patience).await? {
            Reply::Deleted(reply) => Ok(Response::new(reply.into())),
            _ => Err(mismatch()),
        }
    }

    async fn expire(
        &self,
        request: Request<kv::ExpireRequest>,
    ) -> Result<Response<kv::ExpireResponse>, Status> {
        self.caller(&request, Scope::Write)?;
        let patience = deadline::of(&request)?;
        let request = translate::expire(request.into_inner(), self.door.now());
        match self.answer(request, patience).await? {
            Reply::Touched(reply) => Ok(Response::new(reply.into())),
            _ => Err(mismatch()),
        }
    }

    async fn batch_get(
        &self,
        request: Request<kv::BatchGetRequest>,
    ) -> Result<Response<kv::BatchGetResponse>, Status> {
        self.caller(&request, Scope::Read)?;
        let patience = deadline::of(&request)?;
        let answers = self.answer_all(batch::get(request.into_inner())?, patience).await?;
        Ok(Response::new(kv::BatchGetResponse { items: answers.into_iter().map(batch::got).collect() }))
    }

    async fn batch_set(
        &self,
        request: Request<kv::BatchSetRequest>,
    ) -> Result<Response<kv::BatchSetResponse>, Status> {
        self.caller(&request, Scope::Write)?;
        let patience = deadline::of(&request)?;
        let operations = batch::set(request.into_inner(), self.door.now())?;
        let answers = self.answer_all(operations, patience).await?;
        Ok(Response::new(kv::BatchSetResponse { items: answers.into_iter().map(batch::stored).collect() }))
    }

    async fn batch_delete(
        &self,
        request: Request<kv::BatchDeleteRequest>,
    ) -> Result<Response<kv::BatchDeleteResponse>, Status> {
        self.caller(&request, Scope::Write)?;
        let patience = deadline::of(&request)?;
        let answers = self.answer_all(batch::delete(request.into_inner())?, patience).await?;
        Ok(Response::new(kv::BatchDeleteResponse {
            items: answers.into_iter().map(batch::deleted).collect(),
        }))
    }

    async fn pipeline(
        &self,
        request: Request<Streaming<kv::PipelineRequest>>,
    ) -> Result<Response<Self::PipelineStream>, Status> {
        let mut caller = self.caller(&request, Scope::Read)?;
        // One message on its way is enough: what is done meanwhile travels together in the next.
        let (replies, stream) = mpsc::channel(1);
        let (door, clock) = (self.clone(), self.door.clone());
        let begin = move |operation| door.begin(operation, &mut caller);
        let clock = move || clock.now();
        tokio::spawn(pipeline::run(request.into_inner(), replies, self.closing.clone(), clock, begin));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn topology(
        &self,
        request: Request<kv::TopologyRequest>,
    ) -> Result<Response<Self::TopologyStream>, Status> {
        let mut caller = self.caller(&request, Scope::Read)?;
        let (door, me) = (self.door.clone(), self.info.me().node_id);
        let topologies = self.info.topologies().take_until(self.closing.clone().cancelled_owned());
        let gate = self.gate.clone();
        // An error ends the stream.
        let answers = topologies.map(move |topology| match gate.allow(&mut caller, Scope::Read) {
            Ok(()) => Ok(translate::topology(topology, &me, door.now())),
            Err(refusal) => Err(error_map::refusal_status(&refusal)),
        });
        Ok(Response::new(answers.boxed()))
    }
}

const MISMATCH: &str = "the coordinator answered another kind of request";

fn mismatch() -> Status {
    Status::internal(MISMATCH)
}

#[tonic::async_trait]
impl Admin for GrpcDoor {
    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        self.caller(&request, Scope::Read)?;
        let reports = self.info.survey().await;
        Ok(Response::new(translate::status(self.info.status(), self.info.stats(), reports)))
    }

    async fn explain(&self, request: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        self.caller(&request, Scope::Read)?;
        let patience = deadline::of(&request)?;
        match self.answer(explain::request(request.into_inner()), patience).await? {
            Reply::Explained(explanation) => Ok(Response::new((*explanation).into())),
            _ => Err(mismatch()),
        }
    }

    async fn flush(&self, request: Request<FlushRequest>) -> Result<Response<FlushResponse>, Status> {
        self.caller(&request, Scope::Write)?;
        let patience = deadline::of(&request)?;
        match self.answer(keyspace::flush(request.get_ref()), patience).await? {
            Reply::Flushed(flushed) => Ok(Response::new(flushed.into())),
            _ => Err(mismatch()),
        }
    }

    async fn scan(&self, request: Request<ScanRequest>) -> Result<Response<ScanResponse>, Status> {
        self.caller(&request, Scope::Read)?;
        let patience = deadline::of(&request)?;
        match self.answer(keyspace::scan(request.into_inner()), patience).await? {
            Reply::Scanned(page) => Ok(Response::new(page.into())),
            _ => Err(mismatch()),
        }
    }
}
