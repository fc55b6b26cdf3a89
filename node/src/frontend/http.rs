//! The HTTP door: health and metrics.

use crate::admin::ClusterInfo;
use axum::{
    Router,
    extract::State,
    http::{HeaderName, StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use serde::Serialize;
use std::{io, sync::Arc};
use tokio::net::TcpListener;

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const JSON_TYPE: &str = "application/json";

type Info = Arc<dyn ClusterInfo>;

/// The routes:
/// - `/health/live`: 200 as long as the process answers;
/// - `/health/ready`: 200 once the node has its ring record and every vnode it owns is rebuilt, 503 before;
/// - `/metrics`: all counters in OpenMetrics text.
pub fn router(info: Info) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(info)
}

/// Serves the routes until `shutdown` resolves and the requests under way are answered.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    vnodes_ready: u32,
    vnodes_owned: u32,
}

async fn live() -> &'static str {
    "live\n"
}

async fn ready(State(info): State<Info>) -> (StatusCode, [(HeaderName, &'static str); 1], String) {
    let stats = info.stats();
    let readiness = Readiness {
        ready: info.is_ready(),
        vnodes_ready: stats.vnodes_ready,
        vnodes_owned: stats.vnodes_owned,
    };
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // Three plain fields always serialize.
    let body = serde_json::to_string(&readiness).unwrap_or_default();
    (status, [(CONTENT_TYPE, JSON_TYPE)], body)
}

async fn metrics(State(info): State<Info>) -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, METRICS_TYPE)], info.metrics_text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{ClusterStatus, NodeAddress, NodeReport, NodeStats, SlotRange, Topology};
    use axum::{body::Body, http::Request};
    use futures::{
        FutureExt as _, StreamExt as _,
        future::{BoxFuture, ready},
        stream::BoxStream,
    };
    use shoal_proto::types::NodeId;
    use std::collections::BTreeMap;
    use tower::ServiceExt as _;

    struct Fake {
        ready: bool,
    }

    impl ClusterInfo for Fake {
        fn me(&self) -> NodeAddress {
            NodeAddress { node_id: id(), redis_id: String::new(), host: "127.0.0.1".into(), port: 7379 }
        }

        fn key_slot(&self, _key: &[u8]) -> u16 {
            0
        }

        fn slot_ranges(&self) -> Vec<SlotRange> {
            Vec::new()
        }

        fn stats(&self) -> NodeStats {
            NodeStats {
                vnodes_owned: 8,
                vnodes_ready: if self.ready { 8 } else { 3 },
                ..NodeStats::default()
            }
        }

        fn status(&self) -> ClusterStatus {
            ClusterStatus {
                cluster: "shoal".into(),
                cluster_id: 1,
                epoch: 1,
                phase: 3,
                vnodes: 8,
                replicas: 1,
                me: id(),
                nodes: Vec::new(),
            }
        }

        fn survey(&self) -> BoxFuture<'_, BTreeMap<NodeId, NodeReport>> {
            ready(BTreeMap::from([(id(), NodeReport { stats: self.stats(), ..NodeReport::default() })]))
                .boxed()
        }

        fn topologies(&self) -> BoxStream<'static, Topology> {
            futures::stream::empty().boxed()
        }

        fn is_ready(&self) -> bool {
            self.ready
        }

        fn metrics_text(&self) -> String {
            "shoal_entries 5\n# EOF\n".into()
        }
    }

    fn id() -> NodeId {
        NodeId::new("127.0.0.1:7382").unwrap()
    }

    /// Status, content type and body of a GET.
    async fn get(ready: bool, path: &str) -> (u16, String, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(Arc::new(Fake { ready })).oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let content_type = head.headers.get(CONTENT_TYPE).map(|v| v.to_str().unwrap().to_owned());
        let bytes = axum::body::to_bytes(body, 1024).await.unwrap();
        (head.status.as_u16(), content_type.unwrap_or_default(), String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_node_that_rebuilds_is_live_but_not_ready() {
        assert_eq!(get(false, "/health/live").await.0, 200);
        let (status, content_type, body) = get(false, "/health/ready").await;
        assert_eq!((status, content_type.as_str()), (503, "application/json"));
        assert_eq!(body, r#"{"ready":false,"vnodes_ready":3,"vnodes_owned":8}"#);
        let (status, _, body) = get(true, "/health/ready").await;
        assert_eq!(status, 200);
        assert_eq!(body, r#"{"ready":true,"vnodes_ready":8,"vnodes_owned":8}"#);
    }

    #[tokio::test]
    async fn metrics_are_openmetrics_text() {
        let (status, content_type, body) = get(true, "/metrics").await;
        assert_eq!((status, body.as_str()), (200, "shoal_entries 5\n# EOF\n"));
        assert_eq!(content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    }

    #[tokio::test]
    async fn other_paths_are_not_found() {
        assert_eq!(get(true, "/").await.0, 404);
    }

    #[tokio::test]
    async fn the_door_serves_until_it_is_told_to_stop() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let shutdown = async { stopped.await.unwrap_or_default() };
        let server = tokio::spawn(serve(listener, router(Arc::new(Fake { ready: true })), shutdown));
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut reply = String::new();
        client.read_to_string(&mut reply).await.unwrap();
        assert!(reply.starts_with("HTTP/1.1 200 OK") && reply.ends_with("live\n"), "{reply}");
        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
    }
}
