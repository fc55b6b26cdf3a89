use crate::limits;
use bytes::{Buf as _, Bytes, BytesMut};
use std::{collections::VecDeque, io::IoSlice};

/// Replies that wait for the socket.
///
/// Small ones are encoded one behind another. A large value is not copied there: its bytes are kept beside, with the
/// place where they belong, and are given to the socket as they are.
#[derive(Debug, Default)]
pub struct Output {
    /// Where replies are encoded.
    pub(super) encoded: BytesMut,
    /// How much of `encoded` the socket has taken.
    written: usize,
    /// Values, and before which byte of `encoded` each belongs. Of the first, what the socket has not taken.
    values: VecDeque<(usize, Bytes)>,
    /// Bytes of `values`.
    in_values: usize,
    /// Bytes of values that the socket has taken.
    values_written: usize,
    /// How long the replies were that last needed more room than is kept.
    usual: usize,
}

impl Output {
    /// Makes room for as much as was needed the last time that more was needed than is kept.
    pub(super) fn prepare(&mut self) {
        if self.encoded.capacity() == 0 {
            self.encoded.reserve(self.usual);
        }
    }

    /// Makes room for so many bytes of replies.
    pub fn reserve(&mut self, bytes: usize) {
        self.encoded.reserve(bytes);
    }

    /// Puts a value next, as it is. Its header stands before it.
    pub(super) fn share(&mut self, value: Bytes) {
        self.in_values += value.len();
        self.values.push_back((self.encoded.len(), value));
    }

    /// The place where the next reply begins, for [`forget`](Self::forget).
    pub(super) fn place(&self) -> usize {
        self.encoded.len()
    }

    /// Forgets the replies from `place` on, of which the socket has not taken anything.
    pub(super) fn forget(&mut self, place: usize) {
        self.encoded.truncate(place);
        while let Some((_, value)) = self.values.pop_back_if(|(at, _)| *at > place) {
            self.in_values -= value.len();
        }
    }

