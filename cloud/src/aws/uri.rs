//! Path and query of the canonical request.
//!
//! The rule that decides whether AWS accepts a signature, and that signers get wrong most often:
//!
//! | wire path | S3 family | every other service |
//! |---|---|---|
//! | `/a%20b` | `/a%20b` | `/a%2520b` |
//! | `/a+b` | `/a%2Bb` | `/a%2Bb` |
//! | `/a//b/../c` | `/a//b/../c` | `/a/c` |
//! | `/x%2fy` | `/x/y` | `/x%252fy` |
//!
//! S3 takes the canonical path from the decoded key, in which every slash is one: AWS's SDK for Java v1 writes the key
//! `a//b` as `/a/%2Fb` on the wire, and signs `/a//b`.

use std::ops::Range;

use percent_encoding::percent_decode_str;

/// The rule by which a service canonicalises its paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathRule {
    /// Decode once, encode once, nothing normalised: a key may hold `//` and `..`.
    Object,
    /// Normalise (RFC 3986 §5.2.4, and `//` to `/`), then encode the path as it stands on the wire.
    Normal,
}

impl PathRule {
    /// The rule of a service, by its signing name.
    pub(super) fn of(service: &str) -> Self {
        match service {
            "s3" | "s3-object-lambda" | "s3-outposts" | "s3express" => Self::Object,
            _ => Self::Normal,
        }
    }
}

/// Whose reading of the wire the canonical form follows. They differ only for paths and queries that no AWS SDK
/// sends: raw reserved bytes, needless escapes, `+`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// The server's: what the bytes mean, encoded the one way that the specification allows.
    Meaning,
    /// The wire's: botocore, and every SDK that builds its URL in canonical form, signs the bytes as it sends them.
    Verbatim,
}

/// Whether the wire spelled it as the canonical form does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// It did.
    Canonical,
    /// It means the same and is spelled otherwise.
    Other,
}

/// A `%` that is not followed by two hex digits: what it means depends on who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the URL has a `%` that is not followed by two hex digits; write a literal percent sign as %25")]
pub struct MalformedEscape;

/// Appends the canonical form of `wire` to `out`. The returned spelling is `Other` only under [`PathRule::Object`]:
/// there the canonical path may stand on the wire in the original's place.
pub(super) fn path(
    wire: &str,
    rule: PathRule,
    reading: Reading,
    out: &mut Vec<u8>,
) -> Result<Spelling, MalformedEscape> {
    let wire = if wire.is_empty() { "/" } else { wire };
    match (rule, reading) {
        (PathRule::Object, Reading::Meaning) => return recode(wire, Place::Path, out),
        (PathRule::Object, Reading::Verbatim) => out.extend_from_slice(wire.as_bytes()),
        (PathRule::Normal, Reading::Meaning) => normalise(wire, out),
        (PathRule::Normal, Reading::Verbatim) => encode_path(wire, out),
    }
    Ok(Spelling::Canonical)
}

/// What a wire path means to the service: S3 decodes keys once and keeps `//` and `..`; others may normalise, decode or
/// not, so where that makes a difference the path is doubtful.
pub(super) fn spelling(wire: &str, rule: PathRule) -> access::Spelling {
    use access::Spelling;
    let escaped = wire.contains('%');
    let decoded = percent_decode_str(wire).decode_utf8();
    let Ok(decoded) = decoded.as_deref() else { return Spelling::Doubtful };
    let whole = !escaped || recode(wire, Place::Path, &mut Vec::new()).is_ok();
    let one_reading = match rule {
        PathRule::Object => wire.starts_with('/'),
        PathRule::Normal => {
            wire.starts_with('/')
                && !wire.contains("//")
                && !decoded.split(['/', '\\']).any(|segment| matches!(segment, "." | ".."))
                && decoded.matches(['/', '\\', '%']).count() == wire.matches('/').count()
                && !decoded.contains(char::is_control)
        }
    };
    match (whole && one_reading, escaped) {
        (false, _) => Spelling::Doubtful,
        (true, true) => Spelling::Escaped,
        (true, false) => Spelling::Plain,
    }
}

