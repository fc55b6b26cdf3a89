//! From the coordinator's replies to RESP's.

use super::{
    budget::{Budget, Share},
    command, explanation, outcome,
    plan::{ExpiryUnit, Shape},
    writer::Writer,
};
use crate::{
    coordinator::{CoordinatorError, Explanation, GetReply, Outcome},
    frontend::{Reply, error_map::resp_error},
};
use shoal_proto::types::{CopyState, Key, UnixMillis, Value};
use std::sync::Arc;

/// A finished plan, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// To who does not want to be answered.
    Nothing,
    Ok,
    Integer(i64),
    /// A number, or null.
    Number(Option<i64>),
    Text(&'static str),
    /// A word, or null.
    Word(Option<&'static str>),
    Value(Option<Value>),
    Values(Vec<Option<Value>>),
    Keys(Vec<Key>),
    /// Where to go on, and keys.
    Scan(u64, Vec<Key>),
    Explanation(Box<Explanation>),
    Error(CoordinatorError),
    /// What cannot be told, as Redis says it.
    Untold(&'static str),
    /// With what it was worth, because the client wants to know.
    WithOutcomes(Box<Told>),
}

/// An answer and the outcome of each of its commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    answer: Answer,
    outcomes: Vec<Outcome>,
}

impl Answer {
    /// What one reply comes to.
    pub(super) fn of(shape: Shape, reply: Reply, now: UnixMillis) -> Self {
        match (reply, shape) {
            (Reply::Value(reply), Shape::Value | Shape::Values) => Self::Value(reply.value),
            (Reply::Value(reply), Shape::Length) => {
                Self::Integer(reply.value.map_or(0, |value| value.as_bytes().len() as i64))
            }
            (Reply::Value(reply), Shape::Range { start, end }) => {
                Self::Value(Some(reply.value.map_or_else(Value::default, |value| part(&value, start, end))))
            }
            (Reply::Value(reply), Shape::Type) => {
                Self::Text(if reply.value.is_some() { "string" } else { "none" })
            }
            (Reply::Value(reply), Shape::Encoding) => Self::Word(reply.value.as_ref().map(encoding)),
            (Reply::Value(reply), Shape::References) => Self::Number(reply.value.map(|_| 1)),
            (Reply::Value(reply), Shape::Expiry(unit)) => Self::Integer(expiry(&reply, unit, now)),
            (Reply::Value(reply), _) => Self::Integer(i64::from(reply.value.is_some())),
            (Reply::Stored(_) | Reply::Flushed(_), _) => Self::Ok,
            (Reply::Usage(bytes), _) => Self::Number(bytes.map(integer)),
            (Reply::Scanned(page), _) => Self::Scan(page.cursor, page.keys),
            (Reply::Slot(slot), Shape::Keys) => Self::Keys(slot.keys),
            (Reply::Slot(slot), _) => Self::Integer(integer(slot.count)),
            (Reply::Explained(explanation), Shape::Frequency) => frequency(&explanation),
            (Reply::Explained(explanation), _) => Self::Explanation(explanation),
            (Reply::Deleted(reply) | Reply::Touched(reply), _) => Self::Integer(i64::from(reply.existed)),
        }
    }

    /// This answer with what it was worth.
    pub(super) fn with_outcomes(self, outcomes: Vec<Outcome>) -> Self {
        Self::WithOutcomes(Box::new(Told { answer: self, outcomes }))
    }

    /// The bytes of the value it carries.
    pub(super) fn value_bytes(&self) -> usize {
        match self {
            Self::Value(Some(value)) => value.as_bytes().len(),
            Self::WithOutcomes(told) => told.answer.value_bytes(),
            _ => 0,
        }
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::WithOutcomes(told) => {
                outcome::write(&told.outcomes, writer, |writer| told.answer.write(writer));
            }
            Self::Nothing => {}
            Self::Ok => writer.ok(),
            Self::Integer(value) => writer.integer(*value),
            Self::Number(Some(value)) => writer.integer(*value),
            Self::Word(Some(word)) => writer.bulk(word.as_bytes()),
            Self::Number(None) | Self::Word(None) => writer.null(),
            Self::Text(text) => writer.simple(text),
            Self::Keys(keys) => write_keys(keys, writer),
            Self::Scan(cursor, keys) => {
                writer.array(2);
                writer.bulk(cursor.to_string().as_bytes());
                write_keys(keys, writer);
            }
            Self::Value(value) => write_value(value.as_ref(), writer),
            Self::Values(values) => {
                writer.array(values.len());
                values.iter().for_each(|value| write_value(value.as_ref(), writer));
            }
            Self::Explanation(explanation) => explanation::write(explanation, writer),
            Self::Error(error) => writer.error(&resp_error(error)),
            Self::Untold(why) => writer.error(why),
        }
    }
}

