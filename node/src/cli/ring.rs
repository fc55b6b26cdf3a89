use super::{NOTHING, key_commands::Target, output, remote::Remote, status::state};
use clap::Args;
use serde::Serialize;
use shoal_client::{OwnerTable, Topology, TopologyNode};
use shoal_membership::ring::table;
use shoal_proto::types::{Member, WriterId};
use std::process::ExitCode;

/// `shoal ring`.
#[derive(Debug, Args)]
pub(crate) struct Ring {
    /// List the ranges of hash slots with their owners
    #[arg(long)]
    slots: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Serialize)]
struct Report<'a> {
    cluster_id: String,
    epoch: u64,
    phase: u32,
    digest: String,
    vnodes: u16,
    replicas: usize,
    answered_by: &'a str,
    nodes: Vec<Share<'a>>,
    ranges: Vec<Range<'a>>,
}

/// What one node owns.
#[derive(Debug, Serialize)]
struct Share<'a> {
    node_id: &'a str,
    zone: &'a str,
    state: &'static str,
    role: &'static str,
    capacity: u32,
    /// Vnodes it owns in any position, and those it is the first owner of.
    vnodes: usize,
    first_vnodes: usize,
    /// Its part of all copies, and what its capacity, the zones and one copy per node and vnode entitle it to.
    share_percent: f64,
    fair_percent: f64,
    /// Ranges of slots it owns.
    ranges: usize,
}

/// Neighbouring slots with the same owners in the same order.
#[derive(Serialize)]
struct Range<'a> {
    first: u16,
    last: u16,
    owners: Vec<&'a str>,
}

impl Ring {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let ring = Remote::connect(&self.target, None).await?.ring().await?;
        let report = Report::new(&ring)?;
        if self.target.json {
            output::json(&report)?;
        } else {
            report.print(self.slots)?;
        }
        Ok(if ring.table.is_some() { ExitCode::SUCCESS } else { ExitCode::from(NOTHING) })
    }
}

impl<'a> Report<'a> {
    fn new(ring: &'a Topology) -> anyhow::Result<Self> {
        let table = ring.table.as_ref();
        let ranges = table.map_or_else(Vec::new, |table| ranges(table, &ring.nodes));
        Ok(Self {
            cluster_id: format!("{:016x}", ring.cluster_id),
            epoch: ring.epoch,
            phase: ring.phase.number(),
            digest: format!("{:016x}", ring.digest),
            vnodes: table.map_or(0, OwnerTable::vnodes),
            replicas: table.map_or(0, OwnerTable::replicas),
            answered_by: ring.told_by.as_str(),
            nodes: shares(ring, &ranges)?,
            ranges,
        })
    }

    fn print(&self, slots: bool) -> anyhow::Result<()> {
        output::line(self.summary())?;
        if slots {
            let rows: Vec<_> = self.ranges.iter().map(Range::row).collect();
            return output::table(&["slots", "owners, the preferred first"], &rows);
        }
        let headings =
            ["node", "zone", "state", "role", "vnodes", "first of", "share", "fair", "off", "ranges"];
        output::table(&headings, &self.nodes.iter().map(Share::row).collect::<Vec<_>>())
    }

    fn summary(&self) -> String {
        match self.epoch {
            0 => format!("node {} has no ring yet", self.answered_by),
            epoch => format!(
                "epoch {epoch} phase {} digest {}: {} vnodes x {} replicas, {} ranges of slots",
                self.phase,
                self.digest,
                self.vnodes,
                self.replicas,
                self.ranges.len(),
            ),
        }
    }
}

fn ranges<'a>(table: &OwnerTable, nodes: &'a [TopologyNode]) -> Vec<Range<'a>> {
    let name = |owner: u16| nodes.get(usize::from(owner)).map(|node| node.node_id.as_str());
    let named = |range: table::OwnedSlots| Range {
        first: range.start,
        last: range.end,
        owners: range.owners.into_iter().filter_map(name).collect(),
    };
    table::slot_ranges(table).into_iter().map(named).collect()
}

