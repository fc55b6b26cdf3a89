//! `CLUSTER`: who owns which slots. Any node answers for any key, so a client that routes by this saves a hop and one
//! that does not loses nothing.

use super::{Context, error::CommandError, is};
use crate::{
    admin::{ClusterInfo, NodeAddress, SlotRange},
    frontend::resp::{request::Request, writer::Writer},
};
use shoal_proto::types::NodeId;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

const SUBCOMMANDS: [&str; 6] = ["INFO", "KEYSLOT", "MYID", "NODES", "SHARDS", "SLOTS"];

/// `CLUSTER subcommand`
pub(super) fn cluster(context: &mut Context<'_>, request: &Request) -> Result<(), CommandError> {
    let (info, writer) = (&*context.door.info, &mut context.writer);
    match (request.argument(1), request.len()) {
        (sub, 2) if is(sub, "SLOTS") => slots(&info.slot_ranges(), writer),
        (sub, 2) if is(sub, "SHARDS") => shards(info, writer),
        (sub, 2) if is(sub, "NODES") => writer.text(&nodes(info)),
        (sub, 2) if is(sub, "INFO") => writer.text(&summary(info)),
        (sub, 2) if is(sub, "MYID") => writer.bulk(info.me().redis_id.as_bytes()),
        (sub, 3) if is(sub, "KEYSLOT") => writer.integer(i64::from(info.key_slot(request.argument(2)))),
        (sub, _) if SUBCOMMANDS.iter().any(|known| is(sub, known)) => {
            return Err(CommandError::Arity("CLUSTER"));
        }
        _ => return Err(CommandError::subcommand("CLUSTER", request)),
    }
    Ok(())
}

/// `READONLY`, `READWRITE`, `ASKING`: every node serves everything anyway.
pub(super) fn accepted(context: &mut Context<'_>, _: &Request) -> Result<(), CommandError> {
    context.writer.ok();
    Ok(())
}

/// Every range with its owners; clients take the first for the master.
fn slots(ranges: &[SlotRange], writer: &mut Writer<'_>) {
    writer.array(ranges.len());
    for range in ranges {
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
    let ranges = info.slot_ranges();
    let live = live_nodes(info);
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
            let health = if live.contains(&owner.node_id) { "online" } else { "failed" };
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
    let (me, ranges) = (info.me(), info.slot_ranges());
    let live = live_nodes(info);
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
    let covered: u32 = info.slot_ranges().iter().map(|range| u32::from(range.end - range.start) + 1).sum();
    let members = status.nodes.iter().filter(|node| node.member).count();
    let state = if covered > 0 { "ok" } else { "fail" };
    format!(
        "cluster_enabled:1\r\ncluster_state:{state}\r\ncluster_slots_assigned:{covered}\r\ncluster_slots_ok:{covered}\r\n\
         cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\ncluster_known_nodes:{}\r\ncluster_size:{members}\r\n\
         cluster_current_epoch:{}\r\ncluster_my_epoch:{}\r\n",
        status.nodes.len(),
        status.epoch,
        status.epoch,
    )
}

fn live_nodes(info: &dyn ClusterInfo) -> BTreeSet<NodeId> {
    let status = info.status();
    status.nodes.into_iter().filter(|node| node.live).map(|node| node.info.node_id).collect()
}
