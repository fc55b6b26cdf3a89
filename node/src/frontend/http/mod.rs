//! The HTTP door: REST, health, metrics, and the page that shows the cluster.
//!
//! ```text
//! connection -> server -> router -> guard -> cache -> coordinator
//!                               |     |---> metrics, cluster -> ClusterInfo
//!                               |     `---> page, openapi
//!                               `-> health -> ClusterInfo
//! ```
//!
//! Each module lists its routes with all they take and answer (`route`); the router and the document for programs are both
//! made of that.
//!
//! Errors are problems (RFC 9457), whoever finds them.

mod buffers;
mod cache;
mod cluster;
mod guard;
mod health;
mod metrics;
mod openapi;
mod page;
mod percent;
mod problem;
mod route;
mod server;
#[cfg(test)]
mod testing;

pub use server::serve;

#[cfg(any(test, fuzzing))]
pub(crate) use cache::fuzzing;

use super::{Door, Gate};
use crate::admin::ClusterInfo;
use axum::{
    Router,
    http::{Method, Uri},
};
use problem::Problem;
use std::sync::Arc;

/// The routes:
/// - `/cache`, `/cache/{key}`: the cache, over REST;
/// - `/`: a page that shows the cluster, and `/cluster.json`, which it shows;
/// - `/health/live`: 200 as long as the process answers;
/// - `/health/ready`: 200 once the node has its ring record and every vnode it owns is rebuilt, 503 before;
/// - `/metrics`: all counters in OpenMetrics text;
/// - `/openapi.json`: all routes, for programs.
///
/// Health is for everybody: those who ask have no secret, and learn nothing of the data. All else is for whom `gate` lets in.
pub fn router(door: Door, gate: Gate, info: Arc<dyn ClusterInfo>) -> Router {
    let routes = [
        cache::routes(door),
        page::routes(),
        cluster::routes(info.clone()),
        health::routes(info.clone()),
        metrics::routes(info),
    ];
    let served = openapi::with_document(routes.into_iter().flatten().collect());
    with_fallbacks(route::router(served.into_iter().map(|served| served.behind(&gate)).collect()))
}

/// Adds answers for what no route answers.
fn with_fallbacks(router: Router) -> Router {
    // Axum adds the header `Allow` to the second.
    router.fallback(no_such_path).method_not_allowed_fallback(method_not_allowed)
}

async fn no_such_path(uri: Uri) -> Problem {
    Problem::no_such_path(uri.path())
}

async fn method_not_allowed(method: Method) -> Problem {
    Problem::method_not_allowed(&method)
}

#[cfg(test)]
mod tests {
    use super::{testing::*, *};
    use axum::http::header::ALLOW;

    #[tokio::test]
    async fn what_no_route_answers_is_a_problem() {
        let router = || with_fallbacks(route::router(health::routes(info(true))));
        let answer = ask(router(), "GET", "/nothing").await;
        assert_eq!(answer.status, 404);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(
            answer.body,
            r#"{"type":"urn:shoal:problem:no_such_path","title":"No such path","status":404,"detail":"nothing is served at /nothing","kind":"no_such_path"}"#
        );
        let answer = ask(router(), "POST", "/health/live").await;
        assert_eq!((answer.status, answer.header(ALLOW.as_str())), (405, "GET,HEAD"));
        assert!(answer.body.contains(r#""kind":"method_not_allowed""#), "{}", answer.body);
    }
}
