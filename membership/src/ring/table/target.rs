//! How much of the table each member should own.

use std::collections::BTreeMap;

/// What placement knows of the members: failure domains, capacities and how much one row may hold of each.
#[derive(Debug)]
pub(super) struct Shares {
    /// The number of each member's zone.
    pub(super) zones: Vec<usize>,
    /// How many owners of one vnode may stand in one zone.
    pub(super) zone_cap: usize,
    /// The zone-feasible target of each member, in vnodes: see [`Shares::new`].
    pub(super) targets: Vec<f64>,
}

impl Shares {
    /// The fairest shares of a table of `vnodes` rows with `replicas` owners each, by water-filling.
    ///
    /// A member takes vnodes in proportion to its capacity until one of two limits stops it: it stands in every row
    /// (`vnodes`), or its zone has reached the cap in every row (`zone_cap * vnodes`). What a limit turns away rises
    /// to the members that still have room: one water level (vnodes per unit of capacity) for all of them, and a lower
    /// one inside each full zone. Such shares are always attainable: every row could hold `target / vnodes` of each
    /// member, and a flow with whole bounds has a whole solution.
    pub(super) fn new(members: &[(&str, u32)], replicas: usize, vnodes: usize) -> Self {
        let numbers: BTreeMap<&str, usize> = members.iter().map(|(zone, _)| (*zone, 0)).collect();
        let numbers: BTreeMap<&str, usize> = numbers.into_keys().enumerate().map(|(i, zone)| (zone, i)).collect();
        let zones: Vec<usize> = members.iter().map(|(zone, _)| numbers[zone]).collect();
        let mut sizes = vec![0; numbers.len()];
        for zone in &zones {
            sizes[*zone] += 1;
        }
        let zone_cap = zone_cap(&sizes, replicas);

        let rows = vnodes as f64;
        let room = zone_cap as f64 * rows;
        let fill = |zone: usize, level: f64| -> f64 {
            let inside = members.iter().zip(&zones).filter(|(_, z)| **z == zone);
            inside.map(|((_, capacity), _)| (level * f64::from(*capacity)).min(rows)).sum()
        };
        let level = water_level(replicas as f64 * rows, rows, |level| {
            (0..sizes.len()).map(|zone| fill(zone, level).min(room)).sum()
        });
        let levels: Vec<f64> = (0..sizes.len())
            .map(|zone| if fill(zone, level) > room { water_level(room, rows, |level| fill(zone, level)) } else { level })
            .collect();
        let targets = members.iter().zip(&zones);
        let targets = targets.map(|((_, capacity), zone)| snap((levels[*zone] * f64::from(*capacity)).min(rows)));
        Self { targets: targets.collect(), zones, zone_cap }
    }

    /// Targets in whole vnodes, as close to what members hold `now` as `tolerance` allows.
    pub(super) fn whole(&self, now: &[usize], total: usize, tolerance: f64) -> Vec<usize> {
        let zones = self.zones.iter().max().map_or(0, |last| last + 1);
        let sum = |zone: usize, of: &dyn Fn(usize) -> f64| -> f64 {
            (0..now.len()).filter(|i| self.zones[*i] == zone).map(of).sum()
        };
        let zone_targets: Vec<f64> = (0..zones).map(|zone| snap(sum(zone, &|i| self.targets[i]))).collect();
        let zone_now: Vec<usize> = (0..zones).map(|zone| sum(zone, &|i| now[i] as f64) as usize).collect();
        let mut whole = vec![0; now.len()];
        for (zone, total) in whole_near(&zone_targets, &zone_now, total, 0.0).into_iter().enumerate() {
            let inside: Vec<usize> = (0..now.len()).filter(|i| self.zones[*i] == zone).collect();
            let targets: Vec<f64> = inside.iter().map(|i| self.targets[*i]).collect();
            let held: Vec<usize> = inside.iter().map(|i| now[*i]).collect();
            for (i, target) in inside.into_iter().zip(whole_near(&targets, &held, total, tolerance)) {
                whole[i] = target;
            }
        }
        whole
    }
}

/// The smallest cap that lets `replicas` owners stand in zones of these sizes: `ceil(replicas / zones)`, more only
/// where small zones cannot hold their part.
fn zone_cap(sizes: &[usize], replicas: usize) -> usize {
    let fair = replicas.div_ceil(sizes.len().max(1));
    (fair..replicas).find(|cap| sizes.iter().map(|size| size.min(cap)).sum::<usize>() >= replicas).unwrap_or(replicas)
}

/// The level at which `filled`, which never falls, reaches `volume`.
fn water_level(volume: f64, high: f64, filled: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, high);
    for _ in 0..64 {
        let middle = (low + high) / 2.0;
        if filled(middle) < volume { low = middle } else { high = middle }
    }
    high
}

/// Rids a target that is meant to be whole of its rounding error.
fn snap(target: f64) -> f64 {
    if (target - target.round()).abs() < 1e-6 { target.round() } else { target }
}

/// Whole numbers with the sum `total`, each within `tolerance` of its ideal or next to it, near to `now`.
pub(super) fn whole_near(ideals: &[f64], now: &[usize], total: usize, tolerance: f64) -> Vec<usize> {
    let low = |ideal: f64| ideal.floor().min((ideal * (1.0 - tolerance)).ceil()) as usize;
    let high = |ideal: f64| ideal.ceil().max((ideal * (1.0 + tolerance)).floor()) as usize;
    let mut whole: Vec<usize> =
        ideals.iter().zip(now).map(|(ideal, now)| (*now).clamp(low(*ideal), high(*ideal))).collect();
    loop {
        let sum: usize = whole.iter().sum();
        if sum == total {
            return whole;
        }
        let above = |i: &usize| whole[*i] as f64 - ideals[*i];
        let i = if sum > total {
            // Who gives already gives on: one more vnode of a stretch moves cheaper than a stretch of another member.
            (0..whole.len())
                .filter(|i| whole[*i] > low(ideals[*i]))
                .max_by(|a, b| (whole[*a] < now[*a]).cmp(&(whole[*b] < now[*b])).then(above(a).total_cmp(&above(b))))
        } else {
            (0..whole.len())
                .filter(|i| whole[*i] < high(ideals[*i]))
                .max_by(|a, b| (whole[*a] != now[*a]).cmp(&(whole[*b] != now[*b])).then(above(b).total_cmp(&above(a))))
        };
        match i {
            Some(i) if sum > total => whole[i] -= 1,
            Some(i) => whole[i] += 1,
            None => return whole,
        }
    }
}
