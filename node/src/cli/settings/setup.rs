use super::{
    Layers, LogFilter, Settings,
    fault::SettingsError,
    rules::{self, Complaint, Given},
    secret,
    table::SETTINGS,
    tls::TlsFiles,
    tokens,
    units::HostPort,
};
use shoal_membership::{Addresses, Secrets, config::GossipConfig};
use shoal_node::{
    auth::{Credential, Credentials, DEFAULT_USER, Digest, Scope},
    config::{ClientGrants, ListenAddresses, NodeConfig},
    tls::Tls,
};
use shoal_proto::types::NodeId;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc};

/// All that a process needs to run one node.
pub(crate) struct Setup {
    /// What the node takes.
    pub(crate) node: NodeConfig,
    /// Where it keeps its state.
    pub(crate) state_dir: PathBuf,
    /// What is logged.
    pub(crate) log: LogFilter,
    /// Files that are read again while it runs.
    pub(crate) files: Files,
}

/// Files whose contents may change while a node runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    /// The cluster's secrets.
    pub(crate) secrets: Option<PathBuf>,
    /// The password of clients.
    pub(crate) password: Option<PathBuf>,
    /// Their tokens.
    pub(crate) tokens: Option<PathBuf>,
    /// What TLS is made of.
    pub(crate) tls: Option<TlsFiles>,
}

/// What they hold.
struct Contents {
    secrets: Secrets,
    credentials: Credentials,
    tls: Option<Arc<Tls>>,
}

impl Files {
    fn of(settings: &Settings, complaints: &mut Vec<Complaint>) -> Self {
        Self {
            secrets: settings.secret_file.0.clone(),
            password: settings.password_file.0.clone(),
            tokens: settings.tokens_file.0.clone(),
            tls: TlsFiles::of(settings, complaints),
        }
    }

