//! Bytes in, requests out. Knows nothing of sockets.

use super::{
    inline,
    request::{Request, Span, Spans},
};
use crate::limits;
use bytes::{Buf as _, BytesMut};
use shoal_proto::types::{MAX_VALUE_BYTES, ValueTooLong};

/// Takes requests off a buffer that grows at its other end.
///
/// However the bytes are cut into reads, the same bytes give the same requests, and no byte of a request is looked at
/// more than a constant number of times. After an error the stream cannot be understood any more.
#[derive(Debug, Default)]
pub struct Parser {
    state: State,
    /// The client has still to authenticate.
    is_unproven: bool,
}

/// What the parser found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// A whole request.
    Request(Request),
    /// A request that was understood but is too large: its bytes are gone and the stream goes on.
    TooLarge(TooLarge),
}

/// A request that was thrown away instead of kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// One argument is longer than any value may be.
    #[error(transparent)]
    Argument(#[from] ValueTooLong),
    /// All of it together is too long.
    #[error("command exceeds the limit of {} bytes", limits::RESP_REQUEST_BYTES)]
    Request,
}

/// The bytes are not RESP. The texts are those Redis clients know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The number of arguments is no number or too large.
    #[error("invalid multibulk length")]
    MultibulkLength,
    /// The same of a client that has still to authenticate, who is granted less.
    #[error("unauthenticated multibulk length")]
    UnprovenMultibulkLength,
    /// The length of an argument is no number or too large to be thrown away.
    #[error("invalid bulk length")]
    BulkLength,
    /// The same of a client that has still to authenticate.
    #[error("unauthenticated bulk length")]
    UnprovenBulkLength,
    /// An argument does not begin with a dollar sign.
    #[error("expected '$', got '{}'", .0.escape_ascii())]
    ExpectedBulk(u8),
    /// An argument is not followed by a line end.
    #[error("expected a line end after a bulk string")]
    BulkEnd,
    /// An inline command is longer than [`limits::RESP_INLINE_BYTES`].
    #[error("too big inline request")]
    InlineTooBig,
    /// An inline command's quotes do not match.
    #[error("unbalanced quotes in request")]
    UnbalancedQuotes,
}

#[derive(Debug)]
enum State {
    /// Between requests; that many bytes of the buffer hold no line end.
    Start { scanned: usize },
    /// Within a request that is still in the buffer from its first byte on.
    Arguments { missing: usize, position: usize, spans: Spans },
    /// Within a request that is being thrown away.
    Skipping { missing: usize, bulk: usize, budget: usize, reason: TooLarge },
}

impl Default for State {
    fn default() -> Self {
        Self::Start { scanned: 0 }
    }
}

/// Where a step leads.
enum Step {
    Incomplete,
    Continue,
    Done(Parsed),
}

impl Parser {
    /// A parser at the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Grants a client more or less from the next length on that it names, once it has authenticated or no longer has.
    pub fn grant(&mut self, is_proven: bool) {
        self.is_unproven = !is_proven;
    }

