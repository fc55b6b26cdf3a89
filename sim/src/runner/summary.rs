//! A batch as people read it.

use super::Batch;
use crate::{invariants::availability::Share, report::Report};
use comfy_table::{Table, presets::UTF8_BORDERS_ONLY};
use std::{collections::BTreeMap, fmt};

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = |count: fn(&Report) -> u64| self.reports.iter().map(count).sum::<u64>();
        let share = |of: fn(&Report) -> Share| {
            let sum = self.reports.iter().map(of).fold(Share::default(), |sum, share| Share {
                part: sum.part + share.part,
                whole: sum.whole + share.whole,
            });
            format!("{:.1} % of {}", 100.0 * sum.ratio(), sum.whole)
        };
        let mut faults: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
        for (kind, count) in self.reports.iter().flat_map(|report| &report.faults) {
            let (bit, injected) = faults.entry(kind).or_default();
            *bit += count.bit;
            *injected += count.injected;
        }
        let mut table = Table::new();
        table.load_preset(UTF8_BORDERS_ONLY);
        let mut row = |name: &str, value: String| {
            table.add_row([name, &value]);
        };
        row("seeds", format!("{} reported of {}", self.reports.len(), self.asked));
        row("operations", total(|report| report.operations).to_string());
        row("QUORUM succeeded", share(|report| report.usefulness.quorum));
        row("  within tolerance", share(|report| report.usefulness.tolerated));
        row("reads that hit", share(|report| report.usefulness.hits));
        for (kind, (bit, injected)) in faults {
            row(&format!("fault: {kind}"), format!("{injected} injected, {bit} met by operations"));
        }
        row("simulated", format!("{} s", total(|report| report.simulated_ms) / 1_000));
        row("packets", total(|report| report.messages).to_string());
        row("repeated", format!("{}, {} differed", self.repeated, self.mismatches.len()));
        row("failed", self.failures.len().to_string());

        for failure in &self.failures {
            writeln!(f, "{failure}\n")?;
        }
        for mismatch in &self.mismatches {
            let [first, second] = &mismatch.hashes;
            writeln!(f, "seed {} differed between two processes: {first}, {second}", mismatch.seed.seed)?;
            writeln!(f, "  replay:  {}\n", mismatch.seed.replay_command())?;
        }
        write!(f, "{table}")
    }
}
