//! Hand-made evidence: operations on a few keys, times in microseconds, tags as plain numbers.

use crate::{
    content::{self, Content, KeyId, WriteId},
    evidence::Evidence,
    history::{Action, Answer, History, Operation, SimTime},
    snapshot::Snapshot,
};
use shoal_proto::types::{Consistency, Stamped, Tag, UnixMillis, Value, Version};
use std::{ops::Range, time::Duration};

pub(crate) const CLOCK_BOUND_MS: u64 = 200;
pub(crate) const CALL_TIMEOUT_MS: u64 = 500;
/// When the snapshots of [`evidence`] and [`snapshot`] are taken.
pub(crate) const CONVERGED_AT: u64 = 60_000_000;

pub(crate) fn evidence(operations: Vec<Operation>) -> Evidence {
    let history = History {
        replicas: 3,
        epoch: UnixMillis(0),
        clock_bound: Duration::from_millis(CLOCK_BOUND_MS),
        call_timeout: Duration::from_millis(CALL_TIMEOUT_MS),
        operations,
    };
    let empty = Snapshot { at: SimTime(CONVERGED_AT), ..Snapshot::default() };
    Evidence { history, incidents: Vec::new(), at_heal: empty.clone(), converged: empty }
}

/// Nodes 0, 1 and 2 own `key` and hold this.
pub(crate) fn snapshot(key: u16, held: [Option<Stamped>; 3]) -> Snapshot {
    let key = KeyId(key);
    let store = |entry: Option<Stamped>| entry.into_iter().map(|stamped| (key.to_key(), stamped)).collect();
    let stores = held.into_iter().map(store).enumerate().collect();
    Snapshot { at: SimTime(CONVERGED_AT), stores, owners: [(key, vec![0, 1, 2])].into() }
}

pub(crate) fn at_ms(millis: u64) -> u64 {
    millis * 1_000
}

pub(crate) fn tag(number: u64) -> Tag {
    Tag::from_bits(number.max(1)).unwrap()
}

pub(crate) fn live(number: u64) -> Stamped {
    Stamped::live(tag(number), 0, None, Value::new("held").unwrap())
}

pub(crate) fn live_until(number: u64, expires_at: u64) -> Stamped {
    Stamped::live(tag(number), 0, Some(UnixMillis(expires_at)), Value::new("held").unwrap())
}

pub(crate) fn dead(number: u64) -> Stamped {
    Stamped::tombstone(tag(number))
}

pub(crate) fn stamped(number: u64, expires_at: Option<u64>, value: Option<Value>) -> Stamped {
    let value_hash = value.as_ref().map_or(0, Value::hash);
    let expires_at = expires_at.map(UnixMillis);
    let version = Version {
        tag: tag(number),
        dead: value.is_none(),
        touch: 0,
        expires_at,
        touched_at: None,
        value_hash,
    };
    Stamped::from_parts(version, value).unwrap()
}

const QUORUM: Consistency = Consistency::Quorum;

pub(crate) fn write(key: u16, time: Range<u64>, number: u64) -> Operation {
    call(key, Action::Write { ttl: None }, time, acknowledged(number))
}

pub(crate) fn delete(key: u16, time: Range<u64>, number: u64) -> Operation {
    call(key, Action::Delete, time, acknowledged(number))
}

/// Of all keys.
pub(crate) fn flush(time: Range<u64>, number: u64) -> Operation {
    call(0, Action::Flush, time, acknowledged(number))
}

pub(crate) fn hit(key: u16, time: Range<u64>, number: u64) -> Operation {
    let content = Content::Of(WriteId { client: 1, sequence: 1, key: KeyId(key) });
    call(
        key,
        Action::Read,
        time,
        Answer::Hit { content, tag: tag(number), expires_at: None, reached: QUORUM },
    )
}

pub(crate) fn miss(key: u16, time: Range<u64>) -> Operation {
    call(key, Action::Read, time, Answer::Miss { tag: None, reached: QUORUM })
}

pub(crate) fn miss_of(key: u16, time: Range<u64>, number: u64) -> Operation {
    call(key, Action::Read, time, Answer::Miss { tag: Some(tag(number)), reached: QUORUM })
}

fn acknowledged(number: u64) -> Answer {
    Answer::Acknowledged { tag: tag(number), expires_at: None, superseded_by: None, reached: QUORUM }
}

fn call(key: u16, action: Action, time: Range<u64>, answer: Answer) -> Operation {
    let (start, end) = (SimTime(time.start), SimTime(time.end));
    Operation {
        client: 1,
        sequence: 1,
        via: Some(0),
        key: KeyId(key),
        action,
        level: QUORUM,
        start,
        end,
        answer,
    }
}

impl Operation {
    pub(crate) fn by(self, client: u16) -> Self {
        Self { client, ..self }
    }

    pub(crate) fn via(self, via: usize) -> Self {
        Self { via: Some(via), ..self }
    }

    pub(crate) fn at_one(mut self) -> Self {
        self.level = Consistency::One;
        if let Answer::Hit { reached, .. }
        | Answer::Miss { reached, .. }
        | Answer::Acknowledged { reached, .. } = &mut self.answer
        {
            *reached = Consistency::One;
        }
        self
    }

    pub(crate) fn expiring(mut self, at: u64) -> Self {
        if let Answer::Hit { expires_at, .. } | Answer::Acknowledged { expires_at, .. } = &mut self.answer {
            *expires_at = Some(UnixMillis(at));
        }
        self
    }

    pub(crate) fn superseded_by(mut self, number: u64) -> Self {
        if let Answer::Acknowledged { superseded_by, .. } = &mut self.answer {
            *superseded_by = Some(tag(number));
        }
        self
    }

    pub(crate) fn of(mut self, write: WriteId) -> Self {
        if let Answer::Hit { content, .. } = &mut self.answer {
            *content = Content::Of(write);
        }
        self
    }

    pub(crate) fn corrupt(mut self) -> Self {
        if let Answer::Hit { content, .. } = &mut self.answer {
            *content = content::decode(&Value::new("garbage").unwrap());
        }
        self
    }

    pub(crate) fn maybe(self) -> Self {
        Self { answer: Answer::Failed { maybe: true, error: "timeout".into() }, ..self }
    }

    pub(crate) fn failed(self) -> Self {
        Self { answer: Answer::Failed { maybe: false, error: "unavailable".into() }, ..self }
    }
}