fn write_value(value: Option<&Value>, writer: &mut Writer<'_>) {
    match value {
        Some(value) => writer.value(value),
        None => writer.null(),
    }
}

/// The part of a value that Redis takes for this range.
fn part(value: &Value, start: i64, end: i64) -> Value {
    let len = value.as_bytes().len() as i64;
    let place = |at: i64| if at < 0 { at.saturating_add(len).max(0) } else { at };
    if (start < 0 && end < 0 && start > end) || len == 0 {
        return Value::default();
    }
    let (start, end) = (place(start), place(end).min(len - 1));
    if start > end {
        return Value::default();
    }
    value.part(start as usize..end as usize + 1)
}

fn write_keys(keys: &[Key], writer: &mut Writer<'_>) {
    writer.array(keys.len());
    keys.iter().for_each(|key| writer.bulk(key.as_bytes()));
}

/// How Redis would keep the value: an integer as a number, a short text beside its key.
fn encoding(value: &Value) -> &'static str {
    const EMBEDDED_BYTES: usize = 44;
    let bytes = value.as_bytes();
    if command::is_integer(bytes) {
        "int"
    } else if bytes.len() <= EMBEDDED_BYTES {
        "embstr"
    } else {
        "raw"
    }
}

/// The most that an owner with the value has counted.
fn frequency(explanation: &Explanation) -> Answer {
    const NOT_COUNTED: &str = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note \
                               that when switching between policies at runtime LRU and LFU data will take some time \
                               to adjust.";
    let copies = explanation.owners.iter().filter_map(|owner| owner.held.as_ref().ok());
    let holders: Vec<_> =
        copies.filter(|held| held.newest && held.state() == CopyState::Value).map(|held| held.uses).collect();
    match holders.iter().max() {
        None => Answer::Number(None),
        Some(None) => Answer::Untold(NOT_COUNTED),
        Some(Some(uses)) => Answer::Number(Some(i64::from(*uses))),
    }
}

fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn expiry(reply: &GetReply, unit: ExpiryUnit, now: UnixMillis) -> i64 {
    const NO_KEY: i64 = -2;
    const NO_EXPIRY: i64 = -1;
    if reply.value.is_none() {
        return NO_KEY;
    }
    let Some(at) = reply.outcome.expires_at else { return NO_EXPIRY };
    let left = at.0.saturating_sub(now.0);
    // Redis rounds all of these to the nearest second.
    let shown = match unit {
        ExpiryUnit::Millis => left,
        ExpiryUnit::Seconds => (left + 500) / 1000,
        ExpiryUnit::UnixMillis => at.0,
        ExpiryUnit::UnixSeconds => (at.0 + 500) / 1000,
    };
    i64::try_from(shown).unwrap_or(i64::MAX)
}

/// Puts together the answers of many commands. The first error in the order of the keys is the answer of all.
#[derive(Debug)]
pub(super) struct Gathering {
    shape: Shape,
    count: i64,
    values: Vec<Option<Value>>,
    /// In order of the commands; empty unless the client wants to know.
    outcomes: Vec<Option<Outcome>>,
    error: Option<(usize, CoordinatorError)>,
    share: Share,
}

