//! Commands of one connection under way at the same time.

use super::{
    Backend, RespDoor,
    answer::{Answer, Gathering},
    budget::{Budget, Share},
    plan::{Commands, Plan, Shape},
};
use crate::{
    coordinator::{CoordinatorError, RequestOptions},
    frontend::{Command, Reply},
    limits,
    metrics::Tally,
};
use futures::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, ready},
    stream::{self, FuturesOrdered},
};
use shoal_proto::types::{Key, UnixMillis};
use std::{collections::BTreeMap, sync::Arc};

/// Runs plans side by side when that cannot be told from running them one after another, and gives their answers back
/// in the order they came. Dropping it abandons what is under way.
pub(super) struct Pipeline<'a> {
    backend: &'a dyn Backend,
    /// What was answered at once since the turn began.
    tally: Tally,
    running: FuturesOrdered<BoxFuture<'a, (Answer, Share)>>,
    /// Keys that had to be waited for since the pipeline was last empty; true where one is written.
    keys: BTreeMap<Key, bool>,
    /// Something about all keys is under way.
    about_all: bool,
    /// Commands started since then.
    admitted: usize,
    /// Bytes of their keys and values that were to be waited for.
    bytes: usize,
    budget: Arc<Budget>,
}

impl<'a> Pipeline<'a> {
    pub(super) fn new(door: &'a RespDoor) -> Self {
        Self {
            backend: &*door.backend,
            tally: door.backend.tally(),
            running: FuturesOrdered::new(),
            keys: BTreeMap::new(),
            about_all: false,
            admitted: 0,
            bytes: 0,
            budget: Arc::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Commands that are under way.
    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    /// Bytes of commands that are under way, and of values that wait to be encoded.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes + self.budget.taken()
    }

    /// Whether `plan` may start now: there is room, and it neither writes a key under way nor reads one being written.
    /// What is about all keys starts, and is, alone.
    pub(super) fn admits(&self, plan: &Plan) -> bool {
        let commands = plan.commands();
        let conflicts = |command: &Command| match command.key() {
            Some(key) => self.keys.get(key).is_some_and(|written| *written || !command.is_read()),
            None => true,
        };
        self.is_empty()
            || (!self.about_all
                && self.admitted + commands.len() <= limits::RESP_BATCH
                && self.bytes < limits::RESP_REQUEST_BYTES
                && !commands.iter().any(conflicts))
    }

    /// Starts a plan that was admitted. The answer comes back at once if neither it nor anything ahead of it is to be
    /// waited for.
    pub(super) fn start(&mut self, plan: Plan, now: UnixMillis) -> Option<Answer> {
        let Plan { commands, shape, options, with_outcome, mute } = plan;
        self.admitted += commands.len();
        let form = Form { shape, with_outcome, mute };
        match commands {
            Commands::One(command) => self.start_one(command, form, options, now),
            Commands::Many(commands) => self.start_many(commands, form, options, now),
        }
    }

    /// Ends a turn: what it has answered at once is counted.
    pub(super) fn conclude(&mut self) {
        self.backend.conclude(&mut self.tally);
    }

    /// The next answer in order; `None` when the pipeline is empty.
    pub(super) async fn next(&mut self) -> Option<Answer> {
        let (answer, _share) = self.running.next().await?;
        if self.is_empty() {
            self.keys.clear();
            self.about_all = false;
            self.admitted = 0;
            self.bytes = 0;
        }
        Some(answer)
    }

    fn start_one(
        &mut self,
        command: Command,
        form: Form,
        options: RequestOptions,
        now: UnixMillis,
    ) -> Option<Answer> {
        match self.backend.try_execute(command, &options, &mut self.tally) {
            Ok(result) if self.is_empty() => {
                self.admitted = 0;
                Some(answer(form, result, now))
            }
            Ok(result) => {
                let done = keep(answer(form, result, now), Share::of(&self.budget));
                self.running.push_back(ready(done).boxed());
                None
            }
            Err(command) => {
                self.note(&command);
                let (backend, share) = (self.backend, Share::of(&self.budget));
                let reply = backend.execute(command, options);
                let done = reply.map(move |result| keep(answer(form, result, backend.now()), share));
                self.running.push_back(done.boxed());
                None
            }
        }
    }

    /// Remembers what a command under way is about.
    fn note(&mut self, command: &Command) {
        self.bytes += command.payload_bytes();
        match command.key() {
            Some(key) => drop(self.keys.insert(key.clone(), !command.is_read())),
            None => self.about_all = true,
        }
    }

    fn start_many(
        &mut self,
        commands: Vec<Command>,
        form: Form,
        options: RequestOptions,
        now: UnixMillis,
    ) -> Option<Answer> {
        let backend = self.backend;
        let mut gathering = Gathering::new(form.shape, commands.len(), &self.budget);
        let mut rest = Vec::new();
        for (index, command) in commands.into_iter().enumerate() {
            match backend.try_execute(command, &options, &mut self.tally) {
                Ok(result) => gathering.add(index, answer(form, result, now)),
                Err(command) => rest.push((index, command)),
            }
        }
        if rest.is_empty() {
            let done = finished(form, gathering);
            if self.is_empty() {
                self.admitted = 0;
                return Some(done.0);
            }
            self.running.push_back(ready(done).boxed());
            return None;
        }
        for (_, command) in &rest {
            self.note(command);
        }
        let done = async move {
            let run = |(index, command)| backend.execute(command, options).map(move |result| (index, result));
            let mut results = stream::iter(rest).map(run).buffer_unordered(limits::RESP_BATCH);
            while let Some((index, result)) = results.next().await {
                gathering.add(index, answer(form, result, backend.now()));
            }
            finished(form, gathering)
        };
        self.running.push_back(done.boxed());
        None
    }
}

/// How replies are to be told.
#[derive(Clone, Copy)]
struct Form {
    shape: Shape,
    with_outcome: bool,
    mute: bool,
}

fn answer(form: Form, result: Result<Reply, CoordinatorError>, now: UnixMillis) -> Answer {
    if form.mute {
        return Answer::Nothing;
    }
    let reply = match result {
        Ok(reply) => reply,
        Err(error) => return Answer::Error(error),
    };
    let outcome = if form.with_outcome { reply.outcome().copied() } else { None };
    let answer = Answer::of(form.shape, reply, now);
    match outcome {
        Some(outcome) => answer.with_outcomes(vec![outcome]),
        None => answer,
    }
}

/// The answer to all commands, unless nobody wants it.
fn finished(form: Form, gathering: Gathering) -> (Answer, Share) {
    let (answer, share) = gathering.finish();
    (if form.mute { Answer::Nothing } else { answer }, share)
}

/// The answer with its share of the budget, or an error in its place.
fn keep(answer: Answer, mut share: Share) -> (Answer, Share) {
    match share.take(answer.value_bytes()) {
        Ok(()) => (answer, share),
        Err(error) => (Answer::Error(error), share),
    }
}

#[cfg(test)]
mod tests;
