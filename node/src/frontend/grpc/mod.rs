//! The gRPC door: the typed client API and the operator's API.
//!
//! A request that has begun runs to its end even if its caller hangs up, so that owners it could not reach get hints.

mod pipeline;
mod translate;

use super::{Reply, error_map, execute, try_execute};
use crate::admin::ClusterInfo;
use crate::coordinator::Coordinator;
use crate::limits;
use pipeline::Begun;
use shoal_proto::wire::admin::v1::admin_server::{Admin, AdminServer};
use shoal_proto::wire::admin::v1::{StatusRequest, StatusResponse};
use shoal_proto::wire::kv::v1 as kv;
use shoal_proto::wire::kv::v1::kv_server::{Kv, KvServer};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Server, server::Router};
use tonic::{Request, Response, Status, Streaming};

/// Serves clients over gRPC.
#[derive(Clone)]
pub struct GrpcDoor {
    coordinator: Arc<Coordinator>,
    info: Arc<dyn ClusterInfo>,
    closing: CancellationToken,
}

impl GrpcDoor {
    /// A door to `coordinator`. Once `closing` is cancelled, open pipelines read nothing more, answer what they have
    /// read, and end.
    #[must_use]
    pub fn new(
        coordinator: Arc<Coordinator>,
        info: Arc<dyn ClusterInfo>,
        closing: CancellationToken,
    ) -> Self {
        Self { coordinator, info, closing }
    }

    /// Adds the door's services to a server, with the limits they need.
    #[must_use]
    pub fn mount(self, server: &mut Server) -> Router {
        let kv = KvServer::new(self.clone())
            .max_decoding_message_size(limits::MAX_MESSAGE_BYTES)
            .max_encoding_message_size(limits::MAX_MESSAGE_BYTES);
        server.add_service(kv).add_service(AdminServer::new(self))
    }

    /// Answers a unary call.
    async fn answer(&self, request: translate::Translated) -> Result<Reply, Status> {
        let (command, options) = request.map_err(|error| error_map::status(&error))?;
        let answer = match try_execute(&self.coordinator, command, &options) {
            Ok(answer) => answer,
            Err(command) => {
                let coordinator = self.coordinator.clone();
                let running = tokio::spawn(async move { execute(&coordinator, command, &options).await });
                running.await.map_err(|_| Status::internal("the request was aborted"))?
            }
        };
        answer.map_err(|error| error_map::status(&error))
    }

    /// Begins an operation of a pipeline.
    fn begin(&self, operation: kv::Operation) -> Begun<impl Future<Output = kv::OperationResult> + use<>> {
        let id = operation.id;
        let (command, options) = match translate::operation(operation, self.coordinator.now()) {
            Ok(request) => request,
            Err(error) => return Begun::Done(translate::result(id, Err(error))),
        };
        match try_execute(&self.coordinator, command, &options) {
            Ok(answer) => Begun::Done(translate::result(id, answer)),
            Err(command) => {
                let coordinator = self.coordinator.clone();
                Begun::Running(async move {
                    translate::result(id, execute(&coordinator, command, &options).await)
                })
            }
        }
    }
}

#[tonic::async_trait]
impl Kv for GrpcDoor {
    type PipelineStream = ReceiverStream<Result<kv::PipelineResponse, Status>>;

    async fn get(&self, request: Request<kv::GetRequest>) -> Result<Response<kv::GetResponse>, Status> {
        match self.answer(translate::get(request.into_inner())).await? {
            Reply::Value(reply) => Ok(Response::new(reply.into())),
            Reply::Stored(_) | Reply::Existed(_) => Err(mismatch()),
        }
    }

    async fn set(&self, request: Request<kv::SetRequest>) -> Result<Response<kv::SetResponse>, Status> {
        match self.answer(translate::set(request.into_inner(), self.coordinator.now())).await? {
            Reply::Stored(reply) => Ok(Response::new(reply.into())),
            Reply::Value(_) | Reply::Existed(_) => Err(mismatch()),
        }
    }

    async fn delete(
        &self,
        request: Request<kv::DeleteRequest>,
    ) -> Result<Response<kv::DeleteResponse>, Status> {
        match self.answer(translate::delete(request.into_inner())).await? {
            Reply::Existed(reply) => Ok(Response::new(reply.into())),
            Reply::Value(_) | Reply::Stored(_) => Err(mismatch()),
        }
    }

    async fn pipeline(
        &self,
        request: Request<Streaming<kv::PipelineRequest>>,
    ) -> Result<Response<Self::PipelineStream>, Status> {
        // One message on its way is enough: what is done meanwhile travels together in the next.
        let (replies, stream) = mpsc::channel(1);
        let door = self.clone();
        let begin = move |operation| door.begin(operation);
        tokio::spawn(pipeline::run(request.into_inner(), replies, self.closing.clone(), begin));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

fn mismatch() -> Status {
    Status::internal("the coordinator answered another kind of request")
}

#[tonic::async_trait]
impl Admin for GrpcDoor {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        Ok(Response::new(translate::status(self.info.status(), self.info.stats())))
    }
}
