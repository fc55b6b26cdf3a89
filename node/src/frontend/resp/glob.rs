//! Pure: patterns as Redis has them.

/// Whether `text` matches `pattern`: `*` is any bytes, `?` any one, `[a-c]` and `[^a-c]` one that is or is not among
/// those, and a backslash takes the next byte as it is. Takes at most as many steps as the product of both lengths.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut rest, mut left) = (pattern, text);
    // Where the last star stands, and what it has not taken yet. It alone is ever tried anew: an earlier one gains
    // nothing by taking more.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', behind @ ..] = rest {
            (rest, star) = (behind, Some((behind, left)));
            continue;
        }
        if rest.is_empty() && left.is_empty() {
            return true;
        }
        if let Some(behind) = left.first().and_then(|byte| one(rest, *byte)) {
            (rest, left) = (behind, &left[1..]);
            continue;
        }
        let Some((behind, [_, fewer @ ..])) = star else { return false };
        (rest, left, star) = (behind, fewer, Some((behind, fewer)));
    }
}

/// What is left of the pattern after its first element, if that matches `byte`.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let (is_match, rest) = match pattern {
        [b'?', rest @ ..] => (true, rest),
        [b'\\', literal, rest @ ..] => (*literal == byte, rest),
        [b'[', class @ ..] => among(class, byte),
        [literal, rest @ ..] => (*literal == byte, rest),
        [] => return None,
    };
    is_match.then_some(rest)
}

/// Whether `byte` is in the class that begins here, and what follows it. One that is not closed ends with the pattern.
fn among(class: &[u8], byte: u8) -> (bool, &[u8]) {
    let (negated, mut rest) = match class {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    loop {
        match rest {
            [] => return (found != negated, rest),
            [b']', behind @ ..] => return (found != negated, behind),
            [b'\\', literal, behind @ ..] => {
                found |= *literal == byte;
                rest = behind;
            }
            [first, b'-', last, behind @ ..] => {
                found |= (*first.min(last)..=*first.max(last)).contains(&byte);
                rest = behind;
            }
            [literal, behind @ ..] => {
                found |= *literal == byte;
                rest = behind;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_those_of_redis() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("max*", "maxmemory", true),
            ("max*y", "maxmemory", true),
            ("max*z", "maxmemory", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            (r"h\*llo", "h*llo", true),
            (r"h\*llo", "hello", false),
            (r"[\]]", "]", true),
            ("[a", "a", true),
            ("*a*b*c", "xaybzc", true),
            ("*a*b*c", "xbyazc", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_do_not_multiply_the_work() {
        let (pattern, text) = ("*a".repeat(64), "a".repeat(4096) + "b");
        assert!(!matches(pattern.as_bytes(), text.as_bytes()));
    }
}
