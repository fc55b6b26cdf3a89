//! What bytes of a RESP client must never do.

use super::{
    Output, Writer,
    command::{Context, Prepared, prepare},
    parser::{Parsed, Parser, ProtocolError},
    session::{Replies, Session},
    testing::{MapBackend, door},
};
use bytes::BytesMut;
use shoal_proto::types::UnixMillis;
use std::sync::Arc;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

/// The same bytes are the same requests, however they are cut into reads. The first byte says how.
///
/// # Panics
/// When they are not.
pub fn parser(data: &[u8]) {
    let Some((seed, bytes)) = data.split_first() else { return };
    let whole = requests([bytes]);
    assert_eq!(requests(bytes.chunks(1)), whole, "byte by byte");
    // Pieces of lengths that have little in common.
    let (mut pieces, mut rest, mut length) = (Vec::new(), bytes, usize::from(*seed));
    while !rest.is_empty() {
        length = (length * 31 + 7) % 61;
        let (piece, left) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = left;
    }
    assert_eq!(requests(pieces), whole, "in pieces");
}

/// Whatever a client asks, it is answered by one well-formed reply, unless it asked for none, or becomes commands with keys that hold.
///
/// # Panics
/// When an answer is malformed.
pub fn commands(data: &[u8]) {
    let door = door(Arc::<MapBackend>::default());
    let mut session = Session::new(1, "127.0.0.1:1".into(), "".into(), NOW, door.gate.anonymous());
    for parsed in requests([data]).0 {
        let Parsed::Request(request) = parsed else { continue };
        let mut output = Output::default();
        let prepared = prepare(&door, &mut session, request, NOW);
        let writer = Writer::new(&mut output, session.protocol);
        let mut context = Context { door: &door, session: &mut session, writer };
        let answered = match prepared {
            Prepared::Plan(plan) => {
                assert!(!plan.commands().is_empty());
                continue;
            }
            Prepared::Local(handler, request) => handler(&mut context, &request),
            Prepared::Refused(error) => Err(error),
        };
        if let Err(error) = answered {
            context.writer.error(&error.text());
        }
        if output.is_empty() && session.replies != Replies::On {
            continue;
        }
        let output = output.to_vec();
        let rest =
            reply(&output).unwrap_or_else(|| panic!("no reply: {:?}", output.escape_ascii().to_string()));
        assert!(rest.is_empty(), "more than one reply: {:?}", output.escape_ascii().to_string());
    }
}

type Requests = (Vec<Parsed>, Option<ProtocolError>);

/// All requests of a stream, and what ended it.
fn requests<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Requests {
    let (mut parser, mut buffer, mut found) = (Parser::new(), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match parser.next(&mut buffer) {
                Ok(Some(parsed)) => found.push(parsed),
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

/// What follows one reply, in RESP2 or RESP3; `None` when there is none.
fn reply(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let (line, rest) = (&bytes[..end], &bytes[end + 2..]);
    let (kind, text) = line.split_first()?;
    let count = || std::str::from_utf8(text).ok()?.parse::<i64>().ok();
    let items = |count: i64, rest| (0..count).try_fold(rest, |rest, _| reply(rest));
    match kind {
        b'+' | b'-' | b':' | b'_' | b',' | b'#' => (!text.contains(&b'\n')).then_some(rest),
        b'$' | b'=' => match usize::try_from(count()?) {
            Ok(length) => rest.get(length..)?.strip_prefix(b"\r\n"),
            Err(_) => Some(rest),
        },
        b'*' | b'~' | b'>' => items(count()?, rest),
        b'%' => items(2 * count()?, rest),
        b'|' => reply(items(2 * count()?, rest)?),
        _ => None,
    }
}
