//! Takes over what changes in a node's files while it runs: when a signal asks for it, and by itself, because a secret of
//! Kubernetes changes in place and tells nobody.

use super::{
    output,
    settings::{Files, SettingsError, tls_complaint},
};
use shoal_membership::{Secrets, WallClock as _, env::SystemClock};
use shoal_node::{auth::Auth, tls::Tls};
use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    signal::unix::Signal,
    time::{MissedTickBehavior, interval},
};
use tracing::{error, info, warn};

/// How often the files are read.
const POLL: Duration = Duration::from_secs(5);
/// How long before a certificate expires its operator is told, and how often.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 24 * 3600);
const TELL_EVERY: Duration = Duration::from_secs(24 * 3600);

/// The files of one node.
pub(crate) struct Reload {
    sources: Vec<Source>,
    expiry: Option<Expiry>,
}

/// What one or more files hold together.
struct Source {
    what: &'static str,
    /// Reads them; true when they hold something new, which is in use now.
    take: Box<dyn Fn() -> Result<bool, String> + Send>,
    /// What was last complained of.
    complaint: Option<String>,
}

struct Expiry {
    tls: Arc<Tls>,
    /// When its operator was told of it last, and of which end.
    told: Option<(u64, Duration)>,
}

impl Reload {
    /// Those of a node that was started with these handles. `environment` holds what is in no file.
    pub(crate) fn new(
        files: Files,
        environment: BTreeMap<String, String>,
        secrets: Secrets,
        tls: Option<Arc<Tls>>,
        auth: Arc<Auth>,
    ) -> Self {
        let mut sources = Vec::new();
        let (files, environment) = (Arc::new(files), Arc::new(environment));
        if files.secrets.is_some() {
            let (files, environment) = (files.clone(), environment.clone());
            sources.push(Source::new("cluster secret", move || {
                Ok(secrets.replace(files.read_secrets(&environment).map_err(in_words)?))
            }));
        }
        if files.password.is_some() || files.tokens.is_some() {
            let files = files.clone();
            sources.push(Source::new("password and tokens", move || {
                let credentials = files.read_credentials(&environment).map_err(in_words)?;
                if credentials.is_empty() && auth.is_required() {
                    return Err("none is left, with which everybody would be let in".to_owned());
                }
                Ok(auth.replace(credentials))
            }));
        }
        if let Some((files, tls)) = files.tls.clone().zip(tls.clone()) {
            sources.push(Source::new("TLS", move || {
                let taken = files.read().and_then(|pem| tls.replace(&pem).map_err(tls_complaint));
                taken.map_err(|complaint| files.describe(complaint))
            }));
        }
        let expiry = tls.map(|tls| Expiry { tls, told: None });
        Self { sources, expiry }
    }
}

fn in_words(error: SettingsError) -> String {
    output::one_line(&error.into())
}

/// Takes over what changes, for as long as it is polled.
pub(crate) async fn follow(mut nodes: Vec<Reload>, asked: &mut Signal) -> Infallible {
    let mut polls = interval(POLL);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_asked = tokio::select! {
            biased;
            _ = asked.recv() => true,
            _ = polls.tick() => false,
        };
        if is_asked {
            info!("asked to read files again");
        }
        for Reload { sources, expiry } in &mut nodes {
            for source in sources {
                source.poll(is_asked);
            }
            if let Some(expiry) = expiry {
                expiry.tell(Duration::from_millis(SystemClock.now().0));
            }
        }
    }
}

impl Source {
    fn new(what: &'static str, take: impl Fn() -> Result<bool, String> + Send + 'static) -> Self {
        Self { what, take: Box::new(take), complaint: None }
    }

    /// A complaint is made once, unless somebody asked.
    fn poll(&mut self, is_asked: bool) {
        match (self.take)() {
            Ok(is_new) => {
                self.complaint = None;
                if is_new {
                    info!(what = self.what, "read anew");
                } else if is_asked {
                    info!(what = self.what, "has not changed");
                }
            }
            Err(error) => {
                if is_asked || self.complaint.as_ref() != Some(&error) {
                    error!(
                        what = self.what,
                        error, "cannot be read anew, what was there before stays in use"
                    );
                }
                self.complaint = Some(error);
            }
        }
    }
}

impl Expiry {
    fn tell(&mut self, now: Duration) {
        let expires_at = self.tls.expires_at();
        let left = Duration::from_secs(expires_at).saturating_sub(now);
        let is_told = |(of, at): (u64, Duration)| of == expires_at && now.saturating_sub(at) < TELL_EVERY;
        if left > EXPIRES_SOON || self.told.is_some_and(is_told) {
            return;
        }
        self.told = Some((expires_at, now));
        match left.as_secs() / (24 * 3600) {
            _ if left.is_zero() => error!("the TLS certificate has expired"),
            days => warn!(days, "the TLS certificate expires soon"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    #[test]
    fn a_complaint_is_made_once_per_change() {
        let outcome = Arc::new(Mutex::new(Ok(false)));
        let read = outcome.clone();
        let mut source = Source::new("a file", move || read.lock().clone());
        source.poll(false);
        assert_eq!(source.complaint, None);
        for why in ["unreadable", "unreadable", "too short"] {
            *outcome.lock() = Err(why.to_owned());
            source.poll(false);
            assert_eq!(source.complaint.as_deref(), Some(why));
        }
        *outcome.lock() = Ok(true);
        source.poll(true);
        assert_eq!(source.complaint, None);
    }
}
