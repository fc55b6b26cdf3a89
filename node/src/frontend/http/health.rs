use crate::admin::ClusterInfo;
use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde::Serialize;
use std::sync::Arc;

type Info = Arc<dyn ClusterInfo>;

pub(super) fn routes(info: Info) -> Router {
    Router::new().route("/health/live", get(live)).route("/health/ready", get(ready)).with_state(info)
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

async fn ready(State(info): State<Info>) -> (StatusCode, Json<Readiness>) {
    let stats = info.stats();
    let readiness = Readiness {
        ready: info.is_ready(),
        vnodes_ready: stats.vnodes_ready,
        vnodes_owned: stats.vnodes_owned,
    };
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[tokio::test]
    async fn a_node_that_rebuilds_is_live_but_not_ready() {
        let answer = async |ready, path| ask(routes(info(ready)), "GET", path).await;
        assert_eq!(answer(false, "/health/live").await.status, 200);
        let rebuilding = answer(false, "/health/ready").await;
        assert_eq!((rebuilding.status, rebuilding.header("content-type")), (503, "application/json"));
        assert_eq!(rebuilding.body, r#"{"ready":false,"vnodes_ready":3,"vnodes_owned":8}"#);
        let rebuilt = answer(true, "/health/ready").await;
        assert_eq!(rebuilt.status, 200);
        assert_eq!(rebuilt.body, r#"{"ready":true,"vnodes_ready":8,"vnodes_owned":8}"#);
    }
}
