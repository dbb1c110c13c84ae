//! One request head, judged: what a sender may write in two ways for two readers is refused (RFC 9112 §11.2).

use std::str::FromStr;

use http::Uri;
use httparse::{EMPTY_HEADER, Request, Status};

/// Most header lines of a request. AWS SDKs send below 30; S3 metadata adds one line per entry.
pub(crate) const MAX_HEADERS: usize = 100;

/// Longest head in bytes. AWS takes 8 KiB of headers, and session tokens of 4 KiB exist; a query may add as much.
pub(crate) const MAX_HEAD: usize = 32 * 1024;

/// Lines that have ended of a head that has not: the first one, one for each header, and an empty one before it all.
const MAX_LINES: usize = MAX_HEADERS + 2;

/// How long the body after a head is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// There is none.
    None,
    /// So many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not HTTP/1; this includes header lines folded over several (RFC 9112 §5.2) and space before a colon (§5.1).
    #[error("the request head is not HTTP/1.1")]
    Syntax,
    /// No target that a URI could be (RFC 9112 §3.2): the server would refuse it without a word.
    #[error("the target of the request is no URI")]
    Target,
    /// A line that ends without carriage return, which some readers take as an end of line and others do not.
    #[error("a line of the request head ends with a bare line feed")]
    BareLineFeed,
    /// More lines or bytes than anyone needs.
    #[error("the request head is too large: at most {MAX_HEADERS} lines and {MAX_HEAD} bytes")]
    TooLarge,
    /// `Content-Length` beside `Transfer-Encoding`: the classical smuggling pair (RFC 9112 §6.1).
    #[error("the request has both Content-Length and Transfer-Encoding")]
    TwoLengths,
    /// Not a number, or several that differ (RFC 9112 §6.3).
    #[error("Content-Length is not one number")]
    Length,
    /// Anything but one `chunked`, or any of it in HTTP/1.0 (RFC 9112 §6.1).
    #[error("Transfer-Encoding of a request must be exactly chunked, in HTTP/1.1")]
    Encoding,
    /// None in HTTP/1.1, or several (RFC 9112 §3.2).
    #[error("the request must have exactly one Host")]
    Host,
    /// Chunk framing that breaks the grammar (RFC 9112 §7.1).
    #[error("the chunks of the request body are broken")]
    Chunk,
}

impl Malformed {
    /// Every reason.
    pub(crate) const ALL: [Self; 9] = [
        Self::Syntax,
        Self::Target,
        Self::BareLineFeed,
        Self::TooLarge,
        Self::TwoLengths,
        Self::Length,
        Self::Encoding,
        Self::Host,
        Self::Chunk,
    ];
}

/// Reads the head that `bytes` begin with: its length and what body follows, or `None` while it has not ended.
pub(crate) fn read_head(bytes: &[u8]) -> Result<Option<(usize, Body)>, Malformed> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(Status::Partial) if bytes.len() <= MAX_HEAD && lines(bytes) <= MAX_LINES => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Malformed::TooLarge),
        Err(_) => return Err(Malformed::Syntax),
    };
    if has_bare_line_feed(&bytes[..length]) {
        return Err(Malformed::BareLineFeed);
    }
    if request.path.is_none_or(|target| Uri::from_str(target).is_err()) {
        return Err(Malformed::Target);
    }
    Ok(Some((length, body(&request)?)))
}

/// The value of a field of a whole head. Of several, the first: what is asked for here means nothing twice.
pub(crate) fn header(head: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = Request::new(&mut headers);
    request.parse(head).ok()?;
    let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    found.map(|header| header.value.to_vec())
}

fn body(request: &Request<'_, '_>) -> Result<Body, Malformed> {
    let (mut length, mut chunked, mut hosts) = (None, false, 0);
    for header in request.headers.iter() {
        // By length first: this runs for every header of every request.
        match header.name.len() {
            4 if header.name.eq_ignore_ascii_case("host") => hosts += 1,
            14 if header.name.eq_ignore_ascii_case("content-length") => {
                let value = decimal(header.value).ok_or(Malformed::Length)?;
                if length.replace(value).is_some_and(|before| before != value) {
                    return Err(Malformed::Length);
                }
            }
            17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                if chunked || !header.value.eq_ignore_ascii_case(b"chunked") || request.version != Some(1) {
                    return Err(Malformed::Encoding);
                }
                chunked = true;
            }
            _ => {}
        }
    }
    match (length, chunked) {
        (Some(_), true) => Err(Malformed::TwoLengths),
        _ if hosts > 1 || (hosts == 0 && request.version == Some(1)) => Err(Malformed::Host),
        (Some(length), false) => Ok(Body::Length(length)),
        (None, true) => Ok(Body::Chunked),
        (None, false) => Ok(Body::None),
    }
}

