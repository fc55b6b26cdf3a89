//! Any value of the types that cross the wire.

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use shoal_proto::types::{
    Ballot, Cause, ClockReading, Generations, HotKey, Inspection, Key, KeyListing, KeysPage, Member, NodeId,
    NodeReport, NodeState, NodeStats, OwnerTable, Phase, PullCursor, ReadAnswer, RebuildPage, RebuildState,
    RebuildStates, Refusal, ReplicaAnswer, ReplicaOp, RingRecord, RingVote, Settings, Stamp, Stamped, Tag,
    Trust, UnixMillis, Value, Version, Vnode, WriteAnswer, WriterId,
};

// ---- entries ----

pub(crate) fn key() -> impl Strategy<Value = Key> {
    vec(any::<u8>(), 0..64).prop_map(|bytes| Key::new(bytes).unwrap())
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    vec(any::<u8>(), 0..256).prop_map(|bytes| Value::new(bytes).unwrap())
}

fn tag() -> impl Strategy<Value = Tag> {
    prop_oneof![Just(1), Just(u64::MAX), 1..=u64::MAX].prop_map(|bits| Tag::from_bits(bits).unwrap())
}

fn expires_at() -> impl Strategy<Value = Option<UnixMillis>> {
    of(prop_oneof![Just(1), Just(UnixMillis::MAX.0), 1..=UnixMillis::MAX.0].prop_map(UnixMillis))
}

pub(crate) fn version() -> impl Strategy<Value = Version> {
    (tag(), any::<bool>(), any::<u16>(), expires_at(), of(tag()), any::<u64>()).prop_map(
        |(tag, dead, touch, expires_at, touched_at, value_hash)| Version {
            tag,
            dead,
            touch,
            expires_at,
            touched_at,
            value_hash,
        },
    )
}

pub(crate) fn stamped() -> impl Strategy<Value = Stamped> {
    (tag(), any::<u16>(), expires_at(), of(tag()), of(value())).prop_map(
        |(tag, touch, expires_at, touched_at, value)| {
            let entry = match value {
                Some(value) => Stamped::live(tag, touch, expires_at, value),
                None => Stamped::marker(tag, touch, expires_at),
            };
            entry.touched_at(touched_at)
        },
    )
}

// ---- ring ----

fn node_id() -> impl Strategy<Value = NodeId> {
    "[a-zA-Z0-9.:_@\\[\\]-]{1,64}".prop_map(|text| NodeId::new(&text).unwrap())
}

fn phase() -> impl Strategy<Value = Phase> {
    select(vec![Phase::Old, Phase::WriteBothReadOld, Phase::WriteBothReadNew, Phase::New])
}

fn generations() -> impl Strategy<Value = Generations> {
    vec(any::<u64>(), 0..9).prop_map(Generations::from)
}

pub(crate) fn stamp() -> impl Strategy<Value = Stamp> {
    (any::<u64>(), phase(), generations()).prop_map(|(epoch, phase, generations)| Stamp {
        epoch,
        phase,
        generations,
    })
}

fn ballot() -> impl Strategy<Value = Ballot> {
    (any::<u64>(), node_id()).prop_map(|(round, proposer)| Ballot { round, proposer })
}

fn members() -> impl Strategy<Value = Vec<Member>> {
    let rest = (any::<u64>(), "[a-z0-9-]{0,12}", 1..=u32::MAX, "[a-z.]{0,12}(:[0-9]{1,5})?");
    let named = btree_map(node_id(), rest, 1..8);
    let writers = subsequence((1..=2_047).collect::<Vec<u16>>(), 8);
    (named, writers).prop_map(|(named, writers)| {
        let member =
            |((node_id, (generation_floor, zone, capacity, peer_address)), writer): ((_, _), u16)| {
                let writer_id = WriterId::member(writer).unwrap();
                Member { node_id, generation_floor, writer_id, zone, capacity, peer_address }
            };
        named.into_iter().zip(writers).map(member).collect()
    })
}

