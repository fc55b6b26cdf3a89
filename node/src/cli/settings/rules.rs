//! What settings must satisfy besides their types. Each rule is written once, here.

use super::Settings;
use shoal_node::limits::{MAX_CLIENTS, MAX_TCP_KEEPALIVE, MIN_MEMORY_BYTES};
use shoal_proto::types::{Consistency, MAX_REPLICAS, MAX_VNODES};
use std::{collections::BTreeSet, net::SocketAddr, ops::RangeInclusive, time::Duration};

const CAPACITIES: RangeInclusive<u32> = 1..=10_000;
const REQUEST_TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(600);
const GOSSIP_INTERVALS: RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_secs(30);
const PHIS: RangeInclusive<f64> = 1.0..=100.0;
/// Gossip must not forget a node before it has noticed its death.
const MIN_GRACE_INTERVALS: u32 = 20;

/// A setting and what is wrong with it.
pub(crate) type Complaint = (&'static str, String);

/// What there is besides the settings, so far as rules ask for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given {
    /// A cluster secret.
    pub(crate) secret: bool,
    /// A password or tokens.
    pub(crate) credentials: bool,
}

/// Checks the settings against each other. Returns every complaint.
pub(crate) fn check(settings: &Settings, given: Given) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    check_ranges(settings, &mut complaints);
    check_levels(settings, &mut complaints);
    check_times(settings, &mut complaints);
    check_doors(settings, &mut complaints);
    check_protection(settings, given, &mut complaints);
    check_seeds(settings, &mut complaints);
    complaints
}

fn check_ranges(settings: &Settings, complaints: &mut Vec<Complaint>) {
    let vnodes = settings.vnodes.0;
    if !vnodes.is_power_of_two() || u32::from(vnodes) > MAX_VNODES {
        complaints.push(("vnodes", format!("expected a power of two up to {MAX_VNODES}")));
    }
    if !(1..=MAX_REPLICAS).contains(&settings.replicas.0) {
        complaints.push(("replicas", format!("expected 1 to {MAX_REPLICAS}")));
    }
    if !CAPACITIES.contains(&settings.capacity.0) {
        complaints.push(("capacity", format!("expected {} to {}", CAPACITIES.start(), CAPACITIES.end())));
    }
    if settings.max_memory.0.0 < MIN_MEMORY_BYTES {
        complaints.push(("max_memory", format!("expected at least {}MiB", MIN_MEMORY_BYTES >> 20)));
    }
    if !(1..=MAX_CLIENTS).contains(&(settings.max_clients.0 as u64)) {
        complaints.push(("max_clients", format!("expected 1 to {MAX_CLIENTS}")));
    }
    if !PHIS.contains(&settings.gossip_phi.0) {
        complaints.push(("gossip_phi", format!("expected {} to {}", PHIS.start(), PHIS.end())));
    }
}

fn check_levels(settings: &Settings, complaints: &mut Vec<Complaint>) {
    let replicas = settings.replicas.0;
    if replicas == 0 {
        // No level could do with that; the number itself is complained of.
        return;
    }
    let levels = [
        ("read_consistency", settings.read_consistency.0),
        ("write_consistency", settings.write_consistency.0),
    ];
    for (name, level) in levels {
        let required = Consistency::required(level, replicas);
        if required > replicas {
            complaints.push((name, format!("it needs {required} owners and there are {replicas} replicas")));
        }
    }
}

fn check_times(settings: &Settings, complaints: &mut Vec<Complaint>) {
    let mut within = |name, time: Duration, range: RangeInclusive<Duration>| {
        if !range.contains(&time) {
            complaints.push((name, format!("expected {:?} to {:?}", range.start(), range.end())));
        }
    };
    within("request_timeout", settings.request_timeout.0, REQUEST_TIMEOUTS);
    within("gossip_interval", settings.gossip_interval.0, GOSSIP_INTERVALS);
    within(
        "tcp_keepalive",
        settings.tcp_keepalive.0,
        Duration::ZERO..=Duration::from_secs(MAX_TCP_KEEPALIVE),
    );
    let timeout = settings.request_timeout.0;
    if settings.read_patience.0 >= timeout {
        complaints
            .push(("read_patience", format!("expected less than request_timeout, which is {timeout:?}")));
    }
    let least = settings.gossip_interval.0.saturating_mul(MIN_GRACE_INTERVALS);
    if settings.gossip_grace.0 < least {
        let text =
            format!("expected at least {MIN_GRACE_INTERVALS} times gossip_interval, which makes {least:?}");
        complaints.push(("gossip_grace", text));
    }
}

fn doors(settings: &Settings) -> [(&'static str, SocketAddr); 4] {
    [
        ("resp", settings.resp.0),
        ("http", settings.http.0),
        ("grpc", settings.grpc.0),
        ("gossip", settings.gossip.0),
    ]
}

/// Whoever reaches a door from another machine must have to prove something, unless that is meant.
fn check_protection(settings: &Settings, given: Given, complaints: &mut Vec<Complaint>) {
    for (name, address) in doors(settings) {
        if address.ip().is_loopback() {
            continue;
        }
        let for_peers = ["grpc", "gossip"].contains(&name);
        if for_peers && !given.secret {
            let text = "any process that reaches this address could pose as a node; \
                        set secret_file or SHOAL_SECRET first, or listen on a loopback address";
            complaints.push((name, text.into()));
        }
        if name != "gossip" && !given.credentials && !settings.insecure_bind.0 {
            let text = "anyone who reaches this address could read and write; set password_file, SHOAL_PASSWORD or \
                        tokens_file first, listen on a loopback address, or say with --insecure-bind that it is meant";
            complaints.push((name, text.into()));
        }
    }
}

fn check_doors(settings: &Settings, complaints: &mut Vec<Complaint>) {
    let doors = doors(settings);
    for (name, address) in doors {
        if address.port() == 0 {
            complaints.push((name, "expected a port other than 0, which others could not know".into()));
        }
    }
    if settings.advertise_gossip.0.is_some_and(|told| told.ip().is_unspecified() || told.port() == 0) {
        complaints.push(("advertise_gossip", "expected an address that others can dial".into()));
    }
    // Gossip is UDP, whose ports are others.
    for (i, (name, address)) in doors[..3].iter().enumerate() {
        if let Some((other, _)) = doors[..i].iter().find(|(_, earlier)| collide(*earlier, *address)) {
            complaints.push((name, format!("{other} listens there already")));
        }
    }
}

fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let everywhere = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || everywhere)
}

fn check_seeds(settings: &Settings, complaints: &mut Vec<Complaint>) {
    let seeds = &settings.seed.0;
    match (seeds.is_empty(), settings.bootstrap.0) {
        (true, false) => complaints.push((
            "seed",
            "name the gossip addresses of the first members (--seed host:7382,...), \
             or found a cluster of this node alone (--bootstrap)"
                .into(),
        )),
        (false, true) => complaints.push((
            "bootstrap",
            "it founds a cluster of this node alone; leave it out when there are seeds".into(),
        )),
        _ => {}
    }
    let distinct: BTreeSet<String> = seeds.iter().map(ToString::to_string).collect();
    if distinct.len() < seeds.len() {
        complaints.push(("seed", "an address is named twice".into()));
    }
}
