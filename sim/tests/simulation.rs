//! Whole clusters under faults, as every change is checked: five nodes, five hundred operations, forty seeds.
#![cfg(not(madsim))]

use shoal_sim::{
    options::Profile,
    runner::{Batch, Plan, build},
};
use std::{env, fs};

const SEEDS: u64 = 40;
const NODES: usize = 5;
const OPERATIONS: u64 = 500;
/// Names the file in which whoever runs the tests wants to read what the simulation did: cargo hides what a test that
/// passes prints.
const SUMMARY: &str = "SHOAL_SIM_SUMMARY";

#[test]
fn clusters_keep_their_promises_under_faults() {
    let simulation = build().unwrap();
    let plan = Plan { seeds: 1..=SEEDS, profile: Profile::Ci, mutant: None, jobs: 2 };
    let batch = plan.run(&simulation, || {});
    println!("{batch}");
    tell(&batch);
    assert!(batch.is_good());
    assert!(batch.reports.len() as u64 >= SEEDS, "only {} seeds ran", batch.reports.len());
    assert!(batch.repeated >= 2, "nothing shows that runs repeat");
    for report in &batch.reports {
        let (seed, operations) = (report.options.seed, report.operations);
        assert_eq!(report.options.nodes, NODES, "seed {seed}");
        assert!(operations >= OPERATIONS, "seed {seed} made only {operations} operations");
    }
}

fn tell(batch: &Batch) {
    let Some(file) = env::var_os(SUMMARY) else { return };
    let summary = serde_json::json!({
        "seeds": batch.reports.len(),
        "operations": batch.reports.iter().map(|report| report.operations).sum::<u64>(),
        "repeated": batch.repeated,
        "failed": batch.failures.len() + batch.mismatches.len(),
    });
    fs::write(file, summary.to_string()).unwrap();
}
