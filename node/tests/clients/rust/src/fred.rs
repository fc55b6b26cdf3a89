//! The crate `fred`: one node or the cluster.

use crate::harness::{self, Cache, Secrets, addresses, refused, tell};
use anyhow::{Result, bail, ensure};
use fred::{
    prelude::*,
    types::{
        ClusterHash, CustomCommand,
        config::{TlsConfig, TlsConnector},
    },
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use std::time::{Duration, Instant};

const VERSION: &str = "10.1.0";
const MANY: usize = 100;
const TIMEOUT: Duration = Duration::from_secs(2);

struct Fred(Client);

async fn open(variant: &str, secrets: &Secrets) -> Result<Client> {
    let nodes: Vec<Server> = addresses().into_iter().map(|(host, port)| Server::new(host, port)).collect();
    let server = match variant {
        "single" => ServerConfig::Centralized { server: nodes[0].clone() },
        "cluster" => ServerConfig::Clustered { hosts: nodes, policy: Default::default() },
        _ => bail!("fred has no variant {variant}"),
    };
    let mut config = Config { server, version: fred::types::RespVersion::RESP3, ..Config::default() };
    config.password.clone_from(&secrets.password);
    config.tls = secrets.ca.as_deref().map(connector).transpose()?;
    let client = Builder::from_config(config)
        .with_performance_config(|performance| performance.default_command_timeout = TIMEOUT)
        .with_connection_config(|connection| connection.connection_timeout = TIMEOUT)
        .set_policy(ReconnectPolicy::new_constant(0, 200))
        .build()?;
    client.init().await?;
    Ok(client)
}

fn connector(ca: &[u8]) -> Result<TlsConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca)?)?;
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(config).into())
}

/// A command that fred does not know, sent by the key it is about.
async fn send<T: FromValue>(client: &Client, words: &[&str]) -> Result<T, Error> {
    let key = words.last().copied().unwrap_or_default();
    let hash = ClusterHash::Custom(fred::util::redis_keyslot(key.as_bytes()));
    client.custom(CustomCommand::new(words[0], hash, false), words[1..].to_vec()).await
}

pub async fn run(variant: &str, mode: &str) -> Result<()> {
    harness::announce(&format!("fred {VERSION} {variant}"));
    if mode == "secured" {
        tell("password, TLS", password_tls(variant).await);
        return Ok(());
    }
    let client = open(variant, &Secrets::default()).await?;
    if mode == "kill" {
        let name = format!("fred-{variant}");
        tell("node killed", harness::node_killed(&name, variant == "cluster", &mut Fred(client)).await);
        return Ok(());
    }
    let c = &client;
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

async fn ping(c: &Client) -> Result<&'static str> {
    let answer: String = c.ping(None).await?;
    ensure!(answer == "PONG", "{answer}");
    Ok("")
}

async fn set_get(c: &Client, variant: &str) -> Result<&'static str> {
    let key = format!("fred:{variant}:a");
    let () = c.set(&key, "hello", None, None, false).await?;
    let (got, missing): (String, Option<String>) =
        (c.get(&key).await?, c.get(format!("{key}:missing")).await?);
    ensure!(got == "hello" && missing.is_none(), "{got} {missing:?}");
    Ok("")
}

async fn binary(c: &Client, variant: &str) -> Result<&'static str> {
    let key = [b"fred:\0\xff\r\n", variant.as_bytes()].concat();
    let value: Vec<u8> = (0..=255).cycle().take(65_536).collect();
    let () = c.set(key.as_slice(), value.as_slice(), None, None, false).await?;
    ensure!(c.get::<Vec<u8>, _>(key.as_slice()).await? == value, "another value came back");
    Ok("")
}

async fn delete(c: &Client, variant: &str) -> Result<&'static str> {
    let key = format!("fred:{variant}:gone");
    let () = c.set(&key, "x", None, None, false).await?;
    let (deleted, exists): (u64, u64) = (c.del(&key).await?, c.exists(&key).await?);
    ensure!(deleted == 1 && exists == 0, "{deleted} {exists}");
    Ok("")
}