/// RFC 9110 §8.6: digits only; Rust's own parser would take `+5`. The highest numbers mean something else to hyper.
fn decimal(value: &[u8]) -> Option<u64> {
    if !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok().filter(|length| *length <= u64::MAX / 2)
}

fn lines(head: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', head).count()
}

fn has_bare_line_feed(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).any(|at| at == 0 || head[at - 1] != b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(lines: &[&str]) -> Result<Option<Body>, Malformed> {
        let head = lines.join("\r\n") + "\r\n\r\n";
        read_head(head.as_bytes()).map(|read| read.map(|(_, body)| body))
    }

    #[test]
    fn ordinary_heads_are_taken() {
        assert_eq!(judged(&["GET / HTTP/1.1", "Host: x"]), Ok(Some(Body::None)));
        assert_eq!(judged(&["GET / HTTP/1.0"]), Ok(Some(Body::None)));
        assert_eq!(judged(&["PUT / HTTP/1.1", "host: x", "content-length: 5"]), Ok(Some(Body::Length(5))));
        assert_eq!(
            judged(&["PUT / HTTP/1.1", "host: x", "Content-Length: 5", "Content-Length: 5"]),
            Ok(Some(Body::Length(5)))
        );
        assert_eq!(judged(&["PUT / HTTP/1.1", "host: x", "Transfer-Encoding: Chunked"]), Ok(Some(Body::Chunked)));
        assert_eq!(read_head(b"GET / HTTP/1.1\r\nHost: x\r\n"), Ok(None));
    }

    #[test]
    fn heads_that_two_readers_could_read_in_two_ways_are_refused() {
        use Malformed::{Encoding, Host, Length, Syntax, TooLarge, TwoLengths};
        let long = format!("X: {}", "a".repeat(MAX_HEAD));
        let many = vec!["A: b"; MAX_HEADERS + 1];
        let cases: &[(&[&str], Malformed)] = &[
            (&["Host: x", "Content-Length: 4", "Transfer-Encoding: chunked"], TwoLengths),
            (&["Host: x", "Transfer-Encoding: chunked", "Content-Length: 4"], TwoLengths),
            (&["Host: x", "Content-Length: 4", "Content-Length: 5"], Length),
            (&["Host: x", "Content-Length: 4, 4"], Length),
            (&["Host: x", "Content-Length: +4"], Length),
            (&["Host: x", "Content-Length: -1"], Length),
            (&["Host: x", "Content-Length: 99999999999999999999"], Length),
            (&["Host: x", "Content-Length: 18446744073709551615"], Length),
            (&["Host: x", "Transfer-Encoding: gzip, chunked"], Encoding),
            (&["Host: x", "Transfer-Encoding: identity"], Encoding),
            (&["Host: x", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], Encoding),
            (&["Host: x", "Transfer-Encoding: xchunked"], Encoding),
            (&["Host: x", "X: a", " folded"], Syntax),
            (&["Host: x", "Content-Length : 4"], Syntax),
            (&["Host: x", "Bad\u{0}Name: 4"], Syntax),
            (&["Host: x", "Host: y"], Host),
            (&["X: y"], Host),
            (&["Host: x", &long], TooLarge),
            (&many, TooLarge),
        ];
        for (lines, why) in cases {
            let lines: Vec<&str> = std::iter::once("POST / HTTP/1.1").chain(lines.iter().copied()).collect();
            assert_eq!(judged(&lines), Err(*why), "{:?}", &lines[..lines.len().min(4)]);
        }
        for target in [":::", "http://[::1/", "http://", "//", "/a|b"] {
            let expected = if target.starts_with('/') { Ok(Some(Body::None)) } else { Err(Malformed::Target) };
            assert_eq!(judged(&[&format!("GET {target} HTTP/1.1"), "Host: x"]), expected, "{target}");
        }
        assert_eq!(judged(&["POST / HTTP/1.0", "Transfer-Encoding: chunked"]), Err(Encoding));
        assert_eq!(read_head(b"GET / HTTP/1.1\nHost: x\n\n"), Err(Malformed::BareLineFeed));
        assert_eq!(read_head(&b"\r\n".repeat(MAX_LINES)), Ok(None));
        assert_eq!(read_head(&b"\r\n".repeat(MAX_LINES + 1)), Err(TooLarge), "each line makes it be read again");
    }
}