impl Gathering {
    /// Expects `len` answers at most, whose values take their share of `budget`.
    pub(super) fn new(shape: Shape, len: usize, budget: &Arc<Budget>) -> Self {
        let values = if shape == Shape::Values { vec![None; len] } else { Vec::new() };
        Self { shape, count: 0, values, outcomes: Vec::new(), error: None, share: Share::of(budget) }
    }

    /// Takes the answer of the command at `index`.
    pub(super) fn add(&mut self, index: usize, answer: Answer) {
        match answer {
            Answer::WithOutcomes(told) => {
                if self.outcomes.len() <= index {
                    self.outcomes.resize(index + 1, None);
                }
                self.outcomes[index] = told.outcomes.into_iter().next();
                self.add(index, told.answer);
            }
            Answer::Value(Some(value)) if self.error.is_none() => {
                match self.share.take(value.as_bytes().len()) {
                    Ok(()) => self.values[index] = Some(value),
                    Err(error) => self.fail(index, error),
                }
            }
            Answer::Integer(value) => self.count += value,
            Answer::Error(error) => self.fail(index, error),
            _ => {}
        }
    }

    fn fail(&mut self, index: usize, error: CoordinatorError) {
        if self.error.as_ref().is_none_or(|(first, _)| index < *first) {
            self.error = Some((index, error));
        }
        self.values = Vec::new();
        self.share.clear();
    }