async fn expiry(c: &Client, variant: &str) -> Result<&'static str> {
    let key = format!("fred:{variant}:expiring");
    let () = c.set(&key, "x", Some(Expiration::EX(100)), None, false).await?;
    let ttl: i64 = c.ttl(&key).await?;
    let changed: i64 = c.pexpire(&key, 5000, None).await?;
    let left: i64 = c.pttl(&key).await?;
    let persisted: i64 = c.persist(&key).await?;
    let never: i64 = c.ttl(&key).await?;
    ensure!(
        [99, 100].contains(&ttl) && changed == 1 && (4001..=5000).contains(&left),
        "{ttl} {changed} {left}"
    );
    ensure!(persisted == 1 && never == -1, "{persisted} {never}");
    let () = c.set(&key, "x", Some(Expiration::PX(30)), None, false).await?;
    let deadline = Instant::now() + harness::PATIENCE;
    while c.get::<Option<String>, _>(&key).await?.is_some() {
        ensure!(Instant::now() < deadline, "it does not expire");
    }
    Ok("")
}

async fn batch(c: &Client, variant: &str) -> Result<&'static str> {
    // In cluster mode fred takes commands of many keys only where a tag keeps them together.
    let tag = if variant == "cluster" { "{fred:batch}" } else { "fred:batch:" };
    let pairs: Vec<(String, String)> = (0..MANY).map(|i| (format!("{tag}{i}"), i.to_string())).collect();
    let keys: Vec<String> = pairs.iter().map(|(key, _)| key.clone()).collect();
    let () = c.mset(pairs).await?;
    let values: Vec<usize> = c.mget(keys.clone()).await?;
    ensure!(values.iter().copied().eq(0..MANY), "{values:?}");
    let deleted: usize = c.del(keys).await?;
    ensure!(deleted == MANY, "{deleted}");
    Ok(if variant == "cluster" { "keys with one tag" } else { "" })
}

async fn pipeline(c: &Client, variant: &str) -> Result<&'static str> {
    let pipeline = c.pipeline();
    for i in 0..500_i64 {
        let key = format!("fred:{variant}:p{i}");
        let () = pipeline.set(&key, i, None, None, false).await?;
        let () = pipeline.get(&key).await?;
    }
    let answers: Vec<Value> = pipeline.all().await?;
    let values = answers.iter().skip(1).step_by(2).filter_map(Value::as_i64);
    ensure!(answers.len() == 1000 && values.eq(0..500), "{} answers", answers.len());
    Ok("")
}

async fn level(c: &Client, variant: &str) -> Result<&'static str> {
    let key = format!("fred:{variant}:level");
    let () = send(c, &["CL", "QUORUM", "SET", &key, &key]).await?;
    let value: String = send(c, &["CL", "ALL", "GET", &key]).await?;
    ensure!(value == key, "{value}");
    refused(send::<Value>(c, &["CL", "MOST", "GET", "x"]).await, "unknown consistency level")?;
    if variant == "cluster" {
        return Ok("per command only");
    }
    let () = send(c, &["CL", "QUORUM"]).await?;
    let level: String = send(c, &["CL"]).await?;
    ensure!(level == "QUORUM", "{level}");
    Ok("")
}

async fn refusal(c: &Client, variant: &str) -> Result<&'static str> {
    refused(c.incr::<Value, _>(format!("fred:{variant}:n")).await, "read-modify-write")?;
    ping(c).await
}

async fn password_tls(variant: &str) -> Result<&'static str> {
    let client = open(variant, &Secrets::right()?).await?;
    let () = client.set("fred:secret", "secret", None, None, false).await?;
    ensure!(client.get::<String, _>("fred:secret").await? == "secret", "another value came back");
    for secrets in Secrets::wrong()? {
        // It goes on trying to connect.
        let stranger = tokio::time::timeout(TIMEOUT, open(variant, &secrets)).await;
        ensure!(!matches!(stranger, Ok(Ok(_))), "a stranger was let in");
    }
    Ok("")
}

impl Cache for Fred {
    async fn write(&mut self, key: &str) -> Result<()> {
        Ok(send(&self.0, &["CL", "QUORUM", "SET", key, key]).await?)
    }

    async fn read(&mut self, key: &str) -> Result<Option<String>> {
        Ok(send(&self.0, &["CL", "QUORUM", "GET", key]).await?)
    }
}
