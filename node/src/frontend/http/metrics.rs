use super::route::{Answer, Form, Route, Served};
use crate::{admin::ClusterInfo, auth::Scope};
use axum::{
    extract::State,
    http::{HeaderName, Method, header::CONTENT_TYPE},
};
use std::sync::Arc;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Info = Arc<dyn ClusterInfo>;

static METRICS: Route = Route {
    method: Method::GET,
    path: "/metrics",
    name: "metrics",
    summary: "All counters of the node",
    scope: Some(Scope::Read),
    parameters: &[],
    body: &[],
    answers: &[Answer {
        status: 200,
        about: "OpenMetrics text.",
        forms: &[Form::plain("application/openmetrics-text")],
        headers: &[],
    }],
    problems: &[],
};

pub(super) fn routes(info: Info) -> Vec<Served> {
    vec![METRICS.by(metrics, info)]
}

async fn metrics(State(info): State<Info>) -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, OPENMETRICS)], info.metrics_text())
}

#[cfg(test)]
mod tests {
    use super::{
        super::{route::router, testing::*},
        *,
    };

    #[tokio::test]
    async fn metrics_are_openmetrics_text() {
        let answer = ask(router(routes(info(true))), "GET", "/metrics").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "shoal_entries 5\n# EOF\n"));
        assert_eq!(
            answer.header("content-type"),
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        );
    }
}