/// A table over `members` members, with up to 64 vnodes.
fn table(members: usize) -> impl Strategy<Value = OwnerTable> {
    (1..=members, 0..=6u32).prop_flat_map(move |(replicas, power)| {
        let everyone: Vec<u16> = (0..members as u16).collect();
        let row = subsequence(everyone, replicas).prop_shuffle();
        vec(row, 1usize << power).prop_map(move |rows| OwnerTable::new(replicas, rows.concat()).unwrap())
    })
}

pub(crate) fn record() -> impl Strategy<Value = RingRecord> {
    let sized = members().prop_flat_map(|members| (table(members.len()), Just(members)));
    (1..=u64::MAX, 1..=u64::MAX, phase(), sized, any::<(u64, u64)>()).prop_map(
        |(cluster_id, epoch, phase, (table, members), (flush_tag, hash_seed))| {
            let settings = Settings { flush_tag, hash_seed };
            RingRecord::new(cluster_id, epoch, phase, members, table, settings).unwrap()
        },
    )
}

fn boxed() -> impl Strategy<Value = Box<RingRecord>> {
    record().prop_map(Box::new)
}

pub(crate) fn node_state() -> impl Strategy<Value = NodeState> {
    (node_id(), any::<u64>(), of(record()), of(ballot()), of((ballot(), record()))).prop_map(
        |(node_id, generation, record, promised, accepted)| NodeState {
            node_id,
            generation,
            record,
            promised,
            accepted,
        },
    )
}

// ---- requests ----

fn vnodes() -> impl Strategy<Value = Vec<Vnode>> {
    vec(any::<u16>().prop_map(Vnode), 0..16)
}

fn cursor() -> impl Strategy<Value = PullCursor> {
    (any::<u16>(), any::<u64>()).prop_map(|(vnode, hash)| PullCursor { vnode: Vnode(vnode), hash })
}

fn voters() -> impl Strategy<Value = Vec<String>> {
    vec(".{0,20}", 0..4)
}

pub(crate) fn op() -> impl Strategy<Value = ReplicaOp> {
    let cause = select(vec![Cause::User, Cause::Repair, Cause::Hint, Cause::Round, Cause::Rebuild]);
    prop_oneof![
        (key(), of(version())).prop_map(|(key, known)| ReplicaOp::Read { key, known }),
        (key(), stamped(), cause).prop_map(|(key, entry, cause)| ReplicaOp::Write { key, entry, cause }),
        (node_id(), any::<u64>(), vnodes()).prop_map(|(node, generation, vnodes)| ReplicaOp::RebuildBegin {
            node,
            generation,
            vnodes
        }),
        (node_id(), any::<u64>(), vnodes(), of(cursor()), any::<u32>(), any::<u64>()).prop_map(
            |(node, generation, vnodes, after, max_bytes, source_generation)| ReplicaOp::RebuildPull {
                node,
                generation,
                vnodes,
                after,
                max_bytes,
                source_generation
            }
        ),
        (any::<u64>(), ballot(), voters()).prop_map(|(epoch, ballot, voters)| ReplicaOp::RingPrepare {
            epoch,
            ballot,
            voters
        }),
        (ballot(), boxed(), voters()).prop_map(|(ballot, record, voters)| ReplicaOp::RingAccept {
            ballot,
            record,
            voters
        }),
        boxed().prop_map(ReplicaOp::RingLearn),
        Just(ReplicaOp::RingFetch),
        Just(ReplicaOp::Report),
        key().prop_map(|key| ReplicaOp::Inspect { key }),
        Just(ReplicaOp::ReadClock),
        listing().prop_map(ReplicaOp::ListKeys),
    ]
}

fn listing() -> impl Strategy<Value = KeyListing> {
    (vnodes(), of(any::<u16>()), of(cursor()), any::<u32>(), any::<u64>()).prop_map(
        |(vnodes, slot, after, limit, source_generation)| KeyListing {
            vnodes,
            slot,
            after,
            limit,
            source_generation,
        },
    )
}

// ---- answers ----

