use super::*;
use bytes::{BufMut as _, Bytes};
use proptest::prelude::*;

/// Everything a stream comes to when it arrives in pieces cut at `cuts`.
fn parse_in_pieces(stream: &[u8], cuts: &[usize]) -> (Vec<Parsed>, Option<ProtocolError>, Bytes) {
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut % (stream.len() + 1)).chain([stream.len()]).collect();
    ends.sort_unstable();
    let (mut parser, mut buffer, mut found, mut fed) = (Parser::new(), BytesMut::new(), Vec::new(), 0);
    for end in ends {
        buffer.extend_from_slice(&stream[fed..end]);
        fed = end;
        loop {
            match parser.next(&mut buffer) {
                Ok(Some(parsed)) => found.push(parsed),
                Ok(None) => break,
                Err(error) => return (found, Some(error), Bytes::new()),
            }
            assert!(
                parser.heap_bytes() <= 4 * stream.len() + limits::RESP_TRUSTED_CAPACITY * size_of::<Span>()
            );
        }
    }
    (found, None, buffer.freeze())
}

fn parse(stream: &[u8]) -> (Vec<Parsed>, Option<ProtocolError>, Bytes) {
    parse_in_pieces(stream, &[])
}

fn words(parsed: &Parsed) -> Vec<Vec<u8>> {
    match parsed {
        Parsed::Request(request) => request.arguments().map(<[u8]>::to_vec).collect(),
        Parsed::TooLarge(too_large) => panic!("{too_large}"),
    }
}

fn encode(arguments: &[Vec<u8>], into: &mut Vec<u8>) {
    into.put_slice(format!("*{}\r\n", arguments.len()).as_bytes());
    for argument in arguments {
        into.put_slice(format!("${}\r\n", argument.len()).as_bytes());
        into.put_slice(argument);
        into.put_slice(b"\r\n");
    }
}

#[test]
fn arrays_and_inline_commands_follow_each_other() {
    let stream = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n\r\n*0\r\n*-1\r\n  \nSET k 'a b'\n*1\r\n$0\r\n\r\n*1\r\n$4\r\nPI";
    let (found, error, rest) = parse(stream);
    let expected: [&[&[u8]]; 4] = [&[b"GET", b"k"], &[b"PING"], &[b"SET", b"k", b"a b"], &[b""]];
    assert_eq!(found.iter().map(words).collect::<Vec<_>>(), expected);
    assert_eq!((error, &rest[..]), (None, &b"*1\r\n$4\r\nPI"[..]));
}

#[test]
fn what_is_not_resp_is_told_in_the_words_of_redis() {
    use ProtocolError::{BulkEnd, BulkLength, ExpectedBulk, MultibulkLength, UnbalancedQuotes};
    let cases: [(&str, ProtocolError); 19] = [
        ("*x", MultibulkLength),
        ("*\r\n", MultibulkLength),
        ("*+1\r\n", MultibulkLength),
        ("*01\r\n", MultibulkLength),
        ("* 1\r\n", MultibulkLength),
        ("*1\n", MultibulkLength),
        ("*1\rx", MultibulkLength),
        ("*1048577\r\n", MultibulkLength),
        ("*99999999999999999999", MultibulkLength),
        ("*1\r\n:1\r\n", ExpectedBulk(b':')),
        ("*1\r\n\r\n", ExpectedBulk(b'\r')),
        ("*1\r\n$-1\r\n", BulkLength),
        ("*1\r\n$x\r\n", BulkLength),
        ("*1\r\n$-0\r\n", BulkLength),
        ("*1\r\n$536870913\r\n", BulkLength),
        ("*1\r\n$9223372036854775808\r\n", BulkLength),
        ("*1\r\n$1\r\nab\r\n", BulkEnd),
        ("*1\r\n$1\r\na\rb", BulkEnd),
        ("GET \"k\n", UnbalancedQuotes),
    ];
    for (stream, expected) in cases {
        assert_eq!(parse(stream.as_bytes()).1, Some(expected), "{stream:?}");
    }
    assert_eq!(ExpectedBulk(b'\n').to_string(), "expected '$', got '\\n'");
    assert_eq!(MultibulkLength.to_string(), "invalid multibulk length");
    assert_eq!(BulkLength.to_string(), "invalid bulk length");
}

#[test]
fn an_inline_command_is_bounded_however_it_arrives() {
    let longest = vec![b'a'; limits::RESP_INLINE_BYTES];
    let whole = [&longest[..], b"\n"].concat();
    assert_eq!(parse(&whole).0.len(), 1);
    assert_eq!(parse(&longest).1, None);
    let longer = [&longest[..], b"a"].concat();
    assert_eq!(parse(&longer).1, Some(ProtocolError::InlineTooBig));
    assert_eq!(parse(&[&longer[..], b"\n"].concat()).1, Some(ProtocolError::InlineTooBig));
}

#[test]
fn a_length_header_alone_makes_nobody_allocate() {
    let mut parser = Parser::new();
    let mut buffer = BytesMut::from("*1048576\r\n$8388608\r\n");
    assert_eq!(parser.next(&mut buffer), Ok(None));
    assert!(parser.heap_bytes() <= limits::RESP_TRUSTED_CAPACITY * size_of::<Span>());
    assert!(buffer.capacity() < 1024);
}

