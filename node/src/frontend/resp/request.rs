use bytes::Bytes;
use smallvec::SmallVec;

/// Where an argument lies in its request; requests are far shorter than 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// The arguments' places, in order. Most commands have at most four.
pub(super) type Spans = SmallVec<[Span; 4]>;

/// One command as it was sent: a name and its arguments, in one shared buffer.
#[derive(Debug, Clone)]
pub struct Request {
    bytes: Bytes,
    spans: Spans,
    /// Arguments in front that were dealt with already.
    skipped: usize,
}

impl Request {
    pub(super) fn new(bytes: Bytes, spans: Spans) -> Self {
        debug_assert!(spans.iter().all(|span| span.start <= span.end && span.end as usize <= bytes.len()));
        Self { bytes, spans, skipped: 0 }
    }

    /// How many arguments there are, the command's name included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len() - self.skipped
    }

    /// Whether there is not even a name. The parser yields no such request.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The argument at `index`; 0 is the command's name. Empty past the end.
    #[must_use]
    pub fn argument(&self, index: usize) -> &[u8] {
        self.spans
            .get(self.skipped + index)
            .map_or(&[], |span| &self.bytes[span.start as usize..span.end as usize])
    }

    /// The argument at `index`, sharing the request's buffer. Empty past the end.
    #[must_use]
    pub fn shared(&self, index: usize) -> Bytes {
        let span = self.spans.get(self.skipped + index);
        span.map_or_else(Bytes::new, |span| self.bytes.slice(span.start as usize..span.end as usize))
    }

    /// The arguments in order, the name first.
    pub fn arguments(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.argument(index))
    }

    /// Forgets the first `count` arguments, so that the next one is the command's name.
    pub(super) fn skip(&mut self, count: usize) {
        self.skipped = (self.skipped + count).min(self.spans.len());
    }
}

/// Two requests are the same when their arguments are, however they were sent.
impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        self.arguments().eq(other.arguments())
    }
}

impl Eq for Request {}