pub(crate) fn answer() -> impl Strategy<Value = ReplicaAnswer> {
    prop_oneof![
        (any::<bool>(), of(version()), of(value()), of(tag())).prop_map(|(votes, version, value, ghost)| {
            ReplicaAnswer::Read(ReadAnswer { votes, version, value, ghost })
        }),
        (of(version()), any::<bool>()).prop_map(|(superseded_by, was_live)| ReplicaAnswer::Write(
            WriteAnswer { superseded_by, was_live }
        )),
        rebuild_states().prop_map(ReplicaAnswer::RebuildStates),
        (vec((key(), stamped()), 0..8), of(cursor()))
            .prop_map(|(entries, next)| ReplicaAnswer::RebuildPage(RebuildPage { entries, next })),
        ring_vote().prop_map(ReplicaAnswer::RingVote),
        of(boxed()).prop_map(ReplicaAnswer::RingState),
        report().prop_map(|report| ReplicaAnswer::Report(Box::new(report))),
        inspection().prop_map(ReplicaAnswer::Inspection),
        (any::<u64>(), any::<bool>())
            .prop_map(|(ticks, ready)| ReplicaAnswer::Clock(ClockReading { ticks, ready })),
        (vec(key(), 0..8), of(cursor()))
            .prop_map(|(keys, next)| ReplicaAnswer::Keys(KeysPage { keys, next })),
        refusal().prop_map(ReplicaAnswer::Refused),
    ]
}

fn rebuild_states() -> impl Strategy<Value = RebuildStates> {
    // A vnode has owners, so a founding without generations does not exist and none is sent for none.
    let founding = of(generations().prop_filter("no owners", |generations| !generations.is_empty()));
    let state = (any::<bool>(), founding).prop_map(|(ready, founding)| RebuildState { ready, founding });
    (any::<u64>(), (any::<u64>(), phase()), vec(state, 0..8))
        .prop_map(|(generation, number, states)| RebuildStates { generation, number, states })
}

fn rate() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(f64::MAX), 0.0..1e9]
}

fn report() -> impl Strategy<Value = NodeReport> {
    let hot_key = (key(), rate()).prop_map(|(key, per_second)| HotKey { key, per_second });
    let stats = (any::<[u64; 15]>(), any::<[u32; 2]>()).prop_map(|(n, [vnodes_owned, vnodes_ready])| {
        let [entries, expiring, markers, bytes, max_bytes, hits, misses, evictions, ..] = n;
        let [.., expirations, hints, hint_bytes, connections, commands, requests, uptime_ms] = n;
        NodeStats {
            entries,
            expiring,
            markers,
            bytes,
            max_bytes,
            hits,
            misses,
            evictions,
            expirations,
            vnodes_owned,
            vnodes_ready,
            hints,
            hint_bytes,
            connections,
            commands,
            requests,
            uptime_ms,
        }
    });
    (stats, rate(), vec(hot_key, 0..4)).prop_map(|(stats, requests_per_second, hot_keys)| NodeReport {
        stats,
        requests_per_second,
        hot_keys,
    })
}

fn ring_vote() -> impl Strategy<Value = RingVote> {
    prop_oneof![
        of((ballot(), boxed())).prop_map(|accepted| RingVote::Granted { accepted }),
        ballot().prop_map(|promised| RingVote::Outbid { promised }),
        boxed().prop_map(RingVote::Chosen),
        ".{0,40}".prop_map(RingVote::Refused),
    ]
}

fn inspection() -> impl Strategy<Value = Inspection> {
    let trust = select(vec![Trust::Starting, Trust::Rebuilding, Trust::Ready]);
    let held = (of(version()), any::<u64>(), of(tag()));
    (any::<u64>(), any::<bool>(), trust, held, vec(node_id(), 0..4)).prop_map(
        |(generation, owner, trust, (version, value_bytes, ghost), hinted)| Inspection {
            generation,
            owner,
            trust,
            version,
            value_bytes,
            ghost,
            hinted,
        },
    )
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        (of(boxed()), generations())
            .prop_map(|(record, generations)| Refusal::StaleStamp { record, generations }),
        (any::<u64>(), any::<u32>()).prop_map(|(epoch, phase)| Refusal::Behind { epoch, phase }),
        Just(Refusal::NotOwner),
        Just(Refusal::Late),
        Just(Refusal::Overloaded),
        Just(Refusal::Starting),
        tag().prop_map(|through| Refusal::Sealed { through }),
        ".{0,40}".prop_map(Refusal::Invalid),
    ]
}
