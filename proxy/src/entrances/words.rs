//! The first words in a tunnel: which protocol is spoken, and by whom first.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::wire::head::{MAX_HEAD, read_head};
use crate::wire::pipe::Pipe;
use crate::wire::protocol::PREFACE;

/// Longest method of capitals that is taken for one as soon as it is there, its space included.
const LONGEST_METHOD: usize = 16;

/// Longest line that is waited for to its end. Who says so much in text and no end of a line is taken at the first word, and
/// refused.
const LONGEST_LINE: usize = 8 * 1024;

/// How long a line stands still that is none of HTTP's: other protocols begin with words without an end (JDWP, ZooKeeper's
/// `ruok`), and wait for an answer.
const PAUSE: Duration = Duration::from_secs(1);

/// What is spoken inside a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// A TLS record that holds a handshake.
    Tls,
    /// A line that asks for something by HTTP: undici asks for a tunnel for `http://`, too.
    Http,
    /// The preface of HTTP/2, as gRPC without TLS begins.
    Http2,
    /// Anything else.
    Unknown,
}

/// Reads until it is clear what is spoken. Cancelling loses nothing: what was read is in `held`.
pub(crate) async fn first_words(program: &mut Pipe, held: &mut BytesMut) -> io::Result<Spoken> {
    loop {
        if let Some(spoken) = spoken(held) {
            return Ok(spoken);
        }
        let may_stand = is_capitals(held);
        let more = program.read_buf(held);
        let read = if may_stand { more.await } else { timeout(PAUSE, more).await.unwrap_or(Ok(0)) };
        if read? == 0 {
            return Ok(Spoken::Unknown);
        }
    }
}

/// Reads on to the end of a head that has begun; false if it does not get there.
pub(crate) async fn whole_head(program: &mut Pipe, held: &mut BytesMut) -> bool {
    let mut read = 0;
    loop {
        let has_line = memchr::memchr(b'\n', &held[read..]).is_some();
        if (has_line || held.len() > MAX_HEAD) && !matches!(read_head(held), Ok(None)) {
            return true;
        }
        read = held.len();
        if !matches!(program.read_buf(held).await, Ok(1..)) {
            return false;
        }
    }
}

/// Ready when the destination says what no web server says unasked. One that speaks HTTP/2 does not wait for the program
/// with its settings (RFC 9113 §3.4). Cancelling loses nothing.
pub(crate) async fn speaks_first(destination: &mut Pipe, said: &mut BytesMut) -> io::Result<()> {
    /// The head of a frame (RFC 9113 §4.1): type SETTINGS, no flags, stream 0.
    const SETTINGS: [u8; 6] = [4, 0, 0, 0, 0, 0];
    if said.is_empty() {
        destination.read_buf(said).await?;
    }
    if said.get(3..9) == Some(&SETTINGS) {
        return std::future::pending().await;
    }
    Ok(())
}

fn begins_http2(bytes: &[u8]) -> Option<bool> {
    let shown = bytes.len().min(PREFACE.len());
    (bytes.starts_with(b"PRI ") && bytes[..shown] == PREFACE[..shown]).then_some(shown == PREFACE.len())
}

fn spoken(bytes: &[u8]) -> Option<Spoken> {
    /// `handshake(22)` of TLS 1.x (RFC 8446 §5.1), which no HTTP method begins with.
    const HANDSHAKE: u8 = 22;
    // Servers read over empty lines before a request (RFC 9112 §2.2), so they must not hide one from us.
    let empty = bytes.iter().take(LONGEST_METHOD).take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let bytes = &bytes[empty..];
    if let Some(whole) = begins_http2(bytes) {
        return whole.then_some(Spoken::Http2);
    }
    match bytes.first() {
        None if empty == LONGEST_METHOD => Some(Spoken::Unknown),
        None => None,
        Some(&HANDSHAKE) => Some(Spoken::Tls),
        Some(_) => match bytes.iter().position(|b| !b.is_ascii_uppercase()) {
            Some(end @ 1..) if bytes[end] == b' ' && end < LONGEST_METHOD => Some(Spoken::Http),
            Some(_) | None => by_line(bytes),
        },
    }
}

/// Whether it is nothing yet, or what most methods begin with.
fn is_capitals(bytes: &[u8]) -> bool {
    bytes.len() < LONGEST_METHOD && bytes.iter().all(|b| b.is_ascii_uppercase() || matches!(b, b'\r' | b'\n'))
}

/// Methods may be any token (RFC 9110 §9.1): of `M-SEARCH` or `get`, which may begin something else as well, the whole line
/// tells. Who does not begin with printable text speaks no HTTP.
fn by_line(bytes: &[u8]) -> Option<Spoken> {
    let end = bytes.iter().position(|b| !matches!(b, b' '..=b'~' | b'\t'));
    let line = &bytes[..end.unwrap_or(bytes.len())];
    match end.map(|end| bytes[end]) {
        Some(b'\r' | b'\n') if line.windows(5).any(|shown| shown.eq_ignore_ascii_case(b"HTTP/")) => Some(Spoken::Http),
        Some(_) => Some(Spoken::Unknown),
        None if line.len() > LONGEST_LINE => Some(Spoken::Http),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_words_tell_what_is_spoken() {
        for (bytes, expected) in [
            (&b""[..], None),
            (b"\x16\x03\x01", Some(Spoken::Tls)),
            (b"G", None),
            (b"GET", None),
            (b"GET ", Some(Spoken::Http)),
            (b"\r\n", None),
            (b"\r\n\nGET /", Some(Spoken::Http)),
            (&[b'\n'; 40], Some(Spoken::Unknown)),
            (b"PROPFIND /", Some(Spoken::Http)),
            (b"PRI ", None),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", None),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0", Some(Spoken::Http2)),
            (b"PRI * HTTP/1.1\r\n", Some(Spoken::Http)),
            (b"SSH-2.0-OpenSSH", None),
            (b"SSH-2.0-OpenSSH\r\n", Some(Spoken::Unknown)),
            (b"get /", None),
            (b"get / HTTP/1.1\r\n", Some(Spoken::Http)),
            (b"M-SEARCH * HTTP/1.1\r\n", Some(Spoken::Http)),
            (b"get key\r\n", Some(Spoken::Unknown)),
            (b" GET / http/1.1\n", Some(Spoken::Http)),
            (b"AAAAAAAAAAAAAAAAAAAAAAAA", None),
            (b"AAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r", Some(Spoken::Http)),
            (&[b'A'; LONGEST_LINE + 1], Some(Spoken::Http)),
            (b"*1\r\n$4\r\nPING\r\n", Some(Spoken::Unknown)),
            (b"get \xff HTTP/1.1\r\n", Some(Spoken::Unknown)),
            (b"\x00\x00", Some(Spoken::Unknown)),
        ] {
            assert_eq!(spoken(bytes), expected, "{bytes:?}");
        }
    }
}