    /// Whether the socket has taken all there was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.encoded.is_empty()
    }

    /// Bytes of all replies since it was last empty.
    pub(super) fn len(&self) -> usize {
        self.encoded.len() + self.values_written + self.in_values
    }

    /// Bytes that the socket has not taken.
    pub(super) fn unsent(&self) -> usize {
        self.encoded.len() - self.written + self.in_values
    }

    /// Memory it takes.
    pub(super) fn held_bytes(&self) -> usize {
        self.encoded.capacity() + self.in_values
    }

    /// What comes next, as far as `pieces` go and no more than may be moved in one turn.
    pub(super) fn next<'a, 'p>(&'a self, pieces: &'p mut [IoSlice<'a>]) -> &'p [IoSlice<'a>] {
        let (mut count, mut room, mut from) = (0, limits::RESP_TURN_BYTES, self.written);
        let ends = self.values.iter().map(|(at, value)| (*at, &value[..]));
        for (at, value) in ends.chain([(self.encoded.len(), &[][..])]) {
            for piece in [&self.encoded[from..at], value] {
                if !piece.is_empty() && count < pieces.len() && room > 0 {
                    let piece = &piece[..piece.len().min(room)];
                    pieces[count] = IoSlice::new(piece);
                    (count, room) = (count + 1, room - piece.len());
                }
            }
            from = at;
            if count == pieces.len() || room == 0 {
                break;
            }
        }
        &pieces[..count]
    }

    /// Notes that the socket took so much. True when that was all; then memory beyond what is kept is given back.
    pub(super) fn took(&mut self, mut count: usize) -> bool {
        while count > 0 {
            let end = self.values.front().map_or(self.encoded.len(), |(at, _)| *at);
            let encoded = count.min(end - self.written);
            self.written += encoded;
            count -= encoded;
            let Some((_, value)) = self.values.front_mut().filter(|_| count > 0) else { break };
            let taken = count.min(value.len());
            value.advance(taken);
            if value.is_empty() {
                self.values.pop_front();
            }
            self.in_values -= taken;
            self.values_written += taken;
            count -= taken;
        }
        let all = self.unsent() == 0;
        if all {
            self.clear();
        }
        all
    }

    fn clear(&mut self) {
        (self.written, self.values_written) = (0, 0);
        self.values = VecDeque::new();
        // One large reply must not keep its memory for the life of the connection.
        if self.encoded.capacity() > limits::RESP_KEPT_BYTES {
            self.usual = self.encoded.len().min(limits::RESP_CHUNK_BYTES);
            self.encoded = BytesMut::new();
        } else {
            self.encoded.clear();
        }
    }

    /// All of it as one.
    #[cfg(any(test, fuzzing))]
    pub(super) fn to_vec(&self) -> Vec<u8> {
        let (mut bytes, mut from) = (Vec::new(), self.written);
        for (at, value) in &self.values {
            bytes.extend_from_slice(&self.encoded[from..*at]);
            bytes.extend_from_slice(value);
            from = *at;
        }
        bytes.extend_from_slice(&self.encoded[from..]);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the socket is given until nothing is left, when it takes so much at most each time.
    fn given(output: &mut Output, most: usize) -> Vec<u8> {
        let mut given = Vec::new();
        while !output.is_empty() {
            let before = given.len();
            let mut pieces = [IoSlice::new(&[]); limits::RESP_PIECES];
            let bytes = output.next(&mut pieces).iter().map(|piece| &piece[..]).collect::<Vec<_>>().concat();
            assert!(bytes.len() <= limits::RESP_TURN_BYTES);
            given.extend_from_slice(&bytes[..bytes.len().min(most)]);
            assert!(given.len() > before, "nothing was given of {output:?}");
            let unsent = output.unsent();
            let all = output.took(given.len() - before);
            assert_eq!(all, output.is_empty());
            assert_eq!(output.unsent(), unsent - (given.len() - before));
        }
        given
    }

    fn value(number: usize, len: usize) -> Bytes {
        vec![number as u8; len].into()
    }

    proptest! {
        #[test]
        fn the_socket_is_given_all_bytes_in_their_order_however_few_it_takes(
            replies in prop::collection::vec((0..40_usize, prop_oneof![
                0..100_usize,
                limits::RESP_SHARED_BYTES - 2..limits::RESP_SHARED_BYTES + 2,
                Just(limits::RESP_TURN_BYTES + 1),
            ]), 1..12),
            most in prop_oneof![10_000..100_000_usize, Just(usize::MAX)],
        ) {
            let (mut output, mut expected) = (Output::default(), Vec::new());
            for (number, (small, large)) in replies.into_iter().enumerate() {
                let header = vec![b'$'; small + 1];
                output.encoded.extend_from_slice(&header);
                output.share(value(number, large));
                expected.extend([&header[..], &value(number, large)].concat());
            }
            prop_assert_eq!(output.len(), expected.len());
            prop_assert_eq!(output.to_vec(), expected.clone());
            prop_assert!(given(&mut output, most) == expected);
            prop_assert!(output.held_bytes() <= limits::RESP_KEPT_BYTES);
            prop_assert_eq!(output.len(), 0);
        }
    }

    #[test]
    fn a_reply_that_nobody_wants_is_forgotten_and_those_before_stay() {
        let large = limits::RESP_SHARED_BYTES;
        let mut output = Output::default();
        output.encoded.extend_from_slice(b"a");
        output.share(value(1, large));
        let (place, before) = (output.place(), output.to_vec());
        output.encoded.extend_from_slice(b"b");
        output.share(value(2, large));
        output.encoded.extend_from_slice(b"c");
        output.forget(place);
        assert_eq!(output.to_vec(), before);
        assert_eq!(output.unsent(), before.len());
        assert!(given(&mut output, usize::MAX) == before);
    }

    #[test]
    fn a_large_value_is_neither_copied_nor_kept_longer_than_the_socket_needs_it() {
        let value = value(1, 2 * limits::RESP_SHARED_BYTES);
        let mut output = Output::default();
        output.encoded.extend_from_slice(b"$");
        output.share(value.clone());
        output.encoded.extend_from_slice(b"\r\n");
        let mut pieces = [IoSlice::new(&[]); limits::RESP_PIECES];
        assert_eq!(output.next(&mut pieces)[1].as_ptr(), value.as_ptr());
        assert!(!value.is_unique());
        assert!(!output.took(1 + value.len()));
        assert!(value.is_unique());
        assert!(output.took(2));
    }
}
