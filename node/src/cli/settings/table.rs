/// One setting: what the file, the environment, the flags and the help have in common.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its name in the file. `SHOAL_` and the name in capitals is its variable, dashes make it the flag.
    pub(crate) name: &'static str,
    /// What the help calls the value.
    pub(crate) value_name: &'static str,
    /// The value as text; empty for none.
    pub(crate) default: &'static str,
    /// One line for people.
    pub(crate) help: &'static str,
}

impl Setting {
    /// The flag, without the two dashes in front.
    pub(crate) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// The environment variable.
    pub(crate) fn variable(&self) -> String {
        format!("SHOAL_{}", self.name.to_ascii_uppercase())
    }

    /// Whether the bare flag means `true`.
    pub(crate) fn is_switch(&self) -> bool {
        self.default == "false"
    }
}

/// The row of the setting with this name.
pub(crate) fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// Every setting with its default.
pub(crate) const SETTINGS: &[Setting] = &[
    row("cluster", "NAME", "shoal", "Name of the cluster; nodes of different names do not talk"),
    row(
        "secret_file",
        "FILE",
        "",
        "File with the cluster secret (or set SHOAL_SECRET); without one gRPC and gossip stay on loopback",
    ),
    row(
        "password_file",
        "FILE",
        "",
        "File with the password of clients that name no user (or set SHOAL_PASSWORD)",
    ),
    row(
        "tokens_file",
        "FILE",
        "",
        "File with named tokens of clients, a line each: name, read or write, secret",
    ),
    row(
        "insecure_bind",
        "BOOL",
        "false",
        "Listen for clients beyond loopback though they need neither password nor token",
    ),
    row(
        "tls_cert_file",
        "FILE",
        "",
        "PEM file with the node's certificate and those that lead to its CA: the TCP doors speak TLS alone",
    ),
    row("tls_key_file", "FILE", "", "PEM file with the private key of the certificate"),
    row("tls_ca_file", "FILE", "", "PEM file with the CAs that must have signed the certificates of peers"),
    row(
        "tls_client_ca_file",
        "FILE",
        "",
        "PEM file with CAs: whoever connects, peers too, must show a certificate that one of them signed",
    ),
    row(
        "tls_peer_name",
        "NAME",
        "",
        "Name that the certificates of peers must hold [default: the host that is dialled]",
    ),
    row(
        "seed",
        "HOST:PORT,...",
        "",
        "Gossip addresses of the first members; a node that is not among them is a gateway",
    ),
    row("bootstrap", "BOOL", "false", "Found a cluster of this node alone, instead of naming seeds"),
    row(
        "node_id",
        "ID",
        "",
        "Name of the node, kept across restarts [default: the advertised gossip address]",
    ),
    row("zone", "ZONE", "default", "Failure domain; copies of a key are spread over zones"),
    row("capacity", "SHARE", "100", "Share of the data relative to other nodes"),
    row("state_dir", "DIR", "", "Where the node keeps its identity [default: shoal-state/NODE_ID]"),
    row("resp", "ADDR", "127.0.0.1:7379", "Listen here for RESP (Redis) clients"),
    row("http", "ADDR", "127.0.0.1:7380", "Listen here for HTTP: REST, the cluster page, health and metrics"),
    row("grpc", "ADDR", "127.0.0.1:7381", "Listen here for gRPC: peers and clients"),
    row("gossip", "ADDR", "127.0.0.1:7382", "Listen here for gossip (UDP)"),
    row("advertise_resp", "HOST:PORT", "", "Where clients reach RESP [default: the listen address]"),
    row("advertise_http", "HOST:PORT", "", "Where others reach HTTP [default: the listen address]"),
    row(
        "advertise_grpc",
        "HOST:PORT",
        "",
        "Where peers and clients reach gRPC [default: the listen address]",
    ),
    row(
        "advertise_gossip",
        "ADDR",
        "",
        "Where peers reach gossip, an IP address [default: the listen address]",
    ),
    row("replicas", "N", "3", "Owners of each key, when this node founds a cluster"),
    row("vnodes", "V", "1024", "Vnodes, a power of two, when this node founds a cluster"),
    row("read_consistency", "LEVEL", "ONE", "Level of reads that name none: ONE, TWO, THREE, QUORUM or ALL"),
    row(
        "write_consistency",
        "LEVEL",
        "ONE",
        "Level of writes that name none: ONE, TWO, THREE, QUORUM or ALL",
    ),
    row("request_timeout", "TIME", "1s", "How long a request may take unless it says otherwise"),
    row(
        "read_patience",
        "TIME",
        "50ms",
        "How long a read waits for the owners it asked before it asks another",
    ),
    row("max_memory", "SIZE", "1GiB", "Memory for entries, index and markers; beyond it entries are evicted"),
    row(
        "eviction_policy",
        "POLICY",
        "wtinylfu",
        "What is evicted when memory is full: wtinylfu, s3fifo, lru, lfu, or noeviction, which refuses writes",
    ),
    row("max_clients", "N", "10000", "RESP connections served at once; further ones are told so and closed"),
    row("idle_timeout", "TIME", "0s", "Close RESP connections without a command for so long; 0s is never"),
    row("tcp_keepalive", "TIME", "5m", "Ask after RESP clients that are silent for so long; 0s is never"),
    row(
        "output_limit",
        "SIZE",
        "128MiB",
        "Close a RESP connection whose client leaves more of its replies unread; 0 is no limit",
    ),
    row(
        "client_memory",
        "SIZE",
        "256MiB",
        "Requests and replies held for all RESP clients; beyond it the largest clients are closed; 0 is no limit",
    ),
    row(
        "on_loss",
        "reset|stop",
        "reset",
        "When too few owners still hold a vnode: go on with what survives, or stop serving it",
    ),
    row(
        "rebuild_patience",
        "TIME",
        "1m",
        "How long a restarted node waits for enough owners to rebuild from",
    ),
    row(
        "gossip_interval",
        "TIME",
        "500ms",
        "Time between rounds of gossip; a death is noticed after about six",
    ),
    row("gossip_phi", "PHI", "8", "Suspicion at which a silent node counts as dead"),
    row("gossip_grace", "TIME", "15m", "How long gossip remembers dead nodes"),
    row(
        "log",
        "LEVEL",
        "info",
        "What to log: error, warn, info, debug, trace, or a filter such as warn,shoal_node=debug",
    ),
];

const fn row(
    name: &'static str,
    value_name: &'static str,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { name, value_name, default, help }
}