#[test]
fn an_argument_over_the_limit_is_thrown_away_as_it_comes_and_the_stream_goes_on() {
    let len = MAX_VALUE_BYTES + 1;
    let mut parser = Parser::new();
    let mut buffer = BytesMut::from(format!("*3\r\n$3\r\nSET\r\n${len}\r\n").as_bytes());
    assert_eq!(parser.next(&mut buffer), Ok(None));
    let mut sent = 0;
    while sent < len {
        let piece = (len - sent).min(100_000);
        buffer.extend_from_slice(&vec![b'*'; piece]);
        sent += piece;
        assert_eq!(parser.next(&mut buffer), Ok(None));
        assert!(buffer.is_empty());
    }
    buffer.extend_from_slice(b"\r\n$2\r\nab\r\nPING\r\n");
    let error = TooLarge::Argument(ValueTooLong { len });
    assert_eq!(parser.next(&mut buffer), Ok(Some(Parsed::TooLarge(error))));
    assert_eq!(error.to_string(), "value of 8388609 bytes exceeds the limit of 8388608 bytes");
    let next = parser.next(&mut buffer).unwrap().unwrap();
    assert_eq!(words(&next), [b"PING"]);
}

#[test]
fn a_request_over_the_limit_is_thrown_away_too_but_not_without_end() {
    let mut parser = Parser::new();
    let mut buffer = BytesMut::from("*100\r\n");
    let value =
        [format!("${MAX_VALUE_BYTES}\r\n").as_bytes(), &vec![b'v'; MAX_VALUE_BYTES], b"\r\n"].concat();
    let most = limits::RESP_SKIPPED_BYTES / MAX_VALUE_BYTES;
    let kept = limits::RESP_REQUEST_BYTES / MAX_VALUE_BYTES - 1;
    for _ in 0..most + kept {
        buffer.extend_from_slice(&value);
        assert_eq!(parser.next(&mut buffer), Ok(None));
        assert!(buffer.len() < limits::RESP_REQUEST_BYTES);
    }
    buffer.extend_from_slice(&value);
    assert_eq!(parser.next(&mut buffer), Err(ProtocolError::BulkLength));
}

fn arguments() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..8)
}

/// Streams that are nearly RESP: whole requests, headers with any number, line ends out of place, noise.
fn nearly_resp() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![
        (-2_i64..12).prop_map(|n| n.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        proptest::sample::select(vec![
            "",
            "-",
            "+1",
            "01",
            "-0",
            "8388608",
            "8388609",
            "536870912",
            "1048576"
        ])
        .prop_map(str::to_owned),
    ];
    let line_end = proptest::sample::select(vec!["\r\n", "\n", "\r", "", "\r\r\n"]);
    let piece = prop_oneof![
        4 => arguments().prop_map(|arguments| {
            let mut bytes = Vec::new();
            encode(&arguments, &mut bytes);
            bytes
        }),
        3 => (proptest::sample::select(vec!['*', '$']), number, line_end)
            .prop_map(|(kind, number, end)| format!("{kind}{number}{end}").into_bytes()),
        1 => proptest::sample::select(vec!["PING\r\n", "\r\n", "a 'b\n", "\"x\\x4", "GET \"a b\"\n"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..16),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// A mutation: which, where, with what.
fn mutate(stream: &mut Vec<u8>, (kind, at, byte): (u8, usize, u8)) {
    let at = at % (stream.len() + 1);
    match kind % 5 {
        0 => stream.insert(at, byte),
        1 if at < stream.len() => stream[at] ^= 1 << (byte % 8),
        2 if at < stream.len() => drop(stream.remove(at)),
        3 => stream.truncate(at),
        _ => {
            let end = (at + usize::from(byte)).min(stream.len());
            let repeated = stream[at..end].to_vec();
            stream.extend_from_slice(&repeated);
        }
    }
}

proptest! {
    #[test]
    fn what_was_encoded_is_parsed_however_it_is_cut(
        requests in proptest::collection::vec(arguments(), 0..10),
        cuts in proptest::collection::vec(any::<usize>(), 0..20),
    ) {
        let mut stream = Vec::new();
        requests.iter().for_each(|arguments| encode(arguments, &mut stream));
        let (found, error, rest) = parse_in_pieces(&stream, &cuts);
        prop_assert_eq!(found.iter().map(words).collect::<Vec<_>>(), requests);
        prop_assert!(error.is_none() && rest.is_empty());
    }

    #[test]
    fn the_same_bytes_give_the_same_requests_and_the_same_error_however_they_are_cut(
        mut stream in nearly_resp(),
        mutations in proptest::collection::vec(any::<(u8, usize, u8)>(), 0..4),
        cuts in proptest::collection::vec(any::<usize>(), 0..20),
    ) {
        mutations.into_iter().for_each(|mutation| mutate(&mut stream, mutation));
        prop_assert_eq!(parse_in_pieces(&stream, &cuts), parse(&stream));
        let every: Vec<_> = (0..stream.len()).collect();
        prop_assert_eq!(parse_in_pieces(&stream, &every), parse(&stream));
    }

    #[test]
    fn any_bytes_are_parsed_or_refused(stream in proptest::collection::vec(any::<u8>(), 0..400)) {
        let (found, error, rest) = parse(&stream);
        prop_assert!(found.len() <= stream.len());
        prop_assert!(error.is_none() || rest.is_empty());
    }
}
