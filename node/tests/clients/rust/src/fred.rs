//! The crate `fred`: one node or the cluster.

use crate::{
    harness::{self, Secrets, addresses, tell},
    scenarios::{self, Methods},
};
use anyhow::{Result, bail, ensure};
use fred::{
    prelude::*,
    types::{
        ClusterHash, CustomCommand,
        config::{TlsConfig, TlsConnector},
    },
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use std::time::Duration;

const VERSION: &str = "10.1.0";
const TIMEOUT: Duration = Duration::from_secs(2);

struct Fred {
    variant: String,
    client: Client,
}

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
    let mut client = Fred { variant: variant.into(), client: open(variant, &Secrets::default()).await? };
    if mode == "kill" {
        let name = format!("fred-{variant}");
        tell("node killed", harness::node_killed(&name, client.is_cluster(), &mut client).await);
    } else {
        scenarios::run(&mut client).await;
    }
    Ok(())
}

impl Methods for Fred {
    fn name(&self) -> String {
        format!("fred:{}", self.variant)
    }

    /// In cluster mode fred takes commands of many keys only where a tag keeps them together.
    fn splits_batches(&self) -> bool {
        !self.is_cluster()
    }

    fn splits_pipelines(&self) -> bool {
        true
    }

    fn is_cluster(&self) -> bool {
        self.variant == "cluster"
    }

    async fn ping(&mut self) -> Result<String> {
        Ok(self.client.ping(None).await?)
    }

    async fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.client.set(key, value, None, None, false).await?)
    }

    async fn set_ex(&mut self, key: &str, value: &str, seconds: u32) -> Result<()> {
        Ok(self.client.set(key, value, Some(Expiration::EX(seconds.into())), None, false).await?)
    }

    async fn set_px(&mut self, key: &str, value: &str, millis: u32) -> Result<()> {
        Ok(self.client.set(key, value, Some(Expiration::PX(millis.into())), None, false).await?)
    }

    async fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.client.get(key).await?)
    }

    async fn del(&mut self, keys: &[String]) -> Result<usize> {
        Ok(self.client.del(keys.to_vec()).await?)
    }

    async fn exists(&mut self, key: &str) -> Result<bool> {
        Ok(self.client.exists(key).await?)
    }

    async fn ttl(&mut self, key: &str) -> Result<i64> {
        Ok(self.client.ttl(key).await?)
    }

    async fn pttl(&mut self, key: &str) -> Result<i64> {
        Ok(self.client.pttl(key).await?)
    }

    async fn pexpire(&mut self, key: &str, millis: u32) -> Result<bool> {
        Ok(self.client.pexpire(key, millis.into(), None).await?)
    }

    async fn persist(&mut self, key: &str) -> Result<bool> {
        Ok(self.client.persist(key).await?)
    }

    async fn mset(&mut self, pairs: &[(String, usize)]) -> Result<()> {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(key, value)| (key.clone(), value.to_string())).collect();
        Ok(self.client.mset(pairs).await?)
    }

    async fn mget(&mut self, keys: &[String]) -> Result<Vec<usize>> {
        Ok(self.client.mget(keys.to_vec()).await?)
    }

    async fn incr(&mut self, key: &str) -> Result<i64> {
        Ok(self.client.incr(key).await?)
    }

    async fn pipeline(&mut self, pairs: &[(String, usize)]) -> Result<Vec<usize>> {
        let pipeline = self.client.pipeline();
        for (key, value) in pairs {
            let () = pipeline.set(key, value.to_string(), None, None, false).await?;
            let () = pipeline.get(key).await?;
        }
        let answers: Vec<Value> = pipeline.all().await?;
        ensure!(answers.len() == 2 * pairs.len(), "{} answers", answers.len());
        answers.into_iter().skip(1).step_by(2).map(|answer| Ok(answer.convert()?)).collect()
    }

    async fn send(&mut self, words: &[&str]) -> Result<Option<String>> {
        Ok(send(&self.client, words).await?)
    }
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
