//! A connection from a program, byte by byte.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;

const PATIENCE: Patience = Patience { head: Duration::from_secs(10), idle: Duration::from_secs(60) };
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn head_that_comes_in_pieces_is_handed_on_whole() {
    let (mut program, io) = duplex(1024);
    let mut guard = Guard::new(io, BytesMut::from(&GET[..5]), PATIENCE);
    program.write_all(&GET[5..9]).await.unwrap();
    let mut buf = [0; 1024];
    let read = tokio::spawn(async move { (guard.read(&mut buf).await.unwrap(), buf, guard.ledger()) });
    tokio::task::yield_now().await;
    program.write_all(&GET[9..]).await.unwrap();
    let (length, buf, ledger) = read.await.unwrap();
    assert_eq!(&buf[..length], GET);
    assert!(ledger.owes_an_answer());
}

#[tokio::test]
async fn of_a_refused_head_the_server_reads_only_the_substitute_and_nothing_after_it() {
    let bad =
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled";
    let (mut program, io) = duplex(1024);
    program.write_all(&[GET, bad].concat()).await.unwrap();
    let mut guard = Guard::new(io, BytesMut::new(), PATIENCE);
    let mut read = vec![0; GET.len() + IN_ITS_PLACE.len()];
    guard.read_exact(&mut read).await.unwrap();
    assert_eq!(read, [GET, IN_ITS_PLACE].concat());
    assert_eq!((guard.ledger().refused(1), guard.ledger().refused(2)), (None, Some(Malformed::TwoLengths)));
    let more = futures_util::poll!(std::pin::pin!(guard.read(&mut [0; 10])));
    assert!(more.is_pending());
    assert!(guard.has_unread());
}

#[tokio::test(start_paused = true)]
async fn slow_head_is_cut_off_even_if_bytes_trickle_in() {
    let (mut program, io) = duplex(1024);
    let mut guard = Guard::new(io, BytesMut::new(), PATIENCE);
    let trickle = tokio::spawn(async move {
        for byte in GET {
            tokio::time::advance(Duration::from_secs(1)).await;
            if program.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
    });
    let error = guard.read(&mut [0; 100]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    trickle.abort();
}

#[tokio::test(start_paused = true)]
async fn program_that_has_said_nothing_has_no_longer_than_for_a_head() {
    let (_program, io) = duplex(1024);
    let mut guard = Guard::new(io, BytesMut::new(), PATIENCE);
    let began = Instant::now();
    assert_eq!(guard.read(&mut [0; 100]).await.unwrap(), 0);
    assert_eq!(began.elapsed(), PATIENCE.head);
}

#[tokio::test(start_paused = true)]
async fn idle_connection_ends_quietly_but_one_that_waits_for_us_does_not_end() {
    let (mut program, io) = duplex(1024);
    program.write_all(GET).await.unwrap();
    let mut guard = Guard::new(io, BytesMut::new(), PATIENCE);
    let mut buf = [0; 100];
    assert_eq!(guard.read(&mut buf).await.unwrap(), GET.len());
    let long = Duration::from_secs(3600);
    assert!(tokio::time::timeout(long, guard.read(&mut buf)).await.is_err(), "we owe an answer");
    guard.ledger().answer_ended();
    assert_eq!(guard.read(&mut buf).await.unwrap(), 0);
}

/// A side that takes nothing more, not even a goodbye.
struct Deaf;

impl AsyncRead for Deaf {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Deaf {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn goodbye_that_nobody_hears_is_not_said_for_ever() {
    let mut guard = Guard::new(Deaf, BytesMut::new(), PATIENCE);
    let ended = tokio::time::timeout(LINGER.0, guard.shutdown()).await.expect("it ends");
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
}

/// Serves two requests of a program that does not read yet. The answer to the first comes before its body has ended, and is
/// longer than what lies between the two; the second is told something before its answer, which comes `soon` or when that
/// was heard.
async fn two_answers(soon: bool) -> String {
    let (mut program, io) = duplex(1024);
    let put = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n";
    let guard = Guard::new(io, BytesMut::from(&put[..]), PATIENCE);
    let ledger = guard.ledger();
    let (asked, heard) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Notify::new()));
    let (count, go_on) = (asked.clone(), heard.clone());
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let (ledger, go_on) = (ledger.clone(), go_on.clone());
        ledger.aside().open();
        async move {
            let mut answer = Response::new(Full::default());
            if number == 0 {
                tokio::spawn(request.into_body().collect());
                // A head: behind a body that is not written yet, the server works on no other request.
                answer.headers_mut().insert("x-long", "x".repeat(10_000).parse().unwrap());
            } else {
                *answer.body_mut() = Full::new(Bytes::from_static(b"second"));
                assert!(ledger.aside().say(StatusCode::EARLY_HINTS, &HeaderMap::new()));
                if !soon {
                    go_on.notified().await;
                }
            }
            ledger.aside().close();
            Ok::<_, Infallible>(answer)
        }
    });
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(guard), service));
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    program.write_all(&[b"hello", GET].concat()).await.unwrap();
    while asked.load(Ordering::SeqCst) == 1 {
        tokio::task::yield_now().await;
    }
    let (mut said, mut step) = (String::new(), [0; 4096]);
    while !said.ends_with("second") {
        let read = program.read(&mut step).await.unwrap();
        said += std::str::from_utf8(&step[..read]).unwrap();
        if said.contains(" 103 ") {
            heard.notify_one();
        }
    }
    said
}

#[tokio::test]
async fn what_is_said_before_an_answer_is_never_said_within_the_one_before() {
    for soon in [false, true] {
        let said = tokio::time::timeout(Duration::from_secs(10), two_answers(soon)).await.expect("two answers");
        let (first, rest) = said.split_once("\r\n\r\n").unwrap();
        assert!(first.starts_with("HTTP/1.1 200 OK\r\n") && !first.contains(" 103 "), "{first}");
        assert!(first.contains(&"x".repeat(10_000)), "the first answer is whole: {first}");
        let interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
        assert_eq!(rest.starts_with(interim), !soon, "behind an answer that is not read yet, it would come too late");
        let second = rest.strip_prefix(interim).unwrap_or(rest);
        assert!(second.starts_with("HTTP/1.1 200 OK\r\n") && second.ends_with("\r\n\r\nsecond"), "{second}");
    }
}
