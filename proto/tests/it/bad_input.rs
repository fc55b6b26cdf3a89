//! Messages no node would send, and the error that names what is wrong with each.

use prost::bytes::Bytes;
use shoal_proto::convert::DecodeError;
use shoal_proto::types::{
    InvalidEntry, InvalidRecord, KeyTooLong, MAX_KEY_BYTES, MAX_VALUE_BYTES, NodeState, ReplicaAnswer,
    ReplicaOp, RingRecord, RingVote, Stamp, Stamped, UnixMillis, ValueTooLong, Version,
};
use shoal_proto::wire::replica::v1::{self as replica, reply::Answer, request::Op};
use shoal_proto::wire::ring::v1 as ring;

fn entry() -> replica::Entry {
    replica::Entry { tag: 1, dead: false, touch: 0, expires_at: 0, value: "v".into(), touched_at: 0 }
}

fn record() -> ring::RingRecord {
    let member = |node_id: &str, writer_id| ring::Member {
        node_id: node_id.into(),
        writer_id,
        capacity: 100,
        ..Default::default()
    };
    ring::RingRecord {
        cluster_id: 7,
        epoch: 1,
        phase: 3,
        members: vec![member("a", 1), member("b", 2), member("c", 3)],
        table: Some(ring::OwnerTable { vnodes: 2, replicas: 2, owners: vec![0, 1, 1, 2] }),
        settings: None,
    }
}

fn ballot() -> ring::Ballot {
    ring::Ballot { round: 1, proposer: "a".into() }
}

fn bytes(len: usize) -> Bytes {
    vec![0; len].into()
}

fn out_of_range(field: &'static str, value: u64) -> DecodeError {
    DecodeError::OutOfRange { field, value }
}

#[test]
fn entries() {
    let why_not = |entry| Stamped::try_from(entry).unwrap_err();
    assert!(Stamped::try_from(entry()).is_ok());
    assert_eq!(why_not(replica::Entry { tag: 0, ..entry() }), InvalidEntry::NoTag.into());
    assert_eq!(why_not(replica::Entry { dead: true, ..entry() }), InvalidEntry::DeadWithValue.into());
    assert_eq!(why_not(replica::Entry { touch: 65_536, ..entry() }), out_of_range("touch", 65_536));
    let late = UnixMillis::MAX.0 + 1;
    assert_eq!(
        why_not(replica::Entry { expires_at: late, ..entry() }),
        InvalidEntry::ExpiryOutOfRange(late).into()
    );
    let len = MAX_VALUE_BYTES + 1;
    assert_eq!(why_not(replica::Entry { value: bytes(len), ..entry() }), ValueTooLong { len }.into());
}

#[test]
fn versions_and_stamps() {
    let version = replica::Version::default();
    assert_eq!(Version::try_from(version), Err(InvalidEntry::NoTag.into()));
    let touched = replica::Version { tag: 1, touch: u32::MAX, ..version };
    assert_eq!(Version::try_from(touched), Err(out_of_range("touch", u32::MAX.into())));
    let stamp = replica::Stamp { epoch: 1, phase: 4, generations: vec![] };
    assert_eq!(Stamp::try_from(stamp), Err(InvalidRecord::Phase(4).into()));
}

#[test]
fn requests() {
    let why_not = |op| ReplicaOp::try_from(op).unwrap_err();
    let len = MAX_KEY_BYTES + 1;
    let too_long: DecodeError = KeyTooLong { len }.into();
    assert_eq!(why_not(Op::Read(replica::Read { key: bytes(len), known: None })), too_long);
    let write = replica::Write { key: "k".into(), entry: Some(entry()), cause: replica::Cause::User.into() };
    assert_eq!(why_not(Op::Write(replica::Write { key: bytes(len), ..write.clone() })), too_long);
    assert_eq!(
        why_not(Op::Write(replica::Write { entry: None, ..write.clone() })),
        DecodeError::Missing("entry")
    );
    for cause in [0, 9] {
        let write = replica::Write { cause, ..write.clone() };
        assert_eq!(why_not(Op::Write(write)), DecodeError::Missing("cause"));
    }
    let begin = replica::RebuildBegin { node_id: "a".into(), generation: 1, vnodes: vec![70_000] };
    assert_eq!(why_not(Op::RebuildBegin(begin)), out_of_range("vnode", 70_000));
    let nameless = replica::RebuildPull::default();
    assert!(matches!(why_not(Op::RebuildPull(nameless)), DecodeError::NodeId(_)));
    assert_eq!(why_not(Op::Inspect(replica::Inspect { key: bytes(len) })), too_long);
    let nowhere = replica::ListKeys { slot: Some(1 << 16), ..Default::default() };
    assert_eq!(why_not(Op::ListKeys(nowhere)), DecodeError::OutOfRange { field: "slot", value: 1 << 16 });
}

#[test]
fn elections() {
    let why_not = |op| ReplicaOp::try_from(op).unwrap_err();
    assert_eq!(
        why_not(Op::RingPrepare(replica::RingPrepare { epoch: 1, ballot: None, voters: vec![] })),
        DecodeError::Missing("ballot")
    );
    let accept =
        replica::RingAccept { epoch: 1, ballot: Some(ballot()), record: Some(record()), voters: vec![] };
    assert!(ReplicaOp::try_from(Op::RingAccept(accept.clone())).is_ok());
    assert_eq!(
        why_not(Op::RingAccept(replica::RingAccept { ballot: None, ..accept.clone() })),
        DecodeError::Missing("ballot")
    );
    assert_eq!(
        why_not(Op::RingAccept(replica::RingAccept { record: None, ..accept })),
        DecodeError::Missing("record")
    );
    assert_eq!(why_not(Op::RingLearn(replica::RingLearn { record: None })), DecodeError::Missing("record"));
    let half = ring::NodeState { node_id: "a".into(), accepted_ballot: Some(ballot()), ..Default::default() };
    assert_eq!(NodeState::try_from(half), Err(DecodeError::Missing("half of an accepted proposal")));
    let half = replica::RingVote { granted: true, accepted_record: Some(record()), ..Default::default() };
    assert_eq!(RingVote::try_from(half), Err(DecodeError::Missing("half of an accepted proposal")));
}

