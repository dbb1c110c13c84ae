//! The framing of HTTP/1.1: any bytes end in an answer, the same however they are cut; and hyper, which reads them after us,
//! never finds a request where we have found none.
#![no_main]

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use libfuzzer_sys::fuzz_target;
use proxy::framing::{Followed, Framing};

/// As the proxy sets it.
const MAX_HEADERS: usize = 100;

/// More often than this nothing that is in memory has to be asked.
const MAX_POLLS: usize = 100_000;

/// What the bytes follow: nothing, a head that is not whole, a body, chunks.
const BEGINNINGS: [&str; 5] = [
    "",
    "GET / HTTP/1.1\r\nHost: x\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
];

/// What comes after them: if we and hyper read them otherwise, it is one more request for one of us.
const END: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

fuzz_target!(|input: (u8, Vec<u8>, &[u8])| {
    let (beginning, cuts, rest) = input;
    let bytes = [BEGINNINGS[usize::from(beginning) % BEGINNINGS.len()].as_bytes(), rest, END].concat();
    let whole = follow([&bytes[..]]);
    assert_eq!(whole, follow(cut(&bytes, &cuts)));
    let (ours, seen) = (methods(&bytes), seen_by_hyper(bytes[..whole.through].to_vec()));
    assert_eq!(ours.len() as u64, whole.heads);
    assert!(ours.starts_with(&seen), "hyper has found {seen:?}, and we {ours:?}");
});

/// How far a connection is let through.
#[derive(Debug, PartialEq, Eq)]
struct Passed {
    heads: u64,
    through: usize,
    is_refused: bool,
}

/// The bytes in pieces of these lengths, and what is left.
fn cut<'b>(mut bytes: &'b [u8], lengths: &[u8]) -> Vec<&'b [u8]> {
    let mut pieces = Vec::new();
    for length in lengths {
        let (piece, rest) = bytes.split_at(usize::from(*length).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces.push(bytes);
    pieces
}

fn follow<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> Passed {
    let (mut framing, mut held) = (Framing::default(), Vec::new());
    let mut passed = Passed { heads: 0, through: 0, is_refused: false };
    for piece in pieces {
        held.extend_from_slice(piece);
        let (heads, through) = match framing.follow(&held) {
            Followed::All { heads } => (heads, held.len()),
            Followed::Partial { heads, from } => (heads, from),
            Followed::Refused { heads, from, .. } => {
                passed.is_refused = true;
                (heads, from)
            }
        };
        passed.heads += heads;
        passed.through += through;
        held.drain(..through);
        if passed.is_refused {
            break;
        }
    }
    passed
}

/// The methods of the requests that we find.
fn methods(bytes: &[u8]) -> Vec<String> {
    let (mut framing, mut held, mut methods) = (Framing::default(), Vec::new(), Vec::new());
    for byte in bytes {
        held.push(*byte);
        match framing.follow(&held) {
            Followed::All { heads: 1 } => {
                let method = held.trim_ascii_start().split(|byte| *byte == b' ').next().unwrap_or_default();
                methods.push(String::from_utf8_lossy(method).into_owned());
            }
            Followed::Partial { from: 0, .. } => continue,
            Followed::All { .. } | Followed::Partial { .. } => {}
            Followed::Refused { .. } => break,
        }
        held.clear();
    }
    methods
}

/// The methods of the requests that hyper hands out of these bytes. Their bodies are read, and each is answered.
fn seen_by_hyper(bytes: Vec<u8>) -> Vec<String> {
    let seen = Mutex::new(Vec::new());
    let service = service_fn(|request: Request<Incoming>| {
        seen.lock().expect("nobody panics with it in hand").push(request.method().to_string());
        async move {
            // Whether it is whole is hyper's to judge.
            drop(request.into_body().collect().await);
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let io = Memory { bytes, at: 0 };
    let connection = http1::Builder::new().max_headers(MAX_HEADERS).half_close(true).serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..MAX_POLLS {
        if connection.as_mut().poll(&mut context).is_ready() {
            return std::mem::take(&mut *seen.lock().expect("nobody panics with it in hand"));
        }
    }
    panic!("hyper waits for what is there");
}

/// What a program has sent; what it is told is lost.
struct Memory {
    bytes: Vec<u8>,
    at: usize,
}

impl Read for Memory {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let length = buffer.remaining().min(self.bytes.len() - self.at);
        buffer.put_slice(&self.bytes[self.at..self.at + length]);
        self.at += length;
        Poll::Ready(Ok(()))
    }
}

impl Write for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