    /// The answer to all, with its share of the budget.
    pub(super) fn finish(self) -> (Answer, Share) {
        let answer = match (self.error, self.shape) {
            (Some((_, error)), _) => Answer::Error(error),
            (None, Shape::Values) => Answer::Values(self.values),
            (None, Shape::Stored) => Answer::Ok,
            (None, _) => Answer::Integer(self.count),
        };
        let outcomes: Vec<Outcome> = self.outcomes.into_iter().flatten().collect();
        let is_told = !outcomes.is_empty() && !matches!(answer, Answer::Error(_));
        (if is_told { answer.with_outcomes(outcomes) } else { answer }, self.share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        coordinator::{ExistedReply, SetReply},
        frontend::resp::testing::{outcome, value},
    };

    const NOW: UnixMillis = UnixMillis(10_000);

    fn hit(text: &str, expires_at: Option<u64>) -> Reply {
        let outcome = crate::coordinator::Outcome { expires_at: expires_at.map(UnixMillis), ..outcome() };
        Reply::Value(GetReply { value: Some(value(text)), outcome })
    }

    fn miss() -> Reply {
        Reply::Value(GetReply { value: None, outcome: outcome() })
    }

    #[test]
    fn a_reply_becomes_what_the_command_promised() {
        let existed = |existed| Reply::Deleted(ExistedReply { existed, outcome: outcome() });
        for (shape, reply, expected) in [
            (Shape::Value, hit("v", None), Answer::Value(Some(value("v")))),
            (Shape::Value, miss(), Answer::Value(None)),
            (Shape::Length, hit("four", None), Answer::Integer(4)),
            (Shape::Length, miss(), Answer::Integer(0)),
            (Shape::Type, hit("", None), Answer::Text("string")),
            (Shape::Type, miss(), Answer::Text("none")),
            (Shape::Encoding, hit("-9223372036854775808", None), Answer::Word(Some("int"))),
            (Shape::Encoding, hit("9223372036854775808", None), Answer::Word(Some("embstr"))),
            (Shape::Encoding, hit("007", None), Answer::Word(Some("embstr"))),
            (Shape::Encoding, hit(&"x".repeat(44), None), Answer::Word(Some("embstr"))),
            (Shape::Encoding, hit(&"x".repeat(45), None), Answer::Word(Some("raw"))),
            (Shape::Encoding, miss(), Answer::Word(None)),
            (Shape::References, hit("v", None), Answer::Number(Some(1))),
            (Shape::Usage, Reply::Usage(Some(97)), Answer::Number(Some(97))),
            (Shape::Usage, Reply::Usage(None), Answer::Number(None)),
            (Shape::Existed, hit("", None), Answer::Integer(1)),
            (Shape::Existed, miss(), Answer::Integer(0)),
            (Shape::Existed, existed(true), Answer::Integer(1)),
            (Shape::Existed, existed(false), Answer::Integer(0)),
            (Shape::Stored, Reply::Stored(SetReply { outcome: outcome() }), Answer::Ok),
        ] {
            assert_eq!(Answer::of(shape, reply, NOW), expected, "{shape:?}");
        }
    }

    #[test]
    fn a_part_of_a_value_is_what_redis_takes_it_for() {
        for (start, end, expected) in [
            (0, -1, "This is a string"),
            (0, 3, "This"),
            (-3, -1, "ing"),
            (10, 100, "string"),
            (5, 1, ""),
            (-1, -5, ""),
            (-100, 3, "This"),
            (0, -100, "T"),
            (100, 200, ""),
            (i64::MIN, i64::MAX, "This is a string"),
        ] {
            let answer = Answer::of(Shape::Range { start, end }, hit("This is a string", None), NOW);
            assert_eq!(answer, Answer::Value(Some(value(expected))), "{start} {end}");
        }
        assert_eq!(
            Answer::of(Shape::Range { start: 0, end: -1 }, miss(), NOW),
            Answer::Value(Some(value("")))
        );
        assert_eq!(
            Answer::of(Shape::Range { start: 0, end: 0 }, hit("", None), NOW),
            Answer::Value(Some(value("")))
        );
    }

    #[test]
    fn times_to_live_are_rounded_like_those_of_redis() {
        use ExpiryUnit::{Millis, Seconds, UnixMillis, UnixSeconds};
        for (unit, reply, expected) in [
            (Seconds, miss(), -2),
            (Seconds, hit("", None), -1),
            (Seconds, hit("", Some(10_499)), 0),
            (Seconds, hit("", Some(10_500)), 1),
            (Seconds, hit("", Some(12_499)), 2),
            (Seconds, hit("", Some(9_000)), 0),
            (Millis, hit("", Some(10_499)), 499),
            (UnixMillis, hit("", Some(10_499)), 10_499),
            (UnixSeconds, hit("", Some(10_499)), 10),
            (UnixSeconds, hit("", Some(10_500)), 11),
        ] {
            assert_eq!(Answer::of(Shape::Expiry(unit), reply, NOW), Answer::Integer(expected), "{unit:?}");
        }
    }

    #[test]
    fn many_answers_are_counted_or_kept_in_order_and_the_first_error_speaks_for_all() {
        let gather = |shape, answers: Vec<(usize, Answer)>| {
            let mut gathering = Gathering::new(shape, answers.len(), &Arc::default());
            answers.into_iter().for_each(|(index, answer)| gathering.add(index, answer));
            gathering.finish().0
        };
        let (a, b) = (Answer::Value(Some(value("a"))), Answer::Value(None));
        assert_eq!(
            gather(Shape::Values, vec![(1, b.clone()), (0, a.clone())]),
            Answer::Values(vec![Some(value("a")), None])
        );
        assert_eq!(
            gather(Shape::Existed, vec![(0, Answer::Integer(1)), (1, Answer::Integer(1))]),
            Answer::Integer(2)
        );
        assert_eq!(gather(Shape::Stored, vec![(0, Answer::Ok), (1, Answer::Ok)]), Answer::Ok);
        let error = |text| Answer::Error(CoordinatorError::Overloaded(text));
        assert_eq!(
            gather(Shape::Values, vec![(2, error("late")), (0, a), (1, error("early")), (3, b)]),
            error("early")
        );
    }
}