#[test]
fn ring_records() {
    let why_not = |change: fn(&mut ring::RingRecord)| {
        let mut record = record();
        change(&mut record);
        match RingRecord::try_from(record) {
            Err(DecodeError::Record(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    assert!(RingRecord::try_from(record()).is_ok());
    assert_eq!(why_not(|r| r.phase = 4), InvalidRecord::Phase(4));
    assert_eq!(why_not(|r| r.epoch = 0), InvalidRecord::Missing("an epoch"));
    assert_eq!(why_not(|r| r.cluster_id = 0), InvalidRecord::Missing("a cluster id"));
    assert!(matches!(why_not(|r| r.members.clear()), InvalidRecord::Members(_)));
    assert!(matches!(why_not(|r| r.members[1].node_id = "a".into()), InvalidRecord::Members(_)));
    assert!(matches!(why_not(|r| r.members[1].writer_id = 1), InvalidRecord::Members(_)));
    assert!(matches!(why_not(|r| r.members[1].capacity = 0), InvalidRecord::Members(_)));
    // An owner that is no member, in the second row; then one that is named twice, in the first.
    assert_eq!(why_not(|r| r.table.as_mut().unwrap().owners = vec![0, 1, 1, 3]), InvalidRecord::Row(1));
    assert_eq!(why_not(|r| r.table.as_mut().unwrap().owners = vec![2, 2, 0, 1]), InvalidRecord::Row(0));
    assert_eq!(why_not(|r| r.table.as_mut().unwrap().vnodes = 4), InvalidRecord::Vnodes(4));
    assert_eq!(why_not(|r| r.table.as_mut().unwrap().owners.truncate(3)), InvalidRecord::TableLength(3));
    assert_eq!(why_not(|r| r.table.as_mut().unwrap().owners.clear()), InvalidRecord::Vnodes(0));
    assert_eq!(why_not(|r| r.table.as_mut().unwrap().replicas = 0), InvalidRecord::Replicas(0));
    assert_eq!(
        why_not(|r| r.table.as_mut().unwrap().replicas = u32::MAX),
        InvalidRecord::Replicas(u32::MAX as usize)
    );

    let headless = ring::RingRecord { table: None, ..record() };
    assert_eq!(RingRecord::try_from(headless), Err(DecodeError::Missing("owner table")));
    for writer_id in [0, 2_048] {
        let mut record = record();
        record.members[0].writer_id = writer_id;
        assert_eq!(RingRecord::try_from(record), Err(out_of_range("writer id", writer_id.into())));
    }
    let mut far = record();
    far.table.as_mut().unwrap().owners[0] = 70_000;
    assert_eq!(RingRecord::try_from(far), Err(out_of_range("owner", 70_000)));
}

#[test]
fn answers() {
    let why_not = |answer| ReplicaAnswer::try_from(answer).unwrap_err();
    let len = MAX_VALUE_BYTES + 1;
    let read = replica::ReadAnswer { votes: true, version: None, value: Some(bytes(len)), ghost: 0 };
    assert_eq!(why_not(Answer::Read(read)), ValueTooLong { len }.into());
    let keyed = replica::KeyedEntry { key: "k".into(), entry: None };
    let page = replica::RebuildPage { entries: vec![keyed], next: None };
    assert_eq!(why_not(Answer::RebuildPage(page)), DecodeError::Missing("entry"));
    let states = replica::RebuildStates { generation: 1, epoch: 1, phase: 9, states: vec![] };
    assert_eq!(why_not(Answer::RebuildStates(states)), InvalidRecord::Phase(9).into());
    for trust in [0, 9] {
        let inspection = replica::Inspection { trust, ..Default::default() };
        assert_eq!(why_not(Answer::Inspection(inspection)), DecodeError::Missing("trust"));
    }
    let inspection = replica::Inspection { trust: 3, hinted: vec!["a b".into()], ..Default::default() };
    assert!(matches!(why_not(Answer::Inspection(inspection)), DecodeError::NodeId(_)));
    let refusal = replica::Refusal { reason: None };
    assert_eq!(why_not(Answer::Refusal(refusal)), DecodeError::Missing("reason"));
    let sealed = replica::refusal::Reason::Sealed(replica::Sealed { through: 0 });
    let refusal = replica::Refusal { reason: Some(sealed) };
    assert_eq!(why_not(Answer::Refusal(refusal)), DecodeError::Missing("tag"));
    let report = |requests_per_second, per_second| {
        let hot_keys = vec![replica::HotKey { key: "k".into(), per_second }];
        Answer::Report(replica::NodeReport { requests_per_second, hot_keys, ..Default::default() })
    };
    assert_eq!(why_not(report(f64::NAN, 1.0)), DecodeError::NotFinite("requests per second"));
    assert_eq!(
        why_not(report(1.0, f64::INFINITY)),
        DecodeError::NotFinite("requests per second of a hot key")
    );
}
