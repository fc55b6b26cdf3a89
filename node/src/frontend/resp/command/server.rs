//! Commands about the node.

use super::{Context, error::CommandError, is};
use crate::{
    admin::{ClusterStatus, NodeStats},
    frontend::resp::{RespDoor, request::Request},
};
use std::fmt::Write as _;

/// The version of Redis whose commands are meant where a client asks for one.
const REDIS_VERSION: &str = "7.2.0";

/// `DBSIZE`
pub(super) fn dbsize(context: &mut Context<'_>, _: &Request) -> Result<(), CommandError> {
    context.writer.integer(as_integer(context.door.info.stats().entries));
    Ok(())
}

/// `TIME`
pub(super) fn time(context: &mut Context<'_>, _: &Request) -> Result<(), CommandError> {
    let now = context.door.backend.now().0;
    context.writer.array(2);
    context.writer.bulk((now / 1000).to_string().as_bytes());
    context.writer.bulk((now % 1000 * 1000).to_string().as_bytes());
    Ok(())
}

/// `INFO [section...]`
pub(super) fn info(context: &mut Context<'_>, request: &Request) -> Result<(), CommandError> {
    let asked = |section: &str| {
        request.len() == 1
            || request.arguments().skip(1).any(|name| {
                is(name, section) || ["all", "default", "everything"].iter().any(|every| is(name, every))
            })
    };
    let (stats, status) = (context.door.info.stats(), context.door.info.status());
    let mut text = String::new();
    for (name, lines) in SECTIONS {
        if asked(name) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            let _ = write!(text, "# {}{}\r\n", name[..1].to_ascii_uppercase(), &name[1..]);
            for (field, value) in lines(&Facts { door: context.door, stats: &stats, status: &status }) {
                let _ = write!(text, "{field}:{value}\r\n");
            }
        }
    }
    context.writer.text(&text);
    Ok(())
}

struct Facts<'a> {
    door: &'a RespDoor,
    stats: &'a NodeStats,
    status: &'a ClusterStatus,
}

type Lines = Vec<(&'static str, String)>;
type Section = (&'static str, fn(&Facts<'_>) -> Lines);

const SECTIONS: [Section; 7] = [
    ("server", server_lines),
    ("clients", client_lines),
    ("memory", memory_lines),
    ("stats", stats_lines),
    ("replication", replication_lines),
    ("cluster", cluster_lines),
    ("keyspace", keyspace_lines),
];

fn server_lines(Facts { door, stats, status }: &Facts<'_>) -> Lines {
    vec![
        ("redis_version", REDIS_VERSION.into()),
        ("redis_mode", "cluster".into()),
        ("shoal_version", env!("CARGO_PKG_VERSION").into()),
        ("node_id", status.me.to_string()),
        ("tcp_port", door.info.me().port.to_string()),
        ("uptime_in_seconds", (stats.uptime_ms / 1000).to_string()),
        ("uptime_in_days", (stats.uptime_ms / 86_400_000).to_string()),
    ]
}

fn client_lines(Facts { door, .. }: &Facts<'_>) -> Lines {
    vec![
        ("connected_clients", door.counters.connections.open().to_string()),
        ("maxclients", door.live.max_clients().to_string()),
    ]
}

fn memory_lines(Facts { door, stats, .. }: &Facts<'_>) -> Lines {
    let mut lines = vec![
        ("used_memory", stats.bytes.to_string()),
        ("maxmemory", stats.max_bytes.to_string()),
        ("maxmemory_policy", door.live.redis_policy().into()),
    ];
    if let Some(resident) = door.info.resident_bytes() {
        let ratio = resident as f64 / stats.bytes.max(1) as f64;
        lines.push(("used_memory_rss", resident.to_string()));
        lines.push(("mem_fragmentation_ratio", format!("{ratio:.2}")));
    }
    lines
}

fn stats_lines(Facts { door, stats, .. }: &Facts<'_>) -> Lines {
    let since = door.stats_since_reset(stats);
    vec![
        ("total_connections_received", since.accepted.to_string()),
        ("rejected_connections", since.refused.to_string()),
        ("total_commands_processed", since.commands.to_string()),
        ("keyspace_hits", since.hits.to_string()),
        ("keyspace_misses", since.misses.to_string()),
        ("expired_keys", since.expirations.to_string()),
        ("evicted_keys", since.evictions.to_string()),
        ("markers", stats.markers.to_string()),
        ("hints", stats.hints.to_string()),
        ("hint_bytes", stats.hint_bytes.to_string()),
    ]
}

fn replication_lines(_: &Facts<'_>) -> Lines {
    vec![("role", "master".into()), ("connected_slaves", "0".into())]
}

fn cluster_lines(Facts { stats, status, .. }: &Facts<'_>) -> Lines {
    vec![
        ("cluster_enabled", "1".into()),
        ("cluster_name", status.cluster.clone()),
        ("ring_epoch", status.epoch.to_string()),
        ("ring_replicas", status.replicas.to_string()),
        ("vnodes_owned", stats.vnodes_owned.to_string()),
        ("vnodes_ready", stats.vnodes_ready.to_string()),
    ]
}

fn keyspace_lines(Facts { stats, .. }: &Facts<'_>) -> Lines {
    if stats.entries == 0 {
        Vec::new()
    } else {
        vec![("db0", format!("keys={},expires={},avg_ttl=0", stats.entries, stats.expiring))]
    }
}

fn as_integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
