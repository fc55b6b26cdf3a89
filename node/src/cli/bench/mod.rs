//! `shoal bench`: makes load and measures the answers.
//!
//! ```text
//! options -> plan -> schedule -> feed -> workers -> doors
//!                    workload ----------^   `-> recorders -> report, timeline, plot
//! ```
//!
//! When a request is due and what it asks for are pure functions of the seed and its number; workers only carry them
//! to a door and note when the answer came.

mod doors;
mod feed;
mod keys;
mod marks;
mod options;
mod payload;
mod plot;
mod recorder;
mod run;
mod schedule;
mod summary;
mod timeline;
mod trace;
mod worker;
mod workload;

pub(crate) use options::Bench;

use super::{TROUBLE, output};
use anyhow::Context as _;
use std::{fs, path::Path, process::ExitCode, sync::Arc};
use summary::{Report, Timeline};

impl Bench {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let plan = Arc::new(self.plan()?);
        let run = run::Run::measure(&plan, self.mark.clone(), self.marks.as_deref()).await?;
        let report = Report::of(&plan, &run);
        if self.json {
            output::json(&report)?;
        } else {
            report.print()?;
        }
        let timeline = Timeline::of(&plan, &run);
        if let Some(path) = &self.timeline {
            write(path, &serde_json::to_string(&timeline)?)?;
        }
        if let Some(path) = &self.plot {
            write(path, &plot::draw(&timeline)?)?;
        }
        Ok(if report.is_failure() { ExitCode::from(TROUBLE) } else { ExitCode::SUCCESS })
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
