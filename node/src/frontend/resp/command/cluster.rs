//! `CLUSTER`: who owns which slots. Any node answers for any key, so a client that routes by this saves a hop and one
//! that does not loses nothing.

use super::{Context, error::CommandError, is, number::integer};
use crate::{
    admin::{ClusterInfo, NodeAddress, NodeStatus, SlotRange},
    frontend::{
        Command,
        resp::{
            plan::{Plan, Shape},
            request::Request,
            writer::Writer,
        },
    },
    limits,
};

use shoal_proto::types::{NodeId, UnixMillis};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

/// Hash slots there are, as in Redis Cluster.
const SLOTS: u16 = 16_384;
const SUBCOMMANDS: [&str; 9] =
    ["COUNTKEYSINSLOT", "GETKEYSINSLOT", "INFO", "KEYSLOT", "LINKS", "MYID", "NODES", "SHARDS", "SLOTS"];

/// `CLUSTER COUNTKEYSINSLOT slot | GETKEYSINSLOT slot count`: of the whole cluster, whichever node is asked.
pub(super) fn plan(request: &Request) -> Result<Option<Plan>, CommandError> {
    let (limit, shape) = match (request.argument(1), request.len()) {
        (sub, 3) if is(sub, "COUNTKEYSINSLOT") => (0, Shape::KeyCount),
        (sub, 4) if is(sub, "GETKEYSINSLOT") => {
            let count = integer(request.argument(3))?;
            let limit =
                u32::try_from(count).map_err(|_| CommandError::NotOffered("Invalid number of keys"))?;
            (limit.min(limits::SCAN_KEYS), Shape::Keys)
        }
        _ => return Ok(None),
    };
    let slot = u16::try_from(integer(request.argument(2))?).ok().filter(|slot| *slot < SLOTS);
    let slot = slot.ok_or(CommandError::NotOffered("Invalid slot"))?;
    Ok(Some(Plan::one(Command::Slot { slot, limit }, shape)))
}

/// `CLUSTER subcommand`
pub(super) fn cluster(context: &mut Context<'_>, request: &Request) -> Result<(), CommandError> {
    let (info, writer) = (&*context.door.info, &mut context.writer);
    match (request.argument(1), request.len()) {
        (sub, 2) if is(sub, "SLOTS") => slots(info, writer),
        (sub, 2) if is(sub, "SHARDS") => shards(info, writer),
        (sub, 2) if is(sub, "NODES") => writer.text(&nodes(info)),
        (sub, 2) if is(sub, "INFO") => writer.text(&summary(info)),
        (sub, 2) if is(sub, "MYID") => writer.bulk(info.me().redis_id.as_bytes()),
        (sub, 2) if is(sub, "LINKS") => links(info, context.door.backend.now(), writer),
        (sub, 3) if is(sub, "KEYSLOT") => writer.integer(i64::from(info.key_slot(request.argument(2)))),
        (sub, _) if SUBCOMMANDS.iter().any(|known| is(sub, known)) => {
            return Err(CommandError::Arity("CLUSTER"));
        }
        _ => return Err(CommandError::subcommand("CLUSTER", request)),
    }
    Ok(())
}

/// Every stream to another node, or from one, that stands.
fn links(info: &dyn ClusterInfo, now: UnixMillis, writer: &mut Writer<'_>) {
    let links = info.links();
    writer.array(links.len());
    for link in links {
        writer.map(6);
        let began = now.0.saturating_sub(link.age.as_millis() as u64);
        for (field, text) in
            [("direction", if link.dialled { "to" } else { "from" }), ("node", &info.redis_id(&link.node))]
        {
            writer.bulk(field.as_bytes());
            writer.bulk(text.as_bytes());
        }
        writer.bulk(b"create-time");
        writer.integer(i64::try_from(began).unwrap_or(i64::MAX));
        writer.bulk(b"events");
        writer.bulk(b"rw");
        // Bounded in operations and bytes, and allocated as they come.
        for field in ["send-buffer-allocated", "send-buffer-used"] {
            writer.bulk(field.as_bytes());
            writer.integer(0);
        }
    }
}

/// `READONLY`, `READWRITE`, `ASKING`: every node serves everything anyway.
pub(super) fn accepted(context: &mut Context<'_>, _: &Request) -> Result<(), CommandError> {
    context.writer.ok();
    Ok(())
}

/// Every range with its owners; clients take the first for the master, and expect to reach all of them.
fn slots(info: &dyn ClusterInfo, writer: &mut Writer<'_>) {
    let live = live_nodes(info);
    let mut ranges = ranges(info, &live);
    for range in &mut ranges {
        if range.owners.iter().any(|owner| live.contains(&owner.node_id)) {
            range.owners.retain(|owner| live.contains(&owner.node_id));
        }
    }
    writer.array(ranges.len());
    for range in &ranges {
        writer.array(2 + range.owners.len());
        writer.integer(i64::from(range.start));
        writer.integer(i64::from(range.end));
        for owner in &range.owners {
            writer.array(3);
            writer.bulk(owner.host.as_bytes());
            writer.integer(i64::from(owner.port));
            writer.bulk(owner.redis_id.as_bytes());
        }
    }
}

