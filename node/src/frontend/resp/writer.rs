use super::output::Output;
use crate::limits;
use bytes::BufMut as _;
use shoal_proto::types::Value;

/// The version of the protocol a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// What connections begin with.
    #[default]
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

impl Protocol {
    /// The number `HELLO` uses.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// Encodes replies behind those that wait. Types RESP2 does not have are written as what Redis writes instead.
#[derive(Debug)]
pub struct Writer<'a> {
    output: &'a mut Output,
    protocol: Protocol,
}

impl<'a> Writer<'a> {
    /// Writes in `protocol` at the end of `output`.
    pub fn new(output: &'a mut Output, protocol: Protocol) -> Self {
        Self { output, protocol }
    }

    /// The protocol that is written.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Changes the protocol of what follows.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// `+OK`.
    pub fn ok(&mut self) {
        self.output.encoded.extend_from_slice(b"+OK\r\n");
    }

    /// A short text without line ends.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text);
    }

    /// An error: a code, a blank, the text.
    pub fn error(&mut self, text: &str) {
        self.line(b'-', text);
    }

    /// A number.
    pub fn integer(&mut self, value: i64) {
        self.header(b':', value);
    }

    /// Any bytes.
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.output.encoded.reserve(bytes.len() + 2 + HEADER_BYTES);
        self.header(b'$', bytes.len() as i64);
        self.output.encoded.extend_from_slice(bytes);
        self.output.encoded.extend_from_slice(b"\r\n");
    }

    /// A value. A large one is not copied.
    pub fn value(&mut self, value: &Value) {
        let bytes = value.as_bytes();
        if bytes.len() < limits::RESP_SHARED_BYTES {
            return self.bulk(bytes);
        }
        self.header(b'$', bytes.len() as i64);
        self.output.share(value.to_bytes());
        self.output.encoded.extend_from_slice(b"\r\n");
    }

    /// No value.
    pub fn null(&mut self) {
        self.output.encoded.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// No array.
    pub fn null_array(&mut self) {
        self.output.encoded.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"*-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// Begins an array; `len` replies follow.
    pub fn array(&mut self, len: usize) {
        self.header(b'*', len as i64);
    }

    /// Begins a map; `len` keys with their values follow. In RESP2 an array of twice as many.
    pub fn map(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.array(2 * len),
            Protocol::Resp3 => self.header(b'%', len as i64),
        }
    }

    /// Begins attributes of the reply that comes after them; `len` keys with their values follow. RESP3 alone has them.
    pub fn attribute(&mut self, len: usize) {
        self.header(b'|', len as i64);
    }

    /// Begins a set; `len` replies follow. In RESP2 an array.
    pub fn set(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.array(len),
            Protocol::Resp3 => self.header(b'~', len as i64),
        }
    }

    /// Plain text for people to read. In RESP2 a bulk string.
    pub fn text(&mut self, text: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => {
                self.header(b'=', text.len() as i64 + 4);
                self.output.encoded.extend_from_slice(b"txt:");
                self.output.encoded.extend_from_slice(text.as_bytes());
                self.output.encoded.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Lines of help.
    pub(super) fn lines(&mut self, lines: &[&str]) {
        self.array(lines.len());
        lines.iter().for_each(|line| self.simple(line));
    }

    /// Line ends would end the reply early, so they become blanks.
    fn line(&mut self, kind: u8, text: &str) {
        self.output.encoded.put_u8(kind);
        let clean = |byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte };
        self.output.encoded.extend(text.bytes().map(clean));
        self.output.encoded.extend_from_slice(b"\r\n");
    }

    fn header(&mut self, kind: u8, value: i64) {
        let mut line = [0; HEADER_BYTES];
        let mut at = HEADER_BYTES;
        let mut place = |byte| {
            at -= 1;
            line[at] = byte;
        };
        place(b'\n');
        place(b'\r');
        let mut rest = value.unsigned_abs();
        loop {
            place(b'0' + (rest % 10) as u8);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if value < 0 {
            place(b'-');
        }
        place(kind);
        self.output.encoded.extend_from_slice(&line[at..]);
    }
}

/// The longest header: its kind, a sign, 19 digits, a line end.
const HEADER_BYTES: usize = 23;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(protocol: Protocol, write: impl FnOnce(&mut Writer<'_>)) -> String {
        let mut output = Output::default();
        write(&mut Writer::new(&mut output, protocol));
        String::from_utf8(output.to_vec()).unwrap()
    }

    #[test]
    fn replies_look_alike_in_both_protocols_where_they_can() {
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            assert_eq!(written(protocol, |w| w.ok()), "+OK\r\n");
            assert_eq!(written(protocol, |w| w.simple("PONG")), "+PONG\r\n");
            assert_eq!(written(protocol, |w| w.error("ERR no")), "-ERR no\r\n");
            assert_eq!(written(protocol, |w| w.bulk(b"a\r\nb")), "$4\r\na\r\nb\r\n");
            assert_eq!(written(protocol, |w| w.bulk(b"")), "$0\r\n\r\n");
            assert_eq!(written(protocol, |w| w.array(0)), "*0\r\n");
            for value in [0, 7, -1, 10, i64::MAX, i64::MIN] {
                assert_eq!(written(protocol, |w| w.integer(value)), format!(":{value}\r\n"));
            }
        }
    }

    #[test]
    fn what_resp2_lacks_is_written_as_redis_does() {
        let both =
            |write: fn(&mut Writer<'_>)| (written(Protocol::Resp2, write), written(Protocol::Resp3, write));
        assert_eq!(both(|w| w.null()), ("$-1\r\n".into(), "_\r\n".into()));
        assert_eq!(both(|w| w.null_array()), ("*-1\r\n".into(), "_\r\n".into()));
        assert_eq!(both(|w| w.map(2)), ("*4\r\n".into(), "%2\r\n".into()));
        assert_eq!(both(|w| w.set(2)), ("*2\r\n".into(), "~2\r\n".into()));
        assert_eq!(both(|w| w.text("hi")), ("$2\r\nhi\r\n".into(), "=6\r\ntxt:hi\r\n".into()));
    }

    #[test]
    fn an_error_cannot_smuggle_in_a_second_reply() {
        assert_eq!(written(Protocol::Resp2, |w| w.error("ERR a\r\n+OK")), "-ERR a  +OK\r\n");
    }
}
