//! What a document shows, against what was printed.

/// A line that stands for any number of lines; within a line, for any text.
const ELISION: &str = "...";

/// Whether the lines are those shown. Each of `varying` is an example: any other word may stand in its place.
pub(crate) fn matches(shown: &[String], printed: &[&str], varying: &[String]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, _) => printed.is_empty(),
        (Some((line, rest)), _) if line == ELISION => {
            (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..], varying))
        }
        (Some((line, rest)), Some((first, others))) => {
            line_matches(line.trim_end(), first.trim_end(), varying) && matches(rest, others, varying)
        }
        (Some(_), None) => false,
    }
}

fn line_matches(shown: &str, printed: &str, varying: &[String]) -> bool {
    if let Some(rest) = shown.strip_prefix(ELISION) {
        let mut ends = printed.char_indices().map(|(at, _)| at).chain([printed.len()]);
        return ends.any(|at| line_matches(rest, &printed[at..], varying));
    }
    for example in varying {
        if let Some(rest) = shown.strip_prefix(example.as_str()) {
            let word = printed.find(|c: char| !c.is_alphanumeric() && c != '.').unwrap_or(printed.len());
            if word > 0 && line_matches(rest, &printed[word..], varying) {
                return true;
            }
        }
    }
    let (mut left, mut right) = (shown.chars(), printed.chars());
    match (left.next(), right.next()) {
        (None, None) => true,
        (Some(' '), Some(' ')) => {
            line_matches(left.as_str().trim_start(), right.as_str().trim_start(), varying)
        }
        (a, b) => a.is_some() && a == b && line_matches(left.as_str(), right.as_str(), varying),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shown: &[&str], printed: &[&str], varying: &[&str]) -> bool {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        matches(&own(shown), printed, &own(varying))
    }

    #[test]
    fn lines_match_themselves_alone() {
        assert!(check(&["a", "", "b  c "], &["a", "", "b  c"], &[]));
        assert!(!check(&["a"], &["a", "b"], &[]) && !check(&["a", "b"], &["a"], &[]));
        assert!(!check(&["a"], &["A"], &[]) && !check(&["a"], &["ab"], &[]) && !check(&["ab"], &["a"], &[]));
    }

    #[test]
    fn elisions_stand_for_text_and_for_lines() {
        assert!(check(&["{\"tag\":...,\"n\":1}"], &["{\"tag\":12,\"n\":1}"], &[]));
        assert!(!check(&["{\"tag\":...,\"n\":1}"], &["{\"tag\":12,\"n\":2}"], &[]));
        assert!(check(&["a", "...", "z"], &["a", "b", "c", "z"], &[]));
        assert!(check(&["a", "...", "z"], &["a", "z"], &[]) && !check(&["a", "...", "z"], &["a", "b"], &[]));
    }

    #[test]
    fn examples_stand_for_another_word_and_blanks_for_blanks() {
        assert!(check(&["(integer) 59"], &["(integer) 58"], &["59"]));
        assert!(!check(&["(integer) 59"], &["(integer) 58"], &[]));
        assert!(!check(&["(integer) 59"], &["(integer) "], &["59"]));
        assert!(!check(&["(integer) 59 left"], &["(integer) 58 right"], &["59"]));
        assert!(check(&["up  4813  x"], &["up  1890405  x"], &["4813"]));
        assert!(check(&["up  4813    x"], &["up  1890405  x"], &["4813"]));
    }
}
