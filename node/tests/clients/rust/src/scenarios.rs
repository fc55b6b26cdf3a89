//! What is tried with every client, whatever it calls its methods.

use crate::harness::{Cache, PATIENCE, refused, tell};
use anyhow::{Result, ensure};
use std::{
    fmt,
    time::{Duration, Instant},
};

const MANY: usize = 100;

/// A client's own methods. What it has no method for is sent as words.
pub trait Methods {
    /// What its keys begin with.
    fn name(&self) -> String;
    /// Whether a command with many keys may have them on several nodes.
    fn splits_batches(&self) -> bool;
    /// Whether a pipeline may have its keys on several nodes.
    fn splits_pipelines(&self) -> bool;
    /// Whether each of its commands may go to another node, so that none can be about the connection.
    fn is_cluster(&self) -> bool;

    async fn ping(&mut self) -> Result<String>;
    async fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()>;
    /// For so many seconds.
    async fn set_ex(&mut self, key: &str, value: &str, seconds: u32) -> Result<()>;
    /// For so many milliseconds.
    async fn set_px(&mut self, key: &str, value: &str, millis: u32) -> Result<()>;
    async fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>>;
    /// How many there were.
    async fn del(&mut self, keys: &[String]) -> Result<usize>;
    async fn exists(&mut self, key: &str) -> Result<bool>;
    async fn ttl(&mut self, key: &str) -> Result<i64>;
    async fn pttl(&mut self, key: &str) -> Result<i64>;
    async fn pexpire(&mut self, key: &str, millis: u32) -> Result<bool>;
    async fn persist(&mut self, key: &str) -> Result<bool>;
    async fn mset(&mut self, pairs: &[(String, usize)]) -> Result<()>;
    async fn mget(&mut self, keys: &[String]) -> Result<Vec<usize>>;
    async fn incr(&mut self, key: &str) -> Result<i64>;
    /// Sets each key and gets it, all in one pipeline; what was got.
    async fn pipeline(&mut self, pairs: &[(String, usize)]) -> Result<Vec<usize>>;
    /// The last word, if it is not the only one, is the key.
    async fn send(&mut self, words: &[&str]) -> Result<Option<String>>;
}

impl<C: Methods> Cache for C {
    async fn write(&mut self, key: &str) -> Result<()> {
        self.send(&["CL", "QUORUM", "SET", key, key]).await.map(drop)
    }

    async fn read(&mut self, key: &str) -> Result<Option<String>> {
        self.send(&["CL", "QUORUM", "GET", key]).await
    }
}

pub async fn run(c: &mut impl Methods) {
    tell("connect", ping(c).await);
    tell("set, get", set_get(c).await);
    tell("binary", binary(c).await);
    tell("delete", delete(c).await);
    tell("expiry", expiry(c).await);
    tell("batch", batch(c).await);
    tell("pipeline", pipeline(c).await);
    tell("level", level(c).await);
    tell("refusal", refusal(c).await);
}

type Note = Result<&'static str>;

fn same<T: PartialEq + fmt::Debug>(got: T, wanted: T) -> Result<()> {
    ensure!(got == wanted, "{got:?} instead of {wanted:?}");
    Ok(())
}

async fn ping(c: &mut impl Methods) -> Note {
    same(&*c.ping().await?, "PONG")?;
    Ok("")
}

async fn set_get(c: &mut impl Methods) -> Note {
    let key = format!("{}:a", c.name());
    c.set(key.as_bytes(), b"hello").await?;
    same(c.get(key.as_bytes()).await?, Some(b"hello".into()))?;
    same(c.get(format!("{key}:missing").as_bytes()).await?, None)?;
    Ok("")
}

async fn binary(c: &mut impl Methods) -> Note {
    let key = [b"\0\xff\r\n", c.name().as_bytes()].concat();
    let value: Vec<u8> = (0..=255).cycle().take(65_536).collect();
    c.set(&key, &value).await?;
    ensure!(c.get(&key).await? == Some(value), "another value came back");
    Ok("")
}

async fn delete(c: &mut impl Methods) -> Note {
    let key = format!("{}:gone", c.name());
    c.set(key.as_bytes(), b"x").await?;
    same(c.del(std::slice::from_ref(&key)).await?, 1)?;
    same(c.exists(&key).await?, false)?;
    Ok("")
}

async fn expiry(c: &mut impl Methods) -> Note {
    let key = format!("{}:expiring", c.name());
    c.set_ex(&key, "x", 100).await?;
    let ttl = c.ttl(&key).await?;
    ensure!([99, 100].contains(&ttl), "{ttl}");
    same(c.pexpire(&key, 5000).await?, true)?;
    let left = c.pttl(&key).await?;
    ensure!((4001..=5000).contains(&left), "{left}");
    same(c.persist(&key).await?, true)?;
    same(c.ttl(&key).await?, -1)?;
    c.set_px(&key, "x", 30).await?;
    let deadline = Instant::now() + PATIENCE;
    while c.get(key.as_bytes()).await?.is_some() {
        ensure!(Instant::now() < deadline, "it does not expire");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok("")
}

/// So many keys with numbers; where they may not be on several nodes, a tag keeps them together.
fn pairs(name: &str, may_split: bool, many: usize) -> Vec<(String, usize)> {
    (0..many)
        .map(|i| (if may_split { format!("{name}:{i}") } else { format!("{{{name}}}:{i}") }, i))
        .collect()
}

async fn batch(c: &mut impl Methods) -> Note {
    let pairs = pairs(&c.name(), c.splits_batches(), MANY);
    let keys: Vec<String> = pairs.iter().map(|(key, _)| key.clone()).collect();
    c.mset(&pairs).await?;
    same(c.mget(&keys).await?, (0..MANY).collect())?;
    same(c.del(&keys).await?, MANY)?;
    Ok(if c.splits_batches() { "" } else { "keys with one tag" })
}

async fn pipeline(c: &mut impl Methods) -> Note {
    let pairs = pairs(&c.name(), c.splits_pipelines(), 500);
    same(c.pipeline(&pairs).await?, (0..500).collect())?;
    Ok("")
}

async fn level(c: &mut impl Methods) -> Note {
    let key = format!("{}:level", c.name());
    c.send(&["CL", "QUORUM", "SET", &key, &key]).await?;
    same(c.send(&["CL", "ALL", "GET", &key]).await?, Some(key))?;
    refused(c.send(&["CL", "MOST", "GET", "x"]).await, "unknown consistency level")?;
    if c.is_cluster() {
        return Ok("per command only");
    }
    c.send(&["CL", "QUORUM"]).await?;
    same(c.send(&["CL"]).await?.as_deref(), Some("QUORUM"))?;
    Ok("")
}

async fn refusal(c: &mut impl Methods) -> Note {
    let key = format!("{}:n", c.name());
    refused(c.incr(&key).await, "read-modify-write")?;
    ping(c).await
}
