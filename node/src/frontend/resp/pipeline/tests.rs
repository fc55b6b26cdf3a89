use super::*;
use crate::{
    coordinator::Expiry,
    frontend::resp::testing::{MapBackend, door, value},
};

const NOW: UnixMillis = UnixMillis(1);

fn get(key: &'static str) -> Command {
    Command::Get(Key::new(key).unwrap())
}

fn set(key: &'static str, text: &str) -> Command {
    Command::Set(Key::new(key).unwrap(), value(text), Expiry::Never)
}

fn poll(pipeline: &mut Pipeline<'_>) -> Option<Answer> {
    pipeline.next().now_or_never().flatten()
}

#[test]
fn a_local_command_is_answered_at_once_when_nothing_is_ahead() {
    let door = door(MapBackend::remote());
    let mut pipeline = Pipeline::new(&door);
    assert_eq!(pipeline.start(Plan::one(set("a", "1"), Shape::Stored), NOW), Some(Answer::Ok));
    let both = Plan::many(vec![get("a"), get("b")], Shape::Values);
    assert_eq!(pipeline.start(both, NOW), Some(Answer::Values(vec![Some(value("1")), None])));
    assert!(pipeline.is_empty() && pipeline.admitted == 0);
}

#[test]
fn answers_come_in_order_whatever_order_they_are_ready_in() {
    let (backend, mut answers) = (MapBackend::remote(), Vec::new());
    let door = door(backend.clone());
    let mut pipeline = Pipeline::new(&door);
    for plan in [
        Plan::one(set("r1", "one"), Shape::Stored),
        Plan::one(get("r2"), Shape::Value),
        Plan::one(set("local", "x"), Shape::Stored),
        Plan::many(vec![get("local"), get("r3")], Shape::Values),
    ] {
        assert!(pipeline.admits(&plan));
        assert_eq!(pipeline.start(plan, NOW), None);
    }
    assert_eq!(poll(&mut pipeline), None);
    assert_eq!(backend.held_keys(), ["r1", "r2", "r3"]);
    backend.release(2);
    backend.release(1);
    assert_eq!(poll(&mut pipeline), None);
    backend.release(0);
    while let Some(answer) = poll(&mut pipeline) {
        answers.push(answer);
    }
    let last = Answer::Values(vec![Some(value("x")), None]);
    assert_eq!(answers, [Answer::Ok, Answer::Value(None), Answer::Ok, last]);
    assert!(pipeline.is_empty());
}

#[test]
fn a_key_being_written_admits_nothing_and_a_key_being_read_only_reads() {
    let backend = MapBackend::remote();
    let door = door(backend.clone());
    let mut pipeline = Pipeline::new(&door);
    let read = Plan::one(get("r1"), Shape::Value);
    pipeline.start(read.clone(), NOW);
    pipeline.start(Plan::one(set("r2", ""), Shape::Stored), NOW);
    assert!(pipeline.admits(&read));
    assert!(!pipeline.admits(&Plan::one(set("r1", ""), Shape::Stored)));
    assert!(!pipeline.admits(&Plan::one(get("r2"), Shape::Value)));
    assert!(!pipeline.admits(&Plan::many(vec![get("r1"), get("r2")], Shape::Values)));
    assert_eq!(poll(&mut pipeline), None);
    backend.release(0);
    backend.release(0);
    assert!(poll(&mut pipeline).is_some() && poll(&mut pipeline).is_some());
    assert!(pipeline.admits(&Plan::one(set("r2", ""), Shape::Stored)));
}

#[test]
fn no_more_than_a_batch_runs_at_once() {
    let door = door(MapBackend::remote());
    let mut pipeline = Pipeline::new(&door);
    for _ in 0..limits::RESP_BATCH {
        assert!(pipeline.admits(&Plan::one(get("r"), Shape::Value)));
        pipeline.start(Plan::one(get("r"), Shape::Value), NOW);
    }
    assert!(!pipeline.admits(&Plan::one(get("r"), Shape::Value)));
}

#[test]
fn values_held_for_a_client_are_bounded() {
    let backend = MapBackend::remote();
    let door = door(backend.clone());
    let mut pipeline = Pipeline::new(&door);
    let large = "x".repeat(shoal_proto::types::MAX_VALUE_BYTES);
    assert_eq!(pipeline.start(Plan::one(set("k", &large), Shape::Stored), NOW), Some(Answer::Ok));
    let fit = limits::RESP_OUTPUT_BYTES / large.len();
    let many = |count| Plan::many(vec![get("k"); count], Shape::Values);
    assert!(matches!(pipeline.start(many(fit), NOW), Some(Answer::Values(_))));
    let refused = |answer| matches!(answer, Some(Answer::Error(CoordinatorError::Overloaded(_))));
    assert!(refused(pipeline.start(many(fit + 1), NOW)));
    // Behind a remote command they are held one by one.
    pipeline.start(Plan::one(get("r"), Shape::Value), NOW);
    (0..=fit).for_each(|_| assert_eq!(pipeline.start(Plan::one(get("k"), Shape::Value), NOW), None));
    backend.release(0);
    (0..=fit).for_each(|_| assert!(matches!(poll(&mut pipeline), Some(Answer::Value(_)))));
    assert!(refused(poll(&mut pipeline)));
    assert!(matches!(pipeline.start(many(fit), NOW), Some(Answer::Values(_))));
}
