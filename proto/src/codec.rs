//! Messages over gRPC. Those that are made of more parts than any message of ours are refused before memory is made for
//! the parts: a part without contents takes two bytes of the message, and some hundred once it is decoded.

use crate::wire::replica::v1::{LinkRequest, LinkResponse};
use bytes::Buf as _;
use prost::{
    Message,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use std::any::TypeId;
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// Parts of one message at most. A batch call's keys are by far the most that one has.
pub const MAX_PARTS: usize = 16 * 1024;

/// What all services of ours encode and decode by.
#[derive(Debug, Clone)]
pub struct BoundedCodec<T, U>(ProstCodec<T, U>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(ProstCodec::default())
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        self.0.encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(self.0.decoder())
    }
}

/// Decodes messages of a bounded number of parts.
#[derive(Debug, Clone)]
pub struct BoundedDecoder<U>(ProstDecoder<U>);

impl<U: Message + Default + 'static> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // The whole message lies in one piece; what is malformed is named by the decoding itself.
        let parts = count(buffer.chunk(), envelope::<U>());
        if parts > MAX_PARTS {
            let why = format!("message of {parts} or more parts exceeds the limit of {MAX_PARTS}");
            return Err(Status::resource_exhausted(why));
        }
        self.0.decode(buffer)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}

/// The field that holds the parts of a message which is only an envelope.
fn envelope<U: 'static>() -> Option<u32> {
    match TypeId::of::<U>() {
        id if id == TypeId::of::<LinkRequest>() => Some(3),
        id if id == TypeId::of::<LinkResponse>() => Some(4),
        _ => None,
    }
}

/// How many fields a message has, up to where it is malformed or has too many; those of its field `envelope` are counted
/// in its place.
fn count(mut message: &[u8], envelope: Option<u32>) -> usize {
    let mut parts = 0;
    while !message.is_empty() && parts <= MAX_PARTS {
        let Ok((tag, kind)) = decode_key(&mut message) else { break };
        parts += 1;
        if Some(tag) == envelope && kind == WireType::LengthDelimited {
            let inner = decode_varint(&mut message).ok().and_then(|len| usize::try_from(len).ok());
            let Some((inner, rest)) = inner.and_then(|len| message.split_at_checked(len)) else { break };
            parts += count(inner, None);
            message = rest;
        } else if skip_field(kind, tag, &mut message, DecodeContext::default()).is_err() {
            break;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{kv::v1 as kv, replica::v1 as replica};

    #[test]
    fn parts_are_counted_where_they_are() {
        let operations = |count| kv::PipelineRequest { operations: vec![kv::Operation::default(); count] };
        let parts = |message: &kv::PipelineRequest| count(&message.encode_to_vec(), None);
        assert_eq!((parts(&operations(0)), parts(&operations(7))), (0, 7));
        assert!(parts(&operations(MAX_PARTS)) <= MAX_PARTS);
        assert!(parts(&operations(10 * MAX_PARTS)) > MAX_PARTS);

        let requests = vec![replica::Request::default(); 2 * MAX_PARTS];
        let body = Some(replica::link_request::Body::Batch(replica::Batch { requests }));
        let message = LinkRequest { body }.encode_to_vec();
        assert!(count(&message, envelope::<LinkRequest>()) > MAX_PARTS);
        assert_eq!(count(&message, envelope::<kv::GetRequest>()), 1);
    }

    #[test]
    fn what_a_value_holds_is_no_part() {
        let value = kv::PipelineRequest { operations: vec![kv::Operation::default(); 9] }.encode_to_vec();
        let set = kv::SetRequest { key: "k".into(), value: value.into(), ..Default::default() };
        assert_eq!(count(&set.encode_to_vec(), None), 2);
    }

    #[test]
    fn counting_ends_where_a_message_is_broken() {
        for broken in
            [&b"\x0a"[..], b"\x0a\x05ab", b"\x0f", b"\xff\xff\xff\xff\xff\xff", b"\x1a\xff\xff\xff\xff\x0f"]
        {
            assert!(count(broken, Some(3)) <= 1, "{broken:?}");
        }
    }
}
