//! REST with values as plain bytes.

use super::{CONNECT_TIMEOUT, Failure};
use crate::cli::{bench::options::Plan, token::HINT};
use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, ResponseFuture, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use shoal_node::tls::{self, Connector};
use shoal_proto::types::MAX_VALUE_BYTES;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

const OCTETS: &str = "application/octet-stream";
/// A value and what may be around it.
const MAX_BODY_BYTES: usize = MAX_VALUE_BYTES + 64 * 1024;

/// The connections of all workers, which are reused.
#[derive(Clone)]
pub(crate) struct Doors {
    plan: Arc<Plan>,
    client: Http,
}

#[derive(Clone)]
enum Http {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Secured(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// One worker's node.
pub(crate) struct Connection {
    doors: Doors,
    node: String,
}

impl Doors {
    /// # Errors
    /// When a file of TLS cannot be used.
    pub(crate) fn new(plan: &Arc<Plan>) -> anyhow::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_max_idle_per_host(plan.concurrency * plan.pipeline);
        let client = match plan.tls.connector()? {
            None => Http::Plain(builder.build(connector)),
            Some(tls) => Http::Secured(builder.build(secured(connector, &tls)?)),
        };
        Ok(Self { plan: plan.clone(), client })
    }

    /// Asks a node whether it lives.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub(crate) async fn connect(&self, node: usize) -> anyhow::Result<Connection> {
        let node = self.plan.nodes[node].to_string();
        let connection = Connection { doors: self.clone(), node };
        let answer = async {
            let request = connection.request(Method::GET, "/health/live".into(), Bytes::new())?;
            connection.exchange(request).await
        };
        let reach = || format!("cannot reach {}", connection.node);
        let answer = timeout(CONNECT_TIMEOUT, answer).await.with_context(reach)?;
        let (status, _) = answer.with_context(reach)?;
        anyhow::ensure!(
            status == StatusCode::OK,
            "{} is no node: {status} for /health/live",
            connection.node
        );
        // Health is told to everybody.
        let (status, _) =
            connection.exchange(connection.request(Method::HEAD, "/".into(), Bytes::new())?).await?;
        anyhow::ensure!(status != StatusCode::UNAUTHORIZED, "cannot use {}: {HINT}", connection.node);
        Ok(connection)
    }
}

fn secured(mut inner: HttpConnector, tls: &Connector) -> anyhow::Result<HttpsConnector<HttpConnector>> {
    // It would refuse `https`.
    inner.enforce_http(false);
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls.config()).https_only();
    let builder = match tls.name() {
        Some(name) => {
            builder.with_server_name_resolver(FixedServerNameResolver::new(name.to_owned().try_into()?))
        }
        None => builder,
    };
    Ok(builder.enable_http1().wrap_connector(inner))
}

impl Http {
    fn scheme(&self) -> &'static str {
        match self {
            Self::Plain(_) => "http",
            Self::Secured(_) => "https",
        }
    }

    fn request(&self, request: Request<Full<Bytes>>) -> ResponseFuture {
        match self {
            Self::Plain(client) => client.request(request),
            Self::Secured(client) => client.request(request),
        }
    }
}

impl Connection {
    /// Reads a key; `None` on a miss.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Bytes>, Failure> {
        let path = format!("/cache/{key}{}", self.query(None));
        match self.exchange(self.request(Method::GET, path, Bytes::new())?).await? {
            (StatusCode::OK, value) => Ok(Some(value)),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, _) => Err(refused(status)),
        }
    }

    /// Writes a key.
    pub(crate) async fn set(&self, key: &str, value: Vec<u8>, ttl: Option<Duration>) -> Result<(), Failure> {
        let path = format!("/cache/{key}{}", self.query(ttl));
        let (status, _) = self.exchange(self.request(Method::POST, path, value.into())?).await?;
        if status.is_success() { Ok(()) } else { Err(refused(status)) }
    }

    fn query(&self, ttl: Option<Duration>) -> String {
        let level = self.doors.plan.consistency.map(|level| format!("consistency={level}"));
        let ttl = ttl.map(|ttl| format!("ttlSeconds={}", ttl.as_secs()));
        let parts: Vec<String> = level.into_iter().chain(ttl).collect();
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }

    fn request(&self, method: Method, path: String, body: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
        let secret = self.doors.plan.secret.iter();
        let known = secret.map(|secret| format!("Bearer {}", secret.reveal()));
        known
            .fold(Request::builder(), |request, value| request.header(header::AUTHORIZATION, value))
            .method(method)
            .uri(format!("{}://{}{path}", self.doors.client.scheme(), self.node))
            .header(header::ACCEPT, OCTETS)
            .header(header::CONTENT_TYPE, OCTETS)
            .body(Full::new(body))
            .map_err(|_| Failure::refused("invalid"))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Failure> {
        let answer = self.doors.client.request(request).await.map_err(|error| match tls::fault(&error) {
            Some(fault) => Failure::lost(fault),
            None => Failure::lost(if error.is_connect() { "cannot connect" } else { "connection lost" }),
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_BODY_BYTES).collect().await;
        Ok((head.status, body.map_err(|_| Failure::lost("connection lost"))?.to_bytes()))
    }
}

fn refused(status: StatusCode) -> Failure {
    Failure::refused(format!("HTTP {}", status.as_u16()))
}
