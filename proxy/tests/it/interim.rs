//! Interim answers (1xx) on their way to programs that speak HTTP/1.1.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::destination::Scripted;
use crate::program::{S3, Signed, answer, connect, dial, head, tls};
use crate::stage::Stage;

const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere";

async fn say(upstream: &mut TcpStream, text: &str) {
    upstream.write_all(text.as_bytes()).await.unwrap();
}

/// Asks twice: each answer is heard behind what came before it, which is heard at once.
async fn hears<I: AsyncRead + AsyncWrite + Unpin>(
    io: &mut I,
    (request, hints): (&str, &str),
    destination: &mut Scripted,
) {
    let mut upstream = None;
    for _ in 0..2 {
        io.write_all(request.as_bytes()).await.unwrap();
        io.flush().await.unwrap();
        if upstream.is_none() {
            upstream = Some(destination.connection().await);
        }
        let upstream = upstream.as_mut().unwrap();
        head(upstream).await;
        for _ in 0..2 {
            say(upstream, "HTTP/1.1 102 Processing\r\n\r\n").await;
            assert_eq!(head(io).await, "HTTP/1.1 102 Processing\r\n\r\n");
            say(upstream, HINTS).await;
            assert_eq!(head(io).await, hints);
        }
        say(upstream, &(HINTS.to_owned() + OK)).await;
        assert!(head(io).await.starts_with("HTTP/1.1 103 "), "just before the answer, too");
        let answer = answer(io).await;
        assert_eq!((answer.status, &*answer.body), (200, "here"), "{answer:?}");
    }
}

#[tokio::test]
async fn hints_are_heard_at_once_and_the_answer_behind_them() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let request = format!("GET http://{0}/x HTTP/1.1\r\nHost: {0}\r\n\r\n", destination.address);
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n";
    hears(&mut dial(&stage).await, (&request, hints), &mut destination).await;
}

#[tokio::test]
async fn interim_answers_of_a_cloud_are_heard_without_what_they_say() {
    for is_secure in [false, true] {
        let mut destination = Scripted::new().await;
        let stage = Stage::new(destination.address).await;
        let told = (&*Signed::get(&stage, "/x").head(), "HTTP/1.1 103 Early Hints\r\n\r\n");
        if is_secure {
            hears(&mut tls(&stage, &format!("{S3}:443"), S3).await.unwrap(), told, &mut destination).await;
        } else {
            hears(&mut connect(&stage, &format!("{S3}:80")).await, told, &mut destination).await;
        }
    }
}

#[tokio::test]
async fn program_of_http_1_0_hears_nothing_but_the_answer() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    let request = Signed::get(&stage, "/x").head().replace(" HTTP/1.1\r\n", " HTTP/1.0\r\n");
    io.write_all(request.as_bytes()).await.unwrap();
    let mut upstream = destination.connection().await;
    head(&mut upstream).await;
    say(&mut upstream, &(HINTS.to_owned() + OK)).await;
    let mut all = String::new();
    io.read_to_string(&mut all).await.unwrap();
    assert!(all.starts_with("HTTP/1.0 200 OK\r\n") && all.ends_with("\r\n\r\nhere"), "{all}");
}

#[tokio::test]
async fn upload_that_waits_for_continue_hears_hints_before_and_after_it() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    let put = Signed::put(&stage, "/x", vec![("content-length", "5"), ("expect", "100-continue")]);
    io.write_all(put.head().as_bytes()).await.unwrap();
    let mut upstream = destination.connection().await;
    head(&mut upstream).await;
    say(&mut upstream, HINTS).await;
    assert!(head(&mut io).await.starts_with("HTTP/1.1 103 "));
    say(&mut upstream, "HTTP/1.1 100 Continue\r\n\r\n").await;
    assert!(head(&mut io).await.starts_with("HTTP/1.1 100 "));
    say(&mut upstream, HINTS).await;
    assert!(head(&mut io).await.starts_with("HTTP/1.1 103 "));
    io.write_all(b"hello").await.unwrap();
    let mut body = [0; 5];
    upstream.read_exact(&mut body).await.unwrap();
    say(&mut upstream, &(HINTS.to_owned() + OK)).await;
    assert!(head(&mut io).await.starts_with("HTTP/1.1 103 "));
    assert_eq!(answer(&mut io).await.body, "here");
}
