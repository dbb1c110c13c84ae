//! Watches what programs receive: no byte of a real credential may be among it, however it is written.

use std::io::Result;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::sigv4::encode;

/// What every secret, every session token and every bearer token begins with that a cloud of this stage gives away.
pub(crate) const REAL: &str = "real+";

/// What comes after the mark, in each of them: the mark alone might stand in a program's own data by chance.
const KINDS: [&str; 3] = ["secret/", "session/token//", "docker/token"];

/// A connection to the product, watched.
pub(crate) struct Watched<I> {
    io: I,
    marks: Vec<Vec<u8>>,
    /// The end of what was read, in which a mark may have begun.
    tail: Vec<u8>,
}

impl<I> Watched<I> {
    pub(crate) fn new(io: I) -> Self {
        Self { io, marks: marks(), tail: Vec::new() }
    }

    fn see(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        for mark in &self.marks {
            assert!(!holds(&self.tail, mark), "a program has received {:?}", String::from_utf8_lossy(mark));
        }
        let longest = self.marks.iter().map(Vec::len).max().unwrap_or_default();
        self.tail.drain(..self.tail.len().saturating_sub(longest));
    }
}

/// Looks at what a program has unpacked.
pub(crate) fn watch(received: &[u8]) {
    Watched::new(()).see(received);
}

/// The marks in every spelling: as it is, percent-encoded, escaped in JSON and XML, and in base64 at each of the three
/// places at which it may begin there.
fn marks() -> Vec<Vec<u8>> {
    let mut marks = Vec::new();
    for kind in KINDS {
        let mark = format!("{REAL}{kind}");
        let percent = encode(mark.as_bytes(), b"");
        marks.extend([percent.to_lowercase(), percent, mark.replace('/', "\\/"), mark.replace('/', "\\u002f")]);
        marks.extend([mark.replace('+', "&#43;"), mark.replace('+', "&#x2b;"), mark.replace('/', "&#47;")]);
        for before in 0..3 {
            let text = STANDARD_NO_PAD.encode([&vec![0; before], mark.as_bytes()].concat());
            // The first characters depend on what comes before, the last on what comes after.
            let inner = &text[if before == 0 { 0 } else { before + 1 }..text.len() - 1];
            marks.extend([inner.to_owned(), inner.replace('+', "-").replace('/', "_")]);
        }
        marks.push(mark);
    }
    marks.sort();
    marks.dedup();
    marks.into_iter().map(String::into_bytes).collect()
}

/// Looks at the first byte first: bodies have megabytes, and marks are many.
fn holds(bytes: &[u8], mark: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == mark[0]) {
        rest = &rest[at..];
        if rest.starts_with(mark) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.see(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[test]
fn watch_sees_a_credential_in_every_spelling_and_across_reads() {
    let token = format!("{REAL}session/token//0123456789");
    let base64 = |before: &str| STANDARD_NO_PAD.encode(format!("{before}{token}, and more"));
    let spellings = [
        token.clone(),
        encode(token.as_bytes(), b""),
        token.replace('/', "\\/"),
        base64(""),
        base64("a"),
        base64("ab"),
        base64("abc"),
    ];
    for spelling in spellings {
        let seen = std::panic::catch_unwind(|| {
            let mut watched = Watched::new(());
            let (first, second) = spelling.split_at(8);
            watched.see(b"before ");
            watched.see(first.as_bytes());
            watched.see(second.as_bytes());
        });
        assert!(seen.is_err(), "{spelling}");
    }
    Watched::new(()).see(b"the real secret of success is session/token hygiene");
}
