//! Domain, wire, bytes and back.

use crate::strategies::{answer, node_state, op, record, stamp, stamped, version};
use proptest::prelude::*;
use prost::Message;
use shoal_proto::convert::DecodeError;
use shoal_proto::types::{NodeState, ReplicaAnswer, ReplicaOp, RingRecord, Stamp, Stamped, Version};
use shoal_proto::wire::{kv::v1 as kv, replica::v1 as replica, ring::v1 as ring};

/// Sends `domain` through the message `M` and its encoding.
fn sent<T, M>(domain: T) -> Result<T, DecodeError>
where
    M: Message + Default + From<T> + TryInto<T, Error = DecodeError>,
{
    let bytes = M::from(domain).encode_to_vec();
    M::decode(bytes.as_slice()).expect("prost decodes what it encoded").try_into()
}

fn request(op: Option<replica::request::Op>) -> replica::Request {
    replica::Request { id: 1, deadline_ms: 1, stamp: None, op }
}

fn sent_op(op: ReplicaOp) -> Result<ReplicaOp, DecodeError> {
    let bytes = request(Some(op.into())).encode_to_vec();
    replica::Request::decode(bytes.as_slice()).expect("a request").op.expect("an operation").try_into()
}

fn sent_answer(answer: ReplicaAnswer) -> Result<ReplicaAnswer, DecodeError> {
    let bytes = replica::Reply { id: 1, answer: Some(answer.into()) }.encode_to_vec();
    replica::Reply::decode(bytes.as_slice()).expect("a reply").answer.expect("an answer").try_into()
}

/// Decodes `bytes` as `M` and, where prost accepts them, as `T`; a second round must then change nothing.
fn survives<T, M>(bytes: &[u8]) -> Result<(), TestCaseError>
where
    T: Clone + PartialEq + std::fmt::Debug,
    M: Message + Default + From<T> + TryInto<T, Error = DecodeError>,
{
    if let Ok(message) = M::decode(bytes) {
        match message.try_into() {
            Ok(domain) => prop_assert_eq!(sent::<T, M>(domain.clone()), Ok(domain)),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
    Ok(())
}

fn any_bytes_survive(bytes: &[u8]) -> Result<(), TestCaseError> {
    survives::<Version, replica::Version>(bytes)?;
    survives::<Stamped, replica::Entry>(bytes)?;
    survives::<Stamp, replica::Stamp>(bytes)?;
    survives::<RingRecord, ring::RingRecord>(bytes)?;
    survives::<NodeState, ring::NodeState>(bytes)?;
    if let Ok(replica::Request { op: Some(wire), .. }) = replica::Request::decode(bytes)
        && let Ok(op) = ReplicaOp::try_from(wire)
    {
        prop_assert_eq!(sent_op(op.clone()), Ok(op));
    }
    if let Ok(replica::Reply { answer: Some(wire), .. }) = replica::Reply::decode(bytes)
        && let Ok(answer) = ReplicaAnswer::try_from(wire)
    {
        prop_assert_eq!(sent_answer(answer.clone()), Ok(answer));
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_version_arrives(it in version()) {
        prop_assert_eq!(sent::<_, replica::Version>(it), Ok(it));
    }

    #[test]
    fn an_entry_arrives_with_the_hash_of_its_value(it in stamped()) {
        prop_assert_eq!(sent::<_, replica::Entry>(it.clone()), Ok(it));
    }

    #[test]
    fn a_stamp_arrives(it in stamp()) {
        prop_assert_eq!(sent::<_, replica::Stamp>(it.clone()), Ok(it));
    }

    #[test]
    fn a_ring_record_arrives(it in record()) {
        prop_assert_eq!(sent::<_, ring::RingRecord>(it.clone()), Ok(it));
    }

    #[test]
    fn a_node_state_arrives(it in node_state()) {
        prop_assert_eq!(sent::<_, ring::NodeState>(it.clone()), Ok(it));
    }

    #[test]
    fn an_operation_arrives(it in op()) {
        prop_assert_eq!(sent_op(it.clone()), Ok(it));
    }

    #[test]
    fn an_answer_arrives(it in answer()) {
        prop_assert_eq!(sent_answer(it.clone()), Ok(it));
    }

    #[test]
    fn a_level_keeps_its_number(number in any::<i32>()) {
        match kv::Consistency::level(number) {
            Ok(Some(level)) => prop_assert_eq!(i32::from(kv::Consistency::from(level)), number),
            Ok(None) => prop_assert_eq!(number, 0),
            Err(error) => {
                let value = u64::from(number.cast_unsigned());
                prop_assert_eq!(error, DecodeError::OutOfRange { field: "consistency", value });
            }
        }
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        any_bytes_survive(&bytes)?;
    }

    /// Arbitrary bytes rarely get past prost; almost valid ones reach every check of the mapping.
    #[test]
    fn no_damage_to_a_message_makes_decoding_panic(
        (state, request_op, reply_answer) in (node_state(), op(), answer()),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let messages = [
            ring::NodeState::from(state.clone()).encode_to_vec(),
            state.record.map(|record| ring::RingRecord::from(record).encode_to_vec()).unwrap_or_default(),
            request(Some(request_op.into())).encode_to_vec(),
            replica::Reply { id: 1, answer: Some(reply_answer.into()) }.encode_to_vec(),
        ];
        for mut bytes in messages.into_iter().filter(|bytes| !bytes.is_empty()) {
            for (place, byte) in &damage {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            any_bytes_survive(&bytes)?;
        }
    }
}