    /// Takes the next request off the front of `buffer`; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the bytes are not RESP.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Parsed>, ProtocolError> {
        loop {
            let step = match &mut self.state {
                State::Start { .. } => self.start(buffer)?,
                State::Arguments { .. } => self.arguments(buffer)?,
                State::Skipping { .. } => self.skip(buffer)?,
            };
            match step {
                Step::Continue => {}
                Step::Incomplete => return Ok(None),
                Step::Done(parsed) => {
                    self.state = State::default();
                    return Ok(Some(parsed));
                }
            }
        }
    }

    /// Whether a request has begun and not ended.
    #[must_use]
    pub fn is_within(&self) -> bool {
        !matches!(self.state, State::Start { .. })
    }

    /// Bytes it holds besides the buffer: the places of a request's arguments.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        match &self.state {
            State::Arguments { spans, .. } if spans.spilled() => spans.capacity() * size_of::<Span>(),
            _ => 0,
        }
    }

    fn start(&mut self, buffer: &mut BytesMut) -> Result<Step, ProtocolError> {
        match buffer.first() {
            None => return Ok(Step::Incomplete),
            Some(b'*') => {}
            Some(_) => return self.inline(buffer),
        }
        let Some(header) = length(buffer, 1).map_err(|NotALength| ProtocolError::MultibulkLength)? else {
            return Ok(Step::Incomplete);
        };
        // As in Redis, an array of no or fewer elements asks for nothing.
        let Some(missing) = usize::try_from(header.value).ok().filter(|count| *count > 0) else {
            buffer.advance(header.end);
            return Ok(Step::Continue);
        };
        if missing > limits::RESP_ARGUMENTS {
            return Err(ProtocolError::MultibulkLength);
        }
        if self.is_unproven && missing > limits::UNPROVEN_ARGUMENTS {
            return Err(ProtocolError::UnprovenMultibulkLength);
        }
        let spans = Spans::with_capacity(missing.min(limits::RESP_TRUSTED_CAPACITY));
        self.state = State::Arguments { missing, position: header.end, spans };
        Ok(Step::Continue)
    }

    fn inline(&mut self, buffer: &mut BytesMut) -> Result<Step, ProtocolError> {
        let State::Start { scanned } = &mut self.state else { return Ok(Step::Incomplete) };
        let newline = buffer[*scanned..].iter().position(|byte| *byte == b'\n').map(|at| *scanned + at);
        *scanned = buffer.len();
        if newline.unwrap_or(buffer.len()) > limits::RESP_INLINE_BYTES {
            return Err(ProtocolError::InlineTooBig);
        }
        let Some(newline) = newline else { return Ok(Step::Incomplete) };
        let line = &buffer[..newline];
        let request = inline::split(line.strip_suffix(b"\r").unwrap_or(line))?;
        buffer.advance(newline + 1);
        self.state = State::default();
        Ok(request.map_or(Step::Continue, |request| Step::Done(Parsed::Request(request))))
    }

    fn arguments(&mut self, buffer: &mut BytesMut) -> Result<Step, ProtocolError> {
        let State::Arguments { missing, position, spans } = &mut self.state else {
            return Ok(Step::Incomplete);
        };
        while *missing > 0 {
            let Some(header) = bulk_header(buffer, *position)? else { return Ok(Step::Incomplete) };
            if self.is_unproven && header.length > limits::UNPROVEN_ARGUMENT_BYTES {
                return Err(ProtocolError::UnprovenBulkLength);
            }
            let Some(end) = header.start.checked_add(header.length) else {
                return Err(ProtocolError::BulkLength);
            };
            let reason = if header.length > MAX_VALUE_BYTES {
                Some(TooLarge::Argument(ValueTooLong { len: header.length }))
            } else {
                (end > limits::RESP_REQUEST_BYTES).then_some(TooLarge::Request)
            };
            if let Some(reason) = reason {
                let budget = limits::RESP_SKIPPED_BYTES;
                let missing = *missing;
                buffer.advance(*position);
                self.state = State::Skipping { missing, bulk: 0, budget, reason };
                return Ok(Step::Continue);
            }
            if !line_ends_at(buffer, end)? {
                return Ok(Step::Incomplete);
            }
            spans.push(Span { start: header.start as u32, end: end as u32 });
            *position = end + 2;
            *missing -= 1;
        }
        let bytes = buffer.split_to(*position).freeze();
        Ok(Step::Done(Parsed::Request(Request::new(bytes, std::mem::take(spans)))))
    }

    fn skip(&mut self, buffer: &mut BytesMut) -> Result<Step, ProtocolError> {
        let State::Skipping { missing, bulk, budget, reason } = &mut self.state else {
            return Ok(Step::Incomplete);
        };
        while *missing > 0 {
            if *bulk == 0 {
                let Some(header) = bulk_header(buffer, 0)? else { return Ok(Step::Incomplete) };
                *budget = budget.checked_sub(header.length).ok_or(ProtocolError::BulkLength)?;
                // One byte more than the contents, so that zero always means "at a header".
                *bulk = header.length + 1;
                buffer.advance(header.start);
            }
            let gone = buffer.len().min(*bulk - 1);
            buffer.advance(gone);
            *bulk -= gone;
            if *bulk > 1 || !line_ends_at(buffer, 0)? {
                return Ok(Step::Incomplete);
            }
            buffer.advance(2);
            *bulk = 0;
            *missing -= 1;
        }
        Ok(Step::Done(Parsed::TooLarge(*reason)))
    }

    /// Bytes this parser itself holds on the heap.
    #[cfg(test)]
    fn heap_bytes(&self) -> usize {
        match &self.state {
            State::Arguments { spans, .. } if spans.spilled() => spans.capacity() * size_of::<Span>(),
            _ => 0,
        }
    }
}

struct BulkHeader {
    /// Where the contents begin.
    start: usize,
    length: usize,
}

/// The header of the argument at `position`; `None` while it is incomplete.
fn bulk_header(buffer: &[u8], position: usize) -> Result<Option<BulkHeader>, ProtocolError> {
    match buffer.get(position) {
        None => return Ok(None),
        Some(b'$') => {}
        Some(other) => return Err(ProtocolError::ExpectedBulk(*other)),
    }
    let header = length(buffer, position + 1).map_err(|NotALength| ProtocolError::BulkLength)?;
    let Some(Length { value, end: start }) = header else { return Ok(None) };
    let length = usize::try_from(value).map_err(|_| ProtocolError::BulkLength)?;
    if length > limits::RESP_SKIPPED_BYTES {
        Err(ProtocolError::BulkLength)
    } else {
        Ok(Some(BulkHeader { start, length }))
    }
}

/// Whether the line end that must stand at `position` has arrived.
fn line_ends_at(buffer: &[u8], position: usize) -> Result<bool, ProtocolError> {
    match buffer.get(position..).unwrap_or_default() {
        [b'\r', b'\n', ..] => Ok(true),
        [] | [b'\r'] => Ok(false),
        _ => Err(ProtocolError::BulkEnd),
    }
}

struct NotALength;

struct Length {
    value: i64,
    /// Just after the line end.
    end: usize,
}

/// The number that stands at `position` up to a line end; `None` while it is incomplete. Numbers have one spelling: no
/// plus, no leading zeros, no blanks. A number that overflows is refused at once, so headers are short.
fn length(buffer: &[u8], position: usize) -> Result<Option<Length>, NotALength> {
    let mut rest = buffer.get(position..).unwrap_or_default();
    let negative = rest.first() == Some(&b'-');
    if negative {
        rest = &rest[1..];
    }
    let mut value = 0_i64;
    for (at, byte) in rest.iter().enumerate() {
        match byte {
            b'0'..=b'9' if at == 0 || value != 0 => {
                let digit = i64::from(byte - b'0');
                value = value.checked_mul(10).and_then(|v| v.checked_add(digit)).ok_or(NotALength)?;
            }
            b'\r' if at > 0 && !(negative && value == 0) => {
                let end = position + usize::from(negative) + at + 2;
                return match rest.get(at + 1) {
                    None => Ok(None),
                    Some(b'\n') => Ok(Some(Length { value: if negative { -value } else { value }, end })),
                    Some(_) => Err(NotALength),
                };
            }
            _ => return Err(NotALength),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
