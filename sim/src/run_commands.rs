//! The commands of a plain build: many seeds, one seed again, the deliberate bugs.

use anyhow::Context;
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use shoal_sim::{
    options::Profile,
    runner::{MUTANT_SEEDS, MUTANTS, Plan, Seed, Simulation, build},
};
use std::{ops::RangeInclusive, process::ExitCode};

#[derive(Parser)]
#[command(name = "shoal-sim", about = "Seeded fault-injection simulation of whole Shoal clusters")]
struct Arguments {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
    /// Run many seeds and check what they promise.
    Run {
        /// Seeds, both ends included.
        #[arg(long, default_value = "1..40", value_parser = parse_seeds)]
        seeds: RangeInclusive<u64>,
        /// Processes at a time.
        #[arg(long, default_value_t = 2)]
        jobs: usize,
        /// Switch on a deliberate bug.
        #[arg(long, value_parser = MUTANTS)]
        mutant: Option<String>,
        /// How options are drawn: ci or swarm.
        #[arg(long, default_value_t = Profile::Swarm)]
        profile: Profile,
    },
    /// Run one seed again, with its log on standard error (see RUST_LOG).
    Replay {
        /// The seed.
        seed: u64,
        /// Switch on a deliberate bug.
        #[arg(long, value_parser = MUTANTS)]
        mutant: Option<String>,
        /// How options are drawn: ci or swarm.
        #[arg(long, default_value_t = Profile::Swarm)]
        profile: Profile,
    },
    /// Check that every deliberate bug is caught.
    Mutants {
        /// Processes at a time.
        #[arg(long, default_value_t = 2)]
        jobs: usize,
        /// How options are drawn: ci or swarm.
        #[arg(long, default_value_t = Profile::Ci)]
        profile: Profile,
    },
}

pub(crate) fn main() -> anyhow::Result<ExitCode> {
    let command = Arguments::parse().command;
    let simulation = build()?;
    let good = match command {
        Subcommands::Run { seeds, jobs, mutant, profile } => {
            run(&simulation, &Plan { seeds, profile, mutant, jobs })
        }
        Subcommands::Replay { seed, mutant, profile } => {
            let status = Seed { seed, profile, mutant }.command(&simulation).status();
            status.context("cannot run the simulation")?.success()
        }
        Subcommands::Mutants { jobs, profile } => catch_all(&simulation, jobs, profile),
    };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run(simulation: &Simulation, plan: &Plan) -> bool {
    let bar = bar(plan.size(), "seeds");
    let batch = plan.run(simulation, || bar.inc(1));
    bar.finish_and_clear();
    println!("{batch}");
    batch.is_good()
}

fn catch_all(simulation: &Simulation, jobs: usize, profile: Profile) -> bool {
    let mut all = true;
    for name in MUTANTS {
        let plan = Plan { seeds: 1..=MUTANT_SEEDS, profile, mutant: Some(name.to_owned()), jobs };
        let bar = bar(MUTANT_SEEDS as usize, name);
        let caught = plan.run_until_caught(simulation, || bar.inc(1));
        bar.finish_and_clear();
        match caught {
            Some(report) => {
                let by = report.violations.first().map(|violation| violation.invariant.as_str());
                println!("{name}: caught by {} with seed {}", by.unwrap_or_default(), report.options.seed);
            }
            None => {
                println!("{name}: NOT caught within {MUTANT_SEEDS} seeds");
                all = false;
            }
        }
    }
    all
}

fn bar(length: usize, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} {elapsed} eta {eta}");
    let bar = ProgressBar::new(length as u64).with_message(what.to_owned());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn parse_seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let parse = |number: &str| number.parse::<u64>().map_err(|_| format!("'{number}' is not a seed"));
    let (first, last) = match text.split_once("..") {
        Some((first, last)) => (parse(first)?, parse(last)?),
        None => (parse(text)?, parse(text)?),
    };
    if first <= last { Ok(first..=last) } else { Err(format!("there are no seeds from {first} to {last}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_number_or_a_range_with_both_ends() {
        assert_eq!(parse_seeds("7"), Ok(7..=7));
        assert_eq!(parse_seeds("1..40"), Ok(1..=40));
        for bad in ["", "x", "1..", "4..3", "1...3"] {
            assert!(parse_seeds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_commands_in_documents_are_understood() {
        const PREFIX: &str = "cargo run -p shoal-sim -- ";
        let documents = [include_str!("../../README.md"), include_str!("../../docs/TESTING.md")];
        let lines = documents.iter().flat_map(|text| text.lines());
        let commands: Vec<&str> = lines.filter_map(|line| Some(line.split_once(PREFIX)?.1)).collect();
        assert!(commands.len() > 3, "{commands:?}");
        for command in commands {
            let words = command.split_whitespace().take_while(|word| *word != "#");
            if let Err(error) = Arguments::try_parse_from(["shoal-sim"].into_iter().chain(words)) {
                panic!("{PREFIX}{command}: {error}");
            }
        }
    }

    #[test]
    fn the_commands_are_well_formed() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
