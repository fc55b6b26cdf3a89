//! The only mapping between the wire and the domain types. Encoding cannot fail; decoding names what was wrong.

use crate::types::{
    Ballot, Cause, ClockReading, Consistency, HotKey, Inspection, InvalidEntry, InvalidNodeId, InvalidRecord,
    Key, KeyListing, KeyTooLong, KeysPage, Member, NodeId, NodeReport, NodeState, NodeStats, OwnerTable,
    Phase, PullCursor, ReadAnswer, RebuildPage, RebuildState, RebuildStates, Refusal, ReplicaAnswer,
    ReplicaOp, RingRecord, RingVote, Settings, Stamp, Stamped, Tag, Trust, UnixMillis, Value, ValueTooLong,
    Version, Vnode, WriteAnswer, WriterId,
};
use crate::wire::{kv::v1 as kv, replica::v1 as replica, ring::v1 as ring};

/// A message from the wire that no node of this version would send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A field that must be there is not.
    #[error("message without {0}")]
    Missing(&'static str),
    /// A number outside its range.
    #[error("{field} {value} is out of range")]
    OutOfRange {
        /// Which field.
        field: &'static str,
        /// What it said.
        value: u64,
    },
    /// A rate that is no number.
    #[error("{0} is not a finite number")]
    NotFinite(&'static str),
    /// The key is too long.
    #[error(transparent)]
    Key(#[from] KeyTooLong),
    /// The value is too long.
    #[error(transparent)]
    Value(#[from] ValueTooLong),
    /// The entry contradicts itself.
    #[error(transparent)]
    Entry(#[from] InvalidEntry),
    /// The node id is not allowed.
    #[error(transparent)]
    NodeId(#[from] InvalidNodeId),
    /// The ring record breaks a rule.
    #[error("ring record: {0}")]
    Record(#[from] InvalidRecord),
}

fn narrow<T: TryFrom<u64>>(field: &'static str, value: impl Into<u64>) -> Result<T, DecodeError> {
    let value = value.into();
    T::try_from(value).map_err(|_| DecodeError::OutOfRange { field, value })
}

fn finite(field: &'static str, value: f64) -> Result<f64, DecodeError> {
    if value.is_finite() { Ok(value) } else { Err(DecodeError::NotFinite(field)) }
}

fn phase(number: u32) -> Result<Phase, DecodeError> {
    Phase::from_number(number).ok_or(DecodeError::Record(InvalidRecord::Phase(number)))
}

fn expiry(millis: u64) -> Result<Option<UnixMillis>, DecodeError> {
    match UnixMillis(millis) {
        UnixMillis(0) => Ok(None),
        at if at <= UnixMillis::MAX => Ok(Some(at)),
        _ => Err(InvalidEntry::ExpiryOutOfRange(millis).into()),
    }
}

fn expiry_to_wire(at: Option<UnixMillis>) -> u64 {
    at.map_or(0, |at| at.0)
}

fn tag_to_wire(tag: Option<Tag>) -> u64 {
    tag.map_or(0, Tag::to_bits)
}

fn vnodes_to_wire(vnodes: Vec<Vnode>) -> Vec<u32> {
    vnodes.into_iter().map(|v| u32::from(v.0)).collect()
}

fn vnodes(numbers: Vec<u32>) -> Result<Vec<Vnode>, DecodeError> {
    numbers.into_iter().map(|n| Ok(Vnode(narrow("vnode", n)?))).collect()
}

// ---- entries ----

impl From<Version> for replica::Version {
    fn from(v: Version) -> Self {
        Self {
            tag: v.tag.to_bits(),
            dead: v.dead,
            touch: v.touch.into(),
            expires_at: expiry_to_wire(v.expires_at),
            touched_at: tag_to_wire(v.touched_at),
            value_hash: v.value_hash,
        }
    }
}

impl TryFrom<replica::Version> for Version {
    type Error = DecodeError;

    fn try_from(v: replica::Version) -> Result<Self, DecodeError> {
        Ok(Self {
            tag: Tag::from_bits(v.tag).ok_or(InvalidEntry::NoTag)?,
            dead: v.dead,
            touch: narrow("touch", v.touch)?,
            expires_at: expiry(v.expires_at)?,
            touched_at: Tag::from_bits(v.touched_at),
            value_hash: v.value_hash,
        })
    }
}

impl From<Stamped> for replica::Entry {
    fn from(entry: Stamped) -> Self {
        let version = entry.version();
        Self {
            tag: version.tag.to_bits(),
            dead: version.dead,
            touch: version.touch.into(),
            expires_at: expiry_to_wire(version.expires_at),
            touched_at: tag_to_wire(version.touched_at),
            value: entry.into_value().map(Value::into_bytes).unwrap_or_default(),
        }
    }
}

impl TryFrom<replica::Entry> for Stamped {
    type Error = DecodeError;

    fn try_from(e: replica::Entry) -> Result<Self, DecodeError> {
        let tag = Tag::from_bits(e.tag).ok_or(InvalidEntry::NoTag)?;
        let touch = narrow("touch", e.touch)?;
        let expires_at = expiry(e.expires_at)?;
        let entry = match (e.dead, e.value.is_empty()) {
            (true, true) => Self::marker(tag, touch, expires_at),
            (true, false) => return Err(InvalidEntry::DeadWithValue.into()),
            (false, _) => Self::live(tag, touch, expires_at, Value::new(e.value)?),
        };
        Ok(entry.touched_at(Tag::from_bits(e.touched_at)))
    }
}

impl From<Consistency> for kv::Consistency {
    fn from(level: Consistency) -> Self {
        match level {
            Consistency::One => Self::One,
            Consistency::Two => Self::Two,
            Consistency::Three => Self::Three,
            Consistency::Quorum => Self::Quorum,
            Consistency::All => Self::All,
        }
    }
}

impl kv::Consistency {
    /// The level meant by a wire number; `None` leaves it to the cluster's default.
    ///
    /// # Errors
    /// When this version knows no level of that number.
    pub fn level(number: i32) -> Result<Option<Consistency>, DecodeError> {
        let known = Self::try_from(number)
            .map_err(|_| DecodeError::OutOfRange { field: "consistency", value: number as u32 as u64 })?;
        Ok(match known {
            Self::Unspecified => None,
            Self::One => Some(Consistency::One),
            Self::Two => Some(Consistency::Two),
            Self::Three => Some(Consistency::Three),
            Self::Quorum => Some(Consistency::Quorum),
            Self::All => Some(Consistency::All),
        })
    }
}

// ---- ring ----

impl From<Ballot> for ring::Ballot {
    fn from(ballot: Ballot) -> Self {
        Self { round: ballot.round, proposer: ballot.proposer.to_string() }
    }
}

impl TryFrom<ring::Ballot> for Ballot {
    type Error = DecodeError;

    fn try_from(b: ring::Ballot) -> Result<Self, DecodeError> {
        Ok(Self { round: b.round, proposer: NodeId::new(&b.proposer)? })
    }
}

impl From<RingRecord> for ring::RingRecord {
    fn from(record: RingRecord) -> Self {
        let members = record.members().iter().map(|m| ring::Member {
            node_id: m.node_id.to_string(),
            generation_floor: m.generation_floor,
            writer_id: m.writer_id.get().into(),
            zone: m.zone.clone(),
            capacity: m.capacity,
            peer_address: m.peer_address.clone(),
        });
        let table = ring::OwnerTable {
            vnodes: record.table().vnodes().into(),
            replicas: record.table().replicas() as u32,
            owners: record.table().places().iter().map(|o| u32::from(*o)).collect(),
        };
        Self {
            cluster_id: record.cluster_id(),
            epoch: record.epoch(),
            phase: record.phase().number(),
            members: members.collect(),
            table: Some(table),
            settings: Some(ring::Settings {
                flush_tag: record.settings().flush_tag,
                hash_seed: record.settings().hash_seed,
            }),
        }
    }
}

impl TryFrom<ring::RingRecord> for RingRecord {
    type Error = DecodeError;

    fn try_from(r: ring::RingRecord) -> Result<Self, DecodeError> {
        let members = r.members.into_iter().map(|m| {
            let writer: u16 = narrow("writer id", m.writer_id)?;
            Ok(Member {
                node_id: NodeId::new(&m.node_id)?,
                generation_floor: m.generation_floor,
                writer_id: WriterId::member(writer)
                    .ok_or(DecodeError::OutOfRange { field: "writer id", value: writer.into() })?,
                zone: m.zone,
                capacity: m.capacity,
                peer_address: m.peer_address,
            })
        });
        let members = members.collect::<Result<Vec<_>, DecodeError>>()?;
        let table = r.table.ok_or(DecodeError::Missing("owner table"))?;
        let owners = table.owners.into_iter().map(|o| narrow("owner", o)).collect::<Result<Vec<u16>, _>>()?;
        let owners = OwnerTable::new(table.replicas as usize, owners)?;
        if u32::from(owners.vnodes()) != table.vnodes {
            return Err(InvalidRecord::Vnodes(table.vnodes).into());
        }
        let ring::Settings { flush_tag, hash_seed } = r.settings.unwrap_or_default();
        let settings = Settings { flush_tag, hash_seed };
        Ok(Self::new(r.cluster_id, r.epoch, phase(r.phase)?, members, owners, settings)?)
    }
}

impl From<NodeState> for ring::NodeState {
    fn from(state: NodeState) -> Self {
        let (accepted_ballot, accepted_record) = state.accepted.unzip();
        Self {
            node_id: state.node_id.to_string(),
            generation: state.generation,
            record: state.record.map(Into::into),
            promised: state.promised.map(Into::into),
            accepted_ballot: accepted_ballot.map(Into::into),
            accepted_record: accepted_record.map(Into::into),
        }
    }
}

impl TryFrom<ring::NodeState> for NodeState {
    type Error = DecodeError;

    fn try_from(s: ring::NodeState) -> Result<Self, DecodeError> {
        Ok(Self {
            node_id: NodeId::new(&s.node_id)?,
            generation: s.generation,
            record: s.record.map(TryInto::try_into).transpose()?,
            promised: s.promised.map(TryInto::try_into).transpose()?,
            accepted: accepted(s.accepted_ballot, s.accepted_record)?,
        })
    }
}

fn accepted(
    ballot: Option<ring::Ballot>,
    record: Option<ring::RingRecord>,
) -> Result<Option<(Ballot, RingRecord)>, DecodeError> {
    match (ballot, record) {
        (None, None) => Ok(None),
        (Some(ballot), Some(record)) => Ok(Some((ballot.try_into()?, record.try_into()?))),
        _ => Err(DecodeError::Missing("half of an accepted proposal")),
    }
}

fn boxed_record(record: Option<ring::RingRecord>) -> Result<Option<Box<RingRecord>>, DecodeError> {
    Ok(record.map(RingRecord::try_from).transpose()?.map(Box::new))
}

fn record_to_wire(record: Option<Box<RingRecord>>) -> Option<ring::RingRecord> {
    record.map(|r| (*r).into())
}

// ---- replica requests ----

impl From<Stamp> for replica::Stamp {
    fn from(stamp: Stamp) -> Self {
        Self { epoch: stamp.epoch, phase: stamp.phase.number(), generations: stamp.generations.into_vec() }
    }
}

impl TryFrom<replica::Stamp> for Stamp {
    type Error = DecodeError;

    fn try_from(s: replica::Stamp) -> Result<Self, DecodeError> {
        Ok(Self { epoch: s.epoch, phase: phase(s.phase)?, generations: s.generations.into() })
    }
}

impl From<ReplicaOp> for replica::request::Op {
    fn from(op: ReplicaOp) -> Self {
        match op {
            ReplicaOp::Read { key, known } => {
                Self::Read(replica::Read { key: key.into_bytes(), known: known.map(Into::into) })
            }
            ReplicaOp::Write { key, entry, cause } => {
                let cause = match cause {
                    Cause::User => replica::Cause::User,
                    Cause::Repair => replica::Cause::Repair,
                    Cause::Hint => replica::Cause::Hint,
                    Cause::Round => replica::Cause::Round,
                    Cause::Rebuild => replica::Cause::Rebuild,
                };
                Self::Write(replica::Write {
                    key: key.into_bytes(),
                    entry: Some(entry.into()),
                    cause: cause.into(),
                })
            }
            ReplicaOp::RebuildBegin { node, generation, vnodes } => {
                Self::RebuildBegin(replica::RebuildBegin {
                    node_id: node.to_string(),
                    generation,
                    vnodes: vnodes_to_wire(vnodes),
                })
            }
            ReplicaOp::RebuildPull { node, generation, vnodes, after, max_bytes, source_generation } => {
                Self::RebuildPull(replica::RebuildPull {
                    node_id: node.to_string(),
                    generation,
                    vnodes: vnodes_to_wire(vnodes),
                    after: after.map(Into::into),
                    max_bytes,
                    source_generation,
                })
            }
            ReplicaOp::RingPrepare { epoch, ballot, voters } => {
                Self::RingPrepare(replica::RingPrepare { epoch, ballot: Some(ballot.into()), voters })
            }
            ReplicaOp::RingAccept { ballot, record, voters } => Self::RingAccept(replica::RingAccept {
                epoch: record.epoch(),
                ballot: Some(ballot.into()),
                record: Some((*record).into()),
                voters,
            }),
            ReplicaOp::RingLearn(record) => {
                Self::RingLearn(replica::RingLearn { record: Some((*record).into()) })
            }
            ReplicaOp::RingFetch => Self::RingFetch(replica::RingFetch {}),
            ReplicaOp::Report => Self::Report(replica::Report {}),
            ReplicaOp::Inspect { key } => Self::Inspect(replica::Inspect { key: key.into_bytes() }),
            ReplicaOp::ReadClock => Self::ReadClock(replica::ReadClock {}),
            ReplicaOp::ListKeys(listing) => Self::ListKeys(replica::ListKeys {
                vnodes: vnodes_to_wire(listing.vnodes),
                slot: listing.slot.map(Into::into),
                after: listing.after.map(Into::into),
                limit: listing.limit,
                source_generation: listing.source_generation,
            }),
        }
    }
}

impl TryFrom<replica::request::Op> for ReplicaOp {
    type Error = DecodeError;

    fn try_from(op: replica::request::Op) -> Result<Self, DecodeError> {
        use replica::request::Op;
        Ok(match op {
            Op::Read(read) => {
                Self::Read { key: Key::new(read.key)?, known: read.known.map(TryInto::try_into).transpose()? }
            }
            Op::Write(write) => Self::Write {
                key: Key::new(write.key)?,
                entry: write.entry.ok_or(DecodeError::Missing("entry"))?.try_into()?,
                cause: match replica::Cause::try_from(write.cause) {
                    Ok(replica::Cause::User) => Cause::User,
                    Ok(replica::Cause::Repair) => Cause::Repair,
                    Ok(replica::Cause::Hint) => Cause::Hint,
                    Ok(replica::Cause::Round) => Cause::Round,
                    Ok(replica::Cause::Rebuild) => Cause::Rebuild,
                    Ok(replica::Cause::Unspecified) | Err(_) => return Err(DecodeError::Missing("cause")),
                },
            },
            Op::RebuildBegin(begin) => Self::RebuildBegin {
                node: NodeId::new(&begin.node_id)?,
                generation: begin.generation,
                vnodes: vnodes(begin.vnodes)?,
            },
            Op::RebuildPull(pull) => Self::RebuildPull {
                node: NodeId::new(&pull.node_id)?,
                generation: pull.generation,
                vnodes: vnodes(pull.vnodes)?,
                after: pull.after.map(TryInto::try_into).transpose()?,
                max_bytes: pull.max_bytes,
                source_generation: pull.source_generation,
            },
            Op::RingPrepare(prepare) => Self::RingPrepare {
                epoch: prepare.epoch,
                ballot: prepare.ballot.ok_or(DecodeError::Missing("ballot"))?.try_into()?,
                voters: prepare.voters,
            },
            Op::RingAccept(accept) => Self::RingAccept {
                ballot: accept.ballot.ok_or(DecodeError::Missing("ballot"))?.try_into()?,
                record: boxed_record(accept.record)?.ok_or(DecodeError::Missing("record"))?,
                voters: accept.voters,
            },
            Op::RingLearn(learn) => {
                Self::RingLearn(boxed_record(learn.record)?.ok_or(DecodeError::Missing("record"))?)
            }
            Op::RingFetch(replica::RingFetch {}) => Self::RingFetch,
            Op::Report(replica::Report {}) => Self::Report,
            Op::Inspect(inspect) => Self::Inspect { key: Key::new(inspect.key)? },
            Op::ReadClock(replica::ReadClock {}) => Self::ReadClock,
            Op::ListKeys(listing) => Self::ListKeys(KeyListing {
                vnodes: vnodes(listing.vnodes)?,
                slot: listing.slot.map(|slot| narrow("slot", slot)).transpose()?,
                after: listing.after.map(TryInto::try_into).transpose()?,
                limit: listing.limit,
                source_generation: listing.source_generation,
            }),
        })
    }
}

impl From<PullCursor> for replica::Cursor {
    fn from(cursor: PullCursor) -> Self {
        Self { vnode: cursor.vnode.0.into(), hash: cursor.hash }
    }
}

impl TryFrom<replica::Cursor> for PullCursor {
    type Error = DecodeError;

    fn try_from(cursor: replica::Cursor) -> Result<Self, DecodeError> {
        Ok(Self { vnode: Vnode(narrow("vnode", cursor.vnode)?), hash: cursor.hash })
    }
}

// ---- replica answers ----

impl From<ReplicaAnswer> for replica::reply::Answer {
    fn from(answer: ReplicaAnswer) -> Self {
        match answer {
            ReplicaAnswer::Read(read) => Self::Read(replica::ReadAnswer {
                votes: read.votes,
                version: read.version.map(Into::into),
                value: read.value.map(Value::into_bytes),
                ghost: tag_to_wire(read.ghost),
            }),
            ReplicaAnswer::Write(write) => Self::Write(replica::WriteAnswer {
                superseded_by: write.superseded_by.map(Into::into),
                was_live: write.was_live,
            }),
            ReplicaAnswer::RebuildStates(states) => {
                let (epoch, phase) = states.number;
                let each = states.states.into_iter().map(|s| replica::RebuildState {
                    ready: s.ready,
                    founding: s.founding.unwrap_or_default().into_vec(),
                });
                Self::RebuildStates(replica::RebuildStates {
                    generation: states.generation,
                    epoch,
                    phase: phase.number(),
                    states: each.collect(),
                })
            }
            ReplicaAnswer::RebuildPage(page) => {
                let entries = page.entries.into_iter().map(|(key, entry)| replica::KeyedEntry {
                    key: key.into_bytes(),
                    entry: Some(entry.into()),
                });
                Self::RebuildPage(replica::RebuildPage {
                    entries: entries.collect(),
                    next: page.next.map(Into::into),
                })
            }
            ReplicaAnswer::RingVote(vote) => Self::RingVote(vote.into()),
            ReplicaAnswer::RingState(record) => {
                Self::RingState(replica::RingState { record: record_to_wire(record) })
            }
            ReplicaAnswer::Report(report) => Self::Report((*report).into()),
            ReplicaAnswer::Inspection(inspection) => Self::Inspection(inspection.into()),
            ReplicaAnswer::Clock(ClockReading { ticks, ready }) => {
                Self::Clock(replica::ClockReading { ticks, ready })
            }
            ReplicaAnswer::Keys(page) => Self::Keys(replica::KeysPage {
                keys: page.keys.into_iter().map(Key::into_bytes).collect(),
                next: page.next.map(Into::into),
            }),
            ReplicaAnswer::Refused(refusal) => Self::Refusal(refusal.into()),
        }
    }
}

impl TryFrom<replica::reply::Answer> for ReplicaAnswer {
    type Error = DecodeError;

    fn try_from(answer: replica::reply::Answer) -> Result<Self, DecodeError> {
        use replica::reply::Answer;
        Ok(match answer {
            Answer::Read(read) => Self::Read(ReadAnswer {
                votes: read.votes,
                version: read.version.map(TryInto::try_into).transpose()?,
                value: read.value.map(Value::new).transpose()?,
                ghost: Tag::from_bits(read.ghost),
            }),
            Answer::Write(write) => Self::Write(WriteAnswer {
                superseded_by: write.superseded_by.map(TryInto::try_into).transpose()?,
                was_live: write.was_live,
            }),
            Answer::RebuildStates(states) => Self::RebuildStates(RebuildStates {
                generation: states.generation,
                number: (states.epoch, phase(states.phase)?),
                states: states
                    .states
                    .into_iter()
                    .map(|s| RebuildState {
                        ready: s.ready,
                        founding: (!s.founding.is_empty()).then(|| s.founding.into()),
                    })
                    .collect(),
            }),
            Answer::RebuildPage(page) => {
                let entries = page.entries.into_iter().map(|keyed| {
                    let entry = keyed.entry.ok_or(DecodeError::Missing("entry"))?;
                    Ok((Key::new(keyed.key)?, entry.try_into()?))
                });
                Self::RebuildPage(RebuildPage {
                    entries: entries.collect::<Result<_, DecodeError>>()?,
                    next: page.next.map(TryInto::try_into).transpose()?,
                })
            }
            Answer::RingVote(vote) => Self::RingVote(vote.try_into()?),
            Answer::RingState(state) => Self::RingState(boxed_record(state.record)?),
            Answer::Report(report) => Self::Report(Box::new(report.try_into()?)),
            Answer::Inspection(inspection) => Self::Inspection(inspection.try_into()?),
            Answer::Clock(replica::ClockReading { ticks, ready }) => {
                Self::Clock(ClockReading { ticks, ready })
            }
            Answer::Keys(page) => Self::Keys(KeysPage {
                keys: page.keys.into_iter().map(Key::new).collect::<Result<_, _>>()?,
                next: page.next.map(TryInto::try_into).transpose()?,
            }),
            Answer::Refusal(refusal) => Self::Refused(refusal.try_into()?),
        })
    }
}

impl From<NodeReport> for replica::NodeReport {
    fn from(report: NodeReport) -> Self {
        let stats = report.stats;
        let hot_keys = report.hot_keys.into_iter();
        Self {
            entries: stats.entries,
            expiring: stats.expiring,
            markers: stats.markers,
            bytes: stats.bytes,
            max_bytes: stats.max_bytes,
            hits: stats.hits,
            misses: stats.misses,
            evictions: stats.evictions,
            expirations: stats.expirations,
            vnodes_owned: stats.vnodes_owned,
            vnodes_ready: stats.vnodes_ready,
            hints: stats.hints,
            hint_bytes: stats.hint_bytes,
            connections: stats.connections,
            commands: stats.commands,
            requests: stats.requests,
            uptime_ms: stats.uptime_ms,
            requests_per_second: report.requests_per_second,
            hot_keys: hot_keys
                .map(|hot| replica::HotKey { key: hot.key.into_bytes(), per_second: hot.per_second })
                .collect(),
        }
    }
}

impl TryFrom<replica::NodeReport> for NodeReport {
    type Error = DecodeError;

    fn try_from(report: replica::NodeReport) -> Result<Self, DecodeError> {
        let hot_keys = report.hot_keys.into_iter().map(|hot| {
            let per_second = finite("requests per second of a hot key", hot.per_second)?;
            Ok(HotKey { key: Key::new(hot.key)?, per_second })
        });
        Ok(Self {
            stats: NodeStats {
                entries: report.entries,
                expiring: report.expiring,
                markers: report.markers,
                bytes: report.bytes,
                max_bytes: report.max_bytes,
                hits: report.hits,
                misses: report.misses,
                evictions: report.evictions,
                expirations: report.expirations,
                vnodes_owned: report.vnodes_owned,
                vnodes_ready: report.vnodes_ready,
                hints: report.hints,
                hint_bytes: report.hint_bytes,
                connections: report.connections,
                commands: report.commands,
                requests: report.requests,
                uptime_ms: report.uptime_ms,
            },
            requests_per_second: finite("requests per second", report.requests_per_second)?,
            hot_keys: hot_keys.collect::<Result<_, DecodeError>>()?,
        })
    }
}

impl From<RingVote> for replica::RingVote {
    fn from(vote: RingVote) -> Self {
        match vote {
            RingVote::Granted { accepted } => {
                let (ballot, record) = accepted.unzip();
                Self {
                    granted: true,
                    accepted_ballot: ballot.map(Into::into),
                    accepted_record: record_to_wire(record),
                    ..Self::default()
                }
            }
            RingVote::Outbid { promised } => Self { promised: Some(promised.into()), ..Self::default() },
            RingVote::Chosen(record) => Self { chosen: Some((*record).into()), ..Self::default() },
            RingVote::Refused(error) => Self { error, ..Self::default() },
        }
    }
}

impl TryFrom<replica::RingVote> for RingVote {
    type Error = DecodeError;

    fn try_from(vote: replica::RingVote) -> Result<Self, DecodeError> {
        if let Some(chosen) = boxed_record(vote.chosen)? {
            return Ok(Self::Chosen(chosen));
        }
        if vote.granted {
            let accepted = accepted(vote.accepted_ballot, vote.accepted_record)?;
            return Ok(Self::Granted {
                accepted: accepted.map(|(ballot, record)| (ballot, Box::new(record))),
            });
        }
        match vote.promised {
            Some(promised) => Ok(Self::Outbid { promised: promised.try_into()? }),
            None => Ok(Self::Refused(vote.error)),
        }
    }
}

impl From<Inspection> for replica::Inspection {
    fn from(inspection: Inspection) -> Self {
        let trust = match inspection.trust {
            Trust::Starting => replica::Trust::Starting,
            Trust::Rebuilding => replica::Trust::Rebuilding,
            Trust::Ready => replica::Trust::Ready,
        };
        Self {
            generation: inspection.generation,
            owner: inspection.owner,
            trust: trust.into(),
            version: inspection.version.map(Into::into),
            value_bytes: inspection.value_bytes,
            hinted: inspection.hinted.iter().map(ToString::to_string).collect(),
            ghost: tag_to_wire(inspection.ghost),
        }
    }
}

impl TryFrom<replica::Inspection> for Inspection {
    type Error = DecodeError;

    fn try_from(i: replica::Inspection) -> Result<Self, DecodeError> {
        let trust = match replica::Trust::try_from(i.trust) {
            Ok(replica::Trust::Starting) => Trust::Starting,
            Ok(replica::Trust::Rebuilding) => Trust::Rebuilding,
            Ok(replica::Trust::Ready) => Trust::Ready,
            Ok(replica::Trust::Unspecified) | Err(_) => return Err(DecodeError::Missing("trust")),
        };
        Ok(Self {
            generation: i.generation,
            owner: i.owner,
            trust,
            version: i.version.map(TryInto::try_into).transpose()?,
            value_bytes: i.value_bytes,
            ghost: Tag::from_bits(i.ghost),
            hinted: i.hinted.iter().map(|node| Ok(NodeId::new(node)?)).collect::<Result<_, DecodeError>>()?,
        })
    }
}

impl From<Refusal> for replica::Refusal {
    fn from(refusal: Refusal) -> Self {
        use replica::refusal::Reason;
        let reason = match refusal {
            Refusal::StaleStamp { record, generations } => Reason::StaleStamp(replica::StaleStamp {
                record: record_to_wire(record),
                generations: generations.into_vec(),
            }),
            Refusal::Behind { epoch, phase } => Reason::Behind(replica::Behind { epoch, phase }),
            Refusal::NotOwner => Reason::NotOwner(replica::NotOwner {}),
            Refusal::Late => Reason::Late(replica::Late {}),
            Refusal::Overloaded => Reason::Overloaded(replica::Overloaded {}),
            Refusal::Starting => Reason::Starting(replica::Starting {}),
            Refusal::Sealed { through } => Reason::Sealed(replica::Sealed { through: through.to_bits() }),
            Refusal::Invalid(why) => Reason::Invalid(why),
        };
        Self { reason: Some(reason) }
    }
}

impl TryFrom<replica::Refusal> for Refusal {
    type Error = DecodeError;

    fn try_from(refusal: replica::Refusal) -> Result<Self, DecodeError> {
        use replica::refusal::Reason;
        Ok(match refusal.reason.ok_or(DecodeError::Missing("reason"))? {
            Reason::StaleStamp(stale) => Self::StaleStamp {
                record: boxed_record(stale.record)?,
                generations: stale.generations.into(),
            },
            Reason::Behind(behind) => Self::Behind { epoch: behind.epoch, phase: behind.phase },
            Reason::NotOwner(replica::NotOwner {}) => Self::NotOwner,
            Reason::Late(replica::Late {}) => Self::Late,
            Reason::Overloaded(replica::Overloaded {}) => Self::Overloaded,
            Reason::Starting(replica::Starting {}) => Self::Starting,
            Reason::Sealed(replica::Sealed { through }) => {
                Self::Sealed { through: Tag::from_bits(through).ok_or(DecodeError::Missing("tag"))? }
            }
            Reason::Invalid(why) => Self::Invalid(why),
        })
    }
}
