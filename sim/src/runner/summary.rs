//! A batch as people read it.

use super::Batch;
use crate::invariants::availability::Share;
use comfy_table::{Table, presets::UTF8_BORDERS_ONLY};
use std::{collections::BTreeMap, fmt};

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = |count: fn(&crate::report::Report) -> u64| self.reports.iter().map(count).sum::<u64>();
        let share = |of: fn(&crate::report::Report) -> Share| {
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
        let faults: Vec<String> =
            faults.iter().map(|(kind, (bit, injected))| format!("{kind} {bit}/{injected}")).collect();

        let mut table = Table::new();
        table.load_preset(UTF8_BORDERS_ONLY);
        let rows = [
            ("seeds", format!("{} reported of {}", self.reports.len(), self.asked)),
            ("operations", total(|report| report.operations).to_string()),
            ("QUORUM succeeded", share(|report| report.usefulness.quorum)),
            ("  within tolerance", share(|report| report.usefulness.tolerated)),
            ("reads that hit", share(|report| report.usefulness.hits)),
            ("faults (bit/injected)", faults.join(", ")),
            ("simulated", format!("{} s", total(|report| report.simulated_ms) / 1_000)),
            ("packets", total(|report| report.messages).to_string()),
            ("repeated", format!("{}, {} differed", self.repeated, self.mismatches.len())),
            ("failed", self.failures.len().to_string()),
        ];
        for (name, value) in rows {
            table.add_row([name.to_owned(), value]);
        }
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