/// Appends the canonical form of the query `wire` (without its `?`) to `out`: names and values encoded, sorted by
/// encoded name and then value, every name followed by `=`.
pub(super) fn query(wire: &str, reading: Reading, out: &mut Vec<u8>) -> Result<Spelling, MalformedEscape> {
    let mut spelling = Spelling::Canonical;
    if wire.is_empty() {
        return Ok(spelling);
    }
    let mut text = Vec::with_capacity(wire.len() + 16);
    let mut pairs: Vec<(Range<usize>, Range<usize>)> = Vec::new();
    for pair in wire.split('&') {
        // An empty pair means nothing, yet botocore signs it: it is left out of the canonical form and off the wire.
        if pair.is_empty() && reading == Reading::Meaning {
            spelling = Spelling::Other;
            continue;
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let start = text.len();
        spelling = spelling.and(spell(name, reading, &mut text)?);
        let middle = text.len();
        spelling = spelling.and(spell(value, reading, &mut text)?);
        pairs.push((start..middle, middle..text.len()));
    }
    pairs.sort_by(|a, b| (&text[a.0.clone()], &text[a.1.clone()]).cmp(&(&text[b.0.clone()], &text[b.1.clone()])));
    for (i, (name, value)) in pairs.into_iter().enumerate() {
        if i > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(&text[name]);
        out.push(b'=');
        out.extend_from_slice(&text[value]);
    }
    Ok(spelling)
}

/// The query `wire` in canonical spelling and in its own order, `=` only where it stood: what to send in its place.
/// Sorting the wire would change what repeated names mean to a server that keeps their order.
pub(super) fn respell_query(wire: &str) -> Result<Vec<u8>, MalformedEscape> {
    let mut out = Vec::with_capacity(wire.len() + 16);
    for pair in wire.split('&').filter(|pair| !pair.is_empty()) {
        if !out.is_empty() {
            out.push(b'&');
        }
        let (name, value) = pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value)));
        recode(name, Place::Query, &mut out)?;
        if let Some(value) = value {
            out.push(b'=');
            recode(value, Place::Query, &mut out)?;
        }
    }
    Ok(out)
}

/// Appends `text`, which is not escaped yet, as a name or value of a canonical query.
pub(super) fn encode_all(text: &str, out: &mut Vec<u8>) {
    text.bytes().for_each(|byte| encode(byte, out));
}

impl Spelling {
    const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Canonical, Self::Canonical) => Self::Canonical,
            (Self::Other, _) | (_, Self::Other) => Self::Other,
        }
    }
}

/// Where a text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A `+` is itself (RFC 3986), and a slash is never encoded.
    Path,
    /// AWS's front ends read a form (`application/x-www-form-urlencoded`), where a raw `+` is a space; so do AWS's own
    /// Rust signer, moto and radosgw.
    Query,
}

impl Place {
    /// Whether a byte stands for itself here, and is never encoded.
    const fn keeps(self, byte: u8) -> bool {
        is_unreserved(byte) || matches!((self, byte), (Self::Path, b'/'))
    }
}

fn spell(text: &str, reading: Reading, out: &mut Vec<u8>) -> Result<Spelling, MalformedEscape> {
    match reading {
        Reading::Meaning => recode(text, Place::Query, out),
        Reading::Verbatim => {
            out.extend_from_slice(text.as_bytes());
            Ok(Spelling::Canonical)
        }
    }
}

