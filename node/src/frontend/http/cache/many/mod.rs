//! Many keys in one request.

mod read;
mod write;

pub(super) use read::{Found, found, keys};
pub(super) use write::{Results, deletes, stores, written};

use crate::coordinator::{CoordinatorError, Outcome, RequestOptions};
use crate::frontend::{Command, Door, Reply, execute_all};
use crate::limits;
use shoal_proto::types::Key;

/// A command and the key it is about.
pub(super) type Keyed = (Key, Command);
type Answers = Vec<(Key, Result<Reply, CoordinatorError>)>;

/// Runs commands on keys that are not the same.
pub(super) async fn run(door: &Door, commands: Vec<Keyed>, options: RequestOptions) -> Answers {
    let (keys, commands): (Vec<Key>, Vec<Command>) = commands.into_iter().unzip();
    let commands = commands.into_iter().map(|command| Ok((command, options))).collect();
    let answers = execute_all(door, commands, limits::BATCH_VALUE_BYTES).await;
    keys.into_iter().zip(answers).collect()
}

/// What many answers were worth together, if there were any.
#[derive(Default)]
struct Least(Option<Outcome>);

impl Least {
    fn add(&mut self, outcome: Outcome) {
        self.0 = Some(self.0.map_or(outcome, |least| of_both(least, outcome)));
    }
}

/// What two answers were worth together: the least of each.
fn of_both(a: Outcome, b: Outcome) -> Outcome {
    Outcome {
        tag: None,
        expires_at: None,
        ttl: None,
        reached: a.reached.min(b.reached),
        asked: a.asked.min(b.asked),
        answered: a.answered.min(b.answered),
        superseded_by: a.superseded_by.or(b.superseded_by),
        repaired: a.repaired || b.repaired,
        hinted: a.hinted || b.hinted,
        degraded: a.degraded || b.degraded,
    }
}