/// A shard is all ranges that have the same owners in the same order.
fn shards(info: &dyn ClusterInfo, writer: &mut Writer<'_>) {
    let live = live_nodes(info);
    let ranges = ranges(info, &live);
    let is_ready = |node: &NodeStatus| node.info.ready;
    let ready: BTreeSet<NodeId> =
        info.status().nodes.into_iter().filter(is_ready).map(|node| node.info.node_id).collect();
    let mut shards: BTreeMap<Vec<&str>, Vec<&SlotRange>> = BTreeMap::new();
    for range in &ranges {
        shards
            .entry(range.owners.iter().map(|owner| owner.redis_id.as_str()).collect())
            .or_default()
            .push(range);
    }
    writer.array(shards.len());
    for ranges in shards.values() {
        writer.map(2);
        writer.bulk(b"slots");
        writer.array(2 * ranges.len());
        for range in ranges {
            writer.integer(i64::from(range.start));
            writer.integer(i64::from(range.end));
        }
        let owners = ranges.first().map_or(&[][..], |range| &range.owners);
        writer.bulk(b"nodes");
        writer.array(owners.len());
        for (place, owner) in owners.iter().enumerate() {
            let health = match (live.contains(&owner.node_id), ready.contains(&owner.node_id)) {
                (true, true) => "online",
                (true, false) => "loading",
                (false, _) => "fail",
            };
            shard_node(owner, place == 0, health, writer);
        }
    }
}

fn shard_node(node: &NodeAddress, first: bool, health: &str, writer: &mut Writer<'_>) {
    writer.map(7);
    let role = if first { "master" } else { "replica" };
    for (field, text) in [
        ("id", node.redis_id.as_str()),
        ("endpoint", &node.host),
        ("ip", &node.host),
        ("role", role),
        ("health", health),
    ] {
        writer.bulk(field.as_bytes());
        writer.bulk(text.as_bytes());
    }
    for (field, number) in [("port", i64::from(node.port)), ("replication-offset", 0)] {
        writer.bulk(field.as_bytes());
        writer.integer(number);
    }
}

/// One line per owner, all of them masters of the ranges they are first for.
fn nodes(info: &dyn ClusterInfo) -> String {
    let live = live_nodes(info);
    let (me, ranges) = (info.me(), ranges(info, &live));
    let epoch = info.status().epoch;
    let mut lines: BTreeMap<&str, (&NodeAddress, String)> =
        BTreeMap::from([(me.redis_id.as_str(), (&me, String::new()))]);
    for range in &ranges {
        for (place, owner) in range.owners.iter().enumerate() {
            let (_, slots) = lines.entry(&owner.redis_id).or_insert_with(|| (owner, String::new()));
            if place == 0 {
                let _ = if range.start == range.end {
                    write!(slots, " {}", range.start)
                } else {
                    write!(slots, " {}-{}", range.start, range.end)
                };
            }
        }
    }
    let mut text = String::new();
    for (id, (node, slots)) in &lines {
        let myself = if node.node_id == me.node_id { "myself," } else { "" };
        let up = node.node_id == me.node_id || live.contains(&node.node_id);
        let (failed, link) = if up { ("", "connected") } else { (",fail", "disconnected") };
        let (host, port) = (&node.host, node.port);
        let _ =
            writeln!(text, "{id} {host}:{port}@{port} {myself}master{failed} - 0 0 {epoch} {link}{slots}");
    }
    text
}

fn summary(info: &dyn ClusterInfo) -> String {
    let status = info.status();
    let live = live_nodes(info);
    let (mut assigned, mut failed) = (0, 0);
    for range in info.slot_ranges() {
        let slots = u32::from(range.end - range.start) + 1;
        assigned += slots;
        failed += if range.owners.iter().any(|owner| live.contains(&owner.node_id)) { 0 } else { slots };
    }
    let members = status.nodes.iter().filter(|node| node.member).count();
    let state = if assigned == u32::from(SLOTS) && failed == 0 { "ok" } else { "fail" };
    format!(
        "cluster_enabled:1\r\ncluster_state:{state}\r\ncluster_slots_assigned:{assigned}\r\ncluster_slots_ok:{}\r\n\
         cluster_slots_pfail:0\r\ncluster_slots_fail:{failed}\r\ncluster_known_nodes:{}\r\ncluster_size:{members}\r\n\
         cluster_current_epoch:{}\r\ncluster_my_epoch:{}\r\n",
        assigned - failed,
        status.nodes.len(),
        status.epoch,
        status.epoch,
    )
}

/// All ranges, of each the owners that live first: one that does not is no master to send commands to.
fn ranges(info: &dyn ClusterInfo, live: &BTreeSet<NodeId>) -> Vec<SlotRange> {
    let mut ranges = info.slot_ranges();
    for range in &mut ranges {
        range.owners.sort_by_key(|owner| !live.contains(&owner.node_id));
    }
    ranges
}

fn live_nodes(info: &dyn ClusterInfo) -> BTreeSet<NodeId> {
    let status = info.status();
    status.nodes.into_iter().filter(|node| node.live).map(|node| node.info.node_id).collect()
}
