//! The crate `redis`: blocking or asynchronous, one node or the cluster.

use crate::{
    harness::{self, Secrets, addresses, tell},
    scenarios::{self, Methods},
};
use anyhow::{Result, bail, ensure};
use redis::{
    Client, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo, Pipeline, ProtocolVersion, RedisResult,
    TlsCertificates, Value,
    aio::{ConnectionManager, ConnectionManagerConfig},
    cluster::{ClusterClient, ClusterConnection},
    cluster_async, cmd,
};
use std::time::Duration;

const VERSION: &str = "1.8.1";
const TIMEOUT: Duration = Duration::from_secs(2);

struct Redis {
    variant: String,
    connection: Connection,
}

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
    let connection = Connection::open(variant, &Secrets::default()).await?;
    let mut client = Redis { variant: variant.into(), connection };
    if mode == "kill" {
        let name = format!("redis-{variant}");
        tell("node killed", harness::node_killed(&name, client.is_cluster(), &mut client).await);
    } else {
        scenarios::run(&mut client).await;
    }
    Ok(())
}

impl Methods for Redis {
    fn name(&self) -> String {
        format!("rs:{}", self.variant)
    }

    fn splits_batches(&self) -> bool {
        true
    }

    /// The asynchronous cluster client sends a pipeline to one node.
    fn splits_pipelines(&self) -> bool {
        !matches!(self.connection, Connection::ClusterAsync(_))
    }

    fn is_cluster(&self) -> bool {
        matches!(self.connection, Connection::Cluster(_) | Connection::ClusterAsync(_))
    }

    async fn ping(&mut self) -> Result<String> {
        Ok(self.connection.call(&cmd("PING")).await?)
    }

    async fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.connection.call(&Cmd::set(key, value)).await?)
    }

    async fn set_ex(&mut self, key: &str, value: &str, seconds: u32) -> Result<()> {
        Ok(self.connection.call(&Cmd::set_ex(key, value, seconds.into())).await?)
    }

    async fn set_px(&mut self, key: &str, value: &str, millis: u32) -> Result<()> {
        Ok(self.connection.call(&Cmd::pset_ex(key, value, millis.into())).await?)
    }

    async fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.connection.call(&Cmd::get(key)).await?)
    }

    async fn del(&mut self, keys: &[String]) -> Result<usize> {
        Ok(self.connection.call(&Cmd::del(keys)).await?)
    }

    async fn exists(&mut self, key: &str) -> Result<bool> {
        Ok(self.connection.call(&Cmd::exists(key)).await?)
    }

    async fn ttl(&mut self, key: &str) -> Result<i64> {
        Ok(self.connection.call(&Cmd::ttl(key)).await?)
    }

    async fn pttl(&mut self, key: &str) -> Result<i64> {
        Ok(self.connection.call(&Cmd::pttl(key)).await?)
    }

    async fn pexpire(&mut self, key: &str, millis: u32) -> Result<bool> {
        Ok(self.connection.call(&Cmd::pexpire(key, millis.into())).await?)
    }

    async fn persist(&mut self, key: &str) -> Result<bool> {
        Ok(self.connection.call(&Cmd::persist(key)).await?)
    }

    async fn mset(&mut self, pairs: &[(String, usize)]) -> Result<()> {
        Ok(self.connection.call(&Cmd::mset(pairs)).await?)
    }

    async fn mget(&mut self, keys: &[String]) -> Result<Vec<usize>> {
        Ok(self.connection.call(&Cmd::mget(keys)).await?)
    }

    async fn incr(&mut self, key: &str) -> Result<i64> {
        Ok(self.connection.call(&Cmd::incr(key, 1)).await?)
    }

    async fn pipeline(&mut self, pairs: &[(String, usize)]) -> Result<Vec<usize>> {
        if let Connection::Cluster(connection) = &mut self.connection {
            let mut pipeline = redis::cluster::cluster_pipe();
            for (key, value) in pairs {
                pipeline.set(key, value).ignore().get(key);
            }
            return Ok(pipeline.query(connection)?);
        }
        let mut pipeline = redis::pipe();
        for (key, value) in pairs {
            pipeline.set(key, value).ignore().get(key);
        }
        Ok(self.connection.pipe(&pipeline).await?)
    }

    async fn send(&mut self, words: &[&str]) -> Result<Option<String>> {
        Ok(self.connection.call(cmd(words[0]).arg(&words[1..])).await?)
    }
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
