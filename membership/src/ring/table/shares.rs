//! How much of the table each member should hold.

use shoal_proto::types::Member;
use std::collections::BTreeMap;

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

    /// The targets in whole vnodes, of all roundings a near one to what members hold `now`. Zones are rounded before
    /// members, so that none exceeds its limit.
    pub(super) fn round(&self, now: &[usize]) -> Vec<usize> {
        let count = self.zones.iter().max().map_or(0, |last| last + 1);
        let (mut ideals, mut held) = (vec![0.0; count], vec![0; count]);
        for (member, zone) in self.zones.iter().enumerate() {
            ideals[*zone] += self.targets[member];
            held[*zone] += now[member];
        }
        let total = snap(self.targets.iter().sum()) as usize;
        let ideals: Vec<f64> = ideals.into_iter().map(snap).collect();
        let mut whole = vec![0; self.targets.len()];
        for (zone, total) in round_near(&ideals, &held, total).into_iter().enumerate() {
            let inside: Vec<usize> = (0..whole.len()).filter(|member| self.zones[*member] == zone).collect();
            let ideals: Vec<f64> = inside.iter().map(|member| self.targets[*member]).collect();
            let held: Vec<usize> = inside.iter().map(|member| now[*member]).collect();
            for (member, target) in inside.into_iter().zip(round_near(&ideals, &held, total)) {
                whole[member] = target;
            }
        }
        whole
    }
}

/// Each ideal rounded up or down, with the sum `total` and as near to `now` as that allows. The ideals sum to `total`
/// give or take a rounding.
pub(super) fn round_near(ideals: &[f64], now: &[usize], total: usize) -> Vec<usize> {
    let nearest = |(ideal, now): (&f64, &usize)| (*now).clamp(ideal.floor() as usize, ideal.ceil() as usize);
    let mut whole: Vec<usize> = ideals.iter().zip(now).map(nearest).collect();
    let sum: usize = whole.iter().sum();
    let lower = sum > total;
    let excess = |i: usize| whole[i] as f64 - ideals[i];
    let mut movable: Vec<usize> =
        (0..whole.len()).filter(|i| if lower { excess(*i) > 0.0 } else { excess(*i) < 0.0 }).collect();
    // One vnode more for a member that changes anyway is cheaper than a change for one that need not.
    movable.sort_by(|a, b| {
        let unchanged = |i: usize| whole[i] == now[i];
        unchanged(*a).cmp(&unchanged(*b)).then(excess(*b).abs().total_cmp(&excess(*a).abs()))
    });
    for i in movable.into_iter().take(sum.abs_diff(total)) {
        if lower { whole[i] -= 1 } else { whole[i] += 1 }
    }
    whole
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
