//! What gRPC tools expect of every server beside its own services: `grpc.health.v1.Health` and server reflection.

use crate::admin::ClusterInfo;
use futures::StreamExt as _;
use shoal_proto::wire::{
    DESCRIPTORS, admin::v1::admin_server::SERVICE_NAME as ADMIN, kv::v1::kv_server::SERVICE_NAME as KV,
};
use std::{pin::pin, sync::Arc};
use tokio_util::sync::CancellationToken;
use tonic::{
    service::interceptor::{InterceptedService, Interceptor},
    transport::server::Router,
};
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_reflection::server::Builder;

/// The health of the server as a whole, in the protocol's words.
const WHOLE: &str = "";

/// Adds both services to a server. The health of the whole and of each service is `SERVING` while the node is ready:
/// until `closing` is cancelled, which ends all watches.
///
/// Health is for everybody, reflection for whom `known` lets in.
pub fn mount(
    router: Router,
    known: impl Interceptor + Clone + Send + Sync + 'static,
    info: Arc<dyn ClusterInfo>,
    closing: CancellationToken,
) -> Router {
    let (reporter, health) = tonic_health::server::health_reporter();
    tokio::spawn(report(reporter, info, closing));
    let router = router.add_service(health);
    // The descriptors are compiled in and were read by the compiler that made them.
    let reflection = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name(KV)
            .with_service_name(ADMIN)
            .with_service_name(tonic_health::pb::health_server::SERVICE_NAME)
    };
    match (reflection().build_v1(), reflection().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => router
            .add_service(InterceptedService::new(v1, known.clone()))
            .add_service(InterceptedService::new(v1alpha, known)),
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "no reflection: the descriptors cannot be read");
            router
        }
    }
}

/// Follows whether the node is ready.
async fn report(reporter: HealthReporter, info: Arc<dyn ClusterInfo>, closing: CancellationToken) {
    let services = [WHOLE, KV, ADMIN];
    let set = async |status| {
        for service in services {
            reporter.set_service_status(service, status).await;
        }
    };
    set(ServingStatus::NotServing).await;
    let mut was_ready = false;
    // A node's own readiness is part of the topology it tells.
    let mut changes = pin!(info.topologies().take_until(closing.cancelled()));
    while changes.next().await.is_some() {
        let is_ready = info.is_ready();
        // Every status that is set is told to all who watch.
        if is_ready != was_ready {
            set(if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing }).await;
            was_ready = is_ready;
        }
    }
    set(ServingStatus::NotServing).await;
    // A watch without its service ends; until then it would hold up the server.
    for service in services {
        reporter.clone().clear_service_status(service).await;
    }
}