    /// What nodes prove to each other.
    ///
    /// # Errors
    /// See [`secret::Secret::read_all`].
    pub(crate) fn read_secrets(
        &self,
        environment: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, SettingsError> {
        secret::CLUSTER.read_all(self.secrets.as_deref(), environment)
    }

    /// What clients may prove, from everywhere it is kept.
    ///
    /// # Errors
    /// See [`secret::Secret::read`] and [`tokens::read`].
    pub(crate) fn read_credentials(
        &self,
        environment: &BTreeMap<String, String>,
    ) -> Result<Credentials, SettingsError> {
        let password = secret::PASSWORD.read(self.password.as_deref(), environment)?;
        let default =
            |secret: String| Credential::new(DEFAULT_USER, Scope::Write, Digest::of(secret.as_bytes()));
        tokens::read(password.map(default), self.tokens.as_deref())
    }
}

impl Setup {
    /// Checks the settings and fills in what follows from others.
    ///
    /// # Errors
    /// Everything that is wrong with the settings.
    pub(crate) fn new(
        layers: &Layers,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, SettingsError> {
        let settings = layers.settings()?;
        let mut complaints = Vec::new();
        let files = Files::of(&settings, &mut complaints);
        let secrets = files.read_secrets(environment)?;
        let credentials = files.read_credentials(environment)?;
        let given = Given { secret: !secrets.is_empty(), credentials: !credentials.is_empty() };
        complaints.extend(rules::check(&settings, given));
        let tls = files
            .tls
            .as_ref()
            .and_then(|files| files.load().map_err(|complaint| complaints.push(complaint)).ok());
        let contents = Contents { secrets: Secrets::new(secrets), credentials, tls };
        let advertise = advertise(&settings, &mut complaints);
        let node_id = node_id(&settings, &advertise, &mut complaints);
        match node_id {
            Some(node_id) if complaints.is_empty() => {
                Ok(Self::from_parts(settings, files, contents, advertise, node_id, told(layers)))
            }
            _ => {
                let faults = complaints.into_iter().map(|(name, why)| layers.fault(name, why));
                Err(SettingsError::Invalid(faults.collect()))
            }
        }
    }

    /// Whether the node is one of the first members; otherwise it is a gateway and asks to join.
    pub(crate) fn is_member(&self) -> bool {
        self.node.seeds.contains(&self.node.advertise.gossip)
    }

    /// Whether clients from other machines are let in without proving anything.
    pub(crate) fn is_open_to_strangers(&self) -> bool {
        let ListenAddresses { resp, http, grpc, .. } = self.node.listen;
        let is_reachable = |door: SocketAddr| !door.ip().is_loopback();
        self.node.credentials.is_empty() && [resp, http, grpc].into_iter().any(is_reachable)
    }

    fn from_parts(
        settings: Settings,
        files: Files,
        Contents { secrets, credentials, tls }: Contents,
        advertise: Addresses,
        node_id: NodeId,
        told: Vec<(&'static str, String)>,
    ) -> Self {
        let directory = node_id.as_str().replace([':', '/'], "_");
        let seeds = if settings.bootstrap.0 {
            vec![advertise.gossip.clone()]
        } else {
            settings.seed.0.iter().map(HostPort::to_string).collect()
        };
        Self {
            state_dir: settings.state_dir.0.unwrap_or_else(|| PathBuf::from("shoal-state").join(directory)),
            log: settings.log.0,
            files,
            node: NodeConfig {
                cluster: settings.cluster.0.to_string(),
                secrets,
                tls,
                credentials,
                node_id,
                seeds,
                zone: settings.zone.0.to_string(),
                capacity: settings.capacity.0,
                listen: ListenAddresses {
                    resp: settings.resp.0,
                    http: settings.http.0,
                    grpc: settings.grpc.0,
                    gossip: settings.gossip.0,
                },
                advertise,
                gossip: GossipConfig {
                    interval: settings.gossip_interval.0,
                    phi: settings.gossip_phi.0,
                    grace: settings.gossip_grace.0,
                },
                replicas: settings.replicas.0,
                vnodes: settings.vnodes.0,
                read_consistency: settings.read_consistency.0,
                write_consistency: settings.write_consistency.0,
                request_timeout: settings.request_timeout.0,
                read_patience: settings.read_patience.0,
                max_memory: settings.max_memory.0.0,
                eviction_policy: settings.eviction_policy.0,
                rebuild_patience: settings.rebuild_patience.0,
                on_loss: settings.on_loss.0,
                clients: ClientGrants {
                    max_clients: settings.max_clients.0,
                    idle_timeout: settings.idle_timeout.0,
                    tcp_keepalive: settings.tcp_keepalive.0,
                    output_limit: settings.output_limit.0.0,
                    client_memory: settings.client_memory.0.0,
                },
                told,
            },
        }
    }
}

/// Every setting as it was written. None of them is itself a secret.
fn told(layers: &Layers) -> Vec<(&'static str, String)> {
    SETTINGS.iter().map(|setting| (setting.name, layers.value(setting.name))).collect()
}

/// What the node tells others to dial. A door that listens on every interface takes the host of `advertise_gossip`.
fn advertise(settings: &Settings, complaints: &mut Vec<Complaint>) -> Addresses {
    let told_gossip = settings.advertise_gossip.0;
    let mut door = |name, told: Option<String>, listen: SocketAddr| match (told, told_gossip) {
        (Some(told), _) => told,
        (None, _) if !listen.ip().is_unspecified() => listen.to_string(),
        (None, Some(gossip)) => SocketAddr::new(gossip.ip(), listen.port()).to_string(),
        (None, None) => {
            complaints.push((name, format!("others cannot dial {listen}, where this node listens")));
            String::new()
        }
    };
    let text = |told: &Option<HostPort>| told.as_ref().map(HostPort::to_string);
    Addresses {
        gossip: door("advertise_gossip", told_gossip.map(|told| told.to_string()), settings.gossip.0),
        grpc: door("advertise_grpc", text(&settings.advertise_grpc.0), settings.grpc.0),
        resp: door("advertise_resp", text(&settings.advertise_resp.0), settings.resp.0),
        http: door("advertise_http", text(&settings.advertise_http.0), settings.http.0),
    }
}

fn node_id(settings: &Settings, advertise: &Addresses, complaints: &mut Vec<Complaint>) -> Option<NodeId> {
    if let Some(told) = &settings.node_id.0 {
        return Some(told.clone());
    }
    let id = NodeId::new(&advertise.gossip).ok();
    if id.is_none() && !advertise.gossip.is_empty() {
        complaints.push(("node_id", format!("the gossip address {} cannot be one", advertise.gossip)));
    }
    id
}