/// Decodes `text` once and encodes it once.
fn recode(text: &str, place: Place, out: &mut Vec<u8>) -> Result<Spelling, MalformedEscape> {
    let start = out.len();
    let plain = text.bytes().take_while(|b| place.keeps(*b)).count();
    out.extend_from_slice(&text.as_bytes()[..plain]);
    let mut bytes = text.as_bytes()[plain..].iter().copied();
    while let Some(byte) = bytes.next() {
        let meant = match byte {
            b'%' => {
                let (Some(high), Some(low)) = (bytes.next().and_then(nibble), bytes.next().and_then(nibble)) else {
                    return Err(MalformedEscape);
                };
                high << 4 | low
            }
            b'+' if place == Place::Query => b' ',
            byte => byte,
        };
        if place.keeps(meant) {
            out.push(meant);
        } else {
            encode(meant, out);
        }
    }
    Ok(if out[start..] == *text.as_bytes() { Spelling::Canonical } else { Spelling::Other })
}

fn normalise(wire: &str, out: &mut Vec<u8>) {
    let mut kept: Vec<&str> = Vec::new();
    for segment in wire.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    for segment in &kept {
        out.push(b'/');
        encode_path(segment, out);
    }
    if kept.is_empty() || wire.ends_with('/') {
        out.push(b'/');
    }
}

fn encode_path(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        if byte == b'/' {
            out.push(b'/');
        } else {
            encode(byte, out);
        }
    }
}

