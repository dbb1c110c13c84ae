//! A connection from a program, byte by byte.

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
