//! What a node is told by its operator: one table of defaults, laid over by a file, the environment and flags, read
//! into types, checked, and turned into the configuration a node takes.
//!
//! ```text
//! table -> layers (defaults < file < environment < flags) -> Settings -> rules -> Setup
//! ```

mod fault;
mod flags;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod layers;
mod rules;
mod secret;
mod setup;
mod table;
mod text;
mod tls;
mod tokens;
mod units;

pub(crate) use fault::SettingsError;
pub(crate) use flags::Flags;
pub(crate) use layers::Layers;
pub(crate) use secret::CLUSTER as CLUSTER_SECRET;
pub(crate) use setup::{Files, Setup};
pub(crate) use table::SETTINGS;
pub(crate) use text::read;
pub(crate) use tls::complaint as tls_complaint;
pub(crate) use units::{ByteSize, HostPort, LogFilter};

use serde::Deserialize;
use shoal_node::{config::OnLoss, store::EvictionPolicy};
use shoal_proto::types::{Consistency, NodeId};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};
use text::Text;
use units::{HostName, Name};

/// The settings in their types. What each means stands in [`SETTINGS`], which has the same names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    cluster: Text<Name>,
    secret_file: Text<Option<PathBuf>>,
    tls_cert_file: Text<Option<PathBuf>>,
    tls_key_file: Text<Option<PathBuf>>,
    tls_ca_file: Text<Option<PathBuf>>,
    tls_client_ca_file: Text<Option<PathBuf>>,
    tls_peer_name: Text<Option<HostName>>,
    password_file: Text<Option<PathBuf>>,
    tokens_file: Text<Option<PathBuf>>,
    insecure_bind: Text<bool>,
    seed: Text<Vec<HostPort>>,
    bootstrap: Text<bool>,
    node_id: Text<Option<NodeId>>,
    zone: Text<Name>,
    capacity: Text<u32>,
    state_dir: Text<Option<PathBuf>>,
    resp: Text<SocketAddr>,
    http: Text<SocketAddr>,
    grpc: Text<SocketAddr>,
    gossip: Text<SocketAddr>,
    advertise_resp: Text<Option<HostPort>>,
    advertise_http: Text<Option<HostPort>>,
    advertise_grpc: Text<Option<HostPort>>,
    advertise_gossip: Text<Option<SocketAddr>>,
    replicas: Text<usize>,
    vnodes: Text<u16>,
    read_consistency: Text<Consistency>,
    write_consistency: Text<Consistency>,
    request_timeout: Text<Duration>,
    read_patience: Text<Duration>,
    max_memory: Text<ByteSize>,
    eviction_policy: Text<EvictionPolicy>,
    max_clients: Text<usize>,
    idle_timeout: Text<Duration>,
    tcp_keepalive: Text<Duration>,
    output_limit: Text<ByteSize>,
    client_memory: Text<ByteSize>,
    on_loss: Text<OnLoss>,
    rebuild_patience: Text<Duration>,
    gossip_interval: Text<Duration>,
    gossip_phi: Text<f64>,
    gossip_grace: Text<Duration>,
    log: Text<LogFilter>,
}

/// The variable that holds the token of a command that talks to a cluster. A node does not look at it.
pub(crate) const TOKEN_VARIABLE: &str = "SHOAL_TOKEN";

/// The variables of this process that may be settings.
pub(crate) fn environment() -> BTreeMap<String, String> {
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|name| name.starts_with("SHOAL_"))?;
        Some((name, value.to_string_lossy().into_owned()))
    });
    variables.collect()
}

/// Names of variables that look like settings but are none. Not an error: Kubernetes makes such variables for any
/// service that is called shoal.
pub(crate) fn unknown_variables(environment: &BTreeMap<String, String>) -> Vec<&str> {
    let is_known = |name: &str| {
        ["SHOAL_CONFIG", TOKEN_VARIABLE, secret::CLUSTER.variable, secret::PASSWORD.variable].contains(&name)
            || SETTINGS.iter().any(|setting| setting.variable() == name)
    };
    environment.keys().map(String::as_str).filter(|name| !is_known(name)).collect()
}

/// Reads all sources and checks what they say.
///
/// # Errors
/// Everything that is wrong with them.
pub(crate) fn load(flags: &Flags, environment: &BTreeMap<String, String>) -> Result<Setup, SettingsError> {
    let layers = Layers::read(flags, environment)?;
    Setup::new(&layers, environment)
}

#[cfg(test)]
mod tests;
