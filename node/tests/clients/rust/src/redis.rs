//! The crate `redis`: blocking or asynchronous, one node or the cluster.

use crate::harness::{self, Cache, Secrets, addresses, refused, tell};
use anyhow::{Result, bail, ensure};
use redis::{
    Client, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo, Pipeline, ProtocolVersion, RedisResult,
    TlsCertificates, Value,
    aio::{ConnectionManager, ConnectionManagerConfig},
    cluster::{ClusterClient, ClusterConnection},
    cluster_async, cmd,
};
use std::time::{Duration, Instant};

const VERSION: &str = "1.8.1";
const MANY: usize = 100;
const TIMEOUT: Duration = Duration::from_secs(2);

/// What the crate calls a connection, four times.
enum Connection {
    Blocking(Client, Option<redis::Connection>),
    Asynchronous(ConnectionManager),
    Cluster(ClusterConnection),
    ClusterAsync(cluster_async::ClusterConnection),
}

impl Connection {
    async fn open(variant: &str, secrets: &Secrets) -> Result<Self> {
        let certificates = || TlsCertificates { client_tls: None, root_cert: secrets.ca.clone() };
        let nodes: Vec<_> = addresses()
            .into_iter()
            .map(|(host, port)| {
                let address = match secrets.ca {
                    Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
                    None => ConnectionAddr::Tcp(host, port),
                };
                let info = address.into_connection_info()?;
                let mut settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
                if let Some(password) = &secrets.password {
                    settings = settings.set_password(password);
                }
                RedisResult::Ok(info.set_redis_settings(settings))
            })
            .collect::<Result<_, _>>()?;
        let single = match secrets.ca {
            Some(_) => Client::build_with_tls(nodes[0].clone(), certificates())?,
            None => Client::open(nodes[0].clone())?,
        };
        let cluster = || {
            let mut builder =
                ClusterClient::builder(nodes.clone()).connection_timeout(TIMEOUT).response_timeout(TIMEOUT);
            if secrets.ca.is_some() {
                builder = builder.certs(certificates());
            }
            builder.build()
        };
        Ok(match variant {
            "sync" => Self::Blocking(single, None),
            "async" => Self::Asynchronous(single.get_connection_manager_with_config(manager()).await?),
            "cluster" => Self::Cluster(cluster()?.get_connection()?),
            "cluster-async" => Self::ClusterAsync(cluster()?.get_async_connection().await?),
            _ => bail!("redis has no variant {variant}"),
        })
    }

    async fn call<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::Blocking(client, connection) => {
                let result = command.query(opened(client, connection)?);
                // It does not connect again by itself.
                connection.take_if(|connection| !redis::ConnectionLike::is_open(connection));
                result
            }
            Self::Asynchronous(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query(connection),
            Self::ClusterAsync(connection) => command.query_async(connection).await,
        }
    }

    async fn pipe<T: FromRedisValue>(&mut self, pipeline: &Pipeline) -> RedisResult<T> {
        match self {
            Self::Blocking(client, connection) => pipeline.query(opened(client, connection)?),
            Self::Asynchronous(connection) => pipeline.query_async(connection).await,
            Self::Cluster(_) => unreachable!("it has pipelines of its own"),
            Self::ClusterAsync(connection) => pipeline.query_async(connection).await,
        }
    }
}

fn manager() -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_number_of_retries(3)
        .set_connection_timeout(Some(TIMEOUT))
        .set_response_timeout(Some(TIMEOUT))
}

fn opened<'a>(
    client: &Client,
    connection: &'a mut Option<redis::Connection>,
) -> RedisResult<&'a mut redis::Connection> {
    if connection.is_none() {
        let fresh = client.get_connection_with_timeout(TIMEOUT)?;
        fresh.set_read_timeout(Some(TIMEOUT))?;
        *connection = Some(fresh);
    }
    Ok(connection.as_mut().expect("it was opened"))
}

pub async fn run(variant: &str, mode: &str) -> Result<()> {
    harness::announce(&format!("redis (Rust) {VERSION} {variant}"));
    if mode == "secured" {
        tell("password, TLS", password_tls(variant).await);
        return Ok(());
    }
    let mut connection = Connection::open(variant, &Secrets::default()).await?;
    if mode == "kill" {
        let name = format!("redis-{variant}");
        tell(
            "node killed",
            harness::node_killed(&name, variant.starts_with("cluster"), &mut connection).await,
        );
        return Ok(());
    }
    let c = &mut connection;
    tell("connect", ping(c).await);
    tell("set, get", set_get(c, variant).await);
    tell("binary", binary(c, variant).await);
    tell("delete", delete(c, variant).await);
    tell("expiry", expiry(c, variant).await);
    tell("batch", batch(c, variant).await);
    tell("pipeline", pipeline(c, variant).await);
    tell("level", level(c, variant).await);
    tell("refusal", refusal(c, variant).await);
    Ok(())
}

async fn ping(c: &mut Connection) -> Result<&'static str> {
    let answer: String = c.call(&cmd("PING")).await?;
    ensure!(answer == "PONG", "{answer}");
    Ok("")
}

async fn set_get(c: &mut Connection, variant: &str) -> Result<&'static str> {
    let key = format!("rs:{variant}:a");
    let () = c.call(&Cmd::set(&key, "hello")).await?;
    let (got, missing): (String, Option<String>) =
        (c.call(&Cmd::get(&key)).await?, c.call(&Cmd::get(format!("{key}:missing"))).await?);
    ensure!(got == "hello" && missing.is_none(), "{got} {missing:?}");
    Ok("")
}

