use super::route::{Answer, Form, Route, Served};
use crate::admin::ClusterInfo;
use axum::{
    Json,
    extract::State,
    http::{Method, StatusCode},
};
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

type Info = Arc<dyn ClusterInfo>;

static LIVE: Route = Route {
    method: Method::GET,
    path: "/health/live",
    name: "live",
    summary: "Whether the process answers",
    scope: None,
    parameters: &[],
    body: &[],
    answers: &[Answer { status: 200, about: "It does.", forms: &[Form::plain("text/plain")], headers: &[] }],
    problems: &[],
};

static READY: Route = Route {
    method: Method::GET,
    path: "/health/ready",
    name: "ready",
    summary: "Whether the node has its ring record and votes for all its vnodes",
    scope: None,
    parameters: &[],
    body: &[],
    answers: &[readiness(200, "It does."), readiness(503, "It does not yet.")],
    problems: &[],
};

const READINESS: &[Form] = &[Form::json::<Readiness>()];

const fn readiness(status: u16, about: &'static str) -> Answer {
    Answer { status, about, forms: READINESS, headers: &[] }
}

pub(super) fn routes(info: Info) -> Vec<Served> {
    vec![LIVE.by(live, ()), READY.by(ready, info)]
}

/// How far a node is.
#[derive(Serialize, JsonSchema)]
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
    use super::{
        super::{route::router, testing::*},
        *,
    };

    #[tokio::test]
    async fn a_node_that_rebuilds_is_live_but_not_ready() {
        let answer = async |ready, path| ask(router(routes(info(ready))), "GET", path).await;
        assert_eq!(answer(false, "/health/live").await.status, 200);
        let rebuilding = answer(false, "/health/ready").await;
        assert_eq!((rebuilding.status, rebuilding.header("content-type")), (503, "application/json"));
        assert_eq!(rebuilding.body, r#"{"ready":false,"vnodes_ready":3,"vnodes_owned":8}"#);
        let rebuilt = answer(true, "/health/ready").await;
        assert_eq!(rebuilt.status, 200);
        assert_eq!(rebuilt.body, r#"{"ready":true,"vnodes_ready":8,"vnodes_owned":8}"#);
    }
}
