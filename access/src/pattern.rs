//! Patterns as operators write them: `s3:Get*`, `arn:aws:s3:::acme-receipts/*`, `/agents/*`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest pattern. AWS bounds an ARN at 2048 characters; nothing that a pattern is held against is longer.
const MAX_PATTERN: usize = 2048;

/// Not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing was written.
    #[error("a pattern must not be empty; `*` means everything")]
    Empty,
    /// Too long to be meant.
    #[error("a pattern has at most {MAX_PATTERN} characters")]
    TooLong,
    /// A control character or a space at an end.
    #[error("a pattern has no control characters and no spaces at its ends")]
    Character,
}

/// A text in which `*` stands for any run of characters, also none, and `?` for exactly one: the wildcards of IAM
/// policies, so that the same text means the same to us and to the cloud.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Box<str>);

impl Pattern {
    /// Takes a pattern as written.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > MAX_PATTERN {
            return Err(PatternError::TooLong);
        }
        if text.trim() != text || text.chars().any(char::is_control) {
            return Err(PatternError::Character);
        }
        Ok(Self(text.into()))
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `*`, which needs no text to match.
    pub fn is_everything(&self) -> bool {
        self.0.bytes().all(|b| b == b'*')
    }

    /// Whether it has no wildcard, and so fits its own text alone.
    pub fn is_literal(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// Whether the whole of `text` fits, letter case included.
    pub fn matches(&self, text: &str) -> bool {
        wildcard(self.0.as_bytes(), text.as_bytes(), |p, t| p == t)
    }

    /// Whether everything fits that `text` stands for, which may hold wildcards itself. Never a yes too many; a no too
    /// many where it takes more than looking at the text of both: `?*` and `*a`.
    pub fn covers(&self, text: &str) -> bool {
        // A `?` of ours takes one character, and the `*` of theirs is none.
        let takes = |text: &[u8]| text[0] != b'*';
        matching(self.0.as_bytes(), text.as_bytes(), (|p, t| p == t, takes))
    }

    /// Whether anything fits that `text` stands for, which may hold wildcards itself.
    pub fn overlaps(&self, text: &str) -> bool {
        if !text.contains(['*', '?']) {
            return self.matches(text);
        }
        overlap(&self.0.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>())
    }

    /// Whether the whole of `text` fits, ASCII letter case aside: IAM compares action names so.
    pub fn matches_ignoring_case(&self, text: &str) -> bool {
        wildcard(self.0.as_bytes(), text.as_bytes(), |p, t| p.eq_ignore_ascii_case(&t))
    }
}

fn wildcard(pattern: &[u8], text: &[u8], same: impl Fn(u8, u8) -> bool) -> bool {
    matching(pattern, text, (same, |_: &[u8]| true))
}

/// Greedy matching that returns to the last star only: at most |pattern| × |text| steps, whatever the pattern.
/// `?` takes one whole character, so it never splits one that is several bytes long.
fn matching(pattern: &[u8], text: &[u8], (same, takes): (impl Fn(u8, u8) -> bool, impl Fn(&[u8]) -> bool)) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') if takes(&text[t..]) => {
                p += 1;
                t += character_length(&text[t..]);
            }
            Some(&byte) if same(byte, text[t]) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                let from = from + character_length(&text[from..]);
                star = Some((at, from));
                (p, t) = (at + 1, from);
            }
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

/// Whether two patterns have a text in common. `reached[j]`: what is left of `one` may meet what is left of `other` from
/// its `j`-th character on; a row for each character of `one`, from its end.
fn overlap(one: &[char], other: &[char]) -> bool {
    let stars_from = |from: usize| other[from..].iter().all(|&c| c == '*');
    let mut reached: Vec<bool> = (0..=other.len()).map(stars_from).collect();
    for &mine in one.iter().rev() {
        let mut row = vec![false; other.len() + 1];
        row[other.len()] = mine == '*' && reached[other.len()];
        for (j, &theirs) in other.iter().enumerate().rev() {
            row[j] = match (mine, theirs) {
                ('*', _) | (_, '*') => reached[j] || row[j + 1],
                ('?', _) | (_, '?') => reached[j + 1],
                _ => mine == theirs && reached[j + 1],
            };
        }
        reached = row;
    }
    reached[0]
}

fn character_length(text: &[u8]) -> usize {
    1 + text[1..].iter().take_while(|&&b| b & 0xC0 == 0x80).count()
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::new(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.0.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text).expect("a pattern")
    }

    #[test]
    fn star_matches_any_run_and_question_mark_one_character() {
        assert!(pattern("s3:Get*").matches("s3:GetObject"));
        assert!(!pattern("s3:Get*").matches("s3:PutObject"));
        assert!(pattern("a*b*c").matches("a--b-b--c"));
        assert!(!pattern("a*b*c").matches("a--b-b--"));
        assert!(pattern("?").matches("é") && !pattern("?").matches("ée"));
        assert!(pattern("S3:getobject").matches_ignoring_case("s3:GetObject"));
    }

    #[test]
    fn a_pattern_made_to_backtrack_ends() {
        assert!(!pattern(&format!("{}b", "a*".repeat(1000))).matches(&"a".repeat(20_000)));
    }

    /// The same question answered the slow and obvious way.
    fn reference(pattern: &[char], text: &[char]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some('*'), _) => reference(&pattern[1..], text) || (!text.is_empty() && reference(pattern, &text[1..])),
            (Some('?'), Some(_)) => reference(&pattern[1..], &text[1..]),
            (Some(p), Some(t)) if p == t => reference(&pattern[1..], &text[1..]),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn what_a_pattern_covers_it_matches_whatever_the_wildcards_stand_for(
            p in "[ab*?]{1,6}", t in "[ab*?]{1,6}", some in "[abc]{0,3}", one in "[abc]",
        ) {
            if pattern(&p).covers(&t) {
                let text = t.replace('*', &some).replace('?', &one);
                prop_assert!(pattern(&p).matches(&text), "{text}");
                prop_assert!(pattern(&p).overlaps(&t));
            }
        }

        #[test]
        fn patterns_overlap_where_one_text_fits_both(p in "[ab*?]{1,5}", t in "[ab*?]{1,5}", text in "[ab]{0,5}") {
            prop_assert_eq!(pattern(&p).overlaps(&t), pattern(&t).overlaps(&p));
            if pattern(&p).matches(&text) && pattern(&t).matches(&text) {
                prop_assert!(pattern(&p).overlaps(&t), "{}", text);
            }
        }

        #[test]
        fn patterns_that_overlap_have_a_text_in_common(p in "[ab*?]{1,3}", t in "[ab*?]{1,3}") {
            // With three characters on each side, the shortest common text has at most six.
            let mut texts = vec![String::new()];
            for length in 0..6 {
                let longer: Vec<_> = texts.iter().filter(|t| t.len() == length).flat_map(|t| [format!("{t}a"), format!("{t}b")]).collect();
                texts.extend(longer);
            }
            let common = texts.iter().any(|text| pattern(&p).matches(text) && pattern(&t).matches(text));
            prop_assert_eq!(pattern(&p).overlaps(&t), common);
        }

        #[test]
        fn wildcards_agree_with_the_obvious_definition(p in "[ab*?é]{1,8}", t in "[abé]{0,8}") {
            let chars = |s: &str| s.chars().collect::<Vec<_>>();
            prop_assert_eq!(pattern(&p).matches(&t), reference(&chars(&p), &chars(&t)));
        }
    }
}
