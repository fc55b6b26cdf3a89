use crate::admin::ClusterInfo;
use axum::{
    Router,
    extract::State,
    http::{HeaderName, header::CONTENT_TYPE},
    routing::get,
};
use std::sync::Arc;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Info = Arc<dyn ClusterInfo>;

pub(super) fn routes(info: Info) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(info)
}

async fn metrics(State(info): State<Info>) -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, OPENMETRICS)], info.metrics_text())
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[tokio::test]
    async fn metrics_are_openmetrics_text() {
        let answer = ask(routes(info(true)), "GET", "/metrics").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "shoal_entries 5\n# EOF\n"));
        assert_eq!(
            answer.header("content-type"),
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        );
    }
}