async fn binary(c: &mut Connection, variant: &str) -> Result<&'static str> {
    let key = [b"rs:\0\xff\r\n", variant.as_bytes()].concat();
    let value: Vec<u8> = (0..=255).cycle().take(65_536).collect();
    let () = c.call(&Cmd::set(&key, &value)).await?;
    ensure!(c.call::<Vec<u8>>(&Cmd::get(&key)).await? == value, "another value came back");
    Ok("")
}

async fn delete(c: &mut Connection, variant: &str) -> Result<&'static str> {
    let key = format!("rs:{variant}:gone");
    let () = c.call(&Cmd::set(&key, "x")).await?;
    let (deleted, exists): (u64, bool) = (c.call(&Cmd::del(&key)).await?, c.call(&Cmd::exists(&key)).await?);
    ensure!(deleted == 1 && !exists, "{deleted} {exists}");
    Ok("")
}

async fn expiry(c: &mut Connection, variant: &str) -> Result<&'static str> {
    let key = format!("rs:{variant}:expiring");
    let () = c.call(&Cmd::set_ex(&key, "x", 100)).await?;
    let ttl: i64 = c.call(&Cmd::ttl(&key)).await?;
    let changed: bool = c.call(&Cmd::pexpire(&key, 5000)).await?;
    let left: i64 = c.call(&Cmd::pttl(&key)).await?;
    let persisted: bool = c.call(&Cmd::persist(&key)).await?;
    let never: i64 = c.call(&Cmd::ttl(&key)).await?;
    ensure!([99, 100].contains(&ttl) && changed && (4001..=5000).contains(&left), "{ttl} {changed} {left}");
    ensure!(persisted && never == -1, "{persisted} {never}");
    let () = c.call(&Cmd::pset_ex(&key, "x", 30)).await?;
    let deadline = Instant::now() + harness::PATIENCE;
    while c.call::<Option<String>>(&Cmd::get(&key)).await?.is_some() {
        ensure!(Instant::now() < deadline, "it does not expire");
    }
    Ok("")
}

async fn batch(c: &mut Connection, variant: &str) -> Result<&'static str> {
    let pairs: Vec<(String, String)> =
        (0..MANY).map(|i| (format!("rs:{variant}:{i}"), i.to_string())).collect();
    let keys: Vec<&String> = pairs.iter().map(|(key, _)| key).collect();
    let () = c.call(&Cmd::mset(&pairs)).await?;
    let values: Vec<String> = c.call(&Cmd::mget(&keys)).await?;
    ensure!(values.iter().eq(pairs.iter().map(|(_, value)| value)), "{values:?}");
    let deleted: usize = c.call(&Cmd::del(&keys)).await?;
    ensure!(deleted == MANY, "{deleted}");
    Ok("")
}

async fn pipeline(c: &mut Connection, variant: &str) -> Result<&'static str> {
    if let Connection::Cluster(connection) = c {
        let mut pipeline = redis::cluster::cluster_pipe();
        for i in 0..500 {
            pipeline.set(format!("rs:{variant}:{i}"), i).ignore().get(format!("rs:{variant}:{i}"));
        }
        let values: Vec<usize> = pipeline.query(connection)?;
        ensure!(values.iter().copied().eq(0..500), "{values:?}");
        return Ok("");
    }
    // The asynchronous cluster client sends a pipeline to one node: a tag keeps its keys together.
    let mut pipeline = redis::pipe();
    for i in 0..500 {
        let key = format!("{{rs:{variant}}}:{i}");
        pipeline.set(&key, i).ignore().get(&key);
    }
    let values: Vec<usize> = c.pipe(&pipeline).await?;
    ensure!(values.iter().copied().eq(0..500), "{values:?}");
    Ok("")
}

async fn level(c: &mut Connection, variant: &str) -> Result<&'static str> {
    let key = format!("rs:{variant}:level");
    let () = c.call(cmd("CL").arg("QUORUM").arg("SET").arg(&key).arg("x")).await?;
    let value: String = c.call(cmd("CL").arg("ALL").arg("GET").arg(&key)).await?;
    ensure!(value == "x", "{value}");
    refused(c.call::<Value>(cmd("CL").arg("MOST").arg("GET").arg("x")).await, "unknown consistency level")?;
    if variant.starts_with("cluster") {
        return Ok("per command only");
    }
    let () = c.call(cmd("CL").arg("QUORUM")).await?;
    let level: String = c.call(&cmd("CL")).await?;
    ensure!(level == "QUORUM", "{level}");
    Ok("")
}

async fn refusal(c: &mut Connection, variant: &str) -> Result<&'static str> {
    refused(c.call::<Value>(&Cmd::incr(format!("rs:{variant}:n"), 1)).await, "read-modify-write")?;
    ping(c).await
}

async fn password_tls(variant: &str) -> Result<&'static str> {
    let mut connection = Connection::open(variant, &Secrets::right()?).await?;
    let () = connection.call(&Cmd::set("rs:secret", "secret")).await?;
    ensure!(connection.call::<String>(&Cmd::get("rs:secret")).await? == "secret", "another value came back");
    for secrets in Secrets::wrong()? {
        if let Ok(mut stranger) = Connection::open(variant, &secrets).await {
            let answer = stranger.call::<Value>(&Cmd::get("rs:secret")).await;
            ensure!(answer.is_err(), "a stranger was told {answer:?}");
        }
    }
    Ok("")
}

impl Cache for Connection {
    async fn write(&mut self, key: &str) -> Result<()> {
        Ok(self.call(cmd("CL").arg("QUORUM").arg("SET").arg(key).arg(key)).await?)
    }

    async fn read(&mut self, key: &str) -> Result<Option<String>> {
        Ok(self.call(cmd("CL").arg("QUORUM").arg("GET").arg(key)).await?)
    }
}
