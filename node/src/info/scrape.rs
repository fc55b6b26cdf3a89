//! Every number that a scrape reads off the parts of the node.

use super::Parts;
use crate::{
    admin::NodeStats,
    metrics::{Connections, Ending, Family, Value},
    store::{EvictionPolicy, Store, StoreStats},
};
use shoal_membership::ring;
use std::sync::Arc;

/// All of them, as of now.
pub(super) fn families(parts: &Parts, stats: &NodeStats) -> Vec<Family> {
    [
        node(parts, stats),
        connections(parts, stats),
        store(parts),
        evictions(&parts.local.store),
        shards(&parts.local.store.shard_stats()),
        hints(stats),
        membership(parts),
        peers(parts),
        gossip(parts),
        tls(parts),
    ]
    .concat()
}

fn node(parts: &Parts, stats: &NodeStats) -> Vec<Family> {
    let me = parts.cluster.me();
    let identity =
        vec![("node_id", me.node_id.to_string()), ("cluster", parts.cluster_name.clone()), ("zone", me.zone)];
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    vec![
        Family::gauge("build_info", "The version of Shoal").labelled(version, 1_u64),
        Family::gauge("node_info", "Who this node is").labelled(identity, 1_u64),
        Family::gauge("uptime_seconds", "Time since the node started")
            .value(Value::Real(stats.uptime_ms as f64 / 1e3)),
        Family::gauge("ready", "Whether the node has its ring record and all its vnodes are rebuilt")
            .value(me.ready),
        Family::gauge("vnodes_owned", "Vnodes the node owns").value(stats.vnodes_owned),
        Family::gauge("vnodes_ready", "Vnodes the node votes for").value(stats.vnodes_ready),
        Family::counter("hot_keys_unkept", "Sampled requests whose keys are too long to be told as hot")
            .value(parts.metrics.requests.unkept_keys()),
    ]
}

fn connections(parts: &Parts, stats: &NodeStats) -> Vec<Family> {
    let doors = [("resp", &parts.resp.connections), ("http", &parts.http), ("grpc", &parts.grpc)];
    let each = |family: Family, number: fn(&Connections) -> u64| {
        let labelled = |family: Family, (door, connections): &(&str, &Arc<Connections>)| {
            family.labelled(vec![("door", (*door).to_owned())], number(connections))
        };
        doors.iter().fold(family, labelled)
    };
    vec![
        each(Family::gauge("connections", "Connections open"), Connections::open),
        each(Family::counter("connections_accepted", "Connections ever served"), Connections::accepted),
        each(
            Family::counter("connections_refused", "Connections turned away because too many were open"),
            Connections::refused,
        ),
        doors.iter().fold(
            Family::counter("connections_ended", "Connections that ended, by reason"),
            |family, (door, connections)| {
                Ending::ALL.into_iter().fold(family, |family, ending| {
                    let labels = vec![("door", (*door).to_owned()), ("reason", ending.name().to_owned())];
                    family.labelled(labels, connections.ended(ending))
                })
            },
        ),
        Family::counter("resp_commands", "RESP commands received, those without a key among them")
            .value(stats.commands),
    ]
}

fn store(parts: &Parts) -> Vec<Family> {
    let stats = parts.local.store.stats();
    let policy = vec![("policy", parts.local.store.policy().name().to_owned())];
    let kinds = [
        ("values", stats.bytes),
        ("markers", stats.marker_bytes),
        ("ghosts", stats.ghost_bytes),
        ("index", stats.index_bytes),
        ("sketch", stats.sketch_bytes),
        ("slack", stats.slack_bytes),
        (
            "other",
            stats.overhead_bytes.saturating_sub(stats.index_bytes + stats.sketch_bytes + stats.slack_bytes),
        ),
    ];
    let refused = [
        ("full", stats.refused.full),
        ("too_large", stats.refused.too_large),
        ("sealed", stats.refused.sealed),
    ];
    vec![
        Family::gauge("store_policy_info", "What is given up when memory is full").labelled(policy, 1_u64),
        Family::gauge("store_entries", "Values held").value(stats.entries),
        Family::gauge("store_expiring_entries", "Values held that expire").value(stats.expiring),
        Family::gauge("store_markers", "Tombstones and expired markers held").value(stats.markers),
        Family::gauge("store_ghosts", "Traces held of what was evicted before it was settled")
            .value(stats.ghosts),
        Family::gauge("store_bytes", "Bytes charged against the limit").value(stats.charged_bytes()),
        by("kind", Family::gauge("store_kind_bytes", "The same bytes, by what they are for"), &kinds),
        Family::gauge("store_max_bytes", "The limit on the bytes charged").value(stats.max_bytes),
        Family::counter("store_hits", "Reads of the own copy that found a value").value(stats.hits),
        Family::counter("store_misses", "Reads of the own copy that found none").value(stats.misses),
        Family::counter("store_evictions", "Values evicted").value(stats.evictions),
        Family::counter("store_expirations", "Values expired").value(stats.expirations),
        by("reason", Family::counter("store_refused", "Writes that were not taken, by reason"), &refused),
        Family::counter("store_markers_dropped", "Markers given up for room before their time")
            .value(stats.markers_dropped),
        Family::counter("store_ghosts_dropped", "Ghosts given up for room before they were settled")
            .value(stats.ghosts_dropped),
        Family::counter("store_settled", "Markers and ghosts dropped because all owners agree")
            .value(stats.settled),
    ]
}

