use super::{Failure, Seed, Simulation};
use crate::{options::Profile, report::Report};
use std::{
    ops::RangeInclusive,
    sync::{Mutex, PoisonError},
    thread,
};

/// Every how manyth seed is run a second time, to see whether it repeats.
const REPEATED: usize = 20;
/// But at least so many.
const REPEATED_MIN: usize = 2;

/// Which runs to make.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Their seeds.
    pub seeds: RangeInclusive<u64>,
    /// How options are drawn.
    pub profile: Profile,
    /// The deliberate bug to switch on in all of them.
    pub mutant: Option<String>,
    /// Processes at a time.
    pub jobs: usize,
}

/// One seed that did not repeat.
#[derive(Debug, Clone)]
pub struct Mismatch {
    /// The run.
    pub seed: Seed,
    /// Its hashes.
    pub hashes: [String; 2],
}

/// What became of a plan.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Runs that were asked for.
    pub asked: usize,
    /// Those that reported, by seed.
    pub reports: Vec<Report>,
    /// Those that broke a promise or did not report.
    pub failures: Vec<Failure>,
    /// How many were run a second time.
    pub repeated: usize,
    /// Those that then differed.
    pub mismatches: Vec<Mismatch>,
}

impl Plan {
    /// Makes every run; calls `progress` after each one, those made a second time included.
    pub fn run(&self, simulation: &Simulation, progress: impl Fn() + Sync) -> Batch {
        let seeds: Vec<Seed> = self.seeds().collect();
        let results = in_parallel(self.jobs, &seeds, |seed| {
            let result = seed.run(simulation);
            progress();
            result
        });
        let mut batch = Batch { asked: seeds.len(), ..Batch::default() };
        for (seed, result) in seeds.iter().zip(results) {
            match result {
                Ok(report) => {
                    batch.failures.extend(broken_promises(seed, &report));
                    batch.reports.push(report);
                }
                Err(failure) => batch.failures.push(failure),
            }
        }
        self.repeat(simulation, &mut batch, progress);
        batch
    }

    /// Makes runs one after the other until one breaks a promise.
    pub fn run_until_caught(&self, simulation: &Simulation, progress: impl Fn() + Sync) -> Option<Report> {
        let seeds: Vec<Seed> = self.seeds().collect();
        seeds.chunks(self.jobs.max(1)).find_map(|chunk| {
            let results = in_parallel(self.jobs, chunk, |seed| {
                let result = seed.run(simulation);
                progress();
                result
            });
            results.into_iter().flatten().find(|report| !report.violations.is_empty())
        })
    }

    /// How many runs there are, those made a second time included.
    #[must_use]
    pub fn size(&self) -> usize {
        let seeds = self.seeds().count();
        seeds + repeated(seeds)
    }

    fn seeds(&self) -> impl Iterator<Item = Seed> {
        let seed = |seed| Seed { seed, profile: self.profile, mutant: self.mutant.clone() };
        self.seeds.clone().map(seed)
    }

    fn repeat(&self, simulation: &Simulation, batch: &mut Batch, progress: impl Fn() + Sync) {
        let count = repeated(batch.asked).min(batch.reports.len());
        let step = batch.reports.len().checked_div(count).unwrap_or(1).max(1);
        let again: Vec<&Report> = batch.reports.iter().step_by(step).take(count).collect();
        let mismatches = in_parallel(self.jobs, &again, |first| {
            let seed = Seed { seed: first.options.seed, profile: self.profile, mutant: self.mutant.clone() };
            let second = seed.run(simulation).map_or_else(|failure| failure.what, |second| second.trace_hash);
            progress();
            (second != first.trace_hash)
                .then(|| Mismatch { seed, hashes: [first.trace_hash.clone(), second] })
        });
        batch.repeated = count;
        batch.mismatches = mismatches.into_iter().flatten().collect();
    }
}

impl Batch {
    /// Whether every run that was asked for reported, kept every promise, and repeated when it was tried.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.reports.len() == self.asked && self.failures.is_empty() && self.mismatches.is_empty()
    }
}

fn repeated(seeds: usize) -> usize {
    seeds.div_ceil(REPEATED).max(REPEATED_MIN).min(seeds)
}

fn broken_promises(seed: &Seed, report: &Report) -> Option<Failure> {
    let broken: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
    (!broken.is_empty()).then(|| Failure { seed: seed.clone(), what: broken.join("\n") })
}

/// Maps `items` on `jobs` threads; results keep the order of the items.
fn in_parallel<T: Sync, R: Send>(jobs: usize, items: &[T], map: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let queue = Mutex::new(items.iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || std::iter::from_fn(next).map(|(index, item)| (index, map(item))).collect::<Vec<_>>();
    let mut results: Vec<(usize, R)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().filter_map(|worker| worker.join().ok()).flatten().collect()
    });
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{invariants::Violation, invariants::testing::evidence, options::Options};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_item_is_mapped_once_and_order_is_kept() {
        let items: Vec<usize> = (0..100).collect();
        let calls = AtomicUsize::new(0);
        let doubled = in_parallel(4, &items, |item| {
            calls.fetch_add(1, Ordering::SeqCst);
            item * 2
        });
        assert_eq!(doubled, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert_eq!(calls.load(Ordering::SeqCst), 100);
    }

    #[test]
    fn one_in_twenty_is_repeated_but_at_least_two() {
        let expected = [(1, 1), (2, 2), (10, 2), (40, 2), (41, 3), (200, 10)];
        for (seeds, count) in expected {
            assert_eq!(repeated(seeds), count, "{seeds}");
        }
    }

    #[test]
    fn runs_that_did_not_report_make_a_batch_bad() {
        let plan = Plan { seeds: 1..=3, profile: Profile::Ci, mutant: None, jobs: 2 };
        let batch = plan.run(&Simulation { program: "/bin/false".into() }, || {});
        assert_eq!((batch.asked, batch.reports.len(), batch.failures.len()), (3, 0, 3));
        assert!(!batch.is_good());
    }

    #[test]
    fn a_broken_promise_is_a_failure_that_names_it() {
        let options = Options::draw(1, Profile::Ci);
        let violation = Violation::new("freshness", "an old value");
        let report = Report::new(options, &evidence(vec![]), vec![violation]);
        let seed = Seed { seed: 1, profile: Profile::Ci, mutant: None };
        assert!(broken_promises(&seed, &report).unwrap().what.contains("freshness: an old value"));
    }
}
