//! Pure: patterns of keys as Redis has them.
//!
//! `*` is any bytes, `?` any one, `[a-z]` one of these, `[^a-z]` one that is none of these, and `\` takes the special
//! meaning from what follows. Time is linear in the length of the key whatever the pattern: all ways to match are
//! followed at once, one bit each (Baeza-Yates and Gonnet, "A new approach to text searching", 1992).

const WORD: usize = u64::BITS as usize;

/// A pattern, ready to be held against keys.
#[derive(Debug, Clone)]
pub struct Glob {
    /// For each byte, which places of the pattern it matches.
    matches: Vec<Vec<u64>>,
    /// Places at which any bytes may come first.
    stars: Vec<u64>,
    /// The place behind the last.
    end: usize,
}

impl Glob {
    /// Reads a pattern. There is none that is invalid.
    #[must_use]
    pub fn new(pattern: &[u8]) -> Self {
        let words = pattern.len() / WORD + 1;
        let mut glob = Self { matches: vec![vec![0; words]; 256], stars: vec![0; words], end: 0 };
        let mut rest = pattern;
        while let Some((first, after)) = rest.split_first() {
            rest = match (first, after) {
                (b'*', _) => {
                    set(&mut glob.stars, glob.end);
                    after
                }
                (b'?', _) => {
                    glob.place(|_| true);
                    after
                }
                (b'[', _) => {
                    let (class, after) = Class::read(after);
                    glob.place(|byte| class.contains(byte));
                    after
                }
                (b'\\', [escaped, after @ ..]) => {
                    glob.place(|byte| byte == *escaped);
                    after
                }
                (literal, _) => {
                    glob.place(|byte| byte == *literal);
                    after
                }
            };
        }
        glob
    }

    /// Whether the whole of `key` matches.
    #[must_use]
    pub fn is_match(&self, key: &[u8]) -> bool {
        let mut reached = vec![0; self.stars.len()];
        set(&mut reached, 0);
        for byte in key {
            let matches = &self.matches[usize::from(*byte)];
            let mut carry = 0;
            for ((reached, matches), stars) in reached.iter_mut().zip(matches).zip(&self.stars) {
                let stepped = *reached & matches;
                let stayed = *reached & stars;
                *reached = stepped << 1 | carry | stayed;
                carry = stepped >> (WORD - 1);
            }
        }
        reached[self.end / WORD] >> (self.end % WORD) & 1 == 1
    }

    fn place(&mut self, takes: impl Fn(u8) -> bool) {
        for byte in (0..=u8::MAX).filter(|byte| takes(*byte)) {
            set(&mut self.matches[usize::from(byte)], self.end);
        }
        self.end += 1;
    }
}

fn set(words: &mut [u64], bit: usize) {
    words[bit / WORD] |= 1 << (bit % WORD);
}

/// What stands between brackets.
struct Class {
    negated: bool,
    ranges: Vec<(u8, u8)>,
}

impl Class {
    /// Reads up to the closing bracket, or to the end where there is none.
    fn read(text: &[u8]) -> (Self, &[u8]) {
        let (negated, mut rest) = match text {
            [b'^', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let mut ranges = Vec::new();
        loop {
            rest = match rest {
                [] => break,
                [b']', after @ ..] => {
                    rest = after;
                    break;
                }
                [b'\\', escaped, after @ ..] => {
                    ranges.push((*escaped, *escaped));
                    after
                }
                [low, b'-', high, after @ ..] => {
                    ranges.push((*low.min(high), *low.max(high)));
                    after
                }
                [byte, after @ ..] => {
                    ranges.push((*byte, *byte));
                    after
                }
            };
        }
        (Self { negated, ranges }, rest)
    }

    fn contains(&self, byte: u8) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&byte)) != self.negated
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, followed by trying everything.
    fn plainly(pattern: &[u8], key: &[u8]) -> bool {
        match (pattern, key) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=key.len()).any(|skip| plainly(rest, &key[skip..])),
            ([b'?', rest @ ..], [_, key @ ..]) => plainly(rest, key),
            ([b'[', class @ ..], [byte, key @ ..]) => {
                let (class, rest) = Class::read(class);
                class.contains(*byte) && plainly(rest, key)
            }
            ([b'\\', escaped, rest @ ..], [byte, key @ ..]) => escaped == byte && plainly(rest, key),
            ([literal, rest @ ..], [byte, key @ ..]) => literal == byte && plainly(rest, key),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_glob_matches_what_its_definition_says(pattern in r"[ab*?\[\]^\\-]{0,9}", key in r"[ab\[\]*-]{0,7}") {
            let (pattern, key) = (pattern.as_bytes(), key.as_bytes());
            prop_assert_eq!(Glob::new(pattern).is_match(key), plainly(pattern, key));
        }
    }

    #[test]
    fn patterns_mean_what_they_mean_in_redis() {
        for (pattern, matching, other) in [
            ("", vec![""], vec!["a"]),
            ("*", vec!["", "a", "a\nb"], vec![]),
            ("h?llo", vec!["hello", "h\u{7f}llo"], vec!["hllo", "heello"]),
            ("h*llo", vec!["hllo", "heeeello"], vec!["hell"]),
            ("h[ae]llo", vec!["hello", "hallo"], vec!["hillo"]),
            ("h[^e]llo", vec!["hallo", "h^llo"], vec!["hello"]),
            ("h[a-b]llo", vec!["hallo", "hbllo"], vec!["hcllo", "h-llo"]),
            ("h[b-a]llo", vec!["hallo", "hbllo"], vec!["hcllo"]),
            (r"[\]]", vec!["]"], vec!["\\"]),
            (r"\*\?\[", vec!["*?["], vec!["aa["]),
            (r"a\", vec![r"a\"], vec!["a"]),
            ("[abc", vec!["a", "c"], vec!["[abc", "d"]),
            ("[]", vec![], vec!["", "]"]),
            ("user:*:name", vec!["user::name", "user:1:name"], vec!["user:1:names"]),
        ] {
            let glob = Glob::new(pattern.as_bytes());
            assert!(matching.iter().all(|key| glob.is_match(key.as_bytes())), "{pattern}");
            assert!(!other.iter().any(|key| glob.is_match(key.as_bytes())), "{pattern}");
        }
    }

    #[test]
    fn patterns_longer_than_a_word_match_across_words() {
        let long = "ab?".repeat(50);
        let glob = Glob::new(format!("*{long}*").as_bytes());
        assert!(glob.is_match(format!("xx{}yy", "abc".repeat(50)).as_bytes()));
        assert!(!glob.is_match("abc".repeat(49).as_bytes()));
    }
}