/// How the store chose what to give up.
fn evictions(store: &Store) -> Vec<Family> {
    let stats = store.stats();
    let (share, density) = store.window();
    let lists: Vec<_> = store.policy().lists().iter().copied().zip(stats.evictions_by_list).collect();
    let needs = [
        ("values", stats.evictions_for.values),
        ("markers", stats.evictions_for.markers),
        ("limit", stats.evictions_for.limit),
    ];
    let mut families = vec![
        by(
            "list",
            Family::counter("store_evicted_from", "Values evicted, by the list in which they stood"),
            &lists,
        ),
        by("need", Family::counter("store_evicted_for", "Values evicted, by what needed the room"), &needs),
    ];
    if store.policy() == EvictionPolicy::WTinyLfu {
        families.extend([
            Family::gauge("store_window_share", "The part of the memory for values that new ones have")
                .value(Value::Real(share)),
            Family::gauge(
                "store_window_density",
                "What a byte of the window is worth in hits, as a multiple of one outside",
            )
            .value(Value::Real(density)),
        ]);
    }
    families
}

/// A number for each value of a label.
fn by(label: &'static str, family: Family, numbers: &[(&str, u64)]) -> Family {
    let labelled = |family: Family, (value, number): &(&str, u64)| {
        family.labelled(vec![(label, (*value).to_owned())], *number)
    };
    numbers.iter().fold(family, labelled)
}

fn shards(shards: &[StoreStats]) -> Vec<Family> {
    let each = |family: Family, number: fn(&StoreStats) -> u64| {
        let labelled = |family: Family, (shard, stats): (usize, &StoreStats)| {
            family.labelled(vec![("shard", shard.to_string())], number(stats))
        };
        shards.iter().enumerate().fold(family, labelled)
    };
    vec![
        each(Family::gauge("store_shard_entries", "Values held, by shard"), |s| s.entries),
        each(Family::gauge("store_shard_bytes", "Bytes charged, by shard"), StoreStats::charged_bytes),
    ]
}

fn hints(stats: &NodeStats) -> Vec<Family> {
    vec![
        Family::gauge("hints", "Hints kept for others").value(stats.hints),
        Family::gauge("hint_bytes", "Bytes of the hints kept for others").value(stats.hint_bytes),
    ]
}

fn membership(parts: &Parts) -> Vec<Family> {
    let view = parts.cluster.view();
    let live = view.members().iter().filter(|member| member.live).count();
    let is_member = |node| view.record().is_some_and(|record| record.index_of(node).is_some());
    let gateways = view.nodes().keys().filter(|node| !is_member(node)).count();
    let (epoch, phase, digest) =
        view.record().map_or((0, 0, 0), |r| (r.epoch(), r.phase().number(), ring::digest(r)));
    let record = vec![
        ("epoch", epoch.to_string()),
        ("phase", phase.to_string()),
        ("digest", format!("{digest:016x}")),
    ];
    vec![
        Family::gauge("members", "Members of the ring").value(view.members().len()),
        Family::gauge("members_live", "Members that seem to live").value(live),
        Family::gauge("gateways", "Nodes in sight that are no members").value(gateways),
        Family::gauge("ring_epoch", "Epoch of the ring record, 0 without one").value(epoch),
        Family::gauge("ring_phase", "Phase of the ring record").value(phase),
        // A float holds 53 bits exactly; so many are enough to tell that two nodes disagree.
        Family::gauge("ring_digest", "The first 32 bits of the ring record's digest").value(digest >> 32),
        Family::gauge("ring_info", "The ring record").labelled(record, 1_u64),
    ]
}

fn peers(parts: &Parts) -> Vec<Family> {
    let sent = parts.peers.counters().snapshot();
    vec![
        Family::gauge("peers_up", "Peers with a stream that stands").value(parts.peers.up_count()),
        Family::gauge("peer_operations_waiting", "Operations for peers not yet answered")
            .value(parts.peers.waiting()),
        Family::counter("peer_batches", "Messages sent to peers").value(sent.batches),
        Family::counter("peer_operations", "Operations sent to peers").value(sent.operations),
        Family::counter("peer_payload_bytes", "Bytes of keys and values sent to peers").value(sent.bytes),
        Family::counter("peer_streams_refused", "Streams refused to who did not prove to be a peer")
            .value(sent.refused),
    ]
}

fn gossip(parts: &Parts) -> Vec<Family> {
    let counts = parts.gossip.snapshot();
    let refused = [
        ("malformed", counts.refused_malformed),
        ("other_cluster", counts.refused_other_cluster),
        ("unsealed", counts.refused_unsealed),
        ("bad_seal", counts.refused_bad_seal),
        ("undecodable", counts.undecodable),
    ];
    let unsent = [("oversized", counts.oversized), ("send_failed", counts.send_failed)];
    vec![
        Family::counter("gossip_sent", "Gossip datagrams sent").value(counts.sealed),
        Family::counter("gossip_received", "Gossip datagrams understood").value(counts.opened),
        by("reason", Family::counter("gossip_refused", "Gossip datagrams dropped unread"), &refused),
        by("reason", Family::counter("gossip_unsent", "Gossip datagrams that could not be sent"), &unsent),
    ]
}

fn tls(parts: &Parts) -> Vec<Family> {
    let expires = Family::gauge(
        "tls_certificate_expires_at_seconds",
        "When the certificate expires that the node shows, in Unix time",
    );
    parts.tls.iter().map(|tls| expires.clone().value(tls.expires_at())).collect()
}
