//! What the clients in this folder share: a line of JSON per scenario, and the loop in which a node dies.

use anyhow::{Result, bail, ensure};
use serde_json::json;
use std::{
    env, fmt, fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

/// How long a client may fail after the node it needs is gone or back.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long it is watched once the node is back.
const WATCH: Duration = Duration::from_secs(6);
const PAUSE: Duration = Duration::from_millis(20);

/// A client at QUORUM, as the loop needs it.
pub trait Cache {
    async fn write(&mut self, key: &str) -> Result<()>;
    async fn read(&mut self, key: &str) -> Result<Option<String>>;
}

/// Where the nodes listen, the one that will be killed first.
pub fn addresses() -> Vec<(String, u16)> {
    let all = env::var("TRY_RESP").expect("TRY_RESP names the nodes");
    all.split(',')
        .filter_map(|one| one.rsplit_once(':'))
        .map(|(host, port)| (host.into(), port.parse().unwrap()))
        .collect()
}

/// What a cluster that asks for a password and speaks nothing but TLS wants of its clients.
#[derive(Clone, Default)]
pub struct Secrets {
    pub password: Option<String>,
    /// A CA in PEM.
    pub ca: Option<Vec<u8>>,
}

impl Secrets {
    /// Those that let a client in.
    pub fn right() -> Result<Self> {
        Ok(Self { password: Some(env::var("TRY_PASSWORD")?), ca: Some(fs::read(env::var("TRY_TLS_CA")?)?) })
    }

    /// Those that do not, though each lacks one thing only.
    pub fn wrong() -> Result<[Self; 3]> {
        let right = Self::right()?;
        let other = Self { password: Some("not the password".into()), ..right.clone() };
        Ok([other, Self { password: None, ..right.clone() }, Self { ca: None, ..right }])
    }
}

/// Tells which client this is.
pub fn announce(client: &str) {
    println!("{}", json!({ "client": client }));
}

/// Tells how one scenario went; what it returns is worth a note.
pub fn tell(scenario: &str, result: Result<impl fmt::Display>) {
    let (ok, note) = match result {
        Ok(note) => (true, note.to_string()),
        Err(error) => (false, format!("{error:#}")),
    };
    println!("{}", json!({ "scenario": scenario, "ok": ok, "note": note }));
}

/// The call must have failed with an error saying these words.
pub fn refused<T: fmt::Debug, E: fmt::Display>(result: Result<T, E>, words: &str) -> Result<()> {
    match result {
        Ok(answer) => bail!("{answer:?} instead of an error"),
        Err(error) => ensure!(error.to_string().contains(words), "the error says {error}"),
    }
    Ok(())
}

/// Writes and reads while a node is killed and started again. `several`: the client knows other nodes as well.
pub async fn node_killed(name: &str, several: bool, cache: &mut impl Cache) -> Result<String> {
    let (mut kept, mut errors) = (Vec::new(), Vec::new());
    let mut back = None;
    while back.is_none_or(|back| SystemTime::now() < back + WATCH) {
        let key = format!("{name}:{}:{}", kept.len(), errors.len());
        let written = cache.write(&key).await;
        let seen = match written {
            Ok(()) => {
                kept.push(key);
                let seen = &kept[kept.len() * 7 / 11];
                cache.read(seen).await.map(|value| (seen, value))
            }
            Err(error) => Err(error),
        };
        match seen {
            Ok((key, value)) => ensure!(value.as_ref() == Some(key), "{key} is {value:?}"),
            Err(error) => errors.push((SystemTime::now(), error)),
        }
        if kept.len() == 50 {
            fs::write(mark(&format!("ready-{name}")), "")?;
        }
        back = when("back");
        tokio::time::sleep(PAUSE).await;
    }
    for key in &kept {
        let value = cache.read(key).await?;
        ensure!(value.as_ref() == Some(key), "{key} is {value:?}");
    }
    let (Some(killed), Some(back)) = (when("killed"), back) else { bail!("nobody was killed") };
    let quiet = [
        (SystemTime::UNIX_EPOCH, killed),
        (if several { killed + PATIENCE } else { back }, back),
        (back + PATIENCE, SystemTime::now()),
    ];
    for (start, end) in quiet {
        let late: Vec<_> = errors.iter().filter(|(at, _)| (start..end).contains(at)).collect();
        if let Some((_, error)) = late.first() {
            bail!("{} of {} errors came too late, such as {error}", late.len(), errors.len());
        }
    }
    let last = errors.iter().filter_map(|(at, _)| at.duration_since(killed).ok()).max();
    let within = last.filter(|_| several).map(|last| format!(" within {:.1} s", last.as_secs_f64()));
    Ok(format!("{} failed{}; {} writes kept", errors.len(), within.unwrap_or_default(), kept.len()))
}

fn mark(name: &str) -> PathBuf {
    PathBuf::from(env::var("TRY_MARKS").expect("TRY_MARKS names a directory")).join(name)
}

/// When the script has left a mark, if it has.
fn when(name: &str) -> Option<SystemTime> {
    fs::metadata(mark(name)).and_then(|file| file.modified()).ok()
}
