//! How much of the table each member should hold.

use shoal_proto::types::Member;
use std::collections::BTreeMap;

/// How far a member's holdings may stray from its ideal where more than that would have to move otherwise. It is a
/// vnode at least.
const TOLERANCE: f64 = 0.03;

/// What placement needs to know of the members.
#[derive(Debug)]
pub(super) struct Shares {
    /// Owners per vnode.
    pub(super) replicas: usize,
    /// The number of each member's zone.
    zones: Vec<usize>,
    /// How many owners of one vnode may stand in one zone.
    pub(super) zone_cap: usize,
    /// The zone-feasible target of each member in vnodes.
    pub(super) targets: Vec<f64>,
}

impl Shares {
    /// The fairest shares in a table of `vnodes` rows with `replicas` owners each (no more than there are members).
    ///
    /// They are found by pouring: members take vnodes in proportion to their capacity, all at one water level (vnodes
    /// per unit of capacity), until a limit stops them. A member is full when it stands in every row; a zone is full
    /// when it has `zone_cap` owners in every row, and its members then share that at a lower level of their own. What
    /// the full ones turn away raises the level of the others until `vnodes * replicas` are poured.
    ///
    /// Such shares can always be met: if every row held `target / vnodes` of each member, all limits would be kept, and
    /// where a flow exists a whole one does, for any rounding that keeps to the zones' limits.
    pub(super) fn new(members: &[Member], replicas: usize, vnodes: usize) -> Self {
        let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in members {
            *sizes.entry(&member.zone).or_default() += 1;
        }
        let names: Vec<&str> = sizes.keys().copied().collect();
        let zones =
            members.iter().map(|member| names.partition_point(|name| *name < member.zone.as_str())).collect();
        let zone_cap = zone_cap(&sizes.into_values().collect::<Vec<_>>(), replicas);

        let rows = vnodes as f64;
        let room = rows * zone_cap as f64;
        let target = |level: f64, member: &Member| rows.min(level * f64::from(member.capacity));
        let poured = |level: f64, zone: &str| -> f64 {
            members.iter().filter(|member| member.zone == zone).map(|member| target(level, member)).sum()
        };
        let common = water_level(rows * replicas as f64, rows, |level| {
            names.iter().map(|zone| room.min(poured(level, zone))).sum()
        });
        let levels = names.iter().map(|zone| match poured(common, zone) > room {
            true => water_level(room, rows, |level| poured(level, zone)),
            false => common,
        });
        let levels: BTreeMap<&str, f64> = names.iter().copied().zip(levels).collect();
        let targets =
            members.iter().map(|member| snap(target(levels[member.zone.as_str()], member))).collect();
        Self { replicas, zones, zone_cap, targets }
    }

    /// Stands for an owner that a row lacks.
    pub(super) fn vacant(&self) -> u16 {
        self.targets.len() as u16
    }

    /// The number of a member's zone; none for a vacancy.
    pub(super) fn zone(&self, member: u16) -> Option<usize> {
        self.zones.get(usize::from(member)).copied()
    }
}

/// How many vnodes members should hold: what they hold already where that is near their ideal.
#[derive(Debug)]
pub(super) struct Targets {
    /// At least this many.
    pub(super) least: Vec<usize>,
    /// At best as many as this.
    pub(super) best: Vec<usize>,
    /// At most this many.
    pub(super) most: Vec<usize>,
}

impl Targets {
    /// Targets for members who hold this many of `total` vnodes `now`.
    pub(super) fn new(ideals: &[f64], now: &[usize], total: usize) -> Self {
        let least: Vec<usize> = ideals
            .iter()
            .map(|ideal| ideal.floor().min((ideal * (1.0 - TOLERANCE)).ceil()) as usize)
            .collect();
        let most: Vec<usize> = ideals
            .iter()
            .map(|ideal| ideal.ceil().max((ideal * (1.0 + TOLERANCE)).floor()) as usize)
            .collect();
        let start = |i: usize| match (least[i]..=most[i]).contains(&now[i]) {
            true => now[i],
            false => now[i].clamp(ideals[i].floor() as usize, ideals[i].ceil() as usize),
        };
        let mut best: Vec<usize> = (0..ideals.len()).map(start).collect();
        let mut sum: usize = best.iter().sum();
        // What has to move anyway goes from those furthest above their ideal or to those furthest below.
        while sum != total {
            let excess = |i: &usize| best[*i] as f64 - ideals[*i];
            let members = 0..best.len();
            if sum > total {
                let Some(i) =
                    members.filter(|i| best[*i] > least[*i]).max_by(|a, b| excess(a).total_cmp(&excess(b)))
                else {
                    break;
                };
                best[i] -= 1;
                sum -= 1;
            } else {
                let Some(i) =
                    members.filter(|i| best[*i] < most[*i]).min_by(|a, b| excess(a).total_cmp(&excess(b)))
                else {
                    break;
                };
                best[i] += 1;
                sum += 1;
            }
        }
        Self { least, best, most }
    }
}

/// The smallest cap that lets `replicas` owners stand in zones of these sizes: `ceil(replicas / zones)`, and more only
/// where small zones cannot hold their part.
fn zone_cap(sizes: &[usize], replicas: usize) -> usize {
    let fair = replicas.div_ceil(sizes.len());
    let fits = |cap: &usize| sizes.iter().map(|size| size.min(cap)).sum::<usize>() >= replicas;
    (fair..replicas).find(fits).unwrap_or(replicas)
}

/// The lowest level up to `highest` at which the vessel holds `volume`. `poured` grows with the level.
fn water_level(volume: f64, highest: f64, poured: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, highest);
    // A float has no more than 53 digits; the rest is for levels far below the highest.
    for _ in 0..96 {
        let middle = (low + high) / 2.0;
        if poured(middle) < volume { low = middle } else { high = middle }
    }
    high
}

/// Frees a share that is meant to be whole from the error of its computation.
fn snap(share: f64) -> f64 {
    let whole = share.round();
    if (share - whole).abs() < 1e-6 { whole } else { share }
}
