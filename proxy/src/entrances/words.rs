//! The first words in a tunnel: which protocol is spoken, and by whom first.

use std::io;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;

use crate::app::App;
use crate::wire::head::{is_websocket, read_head};
use crate::wire::pipe::Pipe;
use crate::wire::protocol::PREFACE;

/// Longest HTTP method that is taken for one, its space included.
const LONGEST_METHOD: usize = 16;

/// What is spoken inside a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// A TLS record that holds a handshake.
    Tls,
    /// An HTTP method and a space: undici asks for a tunnel for `http://`, too.
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
        if program.read_buf(held).await? == 0 {
            return Ok(Spoken::Unknown);
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

/// Whether clear-text HTTP only begins as such: a WebSocket (`ws://`) leaves it behind with its first answer, so it is
/// tunnelled, unless its head carries a placeholder; then it is read, and refused.
pub(crate) async fn switches<L>(app: &App<L>, (io, held): (&mut Pipe, &mut BytesMut)) -> io::Result<Spoken> {
    loop {
        match read_head(held) {
            Ok(Some((length, _))) if is_websocket(&held[..length]) && !app.classifier.is_mentioned(&held[..length]) => {
                return Ok(Spoken::Unknown);
            }
            Ok(Some(_)) | Err(_) => return Ok(Spoken::Http),
            Ok(None) => {}
        }
        if io.read_buf(held).await? == 0 {
            return Ok(Spoken::Unknown);
        }
    }
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
            None if bytes.len() < LONGEST_METHOD => None,
            Some(_) | None => Some(Spoken::Unknown),
        },
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
            (b"SSH-2.0-OpenSSH", Some(Spoken::Unknown)),
            (b"get /", Some(Spoken::Unknown)),
            (b" GET", Some(Spoken::Unknown)),
            (b"AAAAAAAAAAAAAAAAAAAAAAAA", Some(Spoken::Unknown)),
            (b"\x00\x00", Some(Spoken::Unknown)),
        ] {
            assert_eq!(spoken(bytes), expected, "{bytes:?}");
        }
    }
}