/// RFC 3986 §2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Encodes every byte but the unreserved ones, in upper-case hex.
fn encode(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if is_unreserved(byte) {
        out.push(byte);
    } else {
        out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical_path(wire: &str, service: &str) -> String {
        let mut out = Vec::new();
        path(wire, PathRule::of(service), Reading::Meaning, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn canonical_query(wire: &str) -> String {
        let mut out = Vec::new();
        query(wire, Reading::Meaning, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// The rows that the stock settings of signers get wrong, each with the one form that AWS accepts.
    #[test]
    fn object_paths_are_decoded_once_and_encoded_once() {
        let rows = [
            ("/plain.txt", "/plain.txt"),
            ("/a%20b.txt", "/a%20b.txt"),
            ("/a%2Bb.txt", "/a%2Bb.txt"),
            ("/dt%3D2024/part", "/dt%3D2024/part"),
            ("/%E6%97%A5", "/%E6%97%A5"),
            ("/a%2Fb", "/a/b"),
            ("/a/%2Fb", "/a//b"),
            ("/%2fa", "//a"),
            ("/a//b", "/a//b"),
            ("/a/../b", "/a/../b"),
            ("/a/./b", "/a/./b"),
            ("/a+b.txt", "/a%2Bb.txt"),
            ("/user@x", "/user%40x"),
            ("/it's(1)", "/it%27s%281%29"),
            ("/dt=2024-01-01/part-0%3D1", "/dt%3D2024-01-01/part-0%3D1"),
            ("/%7Eme/%61", "/~me/a"),
            ("/%e6%97%a5", "/%E6%97%A5"),
            ("/日", "/%E6%97%A5"),
            ("", "/"),
            ("/", "/"),
            ("//", "//"),
        ];
        for (wire, expected) in rows {
            for service in ["s3", "s3-object-lambda", "s3-outposts", "s3express"] {
                assert_eq!(canonical_path(wire, service), expected, "{wire} at {service}");
            }
        }
    }

    #[test]
    fn other_paths_are_normalised_and_encoded_as_they_stand() {
        let rows = [
            ("/a%20b", "/a%2520b"),
            ("/a+b", "/a%2Bb"),
            ("/x@y", "/x%40y"),
            ("/a//b", "/a/b"),
            ("/a/./b/../c/", "/a/c/"),
            ("/../..", "/"),
            ("/model/arn%3Aaws%3Abedrock%2Fm/invoke", "/model/arn%253Aaws%253Abedrock%252Fm/invoke"),
            ("/100%", "/100%25"),
            ("", "/"),
        ];
        for (wire, expected) in rows {
            assert_eq!(canonical_path(wire, "bedrock"), expected, "{wire}");
        }
    }

    #[test]
    fn a_path_that_readers_take_differently_is_doubtful() {
        use access::Spelling::{Doubtful, Escaped, Plain};
        for (wire, object, other) in [
            ("/a/b", Plain, Plain),
            ("/", Plain, Plain),
            ("/a%20b", Escaped, Escaped),
            ("/%61dmin", Escaped, Escaped),
            ("/a//b", Plain, Doubtful),
            ("/a/../b", Plain, Doubtful),
            ("/a/%2e%2E/b", Escaped, Doubtful),
            ("/a%2Fb", Escaped, Doubtful),
            ("/a%5c..%5cb", Escaped, Doubtful),
            ("/a\\b", Plain, Doubtful),
            ("/a%252fb", Escaped, Doubtful),
            ("/a%0ab", Escaped, Doubtful),
            ("/a%zz", Doubtful, Doubtful),
            ("/a%", Doubtful, Doubtful),
            ("/%FF", Doubtful, Doubtful),
            ("*", Doubtful, Doubtful),
            ("", Doubtful, Doubtful),
        ] {
            assert_eq!(spelling(wire, PathRule::of("s3")), object, "{wire} at S3");
            assert_eq!(spelling(wire, PathRule::of("execute-api")), other, "{wire} elsewhere");
        }
    }

    #[test]
    fn queries_are_sorted_by_encoded_name_then_value() {
        assert_eq!(canonical_query("Param1=value2&Param1=Value1"), "Param1=Value1&Param1=value2");
        assert_eq!(canonical_query("Param-3=3&Param=2&%E1%88%B4=1"), "%E1%88%B4=1&Param=2&Param-3=3");
        assert_eq!(canonical_query("uploads"), "uploads=");
        assert_eq!(canonical_query("b&a=1&&"), "a=1&b=");
        assert_eq!(canonical_query("k=a=b"), "k=a%3Db");
        assert_eq!(canonical_query(""), "");
    }

    #[test]
    fn a_raw_plus_in_a_query_is_the_space_that_servers_read() {
        assert_eq!(canonical_query("prefix=a+b"), "prefix=a%20b");
        assert_eq!(canonical_query("prefix=a%2Bb"), "prefix=a%2Bb");
        assert_eq!(respell_query("z&&prefix=a+b&a=").unwrap(), b"z&prefix=a%20b&a=");
    }

    #[test]
    fn an_escape_that_readers_take_differently_is_refused() {
        for wire in ["/a%", "/a%2", "/a%zz", "/%+1", "/%2%46"] {
            assert_eq!(path(wire, PathRule::Object, Reading::Meaning, &mut Vec::new()), Err(MalformedEscape), "{wire}");
            assert_eq!(query(wire, Reading::Meaning, &mut Vec::new()), Err(MalformedEscape), "{wire}");
        }
    }

    proptest! {
        #[test]
        fn canonical_spelling_is_a_fixed_point(wire in "(/[a-z%+@=.é ~-]{0,6}){0,4}") {
            let mut once = Vec::new();
            if path(&wire, PathRule::Object, Reading::Meaning, &mut once).is_ok() {
                let mut twice = Vec::new();
                let spelling = path(std::str::from_utf8(&once).unwrap(), PathRule::Object, Reading::Meaning, &mut twice);
                prop_assert_eq!(spelling, Ok(Spelling::Canonical));
                prop_assert_eq!(once, twice);
            }
        }

        #[test]
        fn a_respelled_query_has_the_same_canonical_form_and_needs_no_other(wire in "[a-c%+@=&é]{0,12}") {
            if let Ok(respelled) = respell_query(&wire) {
                let (mut before, mut after) = (Vec::new(), Vec::new());
                query(&wire, Reading::Meaning, &mut before).unwrap();
                let spelling = query(std::str::from_utf8(&respelled).unwrap(), Reading::Meaning, &mut after);
                prop_assert_eq!(spelling, Ok(Spelling::Canonical));
                prop_assert_eq!(before, after);
            }
        }
    }
}
