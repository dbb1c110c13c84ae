//! The canonical request: what both sides hash, built in one buffer.

use std::ops::Range;

use http::request::Parts;

use super::digest::HexDigest;
use super::mismatch::CanonicalRequest;
use super::uri::{self, MalformedEscape, PathRule, Reading, Spelling};

/// Method and URL, as on the wire, and how to read them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// `GET`
    pub(super) method: &'a str,
    /// `/a%20b`
    pub(super) path: &'a str,
    /// Without the `?`; empty if there is none.
    pub(super) query: &'a str,
    /// How the service canonicalises paths.
    pub(super) rule: PathRule,
    pub(super) path_reading: Reading,
    pub(super) query_reading: Reading,
}

impl<'a> Line<'a> {
    /// The line of a request to `service`, read for what it means.
    pub(super) fn new(parts: &'a Parts, service: &str) -> Self {
        Self {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            rule: PathRule::of(service),
            path_reading: Reading::Meaning,
            query_reading: Reading::Meaning,
        }
    }
}

/// A canonical request that lacks only its last line, the payload.
pub(super) struct Canonical {
    text: Vec<u8>,
    path: Range<usize>,
    query: Range<usize>,
    signed_headers: Range<usize>,
    path_spelling: Spelling,
    query_spelling: Spelling,
}

/// Headers to sign: lower-case name and value, one pair per header line.
pub(super) type Headers<'a> = Vec<(&'a str, &'a [u8])>;

impl Canonical {
    /// Writes the canonical request. Values of one name are joined in the order given.
    pub(super) fn new(line: Line<'_>, mut headers: Headers<'_>) -> Result<Self, MalformedEscape> {
        headers.sort_by_key(|(name, _)| *name);
        let values: usize = headers.iter().map(|(name, value)| 2 * name.len() + value.len() + 3).sum();
        let capacity = line.method.len() + 3 * (line.path.len() + line.query.len()) + values + HexDigest::LENGTH + 8;
        let mut text = Vec::with_capacity(capacity);

        text.extend_from_slice(line.method.as_bytes());
        text.push(b'\n');
        let start = text.len();
        let path_spelling = uri::path(line.path, line.rule, line.path_reading, &mut text)?;
        let path = start..text.len();
        text.push(b'\n');
        let start = text.len();
        let query_spelling = uri::query(line.query, line.query_reading, &mut text)?;
        let query = start..text.len();
        text.push(b'\n');
        write_headers(&headers, &mut text);
        let start = text.len();
        write_names(&headers, &mut text);
        let signed_headers = start..text.len();
        text.push(b'\n');
        Ok(Self { text, path, query, signed_headers, path_spelling, query_spelling })
    }

    /// `host;x-amz-date`
    pub(super) fn signed_headers(&self) -> &str {
        std::str::from_utf8(&self.text[self.signed_headers.clone()]).expect("header names are ASCII")
    }

    /// The canonical path, and whether the wire spells it so.
    pub(super) fn path(&self) -> (&[u8], Spelling) {
        (&self.text[self.path.clone()], self.path_spelling)
    }

    /// The canonical query, and whether the wire spells names and values so (their order aside).
    pub(super) fn query(&self) -> (&[u8], Spelling) {
        (&self.text[self.query.clone()], self.query_spelling)
    }

    /// Hashes the whole, with this payload line.
    pub(super) fn hash(&self, payload: &str) -> HexDigest {
        HexDigest::of_parts([&self.text, payload.as_bytes()])
    }

    /// The same, and the text itself.
    pub(super) fn finish(mut self, payload: &str) -> (HexDigest, CanonicalRequest) {
        self.text.extend_from_slice(payload.as_bytes());
        (HexDigest::of(&self.text), CanonicalRequest::new(self.text))
    }
}

fn write_headers(sorted: &Headers<'_>, text: &mut Vec<u8>) {
    for same in sorted.chunk_by(|a, b| a.0 == b.0) {
        for (i, (name, value)) in same.iter().enumerate() {
            if i == 0 {
                text.extend_from_slice(name.as_bytes());
                text.push(b':');
            } else {
                text.push(b',');
            }
            write_trimmed(value, text);
        }
        text.push(b'\n');
    }
    text.push(b'\n');
}

fn write_names(sorted: &Headers<'_>, text: &mut Vec<u8>) {
    for (i, same) in sorted.chunk_by(|a, b| a.0 == b.0).enumerate() {
        if i > 0 {
            text.push(b';');
        }
        text.extend_from_slice(same[0].0.as_bytes());
    }
}

/// White space at the ends goes, inside it becomes one space, also in quotes (as the published vectors have it).
fn write_trimmed(value: &[u8], text: &mut Vec<u8>) {
    let value = value.trim_ascii();
    // Long values (tokens, hashes) have none, and a search for one byte is the cheapest there is.
    if !value.contains(&b' ') && !value.contains(&b'\t') {
        text.extend_from_slice(value);
        return;
    }
    let words = value.split(|b| matches!(b, b' ' | b'\t')).filter(|word| !word.is_empty());
    for (i, word) in words.enumerate() {
        if i > 0 {
            text.push(b' ');
        }
        text.extend_from_slice(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(headers: Headers<'_>) -> String {
        let (parts, ()) = http::Request::get("/?b&a").body(()).unwrap().into_parts();
        String::from_utf8(Canonical::new(Line::new(&parts, "sts"), headers).unwrap().text).unwrap()
    }

    #[test]
    fn headers_are_sorted_joined_trimmed_and_collapsed() {
        let headers: Headers<'_> = vec![
            ("x-b", b" two "),
            ("host", b"h"),
            ("x-b", b"\"a   b\t c\""),
            ("x-b", b""),
            ("x-a-b", b"1\t2"),
            ("x-a", b"3"),
        ];
        let expected = "GET\n/\na=&b=\nhost:h\nx-a:3\nx-a-b:1 2\nx-b:two,\"a b c\",\n\nhost;x-a;x-a-b;x-b\n";
        assert_eq!(text(headers), expected);
    }
}