fn shares<'a>(ring: &'a Topology, ranges: &[Range<'a>]) -> anyhow::Result<Vec<Share<'a>>> {
    let table = ring.table.as_ref();
    let fair = table.map_or_else(|| Ok(Vec::new()), |table| fair_vnodes(table, &ring.nodes))?;
    let copies = table.map_or(0, |table| table.places().len());
    let percent = |vnodes: f64| if copies == 0 { 0.0 } else { 100.0 * vnodes / copies as f64 };
    let share = |(place, node): (usize, &'a TopologyNode)| {
        let is_here = |owner: &u16| node.member && usize::from(*owner) == place;
        let vnodes = table.map_or(0, |table| table.places().iter().filter(|owner| is_here(owner)).count());
        let name = node.node_id.as_str();
        Share {
            node_id: name,
            zone: &node.zone,
            state: state(node.live, node.ready),
            role: if node.member { "member" } else { "gateway" },
            capacity: node.capacity,
            vnodes,
            first_vnodes: table.map_or(0, |table| table.rows().filter(|row| is_here(&row[0])).count()),
            share_percent: percent(vnodes as f64),
            fair_percent: percent(fair.get(place).copied().unwrap_or_default()),
            ranges: ranges.iter().filter(|range| range.owners.contains(&name)).count(),
        }
    };
    Ok(ring.nodes.iter().enumerate().map(share).collect())
}

/// What each member is entitled to, in vnodes.
fn fair_vnodes(table: &OwnerTable, nodes: &[TopologyNode]) -> anyhow::Result<Vec<f64>> {
    // Placement looks at zones and capacities alone.
    let writer_id = WriterId::member(1).expect("1 is a member's id");
    let members = nodes.iter().filter(|node| node.member).map(|node| Member {
        node_id: node.node_id.clone(),
        generation_floor: 0,
        writer_id,
        zone: node.zone.clone(),
        capacity: node.capacity,
        peer_address: String::new(),
    });
    Ok(table::targets(&members.collect::<Vec<_>>(), table.replicas(), table.vnodes())?)
}

impl Share<'_> {
    fn row(&self) -> Vec<String> {
        let off = match self.fair_percent {
            0.0 => "-".into(),
            fair => format!("{:+.1} %", 100.0 * (self.share_percent / fair - 1.0)),
        };
        let cells = [self.node_id, self.zone, self.state, self.role].map(str::to_owned);
        let numbers = [
            self.vnodes.to_string(),
            self.first_vnodes.to_string(),
            format!("{:.1} %", self.share_percent),
            format!("{:.1} %", self.fair_percent),
            off,
            self.ranges.to_string(),
        ];
        cells.into_iter().chain(numbers).collect()
    }
}

impl Range<'_> {
    fn row(&self) -> Vec<String> {
        vec![format!("{}-{}", self.first, self.last), self.owners.join(", ")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_client::{NodeId, Phase};

    fn ring() -> Topology {
        let node = |name: &str, zone: &str, capacity, member| TopologyNode {
            node_id: NodeId::new(name).unwrap(),
            zone: zone.into(),
            capacity,
            grpc_address: String::new(),
            member,
            live: name != "n3",
            ready: name != "n2",
        };
        Topology {
            told_by: NodeId::new("n1").unwrap(),
            cluster_id: 7,
            epoch: 1,
            phase: Phase::New,
            digest: 255,
            nodes: vec![
                node("n1", "a", 200, true),
                node("n2", "b", 100, true),
                node("n3", "c", 100, true),
                node("gateway", "a", 100, false),
            ],
            table: Some(OwnerTable::new(1, vec![0, 0, 0, 1, 2, 2, 0, 0]).unwrap()),
        }
    }

    #[test]
    fn shares_are_measured_against_what_capacity_entitles_to() {
        let ring = ring();
        let report = Report::new(&ring).unwrap();
        let rows: Vec<String> = report.nodes.iter().map(|share| share.row().join(" | ")).collect();
        assert_eq!(
            rows,
            [
                "n1 | a | up | member | 5 | 5 | 62.5 % | 50.0 % | +25.0 % | 2",
                "n2 | b | rebuilding | member | 1 | 1 | 12.5 % | 25.0 % | -50.0 % | 1",
                "n3 | c | down | member | 2 | 2 | 25.0 % | 25.0 % | +0.0 % | 1",
                "gateway | a | up | gateway | 0 | 0 | 0.0 % | 0.0 % | - | 0",
            ]
        );
        assert_eq!(
            report.summary(),
            "epoch 1 phase 3 digest 00000000000000ff: 8 vnodes x 1 replicas, 4 ranges of slots"
        );
    }

    #[test]
    fn ranges_cover_all_slots_and_name_their_owners() {
        let ring = ring();
        let rows: Vec<_> =
            Report::new(&ring).unwrap().ranges.iter().map(|range| range.row().join(" ")).collect();
        assert_eq!(rows, ["0-6143 n1", "6144-8191 n2", "8192-12287 n3", "12288-16383 n1"]);
    }

    #[test]
    fn before_there_is_a_ring_nobody_owns_anything() {
        let bare = Topology { epoch: 0, table: None, ..ring() };
        let report = Report::new(&bare).unwrap();
        assert_eq!(report.summary(), "node n1 has no ring yet");
        assert!(report.ranges.is_empty() && report.nodes.iter().all(|share| share.vnodes == 0));
    }
}
